// On-demand emission: a tile value is computed at the outermost open level that binds its axes,
// once for each combination of the instances of those axes, and remembered while that level is
// open.
#include "passes/schedule/sched.h"

Builder sched_at(const Sched *s, int level)
{
    const Level *at = &s->levels[level];
    return (Builder){s->f, at->region, at->child, s->span};
}

unsigned instances_of(const Sched *s, AxisSet axes)
{
    unsigned n = 1;
    for (unsigned a = 1; a < AXES_MAX; a++)
        if ((axes >> a & 1) && s->axes[a].level >= 0) n *= s->axes[a].count;
    return n;
}

// Instances are numbered in mixed radix, the lowest axis fastest.
unsigned instance_of_axis(const Sched *s, AxisSet axes, unsigned index, Axis axis)
{
    for (unsigned a = 1; a < axis.i; a++)
        if ((axes >> a & 1) && s->axes[a].level >= 0) index /= s->axes[a].count;
    return index % s->axes[axis.i].count;
}

unsigned instance_project(const Sched *s, AxisSet from, unsigned index, AxisSet to)
{
    unsigned result = 0, scale = 1;
    for (unsigned a = 1; a < AXES_MAX; a++) {
        if (!(from >> a & 1) || s->axes[a].level < 0) continue;
        unsigned digit = index % s->axes[a].count;
        index /= s->axes[a].count;
        if (!(to >> a & 1)) continue;
        result += digit * scale;
        scale *= s->axes[a].count;
    }
    return result;
}

unsigned value_lanes(const Sched *s, AxisSet axes)
{
    for (unsigned a = 1; a < AXES_MAX; a++)
        if ((axes >> a & 1) && s->axes[a].level >= 0 && s->axes[a].lanes) return s->axes[a].lanes;
    return 0;
}

Value tail_mask(const Sched *s, AxisSet axes, unsigned index)
{
    for (unsigned a = 1; a < AXES_MAX; a++)
        if ((axes >> a & 1) && s->axes[a].level >= 0 && s->axes[a].lanes)
            return s->axes[a].mask[instance_of_axis(s, axes, index, (Axis){a})];
    return (Value){0};
}

Value mask_and(Builder *b, Value a, Value c)
{
    if (!a.i) return c;
    if (!c.i) return a;
    return build_op2(b, OP_AND, a, c);
}

int sched_level(const Sched *s, Value v)
{
    const ValueInfo *info = value_at(s->tile, v);
    Region region = info->def.i ? inst_at(s->tile, info->def)->parent : info->region;
    int level = s->region_level[region.i];
    for (unsigned a = 1; a < AXES_MAX; a++)
        if ((info->type.axes >> a & 1) && s->axes[a].level > level) level = s->axes[a].level;
    return level;
}

void sched_remember(Sched *s, Value v, Value *instances, int level)
{
    s->values[v.i].inst = instances;
    s->values[v.i].level = level;
    vec_push(s->arena, &s->levels[level].memo, v.i);
}

Value index_of_axis(Builder *b, const AxisState *axis, unsigned instance, DType t)
{
    if (axis->level < 0) return build_cast(b, axis->begin, t); // a scalar axis, or of one element
    int64_t step = (int64_t)instance * (axis->lanes ? axis->lanes : 1);
    Value index = build_cast(b, build_op2(b, OP_ADD, axis->base, build_i64(b, step)), t);
    return axis->lanes ? build_op2(b, OP_ADD, index, build_iota(b, t, axis->lanes)) : index;
}

static void emit_index(Sched *s, const Inst *in, Value *out, int level)
{
    const AxisState *axis = &s->axes[in->attr.ref];
    Builder b = sched_at(s, level);
    unsigned count = axis->level < 0 ? 1 : axis->count;
    for (unsigned k = 0; k < count; k++) out[k] = index_of_axis(&b, axis, k, DTYPE_I64);
}

static Value emit_tileinfo(Sched *s, const Inst *in, Builder *b)
{
    const AxisState *axis = &s->axes[in->attr.ref];
    if (in->attr.kind == INFO_BEGIN) return axis->begin;
    if (in->attr.kind == INFO_END) return axis->end;
    if (in->attr.kind == INFO_SIZE) return build_op2(b, OP_SUB, axis->end, axis->begin);
    Value block = build_i64(b, axis->block < 1 ? 1 : axis->block);
    if (in->attr.kind == INFO_ID)
        return build_op2(b, OP_DIV, build_op2(b, OP_SUB, axis->begin, axis->lo), block);
    if (in->attr.kind == INFO_BLOCK) return block;
    Value extent = build_op2(b, OP_MAX, build_op2(b, OP_SUB, axis->hi, axis->lo), build_i64(b, 0));
    extent = build_op2(b, OP_ADD, extent, build_i64(b, axis->block - 1));
    return build_op2(b, OP_DIV, extent, block);
}

