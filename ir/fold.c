// Constant folding and identities.
//
// Law: what replaces an operation has the very type that the operation would have, so no user of it
// needs a new type. So x * 0 is a constant for scalars, but stays for values over axes.
#include "ir/fold.h"

#include "ir/eval.h"

// What is known of one operand.
typedef struct Known {
    Value value;
    bool is_const;
    uint64_t bits;
} Known;

static const Value nothing = {0};

static Type united(const Func *f, const Value *args, unsigned count, DType dtype)
{
    Type type = type_scalar(dtype);
    for (unsigned k = 0; k < count; k++) {
        type.axes |= value_axes(f, args[k]);
        if (value_type(f, args[k]).lanes > type.lanes) type.lanes = value_type(f, args[k]).lanes;
    }
    return type;
}

// x itself, if it has the type of the whole.
static Value same(const Func *f, Value x, Type whole)
{
    return type_equal(value_type(f, x), whole) ? x : nothing;
}

static Value constant(Builder *b, uint64_t bits, Type whole)
{
    return whole.axes ? nothing : build_bits(b, whole, bits);
}

static bool is_int_const(const Known *k, DType t, int64_t x)
{
    return k->is_const && !dtype_is_float(t) && k->bits == scalar_from_int(t, x);
}

static bool is_const(const Known *k, DType t, double x)
{
    return k->is_const && k->bits == scalar_from_double(t, x);
}

// (x op c) op d = x op (c op d) for integers.
static Value reassociate(Builder *b, Op op, const Known *x, const Known *d, DType t)
{
    const Inst *in = value_def(b->f, x->value);
    uint64_t c, sum;
    if (dtype_is_float(t) || !d->is_const || !in || in->op != op) return nothing;
    Value inner = inst_arg(b->f, in, 0);
    if (!value_const(b->f, inst_arg(b->f, in, 1), &c)) return nothing;
    if (!eval_op(op, t, t, 0, (uint64_t[]){c, d->bits}, 2, &sum)) return nothing;
    Value constant_part = build_bits(b, value_type(b->f, d->value), sum);
    return build_op2(b, op, inner, constant_part);
}

static Value fold_sum(Builder *b, Op op, const Known *k, Type whole)
{
    DType t = (DType)whole.dtype;
    bool negative_zero = is_const(&k[1], t, -0.0), zero = is_int_const(&k[1], t, 0);
    if (op == OP_ADD && (zero || (dtype_is_float(t) && negative_zero)))
        return same(b->f, k[0].value, whole);
    if (op == OP_SUB && is_const(&k[1], t, 0.0)) return same(b->f, k[0].value, whole);
    if (op == OP_SUB && !dtype_is_float(t) && k[0].value.i == k[1].value.i)
        return constant(b, 0, whole);
    return op == OP_ADD ? reassociate(b, op, &k[0], &k[1], t) : nothing;
}

static Value fold_product(Builder *b, Op op, const Known *k, Type whole)
{
    DType t = (DType)whole.dtype;
    if (op == OP_REM) return is_int_const(&k[1], t, 1) ? constant(b, 0, whole) : nothing;
    if (is_const(&k[1], t, 1.0)) return same(b->f, k[0].value, whole);
    if (op != OP_MUL) return nothing;
    if (is_int_const(&k[1], t, 0)) return constant(b, 0, whole);
    return reassociate(b, op, &k[0], &k[1], t);
}

static Value fold_bits(Builder *b, Op op, const Known *k, Type whole)
{
    DType t = (DType)whole.dtype;
    bool equal = k[0].value.i == k[1].value.i;
    bool zero = is_int_const(&k[1], t, 0);
    bool ones = is_int_const(&k[1], t, t == DTYPE_BOOL ? 1 : -1);
    if (op != OP_XOR && equal) return same(b->f, k[0].value, whole);
    if (op == OP_XOR && equal) return constant(b, 0, whole);
    if (op == OP_AND ? ones : zero) return same(b->f, k[0].value, whole);
    if (op == OP_AND && zero) return constant(b, 0, whole);
    if (op == OP_OR && ones) return constant(b, k[1].bits, whole);
    return nothing;
}

