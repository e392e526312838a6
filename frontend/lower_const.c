// Literals and the types of operands. A literal is a constant i64 or f64 marked untyped: it takes
// the type of what it meets, and i64 or f32 where it meets nothing.
#include "frontend/lower.h"

#include "ir/eval.h"

Thing thing_value(Value v)
{
    return (Thing){.kind = THING_VALUE, .value = v};
}

Thing thing_poison(void)
{
    return (Thing){.kind = THING_POISON};
}

static Thing literal(Lower *l, DType t, uint64_t bits)
{
    Thing thing = thing_value(build_bits(&l->b, type_scalar(t), bits));
    thing.untyped = t != DTYPE_BOOL;
    return thing;
}

Thing literal_int(Lower *l, int64_t x)
{
    return literal(l, DTYPE_I64, (uint64_t)x);
}

Thing literal_float(Lower *l, double x)
{
    return literal(l, DTYPE_F64, scalar_from_double(DTYPE_F64, x));
}

Thing literal_bool(Lower *l, bool x)
{
    return literal(l, DTYPE_BOOL, x);
}

DType thing_dtype(const Lower *l, const Thing *t)
{
    return t->kind == THING_VALUE ? value_dtype(l->f, t->value) : DTYPE_NONE;
}

AxisSet thing_axes(const Lower *l, const Thing *t)
{
    return t->kind == THING_VALUE ? value_axes(l->f, t->value) : 0;
}

bool thing_const(const Lower *l, const Thing *t, uint64_t *bits)
{
    return t->kind == THING_VALUE && value_const(l->f, t->value, bits);
}

const char *dtype_text(const Lower *l, const Thing *t)
{
    DType dtype = thing_dtype(l, t);
    if (!t->untyped) return dtype_info[dtype].name;
    return dtype == DTYPE_I64 ? "an integer literal" : "a float literal";
}

Thing thing_settle(Lower *l, Thing t)
{
    if (t.kind != THING_VALUE || !t.untyped) return t;
    DType dtype = value_dtype(l->f, t.value);
    t.value = thing_convert(l, t, dtype == DTYPE_F64 ? DTYPE_F32 : dtype);
    t.untyped = false;
    return t;
}

// A literal, or a choice between literals, made anew in another type: exact, without conversions at
// run time.
static Value retype(Lower *l, Value v, DType to)
{
    uint64_t bits;
    DType from = value_dtype(l->f, v);
    if (value_const(l->f, v, &bits)) {
        bits = dtype_is_float(from) ? scalar_from_double(to, scalar_to_double(from, bits))
                                    : scalar_from_int(to, scalar_to_int(from, bits));
        return build_bits(&l->b, type_scalar(to), bits);
    }
    const Inst *in = value_def(l->f, v);
    if (!in || in->op != OP_SELECT) return build_cast(&l->b, v, to);
    Value c = inst_arg(l->f, in, 0), a = inst_arg(l->f, in, 1), b = inst_arg(l->f, in, 2);
    a = retype(l, a, to);
    b = retype(l, b, to);
    return build_op3(&l->b, OP_SELECT, c, a, b);
}

Value thing_convert(Lower *l, Thing t, DType to)
{
    if (value_dtype(l->f, t.value) == to) return t.value;
    return t.untyped ? retype(l, t.value, to) : build_cast(&l->b, t.value, to);
}

// int < i32 < i64 < float < f32 < f64, where int and float are the literals.
static unsigned rank_of(const Lower *l, const Thing *t)
{
    switch ((unsigned)thing_dtype(l, t)) {
    case DTYPE_I32: return 1;
    case DTYPE_I64: return t->untyped ? 0 : 2;
    case DTYPE_F32: return 4;
    case DTYPE_F64: return t->untyped ? 3 : 5;
    }
    return 6;
}

