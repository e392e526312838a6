// Calls: casts, built-in and user functions. Functions are inlined, so they are generic by nature.
#include "frontend/lower.h"

enum { CALL_DEPTH_MAX = 48, INSTS_MAX = 400000, CALLS_MAX = 100000 };

static bool in_library(const Lower *l, Span span)
{
    const SourceSet *sources = l->module->sources;
    Str name =
        span.source < sources->sources.count ? sources->sources.data[span.source].name : STR("");
    return name.length && name.data[0] == '<';
}

static bool may_call(Lower *l, const Node *function, const Node *node)
{
    if (l->depth >= CALL_DEPTH_MAX) {
        l->stopped = true;
        Diag *diag = lower_error(l, DIAG_RECURSION, node->span,
                                 "'%.*s' calls itself, or calls are nested too deep",
                                 STR_ARG(function->text));
        lower_hint(l, diag, "functions are inlined, there is no recursion: use a loop");
        return false;
    }
    if (l->f->insts.count <= INSTS_MAX && l->call_count++ < CALLS_MAX) return true;
    if (!l->stopped) {
        Diag *diag =
            lower_error(l, DIAG_TOO_LARGE, node->span, "the kernel becomes too large here");
        lower_hint(l, diag,
                   "functions are inlined at each call; name a value with 'let' instead of "
                   "computing it again");
    }
    l->stopped = true;
    return false;
}

static Thing function_body(Lower *l, Env *env, const Node *body, const Node *node)
{
    if (body->kind != NODE_BLOCK) return lower_expr(l, env, body);
    bool outer_returned = l->returned;
    Thing outer_result = l->result;
    l->returned = false;
    lower_block(l, env, body);
    Thing result = l->result;
    bool returned = l->returned;
    l->returned = outer_returned;
    l->result = outer_result;
    if (returned) return result;
    Tuple *nothing = arena_new(l->arena, Tuple);
    (void)node;
    return (Thing){.kind = THING_TUPLE, .tuple = nothing};
}

static const Node *function_values(const Node *function)
{
    return function->kids[function->kind == NODE_LAMBDA ? 0 : 1];
}

static bool counts_fit(Lower *l, const Node *function, bool loose, uint32_t *count,
                       uint32_t axis_count, const Node *node)
{
    const Node *axes = function->kind == NODE_LAMBDA ? NULL : function->kids[0];
    uint32_t want = function_values(function)->kid_count, want_axes = axes ? axes->kid_count : 0;
    if (loose && *count > want) *count = want;
    if (*count == want && axis_count == want_axes) return true;
    Str name = function->text.length ? function->text : STR("this function");
    Diag *diag;
    if (*count != want) {
        diag = lower_error(l, DIAG_BAD_CALL, node->span, "'%.*s' takes %u argument%s, %u given",
                           STR_ARG(name), want, want == 1 ? "" : "s", *count);
    } else {
        diag =
            lower_error(l, DIAG_BAD_CALL, node->span, "'%.*s' takes %u ax%s in brackets, %u given",
                        STR_ARG(name), want_axes, want_axes == 1 ? "is" : "es", axis_count);
    }
    if (!l->quiet && diag != l->spare)
        diag_note(l->diags, diag, function->span, "it is declared here");
    return false;
}

static Thing call_function(Lower *l, const Function *f, bool loose, const Thing *args,
                           uint32_t count, const Thing *axes, uint32_t axis_count, const Node *node)
{
    const Node *function = f->node;
    if (!counts_fit(l, function, loose, &count, axis_count, node) || !may_call(l, function, node))
        return thing_poison();
    Env *env = env_new(l, f->env, true);
    const Node *names = function_values(function);
    CallFrame frame = {l->call, function, node->span};
    Span outer = l->span;
    if (!outer.line && in_library(l, function->span)) l->span = node->span;
    for (uint32_t k = 0; k < axis_count; k++)
        env_define(l, env, function->kids[0]->kids[k]->text, function->kids[0]->kids[k]->span,
                   axes[k]);
    for (uint32_t k = 0; k < count; k++)
        env_define(l, env, names->kids[k]->text, names->kids[k]->span, args[k]);
    l->call = &frame;
    l->depth++;
    Thing result = function_body(l, env, function->kids[function->kid_count - 1], node);
    l->depth--;
    l->call = frame.up;
    l->span = outer;
    lower_at(l, node);
    return result;
}

