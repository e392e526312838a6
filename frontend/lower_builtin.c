// Built-in functions of values: one case for each rule of builtins.def.
#include "frontend/lower.h"

static Thing misfit(Lower *l, const Builtin *builtin, const Thing *v, const Node *node)
{
    bool is_bool = thing_dtype(l, v) == DTYPE_BOOL;
    Diag *diag = lower_error(l, is_bool ? DIAG_BOOL_AS_NUMBER : DIAG_WRONG_TYPE, node->span,
                             "there is no %s of %s", builtin->name, dtype_text(l, v));
    if (is_bool) lower_hint(l, diag, "cast the bool: i32(b)");
    return thing_poison();
}

// What a function of floats computes in: integers become f32.
static Thing as_float(Lower *l, Thing v)
{
    uint64_t bits;
    if (dtype_is_int(thing_dtype(l, &v))) {
        bool untyped = v.untyped && thing_const(l, &v, &bits);
        v = thing_value(thing_convert(l, v, untyped ? DTYPE_F64 : DTYPE_F32));
        v.untyped = untyped;
    } else if (v.untyped && !thing_const(l, &v, &bits)) {
        v = thing_settle(l, v);
    }
    return v;
}

static Thing call_math(Lower *l, const Builtin *builtin, Thing *v, uint32_t count, const Node *node)
{
    for (uint32_t k = 0; k < count; k++) {
        if (thing_dtype(l, &v[k]) == DTYPE_BOOL) return misfit(l, builtin, &v[k], node);
        v[k] = as_float(l, v[k]);
    }
    for (uint32_t k = 1; k < count; k++) {
        if (!lower_operands(l, node->span, &v[0], &v[k])) return thing_poison();
    }
    for (uint32_t k = 1; k < count; k++) {
        if (!lower_operands(l, node->span, &v[0], &v[k])) return thing_poison();
    }
    Op op = builtin->op;
    Thing r = thing_value(count == 1   ? build_op1(&l->b, op, v[0].value)
                          : count == 2 ? build_op2(&l->b, op, v[0].value, v[1].value)
                                       : build_op3(&l->b, op, v[0].value, v[1].value, v[2].value));
    r.untyped = v[0].untyped;
    return r;
}

Thing lower_pair(Lower *l, Op op, Thing a, Thing b, Span span)
{
    if (!lower_operands(l, span, &a, &b)) return thing_poison();
    Thing r = thing_value(build_op2(&l->b, op, a.value, b.value));
    r.untyped = a.untyped;
    return r;
}

static Thing call_pair(Lower *l, const Builtin *builtin, const Thing *v, uint32_t count,
                       const Node *node)
{
    Thing r = v[0];
    for (uint32_t k = 0; k < count; k++) {
        if (thing_dtype(l, &v[k]) != DTYPE_BOOL) continue;
        Diag *diag = lower_error(l, DIAG_BOOL_AS_NUMBER, node->span, "there is no %s of bool",
                                 builtin->name);
        lower_hint(l, diag, "use && and ||");
        return thing_poison();
    }
    for (uint32_t k = 1; k < count && r.kind != THING_POISON; k++)
        r = lower_pair(l, builtin->op, r, v[k], node->span);
    return r;
}

// A size, or a constant: what divides by it need not ask for its sign.
static bool never_negative(const Lower *l, Value v)
{
    int64_t c;
    if (value_const_int(l->f, v, &c)) return c >= 0;
    const Inst *in = value_def(l->f, v);
    return in && (in->op == OP_DIM || in->op == OP_EXTENT);
}

// Quotients rounded up or down, and the remainder with the divisor's sign. What does not divide
// leaves a rest of x's sign.
static Value integer_quotient(Lower *l, Op op, Value x, Value y)
{
    Type type = type_scalar(value_dtype(l->f, x));
    Value zero = build_bits(&l->b, type, 0), one = build_bits(&l->b, type, 1);
    Value rest = build_op2(&l->b, OP_REM, x, y);
    Value alike = build_op2(&l->b, OP_LT, zero, rest), unlike = build_op2(&l->b, OP_LT, rest, zero);
    if (!never_negative(l, y)) {
        Value rest_up = alike, rest_down = unlike;
        Value up = build_op2(&l->b, OP_LT, zero, y), down = build_op2(&l->b, OP_LT, y, zero);
        alike = build_op2(&l->b, OP_OR, build_op2(&l->b, OP_AND, rest_up, up),
                          build_op2(&l->b, OP_AND, rest_down, down));
        unlike = build_op2(&l->b, OP_OR, build_op2(&l->b, OP_AND, rest_down, up),
                           build_op2(&l->b, OP_AND, rest_up, down));
    }
    if (op == OP_REM)
        return build_op2(&l->b, OP_ADD, rest, build_op3(&l->b, OP_SELECT, unlike, y, zero));
    Value q = build_op2(&l->b, OP_DIV, x, y);
    return op == OP_CEIL
               ? build_op2(&l->b, OP_ADD, q, build_op3(&l->b, OP_SELECT, alike, one, zero))
               : build_op2(&l->b, OP_SUB, q, build_op3(&l->b, OP_SELECT, unlike, one, zero));
}

