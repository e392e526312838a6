// How far from the default Config's result each element may be when sums are split and ordered in
// another way.
#ifndef HK_RUNTIME_SENSE_H
#define HK_RUNTIME_SENSE_H

#include "runtime/guard.h"
#include "runtime/verify.h"

typedef struct Sense {
    Arena *arena;
    const hk_exec *exec; // on the CPU, by one thread
    const Cost *cost;
    const hk_arg *args; // copies of the tensors, which change and are restored
    size_t count;
    const TensorView *tensors; // by argument: the originals
    const Guard *guards;       // ... and the memory of the copies
    const TensorView *results; // ... outputs and inout tensors among the copies
    const TensorView *wanted;  // ... what they should become, compact; or none
    const Tolerance *general;  // ... what is allowed at most
} Sense;

// Fills allowed[k], by element in row-major order, for the float outputs of which it can be known;
// and mean[k] for the narrow ones among them, else 0.
void sense_find(const Sense *sense, const float **allowed, double *mean);
// The mean error as a share of what mean[k] and chance allow.
double sense_mean_ratio(const TensorView *got, const TensorView *want, double mean);

#endif
