// Atomic updates: one for each lane of the indices, the value and the condition, in no order.
//
//     atomic hist[bin[i]] += 1;              adds up, however many lanes meet in an element
//     let old = atomic top[g[i]] max= x[i];  what was there
//     atomic lock[i] cas (0, 1);             1 where it was 0
#include "frontend/lower.h"

typedef struct Update {
    const Node *node, *target, *value; // value: what is combined; cas: expected
    const Node *desired;               // cas
    uint32_t kind;                     // AtomicKind
    bool negated;                      // -=
} Update;

// The operation that is meant, whatever the type.
static bool update_kind(Lower *l, Update *u, const Node *assign)
{
    u->target = assign->kids[0];
    u->value = assign->kids[1];
    if (assign->kind == NODE_ATOMIC) { // cas
        u->desired = assign->kids[2];
        u->kind = ATOMIC_CAS;
        return true;
    }
    if (str_is(assign->text, "max"))
        u->kind = REDUCE_MAX;
    else if (str_is(assign->text, "min"))
        u->kind = REDUCE_MIN;
    else if (assign->op == '+' || assign->op == '-')
        u->kind = REDUCE_SUM, u->negated = assign->op == '-';
    else if (assign->op == '*')
        u->kind = REDUCE_PROD;
    else if (assign->op == '&')
        u->kind = REDUCE_AND;
    else if (assign->op == '|')
        u->kind = REDUCE_OR;
    else if (assign->op == '^')
        u->kind = REDUCE_XOR;
    else if (!assign->op)
        u->kind = ATOMIC_XCHG;
    else {
        Diag *diag = lower_error(l, DIAG_NOT_ASSIGNABLE, assign->span,
                                 "there is no atomic update of this kind");
        lower_hint(l, diag, "it takes = += -= *= max= min= &= |= ^= and cas (expected, desired)");
        return false;
    }
    return true;
}

static bool is_bitwise(uint32_t kind)
{
    return kind == REDUCE_AND || kind == REDUCE_OR || kind == REDUCE_XOR;
}

// Types that the operation does not make sense for. What is rounded at each update must at least
// have some digits.
static bool type_fits(Lower *l, const Update *u, DType t)
{
    bool is_bool = t == DTYPE_BOOL, is_float = dtype_is_float(t);
    bool counts = u->kind == REDUCE_SUM || u->kind == REDUCE_PROD;
    bool ok = is_bitwise(u->kind) ? !is_float : !is_bool || !atomic_is_update(u->kind);
    if (!ok) {
        lower_error(l, DIAG_WRONG_TYPE, u->node->span, "no such atomic update of %s",
                    dtype_info[t].name);
        return false;
    }
    if (!counts || !is_float || dtype_info[t].bits >= 16) return true;
    Diag *diag =
        lower_error(l, DIAG_WRONG_TYPE, u->node->span,
                    "atomic sums and products of %s would round at every step", dtype_info[t].name);
    lower_hint(l, diag, "sum up in f32 (a `buf`) and convert in a later phase, or use `fold`");
    return false;
}

// The value as the element's type would hold it, where the order of updates would show otherwise.
static Value fitted(Lower *l, const Update *u, Value v, DType t)
{
    if (u->negated) v = build_op1(&l->b, OP_NEG, v);
    bool rounds = u->kind == REDUCE_MAX || u->kind == REDUCE_MIN || dtype_is_int(t);
    return rounds ? lower_round(l, v, t) : v;
}

// Lanes that the indices lack meet in one element: without an old value they are combined first.
static void combine_lanes(Lower *l, const Update *u, AxisSet have, Value *v, Value *mask)
{
    AxisSet axes = value_axes(l->f, *v) | (mask->i ? value_axes(l->f, *mask) : 0);
    AxisSet extra = axes & ~have;
    if (!extra || !atomic_is_update(u->kind)) return;
    *v = build_reduce(l, (ReduceKind)u->kind, extra, *v, *mask, 0);
    *mask = lanes_any(l, *mask, ~extra);
}