static Thing call_quotient(Lower *l, const Builtin *builtin, Thing a, Thing b, const Node *node)
{
    Op op = builtin->op;
    if (!lower_operands(l, node->span, &a, &b)) return thing_poison();
    DType t = thing_dtype(l, &a);
    if (t == DTYPE_BOOL) return misfit(l, builtin, &a, node);
    Value x = a.value, y = b.value, r;
    if (dtype_is_float(t)) {
        Value q =
            build_op1(&l->b, op == OP_CEIL ? OP_CEIL : OP_FLOOR, build_op2(&l->b, OP_DIV, x, y));
        r = op == OP_REM ? build_op2(&l->b, OP_SUB, x, build_op2(&l->b, OP_MUL, q, y)) : q;
    } else {
        int64_t c;
        if (value_const_int(l->f, y, &c) && c == 0) {
            lower_error(l, DIAG_BAD_LITERAL, node->span, "division by zero");
            return thing_poison();
        }
        lower_check_divisor(l, x, y);
        r = integer_quotient(l, op, x, y);
    }
    Thing thing = thing_value(r);
    thing.untyped = a.untyped;
    return thing;
}

static Value build_given(Lower *l, Op op, Value v, DType to, uint32_t kind)
{
    Type type = value_type(l->f, v);
    type.dtype = (uint8_t)to;
    InstId id = build_inst(&l->b, op,
                           (BuildSpec){.args = &v,
                                       .arg_count = 1,
                                       .results = &type,
                                       .result_count = 1,
                                       .attr = {.kind = kind}});
    return inst_result(inst_at(l->f, id), 0);
}

Thing lower_nearest(Lower *l, Thing type, Thing v, Span span)
{
    if (type.kind == THING_POISON || v.kind == THING_POISON) return thing_poison();
    if (type.kind != THING_TYPE || type.dtype == DTYPE_BOOL || thing_dtype(l, &v) == DTYPE_BOOL) {
        lower_error(l, DIAG_WRONG_TYPE, span, "nearest[Q](x) takes a number type and a number");
        return thing_poison();
    }
    v = thing_settle(l, v);
    if (type.dtype == DTYPE_F4E2M1 && dtype_is_float(thing_dtype(l, &v))) { // it has no NaN
        Value zero = build_float(&l->b, thing_dtype(l, &v), 0);
        v.value =
            build_op3(&l->b, OP_SELECT, build_op1(&l->b, OP_ISNAN, v.value), zero, v.value);
    }
    return thing_value(
        build_given(l, OP_NEAREST, v.value, dtype_info[type.dtype].arith, type.dtype));
}

Thing lower_bitcast(Lower *l, Thing type, Thing v, Span span)
{
    if (type.kind == THING_POISON || v.kind == THING_POISON) return thing_poison();
    v = thing_settle(l, v);
    DType from = thing_dtype(l, &v), to = type.dtype;
    bool fits = type.kind == THING_TYPE && dtype_is_arith(to) && from != DTYPE_BOOL &&
                to != DTYPE_BOOL && dtype_info[from].bits == dtype_info[to].bits;
    if (!fits) {
        Diag *diag =
            lower_error(l, DIAG_WRONG_TYPE, span, "bitcast of %s to %s", dtype_info[from].name,
                        type.kind == THING_TYPE ? dtype_info[to].name : thing_text(&type));
        lower_hint(l, diag, "bitcast[T](x) is between f32 and i32, or f64 and i64");
        return thing_poison();
    }
    return thing_value(from == to ? v.value : build_given(l, OP_BITCAST, v.value, to, 0));
}

