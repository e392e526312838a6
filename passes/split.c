// Splits reductions over parallel parts, as the Config's split_AXIS says, for results that are too
// few to give all threads something to do, and stores along the same axes:
//
//   grid m { grid n { c = f (reduce.sum[k] (e)) } }
//     ->     grid k (0, K, by) { grid m { grid n { parts (k.id, m, n) = reduce.sum[k] (e) } } }
//            grid m_2 { grid n_2 { c = f (reduce.sum[s] (parts (s, m_2, n_2))) } }
//
// so that the order of additions follows from the Config, never from threads. Of several axes the
// longest is split. The first phase keeps the names of the axes, which knobs are for. Laws: the
// bounds of the axes are known; the result varies along grids of its phase and nothing else; a
// store's along all grids around it, and nothing else in the phase touches its memory; operands are
// pure, of loads that the phase does not write and of reductions that are split themselves.
#include "passes/pass.h"

enum {
    GRIDS_MOST = RANK_MAX - 1,
    WHOLES_MOST = 4,
    SUMS_MOST = 8,
    PARTS_MOST = 256, // that other parts add up again, each for itself
    AXES_MOST = GRIDS_MOST + 1 + WHOLES_MOST + SUMS_MOST,
    ARGS_MOST = 16,
    DEPTH = 64,
    VISITS_MOST = 1024, // of operands, of which one may be reached along many ways
    AXES_MAX = 64
};

typedef struct Split {
    Func *f;
    InstId root; // the reduction or the store
    // The grids, the axis that is split, the other whole ones, and those of sums of parts.
    Axis from[AXES_MOST], to[AXES_MOST];
    InstId grids[GRIDS_MOST];
    unsigned grid_count, axis_count, sum_count, visits;
    bool skips; // grids around the root along which it does not vary
    int64_t low, high;
    Value *map; // by value of before: its copy
    Builder b;
} Split;

static bool is_scalar_of_prologue(const Func *f, Value v)
{
    const Inst *in = value_def(f, v);
    return in && in->parent.i == f->body.i;
}

// The grids around a region that are among these axes, outermost first, whose ranges begin at 0 and
// end where the prologue says.
static bool find_grids(const Func *f, Region r, AxisSet axes, Split *split)
{
    AxisSet found = 0;
    InstId up[GRIDS_MOST];
    for (InstId owner; (owner = region_at(f, r)->owner).i; r = inst_at(f, owner)->parent) {
        const Inst *in = inst_at(f, owner);
        if (in->op == OP_PHASE) break;
        Axis a = {in->attr.ref};
        int64_t low;
        if (in->op == OP_GRID && !(axes & axis_bit(a))) {
            split->skips = true;
            continue;
        }
        if (in->op != OP_GRID || split->grid_count == GRIDS_MOST || axis_at(f, a)->scalar ||
            axis_at(f, a)->has_by || !value_const_int(f, inst_arg(f, in, 0), &low) || low ||
            !is_scalar_of_prologue(f, inst_arg(f, in, 1)))
            return false;
        up[split->grid_count++] = owner;
        found |= axis_bit(a);
    }
    for (unsigned k = 0; k < split->grid_count; k++) {
        split->grids[k] = up[split->grid_count - 1 - k];
        split->from[k] = (Axis){inst_at(f, split->grids[k])->attr.ref};
    }
    return found == axes;
}

// Whole axes, the longest first.
static bool find_wholes(const Func *f, AxisSet axes, Split *split)
{
    unsigned n = split->grid_count;
    for (unsigned a = 1; a < f->axes.count; a++) {
        const AxisInfo *axis = axis_at(f, (Axis){a});
        int64_t low, high;
        if (!(axes >> a & 1)) continue;
        if (n - split->grid_count > WHOLES_MOST || axis->kind != AXIS_WHOLE || !axis->decl.i ||
            tile_of_axis(f, (Axis){a}).i)
            return false;
        const Inst *decl = inst_at(f, axis->decl);
        if (!value_const_int(f, inst_arg(f, decl, 0), &low) ||
            !value_const_int(f, inst_arg(f, decl, 1), &high))
            return false;
        bool longest = n == split->grid_count || high - low > split->high - split->low;
        split->from[n] = longest ? split->from[split->grid_count] : (Axis){a};
        if (longest) split->from[split->grid_count] = (Axis){a};
        if (longest) split->low = low, split->high = high;
        n++;
    }
    split->axis_count = n;
    return n > split->grid_count;
}

