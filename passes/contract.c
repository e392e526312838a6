// Regroups sums of products so that the scheduler sees two factors:
//
//   reduce.sum[k] (a{m,k} * b{k,n} * s{m})   ->   s{m} * reduce.sum[k] (a{m,k} * b{k,n})
//
//   (x{m} * s) * 1.44           ->   x{m} * (s * 1.44)
//
//   reduce.sum[k] (select (p, a * b, 0))     ->   reduce.sum[k] (a * b, mask p)
//
// Laws: a factor without the reduced axes is pulled out of a float sum only if it is the only use
// of the product and no mask is in force on it; at most one pull for each reduction and run, so the
// pass ends.
#include "passes/pass.h"

static uint32_t use_count(const Func *f, Value v)
{
    uint32_t n = 0;
    for (uint32_t i = 1; i < f->insts.count; i++) {
        const Inst *in = &f->insts.data[i];
        if (in->flags & INST_DEAD) continue;
        for_each_arg(f, in, k, arg) n += arg.i == v.i;
    }
    return n;
}

// The factor of `product` that lacks all reduced axes while the rest is a product still; -1: none.
static int outer_factor(const Func *f, const Inst *product, AxisSet reduced)
{
    for (unsigned k = 0; k < 2; k++) {
        Value factor = inst_arg(f, product, k), rest = inst_arg(f, product, 1 - k);
        const Inst *other = value_def(f, rest);
        if (!(value_axes(f, factor) & reduced) && other && other->op == OP_MUL) return (int)k;
    }
    return -1;
}

static bool pull_out(Func *f, InstId id)
{
    Inst in = *inst_at(f, id);
    if (in.op != OP_REDUCE || in.attr.kind != REDUCE_SUM) return false;
    Value value = inst_arg(f, &in, 0), result = inst_result(&in, 0);
    const Inst *def = value_def(f, value);
    if (!def || def->op != OP_MUL || !dtype_is_float(value_dtype(f, value)) ||
        use_count(f, value) > 1)
        return false;
    Inst product = *def;
    int at = outer_factor(f, &product, in.attr.bits);
    if (at < 0) return false;
    Value factor = inst_arg(f, &product, (unsigned)at),
          rest = inst_arg(f, &product, 1u - (unsigned)at);
    Value args[2] = {rest, inst_mask(f, &in)};
    Type type = value_type(f, result);
    type.axes = (value_axes(f, rest) | (args[1].i ? value_axes(f, args[1]) : 0)) & ~in.attr.bits;
    Builder b = {f, in.parent, id, in.span};
    InstId sum = build_inst(&b, OP_REDUCE,
                            (BuildSpec){.args = args,
                                        .arg_count = args[1].i ? 2 : 1,
                                        .results = &type,
                                        .result_count = 1,
                                        .attr = in.attr,
                                        .flags = in.flags});
    Value scaled = build_op2(&b, OP_MUL, inst_result(inst_at(f, sum), 0), factor);
    func_replace_uses(f, result, scaled);
    inst_unlink(f, id);
    return true;
}

const Inst *sum_product(const Func *f, const Inst *reduce)
{
    const Inst *value = value_def(f, inst_arg(f, reduce, 0));
    if (reduce->attr.kind != REDUCE_SUM || !value) return NULL;
    if (value->op == OP_SELECT) {
        uint64_t other;
        if (!value_const(f, inst_arg(f, value, 2), &other) || other) return NULL;
        value = value_def(f, inst_arg(f, value, 1));
    }
    return value && value->op == OP_MUL ? value : NULL;
}

enum { PARTS_DEPTH = 8 };

// Whether the two are written alike: equal code may not be one value yet.
static bool are_alike(const Func *f, Value a, Value b, unsigned depth)
{
    const Inst *x = value_def(f, a), *y = value_def(f, b);
    if (a.i == b.i) return true;
    if (!x || !y || !depth || x->op != y->op || x->arg_count != y->arg_count || x->region_count ||
        x->flags != y->flags || x->attr.bits != y->attr.bits || x->attr.ref != y->attr.ref ||
        x->attr.kind != y->attr.kind || !type_equal(value_type(f, a), value_type(f, b)))
        return false;
    for_each_arg(f, x, k, v)
        if (!are_alike(f, v, inst_arg(f, y, k), depth - 1)) return false;
    return true;
}

// The largest parts of v that lack some of the axes, at most two. False: there are more, or they
// are not put together element by element.
static bool find_parts(const Func *f, Value v, AxisSet axes, unsigned depth, Value *parts)
{
    const Inst *in = value_def(f, v);
    if (!(value_axes(f, v) & axes)) return true; // a weight
    if (axes & ~value_axes(f, v)) {
        unsigned k = 0;
        while (k < 2 && parts[k].i && !are_alike(f, parts[k], v, depth)) k++;
        if (k < 2) parts[k] = v;
        return k < 2;
    }
    if (!in || !depth || in->op < OP_ADD || in->op > OP_BITCAST) return false;
    for_each_arg(f, in, k, arg)
        if (!find_parts(f, arg, axes, depth - 1, parts)) return false;
    return true;
}

static bool are_apart(const Func *f, const Value *pair, AxisSet axes)
{
    AxisSet left = value_axes(f, pair[0]), right = value_axes(f, pair[1]);
    return (left & ~right & axes) && (right & ~left & axes);
}

