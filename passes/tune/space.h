// What may vary for a kernel instance: its knobs, each with the values that are legal and worth
// trying, and rules that a point must keep to be worth compiling.
#ifndef HK_PASSES_TUNE_SPACE_H
#define HK_PASSES_TUNE_SPACE_H

#include "ir/config.h"
#include "ir/ir.h"
#include "ir/machine.h"

typedef struct SpaceKnob {
    Str name;         // as in a Config
    int64_t *choices; // ascending
    uint32_t choice_count;
    bool scheduled; // the default Config leaves it to the scheduler
} SpaceKnob;

typedef enum SpaceRuleKind {
    SPACE_WITHIN_TILE,   // knob a binds no more than its tile has: b, in groups of x
    SPACE_REGISTERS,     // rows a times vectors b, with a tile of c, in x registers
    SPACE_PANEL_FITS,    // block a times columns b of x bytes, in z; y: the range without a block,
                         // in c parts
    SPACE_FILLS_THREADS, // the tiles `dims` times parts a are at least x
    SPACE_PARTS_LONG,    // of x, in a parts, each has at least y
    SPACE_RULE_KINDS
} SpaceRuleKind;

typedef struct SpaceDim { // of a grid
    int32_t knob;         // its tile; -1: fixed
    int64_t extent, tile;
} SpaceDim;

typedef struct SpaceRule {
    SpaceRuleKind kind;
    Str text;        // as a formula
    int32_t a, b, c; // knobs; -1: none
    int64_t x, y, z;
    VEC(SpaceDim) dims;
} SpaceRule;

typedef struct Space {
    VEC(SpaceKnob) knobs;
    VEC(SpaceRule) rules; // the default Config keeps them all
} Space;

extern const char *const space_rule_names[SPACE_RULE_KINDS];
extern const char *const space_rule_meanings[SPACE_RULE_KINDS];
enum { SPACE_SCHEDULED = INT32_MIN }; // in the place of a value

// dims should be specialised: choices never exceed a range. `config` (the default) is always a
// point of it.
Space *space_find(Arena *arena, const Func *tile, const Machine *machine, const Config *config);
// values[k] of each knob, or SPACE_SCHEDULED.
bool space_keeps(const Space *space, const SpaceRule *rule, const int64_t *values);
bool space_allows(const Space *space, const int64_t *values);
// Refuses knobs that the instance does not have, and values out of range (DIAG_KNOB_*). `tunables`
// are names of the kernel's own. config may be NULL.
bool space_check(const Func *tile, const Config *config, const Str *tunables,
                 uint32_t tunable_count, DiagList *diags);

typedef struct SpaceCount {
    double raw, legal; // points
    bool exact;        // else `legal` is reckoned from points drawn at random
    double *refused;   // by rule: the share of all points that break it
} SpaceCount;
SpaceCount space_count(Arena *arena, const Space *space);

#endif
