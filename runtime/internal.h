// What the files of runtime/ share: the objects behind include/hako.h.
#ifndef HK_RUNTIME_INTERNAL_H
#define HK_RUNTIME_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>

#include "backends/llvm/llvm_backend.h"
#include "backends/opencl/opencl_backend.h"
#include "frontend/frontend.h"
#include "include/hako.h"
#include "passes/tune/space.h"
#include "ir/base/clock.h"
#include "ir/eval.h"
#include "ir/frame.h"
#include "ir/ir.h"
#include "ir/machine.h"
#include "passes/pass.h"
#include "runtime/tensor.h"

typedef struct Pool Pool;
typedef struct Warm Warm;

typedef struct TestBlock {
    hk_test about;
    hk_test_item *items;
} TestBlock;

// Every object lives in its own arena: freeing the arena frees the object.
struct hk_context {
    Arena arena;
    Allocator allocator;
    hk_log_fn *log;
    void *log_self;
    hk_parallel_for_fn *parallel_for;
    void *parallel_for_self;
    const char *code_cache; // folder; NULL: none
    LlvmTarget target;      // to generate code for
    bool has_target;        // else for this machine
    bool no_tuned_files;
    uint32_t threads;
    Machine machine;
    atomic_int references; // the user's and one for each module
    OpenclSystem *opencl;
    pthread_mutex_t lock; // guards what follows
    Pool *pool;           // made at the first parallel launch
    hk_stream *idle;      // for launches without a stream of their caller
};

struct hk_kernel {
    hk_module *module;
    const char *name;
    const Node *node;
    hk_param *params;
    Span *param_spans; // where they are declared
    size_t param_count;
    hk_template *templates;
    size_t template_count;
    hk_tunable *tunables;
    size_t tunable_count;
    const char **shapes;
    bool *shape_is_test;
    size_t shape_count;
    hk_exec *execs; // the cache, newest first; guarded by module->lock
    uint32_t exec_count;
};

struct hk_module {
    Arena arena;
    hk_context *context;
    SourceSet sources;
    Module *parsed;
    atomic_int references; // the user's and one for each exec in a user's hands
    pthread_mutex_t lock;  // guards the kernels' caches and the front end's work on `parsed`
    double parse_ms;
    hk_kernel *kernels;
    size_t kernel_count;
    TestBlock *tests;
    size_t test_count;
};

typedef struct TimedStep {
    const char *name;
    double ms;
} TimedStep;

// A tensor's place on an OpenCL device. What the buffer is part of is known once it was looked at.
typedef struct OnDevice {
    bool given;
    uint32_t device;
    void *buffer, *root;         // cl_mem
    int64_t offset, root_offset; // of element (0, ..., 0) in these, in bytes
} OnDevice;

// One slot for each parameter of the generic kernel, in order.
typedef struct Slot {
    bool given;      // an argument of this name was passed
    bool wanted;     // ... without a tensor: an output to be allocated later
    TensorView view; // tensors
    OnDevice on;     // ... not in host memory; then view.data is NULL
    hk_arg scalar;   // scalars
} Slot;

// What an exec was asked for: the cache's key, and all that a variant for other strides needs.
typedef struct Request {
    hk_define *defines;
    size_t define_count;
    bool args_known;
    Slot *slots; // by kernel parameter; data is not read
    size_t slot_count;
    hk_dim *dims;
    size_t dim_count;
    const char **free_dims;
    size_t free_dim_count;
    Str config, tuned;
    bool has_config;
    hk_target target;
    uint32_t device, threads;
    hk_stage stage;
    Str dump, stop_after, disabled;
    // Ahead of time (build.c); such an exec is in no cache.
    bool ahead;             // sizes that `dims` does not say are those of each launch
    const Machine *machine; // NULL: the context's
} Request;

struct hk_exec {
    Arena arena;
    const hk_kernel *kernel;
    hk_exec *next;         // in the kernel's cache
    atomic_int references; // in users' hands; 0: may be evicted
    Str key;
    Request request;
    SourceSet sources; // the module's and the Config's text
    Func *tile;        // the checked instance, with symbolic dimensions: what the interpreter runs
    Func *optimised;   // after the tile passes, dimensions constant
    Func *loop;        // scheduled; NULL for the interpreter
    Config *config;
    Space *space;      // what may vary
    hk_tunable *knobs; // the same and the kernel's tunables, for reflection
    size_t knob_count;
    const Machine *machine; // that the code is for
    bool runnable;          // compiled to the end
    LlvmCode *llvm;
    OpenclCode *opencl;
    OpenclPlace *places; // by Mem.i of `loop`: where the code finds tensors; NULL: at the start
    uint32_t threads;
    uint32_t team;                 // as many of them as are worth starting; 0: a launch finds out
    _Atomic(Warm *) warm;          // launches that have run, newest first
    const struct Problem *problem; // in a database; made when asked for, under the module's lock
    int64_t *dims;                 // by Func dim; -1 unknown
    int64_t *most;                 // by Func dim: code is for sizes up to that; 0: any
    const char **dim_names;
    uint32_t *slot_of_mem;      // by Mem.i of `tile`: index of the kernel's parameter
    uint32_t *slot_of_loop_mem; // the same of `loop`
    uint32_t *slot_of_arg;      // by Func arg
    int64_t *strides;           // by Mem.i * RANK_MAX + position; INT64_MIN: any
    uint64_t *values;           // of the prologue, as far as known when specialising
    bool shapes_known;
    bool *sizes_arg; // by Func arg: some tensor's size depends on it
    hk_exec_param_info *params;
    size_t param_count;
    VEC(TimedStep) timing;
    Buf dump;
};

