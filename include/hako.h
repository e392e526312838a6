/* Hako: a compiler for tiled kernels, as a library. The whole public interface.

   A context holds options and threads; a module is parsed source; a kernel in it is generic; an
   exec is a kernel compiled for certain shapes, dtypes, target and Config; running it borrows the
   caller's tensors.

       hk_context *context; hk_module *module; hk_error *error;
       hk_context_create(NULL, &context, &error);
       hk_module_load_text(context, "axpy.hk", text, HK_TERMINATED, &module, &error);
       hk_arg args[] = {hk_tensor("x", &x), hk_tensor("y", &y), hk_float("a", 2.0)};
       hk_kernel_run(hk_module_kernel_named(module, NULL), args, 3, &error);

   Rules that hold everywhere:
   - Errors. A call that can fail returns an hk_status. `error` may be NULL; else *error is set: to
   NULL when there is nothing to report, or to an object that the caller frees with hk_error_free.
   Other outputs are set to NULL or zero on failure. When memory has run out, *error may be NULL.
   - Ownership. What a function named *_create, *_load_*, *_specialize or with an `hk_text **` gives
   out is the caller's, to be freed by the *_free of its type; those accept NULL. Everything else
   that is returned is borrowed and lives as long as the object it was asked of. Arguments are never
   kept unless it says so; names and text are copied.
   - Threads. A context, module, kernel, exec and stream may be used from many threads at once. Free
   an object only when no call uses it; its children keep it alive, so the order of freeing is free.
   - The library never prints, exits, aborts or installs a signal handler, and has no global state.
   - Structs whose first member is struct_size: set it to the struct's size and zero what you don't
   use. C99 and C++. */
#ifndef HAKO_H
#define HAKO_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#define HK_VERSION_MAJOR 0
#define HK_VERSION_MINOR 1
#define HK_VERSION_PATCH 0
#define HK_VERSION       (HK_VERSION_MAJOR * 10000 + HK_VERSION_MINOR * 100 + HK_VERSION_PATCH)

