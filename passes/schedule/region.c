// Units of work and regions: a phase's outermost grids become one flat range of tiles; regions are
// emitted segment by segment around their sequential loops and conditions.
#include "passes/schedule/sched.h"

static Value scalar(Sched *s, Value v)
{
    return emit_value(s, v)[0];
}

Value emit_global(Sched *s, Value v)
{
    if (s->values[v.i].global.i) return s->values[v.i].global;
    const Inst *in = value_def(s->tile, v);
    bool pure = in && (op_info[in->op].traits & TRAIT_PURE) && !in->region_count &&
                in->op != OP_INDEX && in->op != OP_TILEINFO && in->op != OP_REDUCE &&
                in->op != OP_SORT && in->op != OP_TAKE && in->arg_count <= 3;
    if (!pure || value_axes(s->tile, v)) return (Value){0};
    Value args[3] = {{0}};
    for_each_arg(s->tile, in, k, arg) {
        args[k] = emit_global(s, arg);
        if (!args[k].i) return (Value){0};
    }
    Builder b = {s->f, s->f->body, s->first_phase, in->span};
    Value result = emit_elementwise(&b, in, args, value_type(s->tile, v));
    s->values[v.i].global = result;
    return result;
}

bool axis_breaks(const Sched *s, const Inst *in)
{
    if (in->op != OP_AXIS) return false;
    int64_t x;
    for_each_arg(s->tile, in, k, v) {
        if (value_const_int(s->tile, v, &x)) continue;
        const Inst *def = value_def(s->tile, v);
        bool of_tile = def && def->op == OP_TILEINFO; // a twin
        if (!of_tile && (!def || def->parent.i != s->tile->body.i)) return true;
    }
    return false;
}

static void enter_axis(Sched *s, Axis a, Value lo, Value hi, Value begin, Value end)
{
    AxisState *axis = &s->axes[a.i];
    axis->lo = lo;
    axis->hi = hi;
    axis->begin = begin;
    axis->end = end;
    axis->level = -1;
}

// Where a tile ends: known relative to its begin if the block divides the range.
static Value tile_end(Builder *b, const AxisState *axis, Value begin, Value hi)
{
    if (axis->size_const >= 0) return build_op2(b, OP_ADD, begin, build_i64(b, axis->size_const));
    return build_op2(b, OP_MIN, build_op2(b, OP_ADD, begin, build_i64(b, axis->block)), hi);
}

static Value tile_count(Builder *b, Value lo, Value hi, int64_t block)
{
    Value extent = build_op2(b, OP_MAX, build_op2(b, OP_SUB, hi, lo), build_i64(b, 0));
    extent = build_op2(b, OP_ADD, extent, build_i64(b, block - 1));
    return build_op2(b, OP_DIV, extent, build_i64(b, block));
}

static unsigned scalar_results(const Sched *s, const Inst *in, unsigned *which)
{
    unsigned n = 0;
    for (unsigned k = 0; k < in->result_count; k++)
        if (!value_axes(s->tile, inst_result(in, k))) which[n++] = k;
    return n;
}

typedef struct Range {
    Value lo, hi;
} Range;

// One Loop IR loop over the tiles of [lo, hi); `carried` in and out.
static void emit_tiles(Sched *s, const Inst *in, Range range, Range whole, Value *carried,
                       const unsigned *which, unsigned n)
{
    Axis a = {in->attr.ref};
    Builder b = sched_at(s, s->top);
    int64_t block = s->axes[a.i].block;
    bool reverse = (in->flags & INST_REVERSE) != 0;
    Value tiles = reverse ? tile_count(&b, range.lo, range.hi, block) : (Value){0}, index;
    Value *inside = reverse
                        ? open_for(s, build_i64(&b, 0), tiles, build_i64(&b, 1), carried, n, &index)
                        : open_for(s, range.lo, range.hi, build_i64(&b, block), carried, n, &index);
    value_at(s->f, index)->name = axis_at(s->tile, a)->name;
    b = sched_at(s, s->top);
    if (reverse) {
        index = build_op2(&b, OP_SUB, build_op2(&b, OP_SUB, tiles, build_i64(&b, 1)), index);
        index = build_op2(&b, OP_ADD, range.lo, build_op2(&b, OP_MUL, index, build_i64(&b, block)));
    }
    enter_axis(s, a, whole.lo, whole.hi, index, tile_end(&b, &s->axes[a.i], index, range.hi));
    Region body = inst_region(in, 0);
    for (unsigned k = 0; k < n; k++)
        s->values[region_arg(s->tile, body, which[k]).i].global = inside[k];
    if (in->flags & INST_WHILE) inst_at(s->f, s->levels[s->top - 1].child)->flags |= INST_WHILE;
    unsigned yields;
    Value *out = emit_region(s, body, &yields);
    Value *results = close_for(s, out, n + (in->flags & INST_WHILE ? 1 : 0));
    for (unsigned k = 0; k < n; k++) carried[k] = results[k];
}

