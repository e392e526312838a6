// Statements inside a phase or a function.
#include "frontend/lower.h"

// ---- declarations

static void name_value(Lower *l, Thing thing, Str name)
{
    if (thing.kind != THING_VALUE) return;
    ValueInfo *info = value_at(l->f, thing.value);
    uint64_t bits;
    if (!info->name.length && !value_const(l->f, thing.value, &bits)) info->name = name;
}

static Thing settled_let(Lower *l, Env *env, const Node *name, Thing thing, const Node *value)
{
    (void)env;
    if (thing.kind == THING_TUPLE || thing.kind == THING_TEXT) {
        Diag *diag = lower_error(l, DIAG_NOT_A_VALUE, value->span, "'%.*s' would be %s",
                                 STR_ARG(name->text), thing_text(&thing));
        if (thing.kind == THING_TUPLE && thing.tuple->count)
            lower_hint(l, diag, "name its parts: let (a, b) = ...");
        return thing_poison();
    }
    bool is_value =
        thing.kind == THING_VAR || thing.kind == THING_AXIS ||
        (thing.kind == THING_TENSOR && thing.tensor->rank == 0 && !thing.tensor->absent);
    if (is_value) thing = thing_as_value(l, thing, value);
    if (thing.kind == THING_VALUE) thing.phase = l->place == PLACE_PHASE ? l->phase : 0;
    name_value(l, thing, name->text);
    return thing;
}

// let a = e; let (a, b) = e; with the value already lowered.
void lower_let(Lower *l, Env *env, const Node *node, Thing thing)
{
    const Node *names = node->kids[0];
    if (names->kid_count == 1) {
        Thing t = settled_let(l, env, names->kids[0], thing, node->kids[1]);
        env_define(l, env, names->kids[0]->text, names->kids[0]->span, t);
        return;
    }
    bool fits = thing.kind == THING_TUPLE && thing.tuple->count == names->kid_count;
    if (!fits && thing.kind != THING_POISON) {
        if (thing.kind == THING_TUPLE)
            lower_error(l, DIAG_NOT_A_VALUE, node->span, "%u names for %u values", names->kid_count,
                        thing.tuple->count);
        else
            lower_error(l, DIAG_NOT_A_VALUE, node->span, "%u names, but this is %s",
                        names->kid_count, thing_text(&thing));
    }
    for (uint32_t k = 0; k < names->kid_count; k++) {
        Thing t = fits ? settled_let(l, env, names->kids[k], thing.tuple->items[k], node->kids[1])
                       : thing_poison();
        if (str_is(names->kids[k]->text, "_")) continue;
        env_define(l, env, names->kids[k]->text, names->kids[k]->span, t);
    }
}

// The axes in the brackets of `var x: f32[m, n]`.
static bool var_axes(Lower *l, Env *env, const Node *dims, AxisSet *axes)
{
    bool ok = true;
    for (uint32_t k = 0; dims && k < dims->kid_count; k++) {
        const Node *node = dims->kids[k];
        const Name *name = node->kind == NODE_NAME ? env_find(env, node->text) : NULL;
        Thing thing = name ? thing_resolve(l, env, name, node) : thing_poison();
        if (thing.kind == THING_AXIS && !thing.axis->scalar) {
            *axes |= axis_bit(thing.axis->axis);
        } else if (thing.kind == THING_PACK) {
            for (uint32_t i = 0; i < thing.pack->count; i++)
                *axes |= axis_bit(thing.pack->axes[i]->axis);
        } else {
            ok = false;
            if (node->kind == NODE_NAME && !name) {
                lower_unknown(l, env, node, "axis");
            } else if (!name || thing.kind != THING_POISON) {
                Diag *diag = lower_error(l, DIAG_NOT_AN_AXIS, node->span,
                                         "the brackets of a variable name axes, this is %s",
                                         !name                      ? "an expression"
                                         : thing.kind == THING_AXIS ? "the index of a 'for'"
                                                                    : thing_text(&thing));
                lower_hint(l, diag,
                           "a variable has the extent of the tiles around it: var x: f32[m, n]");
            }
        }
    }
    *axes = axes_closure(l, *axes);
    return ok;
}

static Variable *var_new(Lower *l, const Node *node, DType dtype, AxisSet axes, Value now)
{
    Variable *var = arena_new(l->arena, Variable);
    *var = (Variable){.name = node->text,
                      .dtype = dtype,
                      .axes = axes,
                      .now = now,
                      .mask = l->mask,
                      .live_count = l->live.count,
                      .span = node->text_span};
    return var;
}

