// A pool of threads for the units of a phase. The caller works too; workers spin shortly, then
// sleep.
#ifndef HK_RUNTIME_THREADS_H
#define HK_RUNTIME_THREADS_H

#include "ir/base/arena.h"

typedef struct Pool Pool;

// Units [begin, end). `scratch` belongs to the calling thread until it returns: 64-byte aligned,
// kept from run to run, not initialised.
typedef void PoolFn(void *context, int64_t begin, int64_t end, void *scratch);

typedef struct PoolJob {
    PoolFn *fn;
    void *context;
    int64_t units;
    int64_t chunk;        // units handed out at a time; 0: chosen
    size_t scratch_bytes; // for each thread
    unsigned threads_max; // 0: all of the pool
} PoolJob;

// The caller counts as one; 0: cpus_available(). NULL without memory.
Pool *pool_new(unsigned threads, const Allocator *allocator);
void pool_free(Pool *pool); // no run may be under way
unsigned pool_threads(const Pool *pool);

// Returns when all units are done. Which thread does which unit varies, so results must not depend
// on it. A second run while one is under way (from another thread, or from inside fn) is done by
// its caller alone. False, with nothing done, if there is no memory for scratch.
bool pool_run(Pool *pool, const PoolJob *job);

#endif