// The tiles whose lanes are all in range first, without masks; says where they end.
static Value emit_whole_tiles(Sched *s, const Inst *in, Range range, Value *carried,
                              const unsigned *which, unsigned n)
{
    AxisState *axis = &s->axes[in->attr.ref];
    Value h = split_bound(s, in), least = h.i ? split_least(s, h) : (Value){0};
    if (!least.i || axis->block < 2) return range.lo;
    Builder b = sched_at(s, s->top);
    Value size = build_op2(&b, OP_SUB, build_op2(&b, OP_MIN, least, range.hi), range.lo);
    size = build_op2(&b, OP_MAX, size, build_i64(&b, 0));
    size = build_op2(&b, OP_SUB, size, build_op2(&b, OP_REM, size, build_i64(&b, axis->block)));
    Value end = build_op2(&b, OP_ADD, range.lo, size);
    int64_t exact = axis->size_const;
    axis->size_const = axis->block;
    split_assume(s, in, h, true);
    emit_tiles(s, in, (Range){range.lo, end}, range, carried, which, n);
    split_assume(s, in, h, false);
    s->axes[in->attr.ref].size_const = exact;
    return end;
}

static void emit_loop_inst(Sched *s, const Inst *in)
{
    unsigned *which = arena_array(s->arena, unsigned, in->result_count + 1u);
    unsigned n = in->op == OP_LOOP ? scalar_results(s, in, which) : 0;
    Range range = {scalar(s, inst_arg(s->tile, in, 0)), scalar(s, inst_arg(s->tile, in, 1))},
          rest = range;
    Value *carried = arena_array(s->arena, Value, n + 1);
    for (unsigned k = 0; k < n; k++) carried[k] = scalar(s, inst_arg(s->tile, in, 3 + which[k]));
    if (in->op == OP_LOOP) rest.lo = emit_whole_tiles(s, in, range, carried, which, n);
    emit_tiles(s, in, rest, range, carried, which, n);
    for (unsigned k = 0; k < n; k++) s->values[inst_result(in, which[k]).i].global = carried[k];
}

static void emit_if(Sched *s, const Inst *in)
{
    unsigned *which = arena_array(s->arena, unsigned, in->result_count + 1u);
    unsigned n = scalar_results(s, in, which), yields;
    Value condition = scalar(s, inst_arg(s->tile, in, 0));
    Type *types = arena_array(s->arena, Type, n + 1);
    for (unsigned k = 0; k < n; k++)
        types[k] = type_scalar(value_dtype(s->tile, inst_result(in, which[k])));
    Builder b = sched_at(s, s->top);
    Region regions[2];
    regions[0] = func_region(s->f);
    regions[1] = func_region(s->f);
    InstId id = build_inst(&b, OP_IF,
                           (BuildSpec){.args = &condition,
                                       .arg_count = 1,
                                       .results = types,
                                       .result_count = n,
                                       .regions = regions,
                                       .region_count = 2});
    for (int at = s->top; at >= 0 && s->levels[at].region.i == b.region.i; at--)
        s->levels[at].child = id;
    for (unsigned r = 0; r < 2; r++) {
        push_level(s, regions[r]);
        Value *out = r < in->region_count ? emit_region(s, inst_region(in, r), &yields) : NULL;
        Builder inside = sched_at(s, s->top);
        build_inst(&inside, OP_YIELD, (BuildSpec){.args = out, .arg_count = n});
        pop_level(s);
    }
    for (int at = s->top; at >= 0 && s->levels[at].region.i == b.region.i; at--)
        s->levels[at].child = (InstId){0};
    for (unsigned k = 0; k < n; k++)
        s->values[inst_result(in, which[k]).i].global = inst_result(inst_at(s->f, id), k);
}