static bool find(const Func *f, InstId id, bool ahead, Split *split);

// A reduction that was split is one of few parts, from a workspace; ahead of that, one that can be.
static bool is_of_parts(const Func *f, const Inst *in, bool ahead)
{
    Split other = {0};
    if (ahead) return find(f, (InstId){(uint32_t)(in - f->insts.data)}, true, &other);
    const Inst *load = value_def(f, inst_arg(f, in, 0));
    return in->arg_count == 1 && __builtin_popcountll(in->attr.bits) == 1 && load &&
           load->op == OP_LOAD_TILE && mem_at(f, (Mem){load->attr.ref})->kind == MEM_WORKSPACE &&
           find_wholes(f, in->attr.bits, &other) && other.high - other.low <= PARTS_MOST;
}

static bool can_copy(const Func *f, Value v, AxisSet axes, bool ahead, Split *split, int depth)
{
    if (is_scalar_of_prologue(f, v)) return true;
    const Inst *in = value_def(f, v);
    if (!in || !depth || in->region_count || in->arg_count > ARGS_MOST) return false;
    if (value_axes(f, v) & ~axes || ++split->visits > VISITS_MOST) return false;
    bool load = in->op == OP_LOAD_TILE && !phase_writes(f, in, (Mem){in->attr.ref});
    bool sum = in->op == OP_REDUCE && split->sum_count < SUMS_MOST && is_of_parts(f, in, ahead);
    bool whole = in->op == OP_REDUCE || in->op == OP_SORT || in->op == OP_TAKE ||
                 in->op == OP_SEARCH || in->op == OP_TILEINFO;
    if (!load && !sum && (whole || !(op_info[in->op].traits & TRAIT_PURE))) return false;
    if (sum) split->sum_count++;
    if (sum) axes |= in->attr.bits;
    for_each_arg(f, in, k, arg)
        if (!can_copy(f, arg, axes, ahead, split, depth - 1)) return false;
    return true;
}

static unsigned count_touches(const Func *f, Region r, Mem mem)
{
    unsigned count = 0;
    for_each_inst(f, r, id) {
        const Inst *in = inst_at(f, id);
        bool has = in->op == OP_LOAD_TILE || in->op == OP_STORE_TILE || in->op == OP_FOLD ||
                   in->op == OP_ATOMIC_TILE;
        count += has && in->attr.ref == mem.i;
        for (unsigned k = 0; k < in->region_count; k++)
            count += count_touches(f, inst_region(in, k), mem);
    }
    return count;
}

// A store whose indices are those of different axes. False: it has others.
static bool find_indices(const Func *f, const Inst *store, AxisSet *grids, AxisSet *wholes)
{
    *grids = *wholes = 0;
    for (unsigned k = 1; k < store->arg_count; k++) {
        const Inst *index = value_def(f, inst_arg(f, store, k));
        if (!index || index->op != OP_INDEX) return false;
        AxisSet bit = axis_bit((Axis){index->attr.ref});
        if ((*grids | *wholes) & bit || value_axes(f, inst_arg(f, store, k)) != bit) return false;
        *(axis_at(f, (Axis){index->attr.ref})->kind == AXIS_GRID ? grids : wholes) |= bit;
    }
    return !(value_axes(f, inst_arg(f, store, 0)) & ~(*grids | *wholes));
}

static bool find(const Func *f, InstId id, bool ahead, Split *split)
{
    const Inst *in = inst_at(f, id);
    AxisSet grids, wholes;
    *split = (Split){.root = id};
    if (in->op == OP_REDUCE && in->attr.kind <= REDUCE_ALL && !(in->flags & INST_IMPLICIT))
        grids = value_axes(f, inst_result(in, 0)), wholes = in->attr.bits;
    else if (in->op != OP_STORE_TILE || in->flags || !find_indices(f, in, &grids, &wholes))
        return false;
    if (!find_grids(f, in->parent, grids, split) || !find_wholes(f, wholes, split)) return false;
    if (in->op == OP_STORE_TILE) {
        InstId phase = region_at(f, in->parent)->owner;
        while (inst_at(f, phase)->op != OP_PHASE)
            phase = region_at(f, inst_at(f, phase)->parent)->owner;
        Region body = inst_region(inst_at(f, phase), 0);
        if (split->skips || count_touches(f, body, (Mem){in->attr.ref}) != 1) return false;
    }
    for_each_arg(f, in, n, arg)
        if (!can_copy(f, arg, grids | wholes, ahead, split, DEPTH)) return false;
    return true;
}

