// What search.c and forest.c share.
#ifndef HK_PASSES_TUNE_SEARCH_INTERNAL_H
#define HK_PASSES_TUNE_SEARCH_INTERNAL_H

#include "ir/base/vec.h"
#include "passes/tune/search.h"

typedef struct Trial {
    Point point;
    double cost; // NAN: not told yet
} Trial;

typedef struct Forest Forest;

struct Search {
    Arena *arena;
    SearchKind kind;
    uint8_t *levels;
    uint32_t knob_count;
    Point initial, next; // next: of the exhaustive walk
    bool finished;
    uint64_t random;
    VEC(Trial) trials; // in the order of asking
    uint32_t *table, table_size;
    uint32_t told;
    Forest *forest;
};

uint64_t search_random(Search *search);
uint32_t search_below(Search *search, uint32_t n);
void search_move(Search *search, Point *point);
uint32_t search_best(const Search *search, uint32_t most, const Trial **best);
// False while too little is known, or nothing new is near.
bool forest_ask(Search *search, Point *point);

#endif
