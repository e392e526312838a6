// Expressions: names, operators, choices.
#include "frontend/lower.h"

#include <math.h>

#include "ir/eval.h"

void lower_at(Lower *l, const Node *node)
{
    l->b.span = l->span.line ? l->span : node->span;
}

// ---- names

static bool constant_named(Lower *l, Str name, Thing *thing)
{
    if (str_is(name, "inf"))
        *thing = literal_float(l, INFINITY);
    else if (str_is(name, "nan"))
        *thing = literal_float(l, NAN);
    else if (str_is(name, "pi"))
        *thing = literal_float(l, 3.14159265358979323846);
    else
        return false;
    return true;
}

// What a name stands for here: deferred things are evaluated.
Thing thing_resolve(Lower *l, Env *env, const Name *name, const Node *node)
{
    Thing thing = name->thing;
    if (thing.kind == THING_DEFERRED) return lower_deferred(l, thing.deferred, node);
    uint32_t phase = thing.kind == THING_VALUE || thing.kind == THING_VAR ? thing.phase
                     : thing.kind == THING_TENSOR                         ? thing.tensor->phase
                                                                          : 0;
    if (!phase) return thing;
    bool over_axes = thing.kind == THING_VALUE && thing_axes(l, &thing);
    if (phase == l->open_phase && !(l->aside && over_axes)) {
        if (l->place != PLACE_PHASE) l->effects = l->reads_written = true; // not for the prologue
        return thing;
    }
    if (thing.kind == THING_VALUE && lower_kept(l, env, &thing, node)) return thing;
    if (thing.kind == THING_TENSOR && lower_kept_view(l, env, &thing, node)) return thing;
    bool var = thing.kind == THING_VAR;
    Diag *diag = lower_error(l, DIAG_MISPLACED, node->span,
                             var ? "the variable '%.*s' of one phase is used in another"
                                 : "'%.*s' of one phase is used in another, but varies along an "
                                   "axis whose size no argument tells",
                             STR_ARG(name->name));
    lower_hint(l, diag,
               var ? "loops below a 'var' carry it only inside a grid: put both into a 'tile' (or "
                     "'for one in 1 { ... }', where there is nothing to run over), or write "
                     "'fold', a reduction with its range (sum[n in N](x[n])), or a 'buf'"
                   : "store it in a 'buf', which lives across phases");
    return thing_poison();
}

static Thing lower_name(Lower *l, Env *env, const Node *node)
{
    const Name *name = env_find(env, node->text);
    if (name) return thing_resolve(l, env, name, node);
    Thing thing;
    if (constant_named(l, node->text, &thing)) return thing;
    DType t = dtype_find(node->text);
    if (t) return (Thing){.kind = THING_TYPE, .dtype = t};
    const Builtin *builtin = builtin_find(node->text);
    if (builtin) return (Thing){.kind = THING_BUILTIN, .builtin = builtin};
    const AxisBuiltin *reduction = axis_builtin_find(node->text);
    if (!reduction) return lower_unknown(l, env, node, "name");
    Diag *diag =
        lower_error(l, DIAG_AXES_MISSING, node->span, "'%s' is a reduction", reduction->name);
    lower_hint(l, diag, "it is called with its axes: %s[n](x)", reduction->name);
    return thing_poison();
}