// ---- context.c, error.c
void context_retain(hk_context *context);
void context_release(hk_context *context);
Pool *context_pool(hk_context *context); // made at the first call; NULL without memory
void streams_free(hk_context *context);  // stream.c: idle ones
void context_rest(hk_context *context);  // ends the threads, as before a fork; nobody may launch
void module_release(hk_module *module);

// An owned copy of the list as *error (which may be NULL). Returns `status`, or that of no memory.
hk_status fail_with(const Allocator *allocator, hk_error **error, hk_status status,
                    const DiagList *diags);
hk_status fail(const Allocator *allocator, hk_error **error, hk_status status, DiagCode code,
               const char *format, ...) __attribute__((format(printf, 5, 6)));
hk_status fail_usage(hk_error **error, const char *message); // a wrong call: NULL and the like
hk_status text_new(const Allocator *allocator, Str s, hk_text **text, hk_error **error);
void json_text(Buf *out, const char *s); // quoted

// ---- machine.c
// NULL: this machine. False after an error.
bool machine_detect(Machine *machine, const LlvmTarget *target, DiagList *diags);
void machine_assume_rates(Machine *machine); // from its cores and vectors
void machine_measured(Machine *machine, const hk_rates *rates);

// ---- args.c, beside its own
const char *shape_text(Arena *arena, uint32_t rank, const int64_t *shape); // "(2, 3)"

// ---- reflect.c, reflect_tests.c
void kernels_reflect(hk_module *module);
void tests_reflect(hk_module *module);
// The source behind a span as one line.
const char *source_slice(const hk_module *module, Arena *arena, Span span);

// ---- device_args.c
bool slot_on_device(const DLTensor *tensor, Slot *slot, DiagCode *code, char why[WHY_MOST]);
OpenclPlace place_of_slot(const Slot *slot);
// Compares tensors on a device with what it says of their buffers, and with where the exec runs.
bool devices_check(const hk_exec *exec, Slot *slots, DiagList *diags);
bool args_on_device(const hk_arg *args, size_t count, uint32_t *device); // any; which device
// An error for `what`, a function that works in host memory, if some tensor is not there.
hk_status args_want_host(const hk_kernel *kernel, const hk_arg *args, size_t count,
                         const char *what, hk_error **error);

// ---- args.c: arguments against the kernel's signature, then against an instance
bool slots_fill(const hk_kernel *kernel, const hk_arg *args, size_t count, Slot *slots,
                DiagList *diags);
bool slots_have_data(const hk_kernel *kernel, const Slot *slots, DiagList *diags);
typedef struct Scalars { // by Func arg
    uint64_t *bits;      // of their type
    bool *given;
} Scalars;

// Scalars of the instance that are given.
bool scalars_bind(const hk_exec *exec, const Slot *slots, Scalars *scalars, DiagList *diags);
// Binds dims from the slots and the request; reports what disagrees. Unknown ones are -1 (an error
// if `all`).
bool dims_bind(const hk_exec *exec, const Slot *slots, const Request *request,
               const Scalars *scalars, bool all, int64_t *dims, DiagList *diags);
// Compares every slot with the instance's dtypes, ranks and sizes (`values` of the prologue, NULL:
// unknown).
bool slots_check(const hk_exec *exec, const Slot *slots, const uint64_t *values, DiagList *diags);
// Size of dimension `position` of a tensor, from its declaration.
int64_t mem_size(const Func *f, Mem mem, uint32_t position, const uint64_t *values);
int64_t mem_bytes(const Func *f, Mem mem, const uint64_t *values); // compact; -1 on overflow
// Every parameter of the instance is given, and nothing that it lacks.
bool slots_complete(const hk_exec *exec, const Slot *slots, DiagList *diags);
// The promises that a launch checks by reading: `require` and refinements.
bool requires_check(const Func *f, const char *kernel, const uint64_t *values, DiagList *diags);
bool refinements_check(const hk_exec *exec, const Slot *slots, const uint64_t *values,
                       DiagList *diags);

// ---- compile.c, exec.c
// Fills exec from exec->request. Errors are in diags.
void compile(hk_exec *exec, const Slot *slots, DiagList *diags);
// The loops of a copy of an exec for another Config, in the copy's own arena. False: it is not
// legal, or changes a tunable that the instance was made with.
bool compile_again(hk_exec *copy, Str config, DiagList *diags);
// Threads that are worth starting for a launch with these values of the tile's prologue.
uint32_t exec_team(Arena *arena, const hk_exec *exec, const uint64_t *values);
// Seconds that the model says of the exec with another Config; NAN where compile_again gives false.
// *exact: the length of no loop depends on data.
double estimate_config(const hk_exec *exec, Str config, bool *exact);
// By Mem.i: the index of the kernel's parameter, UINT32_MAX for workspaces.
uint32_t *slots_of_mems(Arena *arena, const hk_kernel *kernel, const Func *f);
void exec_describe_params(hk_exec *exec);
// Compiled, in no cache: to be freed by exec_destroy.
hk_status exec_make(const hk_kernel *kernel, const Request *request, hk_exec **exec,
                    hk_error **error);
// From the cache, or compiled. The caller owns a reference.
hk_status exec_obtain(const hk_kernel *kernel, const Request *request, hk_exec **exec,
                      hk_error **error);
void exec_destroy(hk_exec *exec);
void exec_retain(const hk_exec *exec);
// The exec that hk_kernel_run wants for these arguments, if it has run with their like: without
// making the cache's key. The caller owns a reference; NULL if none is known.
hk_exec *exec_known(const hk_kernel *kernel, const hk_arg *args, size_t count);

#endif
