// Searches small sizes and lanes for an access that is out of bounds. With every free tile of one
// lane (a block that a Config may choose) the scalar meaning of the operations decides; what
// depends on data or scalar arguments is unknown, and an unknown condition makes no example.
//
//     x: f32[N], k in 0 .. K, x[k]    ->    N = 1, K = 2: k = 1
//
// Sizes start at 1: what goes wrong only for empty tensors is left to the check at run time.
#include "ir/eval.h"
#include "passes/check.h"

static const int64_t VALUE_MAX = (int64_t)1 << 48; // ranges beyond are none of a small example

enum {
    DIMS_MAX = 12,
    FUEL = 40000,
    EVAL_DEPTH = 48,
    CANDIDATES = 16,
    LANES_MAX = 48,
    SAMPLES = 600,
    PATIENCE = 100
};

typedef struct Search {
    const Func *f;
    const Access *access;
    uint32_t position;
    int64_t *dims;                // [dim]
    bool *used_dims, *shown_dims; // [dim]: that matter at all; to the access itself
    int64_t lanes[64];
    AxisSet axes; // that the access depends on
    Axis order[64];
    uint32_t axis_count;
    int64_t candidates[CANDIDATES];
    uint32_t candidate_count;
    uint32_t fuel;
    bool stuck; // the axes have no order
    int64_t index, size;
    bool decided; // everything about some lanes was evaluated
} Search;

static bool eval(Search *s, Value v, unsigned depth, uint64_t *out);

static bool eval_int(Search *s, Value v, int64_t *out)
{
    uint64_t bits;
    if (!v.i || !eval(s, v, EVAL_DEPTH, &bits)) return false;
    *out = (int64_t)bits;
    return true;
}

static bool eval_range(Search *s, Axis a, int64_t *lo, int64_t *hi)
{
    const AxisInfo *info = axis_at(s->f, a);
    if (!info->decl.i) return false;
    const Inst *in = inst_at(s->f, info->decl);
    if (in->arg_count < 2 || !eval_int(s, inst_arg(s->f, in, 0), lo) ||
        !eval_int(s, inst_arg(s->f, in, 1), hi))
        return false;
    return *lo > -VALUE_MAX && *lo<VALUE_MAX && * hi> - VALUE_MAX && *hi < VALUE_MAX;
}

// The current tile: one lane of a free tile, else what `by` says; a whole axis is its own tile.
static bool eval_tile(Search *s, Axis a, int64_t *begin, int64_t *end, int64_t *block)
{
    const AxisInfo *info = axis_at(s->f, a);
    int64_t lo, hi, lane = s->lanes[a.i];
    if (!eval_range(s, a, &lo, &hi)) return false;
    *block = 1;
    const Inst *in = inst_at(s->f, info->decl);
    if (info->kind == AXIS_WHOLE)
        *block = hi > lo ? hi - lo : 1;
    else if (info->has_by && !info->scalar && in->arg_count > 2 &&
             !eval_int(s, inst_arg(s->f, in, 2), block))
        return false;
    if (*block < 1 || *block > VALUE_MAX || lane < lo) return false;
    *begin = lo + (lane - lo) / *block * *block;
    *end = *begin + *block < hi ? *begin + *block : hi;
    return true;
}

static bool eval_info(Search *s, const Inst *in, uint64_t *out)
{
    int64_t begin, end, block, lo, hi;
    Axis a = {in->attr.ref};
    if (!eval_tile(s, a, &begin, &end, &block) || !eval_range(s, a, &lo, &hi)) return false;
    int64_t x = 0;
    switch ((TileInfo)in->attr.kind) {
    case INFO_BEGIN: x = begin; break;
    case INFO_END: x = end; break;
    case INFO_SIZE: x = end - begin; break;
    case INFO_ID: x = (begin - lo) / block; break;
    case INFO_BLOCK: x = block; break;
    case INFO_COUNT: x = hi > lo ? (hi - lo + block - 1) / block : 0; break;
    case INFO_KINDS: return false;
    }
    *out = (uint64_t)x;
    return true;
}