Pair contraction_pair(const Func *f, const Inst *reduce, AxisSet axes, Value *pair)
{
    Value v = inst_arg(f, reduce, 0);
    const Inst *product = sum_product(f, reduce);
    unsigned kind = reduce->attr.kind;
    for (unsigned k = 0; k < 2; k++) pair[k] = product ? inst_arg(f, product, k) : (Value){0};
    if (product && are_apart(f, pair, axes)) return PAIR_PRODUCT;
    pair[0] = pair[1] = (Value){0};
    AxisSet reduced = reduce->attr.bits;
    bool found = (kind == REDUCE_SUM || kind == REDUCE_MIN || kind == REDUCE_MAX) &&
                 use_count(f, v) == 1 && find_parts(f, v, axes, PARTS_DEPTH, pair) && pair[0].i &&
                 pair[1].i && are_apart(f, pair, axes) && (value_axes(f, pair[0]) & reduced) &&
                 (value_axes(f, pair[1]) & reduced);
    return found ? PAIR_OTHER : PAIR_NONE;
}

// A choice between a product and nothing is a mask on the sum.
static bool mask_sum(Func *f, InstId id)
{
    Inst in = *inst_at(f, id);
    if (in.op != OP_REDUCE || !sum_product(f, &in)) return false;
    Value value = inst_arg(f, &in, 0), own = inst_mask(f, &in), result = inst_result(&in, 0);
    const Inst choice = *value_def(f, value);
    if (choice.op != OP_SELECT) return false;
    Builder b = {f, in.parent, id, in.span};
    Value args[2] = {inst_arg(f, &choice, 1), inst_arg(f, &choice, 0)};
    if (own.i) args[1] = build_op2(&b, OP_AND, own, args[1]);
    Type type = value_type(f, result);
    InstId sum = build_inst(&b, OP_REDUCE,
                            (BuildSpec){.args = args,
                                        .arg_count = 2,
                                        .results = &type,
                                        .result_count = 1,
                                        .attr = in.attr,
                                        .flags = in.flags | INST_MASKED});
    func_replace_uses(f, result, inst_result(inst_at(f, sum), 0));
    inst_unlink(f, id);
    return true;
}

static bool is_moderate(const Func *f, Value v)
{
    const Inst *in = value_def(f, v);
    if (!in || in->op != OP_CONST || value_dtype(f, v) != DTYPE_F32) return false;
    uint32_t bits = (uint32_t)in->attr.bits, exponent = bits >> 23 & 255;
    return exponent > 127 - 16 && exponent < 127 + 16;
}

// (x * s) * c   ->   x * (s * c)   for scalars s, c, where c is near 1: one product less for each
// x.
static bool join_scalars(Func *f, InstId id)
{
    const Inst in = *inst_at(f, id);
    if (in.op != OP_MUL || !value_axes(f, inst_result(&in, 0))) return false;
    for (unsigned k = 0; k < 2; k++) {
        Value c = inst_arg(f, &in, k), rest = inst_arg(f, &in, 1 - k);
        const Inst *product = value_def(f, rest);
        if (!is_moderate(f, c) || !product || product->op != OP_MUL || use_count(f, rest) > 1)
            continue;
        for (unsigned j = 0; j < 2; j++) {
            Value x = inst_arg(f, product, j), s = inst_arg(f, product, 1 - j);
            if (value_axes(f, s) || !value_axes(f, x)) continue;
            Builder b = {f, in.parent, id, in.span};
            Value joined = build_op2(&b, OP_MUL, s, c);
            func_replace_uses(f, inst_result(&in, 0), build_op2(&b, OP_MUL, x, joined));
            inst_unlink(f, id);
            return true;
        }
    }
    return false;
}

static bool stands_before(const Func *f, Value a, Value b)
{
    InstId id = value_at(f, a)->def, other = value_at(f, b)->def;
    while (id.i && id.i != other.i) id = inst_at(f, id)->next;
    return id.i != 0;
}

// What is written twice of a pair, as in (x - y) * (x - y), is one value, of which one copy is
// packed.
static bool merge_parts(Func *f, Value v, AxisSet axes, unsigned depth, const Value *pair)
{
    const Inst *in = value_def(f, v);
    bool changed = false;
    if (!in || !(value_axes(f, v) & axes)) return false;
    for (unsigned k = 0; k < 2 && (axes & ~value_axes(f, v)); k++) {
        const Inst *other = value_def(f, pair[k]);
        bool beside = other && pair[k].i != v.i && other->parent.i == in->parent.i;
        if (!beside || !are_alike(f, pair[k], v, depth)) continue;
        bool later = stands_before(f, v, pair[k]);
        func_replace_uses(f, later ? pair[k] : v, later ? v : pair[k]);
        return true;
    }
    if (axes & ~value_axes(f, v)) return false;
    for (unsigned k = 0; k < in->arg_count; k++)
        changed |= merge_parts(f, inst_arg(f, value_def(f, v), k), axes, depth - 1, pair);
    return changed;
}

static bool merge_pair(Func *f, InstId id)
{
    const Inst *in = inst_at(f, id);
    Value pair[2], v;
    if (in->op != OP_REDUCE) return false;
    AxisSet axes = value_axes(f, inst_result(in, 0));
    v = inst_arg(f, in, 0);
    return contraction_pair(f, in, axes, pair) != PAIR_NONE &&
           merge_parts(f, v, axes, PARTS_DEPTH, pair);
}

static bool contract_region(Func *f, Region region)
{
    bool changed = false;
    for (InstId id = region_at(f, region)->first, next; id.i; id = next) {
        next = inst_at(f, id)->next;
        for (unsigned r = 0; r < inst_at(f, id)->region_count; r++)
            changed |= contract_region(f, inst_region(inst_at(f, id), r));
        if (mask_sum(f, id) || pull_out(f, id) || join_scalars(f, id) || merge_pair(f, id))
            changed = true;
    }
    return changed;
}

bool pass_contract(Func *f, const PassContext *context)
{
    (void)context;
    return contract_region(f, f->body);
}
