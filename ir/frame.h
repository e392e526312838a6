// What a compiled phase and the interpreter are given at a launch; generated code reads it by these
// offsets.
#ifndef HK_IR_FRAME_H
#define HK_IR_FRAME_H

#include <stdbool.h>
#include <stdint.h>

// Set once by the first failing lane (compare-and-swap on state); later ones are ignored.
typedef struct Trap {
    int64_t state; // 0 none, 1 being written, 2 set
    int64_t
        site; // index in Func.sites; -1: an access failed that was not marked as needing a check
    int64_t index, bound;
} Trap;

typedef struct Frame {
    void *const *mems;      // [Mem.i]: address of element 0, 0, ...; scratch entries are unused
    const int64_t *dims;    // [dim]
    const int64_t *strides; // [Mem.i * RANK_MAX + position], in elements
    uint64_t *args;         // [arg]: bits as in eval.h; a `repeat` sets its own
    Trap *trap;
    const struct Printer *printer; // NULL: what is printed is dropped
} Frame;

// Takes the lines of `print`: the number of the site and the operands' bits. Called from any
// thread.
typedef struct Printer {
    void (*line)(void *self, int64_t site, const uint64_t *values);
    void *self;
} Printer;

// Units [begin, end) of one phase. `scratch` is the calling thread's memory, 64-byte aligned.
typedef void PhaseFn(const Frame *frame, int64_t begin, int64_t end, void *scratch);

static inline void frame_trap(const Frame *frame, int64_t site, int64_t index, int64_t bound)
{
    Trap *trap = frame->trap;
    int64_t none = 0;
    if (!__atomic_compare_exchange_n(&trap->state, &none, 1, false, __ATOMIC_ACQUIRE,
                                     __ATOMIC_RELAXED))
        return;
    trap->site = site;
    trap->index = index;
    trap->bound = bound;
    __atomic_store_n(&trap->state, 2, __ATOMIC_RELEASE);
}

// Prefix of the runtime's functions in code compiled ahead of time (runtime/aot). The number stands
// for what they and their tables are, so that libraries of different versions can be linked.
#define HAKO_RT "hako2_"

#endif