static Value *yield_scalars(Sched *s, const Inst *in, unsigned *count)
{
    Value *out = arena_array(s->arena, Value, in->arg_count + 1u);
    *count = 0;
    for_each_arg(s->tile, in, k, v)
        if (!value_axes(s->tile, v)) out[(*count)++] = scalar(s, v);
    return out;
}

// A loop's carried value may have axes while a yielded one lacks them: then it went through
// scratch.
static Value *yield_of(Sched *s, Region region, const Inst *in, unsigned *count)
{
    InstId owner = region_at(s->tile, region)->owner;
    const Inst *structured = inst_at(s->tile, owner);
    Value *out = arena_array(s->arena, Value, in->arg_count + 1u);
    *count = 0;
    if (!structured->result_count) return yield_scalars(s, in, count);
    for_each_arg(s->tile, in, k, v)
        if (k == structured->result_count || !value_axes(s->tile, inst_result(structured, k)))
            out[(*count)++] = scalar(s, v); // the one more of a while is scalar
    return out;
}

Value *emit_region(Sched *s, Region region, unsigned *yield_count)
{
    s->region_level[region.i] = s->top;
    *yield_count = 0;
    const Inst *yield = NULL;
    for_each_inst(s->tile, region, id) {
        const Inst *in = inst_at(s->tile, id);
        if (s->failed) return NULL;
        if (inst_structured(in) || axis_breaks(s, in)) emit_tree(s, s->segment_at[id.i]->tree);
        if (in->op == OP_AXIS) {
            Value lo = scalar(s, inst_arg(s->tile, in, 0)),
                  hi = scalar(s, inst_arg(s->tile, in, 1));
            enter_axis(s, (Axis){in->attr.ref}, lo, hi, lo, hi);
        }
        if (in->op == OP_LOOP || in->op == OP_GRID) emit_loop_inst(s, in);
        if (in->op == OP_IF) emit_if(s, in);
        if (in->op == OP_YIELD) yield = in;
    }
    emit_tree(s, s->segment_last[region.i]->tree);
    return yield ? yield_of(s, region, yield, yield_count) : NULL;
}

// ---- units

enum { GRIDS_MAX = 32 };
typedef struct Grids {
    InstId at[GRIDS_MAX];
    Value lo[GRIDS_MAX], hi[GRIDS_MAX], tiles[GRIDS_MAX];
    Region regions[GRIDS_MAX + 1]; // the phase's and each grid's
    unsigned count;
    Region body;
    Value total;
} Grids;

// The grid that ends `region`, if everything before it can be emitted on demand.
static InstId only_grid(const Sched *s, Region region)
{
    for_each_inst(s->tile, region, id) {
        const Inst *in = inst_at(s->tile, id);
        if (in->op == OP_GRID) return in->next.i ? (InstId){0} : id;
        bool kept = in->op == OP_REDUCE || in->op == OP_COMBINE || in->op == OP_SORT ||
                    in->op == OP_TAKE || in->op == OP_SEARCH;
        bool on_demand = (op_info[in->op].traits & TRAIT_PURE) && !kept;
        if (in->op == OP_LOAD_TILE) on_demand = !s->written[in->attr.ref];
        if (in->op == OP_AXIS) on_demand = !axis_breaks(s, in);
        for (unsigned k = 0; k < in->result_count; k++)
            on_demand = on_demand && !s->values[inst_result(in, k).i].taken;
        if (!on_demand) return (InstId){0};
    }
    return (InstId){0};
}

static void find_grids(Sched *s, Region region, Grids *grids)
{
    Builder b = {s->f, s->f->body, s->first_phase, s->span};
    *grids = (Grids){.body = region};
    grids->regions[0] = region;
    grids->total = build_i64(&b, 1);
    for (InstId id; grids->count < GRIDS_MAX && (id = only_grid(s, grids->body)).i;) {
        const Inst *in = inst_at(s->tile, id);
        unsigned k = grids->count;
        Value lo = emit_global(s, inst_arg(s->tile, in, 0)),
              hi = emit_global(s, inst_arg(s->tile, in, 1));
        if (!lo.i || !hi.i) return;
        b.before = s->first_phase;
        grids->at[k] = id;
        grids->lo[k] = lo;
        grids->hi[k] = hi;
        grids->tiles[k] = tile_count(&b, lo, hi, s->axes[in->attr.ref].block);
        grids->total = build_op2(&b, OP_MUL, grids->total, grids->tiles[k]);
        grids->body = inst_region(in, 0);
        grids->regions[++grids->count] = grids->body;
    }
}

