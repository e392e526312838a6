// Parts of the block rule: marks and messages (block_rule.c), and whether updates combine
// (block_update.c).
#ifndef HK_PASSES_BLOCK_RULE_H
#define HK_PASSES_BLOCK_RULE_H

#include "passes/check.h"

// Sets of axes for each value: partial over; uses; loops whose carried values it reads; partial for
// being what is last in a tile; partial for anything else.
typedef struct Marks {
    AxisSet partial, uses, reads, last, mixed;
} Marks;

typedef struct Combining {
    const Func *f;
    const Marks *marks; // [value]
    Axis axis;          // the free tile whose blocks are combined
    Value old;          // what is updated, {0}: of a fold
    Value culprit;      // out: the part of an update that does not fit ...
    bool left;          // ... for it is made of what the blocks before left
} Combining;

// Whether combining `v` of each block, as `kind` says, provably or plausibly gives another result
// for other blocks: a sum of squares of sums does, a sum of sums does not. False where it cannot be
// told.
bool combine_breaks(Combining *c, ReduceKind kind, Value v);
// The same of a carried value's update, `old + v`, `max(old, v)`, `old * v`; *kind is which. False
// for updates of other forms and for those that read what the loop carries elsewhere (a running
// maximum with a rescale, a linear recurrence).
bool update_breaks(Combining *c, Value update, ReduceKind *kind);

#endif