static Thing call_fma(Lower *l, Thing *v, const Node *node)
{
    for (unsigned turn = 0; turn < 2; turn++) {
        for (unsigned k = 1; k < 3; k++) {
            if (!lower_operands(l, node->span, &v[0], &v[k])) return thing_poison();
        }
    }
    Thing r;
    if (dtype_is_float(thing_dtype(l, &v[0]))) {
        r = thing_value(build_op3(&l->b, OP_FMA, v[0].value, v[1].value, v[2].value));
    } else {
        r = thing_value(
            build_op2(&l->b, OP_ADD, build_op2(&l->b, OP_MUL, v[0].value, v[1].value), v[2].value));
    }
    r.untyped = v[0].untyped;
    return r;
}

static Thing call_assert(Lower *l, const Thing *args, uint32_t count, const Node *node)
{
    Thing c = thing_as_value(l, args[0], node);
    if (!lower_bool(l, &c, node->span, "what assert checks")) return thing_poison();
    if (count > 1 && args[1].kind != THING_TEXT) {
        lower_error(l, DIAG_BAD_CALL, node->span,
                    "assert(condition, \"text\"): the second argument is a text");
        return thing_poison();
    }
    Str message = count > 1 ? args[1].text->text : STR("assertion failed");
    SiteInfo site = {.kind = SITE_ASSERT, .span = l->b.span, .message = message};
    Value mask = lanes_for(l, value_axes(l->f, c.value), ~(AxisSet)0);
    build_inst(&l->b, OP_CHECK,
               (BuildSpec){.args = (Value[]){c.value, mask},
                           .arg_count = mask.i ? 2 : 1,
                           .flags = mask.i ? INST_MASKED : 0,
                           .attr = {.ref = func_site(l->f, site)}});
    l->effects = true;
    Tuple *nothing = arena_new(l->arena, Tuple);
    return (Thing){.kind = THING_TUPLE, .tuple = nothing};
}

// The text with `{}` for each value turned to `{dtype}`, behind "m=.. n=.. " for the axes. An empty
// Str if there are not as many as values.
static Str print_format(Lower *l, Str text, AxisSet axes, const Value *values, uint32_t count)
{
    Buf out = {.arena = l->arena};
    uint32_t used = 0;
    for (uint32_t a = 1; a < 64; a++)
        if (axes >> a & 1) buf_printf(&out, "%.*s={i64} ", STR_ARG(l->axes[a]->name));
    for (size_t i = 0; i < text.length; i++) {
        bool place = text.data[i] == '{' && i + 1 < text.length && text.data[i + 1] == '}';
        if (!place) {
            if (text.data[i] == '{') buf_char(&out, '{'); // one that stands for itself
            buf_char(&out, text.data[i]);
            continue;
        }
        if (used == count) return (Str){0};
        buf_printf(&out, "{%s}", dtype_info[value_dtype(l->f, values[used++])].name);
        i++;
    }
    return used == count ? buf_view(&out) : (Str){0};
}

static Thing call_print(Lower *l, const Thing *args, uint32_t count, const Node *node)
{
    Value *values = arena_array(l->arena, Value, count + 64);
    AxisSet axes = 0;
    for (uint32_t k = 1; k < count; k++) {
        Thing v = thing_settle(l, thing_as_value(l, args[k], node));
        if (v.kind == THING_POISON) return v;
        values[k - 1] = v.value;
        axes |= value_axes(l->f, v.value);
    }
    lower_at(l, node);
    Value mask = lanes_for(l, axes, ~(AxisSet)0);
    if (mask.i) axes |= value_axes(l->f, mask);
    bool text = args[0].kind == THING_TEXT;
    Str format = text ? print_format(l, args[0].text->text, axes, values, count - 1) : (Str){0};
    if (!text || (!format.length && args[0].text->text.length)) {
        Diag *diag = lower_error(l, DIAG_BAD_CALL, node->span,
                                 text ? "the text has not one {} for each of %u values"
                                      : "print begins with a text, %u values follow",
                                 count - 1);
        lower_hint(l, diag, "write print(\"x is {}\", x)");
        return thing_poison();
    }
    Value *all = arena_array(l->arena, Value, count + 65);
    uint32_t n = 0;
    for (uint32_t a = 1; a < 64; a++)
        if (axes >> a & 1) all[n++] = axis_index(l, l->axes[a]);
    for (uint32_t k = 1; k < count; k++) all[n++] = values[k - 1];
    if (mask.i) all[n++] = mask;
    SiteInfo site = {.kind = SITE_PRINT, .span = l->b.span, .message = format};
    build_inst(&l->b, OP_PRINT,
               (BuildSpec){.args = all,
                           .arg_count = n,
                           .flags = mask.i ? INST_MASKED : 0,
                           .attr = {.ref = func_site(l->f, site)}});
    l->effects = true;
    return (Thing){.kind = THING_TUPLE, .tuple = arena_new(l->arena, Tuple)};
}