Axis split_axis(const Func *f, InstId root)
{
    Split split;
    return find(f, root, true, &split) ? split.from[split.grid_count] : (Axis){0};
}

// ---- the product's phase

static AxisSet renamed(const Split *split, AxisSet axes)
{
    AxisSet result = axes;
    for (unsigned k = 0; k < split->axis_count; k++)
        if (axes & axis_bit(split->from[k]))
            result = (result & ~axis_bit(split->from[k])) | axis_bit(split->to[k]);
    return result;
}

static void open_whole(Split *split, Axis from, Axis to)
{
    const Inst decl = *inst_at(split->f, axis_at(split->f, from)->decl);
    Value range[2];
    for (unsigned k = 0; k < 2; k++) {
        int64_t bound = 0;
        (void)value_const_int(split->f, inst_arg(split->f, &decl, k),
                              &bound); // find_wholes saw it
        range[k] = build_i64(&split->b, bound);
    }
    axis_at(split->f, to)->decl = build_inst(
        &split->b, OP_AXIS, (BuildSpec){.args = range, .arg_count = 2, .attr = {.ref = to.i}});
}

// The axes of a sum of parts; split_root saw that there is room for them.
static void open_sum(Split *split, AxisSet axes)
{
    for (unsigned a = 1; a < AXES_MAX; a++) {
        if (!(axes >> a & 1)) continue;
        Axis from = {a}, to = func_axis(split->f, axis_at(split->f, from)->name, AXIS_WHOLE);
        split->from[split->axis_count] = from;
        split->to[split->axis_count++] = to;
        open_whole(split, from, to);
    }
}

static Value copy_value(Split *split, Value v)
{
    Func *f = split->f;
    if (is_scalar_of_prologue(f, v)) return v;
    if (split->map[v.i].i) return split->map[v.i];
    Inst in = *value_def(f, v);
    Value args[ARGS_MOST] = {{0}};
    if (in.op == OP_REDUCE && !(renamed(split, in.attr.bits) & ~in.attr.bits))
        open_sum(split, in.attr.bits);
    for (unsigned k = 0; k < in.arg_count; k++) args[k] = copy_value(split, inst_arg(f, &in, k));
    Type type = value_type(f, v);
    type.axes = renamed(split, type.axes);
    Attr attr = in.attr;
    if (in.op == OP_REDUCE) attr.bits = renamed(split, attr.bits);
    for (unsigned k = 0; in.op == OP_INDEX && k < split->axis_count; k++)
        if (in.attr.ref == split->from[k].i) attr.ref = split->to[k].i;
    split->b.span = in.span;
    InstId id = build_inst(&split->b, (Op)in.op,
                           (BuildSpec){.args = args,
                                       .arg_count = in.arg_count,
                                       .results = &type,
                                       .result_count = 1,
                                       .attr = attr,
                                       .flags = in.flags});
    return split->map[v.i] = inst_result(inst_at(f, id), 0);
}

// A grid over the axis in the builder's region, which goes on inside.
static void open_grid(Split *split, Axis a, Value low, Value high, Value by)
{
    Func *f = split->f;
    Region body = func_region(f);
    Value args[3] = {low, high, by};
    InstId id = build_inst(&split->b, OP_GRID,
                           (BuildSpec){.args = args,
                                       .arg_count = by.i ? 3 : 2,
                                       .regions = &body,
                                       .region_count = 1,
                                       .attr = {.ref = a.i}});
    axis_at(f, a)->decl = id;
    axis_at(f, a)->has_by = by.i != 0;
    split->b.region = body;
    split->b.before = (InstId){0};
}

// The parts' results, declared where the prologue ends.
static Mem new_parts(Split *split, int64_t parts)
{
    Func *f = split->f;
    Value result = inst_result(inst_at(f, split->root), 0);
    Mem mem = func_mem(f, (MemInfo){.name = STR("parts"),
                                    .kind = MEM_WORKSPACE,
                                    .rank = (uint8_t)(split->grid_count + 1),
                                    .dtype = value_dtype(f, result)});
    InstId end = region_at(f, f->body)->first;
    while (inst_at(f, end)->op != OP_PHASE && inst_at(f, end)->op != OP_REPEAT)
        end = inst_at(f, end)->next;
    Builder b = {f, f->body, end, inst_at(f, split->root)->span};
    Value sizes[RANK_MAX] = {build_i64(&b, parts)};
    for (unsigned k = 0; k < split->grid_count; k++)
        sizes[k + 1] = inst_arg(f, inst_at(f, split->grids[k]), 1);
    mem_at(f, mem)->decl = build_inst(
        &b, OP_TENSOR,
        (BuildSpec){.args = sizes, .arg_count = split->grid_count + 1u, .attr = {.ref = mem.i}});
    return mem;
}

