// How groups of work-items share the units of phases (OpenCL), and what a device has for them: what
// the model of time (passes/tune/groups.c) is told of a target whose code it does not see.
#ifndef HK_IR_GROUPS_H
#define HK_IR_GROUPS_H

#include "ir/ir.h"

// A device of compute units, each of which holds some groups at once and issues instructions of
// `lanes` work-items a cycle.
typedef struct GroupDevice {
    double units, clock, lanes;                    // clock: cycles a second
    double items, groups;                          // that a compute unit holds at most
    double registers;                              // of 32 bits, for all work-items that it holds
    int64_t local_bytes;                           // that groups on it share out
    int64_t l2_bytes;                              // of the cache before memory
    double l2_rate, memory_rate, local_rate;       // bytes a second; local: of one compute unit
    double memory_cycles, l2_cycles, local_cycles; // until what is loaded is there
    double barrier_cycles;                         // until all work-items have come
    double launch_seconds;
} GroupDevice;

typedef enum GroupPlace { GROUP_GLOBAL, GROUP_LOCAL, GROUP_OWN } GroupPlace;

typedef struct GroupPhase {
    InstId phase;
    uint32_t group; // work-items that share a unit; 1: each has its own units
    int64_t local_bytes;
} GroupPhase;

typedef struct GroupPlan {
    VEC(GroupPhase) phases;
    bool *dealt;    // [Region.i]: the body of a loop whose iterations are dealt to work-items
    bool *waits;    // [InstId.i]: work-items wait for each other before it
    uint8_t *place; // [InstId.i]: GroupPlace, of loads and stores
} GroupPlan;

#endif
