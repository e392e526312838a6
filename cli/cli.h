// What the commands of the program share. The program knows the library by include/hako.h alone.
#ifndef HK_CLI_CLI_H
#define HK_CLI_CLI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "include/hako.h"

struct json_t; // of jansson

enum {
    EXIT_DIAGNOSTICS = 1,
    EXIT_USAGE = 2,
    EXIT_ENVIRONMENT = 3,
    EXIT_TRAP = 4,
    EXIT_INTERNAL = 70
};

enum {
    CHECK = 1,
    RUN = 2,
    BENCH = 4,
    EMIT = 8,
    OPT = 16,
    EXPLAIN = 32,
    VERSION = 64,
    TUNE = 128,
    TEST = 256,
    DB = 512,
    DEVICES = 1024,
    MACHINE = 2048,
    COMPLETION = 4096,
    BUILD = 8192
}; // commands, as a set

// ---- options.c: one table for parsing, help and completion

typedef struct Pair { // NAME=VALUE
    const char *name, *value;
} Pair;

typedef struct Pairs {
    Pair *data;
    size_t count;
} Pairs;

typedef struct BuildFor { // of hako build: sizes and a Config that code is made for
    Pairs shapes;
    const char *config;
} BuildFor;

typedef struct Options {
    const char *command;
    const char **files;
    size_t file_count;
    const char **compares; // Configs
    size_t compare_count;
    Pairs inputs, outputs, scalars, defines, expects, shapes, types;
    BuildFor *variants; // in the order of the command line
    size_t variant_count;
    const char *config, *target, *triple, *cpu, *as, *emit, *name, *prefix, *compiler, *filter,
        *search, *db, *log, *replay, *report_path, *effort, *passes, *stop_after, *dump,
        *diagnostics, *output, *disable;
    double rtol, atol, min_time, budget, timeout, older;
    bool has_tolerance, verify, list, json, explain, space, time_passes, help, full, resume, exact,
        tuned;
    uint32_t threads, max_errors, repeat, device, jobs, shard, shard_count, candidates;
    uint64_t seed;
    const char **givens; // choices of optional tensors
    size_t given_count;
} Options;

typedef int Command(Options *options);
typedef struct CommandInfo {
    const char *name, *usage, *purpose;
    unsigned bit;
    Command *run;
} CommandInfo;

extern const CommandInfo commands[]; // ends with a NULL name
// Fills options from the words after the command's name. 0, or an exit code after printing why.
int options_parse(const CommandInfo *command, int argc, char **argv, Options *options);
// "M = 512, T = bf16" appended to pairs.
int pairs_from_list(const char *what, const char *text, Pairs *pairs);
void options_help(const CommandInfo *command); // NULL: of the program
// Rows of the table, for completion and the manual page.
typedef struct OptionText {
    char letter;                        // 0: none
    const char *name, *value, *purpose; // value NULL: it takes none
    unsigned commands;
} OptionText;
bool option_at(size_t index, OptionText *option);

Command command_check, command_run, command_bench, command_emit, command_opt, command_explain,
    command_version, command_machine, command_completion, command_build;

// ---- report.c

int usage_error(const char *format, ...) __attribute__((format(printf, 1, 2)));
int io_error(const char *format, ...) __attribute__((format(printf, 1, 2)));
// Prints the error as text or, where asked, JSON, frees it, and says the exit code.
int report(const Options *options, hk_status status, hk_error *error);
int exit_code(hk_status status);
const char *code_cache_folder(void); // NULL: none
void *must_alloc(size_t bytes);      // zeroed; exits with 3 when there is no memory
void *must_grow(void *p, size_t bytes);
char *must_format(const char *format, ...) __attribute__((format(printf, 1, 2)));
double now_seconds(void);
// The text of a key; "" if there is none.
const char *text_of(const struct json_t *object, const char *key);
char *read_whole(const char *path, size_t *length); // NULL after printing why
// Replaces a file only when all of it is written. "-": standard output.
int write_whole(const char *path, const char *data, size_t length);

