// Short ranges that move with an index become axes of their own, of constant size:
//
//   y[n] = sum[k in max(n - 1, 0) .. min(n + 2, N)](x[k])
//   axis k (hull of all n's ranges), mask    ->   axis k (0, 3), n - 1 + k for its index, mask
//
// so that a tile of 64 windows of three does not go through 66 indices for each of them. The
// range's mask stays, but for a bound that is met by construction; it also guards the loads, whose
// indices may lie outside of the tensor now. Products of rows and columns, over the range or for
// each index of it, are left where the range is not very short: their rows share what the hull has.
#include "ir/symbolic.h"
#include "passes/pass.h"

enum { WINDOW_MOST = 4096, INNER_PRODUCT_MOST = 32, PRODUCT_MOST = 8, ENDS_MOST = 8 };

typedef struct Window {
    Func *f;
    Axis axis;
    Value lo, hi; // by lane
    Value base;   // lo or less
    int64_t count;
    bool from_lo, to_hi; // base is lo; base + count is hi
    AxisSet *axes;       // [value]: of its type afterwards
    bool *stale;         // [value]: no longer what it was
} Window;

// ---- how long

// What is the lesser (or the larger) of several; returns how many these are.
static unsigned ends_of(const Func *f, Value v, Op op, Value *out, unsigned n)
{
    const Inst *in = value_def(f, v);
    if (in && in->op == op) {
        n = ends_of(f, inst_arg(f, in, 0), op, out, n);
        return ends_of(f, inst_arg(f, in, 1), op, out, n);
    }
    if (n < ENDS_MOST) out[n++] = v;
    return n;
}

// What a bound of the hull is the least or largest of.
static Value bound_by_lane(const Func *f, Value v, ReduceKind kind)
{
    const Inst *in = value_def(f, v);
    bool hull = in && in->op == OP_REDUCE && (in->flags & INST_IMPLICIT) &&
                in->attr.kind == (uint32_t)kind && !(in->flags & INST_MASKED);
    return hull ? inst_arg(f, in, 0) : (Value){0};
}

static bool measure(Window *w, Sym *sym)
{
    Value lows[ENDS_MOST], highs[ENDS_MOST];
    unsigned low_count = ends_of(w->f, w->lo, OP_MAX, lows, 0);
    unsigned high_count = ends_of(w->f, w->hi, OP_MIN, highs, 0);
    w->count = WINDOW_MOST + 1;
    for (unsigned i = 0; i < low_count; i++)
        for (unsigned j = 0; j < high_count; j++) {
            int64_t n;
            Poly size =
                poly_sub(sym->arena, sym_value(sym, highs[j], NULL), sym_value(sym, lows[i], NULL));
            if (!poly_is_const(size, &n) || n < 1 || n >= w->count) continue;
            w->count = n;
            w->base = lows[i];
            w->from_lo = low_count == 1;
            w->to_hi = high_count == 1;
        }
    return w->count <= WINDOW_MOST && value_axes(w->f, w->base);
}

// ---- whether all that has the axis can follow

static AxisSet args_axes(const Window *w, const Inst *in, unsigned count)
{
    AxisSet axes = 0;
    for (unsigned k = 0; k < count; k++) axes |= w->axes[inst_arg(w->f, in, k).i];
    return axes;
}

static bool reads_stale(const Window *w, const Inst *in, unsigned count)
{
    for (unsigned k = 0; k < count; k++)
        if (w->stale[inst_arg(w->f, in, k).i]) return true;
    return false;
}

// A load's mask, which lanes of more axes shared, for loads that have these axes themselves.
static Value own_mask(const Window *w, const Inst *load, AxisSet axes)
{
    Value mask = inst_mask(w->f, load);
    const Inst *shared = mask.i ? value_def(w->f, mask) : NULL;
    bool any = shared && shared->op == OP_REDUCE && (shared->flags & INST_IMPLICIT) &&
               shared->attr.kind == REDUCE_ANY && !(shared->attr.bits & ~axes);
    return any ? inst_arg(w->f, shared, 0) : mask;
}

static bool follows_load(const Window *w, const Inst *in)
{
    unsigned indices = in->arg_count - (in->flags & INST_MASKED ? 1u : 0u);
    AxisSet axes = args_axes(w, in, indices);
    Value mask = own_mask(w, in, axes);
    if (reads_stale(w, in, indices)) return false;
    if (mask.i && (w->stale[mask.i] || (w->axes[mask.i] & ~axes))) return false;
    w->axes[inst_result(in, 0).i] = axes;
    return true;
}

