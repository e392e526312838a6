// Search over the points of a space, behind one interface: ask for a point, tell what it cost.
// Nothing here compiles or measures, so that a search can be replayed from recorded costs.
#ifndef HK_PASSES_TUNE_SEARCH_H
#define HK_PASSES_TUNE_SEARCH_H

#include <stdbool.h>

#include "ir/base/arena.h"

enum { SEARCH_KNOBS_MAX = 64 };

typedef struct Point {
    uint8_t at[SEARCH_KNOBS_MAX]; // the index of each knob's choice
} Point;

// exhaustive  all points, the first knob fastest
// random      points drawn evenly
// pattern     neighbours of the best: one knob a step, then two; then from a random point
// evolution   children of good points: crossover and mutation
// forest      regression trees of what was told rank the neighbours of good points and random ones
typedef enum SearchKind {
    SEARCH_EXHAUSTIVE,
    SEARCH_RANDOM,
    SEARCH_PATTERN,
    SEARCH_EVOLUTION,
    SEARCH_FOREST,
    SEARCH_KINDS
} SearchKind;

extern const char *const search_names[SEARCH_KINDS];

typedef struct Search Search;

// `levels`: how many choices each of `knob_count` knobs has. `initial` is the first that is asked
// for. Equal arguments and costs give equal points.
Search *search_new(Arena *arena, SearchKind kind, const uint8_t *levels, uint32_t knob_count,
                   const Point *initial, uint64_t seed);
// A point that was not asked for before. False: there is none left.
bool search_ask(Search *search, Point *point);
// Cost of a point that was asked for, or of any other: seconds, INFINITY where it failed.
void search_tell(Search *search, const Point *point, double cost);
void search_switch(Search *search, SearchKind kind); // goes on in another way
bool search_seen(const Search *search, const Point *point); // asked for, or told

#endif
