// Points of a search as Configs, and those that the model of time likes best.
#ifndef HK_RUNTIME_POINTS_H
#define HK_RUNTIME_POINTS_H

#include "passes/tune/search.h"
#include "runtime/internal.h"

// A knob's choice beyond the last leaves it to the scheduler, where the default Config does so.
typedef struct Points {
    const Space *space; // its knobs come first
    const hk_tunable *knobs;
    uint32_t count;
    uint8_t levels[SEARCH_KNOBS_MAX];
    Point initial; // the default Config
    double size;   // how many there are
} Points;

Points points_of(const hk_exec *exec);
Str points_config(const Points *points, Arena *arena, const Point *p);
// Whether it keeps the rules of the space.
bool points_allows(const Points *points, const Point *p);
// The point that a Config of this space was made from. False: it is of another space.
bool points_find(const Points *points, const char *config, Point *p);

// Fills `best` with up to `most` points for which the model says the least time, the first of them
// first, no two of the same time; not the default. Stops looking after so many seconds. Returns how
// many.
uint32_t points_rank(const Points *points, const hk_exec *exec, uint64_t seed, double seconds_max,
                     uint32_t most, Point *best);

#endif
