// Faults that tests put into the tuner's candidates.
#ifndef HK_TESTS_FAULTS_H
#define HK_TESTS_FAULTS_H

#include "ir/ir.h"

// Changes Loop IR as a miscompile would: an index off by one, a lost step of a loop, a stale sum
// ... The result is legal IR. What it did, as "NAME at INST"; NULL: this seed finds no place for
// its change.
const char *mutate(Func *loop, uint64_t seed);

extern uint64_t mutant_seed;      // of this process; 0: none
extern const char *mutant_change; // what was done
uint64_t fault_random(uint64_t *state);

#endif