void lower_var(Lower *l, Env *env, const Node *node)
{
    const Node *type = node->kids[0];
    DType dtype = DTYPE_NONE;
    AxisSet axes = 0;
    bool ok = true;
    if (type) {
        dtype = lower_type(l, env, type);
        const Node *dims = ast_kid(type, type->kid_count - 1);
        ok = dtype && var_axes(l, env, dims && dims->kind == NODE_DIMS ? dims : NULL, &axes);
    }
    Thing v = lower_value(l, env, node->kids[1]);
    lower_at(l, node);
    if (!type) v = thing_settle(l, v);
    ok = ok && v.kind == THING_VALUE;
    const char *what = str_format(l->arena, "'%.*s'", STR_ARG(node->text)).data;
    if (ok && !type) {
        dtype = thing_dtype(l, &v);
        axes = axes_closure(l, thing_axes(l, &v));
    }
    if (ok) ok = !lower_left_over(l, &v, axes, node->kids[1]->span, what, true);
    if (ok) ok = lower_coerce(l, &v, dtype, node->kids[1]->span, what);
    Thing thing = thing_poison();
    if (ok) {
        Value now = lower_round(l, v.value, dtype);
        name_value(l, thing_value(now), node->text);
        thing = (Thing){
            .kind = THING_VAR, .var = var_new(l, node, dtype, axes, now), .phase = l->phase};
    }
    env_define(l, env, node->text, node->text_span, thing);
}

// ---- assignments to variables

static bool var_guard_fits(Lower *l, const Variable *var, const Node *node)
{
    if (!l->mask.i || l->mask.i == var->mask.i) return true;
    AxisSet extra = value_axes(l->f, l->mask) & ~var->axes;
    if (var->mask.i) extra &= ~value_axes(l->f, var->mask);
    if (!extra) return true;
    Diag *diag = lower_error(l, DIAG_AXIS_LEFT_OVER, node->span,
                             "'%.*s' does not vary along %.*s, but the condition around it does",
                             STR_ARG(var->name), STR_ARG(axes_text(l, extra)));
    lower_hint(l, diag, "reduce the condition with any[...] or all[...]");
    return false;
}

// In lanes that take no part the variable keeps its value.
static void var_set(Lower *l, Variable *var, Thing v, const Node *node, const Node *value)
{
    const char *what = str_format(l->arena, "'%.*s'", STR_ARG(var->name)).data;
    if (v.kind == THING_POISON || lower_left_over(l, &v, var->axes, value->span, what, true))
        return;
    if (!var_guard_fits(l, var, node) || !lower_coerce(l, &v, var->dtype, value->span, what))
        return;
    Value now = lower_round(l, v.value, var->dtype);
    Value mask = l->mask.i == var->mask.i ? (Value){0} : l->mask;
    for (uint32_t i = var->live_count; i < l->live.count; i++)
        mask = lanes_and(l, mask, l->live.data[i].value);
    mask = lanes_any(l, mask, var->axes);
    if (mask.i) now = build_op3(&l->b, OP_SELECT, mask, now, var->now);
    name_value(l, thing_value(now), var->name);
    var->now = now;
}

static Thing var_thing(Lower *l, Env *env, const Node *target)
{
    const Name *name = target->kind == NODE_NAME ? env_find(env, target->text) : NULL;
    if (!name || name->thing.kind != THING_VAR) return thing_poison();
    return thing_resolve(l, env, name, target);
}

static void assign_tuple(Lower *l, Env *env, const Node *node)
{
    const Node *target = node->kids[0];
    Thing v = lower_expr(l, env, node->kids[1]);
    lower_at(l, node);
    if (v.kind == THING_POISON) return;
    bool plain = !node->op && !node->text.length;
    if (!plain || v.kind != THING_TUPLE || v.tuple->count != target->kid_count) {
        lower_error(l, DIAG_NOT_ASSIGNABLE, node->span,
                    "(a, b) = ... assigns a tuple of as many values");
        return;
    }
    for (uint32_t k = 0; k < target->kid_count; k++) {
        const Node *part = target->kids[k];
        Thing var = var_thing(l, env, part);
        if (var.kind == THING_VAR) {
            var_set(l, var.var, v.tuple->items[k], node, node->kids[1]);
            continue;
        }
        const Name *name = part->kind == NODE_NAME ? env_find(env, part->text) : NULL;
        if (part->kind == NODE_NAME && !name)
            lower_unknown(l, env, part, "variable");
        else if (!name || name->thing.kind != THING_POISON)
            lower_hint(l,
                       lower_error(l, DIAG_NOT_ASSIGNABLE, part->span,
                                   "only variables can be assigned together"),
                       "name the values, let (a, b) = ...;, and store each by itself");
    }
}

