// The schedule: Tile IR + Config -> Loop IR. Shared state of the files in this folder.
//
// A phase becomes units of work (flat tiles of its outermost grids). Inside a unit, each straight
// stretch of Tile IR (a segment) is planned as a tree of loops around its *roots*: the instructions
// that must happen at a place (reductions, stores, folds, checks, values kept in scratch).
// Everything else is pure and is emitted on demand, at the outermost loop that binds all its axes.
// Opening an axis may bind several of its indices at once (unroll and jam) and one axis as lanes of
// vectors; a value then exists once for each combination of instances of the axes that it has. So
// register-blocked products, fused row kernels and their epilogues are one mechanism: m unrolled by
// 6, n in 4 vectors, k innermost gives 24 accumulators in registers.
#ifndef HK_PASSES_SCHEDULE_SCHED_H
#define HK_PASSES_SCHEDULE_SCHED_H

#include "passes/pass.h"

enum { LEVELS_MAX = 96, AXES_MAX = 64 };

// Scratch memory that holds a tile value: element (a, b, ..) at the sum of relative index * stride.
typedef struct Slot {
    Mem mem;
    DType dtype;
    AxisSet axes;
    AxisSet taken;  // read along these at other indices: its loops are shared with no reader's
    AxisSet shared; // bound by loops around producer and consumers: indexed by instance only
    int64_t stride[AXES_MAX]; // by axis
    unsigned group;           // this many neighbours along group_axis lie together (dot.c)
    int64_t depth;            // and their axes' extents are multiples of this
    Axis panel_axis;          // packed operands: this axis is cut into panels of `panel` lanes ...
    int64_t panel, panel_stride; // ... that lie panel_stride apart
    Axis inner;                  // the axis of stride 1
    int64_t pad;                 // elements after each of its lines
    int64_t whole;               // a line of the innermost axis is a multiple of so many elements
    bool placed;
} Slot;

typedef enum RootKind {
    ROOT_REDUCE,
    ROOT_COMBINE,
    ROOT_SORT,
    ROOT_SEARCH,
    ROOT_STORE,
    ROOT_FOLD,
    ROOT_ATOMIC,
    ROOT_CHECK,
    ROOT_PRINT,
    ROOT_KEEP,
    ROOT_CARRY
} RootKind;

typedef struct Node Node;
typedef struct Root Root;
typedef struct Segment Segment;

typedef struct Dep {
    uint32_t root;    // must come first
    AxisSet sharable; // both may be in one loop over these axes
} Dep;

struct Root {
    RootKind kind;
    InstId inst;  // of REDUCE, COMBINE, SORT, SEARCH, STORE, FOLD, ATOMIC, CHECK
    Value value;  // KEEP, CARRY: the tile value; REDUCE, ATOMIC: its result
    Slot *slot;   // KEEP, CARRY; REDUCE when the result is also needed outside its loops
    Slot **slots; // COMBINE, SORT, SEARCH: by result
    Mem work;     // SORT: the keys, while its loops are open
    AxisSet axes; // iterated
    AxisSet reduced;
    Axis vector;     // {0}: scalar code
    Axis row;        // contraction: unrolled axis; packed for a group: the innermost one
    Axis group_axis; // products of groups: the reduced axis
    unsigned group;  // its indices in one instruction; 0: no such
    Value mask;      // KEEP that packs rows for these: what is false there is stored as 0
    bool tiles;      // in tile registers: a loop nest of its own over row, lanes and group_axis
    Axis turned;     // packing, storing: contiguous in what is loaded, but not the lanes' axis
    Axis column;     // contraction with lanes along the reduced axis: unrolled as well
    bool contraction, packs, packed; // packs: an operand; packed: a contraction whose operand is
    Pair pair_kind;
    Value pair[2]; // contraction: what it is of (contract.c)
    Axis order[AXES_MAX];
    unsigned order_count;
    unsigned lane_count;
    VEC(Dep) deps;
    Node *parent;
    Segment *segment;
    Slot *from;             // CARRY: read this copy instead of the value
    bool on_the_way;        // KEEP: packed by the first rows that read it, if these can
    Root *reader;           // .. the contraction whose rows these are
    uint32_t position;      // order of appearance in the phase
    Value *acc, *acc_index; // while its loops are open: accumulators (ARG kinds: with indices)
    unsigned acc_count, acc_copies;
};

typedef struct Child {
    Node *node;    // or
    uint32_t root; // when node is NULL
} Child;