// A reduction over one axis, lane by lane.
static bool eval_reduce(Search *s, Value v, const Inst *in, unsigned depth, uint64_t *out)
{
    AxisSet axes = in->attr.bits;
    ReduceKind kind = (ReduceKind)in->attr.kind;
    DType t = value_dtype(s->f, v);
    if (!axes || (axes & (axes - 1)) || kind == REDUCE_ARGMAX || kind == REDUCE_ARGMIN)
        return false;
    Axis a = {(uint32_t)__builtin_ctzll(axes)};
    int64_t begin, end, block, keep = s->lanes[a.i];
    if (!eval_tile(s, a, &begin, &end, &block) || end - begin > LANES_MAX) return false;
    *out = reduce_identity(kind, t);
    bool ok = true;
    for (int64_t i = begin; i < end && ok; i++) {
        uint64_t x, on = 1;
        s->lanes[a.i] = i;
        if (inst_mask(s->f, in).i) ok = eval(s, inst_mask(s->f, in), depth - 1, &on);
        if (!ok || !on) continue;
        ok = eval(s, inst_arg(s->f, in, 0), depth - 1, &x);
        if (ok) *out = reduce_combine(kind, t, *out, x);
    }
    s->lanes[a.i] = keep;
    return ok;
}

static bool eval_pure(Search *s, Value v, const Inst *in, unsigned depth, uint64_t *out)
{
    uint64_t args[4] = {0};
    Op op = (Op)in->op;
    if (in->arg_count == 0 || in->arg_count > 3 || in->result_count != 1) return false;
    if (op == OP_SELECT) {
        if (!eval(s, inst_arg(s->f, in, 0), depth - 1, &args[0])) return false;
        return eval(s, inst_arg(s->f, in, args[0] ? 1 : 2), depth - 1, out);
    }
    // `and` and `or` of a known operand that decides need not know the other.
    bool lazy = (op == OP_AND || op == OP_OR) && value_dtype(s->f, v) == DTYPE_BOOL;
    for (unsigned k = 0; k < 2 && lazy; k++) {
        if (!eval(s, inst_arg(s->f, in, k), depth - 1, out)) continue;
        if ((*out != 0) == (op == OP_OR)) return true;
    }
    for (unsigned k = 0; k < in->arg_count; k++)
        if (!eval(s, inst_arg(s->f, in, k), depth - 1, &args[k])) return false;
    return eval_op(op, value_dtype(s->f, inst_arg(s->f, in, 0)), value_dtype(s->f, v),
                   in->attr.kind, args, in->arg_count, out);
}

static bool eval(Search *s, Value v, unsigned depth, uint64_t *out)
{
    const Inst *in = value_def(s->f, v);
    if (!in || depth == 0 || s->fuel == 0) return false;
    s->fuel--;
    Op op = (Op)in->op;
    if (op == OP_CONST) return value_const(s->f, v, out);
    if (op == OP_DIM) {
        *out = (uint64_t)s->dims[in->attr.ref];
        return true;
    }
    if (op == OP_EXTENT) {
        const Inst *decl = inst_at(s->f, mem_at(s->f, (Mem){in->attr.ref})->decl);
        return decl->op == OP_TENSOR && in->attr.bits < decl->arg_count &&
               eval(s, inst_arg(s->f, decl, (unsigned)in->attr.bits), depth - 1, out);
    }
    if (op == OP_INDEX) {
        *out = (uint64_t)s->lanes[in->attr.ref];
        return true;
    }
    if (op == OP_TILEINFO) return eval_info(s, in, out);
    if (op == OP_REDUCE) return eval_reduce(s, v, in, depth, out);
    if (!(op_info[op].traits & TRAIT_PURE) || op == OP_ARG) return false;
    return eval_pure(s, v, in, depth, out);
}

// ---- what matters

static void add_candidate(Search *s, int64_t c)
{
    for (uint32_t i = 0; i < s->candidate_count; i++)
        if (s->candidates[i] == c) return;
    if (c >= 0 && c < 1 << 20 && s->candidate_count < CANDIDATES)
        s->candidates[s->candidate_count++] = c;
}