static Thing build_update(Lower *l, const Update *u, const TensorAccess *access,
                          const Value *values, Value mask)
{
    const Tensor *tensor = access->tensor;
    Value args[RANK_MAX + 3];
    uint32_t count = 0;
    AxisSet axes = 0;
    for (uint32_t k = 0; k < (u->desired ? 2u : 1u); k++) args[count++] = values[k];
    for (uint32_t k = 0; k < tensor->rank; k++) args[count++] = access->indices[k];
    if (mask.i) args[count++] = mask;
    for (uint32_t k = 0; k < count; k++) axes |= value_axes(l->f, args[k]);
    Type type = type_tile(dtype_info[tensor->dtype].arith, axes);
    InstId id = build_inst(&l->b, OP_ATOMIC_TILE,
                           (BuildSpec){.args = args,
                                       .arg_count = count,
                                       .results = &type,
                                       .result_count = 1,
                                       .flags = mask.i ? INST_MASKED : 0,
                                       .attr = {.ref = tensor->mem.i, .kind = u->kind}});
    l->effects = l->writes = true;
    return thing_value(inst_result(inst_at(l->f, id), 0));
}

static bool update_value(Lower *l, Env *env, const Node *node, DType t, const char *what,
                         Value *out)
{
    Thing v = lower_value(l, env, node);
    lower_at(l, node);
    if (v.kind == THING_POISON || !lower_coerce(l, &v, t, node->span, what)) return false;
    *out = v.value;
    return true;
}

static Thing update(Lower *l, Env *env, const Update *u, bool wants_old)
{
    TensorAccess access = {0};
    Value values[2] = {{0}};
    if (!lower_access(l, env, u->target, &access)) {
        lower_value(l, env, u->value);
        if (u->desired) lower_value(l, env, u->desired);
        return thing_poison();
    }
    const Tensor *tensor = access.tensor;
    DType arith = dtype_info[tensor->dtype].arith;
    const char *what = str_format(l->arena, "'%.*s'", STR_ARG(tensor->name)).data;
    bool converts = !atomic_is_update(u->kind); // a new value is stored as in an assignment
    bool ok = type_fits(l, u, tensor->dtype);
    ok &= update_value(l, env, u->value, converts ? tensor->dtype : arith, what, &values[0]);
    if (u->desired) ok &= update_value(l, env, u->desired, tensor->dtype, what, &values[1]);
    lower_at(l, u->node);
    if (!ok || tensor->absent) return thing_poison();
    values[0] = fitted(l, u, values[0], tensor->dtype);
    AxisSet axes = access.lanes | value_axes(l->f, values[0]);
    if (u->desired) axes |= value_axes(l->f, values[1]);
    Value mask = lanes_for(l, axes, ~(AxisSet)0);
    if (!wants_old) combine_lanes(l, u, access.have, &values[0], &mask);
    return build_update(l, u, &access, values, mask);
}

Thing lower_atomic(Lower *l, Env *env, const Node *node, bool wants_old)
{
    Update u = {.node = node};
    const Node *assign = node->text.length ? node : node->kids[0], *target = assign->kids[0];
    const Node *base = target->kind == NODE_SUBSCRIPT ? target->kids[0] : target;
    const Name *name = base->kind == NODE_NAME ? env_find(env, base->text) : NULL;
    if (!update_kind(l, &u, assign)) return thing_poison();
    if (name && name->thing.kind == THING_VAR) {
        Diag *diag =
            lower_error(l, DIAG_NOT_ASSIGNABLE, node->span,
                        "'atomic' is for tensors, '%.*s' is a variable", STR_ARG(base->text));
        lower_hint(l, diag, "a variable belongs to its tile alone: assign it");
        return thing_poison();
    }
    bool dropped = name && name->thing.kind == THING_TENSOR && name->thing.tensor->absent;
    if (!dropped) return update(l, env, &u, wants_old);
    Trial trial; // checked all the same
    Region region = trial_begin(l, &trial);
    update(l, env, &u, wants_old);
    trial_end(l, &trial);
    trial_drop(l, &trial, region);
    if (wants_old)
        lower_error(l, DIAG_ABSENT, node->span,
                    "'%.*s' is an optional output, which may be absent: it cannot be read",
                    STR_ARG(base->text));
    return thing_poison();
}
