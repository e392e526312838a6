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