Thing call_thing(Lower *l, Thing f, const Thing *args, uint32_t count, const Thing *axes,
                 uint32_t axis_count, const Node *node)
{
    lower_at(l, node);
    switch ((unsigned)f.kind) {
    case THING_POISON: return f;
    case THING_FUNCTION:
        return call_function(l, f.function, f.loose, args, count, axes, axis_count, node);
    case THING_BUILTIN: return call_builtin(l, f.builtin, f.loose, args, count, node);
    case THING_TYPE:
        if (count == 1) return lower_cast(l, thing_as_value(l, args[0], node), f.dtype, node->span);
        lower_error(l, DIAG_BAD_CALL, node->span, "the cast %s(x) takes one value, %u given",
                    dtype_info[f.dtype].name, count);
        return thing_poison();
    }
    lower_error(l, DIAG_BAD_CALL, node->span, "%s cannot be called", thing_text(&f));
    return thing_poison();
}

// ---- casts

static Value clamp_to(Lower *l, Value v, DType to)
{
    unsigned bits = dtype_info[to].bits;
    bool is_unsigned = dtype_info[to].class_ == DCLASS_UINT;
    int64_t top = (int64_t)(((uint64_t)1 << (is_unsigned ? bits : bits - 1)) - 1);
    Type type = type_scalar(value_dtype(l->f, v));
    v = build_op2(&l->b, OP_MAX, v,
                  build_bits(&l->b, type, (uint64_t)(is_unsigned ? 0 : -top - 1)));
    return build_op2(&l->b, OP_MIN, v, build_bits(&l->b, type, (uint64_t)top));
}

// Floats to integers truncate and saturate; integers wrap; to a float type, to nearest even.
Thing lower_cast(Lower *l, Thing v, DType to, Span span)
{
    (void)span;
    if (v.kind == THING_POISON) return v;
    DType from = thing_dtype(l, &v), kind = dtype_info[to].arith;
    if (kind == DTYPE_BOOL) {
        if (from == DTYPE_BOOL) return v;
        Value zero = build_bits(&l->b, type_scalar(from), 0);
        return thing_value(build_op2(&l->b, OP_NE, v.value, zero));
    }
    if (dtype_is_float(to) && from == DTYPE_F64 && !dtype_is_arith(to)) // rounded once
        return thing_value(build_cast(&l->b, lower_round(l, v.value, to), kind));
    Value x = thing_convert(l, v, kind);
    if (dtype_is_int(to) && dtype_is_float(from) && to != kind)
        return thing_value(clamp_to(l, x, to));
    return thing_value(lower_round(l, x, to));
}

// ---- the syntax of calls

static Thing *lower_arguments(Lower *l, Env *env, const Node *args)
{
    Thing *things = arena_array(l->arena, Thing, args->kid_count + 1);
    for (uint32_t k = 0; k < args->kid_count; k++) {
        things[k] = lower_expr(l, env, args->kids[k]);
        if (things[k].kind == THING_VAR) things[k] = thing_as_value(l, things[k], args->kids[k]);
    }
    return things;
}

static bool any_poison(const Thing *things, uint32_t count)
{
    for (uint32_t k = 0; k < count; k++) {
        if (things[k].kind == THING_POISON) return true;
    }
    return false;
}

// nearest[Q](x), bitcast[f32](x)
static Thing lower_typed_call(Lower *l, Env *env, const Node *node, Str name)
{
    const Node *items = node->kids[0]->kids[1], *args = node->kids[1];
    if (items->kid_count != 1 || args->kid_count != 1) {
        lower_error(l, DIAG_BAD_CALL, node->span, "%.*s[T](x) takes one type and one value",
                    STR_ARG(name));
        return thing_poison();
    }
    Thing type = lower_expr(l, env, items->kids[0]), v = lower_value(l, env, args->kids[0]);
    lower_at(l, node);
    return str_is(name, "nearest") ? lower_nearest(l, type, v, node->span)
                                   : lower_bitcast(l, type, v, node->span);
}

