// Products of narrow elements in tile registers, which hold 16 rows of 64 bytes: of the rows'
// operand 16 rows and a step along the reduced axis, of the columns' operand as many groups of
// neighbours along the reduced axis and 16 columns, of the result 16 by 16 sums.
//
//   sum[k](a[m, k] * b[k, n])
//     ->   m by 32 { n by 32 { k by 32 { c[2, 2] += a[2] * b[2] }; store c } }
//
// The columns are packed by dot.c, in panels of 16. Rows are read where they are if they lie along
// the reduced axis, else packed. The result goes to scratch, where the loops of its users find it.
// What is left of the rows is computed in blocks that overlap the last ones; the last elements
// along the reduced axis are copied, with zeros behind them.
//
// What a mask leaves out (causal attention) is packed as zeros. These must not show where they meet
// an infinity or NaN of the columns: if the result has a NaN at all, it is computed anew, element
// by element under the mask.
#include "passes/schedule/sched.h"

enum { ROWS = 16, LINE = 64, NARROW_DEPTH = 8 };

// ---- which products

// A storage type that holds all values of a load of such elements; COUNT: none is narrow.
static DType narrow_storage(DType t)
{
    bool small = t == DTYPE_F8E4M3 || t == DTYPE_F8E5M2 || t == DTYPE_F4E2M1;
    if (t == DTYPE_BF16 || small) return DTYPE_BF16;
    if (t == DTYPE_I8 || t == DTYPE_I4) return DTYPE_I8;
    return t == DTYPE_U8 || t == DTYPE_U4 ? DTYPE_U8 : DTYPE_COUNT;
}

// bf16, i8 or u8 if all values that v may take are exact in it.
static DType narrow_type(const Sched *s, Value v, unsigned depth)
{
    const Inst *in = value_def(s->tile, v);
    if (!in || !depth || is_boundary(s, v)) return DTYPE_COUNT;
    if (in->op == OP_LOAD_TILE) return narrow_storage(mem_at(s->tile, (Mem){in->attr.ref})->dtype);
    if (in->op == OP_QUANT) {
        DType t = narrow_storage((DType)in->attr.kind);
        return t == DTYPE_BF16 ? t : DTYPE_COUNT;
    }
    if (in->op == OP_CAST && value_dtype(s->tile, v) == DTYPE_F32)
        return narrow_type(s, inst_arg(s->tile, in, 0), depth - 1) < DTYPE_COUNT ? DTYPE_BF16
                                                                                  : DTYPE_COUNT;
    if (in->op == OP_SELECT) {
        DType t = narrow_type(s, inst_arg(s->tile, in, 1), depth - 1);
        uint64_t otherwise;
        bool zero = value_const(s->tile, inst_arg(s->tile, in, 2), &otherwise) && !otherwise;
        return zero || narrow_type(s, inst_arg(s->tile, in, 2), depth - 1) == t ? t : DTYPE_COUNT;
    }
    return DTYPE_COUNT;
}

static bool is_always(const Sched *s, Value mask)
{
    uint64_t bits;
    return value_const(s->f, mask, &bits) && bits;
}

// Zero where the mask of tile values, which has no other axes than v, is false.
static void clear_masked(Sched *s, Value v, Value mask, Value *values)
{
    AxisSet axes = value_axes(s->tile, v), own = value_axes(s->tile, mask);
    Value *masks = emit_value(s, mask);
    Builder b = sched_at(s, s->top);
    for (unsigned k = 0; k < instances_of(s, axes); k++) {
        Value m = masks[instance_project(s, axes, k, own)];
        if (is_always(s, m)) continue;
        Value zero = build_bits(&b, value_type(s->f, values[k]), 0);
        values[k] = build_op3(&b, OP_SELECT, m, values[k], zero);
    }
}