static Thing tensor_as_value(Lower *l, Thing thing, const Node *node)
{
    const Tensor *t = thing.tensor;
    const char *plural = t->rank == 1 ? "" : "s";
    if (t->rank == 0) return lower_load(l, thing.tensor, NULL, node);
    if (t->view) {
        bool slice = false;
        for (uint32_t d = 0; d < t->rank; d++) slice |= t->from[d].i != 0;
        Diag *diag = slice
                         ? lower_error(l, DIAG_INDEX_COUNT, node->span,
                                       "a slice of '%.*s' is a tensor, not a value",
                                       STR_ARG(t->name))
                         : lower_error(l, DIAG_INDEX_COUNT, node->span,
                                       "'%.*s' has %u dimension%s, %u given", STR_ARG(t->name),
                                       t->rank, plural, t->given_count);
        lower_hint(l, diag,
                   slice ? "name it by 'let' and index it"
                         : "with fewer indices it is a view, to be named by 'let' and indexed "
                           "further");
        return thing_poison();
    }
    Diag *diag = lower_error(l, DIAG_NOT_A_VALUE, node->span,
                             "'%.*s' is a tensor of %u dimension%s, not a value", STR_ARG(t->name),
                             t->rank, plural);
    lower_hint(l, diag, "index it: %.*s[...]", STR_ARG(t->name));
    return thing_poison();
}

Thing thing_as_value(Lower *l, Thing thing, const Node *node)
{
    switch (thing.kind) {
    case THING_POISON:
    case THING_VALUE: return thing;
    case THING_VAR: {
        Thing value = thing_value(thing.var->now);
        return value;
    }
    case THING_AXIS: return thing_value(axis_index(l, thing.axis));
    case THING_PACK:
        if (thing.pack->count == 1) return thing_value(axis_index(l, thing.pack->axes[0]));
        break;
    case THING_TENSOR: return tensor_as_value(l, thing, node);
    case THING_DIMS:
    case THING_FUNCTION:
    case THING_BUILTIN:
    case THING_TYPE:
    case THING_TUPLE:
    case THING_TEXT:
    case THING_DEFERRED: break;
    }
    Diag *diag = lower_error(l, DIAG_NOT_A_VALUE, node->span, "a value is needed here, this is %s",
                             thing_text(&thing));
    if (thing.kind == THING_TUPLE && thing.tuple->count)
        lower_hint(l, diag, "take it apart first: let (a, b) = ...");
    return thing_poison();
}

Thing lower_value(Lower *l, Env *env, const Node *node)
{
    Thing thing = lower_expr(l, env, node);
    lower_at(l, node);
    return thing_as_value(l, thing, node);
}

Thing lower_integer(Lower *l, Env *env, const Node *node, const char *what)
{
    Thing t = lower_value(l, env, node);
    if (t.kind == THING_POISON) return t;
    if (!dtype_is_int(thing_dtype(l, &t))) {
        Diag *diag = lower_error(l, DIAG_WRONG_TYPE, node->span,
                                 "%s must be an integer, this is %s", what, dtype_text(l, &t));
        if (dtype_is_float(thing_dtype(l, &t))) lower_hint(l, diag, "cast it: i64(x)");
        return thing_poison();
    }
    return thing_value(thing_convert(l, t, DTYPE_I64));
}

Thing lower_scalar(Lower *l, Env *env, const Node *node, const char *what)
{
    Thing t = lower_value(l, env, node);
    AxisSet axes = thing_axes(l, &t);
    if (!axes) return t;
    Diag *diag =
        lower_error(l, DIAG_NOT_SCALAR, node->span, "%s must be one value, this varies along %.*s",
                    what, STR_ARG(axes_text(l, axes)));
    if (thing_dtype(l, &t) == DTYPE_BOOL) lower_hint(l, diag, "use ?:, or any[...] or all[...]");
    return thing_poison();
}

bool lower_bool(Lower *l, Thing *t, Span span, const char *what)
{
    if (t->kind == THING_POISON) return false;
    if (thing_dtype(l, t) == DTYPE_BOOL) return true;
    Diag *diag = lower_error(l, DIAG_NOT_A_BOOL, span, "%s must be a bool, this is %s", what,
                             dtype_text(l, t));
    lower_hint(l, diag, "compare it: x != 0");
    return false;
}

// ---- operators

static Thing of_bool(Value v)
{
    return thing_value(v);
}