Value emit_elementwise(Builder *b, const Inst *in, const Value *args, Type type)
{
    if (in->op == OP_CAST) return build_cast(b, args[0], (DType)type.dtype);
    if (op_info[in->op].rule == RULE_SAME || op_info[in->op].rule == RULE_BOOL ||
        in->op == OP_SELECT) {
        if (in->op != OP_QUANT) {
            if (in->arg_count == 1) return build_op1(b, (Op)in->op, args[0]);
            if (in->arg_count == 2) return build_op2(b, (Op)in->op, args[0], args[1]);
            return build_op3(b, (Op)in->op, args[0], args[1], args[2]);
        }
    }
    InstId id = build_inst(b, (Op)in->op,
                           (BuildSpec){.args = args,
                                       .arg_count = in->arg_count,
                                       .results = &type,
                                       .result_count = 1,
                                       .attr = in->attr});
    return inst_result(inst_at(b->f, id), 0);
}

static void emit_pure(Sched *s, const Inst *in, AxisSet axes, unsigned count, Value *out, int level)
{
    Value *operands[3] = {0};
    AxisSet operand_axes[3] = {0};
    for_each_arg(s->tile, in, k, v) {
        if (k >= 3) break;
        operands[k] = emit_value(s, v);
        operand_axes[k] = value_axes(s->tile, v);
    }
    Builder b = sched_at(s, level);
    Type type = type_vector(value_dtype(s->tile, inst_result(in, 0)), value_lanes(s, axes));
    for (unsigned i = 0; i < count; i++) {
        Value args[3] = {{0}};
        for (unsigned k = 0; k < in->arg_count && k < 3; k++)
            args[k] = operands[k][instance_project(s, axes, i, operand_axes[k])];
        out[i] = emit_elementwise(&b, in, args, type);
    }
}

// The program's names go on to Loop IR, for those who read what backends print.
static void hand_on_name(Sched *s, Value v, const Value *instances, unsigned count)
{
    Str name = value_at(s->tile, v)->name;
    for (unsigned i = 0; name.length && i < count; i++) {
        ValueInfo *info = value_at(s->f, instances[i]);
        if (instances[i].i && !info->name.length) info->name = name;
    }
}

Value *emit_value(Sched *s, Value v)
{
    ValueState *state = &s->values[v.i];
    if (state->inst && state->level >= 0) return state->inst;
    AxisSet axes = value_axes(s->tile, v);
    int level = sched_level(s, v);
    unsigned count = instances_of(s, axes);
    Value *out = arena_array(s->arena, Value, count);
    if (state->global.i) { // the same everywhere
        for (unsigned i = 0; i < count; i++) out[i] = state->global;
        return out;
    }
    const Inst *in = value_def(s->tile, v);
    if (state->fills && state->slot) {
        Slot *slot = state->slot;
        Value *fresh = emit_fresh(s, v);
        slot_store(s, slot, axes, fresh);
        return fresh;
    }
    if (state->slot) {
        slot_load(s, state->slot, axes, level, out);
    } else if (!in) {
        s->failed = true;
        out[0] = build_i64(
            &(Builder){s->f, s->levels[level].region, s->levels[level].child, s->span}, 0);
    } else if (in->op == OP_CONST) {
        Builder b = sched_at(s, level);
        out[0] = build_bits(&b, type_scalar(value_dtype(s->tile, v)), in->attr.bits);
    } else if (in->op == OP_INDEX) {
        emit_index(s, in, out, level);
    } else if (in->op == OP_TILEINFO) {
        Builder b = sched_at(s, level);
        out[0] = emit_tileinfo(s, in, &b);
    } else if (in->op == OP_LOAD_TILE) {
        emit_load(s, in, out, level, axes);
    } else if (in->op == OP_TAKE) {
        emit_take(s, in, out, level, axes);
    } else {
        Span outer = s->span;
        s->span = in->span;
        if (!emit_spread(s, v, axes, count, out, level)) emit_pure(s, in, axes, count, out, level);
        s->span = outer;
    }
    hand_on_name(s, v, out, count);
    sched_remember(s, v, out, level);
    return out;
}

Value *emit_fresh(Sched *s, Value v)
{
    ValueState *state = &s->values[v.i];
    Slot *slot = state->slot;
    state->slot = NULL;
    Value *out = emit_value(s, v);
    s->values[v.i].slot = slot;
    return out;
}