static Thing lower_bracket_call(Lower *l, Env *env, const Node *node)
{
    const Node *callee = node->kids[0], *base = callee->kids[0], *args = node->kids[1];
    if (base->kind != NODE_NAME) {
        lower_error(l, DIAG_BAD_CALL, base->span, "only a named function takes axes in brackets");
        return thing_poison();
    }
    const Name *name = env_find_callable(env, base->text);
    if (name && name->thing.kind == THING_FUNCTION) {
        Env *inner = env_new(l, env, false);
        AxisItems items = lower_axis_items(l, env, inner, callee->kids[1]);
        Thing *things = lower_arguments(l, inner, args);
        if (items.failed || any_poison(things, args->kid_count)) return thing_poison();
        return call_thing(l, name->thing, things, args->kid_count, items.things.data,
                          items.things.count, node);
    }
    if (str_is(base->text, "nearest") || str_is(base->text, "bitcast"))
        return lower_typed_call(l, env, node, base->text);
    const AxisBuiltin *builtin = axis_builtin_find(base->text);
    if (builtin) return lower_axis_call(l, env, builtin, node);
    const Name *other = env_find(env, base->text);
    if (other && other->thing.kind == THING_POISON) return thing_poison();
    if (!other && !name && builtin_find(base->text)) {
        Diag *diag =
            lower_error(l, DIAG_BAD_CALL, base->span, "'%.*s' takes no axes", STR_ARG(base->text));
        lower_hint(l, diag, "write %.*s(x)", STR_ARG(base->text));
        return thing_poison();
    }
    if (!other && !name) return lower_unknown(l, env, base, "function");
    const Thing *thing = name ? &name->thing : &other->thing;
    lower_error(l, DIAG_BAD_CALL, base->span, "'%.*s' is %s, it takes no axes in brackets",
                STR_ARG(base->text), thing_text(thing));
    return thing_poison();
}

// What stands before (...) by its name: functions and types hide built-ins, nothing else does.
static Thing lower_callee(Lower *l, Env *env, const Node *callee)
{
    const Name *name = env_find_callable(env, callee->text);
    const Builtin *builtin = builtin_find(callee->text);
    bool prelude = name && name->thing.kind == THING_FUNCTION && in_library(l, name->span);
    if (builtin && (!name || (prelude && builtin->rule == BUILTIN_QUOTIENT)))
        return (Thing){.kind = THING_BUILTIN, .builtin = builtin};
    if (name) return thing_resolve(l, env, name, callee);
    DType t = dtype_find(callee->text);
    if (t) return (Thing){.kind = THING_TYPE, .dtype = t};
    const AxisBuiltin *reduction = axis_builtin_find(callee->text);
    if (reduction) {
        Diag *diag =
            lower_error(l, DIAG_AXES_MISSING, callee->span, "'%s' needs its axes", reduction->name);
        bool dot = strcmp(reduction->name, "dot") == 0;
        lower_hint(l, diag, dot ? "write %s[k](a, b)" : "write %s[n](x)", reduction->name);
        return thing_poison();
    }
    const Name *other = env_find(env, callee->text);
    if (!other) return lower_unknown(l, env, callee, "function");
    if (other->thing.kind == THING_POISON) return thing_poison();
    Diag *diag = lower_error(l, DIAG_BAD_CALL, callee->span, "'%.*s' is %s and cannot be called",
                             STR_ARG(callee->text), thing_text(&other->thing));
    if (other->thing.kind == THING_TENSOR) lower_hint(l, diag, "a tensor is indexed with [...]");
    return thing_poison();
}

Thing lower_call(Lower *l, Env *env, const Node *node)
{
    const Node *callee = node->kids[0], *args = node->kids[1];
    if (callee->kind == NODE_SUBSCRIPT) return lower_bracket_call(l, env, node);
    if (callee->kind == NODE_CALL && callee->kids[0]->kind == NODE_SUBSCRIPT) {
        const Node *base = callee->kids[0]->kids[0];
        if (base->kind == NODE_NAME && (str_is(base->text, "reduce") || str_is(base->text, "scan")))
            return lower_combine_call(l, env, node);
    }
    Thing f = callee->kind == NODE_NAME ? lower_callee(l, env, callee) : lower_expr(l, env, callee);
    Thing *things = lower_arguments(l, env, args);
    if (f.kind == THING_POISON || any_poison(things, args->kid_count)) return thing_poison();
    return call_thing(l, f, things, args->kid_count, NULL, 0, node);
}
