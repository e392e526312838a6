// Reductions: name[axes](value). A reduction binds its axes anew, so the path condition outside
// counts where any lane of them is on.
#include "frontend/lower.h"

Value build_reduce(Lower *l, ReduceKind kind, AxisSet axes, Value v, Value mask, uint8_t flags)
{
    AxisSet all = value_axes(l->f, v) | (mask.i ? value_axes(l->f, mask) : 0);
    bool is_index = kind == REDUCE_ARGMAX || kind == REDUCE_ARGMIN;
    Type type = type_tile(is_index ? DTYPE_I64 : value_dtype(l->f, v), all & ~axes);
    BuildSpec spec = {.args = (Value[]){v, mask},
                      .arg_count = mask.i ? 2 : 1,
                      .results = &type,
                      .result_count = 1,
                      .flags = (uint8_t)(flags | (mask.i ? INST_MASKED : 0)),
                      .attr = {.bits = axes, .kind = kind}};
    InstId id = build_inst(&l->b, OP_REDUCE, spec);
    return inst_result(inst_at(l->f, id), 0);
}

static void add_axis(Lower *l, AxisItems *items, AxisNote *note, const Node *node)
{
    for (uint32_t k = 0; k < items->axes.count; k++) {
        if (items->axes.data[k] != note) continue;
        lower_error(l, DIAG_NOT_AN_AXIS, node->span, "axis '%.*s' is named twice",
                    STR_ARG(note->name));
        items->failed = true;
        return;
    }
    vec_push(l->arena, &items->axes, note);
}

static void add_thing(Lower *l, AxisItems *items, Thing thing, const Node *node)
{
    vec_push(l->arena, &items->things, thing);
    if (thing.kind == THING_AXIS) {
        add_axis(l, items, thing.axis, node);
        return;
    }
    for (uint32_t k = 0; k < thing.pack->count; k++) add_axis(l, items, thing.pack->axes[k], node);
}

// sum[k in K](...): an axis of its own, known inside the call.
static void introduce(Lower *l, Env *env, Env *inner, AxisItems *items, const Node *node)
{
    Binds binds = {0};
    Node list = {.kids = (Node *[]){(Node *)node}, .kid_count = 1};
    binds = binds_flatten(l, env, &list, 1);
    items->failed |= binds.failed;
    if (binds.failed) return;
    AxisNote **notes = arena_array(l->arena, AxisNote *, binds.items.count + 1);
    for (uint32_t k = 0; k < binds.items.count; k++) {
        const Bind *bind = &binds.items.data[k];
        if (bind->is_pack && !bind->pack_count) break;
        notes[k] = axis_declare(l, env, bind);
        if (notes[k]) continue;
        items->failed = true;
        env_define(l, inner, node->text, node->text_span, thing_poison());
        return;
    }
    for (uint32_t k = 0; k < binds.items.count; k++) binds_define(l, inner, &binds, k, notes);
    const Name *name = env_find(inner, node->text);
    if (name && (name->thing.kind == THING_AXIS || name->thing.kind == THING_PACK))
        add_thing(l, items, name->thing, node);
}

static bool add_flag(AxisItems *items, Str word)
{
    if (str_is(word, "exclusive"))
        items->exclusive = true;
    else if (str_is(word, "reverse"))
        items->reverse = true;
    else if (str_is(word, "descending"))
        items->descending = true;
    else
        return false;
    return true;
}

AxisItems lower_axis_items(Lower *l, Env *env, Env *inner, const Node *args)
{
    AxisItems items = {0};
    for (uint32_t k = 0; k < args->kid_count; k++) {
        const Node *node = args->kids[k];
        if (node->kind == NODE_BIND) {
            introduce(l, env, inner, &items, node);
            continue;
        }
        const Name *name = node->kind == NODE_NAME ? env_find(env, node->text) : NULL;
        if (node->kind == NODE_NAME && !name && add_flag(&items, node->text)) continue;
        Thing thing = name ? thing_resolve(l, env, name, node) : thing_poison();
        if (thing.kind == THING_AXIS || thing.kind == THING_PACK) {
            add_thing(l, &items, thing, node);
            continue;
        }
        items.failed = true;
        if (node->kind == NODE_NAME && !name) {
            lower_unknown(l, env, node, "axis");
        } else if (node->kind != NODE_ERROR && (!name || thing.kind != THING_POISON)) {
            Diag *diag =
                lower_error(l, DIAG_NOT_AN_AXIS, node->span, "an axis is needed here, this is %s",
                            name ? thing_text(&thing) : "an expression");
            lower_hint(
                l, diag,
                "an axis comes from 'tile', 'axis', or a range in the brackets: sum[k in K](...)");
        }
    }
    return items;
}

static AxisSet set_of(const AxisItems *items)
{
    AxisSet axes = 0;
    for (uint32_t k = 0; k < items->axes.count; k++) axes |= axis_bit(items->axes.data[k]->axis);
    return axes;
}