Value *tiles_narrow(Sched *s, Value v, DType t, Value mask)
{
    const Inst *in = value_def(s->tile, v);
    bool raw = in && in->op == OP_LOAD_TILE && !mask.i &&
               mem_at(s->tile, (Mem){in->attr.ref})->dtype == t;
    s->raw = raw ? v : (Value){0};
    Value *values = emit_fresh(s, v);
    s->raw = (Value){0};
    if (raw || (value_dtype(s->tile, v) == t && !mask.i)) return values;
    unsigned count = instances_of(s, value_axes(s->tile, v));
    Value *out = arena_copy(s->arena, values, sizeof(Value) * count);
    if (mask.i) clear_masked(s, v, mask, out);
    Builder b = sched_at(s, s->top);
    for (unsigned k = 0; k < count; k++) out[k] = build_cast(&b, out[k], t);
    return out;
}

typedef struct Factors {
    Value row, column;
    DType row_type, column_type;
} Factors;

static bool find_factors(const Sched *s, const Root *root, Factors *f)
{
    const Inst *in = inst_at(s->tile, root->inst);
    const Inst *product = value_def(s->tile, inst_arg(s->tile, in, 0));
    if (in->attr.kind != REDUCE_SUM || product->op != OP_MUL) return false;
    for (unsigned k = 0; k < 2; k++) {
        Value v = inst_arg(s->tile, product, k);
        if (value_axes(s->tile, v) & axis_bit(root->vector))
            f->column = v;
        else
            f->row = v;
    }
    return f->row.i && f->column.i;
}

static unsigned group_of(const Sched *s, const Root *root, const Factors *f)
{
    const Machine *machine = s->context->machine;
    int64_t wanted = 2;
    config_get(s->context->config, STR("dots"), &wanted);
    if (wanted < 2) return 0;
    DType t = value_dtype(s->tile, root->value);
    bool floats = f->row_type == DTYPE_BF16 && f->column_type == DTYPE_BF16;
    if (t == DTYPE_F32 && floats && machine->tiles_bf16) return 2;
    bool known = f->row_type < DTYPE_COUNT && f->column_type < DTYPE_COUNT;
    bool bytes = known && f->row_type != DTYPE_BF16 && f->column_type != DTYPE_BF16;
    return t == DTYPE_I32 && bytes && machine->tiles_i8 ? 4 : 0;
}

static bool is_sized(const Sched *s, Axis a, int64_t least)
{
    return s->axes[a.i].size_max >= least;
}

static bool in_place(const Sched *s, const Root *root, const Factors *f)
{
    const Inst *in = value_def(s->tile, f->row);
    if (in->op != OP_LOAD_TILE || in->attr.bits || inst_mask(s->tile, in).i) return false;
    int along = lane_coefficient(s, in, 0, root->row);
    return mem_at(s->tile, (Mem){in->attr.ref})->dtype == f->row_type &&
           lane_coefficient(s, in, 0, root->group_axis) == LANE_UNIT &&
           (along == LANE_UNIT || along == LANE_STRIDED);
}

// Whether v can be computed anywhere in its segment: from indices and what comes before.
static bool is_free(const Sched *s, Value v, unsigned depth)
{
    const Inst *in = value_def(s->tile, v);
    if (!in) return !value_axes(s->tile, v);
    if (in->op == OP_INDEX || in->op == OP_TILEINFO || in->op == OP_CONST || in->op == OP_DIM ||
        in->op == OP_ARG)
        return true;
    if (!depth || is_boundary(s, v) || in->op < OP_ADD || in->op > OP_BITCAST) return false;
    for_each_arg(s->tile, in, k, arg)
        if (!is_free(s, arg, depth - 1)) return false;
    return true;
}

// As rows along the reduced axis.
static void pack_rows(Sched *s, const Root *root, const Factors *f)
{
    AxisSet axes = value_axes(s->tile, f->row);
    Root *keep = keep_value(s, f->row);
    keep->packs = true;
    keep->mask = inst_mask(s->tile, inst_at(s->tile, root->inst));
    keep->slot->dtype = f->row_type;
    keep->vector = root->group_axis;
    keep->turned = turned_axis(s, f->row, root->group_axis, axis_bit(root->row));
    AxisSet last = axis_bit(keep->turned.i ? keep->turned : keep->vector);
    keep->order_count = 0;
    order_append(s, keep, axes & ~last);
    order_append(s, keep, last);
}

static bool is_used_once(const Sched *s, Value v)
{
    return s->values[v.i].users.count == 1 && s->segment_at[value_at(s->tile, v)->def.i] &&
           keep_fits(s, value_axes(s->tile, v));
}