bool lower_operands(Lower *l, Span span, Thing *a, Thing *b)
{
    static const DType dtypes[] = {DTYPE_I64, DTYPE_I32, DTYPE_I64, DTYPE_F64,
                                   DTYPE_F32, DTYPE_F64, DTYPE_BOOL};
    if (a->kind != THING_VALUE || b->kind != THING_VALUE) return false;
    unsigned ra = rank_of(l, a), rb = rank_of(l, b);
    if ((ra == 6) != (rb == 6)) {
        Diag *diag = lower_error(l, DIAG_BOOL_AS_NUMBER, span, "%s meets %s", dtype_text(l, a),
                                 dtype_text(l, b));
        lower_hint(l, diag, "choose by the bool, b ? x : 0, or cast it: i32(b)");
        return false;
    }
    unsigned low = ra < rb ? ra : rb, rank = ra < rb ? rb : ra;
    if (rank == 3 && (low == 1 || low == 2)) rank = 4;
    bool untyped = rank == 0 || rank == 3;
    Value x = thing_convert(l, *a, dtypes[rank]), y = thing_convert(l, *b, dtypes[rank]);
    *a = thing_value(x), *b = thing_value(y);
    a->untyped = b->untyped = untyped;
    return true;
}

static bool literal_fits(const Lower *l, const Thing *t, DType to)
{
    int64_t x;
    if (!t->untyped || to != DTYPE_I32 || !value_const_int(l->f, t->value, &x)) return true;
    return x >= INT32_MIN && x <= UINT32_MAX;
}

bool lower_coerce(Lower *l, Thing *t, DType to, Span span, const char *what)
{
    if (t->kind != THING_VALUE) return false;
    DType kind = dtype_info[to].arith, from = thing_dtype(l, t);
    const char *name = dtype_info[to].name;
    if ((kind == DTYPE_BOOL) != (from == DTYPE_BOOL)) {
        Diag *diag = lower_error(l, kind == DTYPE_BOOL ? DIAG_NOT_A_BOOL : DIAG_BOOL_AS_NUMBER,
                                 span, "%s is %s, the value is %s", what, name, dtype_text(l, t));
        lower_hint(l, diag, kind == DTYPE_BOOL ? "compare it: x != 0" : "cast it: %s(b)", name);
        return false;
    }
    if (dtype_is_int(kind) && dtype_is_float(from)) {
        Diag *diag = lower_error(l, DIAG_LOSSY, span, "%s is %s, the value is %s", what, name,
                                 dtype_text(l, t));
        lower_hint(l, diag, "round it first: %s(round(x))", name);
        return false;
    }
    if (!literal_fits(l, t, kind)) {
        lower_error(l, DIAG_BAD_LITERAL, span, "the literal does not fit %s, which is %s", what,
                    name);
        return false;
    }
    // What is stored to a small float is rounded once, not to f32 before.
    if (from == DTYPE_F64 && dtype_is_float(to) && !dtype_is_arith(to))
        *t = thing_value(build_cast(&l->b, lower_round(l, t->value, to), kind));
    else
        *t = thing_value(thing_convert(l, *t, kind));
    return true;
}

Value lower_round(Lower *l, Value v, DType to)
{
    if (dtype_is_arith(to)) return v;
    Type type = value_type(l->f, v);
    uint64_t bits;
    if (value_const(l->f, v, &bits) &&
        eval_op(OP_QUANT, (DType)type.dtype, (DType)type.dtype, to, &bits, 1, &bits))
        return build_bits(&l->b, type, bits);
    InstId id = build_inst(
        &l->b, OP_QUANT,
        (BuildSpec){
            .args = &v, .arg_count = 1, .results = &type, .result_count = 1, .attr = {.kind = to}});
    return inst_result(inst_at(l->f, id), 0);
}

bool lower_const_int(Lower *l, Env *env, const Node *node, int64_t *x, const char *what)
{
    Thing t = lower_value(l, env, node);
    if (t.kind == THING_POISON) return false;
    if (value_const_int(l->f, t.value, x) && thing_dtype(l, &t) != DTYPE_BOOL) return true;
    lower_error(l, DIAG_NOT_CONSTANT, node->span, "%s must be an integer known at compile time",
                what);
    return false;
}
