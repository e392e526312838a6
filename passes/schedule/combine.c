// Reductions and scans by a function: a loop along each combined axis, one index after the other,
// that carries the state in registers, once for each instance of the result; the other axes may be
// lanes. A scan keeps the state in scratch at each index.
//
//   combine.reduce[n] (0, x) { f }   ->   m by 8 lanes { for n carrying s { s = f(s, x[m, n]) } }
#include "passes/schedule/sched.h"

static AxisSet left_axes(const Sched *s, const Root *root)
{
    const Inst *in = inst_at(s->tile, root->inst);
    return value_axes(s->tile, inst_result(in, in->result_count - 1u));
}

static Value widen(Builder *b, Value v, unsigned lanes)
{
    if (!lanes || value_type(b->f, v).lanes) return v;
    Type type = type_vector(value_dtype(b->f, v), lanes);
    uint64_t bits;
    if (value_const(b->f, v, &bits)) return build_bits(b, type, bits);
    return inst_result(
        inst_at(b->f,
                build_inst(
                    b, OP_SPLAT,
                    (BuildSpec){.args = &v, .arg_count = 1, .results = &type, .result_count = 1})),
        0);
}

void combine_begin(Sched *s, Root *root)
{
    const Inst *in = inst_at(s->tile, root->inst);
    AxisSet left = left_axes(s, root);
    unsigned width = combine_width(in), lanes = value_lanes(s, left);
    root->acc_count = instances_of(s, left);
    root->acc_copies = width;
    root->acc_index = NULL;
    root->acc = arena_array(s->arena, Value, root->acc_count * width);
    for (unsigned k = 0; k < width; k++) {
        Value init = inst_arg(s->tile, in, k), *values = emit_value(s, init);
        Builder b = sched_at(s, s->top);
        for (unsigned i = 0; i < root->acc_count; i++) {
            unsigned at = instance_project(s, left, i, value_axes(s->tile, init));
            root->acc[k * root->acc_count + i] = widen(&b, values[at], lanes);
        }
    }
}

// What the region computes from `map`, which holds its arguments.
static void emit_function(Builder *b, const Func *tile, Region region, Value *map)
{
    for_each_inst(tile, region, id) {
        const Inst *in = inst_at(tile, id);
        if (in->op == OP_YIELD) return;
        Value result = inst_result(in, 0), args[3] = {{0}};
        unsigned lanes = 0;
        for (unsigned k = 0; k < in->arg_count && k < 3; k++) {
            args[k] = map[inst_arg(tile, in, k).i];
            if (value_type(b->f, args[k]).lanes > lanes) lanes = value_type(b->f, args[k]).lanes;
        }
        Type type = type_vector(value_dtype(tile, result), lanes);
        map[result.i] = in->op == OP_CONST ? build_bits(b, type, in->attr.bits)
                                           : emit_elementwise(b, in, args, type);
    }
}

// Instance i of an operand, out of its instances over its own axes.
static Value operand_at(const Sched *s, const Root *root, Value tile, const Value *values,
                        unsigned i)
{
    return values[instance_project(s, root->axes, i, value_axes(s->tile, tile))];
}

void combine_step(Sched *s, Root *root)
{
    const Inst *in = inst_at(s->tile, root->inst);
    Region region = inst_region(in, 0);
    const Inst *yield = inst_at(s->tile, region_at(s->tile, region)->last);
    unsigned width = combine_width(in), plain = inst_plain_args(in),
             count = instances_of(s, root->axes);
    bool scans = in->attr.kind == COMBINE_SCAN, before = (in->flags & INST_EXCLUSIVE) != 0;
    Value own = inst_mask(s->tile, in), *map = arena_array(s->arena, Value, s->tile->values.count);
    Value **operands = arena_array(s->arena, Value *, in->arg_count + 1u);
    for (unsigned k = width; k < in->arg_count; k++)
        operands[k] = emit_value(s, inst_arg(s->tile, in, k));
    Value *out = arena_array(s->arena, Value, (size_t)width * count);
    Builder b = sched_at(s, s->top);
    b.span = in->span;
    for (unsigned i = 0; i < count; i++) {
        unsigned at = instance_project(s, root->axes, i, left_axes(s, root));
        for (unsigned k = 0; k < plain; k++)
            map[region_arg(s->tile, region, k).i] =
                k < width ? root->acc[k * root->acc_count + at]
                          : operand_at(s, root, inst_arg(s->tile, in, k), operands[k], i);
        emit_function(&b, s->tile, region, map);
        Value mask = own.i ? operand_at(s, root, own, operands[plain], i) : (Value){0};
        for (unsigned k = 0; k < width; k++) {
            Value *acc = &root->acc[k * root->acc_count + at];
            Value old = map[region_arg(s->tile, region, k).i],
                  fresh = map[inst_arg(s->tile, yield, k).i];
            fresh = widen(&b, fresh, value_type(s->f, old).lanes);
            *acc = own.i ? build_op3(&b, OP_SELECT, mask, fresh, old) : fresh;
            out[k * count + i] = before ? old : *acc;
        }
    }
    for (unsigned k = 0; k < width && scans; k++)
        if (root->slots[k]) slot_store(s, root->slots[k], root->axes, &out[k * count]);
}

void combine_finish(Sched *s, Root *root)
{
    const Inst *in = inst_at(s->tile, root->inst);
    unsigned width = combine_width(in), first = in->attr.kind == COMBINE_SCAN ? width : 0;
    for (unsigned k = 0; k < width; k++) {
        Value *results =
            arena_copy(s->arena, &root->acc[k * root->acc_count], sizeof(Value) * root->acc_count);
        sched_remember(s, inst_result(in, first + k), results, s->top);
        if (root->slots[first + k])
            slot_store(s, root->slots[first + k], left_axes(s, root), results);
    }
    root->acc = NULL;
}

// Whether only the last index need be visited.
bool combine_visits_last(const Sched *s, const Root *root)
{
    const Inst *in = inst_at(s->tile, root->inst);
    bool one = (in->attr.bits & (in->attr.bits - 1)) == 0;
    return root->kind == ROOT_COMBINE && one && !(in->flags & INST_MASKED) &&
           combine_takes_last(s->tile, in);
}
