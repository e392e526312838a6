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

// Of results of 16 bits or fewer, whose last bit hides much.
typedef struct Narrow {
    double mean;      // error that is allowed on average; 0: not narrow, or not known
    const bool *firm; // elements of which all roundings give the same
} Narrow;

// Fills allowed[k], by element in row-major order, for the float outputs of which it can be known,
// and narrow[k] for the narrow ones among them.
void sense_find(const Sense *sense, const float **allowed, Narrow *narrow);
// The error beside that of single elements, as a share of what is allowed.
double sense_narrow_ratio(const TensorView *got, const TensorView *want, Narrow narrow);

#endif
