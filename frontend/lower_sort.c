// sort[n](x), argsort[n](x), topk[n, j](x): along the whole range or the tile of an axis.
#include "frontend/lower.h"

enum { SORT_VALUES, SORT_INDICES, SORT_FIRST }; // what AxisBuiltin.kind says

static InstId build_sort(Lower *l, const AxisNote *from, Axis to, Value v, Value mask,
                         bool descending)
{
    AxisSet axes = value_axes(l->f, v) | (mask.i ? value_axes(l->f, mask) : 0);
    AxisSet left = (axes & ~axis_bit(from->axis)) | axis_bit(to);
    Type types[2] = {type_tile(value_dtype(l->f, v), left), type_tile(DTYPE_I64, left)};
    uint8_t flags = (uint8_t)((mask.i ? INST_MASKED : 0) | (descending ? INST_REVERSE : 0));
    return build_inst(&l->b, OP_SORT,
                      (BuildSpec){.args = (Value[]){v, mask},
                                  .arg_count = mask.i ? 2 : 1,
                                  .results = types,
                                  .result_count = 2,
                                  .flags = flags,
                                  .attr = {.bits = axis_bit(from->axis), .ref = to.i}});
}

static bool sortable(Lower *l, const AxisBuiltin *builtin, const Thing *v, const Node *node)
{
    if (thing_dtype(l, v) != DTYPE_BOOL) return true;
    Diag *diag = lower_error(l, DIAG_BOOL_AS_NUMBER, node->span, "%s of bool", builtin->name);
    lower_hint(l, diag, "cast the bool: i32(b)");
    return false;
}

// The axis of topk's results: whole, the same for all lanes, and new to the value.
static bool target_fits(Lower *l, const AxisItems *items, const Thing *v, const Node *node)
{
    const AxisNote *to = items->axes.count == 2 ? items->axes.data[1] : NULL;
    if (to && to->kind == AXIS_WHOLE && !to->outer && !(thing_axes(l, v) & axis_bit(to->axis)))
        return true;
    Diag *diag = lower_error(l, DIAG_BAD_CALL, node->span,
                             to ? "'%.*s' cannot be the axis of the results"
                                : "topk takes the axis of the value and one for the results%.*s",
                             STR_ARG(to ? to->name : STR("")));
    lower_hint(l, diag, "declare one: axis j in 8; ... topk[n, j](x)");
    return false;
}

Thing lower_sort(Lower *l, const AxisBuiltin *builtin, const AxisItems *items, Thing v,
                 const Node *node)
{
    unsigned kind = builtin->kind;
    if (!sortable(l, builtin, &v, node)) return thing_poison();
    if (kind == SORT_FIRST && !target_fits(l, items, &v, node)) return thing_poison();
    if (kind != SORT_FIRST && items->axes.count != 1) {
        lower_error(l, DIAG_BAD_CALL, node->span, "%s takes one axis, %u given", builtin->name,
                    items->axes.count);
        return thing_poison();
    }
    v = thing_settle(l, v);
    const AxisNote *from = items->axes.data[0];
    AxisSet left = thing_axes(l, &v) & ~axis_bit(from->axis);
    Value mask = from->mask;
    if (!lower_closed(l, left, axis_bit(from->axis), &mask, node->span)) return thing_poison();
    Axis to = kind == SORT_FIRST ? items->axes.data[1]->axis : from->axis;
    InstId id = build_sort(l, from, to, v.value, mask, kind == SORT_FIRST || items->descending);
    const Inst *in = inst_at(l->f, id);
    if (kind != SORT_FIRST) return thing_value(inst_result(in, kind == SORT_INDICES));
    Tuple *pair = arena_new(l->arena, Tuple);
    pair->count = 2;
    pair->items = arena_array(l->arena, Thing, 2);
    for (uint32_t k = 0; k < 2; k++) pair->items[k] = thing_value(inst_result(in, k));
    return (Thing){.kind = THING_TUPLE, .tuple = pair};
}

// lower_bound[e](x[e], sought): where x, which ascends along e, reaches what is sought.
Thing lower_search(Lower *l, Env *env, Env *inner, const AxisItems *items, const Node *node)
{
    const Node *args = node->kids[1];
    bool whole = items->axes.count == 1 && items->axes.data[0]->kind == AXIS_WHOLE;
    if (items->failed) return thing_poison();
    if (!whole || args->kid_count != 2) {
        Diag *diag = lower_error(l, DIAG_BAD_CALL, node->span,
                                 "lower_bound takes one whole axis and two values");
        lower_hint(l, diag, "write lower_bound[e in E](x[e], sought)");
        return thing_poison();
    }
    const AxisNote *note = items->axes.data[0];
    AxisSet axis = axis_bit(note->axis), bound = l->bound;
    Value mask = l->mask;
    Thing sought = lower_value(l, env, args->kids[1]);
    lanes_bind(l, axis);
    Thing v = lower_value(l, inner, args->kids[0]);
    l->mask = mask;
    l->bound = bound;
    lower_at(l, node);
    if (!lower_operands(l, node->span, &v, &sought)) return thing_poison();
    v = thing_settle(l, v), sought = thing_settle(l, sought);
    if (thing_dtype(l, &v) == DTYPE_BOOL || (thing_axes(l, &sought) & axis)) {
        lower_error(l, DIAG_BAD_CALL, node->span,
                    thing_axes(l, &sought) & axis ? "what is sought varies along '%.*s'"
                                                  : "lower_bound of bool along '%.*s'",
                    STR_ARG(note->name));
        return thing_poison();
    }
    Value args4[4] = {v.value, sought.value, note->lo, note->hi}, none = {0};
    AxisSet left = 0;
    for (unsigned k = 0; k < 4; k++) left |= value_axes(l->f, args4[k]) & ~axis;
    if (!lower_closed(l, left, axis, &none, node->span)) return thing_poison();
    Type type = type_tile(DTYPE_I64, left);
    InstId id = build_inst(&l->b, OP_SEARCH,
                           (BuildSpec){.args = args4,
                                       .arg_count = 4,
                                       .results = &type,
                                       .result_count = 1,
                                       .attr = {.ref = note->axis.i}});
    return thing_value(inst_result(inst_at(l->f, id), 0));
}
