// What is known about a Loop IR function before its OpenCL C is written: its kernels with their
// parameters, the ranges of integers, which values may be written inside the expression that uses
// them.
#ifndef HK_BACKENDS_OPENCL_PROGRAM_H
#define HK_BACKENDS_OPENCL_PROGRAM_H

#include "backends/opencl/deal.h"
#include "backends/opencl/opencl_backend.h"
#include "ir/frame.h"
#include "ir/machine.h"

// Where a kernel's parameter comes from at the launch.
typedef enum ParamKind {
    PARAM_MEM,     // the buffer of a tensor, workspace or partial result
    PARAM_SCRATCH, // a buffer that holds one slice of a scratch memory for each work-item or group
    PARAM_FIRST,   // where element (0, ..., 0) of a tensor stands in its buffer, in elements;
                   // index 1: that is a multiple of 16 bytes
    PARAM_DIM,     // index: the dimension
    PARAM_STRIDE,  // index: the position
    PARAM_ARG,     // index: the scalar argument
    PARAM_TRAP,    // the error buffer
    PARAM_PRINT    // the lines of `print`
} ParamKind;

typedef struct Param {
    ParamKind kind;
    Mem mem;
    uint32_t index;
    Str name; // in the kernel
} Param;

typedef struct Kernel {
    Str name;
    InstId phase;
    VEC(Param) params;
    VEC(InstId) prologue; // pure instructions of the function's body that the phase needs, in order
    VEC(Mem) private_mems; // scratch in private arrays
    VEC(Mem) local_mems;   // scratch in local memory
    bool is_serial;        // all units by one work-item
    bool is_repeated;      // with other arguments: how many units there are may change
    bool has_slices; // PARAM_SCRATCH present: a fixed number of work-items (or groups) strides over
                     // the units
    Deal *deal;      // how a group shares a unit; NULL: each unit is one work-item's
} Kernel;

typedef struct Program {
    const OpenclPlace *places; // [Mem.i], to be given; NULL: all begin their buffers
    Str text;
    VEC(Kernel) kernels; // one for each phase, in order
    bool needs_fp64, needs_int64_atomics;
} Program;

// Closed interval of an integer value; of all its lanes.
typedef struct Range {
    int64_t lo, hi;
} Range;

typedef struct Facts {
    Range *ranges;      // [Value.i]
    bool *is_offset;    // [Value.i]: flows into memory offsets only, where overflow has no meaning
    bool *is_cast_only; // [Value.i]: used by casts only
    uint32_t *uses;     // [Value.i]
    InstId *user;       // [Value.i]: the last instruction that uses it
    InstId *written;    // [Value.i]: where it is computed if it stands in its user's expression
    VEC(InstId) order;  // all instructions, each after its operands
} Facts;

enum { PRIVATE_BYTES_MAX = 2048 }; // of all scratch of one work-item that lives in private arrays

Facts *ocl_facts_of(Arena *arena, const Func *f);
// Fits a + b, a - b, a * b of these ranges an integer of `bits` bits? Then *result is its range.
bool ocl_range_binary(Op op, Range a, Range b, unsigned bits, Range *result);
Range ocl_range_of_type(DType t);

// Collects the kernels and their parameters (without names). False after an error in diags.
bool ocl_program_plan(Program *program, Arena *arena, const Func *f, const Facts *facts,
                      const Machine *machine, DiagList *diags);

// Plans and writes the text. Everything is in `arena`.
bool ocl_program_emit(Program *program, Arena *arena, const Func *f, const Machine *machine,
                      DiagList *diags);

// ---- scalars.c: what a launch has to know before its kernels run
enum { PRINT_WORDS = 1 << 20 }; // of the lines that a launch prints; those beyond are dropped
bool ocl_prints(const Program *program);
void ocl_evaluate_body(const Func *f, const Frame *frame, uint64_t *values); // [Value.i]
int64_t ocl_units(const Func *f, const uint64_t *values, const Kernel *kernel);
int64_t ocl_scratch_bytes(const Func *f, Mem m); // of one work-item, or of a group
// The value of a parameter that is no buffer, and its size. `front`[Mem.i] as for opencl_run.
uint64_t ocl_scalar(const Func *f, const Frame *frame, const int64_t *front, const Param *p,
                    size_t *bytes);

static inline bool param_is_buffer(const Param *p)
{
    return p->kind == PARAM_MEM || p->kind == PARAM_SCRATCH || p->kind == PARAM_TRAP ||
           p->kind == PARAM_PRINT;
}

static inline uint32_t kernel_group(const Kernel *kernel) // that it must run with; 0: any
{
    return kernel->deal ? kernel->deal->group : 0;
}

static inline bool program_has_groups(const Program *program)
{
    for (uint32_t i = 0; i < program->kernels.count; i++)
        if (kernel_group(&program->kernels.data[i])) return true;
    return false;
}

#endif
