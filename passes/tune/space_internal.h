// What space.c, which finds knobs, and space_rules.c share.
#ifndef HK_PASSES_TUNE_SPACE_INTERNAL_H
#define HK_PASSES_TUNE_SPACE_INTERNAL_H

#include "passes/tune/space.h"

int32_t space_knob_named(const Space *space, const char *kind, Str axis); // -1: there is none
void space_add_rule(Arena *arena, Space *space, const SpaceRule *rule, const Config *config);

#endif
