// How the work-items of a group share one unit of a phase: which loops are dealt to them, where
// scratch lies, and before which instructions they wait for each other.
//
// At *uniform* level all work-items do the same with the same values, and the first alone stores.
// The iterations of a *nest* (loops of independent iterations, `for grid`, perfectly nested ones as
// one) are dealt round; what it carries is combined over the group afterwards. A *scan* is a nest
// of one loop that looks at what it carries: as many iterations as there are work-items at a time.
#ifndef HK_BACKENDS_OPENCL_DEAL_H
#define HK_BACKENDS_OPENCL_DEAL_H

#include "ir/ir.h"
#include "ir/machine.h"

enum { NEST_DEPTH_MAX = 4, NEST_LARGE = 1 << 20, FENCE_LOCAL = 1, FENCE_GLOBAL = 2 };

// One value that a loop carries.
typedef struct Carried {
    ReduceKind kind; // how two of them are combined
    unsigned place;  // of the loop's results: where the extreme is, combined along with it
    bool is_place;   // of another one: nothing to be done for its own sake
    Value added;     // scans: what an iteration combines with it ...
    Value mask;      // ... where this is true; {0}: always
} Carried;
enum { NO_PLACE = 255 };

typedef struct Nest {
    InstId loops[NEST_DEPTH_MAX]; // outermost first
    unsigned depth;
    Carried *carried;              // by result of the loops
    int64_t trips[NEST_DEPTH_MAX]; // of each loop at most; NEST_LARGE: many, or unknown
    bool exact[NEST_DEPTH_MAX];    // ... and always
    int64_t total;                 // at most
    bool scans;                    // what one loop carries is looked at in each iteration
    Region arm;                    // the arm of an `if` around it, or the phase's region
} Nest;

typedef enum Place {
    PLACE_PRIVATE, // an array of each work-item
    PLACE_LOCAL,   // shared by the group
    PLACE_SLICE    // a slice of a global buffer: of a work-item, or of a group that shares a unit
} Place;

typedef struct Cell { // a variable of each work-item that stands for part of a scratch memory
    Mem mem;
    Type type;
} Cell;

typedef struct Deal {
    uint32_t group; // work-items to a group
    VEC(Nest) nests;
    uint32_t *nest_of;    // [InstId.i]: of its outermost loop, index + 1
    uint8_t *fences;      // [InstId.i]: FENCE_* before it
    uint8_t last_fences;  // after the unit, where another one may follow
    Place *place;         // [Mem.i]: of scratch
    int64_t *offset;      // [Mem.i]: in local memory, in bytes
    uint32_t *turns;      // [Mem.i]: the loop (InstId.i) whose turns use its two halves; 0: one
    int64_t local_bytes;  // of scratch in local memory
    int64_t reduce_bytes; // of the array in which nests combine what they carry
    uint32_t *owned;      // [InstId.i]: an access to what stays with one work-item: its cell + 1
    VEC(Cell) cells;
} Deal;

// Where an offset points: constant + sum of factor * atom. An atom is an opaque value or, for a
// loop's index, how far it is from the loop's start.
enum { TERMS_MAX = 12 };
typedef struct Affine {
    bool known;
    int64_t constant;
    unsigned count;
    struct {
        uint32_t atom; // Value.i
        int64_t factor;
    } terms[TERMS_MAX];
} Affine;

Affine affine_of(const Func *f, Value v);
Affine affine_minus(Affine a, Affine b);
int64_t affine_factor(const Affine *a, Value atom); // 0: none
// Iterations of a `for` at most (NEST_LARGE: many, or unknown), and whether always so many.
int64_t affine_trips(const Func *f, const Inst *loop, bool *exact);

int64_t affine_multiple(const Func *f, Value v); // which v is of, at least 1

// ---- nests.c
// What to deal in a phase to `group` work-items. NULL: nothing that is worth it, or something that
// only one work-item can do; then each unit is one's own.
Deal *deal_phase(Arena *arena, const Func *f, InstId phase, const Machine *machine);
bool deal_is_scratch(const Func *f, const Inst *access); // a load or store of scratch
Value deal_offset(const Func *f, const Inst *access);    // its offset; {0}: no access
// ---- carried.c
// Whether all that the loop carries may be combined over iterations in any order, and how.
bool deal_carried(const Func *f, const Inst *loop, Carried *carried);
// Whether it is combined with something new in each iteration, in which nothing else depends on
// other iterations: the states at all indices are prefixes.
bool deal_scanned(const Func *f, const Inst *loop, Carried *carried);
unsigned deal_uses(const Func *f, Region r, Value v);
// ---- owned.c: scratch whose every element is only touched by the work-item that made it
void deal_owned(Arena *arena, const Func *f, InstId phase, Deal *deal);
// ---- stage.c: what is copied to local memory anew in each turn of a loop gets two halves
void deal_stage(Arena *arena, const Func *f, InstId phase, Deal *deal);
int64_t deal_half_bytes(const Func *f, Mem m);              // a multiple of 16
int64_t deal_bytes(const Func *f, const Deal *deal, Mem m); // of all of it
// ---- fences.c
void deal_fences(Arena *arena, const Func *f, InstId phase, Deal *deal);
// ---- local.c
void deal_local(Arena *arena, const Func *f, InstId phase, Deal *deal, int64_t bytes);

#endif
