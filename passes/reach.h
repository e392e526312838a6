// Intervals of the integers of Loop IR around a value that is not known: what decides comparisons.
#ifndef HK_PASSES_REACH_H
#define HK_PASSES_REACH_H

#include "ir/ir.h"

// base + lo .. base + hi, or lo .. hi if it has no base. The sums do not overflow.
typedef struct Reach {
    Value base;
    int64_t lo, hi;
} Reach;

// Two values of a lane each are compared: sums of a place and the lane's number have these for
// their base. Or of all lanes: the number is an interval.
typedef enum ReachLanes { REACH_BY_LANE, REACH_ALL_LANES } ReachLanes;

// Of v, an i64. Indices of loops between constants are intervals: of loops within `body` alone if
// that is not 0.
Reach reach_of(const Func *f, Value v, Region body, ReachLanes lanes);

// Whether v is a place in a tensor or close to one: far from where integers wrap.
bool reach_is_place(const Func *f, Value v);

#endif