#if defined(__GNUC__)
#define HK_API __attribute__((visibility("default")))
#else
#define HK_API
#endif
#ifdef __cplusplus
extern "C" {
#endif

/* ---- Tensors: DLPack's structs, layout compatible. To use another dlpack.h, include it first. */
#ifndef DLPACK_DLPACK_H_
#define DLPACK_DLPACK_H_

typedef enum { kDLCPU = 1, kDLOpenCL = 4 } DLDeviceType;

typedef struct DLDevice {
    DLDeviceType device_type;
    int32_t device_id;
} DLDevice;

typedef enum {
    kDLInt = 0,
    kDLUInt = 1,
    kDLFloat = 2,
    kDLBfloat = 4,
    kDLBool = 6,
    kDLFloat8_e4m3fn = 10,
    kDLFloat8_e5m2 = 12,
    kDLFloat4_e2m1fn = 17
} DLDataTypeCode;

typedef struct DLDataType {
    uint8_t code;   /* a DLDataTypeCode */
    uint8_t bits;   /* of one element; sub-byte elements are packed, low half first */
    uint16_t lanes; /* 1 */
} DLDataType;

typedef struct DLTensor {
    void *data; /* host memory; of kDLOpenCL a cl_mem */
    DLDevice device;
    int32_t ndim;
    DLDataType dtype;
    int64_t *shape;
    int64_t *strides; /* in elements; may be NULL: compact, the last dimension innermost */
    uint64_t byte_offset;
} DLTensor;
#endif

typedef struct hk_context hk_context;
typedef struct hk_module hk_module;
typedef struct hk_kernel hk_kernel;
typedef struct hk_exec hk_exec;
typedef struct hk_stream hk_stream;
typedef struct hk_error hk_error;
typedef struct hk_text hk_text;

/* ---- Status and errors */
typedef enum hk_status {
    HK_OK = 0,
    HK_ERROR_DIAGNOSTICS = 1, /* source, Config, IR or arguments do not fit: see the diagnostics */
    HK_ERROR_USAGE = 2,       /* a wrong call: NULL, struct_size, an index out of range */
    HK_ERROR_ENVIRONMENT = 3, /* a file cannot be read, a device is missing */
    HK_ERROR_TRAP = 4,        /* the kernel failed at run time: bounds, assert, division by zero */
    HK_ERROR_MISMATCH = 5,    /* hk_exec_verify: the results differ from the reference */
    HK_ERROR_MEMORY = 6,      /* an allocation failed */
    HK_ERROR_INTERNAL = 70    /* a fault in Hako */
} hk_status;
HK_API const char *hk_status_text(hk_status status); /* "ok", "out of memory" ... */

typedef enum hk_severity {
    HK_NOTE = 0,
    HK_WARNING = 1,
    HK_ERROR = 2,
    HK_PRINTED = 3 /* for the log alone: a line that a kernel printed, without its end */
} hk_severity;

/* Lines and columns count from 1, columns in bytes, end_column is one past; line 0: no place. */
typedef struct hk_span {
    const char *file;
    uint32_t line, column, end_line, end_column;
} hk_span;
typedef struct hk_diag {
    size_t struct_size;
    uint32_t number; /* HKnnnn, stable; 0: none */
    hk_severity severity;
    hk_span span;
    const char *message, *hint; /* hint: how to mend it; "" if there is none */
    size_t note_count;
} hk_diag;

HK_API hk_status hk_error_status(const hk_error *error); /* HK_OK for NULL or mere warnings */
/* One line: the first error; "" for NULL. */
HK_API const char *hk_error_message(const hk_error *error);
HK_API size_t hk_error_diag_count(const hk_error *error);
HK_API size_t hk_error_dropped_count(const hk_error *error); /* errors beyond the limit, not kept */
/* One diagnostic, in the order of the source, and a note of it: another place that has to do with
   it. Texts are the error's; span and message may be NULL. HK_ERROR_USAGE past the end. */
HK_API hk_status hk_error_diag(const hk_error *error, size_t index, hk_diag *diag);
HK_API hk_status hk_error_note(const hk_error *error, size_t index, size_t note, hk_span *span,
                               const char **message);
/* All diagnostics as text with source lines and carets, or as JSON. Borrowed from the error; one
   thread at a time. Without memory for it the message alone, or "[]". */
HK_API const char *hk_error_text(hk_error *error, bool colour);
HK_API const char *hk_error_json(hk_error *error);
HK_API void hk_error_free(hk_error *error);

/* Owned text, zero-terminated. Of NULL: "" and 0. */
HK_API const char *hk_text_data(const hk_text *text);
HK_API size_t hk_text_length(const hk_text *text);
HK_API void hk_text_free(hk_text *text);

/* ---- Library */
HK_API uint32_t hk_version(void);              /* HK_VERSION of the library */
HK_API const char *hk_version_text(void);      /* "0.1.0" */
HK_API const char *hk_llvm_version_text(void); /* of the LLVM that it was built with */
/* What diagnostic HKnnnn means: a title line, then paragraphs. NULL if unknown. Static. */
HK_API const char *hk_explain(uint32_t number);
/* Every diagnostic's number in ascending order; 0 past the end. */
HK_API uint32_t hk_explain_number(size_t index);

/* ---- Context */
typedef struct hk_allocator {
    /* As realloc; new_bytes 0 frees, p NULL allocates. Called from any thread. For all that Hako
       itself needs; LLVM, SQLite and drivers of OpenCL have memory of their own. */
    void *(*resize)(void *self, void *p, size_t old_bytes, size_t new_bytes);
    void *self;
} hk_allocator;

/* Is told of warnings when something compiles, as rendered text, what was compiled (HK_NOTE), and
   at the end of a launch the lines that the kernel printed (HK_PRINTED). Called from the thread
   that calls the library, holding no lock. */
typedef void hk_log_fn(void *self, hk_severity severity, const char *message);

/* Calls body(arg, index) once for each index in 0 .. count, from any threads, and returns when all
   are done. The host's way to lend its own thread pool. */
typedef void hk_parallel_for_fn(void *self, int64_t count, void (*body)(void *arg, int64_t index),
                                void *arg);

/* How fast this machine is, as `hako machine` measures it; 0: not known. */
typedef struct hk_rates {
    double flops;   /* f32 operations a second, multiply-adds in vectors, one thread */
    double read[4]; /* bytes a second from L1, L2, L3, memory, `threads` of them together */
    double launch;  /* seconds of a kernel that does nothing */
    double threads;
} hk_rates;
typedef struct hk_context_options {
    size_t struct_size;
    hk_allocator allocator; /* zero: malloc's family. Must outlive the context */
    hk_log_fn *log;         /* may be NULL */
    void *log_self;
    hk_parallel_for_fn *parallel_for; /* NULL: Hako's own threads */
    void *parallel_for_self;
    uint32_t threads;       /* at most that many; 0: as many as the process may use */
    const char *code_cache; /* a folder that keeps compiled code for other processes, made at need;
                               NULL: none. It must be this user's, and writable by nobody else */
    const char *cpu; /* to generate code for: LLVM's name, "x86-64-v3"; NULL, "native": this one */
    const char *triple;  /* to generate code for: "aarch64-linux-gnu"; NULL: this machine. Code for
                            another is to be looked at (hk_exec_text), not run */
    bool no_tuned_files; /* FILE.hkt beside FILE.hk, where tuning left Configs, is not read */
    const hk_rates *rates; /* for the model of time; NULL: assumed. Not kept */
    void *opencl_context; /* a cl_context, retained, for all that is OpenCL; devices are numbered as
                             it lists them. NULL: one for each device of the machine, at need */
} hk_context_options;

/* options may be NULL: all zero. Threads are started by the first launch that needs them, and
   joined when the context and all that was made with it are freed. */
HK_API hk_status hk_context_create(const hk_context_options *options, hk_context **context,
                                   hk_error **error);
HK_API void hk_context_free(hk_context *context);
HK_API uint32_t hk_context_threads(const hk_context *context); /* that a launch may use */
/* One JSON object: cpu, cores, caches, vector width, OpenCL devices or why there are none. */
HK_API hk_status hk_context_describe(hk_context *context, hk_text **json, hk_error **error);

/* ---- Module */
#define HK_TERMINATED ((size_t)-1) /* as a length: the text is zero-terminated */

/* Parses. `name` is used in messages, and imports are found relative to its folder. Kernels are
   checked when they are specialised, or all at once by hk_check. */
HK_API hk_status hk_module_load_text(hk_context *context, const char *name, const char *text,
                                     size_t length, hk_module **module, hk_error **error);
HK_API hk_status hk_module_load_file(hk_context *context, const char *path, hk_module **module,
                                     hk_error **error);
HK_API void hk_module_free(hk_module *module);
/* Parses and checks a whole file, every kernel with its parameters unbound: what an editor calls.
   HK_OK with *error set means warnings only. max_errors 0: 100. text NULL: reads the file. */
HK_API hk_status hk_check(hk_context *context, const char *name, const char *text, size_t length,
                          uint32_t max_errors, hk_error **error);
/* Paths of the files that the module was read from, its own first; NULL past the end. Borrowed. */
HK_API const char *hk_module_file(const hk_module *module, size_t index);
/* The syntax tree as text, for tests and tools. */
HK_API hk_status hk_module_ast(const hk_module *module, hk_text **text, hk_error **error);
/* Kernels in the order of the source, without those of imports. Borrowed from the module. */
HK_API size_t hk_module_kernel_count(const hk_module *module);
HK_API const hk_kernel *hk_module_kernel(const hk_module *module, size_t index);
/* NULL if there is none of that name. A name of NULL: the first kernel. */
HK_API const hk_kernel *hk_module_kernel_named(const hk_module *module, const char *name);

/* ---- Kernel: reflection of the generic kernel, as written */
typedef enum hk_param_kind {
    HK_PARAM_IN,
    HK_PARAM_OUT,
    HK_PARAM_INOUT,
    HK_PARAM_SCALAR
} hk_param_kind;

typedef struct hk_param {
    size_t struct_size;
    hk_param_kind kind;
    const char *name;
    const char *text;        /* the whole declaration as written */
    const char *type;        /* a dtype or a template parameter: "f32", "T", "arith(T)" */
    const char *const *dims; /* as written: "..P", "N", "2 * M + 1" */
    size_t dim_count;
    int32_t pack;  /* which of dims is a pack (any number of dimensions), or -1 */
    bool optional; /* may be left out */
} hk_param;
typedef struct hk_template {
    size_t struct_size;
    const char *name;
    const char *constraint; /* "float", "f16 | bf16", "bool", "fn" ... */
    const char *initial;    /* its default as written, or NULL */
} hk_template;
typedef struct hk_tunable {
    size_t struct_size;
    const char *name;
    const int64_t *choices;
    size_t choice_count;
    int64_t initial;
} hk_tunable;
/* All that is given out here is borrowed from the module; HK_ERROR_USAGE past the end, for NULL, or
   for a struct_size that was not set. Parameters: inputs first, then results. */
HK_API const char *hk_kernel_name(const hk_kernel *kernel);
HK_API size_t hk_kernel_param_count(const hk_kernel *kernel);
HK_API hk_status hk_kernel_param(const hk_kernel *kernel, size_t index, hk_param *param);
HK_API size_t hk_kernel_template_count(const hk_kernel *kernel);
HK_API hk_status hk_kernel_template(const hk_kernel *kernel, size_t index, hk_template *out);
HK_API size_t hk_kernel_tunable_count(const hk_kernel *kernel);
HK_API hk_status hk_kernel_tunable(const hk_kernel *kernel, size_t index, hk_tunable *out);
/* Rows of `shapes` blocks for this kernel, as text "M = 512, N = 64, T = bf16"; is_test says
   whether it is marked `test`. */
HK_API size_t hk_kernel_shape_count(const hk_kernel *kernel);
HK_API const char *hk_kernel_shape(const hk_kernel *kernel, size_t index, bool *is_test);

/* ---- Tests: the `test` blocks of the file itself. Values are texts as written. */
typedef struct hk_test {
    size_t struct_size;
    const char *kernel;
    hk_span span;
    const struct hk_define *defines; /* what stands in <...> */
    size_t define_count, item_count;
} hk_test;
typedef enum hk_test_item_kind {
    HK_TEST_TENSOR,
    HK_TEST_SETTING,
    HK_TEST_EXPECT
} hk_test_item_kind;
/* `x: f32[3, 5] = randn(seed = 1)`, `scale = 2.0`, `expect y = @"y.npy" within 1e-6` */
typedef struct hk_test_item {
    size_t struct_size;
    hk_test_item_kind kind;
    const char *name;
    const char *type;   /* of a tensor: "f32[3, 5]", "3x5", "4" */
    const char *value;  /* NULL: a tensor without one */
    const char *within; /* NULL: the default tolerance */
} hk_test_item;
/* All that is given out here is borrowed from the module; HK_ERROR_USAGE past the end. */
HK_API size_t hk_module_test_count(const hk_module *module);
HK_API hk_status hk_module_test(const hk_module *module, size_t index, hk_test *test);
HK_API hk_status hk_module_test_item(const hk_module *module, size_t index, size_t item,
                                     hk_test_item *out);

/* ---- Arguments */
typedef enum hk_arg_kind { HK_ARG_TENSOR, HK_ARG_INT, HK_ARG_FLOAT } hk_arg_kind;
typedef struct hk_arg {
    const char *name; /* of the parameter; NULL in all arguments: in the order of the parameters */
    hk_arg_kind kind;
    const DLTensor *tensor; /* borrowed. When specialising, NULL for a wanted optional output */
    int64_t integer;        /* also for bool */
    double number;
} hk_arg;
/* An argument's struct, filled in. */
static inline hk_arg hk_tensor(const char *name, const DLTensor *tensor)
{
    hk_arg arg = {name, HK_ARG_TENSOR, tensor, 0, 0.0};
    return arg;
}
static inline hk_arg hk_int(const char *name, int64_t value)
{
    hk_arg arg = {name, HK_ARG_INT, NULL, value, 0.0};
    return arg;
}
static inline hk_arg hk_float(const char *name, double value)
{
    hk_arg arg = {name, HK_ARG_FLOAT, NULL, 0, value};
    return arg;
}

/* ---- Specialise: a kernel for certain shapes, dtypes, target and Config */
typedef enum hk_target { HK_TARGET_CPU, HK_TARGET_OPENCL, HK_TARGET_INTERP } hk_target;
/* How far to go: an exec that is only looked at need not be compiled to the end. */
typedef enum hk_stage { HK_STAGE_RUN, HK_STAGE_TILE, HK_STAGE_LOOP } hk_stage;

/* A compile-time parameter, its value in .hk syntax: bf16, true, 64, gelu, fn(x) => x * 2. */
typedef struct hk_define {
    const char *name, *value;
} hk_define;
typedef struct hk_dim {
    const char *name;
    int64_t value;
} hk_dim;
#define HK_DEVICE_NONE UINT32_MAX

typedef struct hk_specialize_options {
    size_t struct_size;
    const hk_define *defines;
    size_t define_count;
    /* What decides dtypes, ranks, shapes and stride classes: the inputs, and outputs if at hand.
       Data is not read. args NULL, or scalars alone beside `dims` or at HK_STAGE_TILE: `dims` and
       `defines` decide (packs get rank 1). */
    const hk_arg *args;
    size_t arg_count;
    const hk_dim *dims; /* dimensions that the arguments do not bind */
    size_t dim_count;
    /* Names of dimensions whose sizes are those of each launch, whatever `args` has: one exec runs
       all of them. It knows no shapes then, as at HK_STAGE_TILE; keep it, as other sizes in `args`
       ask for another one. On the CPU and for the interpreter. */
    const char *const *free_dims;
    size_t free_dim_count;
    const char *config; /* Config text: what it does not set keeps its default. NULL: the default */
    const char *tuned;  /* the same, weaker than the source's `config` blocks: of hk_store_lookup */
    hk_target target;
    uint32_t device;  /* OpenCL: which; HK_DEVICE_NONE, to look at what is made for a GPU */
    uint32_t threads; /* 0: the context's */
    hk_stage stage;
    const char *dump; /* print the IR after this pass, or after "all" of them, into HK_FORM_DUMP */
    const char *stop_after;      /* a pass; the exec cannot be run then */
    const char *disabled_passes; /* names with commas */
} hk_specialize_options;

/* Compiles, or finds what was compiled before in the kernel's cache. */
HK_API hk_status hk_kernel_specialize(const hk_kernel *kernel, const hk_specialize_options *options,
                                      hk_exec **exec, hk_error **error);
HK_API void hk_exec_free(hk_exec *exec);

typedef enum hk_promise {
    HK_PROMISE_NONE,
    HK_PROMISE_RANGE,
    HK_PROMISE_PARTITION,
    HK_PROMISE_PERMUTATION,
    HK_PROMISE_DISTINCT
} hk_promise;

/* Parameters of the instance, inputs first: those present, with their exact types. */
typedef struct hk_exec_param_info {
    size_t struct_size;
    hk_param_kind kind;
    const char *name;
    DLDataType dtype;
    const char *dtype_name; /* "f32", "bf16" ... */
    int32_t ndim;
    const int64_t *shape; /* so an output can be allocated. NULL at HK_STAGE_TILE without shapes */
    size_t bytes;         /* compact */
    bool has_default;     /* scalars */
    hk_promise promise;   /* of an integer tensor's values, checked at launch */
    int64_t low, high;    /* its range low .. high, or size 0 .. high, where sizes are known */
} hk_exec_param_info;
/* All that is given out is the exec's; HK_ERROR_USAGE, or a name of NULL, past the end. */
HK_API size_t hk_exec_param_count(const hk_exec *exec);
HK_API hk_status hk_exec_param(const hk_exec *exec, size_t index, hk_exec_param_info *info);
HK_API const char *hk_exec_kernel_name(const hk_exec *exec);
HK_API size_t hk_exec_dim_count(const hk_exec *exec);
HK_API hk_dim hk_exec_dim(const hk_exec *exec, size_t index);
HK_API uint32_t hk_exec_threads(const hk_exec *exec); /* that it may use */

typedef struct hk_cost { /* of one launch, estimated from the Tile IR */
    size_t struct_size;
    double flops;    /* arithmetic operations on elements; a fused multiply-add counts 2 */
    double bytes;    /* of the tensors, each once */
    double elements; /* written */
    bool exact;      /* false: some range depends on data */
    double products; /* of the flops, those of products that the code leaves to tile registers */
} hk_cost;
/* HK_ERROR_USAGE if the sizes are not known. */
HK_API hk_status hk_exec_cost(const hk_exec *exec, hk_cost *cost);

/* What a model of the machine says of a launch, from the loops of the compiled kernel: what each
   resource alone would take. On GPUs it is "local memory", not "L1", and "barriers", not "L3". */
#define HK_LIMITS 7
typedef struct hk_limit {
    const char *name; /* "arithmetic", "instructions", "L1", "latency", "L2", "L3", "memory" */
    double seconds;
    double bytes; /* that come from that cache or from memory, else 0 */
} hk_limit;
typedef struct hk_estimate {
    size_t struct_size;
    double seconds;
    hk_limit limits[HK_LIMITS];
    size_t bound;         /* the limit that takes longest */
    double core_seconds;  /* the slowest of the first four, loop by loop */
    double idle_seconds;  /* that threads wait for the last one */
    double start_seconds; /* of the launch and its threads */
    double units;         /* pieces that threads share, of the phase with the most */
    double unit_bytes;    /* what one touches */
    bool exact;           /* false: the length of some loop depends on data, and was assumed */
    uint32_t group;       /* work-items that share a unit; 0: a CPU. Groups at once: */
    double groups_at_once, registers; /* on a compute unit; of a work-item, as assumed */
    const char *groups_limit;         /* what allows no more */
} hk_estimate;
HK_API hk_status hk_exec_estimate(const hk_exec *exec, hk_estimate *out);

/* What a Config may set for this instance: each knob with the values worth trying; `initial` is the
   value of the default Config (0: left to the scheduler). HK_ERROR_USAGE past the end. */
HK_API size_t hk_exec_knob_count(const hk_exec *exec);
HK_API hk_status hk_exec_knob(const hk_exec *exec, size_t index, hk_tunable *knob);

/* The search space as JSON: target, threads, knobs (name, kind, values, default: null where the
   scheduler decides), rules that a point must keep before it is compiled (name, formula, meaning,
   refused: the share of all points that break it), points: raw, legal, exact. */
HK_API hk_status hk_exec_space(const hk_exec *exec, hk_text **json, hk_error **error);

/* Milliseconds of each step of compiling, in order; name NULL past the end. */
HK_API const char *hk_exec_timing(const hk_exec *exec, size_t index, double *ms);

typedef enum hk_form {
    HK_FORM_TILE,
    HK_FORM_LOOP,
    HK_FORM_LLVM,
    HK_FORM_ASM,
    HK_FORM_OPENCL, /* of an exec for OpenCL */
    HK_FORM_CONFIG,
    HK_FORM_DUMP,
    HK_FORM_OBJECT /* an object file; its functions are as HK_FORM_LLVM shows them */
} hk_form;
/* What the kernel became, as text of that level; HK_FORM_DUMP is what `dump` asked for. Some forms
   are made at the call: LLVM's and assembly by compiling once more. */
HK_API hk_status hk_exec_text(const hk_exec *exec, hk_form form, hk_text **text, hk_error **error);

/* ---- Launch */
/* Runs on the caller's tensors: any strides and byte_offset for inputs, any that do not overlap for
   outputs; every shape must be the exec's. Tensors on an OpenCL device: see Streams. Returns when
   all is done. On HK_ERROR_TRAP outputs are unspecified, but nothing outside them was touched.
   Memory of outputs must be writable, which a DLTensor cannot say. Launches from several threads
   may run at once: one has the threads of the context, the others run on their callers'. */
HK_API hk_status hk_exec_run(const hk_exec *exec, const hk_arg *args, size_t arg_count,
                             hk_error **error);
/* The same, measured: *seconds is what the kernels took by an OpenCL device's own clock, without
   copies to and from it; on other targets what the launch took. */
HK_API hk_status hk_exec_run_timed(const hk_exec *exec, const hk_arg *args, size_t arg_count,
                                   double *seconds, hk_error **error);
/* Specialises (cached) for these arguments and runs. All outputs must be given. */
HK_API hk_status hk_kernel_run(const hk_kernel *kernel, const hk_arg *args, size_t arg_count,
                               hk_error **error);

/* The interpreter's own limits, for hk_exec_verify. */
typedef struct hk_verify_options {
    size_t struct_size;
    double seconds_max; /* 0: no limit. Else a random sample of tiles where all would take longer */
    uint64_t seed;      /* of the sample */
    double rtol,
        atol; /* both 0: from the dtype, the kernel's rounding and the length of its reductions */
} hk_verify_options;

typedef struct hk_verify_output { /* one output compared with the reference */
    const char *name;
    double error_max;      /* largest |got - want| */
    double tolerance;      /* allowed there */
    double error_relative; /* error_max / largest |want| */
    int64_t compared, mismatched;
    int32_t order_dependent; /* 1: holds what depends on the order of atomic updates, so that there
                                is nothing to compare with */
    int32_t worst_ndim;
    int64_t worst_index[8]; /* of the first mismatch, else of the largest error */
    double worst_got, worst_want;
} hk_verify_output;
typedef struct hk_verify_result {
    size_t struct_size;
    int64_t tiles_total, tiles_run; /* of the reference: fewer were run if time was short */
    size_t output_count;
    hk_verify_output outputs[32];
} hk_verify_result;
/* Runs as hk_exec_run does, then runs the reference interpreter on copies and compares.
   HK_ERROR_MISMATCH if they differ. */
HK_API hk_status hk_exec_verify(const hk_exec *exec, const hk_arg *args, size_t arg_count,
                                const hk_verify_options *options, hk_verify_result *result,
                                hk_error **error);

/* A C program of the plain OpenCL API, with the kernels of HK_FORM_OPENCL in it, that fills the
   tensors, launches, and compares with what the interpreter computes now: with all elements of
   small outputs, with some of large ones. Inputs that are not in `args` are made up by
   options->seed and keep what the kernel promises of them; those that are get written into the
   program, which HK_ERROR_DIAGNOSTICS refuses where they are large. Outputs may be left out; those
   that are given are overwritten. For an exec of HK_STAGE_LOOP and HK_TARGET_OPENCL. */
HK_API hk_status hk_exec_host_program(const hk_exec *exec, const hk_arg *args, size_t arg_count,
                                      const hk_verify_options *options, hk_text **text,
                                      hk_error **error);

/* ---- Streams: OpenCL buffers and queues, shared with the host; void * for OpenCL's own types */
/* Execs of HK_TARGET_OPENCL use tensors of kDLOpenCL where they are: `data` is a cl_mem that holds
   all elements (a buffer or a part of one), `byte_offset` the place of element (0, ..., 0) in it.
   Others may be in host memory. The cl_mem is of opencl_context, or of hk_stream_queue's context;
   what does not fit is refused before anything is queued (a pointer that is no object of OpenCL
   cannot be told from one). Nothing is retained: the host may release a buffer once a launch is
   queued, as OpenCL allows. hk_exec_verify and trials want tensors in host memory.
   hk_exec_run waits for its end and has no order with the host's queues: what these do with its
   tensors must be done. A stream's launches run after what its queue has already and before what it
   gets later, the host's commands or Hako's: nobody need wait between them. */
typedef struct hk_stream_options {
    size_t struct_size;
    uint32_t device;
    void *queue; /* a cl_command_queue of opencl_context, retained; if it is out of order, barriers
                    give it order. NULL: a new one */
} hk_stream_options;
/* options may be NULL: device 0. HK_ERROR_ENVIRONMENT: no such device, or not the queue's. */
HK_API hk_status hk_stream_create(hk_context *context, const hk_stream_options *options,
                                  hk_stream **stream, hk_error **error);
HK_API void hk_stream_free(hk_stream *stream); /* does not wait: what is queued still runs */
HK_API void *hk_stream_queue(const hk_stream *stream); /* borrowed: for events, buffers, order */
/* Checks the arguments and queues a launch; threads take turns. Waits for it if a tensor is in host
   memory or the kernel prints; else only for what is queued before, and that if a tensor has a
   promise (`in 0..N`, `permutation`), which is read and checked. What fails in the kernel, as an
   assert, is told by the next call that waits. A host's queue is not flushed. */
HK_API hk_status hk_stream_run(hk_stream *stream, const hk_exec *exec, const hk_arg *args,
                               size_t arg_count, hk_error **error);
/* Until all in the queue is done. HK_ERROR_TRAP: a launch since the last wait failed. */
HK_API hk_status hk_stream_wait(hk_stream *stream, hk_error **error);

/* ---- Tune */
/* How a candidate ended. */
typedef enum hk_outcome {
    HK_OUTCOME_OK,
    HK_OUTCOME_SLOW,    /* stopped early: far slower than the best so far */
    HK_OUTCOME_REFUSED, /* the Config is not legal here, or does not compile */
    HK_OUTCOME_TRAP,    /* the kernel failed */
    HK_OUTCOME_WRONG,   /* the results differ from the reference */
    HK_OUTCOME_MEMORY,  /* it needs more memory than it may have */
    HK_OUTCOME_CRASH,   /* the worker process died */
    HK_OUTCOME_HANG,    /* it did not end in time, and was ended */
    HK_OUTCOME_COUNT
} hk_outcome;
HK_API const char *hk_outcome_text(hk_outcome outcome); /* "ok", "slow", "refused" ... */

#define HK_SAMPLES_MAX 32
#define HK_REASON_MAX  120
typedef struct hk_evaluation {
    size_t struct_size;
    hk_outcome outcome;
    size_t count;
    double seconds[HK_SAMPLES_MAX]; /* of a run, as measured: `count` of them */
    double median;                  /* INFINITY if it did not run */
    double compile_seconds;
    double error_ratio;         /* largest error divided by what is allowed there */
    char reason[HK_REASON_MAX]; /* why it failed, one line: a diagnostic, a signal; else "" */
} hk_evaluation;

/* One kernel with its arguments, on which Configs are tried. Creating it verifies the default
   Config against the interpreter and keeps its outputs: what a candidate computes is compared with
   them. Outputs are overwritten, inout tensors restored before each run; both and the inputs are
   borrowed until hk_trial_free. One thread at a time. */
typedef struct hk_trial hk_trial;
HK_API hk_status hk_trial_create(const hk_kernel *kernel, const hk_specialize_options *options,
                                 hk_trial **trial, hk_error **error);
HK_API void hk_trial_free(hk_trial *trial);
/* Compiles, checks and times a Config. seconds_limit > 0: a candidate that takes twice as long is
   abandoned. `runs`: 0 for as many as a first impression needs. HK_OK whatever the outcome. */
HK_API hk_status hk_trial_measure(hk_trial *trial, const char *config, double seconds_limit,
                                  uint32_t runs, hk_evaluation *evaluation);
/* Answers requests for measurements from the socket `in` to `out` until it is closed: the other
   side of hk_tune_options.worker. Not for OpenCL, it does so by forks of this process, and ends
   the threads of the context before. */
HK_API hk_status hk_trial_serve(hk_trial *trial, int in, int out, hk_error **error);

/* A database of what was measured: SQLite, one row for each evaluation; many threads and processes
   may use one file, and a killed one leaves it whole. Not on network disks. */
typedef struct hk_store hk_store;
/* writable: makes the file if there is none. Refuses a newer version's, or what is no database. */
HK_API hk_status hk_store_open(hk_context *context, const char *path, bool writable,
                               hk_store **store, hk_error **error);
HK_API void hk_store_free(hk_store *store);
/* The Config that the last tuning of the same code, sizes, target and machine decided for. Else, if
   it is legal here, that of the nearest sizes, each at most twice or half as large, where a Config
   was faster than the default. HK_OK and *config NULL: there is none. */
HK_API hk_status hk_store_lookup(hk_store *store, const hk_exec *exec, hk_text **config,
                                 hk_error **error);
/* What hk_store_lookup finds, and why, as JSON: rule ("exact", "near" or "none"), config, sizes (of
   what was tuned), reason (a sentence). */
HK_API hk_status hk_store_explain(hk_store *store, const hk_exec *exec, hk_text **json,
                                  hk_error **error);
/* What the exec is in a database, as JSON: kernel, code (a hash of its Tile IR), sizes, target,
   machine. All must agree for a look-up to find something. */
HK_API hk_status hk_exec_problem(const hk_exec *exec, hk_text **json, hk_error **error);
typedef enum hk_store_rows {
    HK_STORE_PROBLEMS,    /* what was tuned, with its best */
    HK_STORE_EVALUATIONS, /* all that was measured */
    HK_STORE_BEST
} hk_store_rows;
/* JSON, an object a line. kernel NULL: all. */
HK_API hk_status hk_store_list(hk_store *store, hk_store_rows rows, const char *kernel,
                               hk_text **json, hk_error **error);
/* Adds lines that hk_store_list gave of evaluations and best, of this or another database. What is
   there already is left; of two bests the later wins. All lines or none. */
HK_API hk_status hk_store_import(hk_store *store, const char *lines, size_t length, uint64_t *added,
                                 hk_error **error);
/* Removes what was measured that many seconds ago or earlier. */
HK_API hk_status hk_store_prune(hk_store *store, const char *kernel, double older_seconds,
                                uint64_t *removed, hk_error **error);

typedef struct hk_tune_event { /* after each measurement */
    size_t struct_size;
    const char *config, *origin; /* origin: "default" (later "sentinel"), "seed", the search's name,
                                    "finalist" (built for the finals), "final" (a turn there) */
    const hk_evaluation *evaluation;
    uint64_t evaluations; /* so far, finals not counted */
    uint64_t duplicates;  /* of these: the same code as one before, not measured again */
    uint64_t resumed;     /* beside these: known from the store */
    size_t outcomes[HK_OUTCOME_COUNT]; /* of these */
    double elapsed_seconds, budget_seconds;
    double default_seconds, best_seconds; /* the least of their runs */
    const char *best_config;
} hk_tune_event;
/* Measures in place of a trial, as for a replay from a log. False: there is no more; the search, or
   the finals, end. */
typedef bool hk_tune_measure_fn(void *self, const char *config, const char *origin,
                                hk_evaluation *evaluation);
/* False: stop the search, and hold the finals with what was found. */
typedef bool hk_tune_progress_fn(void *self, const hk_tune_event *event);
typedef struct hk_tune_options {
    size_t struct_size;
    double budget_seconds; /* 0: 10 */
    uint64_t seed;
    uint64_t evaluations_max; /* 0: no limit but time; with `resume`, those known before count */
    uint32_t jobs;            /* candidates compiled and checked at once; timed one by one. 0: 1 */
    const char *search; /* exhaustive, random, pattern, evolution, forest; NULL: by the space */
    const char *const *seeds; /* Configs to try first */
    size_t seed_count;
    uint32_t model_points_max; /* Configs that the model of time chooses, tried next; 0: 16 */
    bool no_model;             /* ... none */
    /* A program and its arguments, NULL-terminated, that calls hk_trial_serve for the same kernel
       and arguments on its standard input and output: each candidate has a process, a fork of it,
       and one that crashes or hangs costs no more than that. NULL: candidates run in this
       process. */
    const char *const *worker;
    double candidate_seconds_max; /* for compiling, and for running; then it is ended. 0: 5 */
    uint64_t worker_bytes_max;    /* memory beyond what a worker begins with; 0: no limit */
    hk_tune_measure_fn *measure;  /* NULL: trials */
    void *measure_self;
    hk_tune_progress_fn *progress;
    void *progress_self;
    hk_store *store; /* records all; NULL: nothing. Borrowed */
    bool resume;     /* what the store knows of this problem is not measured again */
} hk_tune_options;
typedef struct hk_tune_result {
    size_t struct_size;
    hk_text *config;  /* the best; owned by the caller */
    bool improved;    /* surely faster than the default, else the default is the best */
    bool interrupted; /* progress said stop */
    bool hopeless;    /* not improved, and resolution is over 25 %: nothing was decided */
    double gain, gain_low, gain_high; /* default's time divided by the best's; 99 % interval */
    double noise;                     /* how far the default seemed from itself: 0.01 is 1 % */
    double resolution; /* ... and may be: half of a 90 % interval, of 128 rounds if the others are
                          like these. Smaller gains are not seen. INFINITY: too few rounds to say */
    double default_seconds, best_seconds;
    double points;                             /* of the space */
    uint64_t evaluations, duplicates, resumed; /* as in hk_tune_event */
    size_t outcomes[HK_OUTCOME_COUNT];
} hk_tune_result;

/* Searches the Configs of a kernel for a faster one. The finalists are timed in turns with the
   default, which keeps its place unless another is faster beyond the noise. With a worker,
   options->args may be NULL, where dims and defines say enough to find the space. */
HK_API hk_status hk_tune(const hk_kernel *kernel, const hk_specialize_options *options,
                         const hk_tune_options *tune, hk_tune_result *result, hk_error **error);

/* ---- Build: kernels compiled ahead of time, for programs without Hako and LLVM */
/* What code is made for. Zero: any sizes, the default Config. */
typedef struct hk_build_variant {
    const hk_dim *dims; /* sizes that are fixed; all others are those of each launch */
    size_t dim_count;
    const char *config, *tuned; /* as in hk_specialize_options */
    bool optional; /* left out where the kernel cannot be compiled for it, if there are others */
} hk_build_variant;
/* One function of the library. */
typedef struct hk_build_kernel {
    const hk_kernel *kernel;
    const char *symbol; /* the function's name; NULL: the kernel's */
    const hk_define *defines;
    size_t define_count; /* types that nothing determines are f32, or i32 of class int */
    const hk_build_variant *variants; /* a launch takes the first that fits */
    size_t variant_count;             /* 0: one, for any sizes */
    /* Which optional tensors are given: each choice is their names with commas ("": none). There is
       code for each, and other calls are refused. 0: for all choices, of at most 4 such tensors. */
    const char *const *choices;
    size_t choice_count;
} hk_build_kernel;

typedef struct hk_build_options {
    size_t struct_size;
    const char *name;   /* of the library, a name as in C: for NAME_setup and the header */
    const char *triple; /* "aarch64-linux-gnu"; NULL: this machine's architecture */
    const char *cpus;   /* LLVM's names with commas, the best first: code for each, chosen when it
                           runs; "native": this machine. NULL: what the architecture's levels are,
                           x86-64-v4,x86-64-v3,x86-64-v2; NEON; RISC-V with vectors and without */
    const hk_build_kernel *kernels;
    size_t kernel_count;
} hk_build_options;

typedef struct hk_build hk_build;
/* Compiles. The same options, sources and version give the same bytes on every machine (but for
   "native"). The build is independent of the context and the modules afterwards. */
HK_API hk_status hk_build_create(hk_context *context, const hk_build_options *options,
                                 hk_build **build, hk_error **error);
HK_API void hk_build_free(hk_build *build);

typedef enum hk_artifact {
    HK_ARTIFACT_OBJECT,         /* an ELF object with the functions, to be linked with the runtime,
                                   libm and pthreads */
    HK_ARTIFACT_HEADER,         /* their declarations, C99 and C++ */
    HK_ARTIFACT_RUNTIME_OBJECT, /* the runtime for this machine's architecture; HK_ERROR_ENVIRONMENT
                                   if the build is for another */
    HK_ARTIFACT_RUNTIME_SOURCE, /* the runtime as one file in C (GNU C11), for any */
    HK_ARTIFACT_LLVM,           /* the object's code as text */
    HK_ARTIFACT_ASM
} hk_artifact;
/* May hold zeros: hk_text_length says where it ends. */
HK_API hk_status hk_build_artifact(const hk_build *build, hk_artifact artifact, hk_text **text,
                                   hk_error **error);

/* ---- Configs and IR as text */
/* Parses a Config and prints it in normal form: one line, "tile_m = 64, tile_n = 128". */
HK_API hk_status hk_config_normalize(hk_context *context, const char *config, hk_text **text,
                                     hk_error **error);

typedef struct hk_opt_options {
    size_t struct_size;
    const char *passes;     /* names with commas, run in order; NULL: none */
    const char *stop_after; /* a pass */
    const char *dump;       /* a pass, or "all" */
    const char *config;
    const hk_dim *dims; /* made constants first */
    size_t dim_count;
} hk_opt_options;

/* Reads the text form of a function in Tile or Loop IR, verifies it, runs passes, prints it. `dump`
   may be NULL. */
HK_API hk_status hk_ir_opt(hk_context *context, const char *name, const char *text, size_t length,
                           const hk_opt_options *options, hk_text **out, hk_text **dump,
                           hk_error **error);
/* Name and purpose of each pass; NULL past the end. Static. */
HK_API const char *hk_pass_name(size_t index, const char **purpose);

/* "f32", "bf16" ...: every dtype's name, as DLPack has it. False: there is none of that name. */
HK_API bool hk_dtype_named(const char *name, DLDataType *dtype);
HK_API const char *hk_dtype_name(DLDataType dtype); /* NULL if unknown; static */
HK_API const char *hk_dtype_at(size_t index);       /* all names; NULL past the end */
/* One element of a tensor's memory (of the element `index` counted from `line`) as a double or
   rounded from it: what printing, generating and comparing data needs. 64-bit integers go through
   the second pair. */
HK_API double hk_element_get(DLDataType dtype, const void *line, int64_t index);
HK_API void hk_element_set(DLDataType dtype, void *line, int64_t index, double value);
HK_API int64_t hk_element_get_int(DLDataType dtype, const void *line, int64_t index);
HK_API void hk_element_set_int(DLDataType dtype, void *line, int64_t index, int64_t value);

#ifdef __cplusplus
}
#endif
#endif
