// Finals: whether one of a few Configs is surely faster than the default. They are timed in turns,
// in an order that is drawn anew for each round, so that what else the machine does meets all
// alike.
#ifndef HK_RUNTIME_FINALS_H
#define HK_RUNTIME_FINALS_H

#include "ir/base/str.h"
#include "passes/tune/compare.h"

enum {
    FINALISTS = 24, // beside the default and the default once more, which shows the noise
    FINAL_ROUNDS_LEAST = 12,
    FINAL_ROUNDS_MOST = COMPARE_ROUNDS_MAX
};

typedef struct Finalist {
    Str config;
    double times[FINAL_ROUNDS_MOST]; // INFINITY: not run
    Gain gain;                       // over the default
    bool out;                        // it failed, or another is surely faster
} Finalist;

typedef struct Finals Finals;
struct Finals {
    Finalist list[FINALISTS + 2]; // first the default, twice
    uint32_t count, rounds;
    uint64_t random;
    // Seconds of the finalist now, INFINITY if it failed; NAN: there is no more time to be had.
    double (*time)(void *self, const Finalist *finalist);
    bool (*goes_on)(void *self, uint32_t rounds);    // asked before each round
    void (*moves)(void *self, const Finals *finals); // some left; or NULL
    void *self;
    double noise;      // how far the default seems from itself
    double resolution; // ... and may be, at 90 %, after all rounds if the others are like these
};

// Until time is over, rounds are enough, or nobody is left beside the default.
void finals_race(Finals *finals);
// The index of the best that is surely faster than the default; 0: none is.
uint32_t finals_decide(Finals *finals);

#endif