static void need(Search *s, Value v, unsigned depth)
{
    const Inst *in = v.i ? value_def(s->f, v) : NULL;
    if (!in || depth == 0 || s->fuel == 0) return;
    s->fuel--;
    int64_t c;
    if (value_const_int(s->f, v, &c) && c > 4 && c < VALUE_MAX)
        add_candidate(s, c), add_candidate(s, c + 1), add_candidate(s, 2 * c);
    if (in->op == OP_DIM) s->used_dims[in->attr.ref] = true;
    AxisSet axes = in->op == OP_REDUCE ? in->attr.bits : 0;
    if (in->op == OP_INDEX || in->op == OP_TILEINFO) axes |= axis_bit((Axis){in->attr.ref});
    if (in->op == OP_EXTENT) {
        const Inst *decl = inst_at(s->f, mem_at(s->f, (Mem){in->attr.ref})->decl);
        if (decl->op == OP_TENSOR && in->attr.bits < decl->arg_count)
            need(s, inst_arg(s->f, decl, (unsigned)in->attr.bits), depth - 1);
    }
    for (uint32_t a = 1; a < s->f->axes.count; a++) {
        if (!(axes >> a & 1) || (s->axes >> a & 1)) continue;
        s->axes |= (AxisSet)1 << a;
        if (!s->f->axes.data[a].decl.i) continue;
        const Inst *decl = inst_at(s->f, s->f->axes.data[a].decl);
        for (unsigned k = 0; k < decl->arg_count && k < 3; k++)
            need(s, inst_arg(s->f, decl, k), depth - 1);
    }
    for (unsigned k = 0; k < in->arg_count; k++) need(s, inst_arg(s->f, in, k), depth - 1);
}

// The axes that decide v.
static AxisSet axes_of(Search *s, Value v, unsigned depth)
{
    const Inst *in = v.i ? value_def(s->f, v) : NULL;
    if (!in || depth == 0 || s->fuel == 0) return 0;
    s->fuel--;
    AxisSet axes = in->op == OP_REDUCE ? in->attr.bits : 0;
    if (in->op == OP_INDEX || in->op == OP_TILEINFO) axes |= axis_bit((Axis){in->attr.ref});
    for (unsigned k = 0; k < in->arg_count; k++)
        axes |= axes_of(s, inst_arg(s->f, in, k), depth - 1);
    return axes;
}

// Axes in the order in which their ranges can be evaluated: after those that decide them.
static void order_axes(Search *s)
{
    AxisSet done = 0;
    for (bool more = true; more;) {
        more = false;
        for (uint32_t a = 1; a < s->f->axes.count && a < 64; a++) {
            if (!(s->axes >> a & 1) || (done >> a & 1) || !s->f->axes.data[a].decl.i) continue;
            const Inst *decl = inst_at(s->f, s->f->axes.data[a].decl);
            AxisSet needs = 0;
            for (unsigned k = 0; k < decl->arg_count && k < 3; k++)
                needs |= axes_of(s, inst_arg(s->f, decl, k), EVAL_DEPTH);
            if (needs & s->axes & ~done) continue;
            s->order[s->axis_count++] = (Axis){a};
            done |= (AxisSet)1 << a;
            more = true;
        }
    }
    s->stuck = done != s->axes;
}

static void find_needs(Search *s)
{
    const Func *f = s->f;
    const Inst *in = inst_at(f, s->access->inst);
    const MemInfo *mem = mem_at(f, s->access->mem);
    for (int64_t c = 1; c <= 4; c++) add_candidate(s, c);
    need(s, access_index(f, s->access, s->position), EVAL_DEPTH);
    need(s, inst_arg(f, inst_at(f, mem->decl), s->position), EVAL_DEPTH);
    need(s, inst_mask(f, in), EVAL_DEPTH);
    for (InstId o = inst_owner(f, s->access->inst); o.i; o = inst_owner(f, o))
        if (inst_at(f, o)->op == OP_IF) need(s, inst_arg(f, inst_at(f, o), 0), EVAL_DEPTH);
    memcpy(s->shown_dims, s->used_dims, f->dims.count);
    // Requirements and sizes may tie sizes that matter to others; twice reaches what they reach.
    for (int round = 0; round < 2; round++) {
        for_each_inst(f, f->body, id) {
            const Inst *p = inst_at(f, id);
            if (p->op != OP_REQUIRE && p->op != OP_TENSOR) continue;
            for (unsigned k = 0; k < p->arg_count; k++) need(s, inst_arg(f, p, k), EVAL_DEPTH);
        }
    }
    order_axes(s);
}

// ---- the search

static bool condition_holds(Search *s, Value v, bool truth)
{
    uint64_t bits;
    return eval(s, v, EVAL_DEPTH, &bits) && (bits != 0) == truth;
}

