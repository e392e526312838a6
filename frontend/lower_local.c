// Local values at other indices, and slices of variables.
//
//   p[j = l]          take[j] (p, index l): j is replaced by what the index varies along
//   x[i = r] = e;     x = i == r ? e : x
//
// Along whole axes, twins and tiles with `by`; along a free tile only its twins, for which lanes
// are there is the Config's choice. What is no twin is checked when it runs, unless it is proved.
#include "frontend/lower.h"

typedef struct Replaced {
    AxisSet axes;
    Value index[64]; // by Axis.i
    bool checked[64];
    bool failed;
} Replaced;

static AxisNote *named_axis(Lower *l, Env *env, const Node *node, Str text)
{
    const Name *name = env_find(env, text);
    Thing thing = name ? thing_resolve(l, env, name, node) : thing_poison();
    if (thing.kind == THING_PACK && thing.pack->count == 1) return thing.pack->axes[0];
    return thing.kind == THING_AXIS ? thing.axis : NULL;
}

static bool free_tile(Lower *l, const AxisNote *note, const Node *node)
{
    const AxisNote *tile = note->tile ? note->tile : note;
    Diag *diag = lower_error(l, DIAG_BLOCK_INDEX, node->span,
                             "which lanes along '%.*s' there are depends on its block size",
                             STR_ARG(note->name));
    if (diag != l->spare)
        diag_note(l->diags, diag, tile->span, "the block of '%.*s' is free: any size may be chosen",
                  STR_ARG(tile->name));
    lower_hint(l, diag, "index by a twin (axis u = %.*s;), or fix its block with 'by'",
               STR_ARG(note->name));
    return false;
}

// One `axis = index` of the brackets.
static bool replace(Lower *l, Env *env, AxisSet have, const Node *node, Replaced *r)
{
    AxisNote *note = named_axis(l, env, node, node->text);
    const Node *at = node->kids[0];
    if (!note) {
        if (!env_find(env, node->text))
            lower_unknown(l, env, node, "axis");
        else
            lower_error(l, DIAG_NOT_AN_AXIS, node->text_span, "'%.*s' is not an axis",
                        STR_ARG(node->text));
        return false;
    }
    AxisSet bit = axis_bit(note->axis);
    if (r->axes & bit) {
        lower_error(l, DIAG_NOT_AN_AXIS, node->span, "axis '%.*s' is named twice",
                    STR_ARG(node->text));
        return false;
    }
    const AxisNote *other = at->kind == NODE_NAME ? named_axis(l, env, at, at->text) : NULL;
    Thing index = lower_integer(l, env, at, "an index");
    if (index.kind == THING_POISON) return false;
    if (!(have & bit)) { // constant along it, as a function's argument may happen to be
        if (l->depth) return true;
        Diag *diag = lower_error(l, DIAG_NOT_AN_AXIS, node->span,
                                 "the value does not vary along '%.*s'", STR_ARG(node->text));
        lower_hint(l, diag, "it varies along %.*s", STR_ARG(axes_text(l, have)));
        return false;
    }
    bool twin = other && axes_are_twins(note, other);
    if (!twin && axis_is_free(l, note)) return free_tile(l, note, node);
    if (other == note) return true;
    r->axes |= bit;
    r->index[note->axis.i] = index.value;
    r->checked[note->axis.i] = !twin;
    return true;
}

static Replaced replaced(Lower *l, Env *env, AxisSet have, const Node *args)
{
    Replaced r = {0};
    for (uint32_t k = 0; k < args->kid_count; k++) {
        const Node *node = args->kids[k];
        if (node->kind == NODE_SETTING) {
            r.failed |= !replace(l, env, have, node, &r);
            continue;
        }
        const AxisNote *own = node->kind == NODE_NAME ? named_axis(l, env, node, node->text) : NULL;
        if (own && (have & axis_bit(own->axis))) continue;
        r.failed = true;
        if (node->kind == NODE_NAME && !env_find(env, node->text)) {
            lower_unknown(l, env, node, "axis");
            continue;
        }
        Diag *diag = lower_error(l, DIAG_INDEX_COUNT, node->span,
                                 "a local value has no positions: its axes are %.*s",
                                 STR_ARG(axes_text(l, have)));
        lower_hint(l, diag, "say which axis the index replaces: [axis = index]; the others stay");
    }
    return r;
}

