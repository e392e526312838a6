// Writing out short whole axes, index by index (expand.c). Which of them is the Config's expand_A;
// by default those that expand_worth.c chooses.
#ifndef HK_PASSES_EXPAND_H
#define HK_PASSES_EXPAND_H

#include "passes/pass.h"

enum {
    EXPAND_MOST = 32,  // indices of an axis
    EXPAND_LISTS = 64, // of one of which few results are wanted in order
    EXPAND_WANTED = 8
};

// lo .. lo + count with constants, count at most EXPAND_LISTS.
bool axis_whole(const Func *f, Axis a, int64_t *lo, unsigned *count);
// Such a one, and nothing stands in the way of writing it out.
bool axis_expands(const Func *f, Axis a, int64_t *lo, unsigned *count);
AxisSet expand_worth(const Func *f);

// expand_reduce.c: what combines the copies of a value along the axis. `masks` may be NULL.
typedef struct Copies {
    Value *values, *masks;
    unsigned count;
    int64_t lo;
} Copies;

Value expand_reduce(Builder *b, Arena *arena, const Copies *x, ReduceKind kind, bool fuse);
Value expand_arg(Builder *b, const Copies *x, ReduceKind kind);
// expand_sort.c: the first `wanted` in order; `indices` only where `places` says so.
void expand_sort(Builder *b, Arena *arena, const Copies *x, bool descending, bool same,
                 unsigned wanted, Value *values, Value *indices);

#endif