bool tiles_choose(Sched *s, Root *root)
{
    Factors f = {0};
    if (group_shares(s) || s->lanes != ROWS || !root->vector.i || !root->row.i ||
        root->column.i || __builtin_popcountll(root->reduced) != 1 || !find_factors(s, root, &f))
        return false;
    f.row_type = narrow_type(s, f.row, NARROW_DEPTH);
    f.column_type = narrow_type(s, f.column, NARROW_DEPTH);
    Axis k = {(uint32_t)__builtin_ctzll(root->reduced)};
    unsigned group = group_of(s, root, &f);
    AxisSet row = value_axes(s->tile, f.row), column = value_axes(s->tile, f.column);
    AxisSet both = axis_bit(k) | axis_bit(root->row) | axis_bit(root->vector);
    bool fits = group && (row & both) == (axis_bit(k) | axis_bit(root->row)) &&
                (column & both) == (axis_bit(k) | axis_bit(root->vector)) &&
                is_sized(s, k, (int64_t)ROWS * group) && is_sized(s, root->row, ROWS) &&
                is_sized(s, root->vector, ROWS) && is_used_once(s, f.column) &&
                keep_fits(s, value_axes(s->tile, root->value));
    if (!fits) return false;
    Value mask = inst_mask(s->tile, inst_at(s->tile, root->inst));
    if (mask.i && ((value_axes(s->tile, mask) & ~row) || !is_free(s, mask, NARROW_DEPTH)))
        return false;
    root->group_axis = k;
    bool packs = mask.i || !in_place(s, root, &f);
    if (packs && !is_used_once(s, f.row)) return false;
    Root *keep = panel_new(s, root, f.column);
    keep->slot->dtype = f.column_type;
    keep->slot->group = keep->group = root->group = group;
    keep->slot->depth = (int64_t)ROWS * group;
    keep->group_axis = k;
    if (packs) pack_rows(s, root, &f);
    root->tiles = true;
    return true;
}

// ---- emission

typedef struct Lines { // row r, element k: at first + r * distance + k
    Mem mem;
    DType dtype;
    Value first, distance;
} Lines;

typedef struct Work {
    Sched *s;
    const Root *root;
    unsigned group;
    int64_t step;            // elements of a line: one step along the reduced axis
    Lines a, tail;           // the rows' operand; what is left of it after whole steps
    Lines c;                 // the result
    const Slot *b;           // the columns' operand, packed ...
    Value panels;            // ... from here
    Value depth, whole;      // of the reduced axis; of whole steps
    int64_t rows, rest;      // -1: unknown
    DType dtype;             // of the result
} Work;

static Value plus(Sched *s, Value x, Value y, int64_t times)
{
    Builder b = sched_at(s, s->top);
    return build_op2(&b, OP_ADD, x, build_op2(&b, OP_MUL, y, build_i64(&b, times)));
}

static Value sum(Sched *s, Value x, Value y)
{
    return plus(s, x, y, 1);
}

static Value constant(Sched *s, int64_t x)
{
    Builder b = sched_at(s, s->top);
    return build_i64(&b, x);
}

static Value size_of(Sched *s, Axis a)
{
    const AxisState *axis = &s->axes[a.i];
    if (axis->size_const >= 0) return constant(s, axis->size_const);
    Builder b = sched_at(s, s->top);
    Value size = build_op2(&b, OP_SUB, axis->end, axis->begin);
    return build_op2(&b, OP_MAX, size, build_i64(&b, 0));
}

static Value panel_count(Sched *s, const Root *root)
{
    Builder b = sched_at(s, s->top);
    Value size = build_op2(&b, OP_ADD, size_of(s, root->vector), build_i64(&b, ROWS - 1));
    return build_op2(&b, OP_DIV, size, build_i64(&b, ROWS));
}

static Value load_lines(Sched *s, const Lines *lines, Value offset)
{
    Builder b = sched_at(s, s->top);
    Value args[2] = {offset, lines->distance};
    Type type = type_vector(lines->dtype, ROWS * LINE * 8 / dtype_info[lines->dtype].bits);
    InstId id = build_inst(&b, OP_LOAD_ROWS,
                           (BuildSpec){.args = args,
                                       .arg_count = 2,
                                       .results = &type,
                                       .result_count = 1,
                                       .attr = {.ref = lines->mem.i}});
    return inst_result(inst_at(s->f, id), 0);
}