static Thing lower_compare(Lower *l, BinaryOp op, Value a, Value b)
{
    switch ((unsigned)op) {
    case BINARY_EQ: return of_bool(build_op2(&l->b, OP_EQ, a, b));
    case BINARY_NE: return of_bool(build_op2(&l->b, OP_NE, a, b));
    case BINARY_LT: return of_bool(build_op2(&l->b, OP_LT, a, b));
    case BINARY_LE: return of_bool(build_op2(&l->b, OP_LE, a, b));
    case BINARY_GT: return of_bool(build_op2(&l->b, OP_LT, b, a));
    }
    return of_bool(build_op2(&l->b, OP_LE, b, a));
}

// Whole axes among `lanes` have an index: nothing is divided where they have none.
static Value lanes_exist(Lower *l, AxisSet lanes, Value mask)
{
    for (uint32_t i = 1; i < 64; i++) {
        const AxisNote *n = lanes >> i & 1 ? l->axes[i] : NULL;
        if (!n || axis_at(l->f, n->axis)->kind != AXIS_WHOLE) continue;
        mask = lanes_and(l, mask, build_op2(&l->b, OP_LT, n->first, n->end));
    }
    return mask;
}

// `a`, integers, are divided by `b`, which may be 0: the launch fails where that happens.
void lower_check_divisor(Lower *l, Value a, Value b)
{
    int64_t x;
    if (value_const_int(l->f, b, &x) && x != 0) return;
    Value zero = build_bits(&l->b, type_scalar(value_dtype(l->f, b)), 0);
    Value ok = build_op2(&l->b, OP_NE, b, zero);
    if (l->place != PLACE_PHASE) {
        SiteInfo site = {
            .kind = SITE_REQUIRE, .span = l->b.span, .message = STR("division by zero")};
        if (l->mask.i) ok = build_op2(&l->b, OP_OR, ok, lanes_not(l, l->mask));
        build_inst(
            &l->b, OP_REQUIRE,
            (BuildSpec){.args = &ok, .arg_count = 1, .attr = {.ref = func_site(l->f, site)}});
        return;
    }
    SiteInfo site = {.kind = SITE_DIVIDE, .span = l->b.span, .message = STR("division by zero")};
    AxisSet axes = value_axes(l->f, ok);
    Value mask = lanes_for(l, axes, ~(AxisSet)0);
    mask = lanes_exist(l, value_axes(l->f, a) & ~axes, mask);
    build_inst(&l->b, OP_CHECK,
               (BuildSpec){.args = (Value[]){ok, mask},
                           .arg_count = mask.i ? 2 : 1,
                           .flags = mask.i ? INST_MASKED : 0,
                           .attr = {.ref = func_site(l->f, site)}});
}

// Whether integer literals, or choices between them, divide without remainder. `witness`: one that
// does not.
static bool divides(const Lower *l, Value v, int64_t by, int64_t *witness)
{
    if (value_const_int(l->f, v, witness)) return by == -1 || *witness % by == 0;
    const Inst *in = value_def(l->f, v);
    if (!in || in->op != OP_SELECT) return true;
    return divides(l, inst_arg(l->f, in, 1), by, witness) &&
           divides(l, inst_arg(l->f, in, 2), by, witness);
}

static Thing divide(Lower *l, BinaryOp op, Thing a, Thing b, Span span)
{
    if (dtype_is_float(thing_dtype(l, &a)))
        return thing_value(build_op2(&l->b, op == BINARY_DIV ? OP_DIV : OP_REM, a.value, b.value));
    int64_t x, y;
    if (value_const_int(l->f, b.value, &y) && y == 0) {
        lower_error(l, DIAG_BAD_LITERAL, span, "division by zero");
        return thing_poison();
    }
    bool literals = a.untyped && op == BINARY_DIV && value_const_int(l->f, b.value, &y);
    if (literals && !divides(l, a.value, y, &x)) {
        Diag *diag = lower_error(l, DIAG_BAD_LITERAL, span,
                                 "the quotient of the integer literals is not exact");
        lower_hint(l, diag, "write %lld.0 / %lld, or floordiv(%lld, %lld)", (long long)x,
                   (long long)y, (long long)x, (long long)y);
        return thing_poison();
    }
    lower_check_divisor(l, a.value, b.value);
    return thing_value(build_op2(&l->b, op == BINARY_DIV ? OP_DIV : OP_REM, a.value, b.value));
}