// A phase in front of the root's, down to where parts are computed.
static void open_phase(Split *split, InstId phase, int64_t by)
{
    Func *f = split->f;
    const unsigned n = split->grid_count;
    Region body = func_region(f);
    split->b = (Builder){f, f->body, phase, inst_at(f, phase)->span};
    build_inst(&split->b, OP_PHASE,
               (BuildSpec){.regions = &body, .region_count = 1, .attr = {.kind = LOOP_GRID}});
    split->b.region = body;
    split->b.before = (InstId){0};
    Value low = build_i64(&split->b, split->low), high = build_i64(&split->b, split->high);
    open_grid(split, split->to[n], low, high, build_i64(&split->b, by));
    for (unsigned k = 0; k < n; k++) {
        Value zero = build_i64(&split->b, 0);
        open_grid(split, split->to[k], zero, inst_arg(f, inst_at(f, split->grids[k]), 1),
                  (Value){0});
    }
    for (unsigned k = n + 1; k < split->axis_count; k++)
        open_whole(split, split->from[k], split->to[k]);
    split->b.span = inst_at(f, split->root)->span;
}

static void build_parts(Split *split, Mem parts)
{
    Func *f = split->f;
    const unsigned n = split->grid_count;
    const Inst in = *inst_at(f, split->root);
    Value args[2] = {{0}}, store[RANK_MAX + 1];
    for (unsigned k = 0; k < in.arg_count; k++) args[k] = copy_value(split, inst_arg(f, &in, k));
    Builder *b = &split->b;
    b->span = in.span;
    Type type = value_type(f, inst_result(&in, 0)), scalar = type_scalar(DTYPE_I64);
    type.axes = renamed(split, type.axes);
    InstId sum = build_inst(
        b, OP_REDUCE,
        (BuildSpec){.args = args,
                    .arg_count = in.arg_count,
                    .results = &type,
                    .result_count = 1,
                    .flags = in.flags,
                    .attr = {.bits = renamed(split, in.attr.bits), .kind = in.attr.kind}});
    InstId part = build_inst(b, OP_TILEINFO,
                             (BuildSpec){.results = &scalar,
                                         .result_count = 1,
                                         .attr = {.ref = split->to[n].i, .kind = INFO_ID}});
    store[0] = inst_result(inst_at(f, sum), 0);
    store[1] = inst_result(inst_at(f, part), 0);
    for (unsigned k = 0; k < n; k++) store[k + 2] = build_index(b, split->to[k]);
    build_inst(b, OP_STORE_TILE,
               (BuildSpec){.args = store, .arg_count = n + 2, .attr = {.ref = parts.i}});
}

// ---- what is left: the sum of the parts

static void sum_parts(Split *split, Mem mem, int64_t parts, Axis s)
{
    Func *f = split->f;
    const Inst in = *inst_at(f, split->root);
    Builder b = {f, in.parent, split->root, in.span};
    Value range[2] = {build_i64(&b, 0), build_i64(&b, parts)}, at[RANK_MAX];
    axis_at(f, s)->decl =
        build_inst(&b, OP_AXIS, (BuildSpec){.args = range, .arg_count = 2, .attr = {.ref = s.i}});
    at[0] = build_index(&b, s);
    for (unsigned k = 0; k < split->grid_count; k++) at[k + 1] = build_index(&b, split->from[k]);
    Type type = value_type(f, inst_result(&in, 0)), summed = type;
    type.axes |= axis_bit(s);
    InstId load = build_inst(&b, OP_LOAD_TILE,
                             (BuildSpec){.args = at,
                                         .arg_count = split->grid_count + 1u,
                                         .results = &type,
                                         .result_count = 1,
                                         .attr = {.ref = mem.i}});
    Value loaded = inst_result(inst_at(f, load), 0);
    InstId sum = build_inst(&b, OP_REDUCE,
                            (BuildSpec){.args = &loaded,
                                        .arg_count = 1,
                                        .results = &summed,
                                        .result_count = 1,
                                        .attr = {.bits = axis_bit(s), .kind = in.attr.kind}});
    func_replace_uses(f, inst_result(&in, 0), inst_result(inst_at(f, sum), 0));
    inst_unlink(f, split->root);
}