static void lower_assign(Lower *l, Env *env, const Node *node)
{
    const Node *target = node->kids[0];
    if (target->kind == NODE_TUPLE) {
        assign_tuple(l, env, node);
        return;
    }
    const Node *base = target->kind == NODE_SUBSCRIPT ? target->kids[0] : target;
    Thing var = var_thing(l, env, base);
    if (var.kind != THING_VAR) {
        lower_store(l, env, node);
        return;
    }
    if (node->flags & NODE_FLAG_UNORDERED) {
        lower_error(l, DIAG_NOT_ASSIGNABLE, node->span,
                    "'unordered' is for stores to tensors, '%.*s' is a variable",
                    STR_ARG(base->text));
        return;
    }
    if (target->kind == NODE_SUBSCRIPT) {
        Thing all = lower_local_set(l, env, var.var, node);
        lower_at(l, node);
        var_set(l, var.var, all, node, node->kids[1]);
        return;
    }
    Thing v = lower_value(l, env, node->kids[1]);
    lower_at(l, node);
    v = lower_combined(l, node, thing_value(var.var->now), v);
    var_set(l, var.var, v, node, node->kids[1]);
}

// ---- the rest

static void lower_eval(Lower *l, Env *env, const Node *node)
{
    Thing t = lower_expr(l, env, node->kids[0]);
    bool nothing = t.kind == THING_POISON || (t.kind == THING_TUPLE && !t.tuple->count);
    if (nothing) return;
    Diag *diag =
        lower_error(l, DIAG_MISPLACED, node->span, "the value of this statement goes nowhere");
    lower_hint(l, diag, "name it with 'let', or store it");
}

static void lower_return(Lower *l, Env *env, const Node *node)
{
    Thing t = lower_expr(l, env, node->kids[0]);
    lower_at(l, node);
    if (!l->depth) {
        lower_error(l, DIAG_MISPLACED, node->span,
                    "'return' belongs in a function; a kernel stores its results");
        return;
    }
    if (t.kind != THING_TUPLE && t.kind != THING_FUNCTION && t.kind != THING_TYPE &&
        t.kind != THING_BUILTIN)
        t = thing_as_value(l, t, node->kids[0]);
    l->result = t;
    l->returned = true;
}

static void misplaced(Lower *l, const Node *node, const char *text, const char *hint)
{
    Diag *diag = lower_error(l, DIAG_MISPLACED, node->span, "%s", text);
    if (hint) lower_hint(l, diag, "%s", hint);
}

void lower_statement(Lower *l, Env *env, const Node *node)
{
    if (l->stopped) return;
    lower_at(l, node);
    switch ((unsigned)node->kind) {
    case NODE_LET:
        if (node->kids[1]->kind == NODE_ATOMIC)
            lower_let(l, env, node, lower_atomic(l, env, node->kids[1], true));
        else
            lower_let(l, env, node, lower_expr(l, env, node->kids[1]));
        return;
    case NODE_ATOMIC: lower_atomic(l, env, node, false); return;
    case NODE_VAR: lower_var(l, env, node); return;
    case NODE_AXIS: lower_axis_statement(l, env, node); return;
    case NODE_TILE: lower_loop(l, env, node); return;
    case NODE_FOR:
        if (node->flags & NODE_FLAG_SERIAL)
            misplaced(l, node, "'serial for' belongs at the top level of a kernel",
                      "a loop inside a tile is serial anyway: write 'for'");
        else
            lower_loop(l, env, node);
        return;
    case NODE_IF: {
        Thing c = lower_value(l, env, node->kids[0]);
        lower_if(l, env, node, c);
        return;
    }
    case NODE_WHILE: lower_while(l, env, node); return;
    case NODE_RETURN: lower_return(l, env, node); return;
    case NODE_TUNE: lower_tune(l, env, node); return;
    case NODE_ASSIGN:
        if (node->flags & NODE_FLAG_FOLD)
            lower_fold(l, env, node);
        else
            lower_assign(l, env, node);
        return;
    case NODE_EVAL: lower_eval(l, env, node); return;
    case NODE_BLOCK: lower_block(l, env, node); return;
    case NODE_ERROR: return;
    case NODE_BUF:
        misplaced(l, node, "'buf' belongs before the loops of a kernel", "inside a loop use 'var'");
        env_define(l, env, node->text, node->text_span, thing_poison());
        return;
    case NODE_REQUIRE:
        misplaced(l, node, "'require' belongs at the top level of a kernel",
                  "inside loops and functions use assert(c, \"...\")");
        return;
    case NODE_CALL_KERNEL:
        misplaced(l, node, "a kernel is called at the top level of a kernel, outside its loops",
                  NULL);
        return;
    }
}

void lower_block(Lower *l, Env *env, const Node *block)
{
    Env *inner = env_new(l, env, false);
    for (uint32_t k = 0; k < block->kid_count; k++) {
        const Node *node = block->kids[k];
        lower_statement(l, inner, node);
        if (!l->returned || !l->depth) continue;
        if (node->kind == NODE_RETURN && k + 1 < block->kid_count)
            misplaced(l, block->kids[k + 1], "nothing runs behind 'return'", NULL);
        return;
    }
}