// ---- array.c: arrays that the program owns

typedef struct Array {
    DLTensor tensor;
    int64_t shape[8], strides[8];
    void *memory;
} Array;

void *memory_new(size_t bytes); // zeroed, on huge pages where large; to be freed; NULL: none
// Compact, zeroed. False if the sizes overflow or there is no memory.
bool array_init(Array *array, DLDataType dtype, int32_t ndim, const int64_t *shape);
void array_free(Array *array);
size_t array_bytes(const Array *array);
int64_t array_elements(const Array *array);
bool array_copy(Array *to, const Array *from);       // compact, own memory; bits as they are
bool array_next(const Array *array, int64_t *index); // row-major; false after the last
double array_get(const Array *array, const int64_t *index);
int64_t array_get_int(const Array *array, const int64_t *index);
void array_set(Array *array, const int64_t *index, double value);
void array_set_int(Array *array, const int64_t *index, int64_t value);
DLTensor *array_tensor(Array *array);
bool dtype_is_float(DLDataType dtype);
void array_print(FILE *out, const char *name, const Array *array);
void shape_print(char *text, size_t bytes, int32_t ndim, const int64_t *shape); // 8x16

// ---- npy.c

int npy_read(const char *path, Array *array); // 0, or an exit code after printing why
// Writes to a temporary file beside `path`; its name in *temporary, to be renamed or removed.
int npy_write(const char *path, const Array *array, char **temporary);

// ---- spec.c

// SPEC to an array; a bare number gives *is_scalar and *number (and *integer if it is whole).
typedef struct Scalar {
    bool given, whole;
    double number;
    int64_t integer;
} Scalar;
int spec_parse(const char *name, const char *spec, Array *array, Scalar *scalar);
bool scalar_parse(const char *text, Scalar *scalar);
// Fills by a generator "randn(seed=7)"; `dims` may be named in its arguments.
int array_generate(const char *name, const char *text, const hk_dim *dims, size_t dim_count,
                   Array *array);

// ---- archive.c

// A static library of ELF objects, with its index. False after an error: an object that is none.
typedef struct Member {
    const char *name; // at most 15 characters
    const char *data;
    size_t length;
} Member;
bool archive_make(const Member *members, size_t count, char **data, size_t *length);

// ---- session.c: FILE[:KERNEL] with its arguments, shared by run, bench and emit

typedef struct Session {
    const Options *options;
    hk_context *context;
    char *path; // of the file
    hk_module *module;
    bool borrowed; // context and module are someone else's
    const hk_kernel *kernel;
    hk_exec *exec;
    hk_arg *args;  // inputs and scalars as given; then outputs and what was made up
    Array *arrays; // of the tensors among them, by the same index
    size_t arg_count;
    hk_define *defines;
    size_t define_count;
    hk_dim *dims;
    size_t dim_count;
    Pairs generators; // tensors that a shapes row describes
    char *config;
    hk_text *tuned; // what the database knows; NULL: nothing
} Session;

// Whether an existing file is meant, or one with a kernel behind it. *kernel NULL: none is named.
void split_kernel(const char *word, char **path, char **kernel);
int no_kernel(const hk_module *module, const char *path, const char *name); // says so
bool is_template(const hk_kernel *kernel, const char *name);
int session_open(Session *session, const Options *options); // context, module, kernel, -D, --config
// The same with a context and a module that stay the caller's.
int session_attach(Session *session, const Options *options, hk_context *context, hk_module *module,
                   const hk_kernel *kernel);