static bool happens(Search *s)
{
    const Func *f = s->f;
    Value mask = s->access->mask;
    if (mask.i && !condition_holds(s, mask, true)) return false;
    for (InstId at = s->access->inst, o = inst_owner(f, at); o.i; at = o, o = inst_owner(f, o)) {
        const Inst *in = inst_at(f, o);
        int64_t lo, hi;
        if ((in->op == OP_GRID || in->op == OP_LOOP) &&
            eval_range(s, (Axis){in->attr.ref}, &lo, &hi) && hi <= lo)
            return false;
        if (in->op == OP_IF && !condition_holds(s, inst_arg(f, in, 0),
                                                inst_at(f, at)->parent.i == inst_region(in, 0).i))
            return false;
    }
    if (!eval_int(s, access_index(f, s->access, s->position), &s->index) ||
        !eval_int(s, inst_arg(f, inst_at(f, mem_at(f, s->access->mem)->decl), s->position),
                  &s->size))
        return false;
    s->decided = true;
    return s->index < 0 || s->index >= s->size;
}

static bool search_lanes(Search *s, uint32_t k)
{
    if (s->fuel == 0) return false;
    if (k == s->axis_count) return happens(s);
    int64_t lo, hi;
    Axis a = s->order[k];
    if (!eval_range(s, a, &lo, &hi) || hi <= lo) return false;
    int64_t tries[4] = {hi - 1, lo, lo + 1, lo + (hi - lo) / 2};
    for (unsigned i = 0; i < 4; i++) {
        bool again = tries[i] >= hi;
        for (unsigned j = 0; j < i; j++) again |= tries[j] == tries[i];
        if (again) continue;
        s->lanes[a.i] = tries[i];
        if (search_lanes(s, k + 1)) return true;
    }
    return false;
}

static bool launch_accepts(Search *s)
{
    const Func *f = s->f;
    for_each_inst(f, f->body, id) {
        const Inst *in = inst_at(f, id);
        if (in->op == OP_REQUIRE && !condition_holds(s, inst_arg(f, in, 0), true)) return false;
        for (unsigned k = 0; in->op == OP_TENSOR && k < in->arg_count; k++) {
            int64_t size;
            // A size that depends on a scalar argument is some number.
            if (eval_int(s, inst_arg(f, in, k), &size) && size < 0) return false;
        }
    }
    return true;
}

static void describe(Search *s, Example *out)
{
    *out = (Example){.index = s->index, .size = s->size};
    for (uint32_t d = 0; d < s->f->dims.count && out->name_count < 16; d++)
        if (s->shown_dims[d])
            out->names[out->name_count++] = (ExampleName){s->f->dims.data[d].name, s->dims[d]};
    for (uint32_t k = 0; k < s->axis_count && out->name_count < 16; k++)
        out->names[out->name_count++] =
            (ExampleName){check_axis_name(s->f, s->order[k]), s->lanes[s->order[k].i]};
}

static uint64_t next_random(uint64_t *state)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return *state >> 33;
}

bool example_find(Arena *arena, const Func *f, const Access *access, uint32_t position,
                  Example *out)
{
    const MemInfo *mem = mem_at(f, access->mem);
    if (!mem->decl.i || inst_at(f, mem->decl)->op != OP_TENSOR || f->axes.count > 64) return false;
    Search s = {.f = f, .access = access, .position = position, .fuel = FUEL};
    s.dims = arena_array(arena, int64_t, f->dims.count + 1);
    s.used_dims = arena_array(arena, bool, f->dims.count + 1);
    s.shown_dims = arena_array(arena, bool, f->dims.count + 1);
    for (uint32_t d = 0; d < f->dims.count; d++) s.dims[d] = 1;
    find_needs(&s);
    if (s.stuck || !s.fuel) return false;
    s.fuel = FUEL;
    uint32_t used[DIMS_MAX], n = 0;
    for (uint32_t d = 0; d < f->dims.count; d++)
        if (s.used_dims[d] && n < DIMS_MAX) used[n++] = d;
    uint64_t random = 1;
    uint32_t rounds = n ? SAMPLES : 1;
    for (uint32_t i = 0; i < rounds && s.fuel; i++) {
        // The first rounds give all sizes the same small values but one.
        for (uint32_t k = 0; k < n; k++) {
            uint64_t pick = next_random(&random);
            s.dims[used[k]] =
                i < n + 1 ? (k + 1 == i ? 1 : 2) : s.candidates[pick % s.candidate_count];
        }
        if (i > PATIENCE && !s.decided) return false; // unknown conditions
        if (!launch_accepts(&s) || !search_lanes(&s, 0)) continue;
        describe(&s, out);
        return true;
    }
    return false;
}