static Value fold_select(Builder *b, const Known *k, Type whole)
{
    if (k[1].value.i == k[2].value.i) return same(b->f, k[1].value, whole);
    if (k[0].is_const) return same(b->f, k[0].bits ? k[1].value : k[2].value, whole);
    bool is_condition = whole.dtype == DTYPE_BOOL && is_int_const(&k[1], DTYPE_BOOL, 1) &&
                        is_int_const(&k[2], DTYPE_BOOL, 0);
    return is_condition ? same(b->f, k[0].value, whole) : nothing;
}

static Value fold_compare(Builder *b, Op op, const Known *k, Type whole, DType t)
{
    bool equal = !dtype_is_float(t) && k[0].value.i == k[1].value.i;
    return equal ? constant(b, op == OP_EQ || op == OP_LE, whole) : nothing;
}

static Value fold_unary(const Func *f, Op op, const Known *k, Type whole)
{
    bool whole_number = !dtype_is_float((DType)whole.dtype) && op >= OP_FLOOR && op <= OP_TRUNC;
    if (whole_number) return k[0].value;
    const Inst *in = value_def(f, k[0].value);
    bool involution = (op == OP_NOT || op == OP_NEG) && in && in->op == op;
    return involution ? same(f, inst_arg(f, in, 0), whole) : nothing;
}

static Value fold_identity(Builder *b, Op op, const Known *k, Type whole, DType t)
{
    bool equal = k[0].value.i == k[1].value.i;
    if (op == OP_ADD || op == OP_SUB) return fold_sum(b, op, k, whole);
    if (op == OP_MUL || op == OP_DIV || op == OP_REM) return fold_product(b, op, k, whole);
    if (op == OP_AND || op == OP_OR || op == OP_XOR) return fold_bits(b, op, k, whole);
    if (op == OP_SHL || op == OP_SHR)
        return is_int_const(&k[1], t, 0) ? same(b->f, k[0].value, whole) : nothing;
    if (op >= OP_MIN && op <= OP_FMAX) return equal ? same(b->f, k[0].value, whole) : nothing;
    if (op == OP_SELECT) return fold_select(b, k, whole);
    if (op >= OP_EQ && op <= OP_LE) return fold_compare(b, op, k, whole, t);
    return op_info[op].arity == 1 ? fold_unary(b->f, op, k, whole) : nothing;
}

Value fold_op(Builder *b, Op op, const Value *args, unsigned count)
{
    Known known[3] = {0};
    uint64_t bits[3];
    bool all_const = true;
    if (op_info[op].rule == RULE_GIVEN && op != OP_SELECT) return nothing;
    for (unsigned k = 0; k < count; k++) {
        known[k].value = args[k];
        known[k].is_const = value_const(b->f, args[k], &known[k].bits);
        all_const = all_const && known[k].is_const;
        bits[k] = known[k].bits;
    }
    DType t = value_dtype(b->f, args[count - 1]);
    DType to = op_info[op].rule == RULE_BOOL ? DTYPE_BOOL : t;
    Type whole = united(b->f, args, count, to);
    uint64_t result;
    if (all_const && eval_op(op, t, to, 0, bits, count, &result))
        return build_bits(b, whole, result);
    return fold_identity(b, op, known, whole, t);
}

// Whether every value of `from` is one of `to`, so that casting there and back changes nothing.
static bool holds_all(DType from, DType to)
{
    const DTypeInfo *a = &dtype_info[from], *c = &dtype_info[to];
    if (a->class_ == c->class_)
        return a->bits <= c->bits && !(dtype_is_float(from) && c->bits < 32);
    if (a->class_ == DCLASS_BOOL) return true;
    return a->class_ == DCLASS_UINT && c->class_ == DCLASS_INT && a->bits < c->bits;
}

Value fold_cast(Builder *b, Value a, DType to)
{
    uint64_t bits;
    DType t = value_dtype(b->f, a);
    Type type = value_type(b->f, a);
    type.dtype = (uint8_t)to;
    if (value_const(b->f, a, &bits) && eval_op(OP_CAST, t, to, 0, &bits, 1, &bits)) {
        return build_bits(b, type, bits);
    }
    const Inst *in = value_def(b->f, a);
    if (!in || (in->op != OP_CAST && in->op != OP_QUANT)) return nothing;
    Value inner = inst_arg(b->f, in, 0);
    if (in->op == OP_QUANT) // rounded once, as once more changes nothing
        return in->attr.kind == to && holds_all(to, t) ? build_cast(b, inner, to) : nothing;
    return value_dtype(b->f, inner) == to && holds_all(to, t) ? inner : nothing;
}