static Thing shift(Lower *l, BinaryOp op, Thing a, Thing b, Span span)
{
    if (!dtype_is_int(thing_dtype(l, &a)) || !dtype_is_int(thing_dtype(l, &b))) {
        lower_error(l, DIAG_WRONG_TYPE, span, "%s needs integers, not %s and %s",
                    binary_spelling(op), dtype_text(l, &a), dtype_text(l, &b));
        return thing_poison();
    }
    // The count may be wider than what is shifted: out of range it stays out of range.
    DType to = thing_dtype(l, &a);
    if (to == DTYPE_I32 && thing_dtype(l, &b) == DTYPE_I64) {
        Value width = build_i64(&l->b, 32), least = build_i64(&l->b, -1);
        b.value = build_op2(&l->b, OP_MAX, build_op2(&l->b, OP_MIN, b.value, width), least);
        b.untyped = false;
    }
    Thing r = thing_value(
        build_op2(&l->b, op == BINARY_SHL ? OP_SHL : OP_SHR, a.value, thing_convert(l, b, to)));
    r.untyped = a.untyped && b.untyped;
    return r;
}

static bool is_comparison(BinaryOp op)
{
    return op >= BINARY_EQ && op <= BINARY_GE;
}

// A literal takes the type of what it meets: wrapping it silently would surprise, but for bit
// patterns.
static bool literal_meets(Lower *l, BinaryOp op, const Thing *a, const Thing *other, Span span)
{
    int64_t x;
    bool narrow = a->untyped && thing_dtype(l, other) == DTYPE_I32;
    if (!narrow || !value_const_int(l->f, a->value, &x)) return true;
    int64_t top = is_comparison(op) ? INT32_MAX : UINT32_MAX;
    if (x >= INT32_MIN && x <= top) return true;
    Diag *diag =
        lower_error(l, DIAG_BAD_LITERAL, span, "the literal %lld does not fit i32", (long long)x);
    lower_hint(l, diag, "widen the other side: i64(x)");
    return false;
}

static Thing operator_misfit(Lower *l, BinaryOp op, const Thing *a, Span span)
{
    bool is_bool = thing_dtype(l, a) == DTYPE_BOOL;
    Diag *diag = lower_error(l, is_bool ? DIAG_BOOL_AS_NUMBER : DIAG_WRONG_TYPE, span,
                             "there is no %s for %s", binary_spelling(op), dtype_text(l, a));
    if (is_bool) lower_hint(l, diag, "cast the bool: i32(b)");
    return thing_poison();
}

Thing lower_binary(Lower *l, BinaryOp op, Thing a, Thing b, Span span)
{
    if (a.kind == THING_POISON || b.kind == THING_POISON) return thing_poison();
    if (op == BINARY_SHL || op == BINARY_SHR) return shift(l, op, a, b, span);
    if (!literal_meets(l, op, &a, &b, span) || !literal_meets(l, op, &b, &a, span))
        return thing_poison();
    if (!lower_operands(l, span, &a, &b)) return thing_poison();
    DType t = thing_dtype(l, &a);
    Thing r;
    if (is_comparison(op)) {
        if (t == DTYPE_BOOL && op > BINARY_NE) return operator_misfit(l, op, &a, span);
        return lower_compare(l, op, a.value, b.value);
    }
    if (op == BINARY_AND || op == BINARY_OR || op == BINARY_XOR) {
        if (dtype_is_float(t)) return operator_misfit(l, op, &a, span);
        Op of = op == BINARY_AND ? OP_AND : op == BINARY_OR ? OP_OR : OP_XOR;
        r = thing_value(build_op2(&l->b, of, a.value, b.value));
    } else if (t == DTYPE_BOOL) {
        return operator_misfit(l, op, &a, span);
    } else if (op == BINARY_DIV || op == BINARY_REM) {
        r = divide(l, op, a, b, span);
    } else {
        Op of = op == BINARY_ADD ? OP_ADD : op == BINARY_SUB ? OP_SUB : OP_MUL;
        r = thing_value(build_op2(&l->b, of, a.value, b.value));
    }
    r.untyped = a.untyped && r.kind == THING_VALUE;
    return r;
}

