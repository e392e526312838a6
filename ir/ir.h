// One SSA core for both levels. A Func is a tree of regions; a region is a list of instructions; an
// instruction has operands, results and perhaps regions. Tile IR says what (values over sets of
// named axes, no sizes), Loop IR says how (loops, lanes, memory). docs/ir.md has the text form and
// every op.
#ifndef HK_IR_IR_H
#define HK_IR_IR_H

#include "ir/base/diag.h"
#include "ir/type.h"

// Handles: one-word structs that do not mix; 0 is none.
typedef struct {
    uint32_t i;
} Value;
typedef struct {
    uint32_t i;
} InstId;
typedef struct {
    uint32_t i;
} Region;
typedef struct {
    uint32_t i;
} Axis; // 1 .. 63
typedef struct {
    uint32_t i;
} Mem;

static inline AxisSet axis_bit(Axis a)
{
    return (AxisSet)1 << a.i;
}

typedef enum Op {
    OP_NONE,
#define OP(id, mnemonic, arity, rule, attr, levels, traits, meaning) OP_##id,
#include "ir/ops.def"
    OP_COUNT
} Op;

enum {
    TRAIT_PURE = 1,
    TRAIT_COMM = 2,
    TRAIT_READS = 4,
    TRAIT_WRITES = 8,
    TRAIT_REGION = 16,
    TRAIT_END = 32,
    TRAIT_TRAP = 64,
    TRAIT_EFFECT = 128
};
typedef enum OpRule { RULE_NONE, RULE_SAME, RULE_BOOL, RULE_GIVEN, RULE_LIKE_REGION } OpRule;
typedef enum OpAttr {
    ATTR_NONE,
    ATTR_CONST,
    ATTR_AXIS,
    ATTR_AXES,
    ATTR_COMBINE,
    ATTR_SORT,
    ATTR_MEM,
    ATTR_DIM,
    ATTR_ARG,
    ATTR_DTYPE,
    ATTR_SITE,
    ATTR_LOOP,
    ATTR_INFO,
    ATTR_REFINE,
    ATTR_ALIGN
} OpAttr;
enum { LEVEL_TILE = 1, LEVEL_LOOP = 2, LEVEL_BOTH = 3 };
enum { ARITY_N = 255 };

typedef struct OpInfo {
    const char *mnemonic, *meaning;
    uint8_t arity, rule, attr, levels; // OpRule, OpAttr, LEVEL_*
    uint16_t traits;
} OpInfo;

extern const OpInfo op_info[OP_COUNT];
Op op_find(Str mnemonic);

typedef enum ReduceKind {
    REDUCE_SUM,
    REDUCE_PROD,
    REDUCE_MAX,
    REDUCE_MIN,
    REDUCE_ANY,
    REDUCE_ALL,
    REDUCE_ARGMAX,
    REDUCE_ARGMIN,
    REDUCE_AND,
    REDUCE_OR,
    REDUCE_XOR, // bitwise, for fold
    REDUCE_COUNT
} ReduceKind;
extern const char *const reduce_name[REDUCE_COUNT]; // "sum", "prod", ...

// What an atomic update does: as the ReduceKind of that name, or these.
typedef enum AtomicKind {
    ATOMIC_XCHG = REDUCE_COUNT, // the new value, whatever was there
    ATOMIC_CAS,                 // the desired one, if the bits there are those of the expected one
    ATOMIC_COUNT
} AtomicKind;
extern const char *const atomic_name[ATOMIC_COUNT]; // "sum", ..., "xchg", "cas"
static inline bool atomic_is_update(unsigned kind)  // the order of several does not matter
{
    return kind < REDUCE_COUNT;
}

