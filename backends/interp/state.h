// What the files of the interpreter share. A value is an array of raw bits over the axes of its
// type:
//
//   Box        ranges of axes and the order in which arrays over some of them are laid out
//   (outermost first) it->full   the box of all current lanes, in order of axis; stored values are
//   dense over it lazy       a value too large to store, or used by one reduction alone, has no
//   array: whoever needs it
//              evaluates it (value_fetch) in a smaller box, a chunk of the axes it walks over
//
// After a trap everything goes on with zeros that nobody sees: no access happens, and no further
// instruction starts.
#ifndef HK_BACKENDS_INTERP_STATE_H
#define HK_BACKENDS_INTERP_STATE_H

#include "backends/interp/interp.h"
#include "ir/base/clock.h"
#include "ir/eval.h"

enum {
    AXES_MAX = 64,
    STORED_MAX = 1 << 18, // elements of a value that is kept whole
    CHUNK_MAX = 1 << 15   // elements of a lazy value evaluated at a time
};

typedef struct Box {
    unsigned count;
    uint8_t order[AXES_MAX];              // axes, outermost first
    int64_t lo[AXES_MAX], size[AXES_MAX]; // by axis
    const uint64_t **memo; // by value: what was evaluated in this box; NULL: nothing is kept
} Box;

// A walk over a box, part by part; `box` is the current part.
typedef struct Chunks {
    Box box;
    const Box *of;
    AxisSet set;
    int64_t step[AXES_MAX]; // by axis
} Chunks;

// The current tile of an axis within its range.
typedef struct Lanes {
    int64_t range_lo, range_hi, begin, end, block;
} Lanes;

// Memory of values: freed in reverse order of allocation, back to a mark.
typedef struct StackPart {
    uint64_t *data;
    size_t capacity; // words
} StackPart;
typedef struct Stack {
    Arena *arena;
    VEC(StackPart) parts;
    uint32_t at; // the part in use
    size_t used;
} Stack;
typedef struct StackMark {
    uint32_t at;
    size_t used;
} StackMark;

uint64_t *stack_words(Stack *stack, size_t words); // not initialised
StackMark stack_mark(const Stack *stack);
void stack_release(Stack *stack, StackMark mark);

// The accumulators of a tensor that the current phase folds into: f64 for floats.
typedef struct FoldTarget {
    uint64_t *sums; // one for each element, row by row; NULL: not a target
    size_t count;
} FoldTarget;

// How a walk over the grids of a phase treats their tiles: runs all in order, notes them down
// without running, or runs one group of those noted.
typedef enum WalkMode { WALK_RUN, WALK_RECORD, WALK_REPLAY } WalkMode;
enum { WALK_DEPTH_MAX = 16 };

typedef struct Walk {
    WalkMode mode;
    unsigned depth;               // grids around the current instruction
    int64_t tile[WALK_DEPTH_MAX]; // which tile of each grid
    int64_t group;             // of the innermost grid this many from there; RECORD: 0 only counts
    VEC(int64_t) records;      // the tiles of the nest for each group
    int64_t total, ran;        // tiles
    bool limited;              // stop at the deadline
    double deadline, patience; // .. of the first tile
} Walk;

typedef struct Interp {
    Arena *arena;
    const Func *f;
    const Frame *frame;
    const Config *config;
    Stack stack;
    Box full;
    Lanes lanes[AXES_MAX];
    uint64_t *prologue;      // by value of the function's body
    bool *given;             // by argument: all
    const uint64_t **values; // by value: dense over `full`, NULL if lazy or not there
    bool *fused;             // by value: only one reduction beside it uses it
    uint8_t *grid_height;    // by instruction: levels of grids in it, itself included
    int64_t *extents;        // [Mem.i * RANK_MAX + position]
    bool *written;           // by Mem: stored or folded into by the current phase
    FoldTarget *folds;       // by Mem
    uint8_t **marks;         // by Mem, or NULL: number of the phase that stored each element last
    uint8_t phase;           // its number, from 1
    Walk walk;
    double first_seconds; // of a phase's first tile, beyond the deadline
    bool trapped, stopped;
} Interp;

// box.c
size_t box_count(const Box *box, AxisSet set); // elements of a value over `set`
const uint64_t *box_expand(Interp *it, const Box *box, AxisSet from, const uint64_t *data,
                           AxisSet to);
void box_add_expanded(const Box *box, AxisSet from, const uint64_t *data, AxisSet to,
                      uint64_t *sum);
const uint64_t *box_slice(Interp *it, const Box *box, AxisSet set, const uint64_t *whole);
void box_strides(const Box *box, AxisSet set,
                 int64_t *strides);    // by axis; 0 for those not in `set`
const uint64_t **box_memo(Interp *it); // an empty one
// Walks over `of` in chunks: of the axes `set` at most `elements` (> 0) at a time, of all others
// the whole.
bool chunks_first(Chunks *chunks, const Box *of, AxisSet set,
                  int64_t elements); // false: nothing to walk over
bool chunks_next(Chunks *chunks);

// value.c
const uint64_t *value_fetch(Interp *it, const Box *box, Value v);              // over its own axes
const uint64_t *value_spread(Interp *it, const Box *box, Value v, AxisSet to); // over `to`
const uint64_t *value_force(Interp *it, Value v, AxisSet to); // over `full`, whatever its size
const uint64_t *inst_compute(Interp *it, const Box *box, const Inst *in);
int64_t value_scalar(Interp *it, Value v);

// reduce.c
const uint64_t *reduce_compute(Interp *it, const Box *box, const Inst *in);

// The reduced axes outermost over all their current lanes, the others as in `box`.
void reduce_box(const Interp *it, const Box *box, AxisSet over, AxisSet result, Box *inner);

// combine.c, sort.c: all results, over the full box
void combine_exec(Interp *it, const Inst *in);
void sort_exec(Interp *it, const Inst *in);
void search_exec(Interp *it, const Inst *in);

// take.c
const uint64_t *take_compute(Interp *it, const Box *box, const Inst *in);

// access.c
void trap_set(Interp *it, int64_t site, int64_t index, int64_t bound); // site -1: no site
const uint64_t *load_compute(Interp *it, const Box *box, const Inst *in);
void exec_store(Interp *it, const Inst *in);
void exec_fold(Interp *it, const Inst *in);
void exec_check(Interp *it, const Inst *in);
void exec_print(Interp *it, const Inst *in);
void exec_atomic(Interp *it, const Inst *in);
void fold_begin(Interp *it, Mem mem, ReduceKind kind,
                bool keep);                    // keep: start from what the memory holds
void fold_end(Interp *it, Mem mem, bool keep); // keep: into memory, rounded once

// region.c
void exec_region(Interp *it, Region r); // returns early if the run trapped or stopped

#endif