static Value at_row(Work *w, const Lines *lines, Value row, Value k)
{
    Sched *s = w->s;
    Builder b = sched_at(s, s->top);
    Value offset = build_op2(&b, OP_MUL, row, lines->distance);
    return sum(s, sum(s, lines->first, offset), k);
}

typedef struct Block {
    Value rows[2], panels[2];
    unsigned row_count, panel_count;
} Block;

// One step along the reduced axis.
static void multiply(Work *w, const Block *block, const Lines *a, Value from, Value k, Value *acc)
{
    Sched *s = w->s;
    int64_t line = w->b->stride[w->root->group_axis.i];
    Lines panel = {w->b->mem, w->b->dtype, {0}, constant(s, line * w->group)};
    Value columns[2];
    for (unsigned p = 0; p < block->panel_count; p++) {
        Value offset = plus(s, w->panels, block->panels[p], w->b->panel_stride);
        columns[p] = load_lines(s, &panel, plus(s, offset, k, line));
    }
    for (unsigned r = 0; r < block->row_count; r++) {
        Value rows = load_lines(s, a, at_row(w, a, block->rows[r], from));
        for (unsigned p = 0; p < block->panel_count; p++) {
            Value *sum_at = &acc[r * block->panel_count + p];
            Value args[3] = {rows, columns[p], *sum_at};
            Type type = value_type(s->f, *sum_at);
            Builder b = sched_at(s, s->top);
            InstId id = build_inst(
                &b, OP_DOT_ROWS,
                (BuildSpec){.args = args, .arg_count = 3, .results = &type, .result_count = 1});
            *sum_at = inst_result(inst_at(s->f, id), 0);
        }
    }
}

static void emit_block(Work *w, const Block *block)
{
    Sched *s = w->s;
    unsigned count = block->row_count * block->panel_count;
    Value acc[4], index, zero = constant(s, 0), step = constant(s, w->step);
    Builder b = sched_at(s, s->top);
    for (unsigned k = 0; k < count; k++)
        acc[k] = build_bits(&b, type_vector(w->dtype, ROWS * ROWS), 0);
    Value *in = open_for(s, zero, w->whole, step, acc, count, &index);
    for (unsigned k = 0; k < count; k++) acc[k] = in[k];
    multiply(w, block, &w->a, index, index, acc);
    Value *out = close_for(s, acc, count);
    for (unsigned k = 0; k < count; k++) acc[k] = out[k];
    if (w->rest > 0) {
        multiply(w, block, &w->tail, constant(s, 0), w->whole, acc);
    } else if (w->rest < 0) { // at most once
        in = open_for(s, w->whole, w->depth, step, acc, count, &index);
        for (unsigned k = 0; k < count; k++) acc[k] = in[k];
        multiply(w, block, &w->tail, constant(s, 0), index, acc);
        out = close_for(s, acc, count);
        for (unsigned k = 0; k < count; k++) acc[k] = out[k];
    }
    for (unsigned r = 0; r < block->row_count; r++)
        for (unsigned p = 0; p < block->panel_count; p++) {
            Value offset = at_row(w, &w->c, block->rows[r], constant(s, 0));
            b = sched_at(s, s->top);
            Value args[3] = {acc[r * block->panel_count + p],
                             plus(s, offset, block->panels[p], ROWS), w->c.distance};
            build_inst(&b, OP_STORE_ROWS,
                       (BuildSpec){.args = args, .arg_count = 3, .attr = {.ref = w->c.mem.i}});
        }
}