static bool follows_reduce(const Window *w, const Inst *in)
{
    Value result = inst_result(in, 0);
    AxisSet over = in->attr.bits, axes = args_axes(w, in, in->arg_count) & ~over;
    bool shared = over & value_axes(w->f, w->base);
    w->axes[result.i] = axes;
    if (shared) { // the index stands for another element in each of the lanes that meet here
        w->stale[result.i] = true;
        return (in->flags & INST_IMPLICIT) && in->attr.kind == REDUCE_ANY;
    }
    if (!(over >> w->axis.i & 1))
        return !reads_stale(w, in, in->arg_count) &&
               (w->count <= INNER_PRODUCT_MOST ||
                contraction_pair(w->f, in, axes, (Value[2]){{0}}) != PAIR_PRODUCT);
    bool finds = in->attr.kind == REDUCE_ARGMAX || in->attr.kind == REDUCE_ARGMIN;
    return !finds && (in->flags & INST_MASKED) && !reads_stale(w, in, in->arg_count) &&
           axes == value_axes(w->f, result) &&
           (w->count <= PRODUCT_MOST ||
            contraction_pair(w->f, in, axes, (Value[2]){{0}}) != PAIR_PRODUCT);
}

static bool has_axis(const Window *w, const Inst *in)
{
    if (in->op == OP_TILEINFO || in->op == OP_SEARCH || in->op == OP_INDEX)
        if (in->attr.ref == w->axis.i) return true;
    AxisSet axes = args_axes(w, in, in->arg_count);
    for (unsigned k = 0; k < in->result_count; k++) axes |= value_axes(w->f, inst_result(in, k));
    if (in->op == OP_REDUCE) axes |= in->attr.bits;
    return axes >> w->axis.i & 1;
}

static bool follows(const Window *w, const Inst *in)
{
    if (!has_axis(w, in)) return !reads_stale(w, in, in->arg_count);
    switch (in->op) {
    case OP_INDEX:
        w->axes[inst_result(in, 0).i] = axis_bit(w->axis) | value_axes(w->f, w->base);
        return true;
    case OP_LOAD_TILE: return follows_load(w, in);
    case OP_REDUCE: return follows_reduce(w, in);
    case OP_TAKE:
    case OP_SORT:
    case OP_COMBINE:
    case OP_TILEINFO:
    case OP_SEARCH: return false;
    default: break;
    }
    if (!(op_info[in->op].traits & TRAIT_PURE) || in->region_count || !in->arg_count) return false;
    w->axes[inst_result(in, 0).i] = args_axes(w, in, in->arg_count);
    return !reads_stale(w, in, in->arg_count);
}

static bool all_follow(const Window *w, Region r)
{
    for_each_inst(w->f, r, id) {
        const Inst *in = inst_at(w->f, id);
        if (!follows(w, in)) return false;
        for (unsigned k = 0; k < in->region_count; k++)
            if (!all_follow(w, inst_region(in, k))) return false;
    }
    return true;
}

// ---- the change

// A bound that the axis's index meets wherever it is.
static bool is_met(const Window *w, const Inst *in)
{
    bool low = in->op == OP_LE && w->from_lo && inst_arg(w->f, in, 0).i == w->lo.i;
    bool high = in->op == OP_LT && w->to_hi && inst_arg(w->f, in, 1).i == w->hi.i;
    if (!low && !high) return false;
    const Inst *index = value_def(w->f, inst_arg(w->f, in, low ? 1 : 0));
    return index && index->op == OP_INDEX && index->attr.ref == w->axis.i;
}

static void replace(Func *f, InstId id, Value by)
{
    func_replace_uses(f, inst_result(inst_at(f, id), 0), by);
    inst_unlink(f, id);
}

static Value moved_index(const Window *w, Builder *b)
{
    return build_op2(b, OP_ADD, build_index(b, w->axis), w->base);
}