static Thing call_has(Lower *l, Thing arg, const Node *node)
{
    if (arg.kind == THING_TENSOR && !arg.tensor->view)
        return literal_bool(l, !arg.tensor->absent);
    if (arg.kind == THING_VALUE && arg.presence)
        return literal_bool(l, arg.presence == PRESENCE_GIVEN);
    lower_error(l, DIAG_BAD_CALL, node->span,
                "has(x) asks whether an optional parameter was given, this is %s",
                thing_text(&arg));
    return thing_poison();
}

static Thing call_size(Lower *l, Thing arg, const Node *node)
{
    if (arg.kind == THING_AXIS) return thing_value(axis_length(l, arg.axis));
    lower_error(l, DIAG_NOT_AN_AXIS, node->span, "size(n) needs an axis, this is %s",
                thing_text(&arg));
    return thing_poison();
}

// The cases are told apart by the op that the table gives them.
static Thing call_special(Lower *l, const Builtin *builtin, const Thing *args, Thing *values,
                          uint32_t count, const Node *node)
{
    switch ((unsigned)builtin->op) {
    case OP_EXTENT: return call_has(l, args[0], node);
    case OP_TILEINFO: return call_size(l, args[0], node);
    case OP_CHECK: return call_assert(l, args, count, node);
    case OP_PRINT: return call_print(l, args, count, node);
    case OP_SELECT: {
        Thing v = thing_as_value(l, args[1], node);
        return lower_bitcast(l, args[0], v, node->span);
    }
    case OP_FMA:
        for (uint32_t k = 0; k < count; k++) {
            values[k] = thing_as_value(l, args[k], node);
            if (values[k].kind == THING_POISON) return values[k];
            if (thing_dtype(l, &values[k]) == DTYPE_BOOL)
                return misfit(l, builtin, &values[k], node);
        }
        return call_fma(l, values, node);
    }
    Thing v = thing_settle(l, thing_as_value(l, args[0], node)); // bits(x)
    if (v.kind == THING_POISON) return v;
    DType to = dtype_info[thing_dtype(l, &v)].bits == 64 ? DTYPE_I64 : DTYPE_I32;
    return lower_bitcast(l, (Thing){.kind = THING_TYPE, .dtype = to}, v, node->span);
}

static Thing call_number(Lower *l, const Builtin *builtin, Thing v, const Node *node)
{
    DType t = thing_dtype(l, &v);
    if (t == DTYPE_BOOL) return misfit(l, builtin, &v, node);
    if (builtin->rule == BUILTIN_ROUNDING && dtype_is_int(t)) return v;
    if (builtin->rule == BUILTIN_INTEGER && !dtype_is_int(t)) return misfit(l, builtin, &v, node);
    if (builtin->rule == BUILTIN_TEST) {
        if (dtype_is_int(t)) return literal_bool(l, false);
        return thing_value(build_op1(&l->b, builtin->op, v.value));
    }
    Thing r = thing_value(build_op1(&l->b, builtin->op, v.value));
    r.untyped = v.untyped;
    return r;
}

Thing call_builtin(Lower *l, const Builtin *builtin, bool loose, const Thing *args, uint32_t count,
                   const Node *node)
{
    if (loose && count > builtin->most) count = builtin->most;
    if (builtin->rule == BUILTIN_TYPE) return type_call(l, node->span, builtin, args, count);
    if (builtin->rule == BUILTIN_LATER) return lower_unsupported(l, node->span, builtin->name);
    if (count < builtin->least || count > builtin->most) {
        lower_error(l, DIAG_BAD_CALL, node->span, "%s takes %u argument%s, %u given", builtin->name,
                    builtin->least, builtin->least == 1 ? "" : "s", count);
        return thing_poison();
    }
    Thing *values = arena_array(l->arena, Thing, count + 1);
    if (builtin->rule == BUILTIN_SPECIAL)
        return call_special(l, builtin, args, values, count, node);
    for (uint32_t k = 0; k < count; k++) {
        values[k] = thing_as_value(l, args[k], node);
        if (values[k].kind == THING_POISON) return values[k];
    }
    lower_at(l, node);
    switch ((unsigned)builtin->rule) {
    case BUILTIN_MATH: return call_math(l, builtin, values, count, node);
    case BUILTIN_PAIR: return call_pair(l, builtin, values, count, node);
    case BUILTIN_QUOTIENT: return call_quotient(l, builtin, values[0], values[1], node);
    }
    return call_number(l, builtin, values[0], node);
}