// All columns for these rows, which then come from the first cache.
static void emit_columns(Work *w, Block block)
{
    Sched *s = w->s;
    int64_t size = s->axes[w->root->vector.i].size_const;
    Value index, zero = constant(s, 0);
    if (size < 0) {
        open_for(s, zero, panel_count(s, w->root), constant(s, 1), NULL, 0, &block.panels[0]);
        block.panel_count = 1;
        emit_block(w, &block);
        close_for(s, NULL, 0);
        return;
    }
    int64_t panels = (size + ROWS - 1) / ROWS, pairs = panels / 2 * 2;
    if (pairs) {
        open_for(s, zero, constant(s, pairs), constant(s, 2), NULL, 0, &index);
        block.panels[0] = index;
        block.panels[1] = sum(s, index, constant(s, 1));
        block.panel_count = 2;
        emit_block(w, &block);
        close_for(s, NULL, 0);
    }
    if (panels == pairs) return;
    block.panels[0] = constant(s, pairs);
    block.panel_count = 1;
    emit_block(w, &block);
}

// The last blocks of rows may overlap: what is computed twice is the same.
static void emit_rows(Work *w)
{
    Sched *s = w->s;
    int64_t rows = w->rows, pairs = rows / (2 * ROWS) * (2 * ROWS);
    Value index, zero = constant(s, 0);
    if (rows < 0) {
        Value size = size_of(s, w->root->row);
        open_for(s, zero, size, constant(s, ROWS), NULL, 0, &index);
        Builder b = sched_at(s, s->top);
        Value last = build_op2(&b, OP_MAX, build_op2(&b, OP_SUB, size, build_i64(&b, ROWS)), zero);
        emit_columns(w, (Block){.rows = {build_op2(&b, OP_MIN, index, last)}, .row_count = 1});
        close_for(s, NULL, 0);
        return;
    }
    if (pairs) {
        open_for(s, zero, constant(s, pairs), constant(s, 2 * ROWS), NULL, 0, &index);
        emit_columns(w, (Block){.rows = {index, sum(s, index, constant(s, ROWS))}, .row_count = 2});
        close_for(s, NULL, 0);
    }
    int64_t left = rows - pairs;
    if (!left) return;
    int64_t first = left > ROWS ? pairs : rows < ROWS ? 0 : rows - ROWS;
    emit_columns(w, (Block){.rows = {constant(s, first), constant(s, rows - ROWS)},
                            .row_count = left > ROWS ? 2 : 1});
}

// Copies what the rows have from `begin` on, with zeros up to a whole step.
static Lines copy_lines(Work *w, Value begin, int64_t steps)
{
    Sched *s = w->s;
    unsigned lanes = (unsigned)w->step;
    int64_t rows = s->axes[w->root->row.i].size_max, line = steps * w->step;
    Lines to = {scratch_new(s, w->a.dtype, rows * line), w->a.dtype, constant(s, 0),
                constant(s, line)};
    Value zero = constant(s, 0), row, k;
    open_for(s, zero, size_of(s, w->root->row), constant(s, 1), NULL, 0, &row);
    open_for(s, begin, w->depth, constant(s, w->step), NULL, 0, &k);
    Builder b = sched_at(s, s->top);
    Value left = build_cast(&b, build_op2(&b, OP_SUB, w->depth, k), DTYPE_I32);
    Value mask = build_op2(&b, OP_LT, build_iota(&b, DTYPE_I32, lanes), left);
    Value v = build_load(&b, w->a.mem, type_vector(w->a.dtype, lanes), at_row(w, &w->a, row, k),
                         mask);
    b = sched_at(s, s->top);
    Value args[2] = {v, at_row(w, &to, row, build_op2(&b, OP_SUB, k, begin))};
    b = sched_at(s, s->top);
    build_inst(&b, OP_STORE,
               (BuildSpec){.args = args, .arg_count = 2, .attr = {.ref = to.mem.i}});
    close_for(s, NULL, 0);
    close_for(s, NULL, 0);
    return to;
}