// What of the range is not met by construction; {0}: nothing.
static Value in_range(const Window *w)
{
    InstId decl = axis_at(w->f, w->axis)->decl;
    const Inst *in = inst_at(w->f, decl);
    Builder b = {w->f, in->parent, in->next, in->span};
    if (w->from_lo && w->to_hi) return (Value){0};
    Value index = moved_index(w, &b), below = {0}, above = {0};
    if (!w->to_hi) below = build_op2(&b, OP_LT, index, w->hi);
    if (!w->from_lo) above = build_op2(&b, OP_LE, w->lo, index);
    return !below.i ? above : !above.i ? below : build_op2(&b, OP_AND, below, above);
}

static void guard_load(const Window *w, InstId id, Value range)
{
    const Inst in = *inst_at(w->f, id);
    Builder b = {w->f, in.parent, id, in.span};
    unsigned indices = in.arg_count - (in.flags & INST_MASKED ? 1u : 0u);
    Value args[RANK_MAX + 1], mask = own_mask(w, &in, w->axes[inst_result(&in, 0).i]);
    for (unsigned k = 0; k < indices; k++) args[k] = inst_arg(w->f, &in, k);
    if (mask.i && range.i) mask = build_op2(&b, OP_AND, mask, range);
    if (!mask.i) mask = range;
    args[indices] = mask;
    Type type = value_type(w->f, inst_result(&in, 0));
    InstId load = build_inst(&b, OP_LOAD_TILE,
                             (BuildSpec){.args = args,
                                         .arg_count = indices + (mask.i ? 1u : 0u),
                                         .results = &type,
                                         .result_count = 1,
                                         .attr = in.attr,
                                         .flags = in.flags | (mask.i ? INST_MASKED : 0u)});
    replace(w->f, id, inst_result(inst_at(w->f, load), 0));
}

static void move_in(const Window *w, Region r, Value range, uint32_t before)
{
    for (InstId id = region_at(w->f, r)->first, next; id.i; id = next) {
        const Inst in = *inst_at(w->f, id);
        next = in.next;
        Builder b = {w->f, in.parent, id, in.span};
        for (unsigned k = 0; k < in.region_count; k++)
            move_in(w, inst_region(&in, k), range, before);
        if (id.i >= before) continue; // made here
        if (is_met(w, &in))
            replace(w->f, id, build_bits(&b, type_scalar(DTYPE_BOOL), 1));
        else if (in.op == OP_INDEX && in.attr.ref == w->axis.i)
            replace(w->f, id, moved_index(w, &b));
        else if (in.op == OP_LOAD_TILE && w->axes[inst_result(&in, 0).i] & axis_bit(w->axis))
            guard_load(w, id, range);
    }
}

static void move(const Window *w)
{
    uint32_t before = w->f->insts.count, values = w->f->values.count;
    InstId decl = axis_at(w->f, w->axis)->decl;
    const Inst *in = inst_at(w->f, decl);
    Builder b = {w->f, in->parent, decl, in->span};
    Value bounds[2] = {build_i64(&b, 0), build_i64(&b, w->count)};
    Value range = in_range(w);
    for (uint32_t v = 1; v < values; v++) w->f->values.data[v].type.axes = w->axes[v];
    for (unsigned k = 0; k < 2; k++) func_set_arg(w->f, decl, k, bounds[k]);
    move_in(w, w->f->body, range, before);
}

static bool move_axis(Func *f, const PassContext *context, Sym *sym, Axis a)
{
    const AxisInfo *axis = axis_at(f, a);
    if (axis->kind != AXIS_WHOLE || !axis->decl.i) return false;
    const Inst *decl = inst_at(f, axis->decl);
    Window w = {.f = f, .axis = a};
    w.lo = bound_by_lane(f, inst_arg(f, decl, 0), REDUCE_MIN);
    w.hi = bound_by_lane(f, inst_arg(f, decl, 1), REDUCE_MAX);
    if (!w.lo.i || !w.hi.i || !measure(&w, sym)) return false;
    w.axes = arena_array(context->arena, AxisSet, f->values.count);
    w.stale = arena_array(context->arena, bool, f->values.count);
    for (uint32_t v = 1; v < f->values.count; v++) w.axes[v] = value_axes(f, (Value){v});
    if (!all_follow(&w, f->body)) return false;
    move(&w);
    return true;
}

bool pass_window(Func *f, const PassContext *context)
{
    bool changed = false;
    for (unsigned a = 1; a < f->axes.count; a++)
        changed |= move_axis(f, context, sym_new(context->arena, f), (Axis){a});
    if (changed) pass_dce(f, context);
    return changed;
}