static Thing compare_types(Lower *l, const Node *node, Thing a, Thing b)
{
    if (a.kind == THING_POISON || b.kind == THING_POISON) return thing_poison();
    if (a.kind != THING_TYPE || b.kind != THING_TYPE) {
        lower_error(l, DIAG_WRONG_TYPE, node->span, "a type is compared with a type, not with %s",
                    thing_text(a.kind == THING_TYPE ? &b : &a));
        return thing_poison();
    }
    return literal_bool(l, (a.dtype == b.dtype) == (node->op == BINARY_EQ));
}

// && and ||: the right side counts only where the left one does not decide.
static Thing lower_logic(Lower *l, Env *env, const Node *node)
{
    bool is_and = node->op == BINARY_ANDAND;
    Thing a = lower_value(l, env, node->kids[0]);
    if (!lower_bool(l, &a, node->kids[0]->span, is_and ? "an operand of &&" : "an operand of ||"))
        return thing_poison();
    uint64_t known;
    if (thing_const(l, &a, &known) && (known != 0) != is_and) return a;
    Value saved = l->mask;
    lower_at(l, node);
    if (!thing_const(l, &a, &known))
        l->mask = lanes_and(l, saved, is_and ? a.value : lanes_not(l, a.value));
    Thing b = lower_value(l, env, node->kids[1]);
    l->mask = saved;
    if (!lower_bool(l, &b, node->kids[1]->span, is_and ? "an operand of &&" : "an operand of ||"))
        return thing_poison();
    lower_at(l, node);
    return of_bool(build_op2(&l->b, is_and ? OP_AND : OP_OR, a.value, b.value));
}

static Thing lower_operator(Lower *l, Env *env, const Node *node)
{
    if (node->op == BINARY_ANDAND || node->op == BINARY_OROR) return lower_logic(l, env, node);
    Thing a = lower_expr(l, env, node->kids[0]), b = lower_expr(l, env, node->kids[1]);
    lower_at(l, node);
    bool equality = node->op == BINARY_EQ || node->op == BINARY_NE;
    if (equality && (a.kind == THING_TYPE || b.kind == THING_TYPE))
        return compare_types(l, node, a, b);
    a = thing_as_value(l, a, node->kids[0]);
    b = thing_as_value(l, b, node->kids[1]);
    lower_at(l, node);
    return lower_binary(l, (BinaryOp)node->op, a, b, node->span);
}

static Thing lower_unary(Lower *l, Env *env, const Node *node)
{
    Thing a = lower_value(l, env, node->kids[0]);
    lower_at(l, node);
    if (a.kind == THING_POISON) return a;
    DType t = thing_dtype(l, &a);
    if (node->op == '!') {
        if (!lower_bool(l, &a, node->span, "the operand of !")) return thing_poison();
        return of_bool(build_op1(&l->b, OP_NOT, a.value));
    }
    if (t == DTYPE_BOOL || (node->op == '~' && dtype_is_float(t))) {
        Diag *diag =
            lower_error(l, t == DTYPE_BOOL ? DIAG_BOOL_AS_NUMBER : DIAG_WRONG_TYPE, node->span,
                        "there is no %c for %s", (int)node->op, dtype_text(l, &a));
        if (t == DTYPE_BOOL)
            lower_hint(l, diag, node->op == '~' ? "not is written !" : "cast the bool: i32(b)");
        return thing_poison();
    }
    Thing r = thing_value(build_op1(&l->b, node->op == '-' ? OP_NEG : OP_NOT, a.value));
    r.untyped = a.untyped;
    return r;
}

