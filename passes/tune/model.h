// What a launch of Loop IR should take on a machine, without running it: arithmetic, instructions,
// loads, chains of dependences, and bytes between the caches, each as the seconds that it alone
// would take.
//
// Trip counts and addresses come from the IR: each integer is worked out with every index at the
// middle of its range, and once more with one index a step further, so that a difference says how
// an address moves. What is loaded from an integer tensor is taken as spread evenly over what the
// kernel promises of it (`partition`, a range): so sequences have their mean length.
#ifndef HK_PASSES_TUNE_MODEL_H
#define HK_PASSES_TUNE_MODEL_H

#include "ir/groups.h"
#include "ir/ir.h"
#include "ir/machine.h"

typedef enum ModelTerm {
    MODEL_ARITHMETIC, // vector units
    MODEL_ISSUE,      // all instructions
    MODEL_L1,         // loads and stores
    MODEL_LATENCY,    // chains from turn to turn of a loop, and loops that start and end
    MODEL_L2,         // bytes from the second cache to the first, and so on
    MODEL_L3,
    MODEL_MEMORY,
    MODEL_TERMS
} ModelTerm;
extern const char *const model_terms[MODEL_TERMS];

typedef struct Estimate {
    double seconds;            // of a launch whose data is where the last one left it
    double terms[MODEL_TERMS]; // seconds, each alone
    double bytes[3];           // that come from L2, L3, memory
    double core;  // seconds of the instructions: the slowest of the first four, loop by loop
    double idle;  // seconds that threads wait for the last of them
    double start; // seconds to start the launch and its threads
    double units, unit_bytes; // of the longest phase; what a unit touches
    bool exact;               // false: some range depends on data
    // Of groups of work-items: those of the longest phase, how many a compute unit holds at once,
    // and what allows no more.
    uint32_t group;
    double resident, registers; // registers: of one work-item
    const char *resident_by;
} Estimate;

// `threads` share the units of a phase. Sizes and strides of f should be constants.
Estimate model_estimate(Arena *arena, const Func *loop, const Machine *machine, uint32_t threads);
// The same of groups of work-items on a device, with other terms in the same places: local memory
// in that of L1, barriers in that of L3.
extern const char *const model_group_terms[MODEL_TERMS];
Estimate model_groups(Arena *arena, const Func *loop, const Machine *machine,
                      const GroupDevice *device, const GroupPlan *plan);
ModelTerm model_bound(const Estimate *e); // the largest

#endif