// The axes along which units may differ.
static AxisSet spread_of(const Sched *s, const Grids *grids)
{
    AxisSet spread = 0;
    int64_t tiles;
    for (unsigned k = 0; k < grids->count; k++)
        if (!value_const_int(s->f, grids->tiles[k], &tiles) || tiles > 1)
            spread |= axis_bit((Axis){inst_at(s->tile, grids->at[k])->attr.ref});
    return spread;
}

static int64_t place_of(const Sched *s, const Grids *grids, unsigned k)
{
    Axis a = {inst_at(s->tile, grids->at[k])->attr.ref};
    return config_get_axis(s->context->config, "grid", axis_at(s->tile, a)->name, 1);
}

// Tiles of the last grid follow each other, unless the Config places another there.
static void order_grids(const Sched *s, const Grids *grids, unsigned *order)
{
    for (unsigned k = 0; k < grids->count; k++) {
        unsigned at = k;
        for (; at > 0 && place_of(s, grids, order[at - 1]) > place_of(s, grids, k); at--)
            order[at] = order[at - 1];
        order[at] = k;
    }
}

// The unit's tile of each grid.
static void tiles_of_unit(Sched *s, const Grids *grids, const unsigned *order, Value unit,
                          Value *ids)
{
    Builder b = sched_at(s, s->top);
    for (unsigned n = grids->count; n-- > 0;) {
        unsigned k = order[n];
        int64_t tiles;
        ids[k] = unit;
        if (value_const_int(s->f, grids->tiles[k], &tiles) && tiles <= 1)
            ids[k] = build_i64(&b, 0);
        else if (n > 0) {
            ids[k] = build_op2(&b, OP_REM, unit, grids->tiles[k]);
            unit = build_op2(&b, OP_DIV, unit, grids->tiles[k]);
        }
    }
}

// The Config's `swizzle`: units go through the last two grids in bands of so many rows of tiles,
// down each of a band's columns before the next one. What runs at one time is closer to a square
// then, and reads less that is not in a cache yet.
//
//     0 1 2 3      0 2 4 6
//     4 5 6 7  ->  1 3 5 7
static void swizzle(Sched *s, const Grids *grids, const unsigned *order, Value *ids)
{
    int64_t rows;
    if (grids->count < 2 || !config_get(s->context->config, STR("swizzle"), &rows) || rows <= 1)
        return;
    const unsigned slow = order[grids->count - 2], fast = order[grids->count - 1];
    Builder b = sched_at(s, s->top);
    Value height = build_i64(&b, rows), tiles = grids->tiles[fast];
    Value row = build_op2(&b, OP_REM, ids[slow], height);
    Value first = build_op2(&b, OP_SUB, ids[slow], row);
    Value left = build_op2(&b, OP_SUB, grids->tiles[slow], first);
    Value high = build_op2(&b, OP_MIN, left, height);
    high = build_op2(&b, OP_MAX, high, build_i64(&b, 1)); // as it is; keeps what follows small
    Value at = build_op2(&b, OP_ADD, build_op2(&b, OP_MUL, row, tiles), ids[fast]);
    ids[slow] = build_op2(&b, OP_ADD, first, build_op2(&b, OP_REM, at, high));
    ids[fast] = build_op2(&b, OP_DIV, at, high);
}

static void enter_unit(Sched *s, const Grids *grids, Value unit)
{
    unsigned order[GRIDS_MAX];
    Value ids[GRIDS_MAX];
    order_grids(s, grids, order);
    tiles_of_unit(s, grids, order, unit, ids);
    swizzle(s, grids, order, ids);
    for (unsigned n = grids->count; n-- > 0;) {
        unsigned k = order[n];
        Builder b = sched_at(s, s->top);
        Axis a = {inst_at(s->tile, grids->at[k])->attr.ref};
        AxisState *axis = &s->axes[a.i];
        Value begin = build_op2(&b, OP_MUL, ids[k], build_i64(&b, axis->block));
        begin = build_op2(&b, OP_ADD, grids->lo[k], begin);
        enter_axis(s, a, grids->lo[k], grids->hi[k], begin,
                   tile_end(&b, axis, begin, grids->hi[k]));
    }
    for (unsigned k = 0; k < grids->count; k++) { // axes declared between the grids
        s->region_level[grids->regions[k].i] = s->top;
        for_each_inst(s->tile, grids->regions[k], id) {
            const Inst *in = inst_at(s->tile, id);
            if (in->op != OP_AXIS) continue;
            Value lo = scalar(s, inst_arg(s->tile, in, 0)),
                  hi = scalar(s, inst_arg(s->tile, in, 1));
            enter_axis(s, (Axis){in->attr.ref}, lo, hi, lo, hi);
        }
    }
}