static Thing lower_under(Lower *l, Env *env, const Node *node, Value mask)
{
    Value saved = l->mask;
    l->mask = mask;
    Thing t = lower_expr(l, env, node);
    t = thing_as_value(l, t, node);
    l->mask = saved;
    return t;
}

static Thing lower_choice(Lower *l, Env *env, const Node *node)
{
    Thing c = lower_value(l, env, node->kids[0]);
    if (!lower_bool(l, &c, node->kids[0]->span, "the condition of ?:")) {
        lower_value(l, env, node->kids[1]);
        lower_value(l, env, node->kids[2]);
        return thing_poison();
    }
    uint64_t known;
    if (thing_const(l, &c, &known)) return lower_expr(l, env, node->kids[known ? 1 : 2]);
    lower_at(l, node);
    Value yes = lanes_and(l, l->mask, c.value), no = lanes_and(l, l->mask, lanes_not(l, c.value));
    Thing a = lower_under(l, env, node->kids[1], yes), b = lower_under(l, env, node->kids[2], no);
    lower_at(l, node);
    if (!lower_operands(l, node->span, &a, &b)) return thing_poison();
    Thing r = thing_value(build_op3(&l->b, OP_SELECT, c.value, a.value, b.value));
    r.untyped = a.untyped;
    return r;
}

static Thing lower_tuple(Lower *l, Env *env, const Node *node)
{
    Tuple *tuple = arena_new(l->arena, Tuple);
    tuple->count = node->kid_count;
    tuple->items = arena_array(l->arena, Thing, node->kid_count);
    for (uint32_t k = 0; k < node->kid_count; k++)
        tuple->items[k] = lower_value(l, env, node->kids[k]);
    return (Thing){.kind = THING_TUPLE, .tuple = tuple};
}

static Thing lower_lambda(Lower *l, Env *env, const Node *node)
{
    Function *function = arena_new(l->arena, Function);
    *function = (Function){node, env};
    return (Thing){.kind = THING_FUNCTION, .function = function};
}

static Thing misplaced(Lower *l, const Node *node)
{
    lower_error(l, DIAG_MISPLACED, node->span, "%s cannot stand here",
                node->kind == NODE_FILE_REF ? "@\"file\" belongs in a test, and"
                                            : node_name(node->kind));
    return thing_poison();
}

Thing lower_expr(Lower *l, Env *env, const Node *node)
{
    if (l->stopped) return thing_poison();
    lower_at(l, node);
    switch ((unsigned)node->kind) {
    case NODE_NAME: return lower_name(l, env, node);
    case NODE_INT: return literal_int(l, node->integer);
    case NODE_FLOAT: return literal_float(l, node->number);
    case NODE_BOOL: return literal_bool(l, node->integer != 0);
    case NODE_STRING: return (Thing){.kind = THING_TEXT, .text = node};
    case NODE_TUPLE: return lower_tuple(l, env, node);
    case NODE_LAMBDA: return lower_lambda(l, env, node);
    case NODE_CHOICE: return lower_choice(l, env, node);
    case NODE_BINARY: return lower_operator(l, env, node);
    case NODE_UNARY: return lower_unary(l, env, node);
    case NODE_CALL: return lower_call(l, env, node);
    case NODE_SUBSCRIPT: return lower_subscript(l, env, node);
    case NODE_MEMBER: return lower_member(l, env, node);
    case NODE_ERROR: return thing_poison();
    case NODE_RANGE:
    case NODE_BIND:
    case NODE_SETTING:
    case NODE_FILE_REF: return misplaced(l, node);
    case NODE_ATOMIC: return misplaced(l, node);
    }
    return misplaced(l, node);
}
