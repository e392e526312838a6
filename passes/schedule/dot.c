// Products of narrow elements by instructions that take a group of neighbours along the reduced
// axis at once: two of bf16, four bytes. The columns are packed with the groups together; the rows'
// groups are loaded from where they are, one for all lanes.
//
//   sum[k](a[m, k] * b[k, n])   ->   k by 4 { acc = dot(a[m, k .. k + 3], s[k / 4][n][4], acc) }
//
// The instructions for bytes take one signed and one unsigned operand. Where both are alike, the
// columns are packed with 128 added or subtracted, and each row's sum times 128 makes up for it.
#include "passes/schedule/sched.h"

enum { ROWS_MIN = 16, GROUP_MOST = 4 };

typedef struct Factors {
    Value row, column; // the operand that varies along the rows, and along the lanes
    DType row_type, column_type;
} Factors;

static DType storage_of(const Sched *s, Value v)
{
    return mem_at(s->tile, (Mem){value_def(s->tile, v)->attr.ref})->dtype;
}

static bool is_plain_load(const Sched *s, Value v)
{
    const Inst *in = value_def(s->tile, v);
    return in && in->op == OP_LOAD_TILE && !in->attr.bits && !inst_mask(s->tile, in).i &&
           (!is_boundary(s, v) || s->values[v.i].slot);
}

static bool find_factors(const Sched *s, const Root *root, Factors *f)
{
    const Inst *in = inst_at(s->tile, root->inst);
    const Inst *product = value_def(s->tile, inst_arg(s->tile, in, 0));
    if (in->attr.kind != REDUCE_SUM || inst_mask(s->tile, in).i || product->op != OP_MUL)
        return false;
    for (unsigned k = 0; k < 2; k++) {
        Value v = inst_arg(s->tile, product, k);
        if (!is_plain_load(s, v)) return false;
        if (value_axes(s->tile, v) & axis_bit(root->vector))
            f->column = v;
        else
            f->row = v;
    }
    if (!f->row.i || !f->column.i) return false;
    f->row_type = storage_of(s, f->row);
    f->column_type = storage_of(s, f->column);
    return true;
}

static bool is_byte(DType t)
{
    return t == DTYPE_I8 || t == DTYPE_U8;
}

static unsigned group_of(const Sched *s, const Root *root, const Factors *f)
{
    const Machine *machine = s->context->machine;
    DType t = value_dtype(s->tile, root->value);
    if (s->lanes * 4 != machine->vector_bytes) return 0;
    int64_t wanted = -1;
    config_get(s->context->config, STR("dots"), &wanted);
    bool halves = t == DTYPE_F32 && f->row_type == DTYPE_BF16 && f->column_type == DTYPE_BF16;
    if (halves && machine->dots_bf16 && (wanted < 0 ? !machine->slow_dots_bf16 : wanted)) return 2;
    bool bytes = t == DTYPE_I32 && is_byte(f->row_type) && is_byte(f->column_type);
    return bytes && machine->dots_i8 && wanted ? 4 : 0;
}

// What is added to a column's elements while packing: then one operand is signed, the other not.
static int64_t bias_of(const Factors *f)
{
    if (f->row_type != f->column_type || !is_byte(f->row_type)) return 0;
    return f->row_type == DTYPE_I8 ? 128 : -128;
}

static DType packed_type(const Factors *f)
{
    if (!bias_of(f)) return f->column_type;
    return f->column_type == DTYPE_I8 ? DTYPE_U8 : DTYPE_I8;
}

bool dot_choose(Sched *s, Root *root)
{
    Factors f = {0};
    if (!root->vector.i || !root->row.i || root->column.i ||
        __builtin_popcountll(root->reduced) != 1 || !find_factors(s, root, &f))
        return false;
    Axis k = {(uint32_t)__builtin_ctzll(root->reduced)};
    unsigned group = group_of(s, root, &f);
    AxisSet row = value_axes(s->tile, f.row), column = value_axes(s->tile, f.column);
    int64_t rows = s->axes[root->row.i].size_max;
    Str name = mem_at(s->tile, (Mem){value_def(s->tile, f.column)->attr.ref})->name;
    bool fits = group && s->axes[k.i].size_const >= group && (rows < 0 || rows >= ROWS_MIN) &&
                (row & axis_bit(root->row)) && !(column & axis_bit(root->row)) &&
                (row & axis_bit(k)) && (column & axis_bit(k)) && keep_fits(s, column) &&
                !is_boundary(s, f.column) && !is_boundary(s, f.row) &&
                lane_coefficient(s, value_def(s->tile, f.row), 0, k) == LANE_UNIT &&
                config_get_axis(s->context->config, "pack", name, 1) != 0;
    if (!fits) return false;
    Root *keep = panel_new(s, root, f.column);
    keep->slot->dtype = packed_type(&f);
    keep->slot->group = keep->group = root->group = group;
    keep->slot->depth = group;
    keep->group_axis = root->group_axis = k;
    return true;
}