// Zeros behind the last groups of the packed columns, up to a whole step.
static void clear_panels(Work *w)
{
    Sched *s = w->s;
    int64_t line = w->b->stride[w->root->group_axis.i] * w->group;
    Builder b = sched_at(s, s->top);
    Value group = build_i64(&b, w->group), panel, g;
    Value from = build_op2(&b, OP_ADD, w->depth, build_i64(&b, w->group - 1));
    from = build_op2(&b, OP_DIV, from, group);
    Value to = build_op2(&b, OP_ADD, w->depth, build_i64(&b, w->step - 1));
    to = build_op2(&b, OP_SUB, to, build_op2(&b, OP_REM, to, build_i64(&b, w->step)));
    to = build_op2(&b, OP_DIV, to, group);
    open_for(s, constant(s, 0), panel_count(s, w->root), constant(s, 1), NULL, 0, &panel);
    open_for(s, from, to, constant(s, 1), NULL, 0, &g);
    b = sched_at(s, s->top);
    Value zeros = build_bits(&b, type_vector(w->b->dtype, ROWS * w->group), 0);
    Value offset = plus(s, w->panels, panel, w->b->panel_stride);
    Value args[2] = {zeros, plus(s, offset, g, line)};
    b = sched_at(s, s->top);
    build_inst(&b, OP_STORE,
               (BuildSpec){.args = args, .arg_count = 2, .attr = {.ref = w->b->mem.i}});
    close_for(s, NULL, 0);
    close_for(s, NULL, 0);
}

// Rows where the tensor has them: the next row's offset tells the distance.
static Lines tensor_lines(Sched *s, const Root *root, Value v)
{
    AxisState *axis = &s->axes[root->row.i], was = *axis;
    Mem mem = {value_def(s->tile, v)->attr.ref};
    Lines lines = {mem, mem_at(s->tile, mem)->dtype, {0}, {0}};
    axis->level = s->top;
    axis->count = 1;
    axis->lanes = axis->first = 0;
    axis->base = axis->begin;
    lines.first = group_offset(s, v, 0);
    axis->base = sum(s, axis->begin, constant(s, 1));
    Value next = group_offset(s, v, 0);
    *axis = was;
    Builder b = sched_at(s, s->top);
    lines.distance = build_op2(&b, OP_SUB, next, lines.first);
    return lines;
}

// ---- masked sums

static Value at_panel(Work *w, Value row, Value panel)
{
    return at_row(w, &w->c, row, plus(w->s, constant(w->s, 0), panel, ROWS));
}

// How many rows to compute anew: all if the result has a NaN, else none.
static Value rows_again(Work *w)
{
    Sched *s = w->s;
    Value zero = constant(s, 0), one = constant(s, 1), row, panel;
    Builder b = sched_at(s, s->top);
    Value none = build_bits(&b, type_vector(DTYPE_BOOL, ROWS), 0);
    Value rows = size_of(s, w->root->row), panels = panel_count(s, w->root);
    Value *outer = open_for(s, zero, rows, one, &none, 1, &row);
    Value *inner = open_for(s, zero, panels, one, outer, 1, &panel);
    Value at = at_panel(w, row, panel);
    b = sched_at(s, s->top);
    Value c = build_load(&b, w->c.mem, type_vector(w->dtype, ROWS), at, (Value){0});
    Value next = build_op2(&b, OP_OR, inner[0], build_op1(&b, OP_ISNAN, c));
    Value any = close_for(s, close_for(s, &next, 1), 1)[0];
    b = sched_at(s, s->top);
    return build_op3(&b, OP_SELECT, build_vreduce(&b, REDUCE_ANY, any), rows, zero);
}

// acc + a[row, k] * b[k, panel] where the mask says so.
static Value multiply_masked(Work *w, const Lines *rows, Value row, Value panel, Value k, Value acc)
{
    Sched *s = w->s;
    int64_t line = w->b->stride[w->root->group_axis.i];
    Value mask = emit_value(s, inst_mask(s->tile, inst_at(s->tile, w->root->inst)))[0];
    Value at = at_row(w, rows, row, k);
    Builder b = sched_at(s, s->top);
    Value in_group = build_op2(&b, OP_REM, k, build_i64(&b, w->group));
    Value first = plus(s, w->panels, panel, w->b->panel_stride);
    first = sum(s, plus(s, first, build_op2(&b, OP_SUB, k, in_group), line), in_group);
    b = sched_at(s, s->top);
    Value lanes = build_op2(&b, OP_MUL, build_iota(&b, DTYPE_I64, ROWS), build_i64(&b, w->group));
    lanes = build_op2(&b, OP_ADD, lanes, first);
    Value column = build_load(&b, w->b->mem, type_vector(w->b->dtype, ROWS), lanes, (Value){0});
    Value factor = build_load(&b, rows->mem, type_scalar(rows->dtype), at, (Value){0});
    Value next = build_op3(&b, OP_FMA, build_cast(&b, factor, w->dtype),
                           build_cast(&b, column, w->dtype), acc);
    return build_op3(&b, OP_SELECT, mask, next, acc);
}