struct Node { // one loop nest over `axis`, as lanes of vectors or not
    Node *parent;
    Axis axis;
    bool vector;
    uint32_t alone; // root + 1 of what is combined or sorted along this axis, in a loop of its own
    AxisSet opened; // this axis and those of the parents
    VEC(uint32_t) roots; // all in the subtree
    VEC(Child) children;
    unsigned count; // instances bound at once
    bool groups;    // a remainder comes last, after whole counts
    bool aligned;   // what is being emitted starts at a multiple of `count` from the tile's begin
};

struct Segment {
    Region region;
    VEC(uint32_t) roots; // in program order
    AxisSet rows; // unrolled rows of its contractions, and of long rows that are reduced: no lanes
                  // along these, so that all can share the loop
    Node *tree;   // a node without axis
};

typedef struct ValueState {
    Value global; // a scalar that is valid wherever the tile value is used
    Slot *slot;
    Value *inst;    // emitted instances ...
    int level;      // ... valid while this level is open; -1: none
    uint32_t root;  // REDUCE or KEEP: its root + 1
    bool fills;     // what is computed of it now goes to its slot
    AxisSet taken;  // the axes along which some `take` reads it at other indices
    uint32_t mark;  // of a traversal
    float cost;     // of recomputing it; < 0 unknown
    uint8_t coarse; // low bits of the index along coarse_axis that do not matter
    uint32_t coarse_axis;
    VEC(uint32_t) users; // roots that reach it through recomputed values
} ValueState;

typedef struct AxisState {
    int64_t block;                // tile size; whole axes: 0
    int64_t size_max, size_const; // of the current tile: bound and exact size, or -1
    Value begin, end;             // of the current tile, global indices
    Value lo, hi;                 // of the whole range
    int level;                    // that binds it in a nest; -1: not bound
    Value base;                   // index of instance 0
    unsigned count, lanes;        // instances; lanes 0: scalars
    Value *mask;                  // by instance; {0} where all lanes are in range
    Value *left;                  // lanes in range of such an instance, at least 1
    int64_t step;                 // instance 0 is a multiple of this from the tile's begin
    unsigned first;               // instances of the loop before instance 0 (one_vector)
} AxisState;

typedef struct Level {
    Region region;
    InstId child; // the loop in `region` that is open now; new code of this level goes before it
    VEC(uint32_t) memo; // tile values emitted at this level
} Level;

typedef struct Sched {
    Arena *arena;
    const Func *tile;
    Func *f;
    const PassContext *context;
    ValueState *values; // by tile value
    AxisState axes[AXES_MAX];
    int *region_level; // by tile region
    Level levels[LEVELS_MAX];
    int top;
    VEC(Root *) roots;
    VEC(Segment *) segments;
    Segment **segment_at;   // by tile instruction: the segment that holds it, or (structured) ends
                            // before it
    Segment **segment_last; // by tile region: the one after its last structured instruction
    uint32_t *order;        // by tile instruction: place in program order within the phase
    uint32_t clock;
    int64_t keep_cost; // of a value that is kept in scratch instead of being computed twice
    unsigned lanes;    // of vectors in this phase; at most 1: scalar code
    int64_t *strides;  // by Mem and position; INT64_MIN: only known at launch
    uint32_t mark;
    Value chunk;         // fold phases: index of the unit
    Mem *partial;        // by Mem: the partial results of a fold, {0} none
    uint32_t *fold_kind; // by Mem: its ReduceKind
    Value chunk_count;
    InstId first_phase; // code before the phases goes before it
    bool *written;      // by Mem: stored to in this phase
    Axis *owner; // by Mem: along which each update has elements of its own; {0}: none (own.c)
    Span span;
    Value raw;   // this load gives the storage dtype
    Value truth; // true, before all phases
    bool failed;
} Sched;

// ---- values.c: on-demand emission
Builder sched_at(const Sched *s, int level);
int sched_level(const Sched *s, Value v); // the outermost open level where v can be computed
Value *emit_value(Sched *s, Value v);     // instances over the open axes that v has
Value *emit_fresh(Sched *s, Value v);     // computed here, even if it is kept in scratch
unsigned instances_of(const Sched *s, AxisSet axes);
unsigned instance_project(const Sched *s, AxisSet from, unsigned index, AxisSet to);
unsigned instance_of_axis(const Sched *s, AxisSet axes, unsigned index, Axis a);
unsigned value_lanes(const Sched *s, AxisSet axes);
Value tail_mask(const Sched *s, AxisSet axes, unsigned index); // {0}: none
// Of an instance, as i32 or i64: a vector where the axis has the lanes.
Value index_of_axis(Builder *b, const AxisState *axis, unsigned instance, DType t);
Value emit_elementwise(Builder *b, const Inst *in, const Value *args,
                       Type type); // a tile op on instances
