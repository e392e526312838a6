// What combines the copies of a value along an axis that is written out.
#include "ir/eval.h"
#include "passes/expand.h"

static Value step(Builder *b, ReduceKind kind, Value x, Value y)
{
    static const Op ops[] = {[REDUCE_SUM] = OP_ADD, [REDUCE_PROD] = OP_MUL, [REDUCE_MAX] = OP_MAX,
                             [REDUCE_MIN] = OP_MIN, [REDUCE_ANY] = OP_OR,   [REDUCE_OR] = OP_OR,
                             [REDUCE_ALL] = OP_AND, [REDUCE_AND] = OP_AND,  [REDUCE_XOR] = OP_XOR};
    return build_op2(b, ops[kind], x, y);
}

static Value pairs(Builder *b, ReduceKind kind, const Value *x, unsigned count)
{
    if (count == 1) return x[0];
    Value left = pairs(b, kind, x, (count + 1) / 2);
    return step(b, kind, left, pairs(b, kind, x + (count + 1) / 2, count / 2));
}

static const Inst *float_product(const Func *f, Value v)
{
    const Inst *in = value_def(f, v);
    return in && in->op == OP_MUL && dtype_is_float(value_dtype(f, v)) ? in : NULL;
}

Value expand_reduce(Builder *b, Arena *arena, const Copies *x, ReduceKind kind, bool fuse)
{
    DType t = value_dtype(b->f, x->values[0]);
    bool chain = fuse && kind == REDUCE_SUM && !x->masks;
    for (unsigned k = 0; k < x->count; k++) chain = chain && float_product(b->f, x->values[k]);
    Value sum = x->values[0];
    for (unsigned k = 1; chain && k < x->count; k++) {
        const Inst *product = float_product(b->f, x->values[k]);
        sum = build_op3(b, OP_FMA, inst_arg(b->f, product, 0), inst_arg(b->f, product, 1), sum);
    }
    if (chain) return sum;
    Value *v = arena_array(arena, Value, x->count);
    for (unsigned k = 0; k < x->count; k++) {
        v[k] = x->values[k];
        if (x->masks)
            v[k] = build_op3(b, OP_SELECT, x->masks[k], v[k],
                             build_bits(b, type_scalar(t), reduce_identity(kind, t)));
    }
    return pairs(b, kind, v, x->count);
}

// Indices ascend, so that an equal one never replaces what was found; a NaN replaces a number.
Value expand_arg(Builder *b, const Copies *x, ReduceKind kind)
{
    DType t = value_dtype(b->f, x->values[0]);
    ReduceKind plain = kind == REDUCE_ARGMAX ? REDUCE_MAX : REDUCE_MIN;
    Type number = type_scalar(DTYPE_I32);
    Value none = build_bits(b, number, (uint32_t)-1), zero = build_bits(b, number, 0);
    Value best = x->masks ? build_bits(b, type_scalar(t), reduce_identity(plain, t)) : x->values[0];
    Value at = x->masks ? none : zero;
    for (unsigned k = x->masks ? 0 : 1; k < x->count; k++) {
        Value v = x->values[k];
        Value better =
            kind == REDUCE_ARGMAX ? build_op2(b, OP_LE, v, best) : build_op2(b, OP_LE, best, v);
        better = build_op1(b, OP_NOT, better); // or one of them is a NaN
        if (dtype_is_float(t))
            better =
                build_op2(b, OP_AND, better, build_op1(b, OP_NOT, build_op1(b, OP_ISNAN, best)));
        if (x->masks) {
            better = build_op2(b, OP_OR, better, build_op2(b, OP_LT, at, zero));
            better = build_op2(b, OP_AND, better, x->masks[k]);
        }
        best = build_op3(b, OP_SELECT, better, v, best);
        at = build_op3(b, OP_SELECT, better, build_bits(b, number, k), at);
    }
    Value index = build_op2(b, OP_ADD, build_cast(b, at, DTYPE_I64), build_i64(b, x->lo));
    if (!x->masks || x->lo == 0) return index;
    return build_op3(b, OP_SELECT, build_op2(b, OP_LT, at, zero), build_i64(b, -1), index);
}