// A dependent axis is reduced before what its range varies along. Only what a fold writes to may
// have it alone: `fold y[n] += sum[m](e)` is, for each n, about the m that have n in range.
bool lower_closed(Lower *l, AxisSet left, AxisSet axes, Value *mask, Span span)
{
    for (uint32_t i = 1; i < 64; i++) {
        if (!(left >> i & 1) || !l->axes[i] || !(l->axes[i]->outer & axes)) continue;
        if (l->folded >> i & 1) {
            l->summed |= axes;
            *mask = lanes_and(l, *mask, l->axes[i]->mask);
            continue;
        }
        Diag *diag =
            lower_error(l, DIAG_DEPENDENT_AXIS, span,
                        "the range of '%.*s' varies along %.*s, which is reduced here",
                        STR_ARG(l->axes[i]->name), STR_ARG(axes_text(l, l->axes[i]->outer & axes)));
        if (diag != l->spare)
            diag_note(l->diags, diag, l->axes[i]->span, "'%.*s' is declared here",
                      STR_ARG(l->axes[i]->name));
        lower_hint(l, diag, "reduce '%.*s' first or with it", STR_ARG(l->axes[i]->name));
        return false;
    }
    return true;
}

static bool names_call(const Lower *l, const Env *env, const Node *node)
{
    (void)l;
    if (node->kind == NODE_CALL && node->kids[0]->kind == NODE_NAME) {
        const Name *name = env_find_callable(env, node->kids[0]->text);
        if (name && name->thing.loose) return true;
    }
    for (uint32_t k = 0; k < node->kid_count; k++) {
        if (node->kids[k] && names_call(l, env, node->kids[k])) return true;
    }
    return false;
}

// Right for a function parameter that happens to be constant; where it is written out, likely a
// slip.
static void warn_lacking(Lower *l, Env *env, const Thing *v, const AxisItems *items,
                         const Node *node)
{
    uint64_t bits;
    if (l->depth || thing_const(l, v, &bits)) return;
    for (uint32_t k = 0; k < items->axes.count; k++) {
        const AxisNote *note = items->axes.data[k];
        if (thing_axes(l, v) & axis_bit(note->axis)) continue;
        if (names_call(l, env, node->kids[1])) return;
        Diag *diag = lower_error(l, DIAG_AXIS_LACKING, node->span,
                                 "the value does not vary along '%.*s'", STR_ARG(note->name));
        lower_hint(l, diag, "it counts once for each index; its axes are %.*s",
                   STR_ARG(axes_text(l, thing_axes(l, v))));
        return;
    }
}

static bool reducible(Lower *l, const AxisBuiltin *builtin, const Thing *v, const AxisItems *items,
                      const Node *node)
{
    bool logical = builtin->kind == REDUCE_ANY || builtin->kind == REDUCE_ALL;
    bool is_bool = thing_dtype(l, v) == DTYPE_BOOL;
    if (logical != is_bool) {
        Diag *diag = lower_error(l, logical ? DIAG_NOT_A_BOOL : DIAG_BOOL_AS_NUMBER, node->span,
                                 "%s of %s", builtin->name, dtype_text(l, v));
        lower_hint(l, diag, logical ? "it takes a bool: compare, x != 0" : "cast the bool: i32(b)");
        return false;
    }
    bool arg = builtin->kind == REDUCE_ARGMAX || builtin->kind == REDUCE_ARGMIN;
    if (!arg || items->axes.count == 1) return true;
    Diag *diag = lower_error(l, DIAG_BAD_CALL, node->span, "%s takes one axis, %u given",
                             builtin->name, items->axes.count);
    lower_hint(l, diag,
               "number the elements by one axis, %s[p in H * W](x[p / W, p %% W]), or take the "
               "best of each line first and then of those",
               builtin->name);
    return false;
}

static Thing reduce_mean(Lower *l, const AxisItems *items, AxisSet axes, Thing v, Value mask)
{
    DType t = thing_dtype(l, &v) == DTYPE_F64 ? DTYPE_F64 : DTYPE_F32;
    Value sum = build_reduce(l, REDUCE_SUM, axes, thing_convert(l, v, t), mask, 0);
    Value count = {0};
    if (mask.i && items->axes.count > 1) { // ranges that vary with each other are counted
        Value one = build_i64(&l->b, 1);
        count = build_reduce(l, REDUCE_SUM, axes, one, mask, 0);
    } else {
        for (uint32_t k = 0; k < items->axes.count; k++) {
            Value length = axis_length(l, items->axes.data[k]);
            count = count.i ? build_op2(&l->b, OP_MUL, count, length) : length;
        }
    }
    return thing_value(build_op2(&l->b, OP_DIV, sum, build_cast(&l->b, count, t)));
}

static Thing reduce_pack_of_none(Lower *l, const AxisBuiltin *builtin, Thing v)
{
    if (builtin->kind != REDUCE_COUNT || dtype_is_float(thing_dtype(l, &v))) return v;
    return thing_value(thing_convert(l, v, DTYPE_F32));
}

