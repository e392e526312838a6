// Comparing outputs with what they should be: for hk_exec_verify, and for the trials of the tuner.
#ifndef HK_RUNTIME_VERIFY_H
#define HK_RUNTIME_VERIFY_H

#include "runtime/cost.h"
#include "runtime/internal.h"

typedef struct Tolerance { // |got - want| <= relative * |want| + absolute
    double relative, absolute;
} Tolerance;

typedef struct Comparison {
    const TensorView *got, *want;
    const uint8_t *written; // by element; NULL: everything
    const float *allowed;   // by element, in the place of a tolerance; NULL: that
} Comparison;

// What the dtype's rounding, the kernel's own roundings and the length of its reductions may add up
// to, where `largest` is the output's largest element. `options` may say otherwise.
Tolerance verify_tolerance(const Cost *cost, DType dtype, double largest,
                           const hk_verify_options *options);
double verify_largest(const Comparison *c); // |want|, of finite ones
// The largest error as a share of what is allowed where it is.
double verify_compare(const Comparison *c, Tolerance tolerance, double largest,
                      hk_verify_output *out);
// hk_exec_verify. any_tiles: the reference may take small ones in the place of the Config's, so
// that a sample in little time is of many places.
hk_status verify_exec(const hk_exec *exec, const hk_arg *args, size_t arg_count,
                      const hk_verify_options *options, bool any_tiles, hk_verify_result *result,
                      hk_error **error);
// Distance between 1 and the next number of a float type: 2^-mantissa bits.
double epsilon_of(DType t);
// A compact copy in memory of the arena.
TensorView view_copy(Arena *arena, const TensorView *from);

#endif
