// The runtime of libraries that were compiled ahead of time: checks, memory and threads of their
// launches. Compiled on its own (never into libhako), for C libraries with nothing but libm and
// pthreads beside them; scripts/bundle makes one C file of it for other machines.
//
// run.c: a call from its arguments to its status. check.c: whether they fit. place.c: memories.
// step.c: the phases, on threads.
#ifndef HK_RUNTIME_AOT_RT_H
#define HK_RUNTIME_AOT_RT_H

#include "ir/frame.h"
#include "ir/ir.h"
#include "runtime/aot/tables.h"
#include "runtime/block.h"
#include "runtime/tensor.h"

// As the generated header has them.
typedef enum hako_status {
    HAKO_OK = 0,
    HAKO_ARGUMENTS = 1,
    HAKO_CPU = 3,
    HAKO_TRAP = 4,
    HAKO_MEMORY = 6
} hako_status;

typedef struct hako_error {
    int32_t number;
    char message[508];
} hako_error;

typedef struct Call {
    const char *tables;
    void *const *code;
    const AotKernel *kernel;
    const AotInstance *instance;
    const AotVariant *variant;
    const DLTensor *const *tensors; // by parameter
    hako_error *error;              // may be NULL
    hako_status status;
    const char *place;          // ", file.hk:3", for the message
    TensorView views[AOT_MEMS]; // by memory of the instance, packs as one dimension
    uint32_t spread[AOT_MEMS];  // dimensions that stand in the place of a pack
    void *copies[AOT_MEMS];     // of tensors that the code cannot take as they lie
    int64_t dims[AOT_DIMS];
    uint64_t args[AOT_ARGS];
    uint64_t values[AOT_VALUES]; // of the instance
    // The launch.
    void *mems[AOT_MEMS];
    int64_t strides[AOT_MEMS * RANK_MAX];
    uint64_t counts[AOT_VALUES]; // of the variant
    Block workspace;
    Trap trap;
    Frame frame;
} Call;

static inline const void *call_at(const Call *c, At at)
{
    return c->tables + at;
}
static inline const char *call_text(const Call *c, At at)
{
    return c->tables + at;
}
static inline const AotParam *call_param(const Call *c, uint32_t k)
{
    return (const AotParam *)call_at(c, c->kernel->params) + k;
}
static inline const AotMem *call_mem(const Call *c, uint32_t m)
{
    return (const AotMem *)call_at(c, c->instance->mems) + m;
}
static inline const DLTensor *call_tensor(const Call *c, uint32_t m)
{
    return c->tensors[call_mem(c, m)->param];
}
static inline AotValues *call_values(const Call *c, uint32_t function)
{
    return (AotValues *)(uintptr_t)c->code[function];
}

// Fills the error, if it is the first; always false. The text follows "kernel NAME: ".
bool call_fail(Call *c, hako_status status, DiagCode code, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

bool strides_fit(const TensorView *view, const int64_t *known); // INT64_MIN: any

// ---- check.c
bool check_tensors(Call *c);
bool check_sizes(Call *c);

// ---- place.c
bool place_copy(Call *c, uint32_t mem); // the view becomes one of a compact copy
bool place_all(Call *c);
void place_free(Call *c); // brings copies of outputs back

// ---- step.c
extern const Allocator rt_allocator;
void step_all(Call *c);

#endif
