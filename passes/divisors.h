// Powers of two that divide the integers of Loop IR: what is known of offsets without knowing them.
#ifndef HK_PASSES_DIVISORS_H
#define HK_PASSES_DIVISORS_H

#include "ir/ir.h"

typedef struct Divisors {
    const Func *f;
    uint8_t *known; // by Value.i; 0: not asked
} Divisors;

Divisors divisors_new(const Func *f, Arena *arena);

// The log2 of a power of two that divides v, at most 12. Not for values made after divisors_new.
unsigned divisors_log(Divisors *d, Value v);

#endif