// What the phase stores to, and which values it reads at other indices.
static void find_written(Sched *s, Region region)
{
    for_each_inst(s->tile, region, id) {
        const Inst *in = inst_at(s->tile, id);
        if (in->op == OP_TAKE) s->values[inst_arg(s->tile, in, 0).i].taken |= in->attr.bits;
        if (in->op == OP_STORE_TILE || in->op == OP_ATOMIC_TILE) s->written[in->attr.ref] = true;
        for (unsigned k = 0; k < in->region_count; k++) find_written(s, inst_region(in, k));
    }
}

static bool has_wide(const Sched *s, Region region)
{
    for_each_inst(s->tile, region, id) {
        const Inst *in = inst_at(s->tile, id);
        for (unsigned k = 0; k < in->result_count; k++)
            if (value_dtype(s->tile, inst_result(in, k)) == DTYPE_F64) return true;
        for (unsigned k = 0; k < in->region_count; k++)
            if (has_wide(s, inst_region(in, k))) return true;
    }
    return false;
}

static void phase_begin(Sched *s, Region region)
{
    s->roots.count = s->segments.count = 0;
    s->clock = 0;
    for (uint32_t m = 0; m < s->tile->mems.count; m++) s->written[m] = false;
    find_written(s, region);
    s->lanes = s->context->machine->vector_bytes / (has_wide(s, region) ? 8 : 4);
    if (s->lanes < 1) s->lanes = 1;
}

static InstId build_phase(Sched *s, Value units, Region *body, Value *unit, LoopKind kind)
{
    *body = func_region(s->f);
    *unit = region_add_arg(s->f, *body, type_scalar(DTYPE_I64));
    Builder b = {s->f, s->f->body, {0}, s->span};
    return build_inst(&b, OP_PHASE,
                      (BuildSpec){.args = &units,
                                  .arg_count = 1,
                                  .regions = body,
                                  .region_count = 1,
                                  .attr = {.kind = kind}});
}

static Value divided(Builder *b, Value total, Value part, Value parts)
{
    return build_op2(b, OP_DIV, build_op2(b, OP_MUL, total, part), parts);
}

void emit_phase(Sched *s, InstId phase)
{
    const Inst *in = inst_at(s->tile, phase);
    Region region = inst_region(in, 0), body;
    s->span = in->span;
    phase_begin(s, region);
    Grids grids;
    find_grids(s, region, &grids);
    own_find(s, region, spread_of(s, &grids));
    ranges_assume(s, region);
    bool folds = phase_has_fold(s, region);
    plan_phase(s, grids.body);
    if (s->failed) return;
    Value units = folds ? fold_chunks(s, region, grids.total) : grids.total, unit;
    InstId made = build_phase(s, units, &body, &unit, LOOP_GRID);
    if (!s->first_phase.i) {
        s->first_phase = made;
        s->levels[0].child = made;
    }
    push_level(s, body);
    if (folds) {
        s->chunk = unit;
        fold_clear(s);
        Builder b = sched_at(s, s->top);
        Value next = build_op2(&b, OP_ADD, unit, build_i64(&b, 1)), index;
        Value from = divided(&b, grids.total, unit, units),
              to = divided(&b, grids.total, next, units);
        open_for(s, from, to, build_i64(&b, 1), NULL, 0, &index);
        unit = index;
    }
    enter_unit(s, &grids, unit);
    Axis axes[GRIDS_MAX];
    for (unsigned k = 0; k < grids.count; k++)
        axes[k] = (Axis){inst_at(s->tile, grids.at[k])->attr.ref};
    emit_versions(s, axes, grids.count, grids.body);
    if (folds) close_for(s, NULL, 0);
    pop_level(s);
    if (folds) fold_combine(s);
}
