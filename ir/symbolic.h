// What the checks know about Tile IR symbolically: integer values as polynomials over atoms (sizes,
// lanes of axes, tiles, quotients, loaded elements ...), what is known of each atom, and queries
// that put the facts that hold at an instruction before the prover.
#ifndef HK_IR_SYMBOLIC_H
#define HK_IR_SYMBOLIC_H

#include "ir/ir.h"
#include "ir/prove.h"

typedef enum AtomKind {
    ATOM_DIM,      // ref: dim
    ATOM_ARG,      // ref: argument
    ATOM_LANE,     // ref: axis; an element of its current tile
    ATOM_ID,       // ref: axis; number of the current tile
    ATOM_BLOCK,    // ref: axis; block of a free tile, at least 1
    ATOM_END,      // ref: axis; end of the current tile
    ATOM_COUNT,    // ref: axis; number of tiles
    ATOM_QUOTIENT, // a / b, truncating; 0 for b = 0
    ATOM_MIN,      // of a and b
    ATOM_MAX,
    ATOM_SELECT, // ref: condition, or 0: c >= 0; a or b
    ATOM_LOAD,   // ref: mem; element at `index` of an input
    ATOM_PURE,   // ref: op; another operation of integers a, b, c
    ATOM_OPAQUE  // ref: value
} AtomKind;

// Inside a reduction that stands for "some lane of `axes`", lanes are those of its witness.
typedef struct Env {
    AxisSet axes;
    Value witness; // the reduction
    const struct Env *outer;
} Env;

typedef struct AtomInfo {
    AtomKind kind;
    uint32_t ref;
    AtomId origin;  // of a copy (another tile's instance of the same thing), else 0
    const Env *env; // LANE, SELECT, OPAQUE
    Poly a, b, c;
    const Poly *index; // LOAD
    uint32_t index_count;
    Value mask;           // LOAD: the element where it holds, else 0
    bool checked;         // LOAD: checked at run time, so it may be 0 after a trap
    AxisSet lanes, tiles; // what it varies with: lanes of axes, or only their tiles
    int64_t low, high;    // constants it lies between; INT64_MIN, INT64_MAX if unknown
    uint8_t sign;         // 0 unknown, 1 not negative, 2 perhaps negative
    uint8_t tame;         // 0 unknown, 1 of moderate size, 2 perhaps near the ends of i64
    bool computed_with;   // ARG: in arithmetic that would wrap if it were very large
    AtomId copy;          // its copy, if one was made
} AtomInfo;

typedef struct MemRefine {
    bool known;
    Refine kind;
    Value lo, hi; // RANGE; else hi is the size
} MemRefine;

typedef struct Sym {
    Arena *arena;
    const Func *f;
    VEC(AtomInfo) atoms; // element 0 unused
    Poly *memo;          // [value]
    uint8_t *memo_state; // 0 unknown, 1 known, 2 being computed
    uint32_t depth;      // of the recursion through definitions
    VEC(const Env *) envs;
    MemRefine *refines;  // [Mem.i]
    VEC(Value) requires; // conditions that hold from the prologue on
    VEC(Poly) sizes;     // of tensors: not negative
    Prover scratch;      // owner of the prover's tables
    // Copies: what varies only with these is the same in both instances.
    AxisSet same_lanes, same_tiles;
} Sym;

Sym *sym_new(Arena *arena, const Func *f);
Poly sym_atom(Sym *sym, AtomInfo info);                     // interned
void sym_depend_on(const Sym *sym, AtomInfo *info, Poly p); // info varies with what p varies with

// p where the mask holds: elements loaded under (a part of) it are elements.
Poly sym_under_mask(Sym *sym, Poly p, Value mask);
Poly sym_value(Sym *sym, Value v,
               const Env *env); // an integer value; never bad, but perhaps an opaque atom
Poly sym_size(Sym *sym, Mem m, uint32_t position);
void sym_range(Sym *sym, Axis a, Poly *lo, Poly *hi);
Poly sym_lane(Sym *sym, Axis a);
const Env *sym_env(Sym *sym, AxisSet axes, Value witness, const Env *outer); // interned
Poly sym_tile_id(Sym *sym, Axis a);
Poly sym_tile_begin(Sym *sym, Axis a);
Poly sym_tile_count(Sym *sym, Axis a);
Poly sym_min(Sym *sym, Poly a, Poly b);
Poly sym_max(Sym *sym, Poly a, Poly b);
// a / b for a >= 0, b >= 1, if that leaves no remainder whatever the values are; else bad.
Poly sym_exact_quotient(Sym *sym, Poly a, Poly b);
// p as another instance has it.
Poly sym_copy(Sym *sym, Poly p);
void sym_depends(const Sym *sym, Poly p, AxisSet *lanes, AxisSet *tiles);
// Machine arithmetic wraps, polynomials do not: only sums and products of what is of moderate size
// are read as polynomials. Sizes are (the launch sees to it), promised and narrow elements, and
// lanes between such bounds; scalar arguments are if the launch checks them (`computed_with`).
bool sym_tame(Sym *sym, Poly p);
// Provable at a glance, by the signs of what occurs and the ends of ranges.
bool sym_quick_nonneg(Sym *sym, Poly p);
void sym_print(const Sym *sym, Buf *out, Poly p); // as source would say it

// ---- queries

typedef struct Query {
    Sym *sym;
    Prover prover;
    VEC(AtomId) seen;
    uint32_t scanned_facts, scanned_equal, scanned_splits;
    bool renaming;      // facts are added about the other instance
    bool witness_tiles; // witnesses are lanes of the current tile: needed to tell tiles apart
} Query;

void query_start(Query *query, Sym *sym);
void query_fact(Query *query, Poly p); // p >= 0
void query_equal(Query *query, Poly p);
// The condition, or its negation, holds.
void query_assume(Query *query, Value condition, bool truth, const Env *env);
// What holds where the instruction runs: its axes have lanes, the conditions around it hold.
void query_scope(Query *query, InstId id);
void query_axes(Query *query, AxisSet axes); // these axes have a lane
bool query_refute(Query *query);
bool query_nonneg(Query *query, Poly p);

// The axes of the grids and loops around an instruction, outermost first; at most 64.
uint32_t inst_axes(const Func *f, InstId id, Axis out[64]);
InstId inst_owner(const Func *f, InstId id); // the instruction whose region holds it, or 0
InstId inst_phase(const Func *f, InstId id); // the phase around it, or 0
// What inst_axes says, as a set.
AxisSet inst_axis_set(const Func *f, InstId id);

#endif