void sched_remember(Sched *s, Value v, Value *instances, int level);
Value mask_and(Builder *b, Value a, Value c); // either may be {0}

// coarse.c: what does not see the low bits of the lanes' index
unsigned coarse_group(Sched *s, Value v, Axis a); // neighbours that share something dear; 1: none
bool emit_spread(Sched *s, Value v, AxisSet axes, unsigned count, Value *out, int level);

// ---- ranges.c: tests that hold for all indices of a tile are true
void ranges_assume(Sched *s, Region phase);

// ---- own.c: finds `owner`
void own_find(Sched *s, Region phase, AxisSet spread); // the axes along which units may differ

// ---- access.c: addresses, loads, stores
int lane_coefficient(const Sched *s, const Inst *access, unsigned first, Axis a); // LANE_*
int64_t axis_stride(const Sched *s, const Inst *access, unsigned first,
                    Axis a); // elements; INT64_MAX: unknown
enum { LANE_NONE, LANE_UNIT, LANE_STRIDED, LANE_GATHER };
void emit_load(Sched *s, const Inst *in, Value *out, int level, AxisSet axes);
// A load of `type`, a gather if the offset is one for each lane. mask {0}: none.
Value build_load(Builder *b, Mem mem, Type type, Value offset, Value mask);
Value build_zip(Builder *b, Value x, Value y, unsigned high);
Axis turned_axis(const Sched *s, Value v, Axis lanes, AxisSet among);        // {0}: none
void emit_group_load(Sched *s, Value v, Axis k, unsigned group, Value *out); // by instance
Value group_offset(Sched *s, Value v, unsigned index);
void emit_store(Sched *s, const Root *root);
void emit_atomic(Sched *s, const Root *root);
bool fold_lane(const Sched *s, const Inst *in,
               Axis a); // a is the last index's unit: lanes are consecutive
Value fold_offset(Sched *s, const Inst *in, AxisSet axes,
                  unsigned index); // row-major over the target's shape
Value fold_mask(Sched *s, const Inst *in, AxisSet axes, unsigned index);
Value access_mask(Sched *s, const Inst *in, AxisSet axes, unsigned index,
                  int level);                            // its own and that of tails; {0}: none
Value fit_mask(Builder *b, Value mask, unsigned lanes);  // as many lanes as what it masks
bool unit_lanes(const Sched *s, Value index, Axis lane); // index is lane + what lane lacks
// take.c: local values at other indices
void emit_take(Sched *s, const Inst *in, Value *out, int level, AxisSet axes);
// slots.c: scratch
Value slot_base(Sched *s, const Slot *slot, AxisSet skip, int level); // what loops contribute
Value slot_offset(Sched *s, const Slot *slot, AxisSet skip, AxisSet axes, unsigned index,
                  Value base, int level); // of one instance, or of its first lane
void slot_load(Sched *s, const Slot *slot, AxisSet axes, int level, Value *out);
void slot_store(Sched *s, const Slot *slot, AxisSet axes, const Value *in);
void slot_place(Sched *s, Slot *slot, Axis inner);
Mem scratch_new(Sched *s, DType dtype, int64_t elements);
// dot.c: products of groups of narrow elements by one instruction
bool dot_choose(Sched *s, Root *root); // true: has made the root that packs the columns
void dot_pack(Sched *s, const Root *root);
void dot_step(Sched *s, Root *root);
void dot_begin(Sched *s, Root *root); // what the accumulators start from, if not zero
// tiles.c: such products in tile registers
bool tiles_choose(Sched *s, Root *root);
void tiles_emit(Sched *s, const Root *root);
// Instances of v in a type that holds them exactly, 0 where the mask (if any) is false.
Value *tiles_narrow(Sched *s, Value v, DType t, Value mask);
// Where the elements along axes that are not open begin, for one instance over `axes`.
Value slot_row(Sched *s, const Slot *slot, AxisSet axes, unsigned index);

// ---- roots.c: segments and roots; uses.c: who uses what; order.c: loop order; keep.c: scratch;
// tree.c
void plan_phase(Sched *s, Region region); // all of the below, in order
void roots_collect(Sched *s, Region region);
Root *root_add(Sched *s, Segment *segment, RootKind kind, InstId inst, Value value,
               uint32_t position);
