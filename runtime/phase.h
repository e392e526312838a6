// The units of one phase: by ranges on the pool's threads, or in pieces on the host's. Libraries
// that were compiled ahead of time (runtime/aot) hold this code too.
#ifndef HK_RUNTIME_PHASE_H
#define HK_RUNTIME_PHASE_H

#include <stddef.h>

#include "ir/frame.h"

typedef struct PhaseJob {
    PhaseFn *code;
    const Frame *frame;
    // For the host's parallel_for: pieces of the units, each with its own scratch.
    int64_t units, pieces;
    char *scratch;
    int64_t scratch_bytes;
} PhaseJob;

void phase_units(void *job, int64_t begin, int64_t end, void *scratch); // a PoolFn
// Cuts the units into pieces for so many threads. Bytes of scratch of all of them.
size_t phase_cut(PhaseJob *job, int64_t threads);
void phase_piece(void *job, int64_t piece); // what the host's parallel_for calls

#endif
