// What may vary for a kernel instance: its knobs, each with the values that are legal and worth
// trying.
#ifndef HK_PASSES_TUNE_SPACE_H
#define HK_PASSES_TUNE_SPACE_H

#include "ir/config.h"
#include "ir/ir.h"
#include "ir/machine.h"

typedef struct SpaceKnob {
    Str name;         // as in a Config
    int64_t *choices; // ascending
    uint32_t choice_count;
} SpaceKnob;

typedef struct Space {
    VEC(SpaceKnob) knobs;
} Space;

// dims should be specialised: choices never exceed a range. `config` (the default) is always a
// point of it.
Space *space_find(Arena *arena, const Func *tile, const Machine *machine, const Config *config);
// Refuses knobs that the instance does not have, and values out of range (DIAG_KNOB_*). `tunables`
// are names of the kernel's own. config may be NULL.
bool space_check(const Func *tile, const Config *config, const Str *tunables,
                 uint32_t tunable_count, DiagList *diags);
double space_points(const Space *space); // the product of the numbers of choices

#endif