// ---- packing

static Value zero_vector(Builder *b, DType t, unsigned lanes)
{
    return build_bits(b, type_vector(t, lanes), 0);
}

// Lanes of `group` vectors in turn.
static void weave(Builder *b, Value *v, unsigned group)
{
    if (group == 4) {
        Value even[2] = {build_zip(b, v[0], v[2], 0), build_zip(b, v[0], v[2], 1)};
        Value odd[2] = {build_zip(b, v[1], v[3], 0), build_zip(b, v[1], v[3], 1)};
        for (unsigned k = 0; k < 4; k++) v[k] = build_zip(b, even[k / 2], odd[k / 2], k % 2);
        return;
    }
    Value low = build_zip(b, v[0], v[1], 0), high = build_zip(b, v[0], v[1], 1);
    v[0] = low;
    v[1] = high;
}

static void store_group(Sched *s, const Slot *slot, Value *v, Value offset)
{
    Builder b = sched_at(s, s->top);
    weave(&b, v, slot->group);
    for (unsigned k = 0; k < slot->group; k++) {
        Value at = build_op2(&b, OP_ADD, offset, build_i64(&b, (int64_t)k * s->lanes));
        Value args[2] = {v[k], at};
        build_inst(&b, OP_STORE,
                   (BuildSpec){.args = args, .arg_count = 2, .attr = {.ref = slot->mem.i}});
    }
}

static Value biased(Builder *b, Value v, DType to)
{
    Value flip = build_bits(b, type_scalar(DTYPE_I32), 128);
    return build_cast(b, build_op2(b, OP_XOR, v, flip), to);
}

void dot_pack(Sched *s, const Root *root)
{
    const Slot *slot = root->slot;
    AxisSet axes = value_axes(s->tile, root->value);
    bool changes = is_plain_load(s, root->value) && is_byte(storage_of(s, root->value)) &&
                   slot->dtype != storage_of(s, root->value);
    Value *in = changes ? emit_fresh(s, root->value)
                        : tiles_narrow(s, root->value, slot->dtype, (Value){0});
    unsigned count = s->axes[root->group_axis.i].count;
    for (unsigned i = 0; i < instances_of(s, axes); i++) {
        unsigned at = instance_of_axis(s, axes, i, root->group_axis);
        if (at % slot->group) continue;
        Value v[GROUP_MOST] = {{0}};
        Builder b = sched_at(s, s->top);
        for (unsigned j = 0; j < slot->group; j++) v[j] = zero_vector(&b, slot->dtype, s->lanes);
        for (unsigned k = 0; k < instances_of(s, axes); k++) {
            unsigned other = instance_of_axis(s, axes, k, root->group_axis);
            AxisSet rest = axes & ~axis_bit(root->group_axis);
            if (other < at || other >= at + slot->group || other >= count ||
                instance_project(s, axes, k, rest) != instance_project(s, axes, i, rest))
                continue;
            v[other - at] = changes ? biased(&b, in[k], slot->dtype) : in[k];
        }
        store_group(s, slot, v, slot_row(s, slot, axes, i));
    }
}

// ---- products

static Value load_wide(Sched *s, Mem mem, DType t, Value offset, unsigned lanes, Value mask)
{
    Builder b = sched_at(s, s->top);
    return build_load(&b, mem, type_vector(t, lanes), offset, mask);
}

static Value build_dot(Builder *b, Value x, Value y, Value acc)
{
    Value args[3] = {x, y, acc};
    Type type = value_type(b->f, acc);
    InstId id = build_inst(
        b, OP_DOT, (BuildSpec){.args = args, .arg_count = 3, .results = &type, .result_count = 1});
    return inst_result(inst_at(b->f, id), 0);
}