int session_arguments(Session *session); // -i, --arg, optional outputs of -o and --expect
// --shapes, else a row of the kernel's `shapes`.
int session_shapes(Session *session);
// Sizes, compile-time parameters, scalars and generators of tensors, as a row of `shapes` has them.
int session_settings(Session *session, const Pairs *settings);
// What to compile for the session's arguments. Borrowed from the session.
hk_specialize_options session_options(const Session *session, hk_stage stage);
// Compiles; with_args false: from dims and defines alone.
int session_specialize(Session *session, hk_stage stage, bool with_args);
// Outputs that are not given; and inputs, if make_inputs.
int session_allocate(Session *session, bool make_inputs);
int session_generate(Session *session); // inputs that the shapes describe by a generator
void session_close(Session *session);
size_t session_find(const Session *session, const char *name); // index among args, or arg_count
hk_target target_named(const char *name);
void show_warnings(void *self, hk_severity severity, const char *message); // for a context

// ---- verify.c

typedef struct Verified {
    hk_verify_result result;
    int code; // EXIT_DIAGNOSTICS: it differs
} Verified;
// 0 also for a mismatch, which is printed; else an exit code after printing why.
int verify_run(Session *session, Verified *verified);
void verify_print(const Session *session, const Verified *verified);
struct json_t *verify_json(const Verified *verified);

// ---- inout.c

// Copies of the inout tensors, by argument; the session's own become compact.
int inout_keep(Session *session, Array **kept);
void inout_restore(Session *session, const Array *kept);
void inout_free(const Session *session, Array *kept); // kept may be NULL

// ---- devices.c

// The number of the OpenCL device that "1" or a part of a name says. 0, or an exit code after
// printing why.
int device_select(const char *name, uint32_t *device);
Command command_devices;

// ---- db.c: the tuning database

// Opens the one that --db, $HAKO_DB or the user's cache folder says. 0 and *store NULL: there is
// none, or it is not wanted; to be written: it is made. Else an exit code after printing why.
int db_open(const Options *options, hk_context *context, bool writable, hk_store **store);
// What a database knows of what `options` would compile, into session->tuned.
int db_lookup(Session *session, hk_specialize_options options);
Command command_db;

// ---- rates.c: what `hako machine` measured; model.c: what follows from it

char *rates_path(void);                       // to be freed; NULL: nothing is kept
bool rates_load(hk_rates *rates);             // false: nothing was measured
char *rates_save(const struct json_t *about); // its path; NULL: not written, which is printed
void model_print(const char *indent, const hk_estimate *estimate);
struct json_t *model_json(const hk_estimate *estimate);
// Why the Config is as it is, in comments. with_args as for session_specialize. 0, or an exit code.
int model_explain(const Session *session, bool with_args);
// What the model says of another Config of the session's kernel. 0: nothing.
double model_seconds(const Session *session, bool with_args, char *config);

// ---- compare.c

// Times the session's Config beside those of --compare. 0, or an exit code after printing why.
int compare_configs(Session *session);

// ---- timing.c

typedef struct Spread {
    double median, low, high, fastest; // seconds; low and high are the quartiles
    size_t runs;
} Spread;
Spread spread_of(double *seconds, size_t count); // sorts
typedef struct Limits {                          // per second, of this machine with so many threads
    double flops;
    double tiles; // flops in tile registers; 0: not measured
    double copy, stream, read; // bytes, copies counting both ways
} Limits;
double flops_measure(uint32_t threads);
double tiles_measure(uint32_t threads); // of bf16, or of bytes if additions count alone
void print_time_passes(FILE *out, const hk_exec *exec);

// ---- device_limits.c

// Whether the session's OpenCL device is the CPU (or is not there).
bool device_is_cpu(const Session *s);
// What it can do, with a copy of `bytes` in all; what cannot be measured stays.
void device_limits(const Session *s, double bytes, Limits *limits);

// ---- bandwidth.c

typedef struct Bandwidth Bandwidth;
Bandwidth *bandwidth_open(uint32_t threads, double bytes); // as a kernel moves in all
void bandwidth_round(Bandwidth *bandwidth);
void bandwidth_close(Bandwidth *bandwidth, Limits *limits); // the best of the rounds

#endif