typedef enum CombineKind { COMBINE_REDUCE, COMBINE_SCAN, COMBINE_KINDS } CombineKind;
typedef enum LoopKind { LOOP_SERIAL, LOOP_GRID, LOOP_COUNT } LoopKind;
typedef enum TileInfo {
    INFO_BEGIN,
    INFO_END,
    INFO_SIZE,
    INFO_ID,
    INFO_BLOCK,
    INFO_COUNT,
    INFO_KINDS
} TileInfo;
typedef enum Refine {
    REFINE_RANGE,
    REFINE_PARTITION,
    REFINE_PERMUTATION,
    REFINE_DISTINCT,
    REFINE_KINDS
} Refine;

typedef struct Attr {
    uint64_t bits; // constant, axis set, dimension, positions ...
    uint32_t ref;  // Axis, Mem, dim, argument or site
    uint32_t kind; // ReduceKind, LoopKind, DType, TileInfo, Refine
} Attr;

enum {
    INST_MASKED = 1,  // the last operand is the mask
    INST_DEAD = 2,    // unlinked
    INST_STREAM = 4,  // store: non-temporal
    INST_REVERSE = 8, // loop: from the last tile to the first; combine, sort: see ops.def
    INST_IMPLICIT =
        16, // made by the compiler, exempt from the block rule (hulls of dependent ranges)
    INST_EXCLUSIVE = 64, // combine: the state before the index
    INST_UNORDERED = 32, // tstore: the user's word that writes do not collide
    INST_WHILE = 128 // loop, for: the yield's last value, one more than the results, is whether to
                     // go on
};

typedef struct Inst {
    uint16_t op; // Op
    uint8_t flags, region_count;
    uint16_t arg_count, result_count;
    uint32_t args;    // offset in Func.operands
    uint32_t results; // first result; results are consecutive values
    uint32_t regions; // first region; regions are consecutive
    Region parent;
    InstId prev, next; // in the parent region
    Attr attr;
    Span span;
} Inst;

typedef struct ValueInfo {
    Type type;
    InstId def;        // 0: a region argument
    Region region;     // of a region argument
    uint32_t index;    // which result or which region argument
    uint32_t use_hint; // scratch for a pass; meaningless between passes
    Str name;          // for reading; may be empty
} ValueInfo;

typedef struct RegionInfo {
    InstId owner; // 0: the function body
    InstId first, last;
    uint32_t args; // first region argument; consecutive values
    uint32_t arg_count;
} RegionInfo;

typedef enum AxisKind { AXIS_GRID, AXIS_LOOP, AXIS_WHOLE } AxisKind;
typedef struct AxisInfo {
    Str name; // unique in the Func (m, m_2, ...): the spelling that Config knobs use
    AxisKind kind;
    bool scalar; // `for`: one index at a time; `index` of it has no axes
    bool has_by; // the block is part of the meaning, not a knob
    InstId decl; // the grid, loop or axis instruction
    Span span;
} AxisInfo;

typedef enum MemKind {
    MEM_IN,
    MEM_OUT,
    MEM_INOUT,
    MEM_WORKSPACE,
    MEM_PARTIAL,
    MEM_SCRATCH,
    MEM_KINDS
} MemKind;
typedef struct MemInfo {
    Str name;
    DType dtype; // storage type
    MemKind kind;
    uint8_t rank;
    bool has_init; // outputs and workspaces: filled with init_bits (of the arithmetic type) before
                   // the first phase
    bool partial;  // output declared `partial`: no coverage check
    uint64_t init_bits;
    InstId decl; // its tensor or scratch instruction
    Span span;
} MemInfo;

// How a named dimension is found: extent(mem, position) == scale * dim + offset, scale > 0. With
// scale 0, it is the one for which the size that `tensor` states is that extent: the size is affine
// in it, and its coefficients follow from dimensions that stand before.
typedef struct DimInfo {
    Str name;
    Mem mem;
    uint32_t position;
    int64_t scale, offset;
    Span span;
} DimInfo;

typedef struct ArgInfo {
    Str name;
    DType dtype; // arithmetic
    Span span;
} ArgInfo;

