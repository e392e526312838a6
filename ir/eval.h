// The scalar meaning of every elementwise op and of every conversion: folding, the interpreter, the
// prologue and the tests share it.
#ifndef HK_IR_EVAL_H
#define HK_IR_EVAL_H

#include "ir/ir.h"

// Raw bits of a scalar: integers sign-extended to 64 bits, bool 0 or 1, f32 as IEEE bits in the low
// word.
typedef union Scalar {
    uint64_t bits;
} Scalar;

double scalar_to_double(DType t, uint64_t bits); // of any arithmetic type
int64_t scalar_to_int(DType t, uint64_t bits);   // floats truncate, saturate, NaN is 0
uint64_t
scalar_from_double(DType t,
                   double x); // floats round to nearest even; integers truncate and saturate
uint64_t scalar_from_int(DType t, int64_t x); // integers wrap

// Elementwise op on scalars of dtype t (of the operands; `to` of the result for CAST, SELECT,
// BITCAST, NEAREST; `kind` as Attr.kind for QUANT, NEAREST). Transcendental functions of f32 are
// computed in double and rounded once. False: the op is not elementwise.
bool eval_op(Op op, DType t, DType to, uint32_t kind, const uint64_t *args, unsigned count,
             uint64_t *result);
// The same over n elements; arguments and result are arrays of bits. Faster: one dispatch.
bool eval_array(Op op, DType t, DType to, uint32_t kind, const uint64_t *const *args,
                unsigned count, uint64_t *result, size_t n);

// Storage: element `index` of a line of dtype t (index counts elements; sub-byte types pick their
// half) to and from the bits of its arithmetic type. Stores round to nearest even: f16, bf16,
// f8e5m2 overflow to infinity; f8e4m3 saturates at 448, f4e2m1 at 6 (its NaN is 6); integers wrap.
uint64_t storage_load(DType t, const void *line, int64_t index);
void storage_store(DType t, void *line, int64_t index, uint64_t bits);
uint32_t storage_encode(DType t, double x); // float storage types: the code
double storage_decode(DType t, uint32_t code);
double float_largest(DType t); // the largest finite value of a float type

uint64_t reduce_identity(ReduceKind kind, DType t); // ARG kinds: the identity of the compared value
uint64_t reduce_combine(ReduceKind kind, DType t, uint64_t a, uint64_t b);

// Evaluates the prologue (the scalar instructions before the first phase) with given dims and
// arguments; `values` has f->values.count entries. arg_given[i] false takes the default. False if a
// scalar argument without default is missing (index in *missing).
bool prologue_eval(const Func *f, const int64_t *dims, const uint64_t *args, const bool *arg_given,
                   uint64_t *values, uint32_t *missing);

// The phases of a launch in their order, those between a `repeat` and its `again` once for each
// turn. `evaluate` is called when an argument in `args` has changed: `values` depends on it.
enum { REPEATS_MAX = 16 };
typedef struct PhaseWalk {
    const Func *f;
    uint64_t *args;
    const uint64_t *values; // of the function's body
    void (*evaluate)(void *self);
    void *self;
    InstId at;       // what was reached; 0: nothing yet
    uint32_t number; // of phases before it in the text
    struct {
        InstId from;
        uint32_t number;
        int64_t turn;
    } open[REPEATS_MAX];
    uint32_t depth;
} PhaseWalk;
bool phase_next(PhaseWalk *w, uint32_t *number); // false at the end; w->at is the phase
InstId repeat_of(const Func *f, InstId phase);   // the innermost `repeat` around it; 0: none
bool arg_is_turn(const Func *f, uint32_t arg);   // set by a `repeat`, not by the caller

#endif