Slot *slot_new(Sched *s, AxisSet axes, DType dtype);
unsigned first_index(const Inst *access);  // which operand is index 0
Root *keep_value(Sched *s, Value v);       // in scratch, from where it is defined
void uses_find(Sched *s);                  // users of every value, dependences of every root
bool is_boundary(const Sched *s, Value v); // not recomputed: a reduction, kept, or stored already
float value_cost(Sched *s, Value v);
void order_root(Sched *s, Root *root);
void order_append(const Sched *s, Root *root, AxisSet axes); // by the Config's order_AXIS
AxisSet contraction_columns(const Sched *s, const Root *root);
void order_carries(Sched *s,
                   Segment *segment); // so that no carried value is overwritten before it is read
void tree_build(Sched *s, Segment *segment);
Root *panel_new(Sched *s, const Root *root, Value x); // packs the columns' operand x
bool keep_fits(const Sched *s, AxisSet axes);         // in scratch
void keep_choose(Sched *s);                   // values worth scratch memory; makes their roots
void keep_place(Sched *s);                    // scratch for what crosses loops
Node *node_of_axis(const Node *node, Axis a); // node or the parent that binds a; NULL
bool node_encloses(const Node *node, const Node *inner);
bool root_computes(const Root *root); // a reduction, combination or sort
Node *root_home(const Root *root);    // the innermost loop that binds only its result's axes
int64_t axis_block(const Sched *s, Axis a);
void plan_axis_sizes(Sched *s);
int64_t value_upper(const Func *f, Value v); // INT64_MAX: unknown
int64_t value_lower(const Func *f, Value v); // INT64_MIN: unknown
// The size of a must have a bound. True: who called `schedule` learns of which dimension; false: he
// does not want to, or it would not help.
bool ask_for_bound(const Sched *s, Axis a);

// group.c: units shared by a group of work-items
bool group_shares(const Sched *s);
unsigned group_count(const Sched *s, Axis a, unsigned each, AxisSet bound);
bool group_pack(Sched *s, const Root *root, Value x, Axis axis, Axis other);

// ---- first_rows.c: panels that are packed on the way
void first_rows_choose(Sched *s);
bool first_rows_pack(const Sched *s, const Node *node);       // what the node's loops would pack
bool first_rows_fill(Sched *s, const Node *rows, bool fills); // begins, ends; false: packs nothing

// ---- nest.c: emission of loop trees
void emit_tree(Sched *s, Node *tree);
Value *open_for(Sched *s, Value lo, Value hi, Value step, const Value *inits, unsigned count,
                Value *index);
Value *close_for(Sched *s, const Value *yields, unsigned count);
void push_level(Sched *s, Region region);
void pop_level(Sched *s);
// reduce.c: accumulators
void reduce_begin(Sched *s, Root *root);
void reduce_step(Sched *s, Root *root);
void reduce_finish(Sched *s, Root *root);
// combine.c, sort.c
void combine_begin(Sched *s, Root *root);
void combine_step(Sched *s, Root *root);
void combine_finish(Sched *s, Root *root);
bool combine_visits_last(const Sched *s, const Root *root);
void sort_begin(Sched *s, Root *root);
void sort_step(Sched *s, Root *root);
void sort_finish(Sched *s, Root *root);
// search.c
void search_begin(Sched *s, Root *root);
Value search_steps(Sched *s, const Root *root);             // how many there are
Value search_middle(Sched *s, const Root *root, Value end); // where to look next
void search_step(Sched *s, Root *root);
void search_finish(Sched *s, Root *root);
Value reduce_build(Builder *b, ReduceKind kind, Value acc, Value v); // acc combined with v

// ---- region.c: units, regions, sequential loops
void emit_phase(Sched *s, InstId phase);
Value *emit_region(Sched *s, Region region, unsigned *yield_count); // scalars that it yields
bool axis_breaks(const Sched *s, const Inst *in); // an axis whose bounds must be computed first
Value emit_global(Sched *s, Value v); // before the phases; {0}: depends on what is inside

// ---- versions.c: exact edges
void emit_versions(Sched *s, const Axis *axes, unsigned count, Region body);

// ---- split.c: triangular loops
Value split_bound(const Sched *s,
                  const Inst *loop);  // tile value that ends each lane's range; {0}: none
Value split_least(Sched *s, Value v); // its least value over the lanes of the current tiles
void split_assume(Sched *s, const Inst *loop, Value h,
                  bool all); // all lanes in range: masks are true

// ---- fold.c
void emit_fold(Sched *s, const Root *root);
bool phase_has_fold(const Sched *s, Region region);
Value fold_chunks(Sched *s, Region region,
                  Value tiles); // number of units; makes the partial results
void fold_clear(Sched *s);      // this unit's, to the identity
void fold_combine(Sched *s);    // a phase that adds the units up, in order

#endif
