// What of a kernel's results depends on the order of its atomic updates.
#ifndef HK_RUNTIME_ORDER_H
#define HK_RUNTIME_ORDER_H

#include "ir/ir.h"

// By Mem.i: what holds something that an update found, that an exchange left, or that was made from
// those. Sums and their kin hold the same in any order, floats up to rounding.
bool *order_dependent(Arena *arena, const Func *tile);

#endif