static void split_store(Split *split)
{
    const Inst in = *inst_at(split->f, split->root);
    Value args[RANK_MAX + 1];
    for (unsigned k = 0; k < in.arg_count; k++)
        args[k] = copy_value(split, inst_arg(split->f, &in, k));
    split->b.span = in.span;
    build_inst(&split->b, OP_STORE_TILE,
               (BuildSpec){.args = args, .arg_count = in.arg_count, .attr = in.attr});
    inst_unlink(split->f, split->root);
}

// by_axis: the Config's parts of each axis, under the names that axes had before the pass.
static bool split_root(Func *f, const PassContext *context, const int64_t *by_axis, InstId phase,
                       InstId root)
{
    Split split;
    if (!find(f, root, false, &split)) return false;
    const Axis k = split.from[split.grid_count];
    int64_t parts = k.i < AXES_MAX ? by_axis[k.i] : 1;
    const int64_t size = split.high - split.low;
    if (parts < 2 || size < 2) return false;
    int64_t by = (size + parts - 1) / parts;
    by = (by + SPLIT_ROUND - 1) / SPLIT_ROUND * SPLIT_ROUND;
    parts = (size + by - 1) / by;
    const unsigned axes = split.axis_count, more = axes + 1 + split.sum_count;
    if (parts < 2 || f->axes.count + more > AXES_MAX) return false;
    split.f = f;
    split.map = arena_array(context->arena, Value, f->values.count + 1);
    for (unsigned n = 0; n < axes; n++) {
        split.to[n] = func_axis(f, axis_at(f, split.from[n])->name,
                                n <= split.grid_count ? AXIS_GRID : AXIS_WHOLE);
        axis_at(f, split.to[n])->span = axis_at(f, split.from[n])->span;
    }
    const bool reduces = inst_at(f, root)->op == OP_REDUCE;
    Mem mem = reduces ? new_parts(&split, parts) : (Mem){0};
    open_phase(&split, phase, by);
    if (reduces) {
        build_parts(&split, mem);
        sum_parts(&split, mem, parts, func_axis(f, STR("part"), AXIS_WHOLE));
    } else {
        split_store(&split);
    }
    for (unsigned n = 0; n < axes; n++) {
        Str name = axis_at(f, split.from[n])->name;
        axis_at(f, split.from[n])->name = axis_at(f, split.to[n])->name;
        axis_at(f, split.to[n])->name = name;
    }
    return true;
}

static bool split_region(Func *f, const PassContext *context, const int64_t *by_axis, InstId phase,
                         Region region)
{
    bool changed = false;
    for (InstId id = region_at(f, region)->first, next; id.i; id = next) {
        next = inst_at(f, id)->next;
        for (unsigned r = 0; r < inst_at(f, id)->region_count; r++)
            changed |= split_region(f, context, by_axis, phase, inst_region(inst_at(f, id), r));
        changed |= split_root(f, context, by_axis, phase, id);
    }
    return changed;
}

// Whether nothing is left that anybody sees: loads were checked where they went.
static bool is_idle(const Func *f, Region r)
{
    for_each_inst(f, r, id) {
        const Inst *in = inst_at(f, id);
        bool seen = in->op != OP_GRID && in->op != OP_AXIS && in->op != OP_LOAD_TILE &&
                    op_info[in->op].traits & (TRAIT_EFFECT | TRAIT_TRAP | TRAIT_REGION);
        if (seen) return false;
        for (unsigned k = 0; k < in->region_count; k++)
            if (!is_idle(f, inst_region(in, k))) return false;
    }
    return true;
}

bool pass_split(Func *f, const PassContext *context)
{
    bool changed = false;
    int64_t by_axis[AXES_MAX];
    for (unsigned a = 1; a < AXES_MAX && a < f->axes.count; a++)
        by_axis[a] = config_get_axis(context->config, "split", axis_at(f, (Axis){a})->name, 1);
    for (unsigned a = f->axes.count; a < AXES_MAX; a++) by_axis[a] = 1; // made by the pass
    for (InstId id = region_at(f, f->body)->first, next; id.i; id = next) {
        next = inst_at(f, id)->next;
        if (inst_at(f, id)->op != OP_PHASE) continue;
        Region body = inst_region(inst_at(f, id), 0);
        if (!split_region(f, context, by_axis, id, body)) continue;
        if (is_idle(f, body)) inst_unlink(f, id);
        changed = true;
    }
    return changed;
}
