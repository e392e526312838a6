// Turns a long reduction over a whole axis into a sequential loop over blocks, as the Config's
// block_AXIS says:
//
//   reduce.sum[k] (e)   ->   loop k_b (0, K, by, identity) { acc; yield acc + reduce.sum[k_b] (e) }
//
// so that the operands' blocks stay in cache. Laws: only where the operand is pure; the order of
// the blocks is that of the axis; what the operand does not need of the axis stays outside.
#include "ir/eval.h"
#include "passes/pass.h"

typedef struct Copy {
    Func *f;
    const PassContext *context;
    Value *map; // by value of before: its copy inside the loop, {0}: none
    Axis from, to;
    Builder b;
} Copy;

// can: of each value whether it has been found to be so, as many ways may lead to it.
static bool can_copy(const Func *f, Value v, Axis k, bool *can)
{
    if (!(value_axes(f, v) & axis_bit(k)) || can[v.i]) return true;
    const Inst *in = value_def(f, v);
    if (!in || in->region_count) return false;
    bool whole = in->op == OP_SORT || in->op == OP_TAKE; // of all of k at once
    if (whole && (in->attr.bits & axis_bit(k))) return false;
    // Where the phase writes what it reads, a load must stay where it is.
    bool load = in->op == OP_LOAD_TILE && !phase_writes(f, in, (Mem){in->attr.ref});
    if (!load && !(op_info[in->op].traits & TRAIT_PURE)) return false;
    for_each_arg(f, in, j, arg)
        if (!can_copy(f, arg, k, can)) return false;
    return can[v.i] = true;
}

static AxisSet exchanged(const Copy *c, AxisSet axes)
{
    return axes & axis_bit(c->from) ? (axes & ~axis_bit(c->from)) | axis_bit(c->to) : axes;
}

static Value copy_value(Copy *c, Value v)
{
    if (!(value_axes(c->f, v) & axis_bit(c->from))) return v;
    if (c->map[v.i].i) return c->map[v.i];
    Inst in = *value_def(c->f, v);
    Value args[16] = {{0}};
    for (unsigned k = 0; k < in.arg_count && k < 16; k++)
        args[k] = copy_value(c, inst_arg(c->f, &in, k));
    Type type = value_type(c->f, v);
    type.axes = exchanged(c, type.axes);
    Attr attr = in.attr;
    if (in.op == OP_INDEX && attr.ref == c->from.i) attr.ref = c->to.i;
    c->b.span = in.span;
    InstId id = build_inst(&c->b, (Op)in.op,
                           (BuildSpec){.args = args,
                                       .arg_count = in.arg_count,
                                       .results = &type,
                                       .result_count = 1,
                                       .attr = attr,
                                       .flags = in.flags});
    Value copy = inst_result(inst_at(c->f, id), 0);
    c->map[v.i] = copy;
    return copy;
}

static Value combine(Builder *b, ReduceKind kind, Value acc, Value v)
{
    if (kind == REDUCE_SUM) return build_op2(b, OP_ADD, acc, v);
    if (kind == REDUCE_PROD) return build_op2(b, OP_MUL, acc, v);
    if (kind == REDUCE_MAX) return build_op2(b, OP_MAX, acc, v);
    if (kind == REDUCE_MIN) return build_op2(b, OP_MIN, acc, v);
    return build_op2(b, kind == REDUCE_ANY ? OP_OR : OP_AND, acc, v);
}