typedef enum SiteKind {
    SITE_BOUNDS,
    SITE_ASSERT,
    SITE_DIVIDE,
    SITE_REQUIRE,
    SITE_LANE,
    SITE_PRINT
} SiteKind;
typedef struct SiteInfo {
    SiteKind kind;
    Mem mem;           // bounds: the tensor
    uint32_t position; // bounds: which index
    Span span;
    Str message; // assert, require; lane: the axis along which a local value is indexed
} SiteInfo;

typedef struct Func {
    Arena *arena;
    uint8_t level; // LEVEL_TILE or LEVEL_LOOP
    Str name;
    Str source_name;  // file, for messages
    uint32_t version; // bumped by every change
    Region body;
    VEC(Inst) insts; // element 0 of insts, values, regions, axes, mems is unused
    VEC(ValueInfo) values;
    VEC(RegionInfo) regions;
    VEC(Value) operands;
    VEC(AxisInfo) axes;
    VEC(MemInfo) mems;   // parameters first, in the order of the signature
    VEC(DimInfo) dims;   // from 0
    VEC(ArgInfo) args;   // from 0
    VEC(SiteInfo) sites; // from 0
} Func;

Func *func_new(Arena *arena, uint8_t level, Str name);
Func *func_clone(Arena *arena, const Func *f); // same handles

static inline Inst *inst_at(const Func *f, InstId id)
{
    return &f->insts.data[id.i];
}
static inline ValueInfo *value_at(const Func *f, Value v)
{
    return &f->values.data[v.i];
}
static inline RegionInfo *region_at(const Func *f, Region r)
{
    return &f->regions.data[r.i];
}
static inline AxisInfo *axis_at(const Func *f, Axis a)
{
    return &f->axes.data[a.i];
}
static inline MemInfo *mem_at(const Func *f, Mem m)
{
    return &f->mems.data[m.i];
}
static inline Type value_type(const Func *f, Value v)
{
    return f->values.data[v.i].type;
}
static inline DType value_dtype(const Func *f, Value v)
{
    return (DType)f->values.data[v.i].type.dtype;
}
static inline AxisSet value_axes(const Func *f, Value v)
{
    return f->values.data[v.i].type.axes;
}
static inline Value inst_arg(const Func *f, const Inst *in, unsigned k)
{
    return f->operands.data[in->args + k];
}
static inline Value inst_result(const Inst *in, unsigned k)
{
    return (Value){in->results + k};
}
static inline Region inst_region(const Inst *in, unsigned k)
{
    return (Region){in->regions + k};
}
static inline Value region_arg(const Func *f, Region r, unsigned k)
{
    return (Value){region_at(f, r)->args + k};
}
// How many values a region of the instruction yields.
static inline unsigned inst_yield_count(const Inst *in)
{
    return in->result_count + ((in->flags & INST_WHILE) ? 1u : 0u);
}
// The mask operand or {0}; and the number of operands without it.
static inline Value inst_mask(const Func *f, const Inst *in)
{
    return in->flags & INST_MASKED ? inst_arg(f, in, in->arg_count - 1u) : (Value){0};
}
static inline unsigned inst_plain_args(const Inst *in)
{
    return in->arg_count - ((in->flags & INST_MASKED) ? 1u : 0u);
}
// Whether it decides what runs in its regions and how often; a `combine` is a value like any other.
static inline bool inst_structured(const Inst *in)
{
    return in->region_count && !(op_info[in->op].traits & TRAIT_PURE);
}
// How many values a `combine` carries along.
static inline unsigned combine_width(const Inst *in)
{
    return in->attr.kind == COMBINE_SCAN ? in->result_count / 2u : in->result_count;
}
// The defining instruction of v, NULL for a region argument.
static inline const Inst *value_def(const Func *f, Value v)
{
    return value_at(f, v)->def.i ? inst_at(f, value_at(f, v)->def) : NULL;
}

// Whether the state of a `combine` is just what its last index gives.
bool combine_takes_last(const Func *f, const Inst *in);

bool region_has_loop(const Func *f, Region r); // at any depth

