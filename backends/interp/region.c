// Control: grids, loops, conditions, and the order of effects in a tile.
#include "backends/interp/state.h"

static void axis_set(Interp *it, unsigned a, int64_t begin, int64_t end)
{
    it->lanes[a].begin = it->full.lo[a] = begin;
    it->lanes[a].end = end;
    it->full.size[a] = end > begin ? end - begin : 0;
}

// The free block of a grid depends on how many grids stand inside it: tiles of some thousand
// elements.
static int64_t axis_block(const Interp *it, const Inst *in, int64_t by)
{
    enum { INNER = 32, OUTER = 4 };
    const AxisInfo *axis = axis_at(it->f, (Axis){in->attr.ref});
    int64_t block =
        in->op == OP_GRID && it->grid_height[in - it->f->insts.data] > 2 ? OUTER : INNER;
    if (axis->scalar) return 1;
    if (by > 0) return by;
    if (it->config) {
        block = config_get_axis(it->config, "tile", axis->name, block);
    }
    return block > 0 ? block : 1;
}

// Sets the range of an axis from the instruction's first operands; returns the number of tiles.
static int64_t axis_open(Interp *it, const Inst *in, bool has_by)
{
    Lanes *lanes = &it->lanes[in->attr.ref];
    lanes->range_lo = value_scalar(it, inst_arg(it->f, in, 0));
    lanes->range_hi = value_scalar(it, inst_arg(it->f, in, 1));
    lanes->range_hi =
        lanes->range_hi > lanes->range_lo ? lanes->range_hi : lanes->range_lo; // inverted: empty
    lanes->block = axis_block(it, in, has_by ? value_scalar(it, inst_arg(it->f, in, 2)) : 0);
    int64_t size = lanes->range_hi - lanes->range_lo;
    return size / lanes->block + (size % lanes->block != 0);
}

static void axis_tile(Interp *it, const Inst *in, int64_t tile)
{
    const Lanes *lanes = &it->lanes[in->attr.ref];
    int64_t begin = lanes->range_lo + tile * lanes->block, left = lanes->range_hi - begin;
    axis_set(it, in->attr.ref, begin, begin + (left < lanes->block ? left : lanes->block));
}

static void exec_axis(Interp *it, const Inst *in)
{
    Lanes *lanes = &it->lanes[in->attr.ref];
    lanes->range_lo = value_scalar(it, inst_arg(it->f, in, 0));
    lanes->range_hi = value_scalar(it, inst_arg(it->f, in, 1));
    lanes->range_hi = lanes->range_hi > lanes->range_lo ? lanes->range_hi : lanes->range_lo;
    int64_t size = lanes->range_hi - lanes->range_lo;
    lanes->block = size > 0 ? size : 1;
    axis_set(it, in->attr.ref, lanes->range_lo, lanes->range_hi);
}

// Notes the tiles of an innermost grid down, in groups, instead of running them.
static void walk_record(Interp *it, int64_t tiles)
{
    Walk *walk = &it->walk;
    walk->total += tiles;
    for (int64_t t = 0; t < tiles && walk->group; t += walk->group) {
        walk->tile[walk->depth] = t;
        for (unsigned k = 0; k <= walk->depth; k++) {
            vec_push(it->arena, &walk->records, walk->tile[k]);
        }
    }
}

// A tile of the innermost grid. The first one of a phase runs even if there is no time left.
static void walk_leaf(Interp *it, const Inst *in)
{
    Walk *walk = &it->walk;
    if (walk->limited && walk->ran && clock_seconds() > walk->deadline) {
        it->stopped = true;
        return;
    }
    exec_region(it, inst_region(in, 0));
    walk->ran += !it->trapped && !it->stopped;
}

static void exec_grid(Interp *it, const Inst *in)
{
    Walk *walk = &it->walk;
    int64_t tiles = axis_open(it, in, in->arg_count > 2), first = 0;
    bool leaf = it->grid_height[in - it->f->insts.data] == 1;
    if (leaf && walk->mode == WALK_RECORD) {
        walk_record(it, tiles);
        return;
    }
    if (walk->mode == WALK_REPLAY) {
        int64_t count = leaf ? walk->group : 1;
        first = walk->tile[walk->depth];
        tiles = first + count < tiles ? first + count : tiles;
    }
    for (int64_t t = first; t < tiles && !it->trapped && !it->stopped; t++) {
        StackMark mark = stack_mark(&it->stack);
        axis_tile(it, in, t);
        if (leaf) {
            walk_leaf(it, in);
        } else {
            walk->tile[walk->depth++] = t;
            exec_region(it, inst_region(in, 0));
            walk->depth--;
        }
        stack_release(&it->stack, mark);
    }
}

static Value yield_arg(const Interp *it, Region r, unsigned k)
{
    return inst_arg(it->f, inst_at(it->f, region_at(it->f, r)->last), k);
}