static bool block_reduce(Func *f, const PassContext *context, InstId id, Axis k, int64_t block)
{
    Inst in = *inst_at(f, id);
    ReduceKind kind = (ReduceKind)in.attr.kind;
    Value result = inst_result(&in, 0), value = inst_arg(f, &in, 0), mask = inst_mask(f, &in);
    const Inst decl = *inst_at(f, axis_at(f, k)->decl);
    Axis fresh = func_axis(f, axis_at(f, k)->name, AXIS_LOOP);
    if (!fresh.i) return false;
    axis_at(f, fresh)->has_by = true;
    axis_at(f, fresh)->span = axis_at(f, k)->span;
    Type type = value_type(f, result);
    Builder outside = {f, in.parent, id, in.span};
    Region body = func_region(f);
    Value acc = region_add_arg(f, body, type);
    Value identity = build_bits(&outside, type_scalar((DType)type.dtype),
                                reduce_identity(kind, (DType)type.dtype));
    Value args[4] = {inst_arg(f, &decl, 0), inst_arg(f, &decl, 1), build_i64(&outside, block),
                     identity};
    InstId loop = build_inst(&outside, OP_LOOP,
                             (BuildSpec){.args = args,
                                         .arg_count = 4,
                                         .results = &type,
                                         .result_count = 1,
                                         .regions = &body,
                                         .region_count = 1,
                                         .attr = {.ref = fresh.i}});
    axis_at(f, fresh)->decl = loop;
    Copy c = {.f = f, .context = context, .from = k, .to = fresh, .b = {f, body, {0}, in.span}};
    c.map = arena_array(context->arena, Value, f->values.count + 1);
    Value operands[2] = {copy_value(&c, value), mask.i ? copy_value(&c, mask) : (Value){0}};
    c.b.span = in.span;
    InstId part =
        build_inst(&c.b, OP_REDUCE,
                   (BuildSpec){.args = operands,
                               .arg_count = mask.i ? 2 : 1,
                               .results = &type,
                               .result_count = 1,
                               .flags = in.flags,
                               .attr = {.bits = exchanged(&c, in.attr.bits), .kind = kind}});
    Value next = combine(&c.b, kind, acc, inst_result(inst_at(f, part), 0));
    build_inst(&c.b, OP_YIELD, (BuildSpec){.args = &next, .arg_count = 1});
    func_replace_uses(f, result, inst_result(inst_at(f, loop), 0));
    inst_unlink(f, id);
    return true;
}

static bool blockable(const Func *f, const Inst *in, const PassContext *context, Axis *k,
                      int64_t *block)
{
    if (in->op != OP_REDUCE || in->attr.kind > REDUCE_ALL || (in->flags & INST_IMPLICIT))
        return false;
    if (__builtin_popcountll(in->attr.bits) != 1) return false;
    *k = (Axis){(uint32_t)__builtin_ctzll(in->attr.bits)};
    const AxisInfo *axis = axis_at(f, *k);
    if (axis->kind != AXIS_WHOLE || !axis->decl.i) return false;
    *block = config_get_axis(context->config, "block", axis->name, 0);
    if (*block <= 0) return false;
    const Inst *decl = inst_at(f, axis->decl);
    int64_t lo, hi;
    if (value_const_int(f, inst_arg(f, decl, 0), &lo) &&
        value_const_int(f, inst_arg(f, decl, 1), &hi) && hi - lo <= *block)
        return false;
    Value mask = inst_mask(f, in);
    bool *can = arena_array(context->arena, bool, f->values.count);
    return can_copy(f, inst_arg(f, in, 0), *k, can) && (!mask.i || can_copy(f, mask, *k, can));
}

static bool holds_grid(const Func *f, Region region)
{
    for_each_inst(f, region, id)
        if (inst_at(f, id)->op == OP_GRID) return true;
    return false;
}

static bool block_region(Func *f, const PassContext *context, Region region)
{
    bool changed = false, between = holds_grid(f, region); // grids nest perfectly: no loop there
    for (InstId id = region_at(f, region)->first, next; id.i; id = next) {
        next = inst_at(f, id)->next;
        Axis k;
        int64_t block;
        for (unsigned r = 0; r < inst_at(f, id)->region_count; r++)
            changed |= block_region(f, context, inst_region(inst_at(f, id), r));
        if (!between && blockable(f, inst_at(f, id), context, &k, &block))
            changed |= block_reduce(f, context, id, k, block);
    }
    return changed;
}

bool pass_block(Func *f, const PassContext *context)
{
    return block_region(f, context, f->body);
}
