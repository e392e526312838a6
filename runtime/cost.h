// Sizes and work estimated from Tile IR.
#ifndef HK_RUNTIME_COST_H
#define HK_RUNTIME_COST_H

#include "runtime/internal.h"

typedef struct Cost {
    double flops, elements;
    double products;   // flops of sums of products
    double *mem_bytes; // by Mem.i: what loads and stores touch at most
    double reduction;  // the longest chain of accumulation, in elements
    double updates;    // of one element of a narrow float type, atomically: each rounds
    bool exact;
    bool single;              // some arithmetic is in f32
    bool rounds[DTYPE_COUNT]; // dtypes that intermediate values are rounded to
    bool float_to_int;        // some integer comes from a float: it may differ by one
} Cost;

// `values` of the prologue.
Cost cost_estimate(Arena *arena, const Func *tile, const uint64_t *values);

#endif