void dot_step(Sched *s, Root *root)
{
    Factors f = {0};
    find_factors(s, root, &f);
    const Slot *slot = s->values[f.column.i].slot;
    AxisSet k = axis_bit(root->group_axis), columns = value_axes(s->tile, f.column);
    AxisSet result = value_axes(s->tile, root->value), rows = value_axes(s->tile, f.row);
    Value *a = arena_array(s->arena, Value, instances_of(s, rows));
    emit_group_load(s, f.row, root->group_axis, root->group, a);
    unsigned vectors = instances_of(s, columns & ~k), n = 0;
    Value *b = arena_array(s->arena, Value, vectors);
    for (unsigned i = 0; i < instances_of(s, columns); i++)
        if (!instance_of_axis(s, columns, i, root->group_axis))
            b[n++] = load_wide(s, slot->mem, slot->dtype, slot_row(s, slot, columns, i),
                               s->lanes * root->group, (Value){0});
    Builder at = sched_at(s, s->top);
    for (unsigned i = 0; i < instances_of(s, result); i++) {
        unsigned r = instance_project(s, result, i, rows & ~k);
        unsigned c = instance_project(s, result, i, columns & ~k);
        root->acc[i] = build_dot(&at, a[r], b[c], root->acc[i]);
    }
}

// The sum of a row's elements by the same instruction, with ones.
static Value row_sum(Sched *s, const Root *root, const Factors *f, Value offset)
{
    Mem mem = {value_def(s->tile, f->row)->attr.ref};
    unsigned wide = s->lanes * root->group;
    int64_t size = s->axes[root->group_axis.i].size_const, whole = size / wide * wide;
    Builder b = sched_at(s, s->top);
    DType other = f->row_type == DTYPE_I8 ? DTYPE_U8 : DTYPE_I8;
    Value ones = build_bits(&b, type_vector(other, root->group), 1), index;
    Value acc = zero_vector(&b, DTYPE_I32, s->lanes);
    if (whole) {
        Value *in = open_for(s, build_i64(&b, 0), build_i64(&b, whole), build_i64(&b, wide), &acc,
                             1, &index);
        b = sched_at(s, s->top);
        Value v =
            load_wide(s, mem, f->row_type, build_op2(&b, OP_ADD, offset, index), wide, (Value){0});
        b = sched_at(s, s->top);
        Value next = build_dot(&b, ones, v, in[0]);
        acc = close_for(s, &next, 1)[0];
    }
    b = sched_at(s, s->top);
    if (size > whole) {
        Value mask = build_op2(&b, OP_LT, build_iota(&b, DTYPE_I32, wide),
                               build_bits(&b, type_scalar(DTYPE_I32), (uint64_t)(size - whole)));
        Value at = build_op2(&b, OP_ADD, offset, build_i64(&b, whole));
        acc = build_dot(&b, ones, load_wide(s, mem, f->row_type, at, wide, mask), acc);
    }
    return build_vreduce(&b, REDUCE_SUM, acc);
}

void dot_begin(Sched *s, Root *root)
{
    Factors f = {0};
    find_factors(s, root, &f);
    int64_t bias = bias_of(&f);
    if (!bias) return;
    AxisSet result = value_axes(s->tile, root->value), rows = value_axes(s->tile, f.row);
    unsigned count = instances_of(s, rows & ~axis_bit(root->group_axis));
    Value *start = arena_array(s->arena, Value, count);
    for (unsigned r = 0; r < count; r++) {
        Value sum = row_sum(s, root, &f, group_offset(s, f.row, r));
        Builder b = sched_at(s, s->top);
        sum = build_op2(&b, OP_MUL, sum, build_bits(&b, type_scalar(DTYPE_I32), (uint32_t)-bias));
        Type type = type_vector(DTYPE_I32, s->lanes);
        InstId id = build_inst(
            &b, OP_SPLAT,
            (BuildSpec){.args = &sum, .arg_count = 1, .results = &type, .result_count = 1});
        start[r] = inst_result(inst_at(s->f, id), 0);
    }
    for (unsigned i = 0; i < instances_of(s, result); i++)
        root->acc[i] = start[instance_project(s, result, i, rows & ~axis_bit(root->group_axis))];
}