static void bind(Sched *s, Axis a, Value index)
{
    AxisState *axis = &s->axes[a.i];
    axis->base = sum(s, axis->begin, index);
    axis->level = s->top;
    axis->count = 1;
    axis->lanes = axis->first = 0;
}

static void multiply_again(Work *w, const Lines *rows)
{
    Sched *s = w->s;
    const Root *root = w->root;
    AxisState *m = &s->axes[root->row.i], *n = &s->axes[root->group_axis.i], was[2] = {*m, *n};
    Value zero = constant(s, 0), one = constant(s, 1), row, panel, k;
    Value panels = panel_count(s, root);
    open_for(s, zero, rows_again(w), one, NULL, 0, &row);
    bind(s, root->row, row);
    open_for(s, zero, panels, one, NULL, 0, &panel);
    Builder b = sched_at(s, s->top);
    Value none = build_bits(&b, type_vector(w->dtype, ROWS), 0);
    Value *acc = open_for(s, zero, w->depth, one, &none, 1, &k);
    bind(s, root->group_axis, k);
    Value next = multiply_masked(w, rows, row, panel, k, acc[0]);
    Value args[2] = {close_for(s, &next, 1)[0], at_panel(w, row, panel)};
    b = sched_at(s, s->top);
    build_inst(&b, OP_STORE,
               (BuildSpec){.args = args, .arg_count = 2, .attr = {.ref = w->c.mem.i}});
    close_for(s, NULL, 0);
    close_for(s, NULL, 0);
    *m = was[0];
    *n = was[1];
}

// Whether zeros in the rows may meet what is not finite. Integers have no such.
static bool needs_masks(Sched *s, const Work *w)
{
    Value mask = inst_mask(s->tile, inst_at(s->tile, w->root->inst));
    if (!mask.i || !dtype_is_float(w->dtype)) return false;
    const ValueState *state = &s->values[mask.i];
    return !(state->global.i && is_always(s, state->global));
}

static Lines slot_lines(Sched *s, const Slot *slot, Axis row)
{
    return (Lines){slot->mem, slot->dtype, slot_row(s, slot, slot->axes, 0),
                   constant(s, slot->stride[row.i])};
}

void tiles_emit(Sched *s, const Root *root)
{
    Factors f = {0};
    if (!root->slot) return; // nobody reads it
    find_factors(s, root, &f);
    Work w = {.s = s, .root = root, .group = root->group, .dtype = root->slot->dtype};
    w.step = (int64_t)ROWS * root->group;
    w.b = s->values[f.column.i].slot;
    w.panels = slot_row(s, w.b, w.b->axes, 0);
    const Slot *rows = s->values[f.row.i].slot;
    w.a = rows ? slot_lines(s, rows, root->row) : tensor_lines(s, root, f.row);
    const Lines all = w.a;
    w.c = slot_lines(s, root->slot, root->row);
    w.rows = s->axes[root->row.i].size_const;
    w.depth = size_of(s, root->group_axis);
    int64_t depth = s->axes[root->group_axis.i].size_const;
    w.rest = depth < 0 ? -1 : depth % w.step;
    Builder b = sched_at(s, s->top);
    w.whole = build_op2(&b, OP_SUB, w.depth, build_op2(&b, OP_REM, w.depth, build_i64(&b, w.step)));
    if (w.rest) clear_panels(&w);
    if (w.rows < ROWS) { // too few to overlap, or perhaps so: copied as a whole
        int64_t most = s->axes[root->group_axis.i].size_max;
        w.a = copy_lines(&w, constant(s, 0), (most + w.step - 1) / w.step);
        w.tail = w.a;
        w.tail.first = w.whole;
    } else if (w.rest) {
        w.tail = copy_lines(&w, w.whole, 1);
    }
    emit_rows(&w);
    if (needs_masks(s, &w)) multiply_again(&w, &all);
}