// A value of a region that ends, over the axes of what takes it on.
static void take_on(Interp *it, Value from, AxisSet axes, uint64_t *to)
{
    StackMark mark = stack_mark(&it->stack);
    memcpy(to, value_force(it, from, axes), box_count(&it->full, axes) * sizeof *to);
    stack_release(&it->stack, mark);
}

// Where not even the first tile of a phase comes to an end, it is given up: then nothing of the
// phase is known.
static bool gives_up(Interp *it)
{
    const Walk *walk = &it->walk;
    if (walk->limited && !walk->ran && clock_seconds() > walk->patience) it->stopped = true;
    return it->stopped;
}

// Carried values live in two sets of arrays, one read by the body and one that takes on what it
// yields.
static void exec_loop(Interp *it, const Inst *in)
{
    enum { FIXED = 3 }; // lo, hi, by
    const Func *f = it->f;
    Region body = inst_region(in, 0);
    unsigned count = in->result_count;
    int64_t tiles = axis_open(it, in, true);
    uint64_t **live = (uint64_t **)stack_words(&it->stack, 2 * (size_t)count),
             **next = live + count;
    for (unsigned k = 0; k < count; k++) {
        AxisSet axes = value_axes(f, region_arg(f, body, k));
        live[k] = stack_words(&it->stack, box_count(&it->full, axes));
        next[k] = stack_words(&it->stack, box_count(&it->full, axes));
        take_on(it, inst_arg(f, in, FIXED + k), axes, live[k]);
    }
    for (int64_t t = 0; t < tiles && !it->trapped && !gives_up(it); t++) {
        StackMark mark = stack_mark(&it->stack);
        axis_tile(it, in, in->flags & INST_REVERSE ? tiles - 1 - t : t);
        for (unsigned k = 0; k < count; k++) {
            it->values[region_arg(f, body, k).i] = live[k];
        }
        exec_region(it, body);
        for (unsigned k = 0; k < count && !it->trapped && !it->stopped; k++) {
            take_on(it, yield_arg(it, body, k), value_axes(f, region_arg(f, body, k)), next[k]);
        }
        bool more = true;
        if ((in->flags & INST_WHILE) && !it->trapped && !it->stopped)
            more = value_scalar(it, yield_arg(it, body, count)) != 0;
        stack_release(&it->stack, mark);
        if (!more) tiles = 0;
        uint64_t **swap = live;
        live = next;
        next = swap;
    }
    for (unsigned k = 0; k < count; k++) {
        it->values[inst_result(in, k).i] = live[k];
    }
}

static void exec_if(Interp *it, const Inst *in)
{
    unsigned taken = value_scalar(it, inst_arg(it->f, in, 0)) ? 0 : 1;
    if (taken >= in->region_count) return;
    Region r = inst_region(in, taken);
    exec_region(it, r);
    for (unsigned k = 0; k < in->result_count && !it->trapped && !it->stopped; k++) {
        Value result = inst_result(in, k);
        AxisSet axes = value_axes(it->f, result);
        uint64_t *data = stack_words(&it->stack, box_count(&it->full, axes));
        take_on(it, yield_arg(it, r, k), axes, data);
        it->values[result.i] = data;
    }
}

// Evaluates a pure instruction now, or leaves it to those who use it.
static void exec_pure(Interp *it, const Inst *in)
{
    if (!in->result_count) return;
    Value result = inst_result(in, 0);
    size_t count = box_count(&it->full, value_axes(it->f, result));
    bool volatile_load = in->op == OP_LOAD_TILE && it->written[in->attr.ref];
    it->values[result.i] = NULL;
    if (!volatile_load && (it->fused[result.i] || count > STORED_MAX)) return;
    Box box = it->full;
    if (count > STORED_MAX) {
        box.memo = box_memo(it);
    }
    it->values[result.i] = inst_compute(it, count > STORED_MAX ? &box : &it->full, in);
}

static void exec_inst(Interp *it, const Inst *in)
{
    switch (in->op) {
    case OP_GRID: exec_grid(it, in); return;
    case OP_LOOP: exec_loop(it, in); return;
    case OP_IF: exec_if(it, in); return;
    case OP_AXIS: exec_axis(it, in); return;
    case OP_STORE_TILE: exec_store(it, in); return;
    case OP_FOLD: exec_fold(it, in); return;
    case OP_CHECK: exec_check(it, in); return;
    case OP_PRINT: exec_print(it, in); return;
    case OP_ATOMIC_TILE: exec_atomic(it, in); return;
    case OP_COMBINE: combine_exec(it, in); return;
    case OP_SORT: sort_exec(it, in); return;
    case OP_SEARCH: search_exec(it, in); return;
    case OP_YIELD: return;
    }
    exec_pure(it, in);
}

void exec_region(Interp *it, Region r)
{
    for_each_inst(it->f, r, id) {
        exec_inst(it, inst_at(it->f, id));
        if (it->trapped || it->stopped) return;
    }
}