static Thing lower_reduction(Lower *l, Env *env, const AxisBuiltin *builtin, const AxisItems *items,
                             Thing v, const Node *node)
{
    AxisSet axes = set_of(items);
    if (!reducible(l, builtin, &v, items, node)) return thing_poison();
    warn_lacking(l, env, &v, items, node);
    v = thing_settle(l, v);
    Value mask = {0};
    for (uint32_t k = 0; k < items->axes.count; k++)
        mask = lanes_and(l, mask, items->axes.data[k]->mask);
    AxisSet left = (thing_axes(l, &v) | (mask.i ? value_axes(l->f, mask) : 0)) & ~axes;
    if (!lower_closed(l, left, axes, &mask, node->span)) return thing_poison();
    if (!axes) return reduce_pack_of_none(l, builtin, v);
    if (builtin->kind == REDUCE_COUNT) return reduce_mean(l, items, axes, v, mask);
    ReduceKind kind =
        builtin->kind == REDUCE_AND ? REDUCE_SUM : builtin->kind; // dot is a sum of products
    return thing_value(build_reduce(l, kind, axes, v.value, mask, 0));
}

static Thing lower_operand(Lower *l, Env *env, const AxisBuiltin *builtin, const Node *node)
{
    const Node *args = node->kids[1];
    uint32_t want = builtin->kind == REDUCE_AND ? 2 : 1;
    if (args->kid_count != want) {
        lower_error(l, DIAG_BAD_CALL, node->span, "%s[...] takes %u value%s, %u given",
                    builtin->name, want, want == 1 ? "" : "s", args->kid_count);
        return thing_poison();
    }
    Thing a = lower_value(l, env, args->kids[0]);
    if (want == 1) return a;
    Thing b = lower_value(l, env, args->kids[1]);
    lower_at(l, node);
    return lower_binary(l, BINARY_MUL, a, b, node->span);
}

bool reduction_axes_fit(Lower *l, AxisItems *items, const char *name, bool ordered,
                        const Node *node)
{
    bool sorts = str_is(str_of(name), "sort") || str_is(str_of(name), "argsort");
    bool flagged =
        (items->descending && !sorts) || (!ordered && (items->exclusive || items->reverse));
    if (!items->failed && (!items->axes.count || flagged)) {
        Diag *diag = lower_error(l, flagged ? DIAG_BAD_CALL : DIAG_AXES_MISSING, node->span,
                                 "%s %s", name,
                                 flagged ? "does not know this flag" : "needs its axes");
        lower_hint(l, diag, "write %s[n](x)", name);
        items->failed = true;
    }
    for (uint32_t k = 0; k < items->axes.count; k++) {
        if (!items->axes.data[k]->scalar) continue;
        Diag *diag = lower_error(l, DIAG_NOT_AN_AXIS, node->span,
                                 "'%.*s' is the index of a 'for', one value",
                                 STR_ARG(items->axes.data[k]->name));
        lower_hint(l, diag, "reduce over a 'tile' or an 'axis'");
        items->failed = true;
    }
    return !items->failed;
}

Thing lower_axis_call(Lower *l, Env *env, const AxisBuiltin *builtin, const Node *node)
{
    Env *inner = env_new(l, env, false);
    if (builtin->form == FORM_CALLED) {
        Diag *diag = lower_error(l, DIAG_BAD_CALL, node->span, "%s needs a function and its values",
                                 builtin->name);
        lower_hint(l, diag, "write %s",
                   builtin->kind ? "scan[n](f)(x)" : "reduce[n](f, neutral)(x)");
        return thing_poison();
    }
    AxisItems items = lower_axis_items(l, env, inner, node->kids[0]->kids[1]);
    bool known_pack = node->kids[0]->kids[1]->kid_count && builtin->form == FORM_REDUCTION;
    if (!known_pack || items.axes.count)
        reduction_axes_fit(l, &items, builtin->name, builtin->form == FORM_SCAN, node);
    if (builtin->form == FORM_SEARCH) return lower_search(l, env, inner, &items, node);
    AxisSet axes = set_of(&items), bound = l->bound;
    if (builtin->form == FORM_SORT && items.axes.count) axes = axis_bit(items.axes.data[0]->axis);
    Value mask = l->mask;
    lanes_bind(l, axes);
    Thing v = lower_operand(l, inner, builtin, node);
    l->mask = mask;
    l->bound = bound;
    lower_at(l, node);
    if (items.failed || v.kind == THING_POISON) return thing_poison();
    if (builtin->form == FORM_SCAN) return lower_scan(l, builtin, &items, v, node);
    if (builtin->form == FORM_EDGE) return lower_edge(l, builtin, &items, v, node);
    if (builtin->form == FORM_SORT) return lower_sort(l, builtin, &items, v, node);
    return lower_reduction(l, env, builtin, &items, v, node);
}
