// What prefetch.c and prefetch_block.c share.
#ifndef HK_PASSES_PREFETCH_H
#define HK_PASSES_PREFETCH_H

#include "passes/pass.h"

typedef struct Prefetcher {
    Func *f;
    const PassContext *context;
    const bool *large;  // by Mem.i: leaves the second cache, and may be asked for
    const bool *wanted; // leaves it together with the others
    InstId phase;
    bool changed;
} Prefetcher;

// Bytes from one iteration of a loop, or unit of a phase, to the next; 0: unknown or none.
int64_t prefetch_advance(const Func *f, const Inst *access, const Inst *loop);
int64_t prefetch_trips(const Func *f, const Inst *loop); // 0: unknown

// For the innermost loop `inner` of a block of results, a loop in the body of `outer`.
void prefetch_block(Prefetcher *p, InstId inner, InstId outer);

#endif