#define for_each_inst(f, r, id)                                                                    \
    for (InstId id = region_at((f), (r))->first; id.i; id = inst_at((f), id)->next)
#define for_each_arg(f, in, k, v)                                                                  \
    for (unsigned k = 0; k < (in)->arg_count; k++)                                                 \
        for (Value v = inst_arg((f), (in), k), *once_##k = &v; once_##k; once_##k = NULL)

// ---- changing (build.c)

Value func_value(Func *f, Type type);
Region func_region(Func *f); // empty, without owner
Value region_add_arg(Func *f, Region r,
                     Type type); // only before another region's arguments are added
Axis func_axis(Func *f, Str name,
               AxisKind kind); // makes the name unique; {0} if there are 63 already
Mem func_mem(Func *f, MemInfo info);
uint32_t func_site(Func *f, SiteInfo info);
const Inst *mem_promise(const Func *f, Mem m); // its `refine`; NULL: none
Axis tile_of_axis(const Func *f, Axis a);      // whose current tile the axis runs over; {0}: none

// Where new instructions go: before `before`, or at the end of `region` if that is 0.
typedef struct Builder {
    Func *f;
    Region region;
    InstId before;
    Span span; // given to what is built
} Builder;

typedef struct BuildSpec { // everything build_inst can be told; unset members are 0
    const Value *args;
    unsigned arg_count;
    const Type *results; // for GIVEN and LIKE_REGION rules; NULL: inferred
    unsigned result_count;
    const Region *regions; // consecutive regions made for this instruction
    unsigned region_count;
    Attr attr;
    uint8_t flags;
} BuildSpec;

InstId build_inst(Builder *b, Op op, BuildSpec spec); // exactly this instruction; no folding
// Elementwise and other single-result pure ops: infer the type, fold constants and identities (x +
// 0, x * 1, select with equal arms, ...), put constants right. Operands must agree in dtype. Loop
// IR: a scalar operand meeting a vector is splat.
Value build_op1(Builder *b, Op op, Value a);
Value build_op2(Builder *b, Op op, Value a, Value c);
Value build_op3(Builder *b, Op op, Value a, Value c, Value d);
Value build_cast(Builder *b, Value a, DType to); // nothing if it is of that dtype
Value build_bits(Builder *b, Type type,
                 uint64_t bits); // constant, splat over lanes if the type has them
Value build_i64(Builder *b, int64_t x);
Value build_float(Builder *b, DType t, double x);
Value build_index(Builder *b, Axis a);
Value build_iota(Builder *b, DType t, unsigned lanes);        // 0, 1, 2 ... by lane
Value build_vreduce(Builder *b, ReduceKind kind, Value v); // a scalar: over the lanes of v

// Whether v is a constant; its bits, or its value as an integer or a double.
bool value_const(const Func *f, Value v, uint64_t *bits);
bool phase_writes(const Func *f, const Inst *in, Mem mem); // the phase that holds `in`
bool value_inside(const Func *f, Value v, Region r); // defined in r or a region within it
bool value_const_int(const Func *f, Value v, int64_t *x);
Value value_base(const Func *f, Value v, int64_t *plus); // v is this + *plus, a constant

void inst_unlink(Func *f, InstId id);                        // and marks it dead, with its regions
void inst_move(Func *f, InstId id, Region r, InstId before); // before 0: to the end
void inst_insert(Func *f, InstId id, Region r, InstId before); // of one that is in no list yet
void func_replace_uses(Func *f, Value of, Value by);           // in every live instruction
void func_set_arg(Func *f, InstId id, unsigned k, Value v);

// ---- text and laws

// Stable numbering in order of appearance; parse(print(f)) prints the same bytes.
void func_print(Buf *out, const Func *f);
Func *func_parse(Arena *arena, Str text, DiagList *diags, uint32_t source); // NULL after errors
// One message per broken law into diags (DIAG_IR_INVALID); true if there is none.
bool func_verify(const Func *f, DiagList *diags);

#endif