// Whether the index is among the indices of the axis now; checked where the lanes are on.
static Value in_range(Lower *l, const AxisNote *note, Value index, AxisSet keep)
{
    const AxisNote *tile = note->tile ? note->tile : note->kind == AXIS_WHOLE ? NULL : note;
    Value lo = note->lo, hi = note->hi;
    if (tile) {
        Value begin = axis_tile_info(l, tile, INFO_BEGIN), end = axis_tile_info(l, tile, INFO_END);
        lo = tile->outer ? build_op2(&l->b, OP_MAX, begin, lo) : begin;
        hi = tile->outer ? build_op2(&l->b, OP_MIN, end, hi) : end;
    }
    Value ok = lanes_and(l, build_op2(&l->b, OP_LE, lo, index), build_op2(&l->b, OP_LT, index, hi));
    AxisSet own = value_axes(l->f, index);
    uint64_t known;
    if (value_const(l->f, ok, &known) && known) return (Value){0};
    ok = lanes_any(l, ok, keep | own);
    hi = value_axes(l->f, hi) & ~(keep | own)
             ? build_reduce(l, REDUCE_MAX, value_axes(l->f, hi) & ~(keep | own), hi, (Value){0},
                            INST_IMPLICIT)
             : hi;
    AxisSet lanes = value_axes(l->f, ok);
    Value mask = lanes_for(l, lanes, lanes | value_axes(l->f, hi));
    SiteInfo site = {.kind = SITE_LANE, .span = l->b.span, .message = note->name};
    build_inst(&l->b, OP_CHECK,
               (BuildSpec){.args = (Value[]){ok, index, hi, mask},
                           .arg_count = mask.i ? 4 : 3,
                           .flags = mask.i ? INST_MASKED : 0,
                           .attr = {.ref = func_site(l->f, site)}});
    l->effects = true;
    return ok;
}

// A variable may be constant along an axis of its type: there the index is only checked.
static Thing take(Lower *l, Thing value, const Replaced *r)
{
    Value args[66] = {value.value}, mask = {0};
    AxisSet own = value_axes(l->f, value.value) & r->axes;
    AxisSet kept = value_axes(l->f, value.value) & ~r->axes, all = kept;
    unsigned count = 1;
    for (AxisSet rest = r->axes; rest; rest &= rest - 1) {
        unsigned a = (unsigned)__builtin_ctzll(rest);
        if (own >> a & 1) {
            args[count++] = r->index[a];
            all |= value_axes(l->f, r->index[a]);
        }
        if (r->checked[a]) mask = lanes_and(l, mask, in_range(l, l->axes[a], r->index[a], kept));
    }
    if (mask.i) args[count++] = mask;
    if (!own) return value;
    Type type = type_tile(value_dtype(l->f, value.value), all);
    InstId id = build_inst(&l->b, OP_TAKE,
                           (BuildSpec){.args = args,
                                       .arg_count = count,
                                       .results = &type,
                                       .result_count = 1,
                                       .flags = mask.i ? INST_MASKED : 0,
                                       .attr = {.bits = own}});
    return thing_value(inst_result(inst_at(l->f, id), 0));
}

Thing lower_local(Lower *l, Env *env, Thing local, const Node *node)
{
    Thing value = thing_as_value(l, local, node->kids[0]);
    if (value.kind == THING_POISON) return value;
    AxisSet have = thing_axes(l, &value) | (local.kind == THING_VAR ? local.var->axes : 0);
    Replaced r = replaced(l, env, have, node->kids[1]);
    lower_at(l, node);
    if (r.failed) return thing_poison();
    if (!r.axes) return value;
    const Inst *in = value_def(l->f, value.value);
    bool index = in && in->op == OP_INDEX && r.axes >> in->attr.ref & 1;
    if (index && !r.checked[in->attr.ref])
        return thing_value(r.index[in->attr.ref]); // of a twin: its index
    return take(l, value, &r);
}

Thing lower_local_set(Lower *l, Env *env, const Variable *var, const Node *node)
{
    const Node *target = node->kids[0];
    Replaced r = replaced(l, env, var->axes, target->kids[1]);
    Thing v = lower_value(l, env, node->kids[1]), now = thing_value(var->now);
    lower_at(l, node);
    if (r.failed || v.kind == THING_POISON) return thing_poison();
    Value here = {0};
    AxisSet left = var->axes & ~r.axes;
    for (AxisSet rest = r.axes; rest; rest &= rest - 1) {
        AxisNote *note = l->axes[__builtin_ctzll(rest)];
        Value index = r.index[note->axis.i];
        if (value_axes(l->f, index) & ~left) {
            Diag *diag = lower_error(l, DIAG_NOT_SCALAR, target->span,
                                     "the slice of '%.*s' varies along %.*s", STR_ARG(var->name),
                                     STR_ARG(axes_text(l, value_axes(l->f, index) & ~left)));
            lower_hint(l, diag, "a slice of a variable has one place along '%.*s'",
                       STR_ARG(note->name));
            return thing_poison();
        }
        if (r.checked[note->axis.i]) in_range(l, note, index, left);
        here = lanes_and(l, here, build_op2(&l->b, OP_EQ, axis_index(l, note), index));
    }
    const char *what = str_format(l->arena, "the slice of '%.*s'", STR_ARG(var->name)).data;
    if (lower_left_over(l, &v, left, node->kids[1]->span, what, true)) return thing_poison();
    v = lower_combined(l, node, now, v);
    if (v.kind == THING_POISON || !lower_coerce(l, &v, var->dtype, node->kids[1]->span, what))
        return thing_poison();
    if (here.i) v = thing_value(build_op3(&l->b, OP_SELECT, here, v.value, now.value));
    return v;
}
