// Indexing: loads, views, stores and folds.
#include "frontend/lower.h"

typedef struct Indices { // as written: of the dimensions that a view leaves open
    Value values[RANK_MAX];
    Value ends[RANK_MAX]; // of a slice, which begins at its value; {0}: an index
    uint32_t count;
    bool slices, failed;
} Indices;

static bool same_size(const Lower *l, Value a, Value b)
{
    int64_t x, y;
    if (a.i == b.i) return true;
    if (value_const_int(l->f, a, &x) && value_const_int(l->f, b, &y)) return x == y;
    const Inst *in = value_def(l->f, a), *other = value_def(l->f, b);
    return in && other && in->op == OP_DIM && other->op == OP_DIM &&
           in->attr.ref == other->attr.ref;
}

// Whether `at` is the plain index of an axis over 0 .. size.
static bool covers(const Lower *l, Value at, Value size)
{
    int64_t x;
    const Inst *in = value_def(l->f, at);
    const AxisNote *note = in && in->op == OP_INDEX ? l->axes[in->attr.ref] : NULL;
    return note && value_const_int(l->f, note->first, &x) && x >= 0 &&
           same_size(l, note->end, size);
}

// (c, q) in a dimension (C, Q) is c * Q + q; -1, which no check lets pass, where q is outside 0 ..
// Q.
static Value split_index(Lower *l, Env *env, const Tensor *tensor, uint32_t d, const Node *node)
{
    uint32_t parts = tensor->part_count[d];
    if (node->kid_count != parts) {
        lower_error(l, DIAG_SPLIT_INDEX, node->span,
                    parts ? "dimension %u of '%.*s' has %u parts, %u indices given"
                          : "dimension %u of '%.*s' is not split, so it takes one index",
                    d, STR_ARG(tensor->name), parts, node->kid_count);
        return (Value){0};
    }
    Value flat = {0}, ok = {0};
    for (uint32_t k = 0; k < parts; k++) {
        Thing t = lower_integer(l, env, node->kids[k], "an index");
        if (t.kind == THING_POISON) return (Value){0};
        Value size = tensor->parts[d][k];
        flat =
            k ? build_op2(&l->b, OP_ADD, build_op2(&l->b, OP_MUL, flat, size), t.value) : t.value;
        if (!k || covers(l, t.value, size)) continue;
        Value above = build_op2(&l->b, OP_LE, build_i64(&l->b, 0), t.value);
        ok = lanes_and(l, ok,
                       build_op2(&l->b, OP_AND, above, build_op2(&l->b, OP_LT, t.value, size)));
    }
    return ok.i ? build_op3(&l->b, OP_SELECT, ok, flat, build_i64(&l->b, -1)) : flat;
}

static void add_index(Indices *indices, Value v, Value end)
{
    if (!v.i) indices->failed = true;
    if (indices->count < RANK_MAX) {
        indices->values[indices->count] = v;
        indices->ends[indices->count] = end;
    }
    indices->slices |= end.i != 0;
    indices->count++;
}

// The dimension that the k-th index is of; the rank if there is none.
static uint32_t open_dim(const Tensor *tensor, uint32_t k)
{
    uint32_t d = 0;
    for (; d < tensor->rank; d++)
        if (!tensor->given[d].i && k-- == 0) break;
    return d;
}

// An index of the tensor's memory: -1, which no check lets pass, where a slice has no such element.
static Value place_in(Lower *l, const Tensor *tensor, uint32_t d, Value at)
{
    int64_t first;
    Value from = tensor->from[d], size = tensor->sizes[d];
    if (!from.i) return at;
    bool from_0 = value_const_int(l->f, from, &first) && first == 0;
    Value flat = from_0 ? at : build_op2(&l->b, OP_ADD, from, at);
    if (covers(l, at, size)) return flat;
    Value ok = build_op2(&l->b, OP_AND, build_op2(&l->b, OP_LE, build_i64(&l->b, 0), at),
                         build_op2(&l->b, OP_LT, at, size));
    return build_op3(&l->b, OP_SELECT, ok, flat, build_i64(&l->b, -1));
}

static void lower_slice(Lower *l, Env *env, const Node *node, Indices *indices)
{
    Thing lo = lower_integer(l, env, node->kids[0], "where a slice begins");
    Thing hi = lower_integer(l, env, node->kids[1], "where a slice ends");
    bool ok = lo.kind != THING_POISON && hi.kind != THING_POISON;
    add_index(indices, ok ? lo.value : (Value){0}, ok ? hi.value : (Value){0});
}

static void lower_index(Lower *l, Env *env, const Tensor *tensor, const Node *node,
                        Indices *indices)
{
    const Name *name = node->kind == NODE_NAME ? env_find(env, node->text) : NULL;
    Thing thing = name ? thing_resolve(l, env, name, node) : thing_poison();
    lower_at(l, node);
    if (thing.kind == THING_PACK) {
        for (uint32_t k = 0; k < thing.pack->count; k++)
            add_index(indices, axis_index(l, thing.pack->axes[k]), (Value){0});
    } else if (node->kind == NODE_TUPLE && open_dim(tensor, indices->count) < tensor->rank) {
        uint32_t d = open_dim(tensor, indices->count);
        add_index(indices, split_index(l, env, tensor, d, node), (Value){0});
    } else if (node->kind == NODE_RANGE) {
        lower_slice(l, env, node, indices);
    } else if (node->kind == NODE_BIND || node->kind == NODE_SETTING) {
        Diag *diag = lower_error(l, DIAG_INDEX_COUNT, node->span, "a tensor is indexed by %s",
                                 node->kind == NODE_BIND ? "an axis that is declared before"
                                                         : "position, not by name");
        if (node->kind == NODE_BIND)
            lower_hint(l, diag, "axis %.*s in ...; or a slice: [lo .. hi]", STR_ARG(node->text));
        indices->failed = true;
        indices->count++;
    } else {
        Thing t = lower_integer(l, env, node, "an index");
        add_index(indices, t.kind == THING_POISON ? (Value){0} : t.value, (Value){0});
    }
}

static Indices lower_indices(Lower *l, Env *env, const Tensor *tensor, const Node *node)
{
    Indices indices = {0};
    uint32_t open = tensor->rank - tensor->given_count;
    const Node *args = node->kids[1];
    for (uint32_t k = 0; k < args->kid_count; k++)
        lower_index(l, env, tensor, args->kids[k], &indices);
    if (indices.count > open && !indices.failed) {
        lower_error(l, DIAG_INDEX_COUNT, node->span, "'%.*s' has %u dimension%s, %u indices given",
                    STR_ARG(tensor->name), open, open == 1 ? "" : "s", indices.count);
        indices.failed = true;
    }
    return indices;
}

// The index of each dimension of the memory.
static void all_indices(Lower *l, const Tensor *tensor, const Indices *indices, Value *all)
{
    for (uint32_t d = 0, k = 0; d < tensor->rank; d++)
        all[d] = tensor->given[d].i ? tensor->given[d]
                                    : place_in(l, tensor, d, indices->values[k++]);
}

// ---- loads

static AxisSet axes_of(const Lower *l, const Value *values, uint32_t count)
{
    AxisSet axes = 0;
    for (uint32_t k = 0; k < count; k++) axes |= value_axes(l->f, values[k]);
    return axes;
}

static Thing load_absent(Lower *l, const Tensor *tensor, const Node *node)
{
    if (tensor->fallback.i) return thing_value(tensor->fallback);
    if (tensor->output) {
        lower_error(l, DIAG_ABSENT, node->span,
                    "'%.*s' is an optional output, which may be absent: it cannot be read",
                    STR_ARG(tensor->name));
        return thing_poison();
    }
    Diag *diag = lower_error(l, DIAG_ABSENT, node->span, "optional '%.*s' %s",
                             STR_ARG(tensor->name),
                             l->spec->absent.length ? "may be absent" : "was not given");
    lower_hint(l, diag, "guard it: has(%.*s) ? ... : ..., or give it a default",
               STR_ARG(tensor->name));
    return thing_poison();
}

Thing lower_load(Lower *l, Tensor *tensor, const Value *indices, const Node *node)
{
    lower_at(l, node);
    if (tensor->absent) return load_absent(l, tensor, node);
    MemKind kind = mem_at(l->f, tensor->mem)->kind;
    l->effects = true;
    if (kind != MEM_IN) l->reads_written = true;
    if (kind != MEM_IN && tensor->view)
        vec_push(l->arena, &l->view_reads, (ViewRead){tensor->mem, l->phase, l->b.span});
    AxisSet axes = axes_of(l, indices, tensor->rank);
    Value args[RANK_MAX + 1];
    for (uint32_t k = 0; k < tensor->rank; k++) args[k] = indices[k];
    args[tensor->rank] = lanes_for(l, axes, axes);
    bool masked = args[tensor->rank].i != 0;
    Type type = type_tile(dtype_info[tensor->dtype].arith, axes);
    BuildSpec spec = {.args = args,
                      .arg_count = tensor->rank + masked,
                      .results = &type,
                      .result_count = 1,
                      .flags = masked ? INST_MASKED : 0,
                      .attr = {.ref = tensor->mem.i}};
    InstId id = build_inst(&l->b, OP_LOAD_TILE, spec);
    return thing_value(inst_result(inst_at(l->f, id), 0));
}

// Dimension d of a view has the elements lo .. hi of what it had.
static void slice_dim(Lower *l, Tensor *view, uint32_t d, Value lo, Value hi)
{
    if (view->from[d].i) hi = build_op2(&l->b, OP_MIN, hi, view->sizes[d]);
    Value size = build_op2(&l->b, OP_SUB, hi, lo);
    int64_t from, to;
    if (value_const_int(l->f, lo, &from) && value_const_int(l->f, hi, &to))
        size = build_i64(&l->b, to > from ? to - from : 0);
    view->from[d] = view->from[d].i ? build_op2(&l->b, OP_ADD, view->from[d], lo) : lo;
    view->sizes[d] = size;
    view->part_count[d] = 0;
}

// Fewer indices than dimensions, or slices: a read-only view.
static Thing make_view(Lower *l, const Tensor *tensor, const Indices *indices)
{
    Tensor *view = arena_new(l->arena, Tensor);
    *view = *tensor;
    view->view = true;
    view->phase = l->place == PLACE_PHASE ? l->phase : 0;
    for (uint32_t k = 0; k < indices->count; k++) {
        uint32_t d = open_dim(tensor, k);
        if (indices->ends[k].i) {
            slice_dim(l, view, d, indices->values[k], indices->ends[k]);
        } else {
            view->given[d] = place_in(l, tensor, d, indices->values[k]);
            view->given_count++;
        }
    }
    return (Thing){.kind = THING_TENSOR, .tensor = view};
}

static Thing index_tensor(Lower *l, Env *env, Tensor *tensor, const Node *node)
{
    Indices indices = lower_indices(l, env, tensor, node);
    lower_at(l, node);
    if (indices.failed) return thing_poison();
    if (indices.count + tensor->given_count == tensor->rank && !indices.slices) {
        Value all[RANK_MAX];
        all_indices(l, tensor, &indices, all);
        return lower_load(l, tensor, all, node);
    }
    bool empty_pack = node->kids[1]->kid_count > 0; // then all of it
    if (indices.count || empty_pack) return make_view(l, tensor, &indices);
    lower_error(l, DIAG_INDEX_COUNT, node->span, "'%.*s' has %u dimensions, none is indexed",
                STR_ARG(tensor->name), (unsigned)(tensor->rank - tensor->given_count));
    return thing_poison();
}

Thing lower_subscript(Lower *l, Env *env, const Node *node)
{
    Thing base = lower_expr(l, env, node->kids[0]);
    lower_at(l, node);
    switch ((unsigned)base.kind) {
    case THING_POISON: {
        Indices unused = {0};
        Tensor any = {.rank = 0};
        const Node *args = node->kids[1];
        for (uint32_t k = 0; k < args->kid_count; k++) { // still look at the indices
            if (args->kids[k]->kind != NODE_TUPLE && args->kids[k]->kind != NODE_SETTING)
                lower_index(l, env, &any, args->kids[k], &unused);
        }
        return base;
    }
    case THING_TENSOR: return index_tensor(l, env, base.tensor, node);
    case THING_VALUE:
    case THING_VAR: return lower_local(l, env, base, node);
    }
    Diag *diag =
        lower_error(l, DIAG_NOT_A_VALUE, node->span, "%s cannot be indexed", thing_text(&base));
    if (base.kind == THING_FUNCTION || base.kind == THING_BUILTIN)
        lower_hint(l, diag, "a function is called: f[n](x)");
    return thing_poison();
}

// ---- stores

static Tensor *target_tensor(Lower *l, Env *env, const Node *target)
{
    const Node *base = target->kind == NODE_SUBSCRIPT ? target->kids[0] : target;
    if (base->kind != NODE_NAME) {
        Diag *diag = lower_error(l, DIAG_NOT_ASSIGNABLE, target->span, "this cannot be assigned");
        if (base->kind == NODE_SUBSCRIPT)
            lower_hint(l, diag, "all indices stand in one pair of brackets: y[m, n]");
        return NULL;
    }
    const Name *name = env_find(env, base->text);
    if (!name) {
        lower_unknown(l, env, base, base == target ? "variable" : "name");
        return NULL;
    }
    Thing thing = name->thing;
    if (thing.kind == THING_VAR) thing = thing_resolve(l, env, name, base); // of another phase
    if (thing.kind == THING_POISON) return NULL;
    if (thing.kind == THING_TENSOR && thing.tensor->view) {
        lower_error(l, DIAG_NOT_ASSIGNABLE, target->span, "'%.*s' is a view, which is read-only",
                    STR_ARG(base->text));
        return NULL;
    }
    if (thing.kind != THING_TENSOR) {
        Diag *diag =
            lower_error(l, DIAG_NOT_ASSIGNABLE, target->span, "'%.*s' is %s and cannot be assigned",
                        STR_ARG(base->text), thing_text(&thing));
        if (thing.kind == THING_VALUE)
            lower_hint(l, diag, "declare it with 'var' instead of 'let'");
        return NULL;
    }
    if (!thing.tensor->writable) {
        Diag *diag = lower_error(l, DIAG_NOT_ASSIGNABLE, target->span,
                                 "'%.*s' is an input, which is read-only", STR_ARG(base->text));
        lower_hint(l, diag, "declare it 'inout %.*s: ...', or store to an output",
                   STR_ARG(base->text));
        return NULL;
    }
    return thing.tensor;
}

bool lower_target(Lower *l, Env *env, const Node *target, Tensor **tensor, Value *values)
{
    *tensor = target_tensor(l, env, target);
    if (!*tensor) return false;
    Indices indices = {0};
    if (target->kind == NODE_SUBSCRIPT) indices = lower_indices(l, env, *tensor, target);
    if (indices.failed) return false;
    if (indices.count != (*tensor)->rank || indices.slices) {
        Diag *diag =
            indices.slices
                ? lower_error(l, DIAG_INDEX_COUNT, target->span,
                              "a slice of '%.*s' cannot be assigned", STR_ARG((*tensor)->name))
                : lower_error(l, DIAG_INDEX_COUNT, target->span,
                              "'%.*s' has %u dimension%s, %u indices given",
                              STR_ARG((*tensor)->name), (*tensor)->rank,
                              (*tensor)->rank == 1 ? "" : "s", indices.count);
        lower_hint(l, diag, "a store names one element: an index for each dimension");
        return false;
    }
    memcpy(values, indices.values, sizeof(Value) * indices.count);
    return true;
}

bool lower_left_over(Lower *l, const Thing *v, AxisSet have, Span span, const char *what,
                     bool is_var)
{
    AxisSet extra = thing_axes(l, v) & ~have;
    if (!extra) return false;
    uint32_t first = 1;
    while (!(extra >> first & 1)) first++;
    Str name = l->axes[first]->name;
    Str which = have ? str_format(l->arena, "varies along %.*s only", STR_ARG(axes_text(l, have)))
                     : STR("is a single value");
    Diag *diag = lower_error(l, DIAG_AXIS_LEFT_OVER, span, "axis '%.*s' is left over: %s %.*s",
                             STR_ARG(name), what, STR_ARG(which));
    lower_hint(l, diag,
               is_var
                   ? "reduce it: sum[%.*s](...), or declare the variable with it: var v: f32[%.*s]"
                   : "reduce it: sum[%.*s](...), or index with it: [..., %.*s]",
               STR_ARG(name), STR_ARG(name));
    return true;
}

static bool guard_fits(Lower *l, AxisSet have, Span span, const char *what)
{
    if (!l->mask.i) return true;
    AxisSet extra = value_axes(l->f, l->mask) & ~have;
    if (!extra) return true;
    Diag *diag = lower_error(l, DIAG_AXIS_LEFT_OVER, span,
                             "%s does not vary along %.*s, but the condition around it does", what,
                             STR_ARG(axes_text(l, extra)));
    lower_hint(l, diag, "reduce the condition with any[...] or all[...], or use ?:");
    return false;
}

bool lower_access(Lower *l, Env *env, const Node *target, TensorAccess *access)
{
    if (!lower_target(l, env, target, &access->tensor, access->indices)) return false;
    access->lanes = axes_of(l, access->indices, access->tensor->rank);
    access->have = axes_closure(l, access->lanes);
    access->what =
        str_format(l->arena, "the element of '%.*s'", STR_ARG(access->tensor->name)).data;
    return true;
}

static bool op_of_assign(const Node *node, BinaryOp *op)
{
    static const struct {
        char c;
        BinaryOp op;
    } ops[] = {{'+', BINARY_ADD}, {'-', BINARY_SUB}, {'*', BINARY_MUL}, {'/', BINARY_DIV},
               {'%', BINARY_REM}, {'&', BINARY_AND}, {'|', BINARY_OR},  {'^', BINARY_XOR},
               {'<', BINARY_SHL}, {'>', BINARY_SHR}};
    for (unsigned k = 0; k < sizeof(ops) / sizeof(*ops); k++) {
        if ((uint32_t)ops[k].c != node->op) continue;
        *op = ops[k].op;
        return true;
    }
    return false;
}

// What is assigned: the value, combined with the old one for += and its kin.
Thing lower_combined(Lower *l, const Node *node, Thing old, Thing v)
{
    BinaryOp op;
    if (v.kind == THING_POISON || old.kind == THING_POISON) return thing_poison();
    if (str_is(node->text, "max") || str_is(node->text, "min")) {
        if (thing_dtype(l, &v) == DTYPE_BOOL) {
            lower_error(l, DIAG_WRONG_TYPE, node->span, "there is no %.*s of bool",
                        STR_ARG(node->text));
            return thing_poison();
        }
        return lower_pair(l, str_is(node->text, "max") ? OP_MAX : OP_MIN, old, v, node->span);
    }
    return op_of_assign(node, &op) ? lower_binary(l, op, old, v, node->span) : v;
}

static void emit_access(Lower *l, Op op, const TensorAccess *access, Value v, Value mask,
                        uint8_t flags, uint32_t kind)
{
    Value args[RANK_MAX + 2];
    uint32_t rank = access->tensor->rank, count = 0;
    args[count++] = v;
    for (uint32_t k = 0; k < rank; k++) args[count++] = access->indices[k];
    if (mask.i) args[count++] = mask;
    build_inst(&l->b, op,
               (BuildSpec){.args = args,
                           .arg_count = count,
                           .flags = (uint8_t)(flags | (mask.i ? INST_MASKED : 0)),
                           .attr = {.ref = access->tensor->mem.i, .kind = kind}});
    l->effects = l->writes = true;
}

static void store_to(Lower *l, Env *env, const Node *node, TensorAccess *access)
{
    Thing v = lower_value(l, env, node->kids[1]);
    lower_at(l, node);
    const Tensor *tensor = access->tensor;
    if ((node->op || node->text.length) && !tensor->absent) {
        Thing old = lower_load(l, access->tensor, access->indices, node->kids[0]);
        lower_at(l, node);
        v = lower_combined(l, node, old, v);
    }
    if (v.kind == THING_POISON) return;
    if (lower_left_over(l, &v, access->have, node->kids[1]->span, access->what, false)) return;
    if (!guard_fits(l, access->have, node->span, access->what)) return;
    const char *what = str_format(l->arena, "'%.*s'", STR_ARG(tensor->name)).data;
    if (!lower_coerce(l, &v, tensor->dtype, node->kids[1]->span, what) || tensor->absent) return;
    Value mask = lanes_for(l, access->lanes, access->lanes | thing_axes(l, &v));
    emit_access(l, OP_STORE_TILE, access, v.value, mask,
                node->flags & NODE_FLAG_UNORDERED ? INST_UNORDERED : 0, 0);
}

void lower_store(Lower *l, Env *env, const Node *node)
{
    TensorAccess access = {0};
    Tensor *tensor = NULL;
    const Node *base =
        node->kids[0]->kind == NODE_SUBSCRIPT ? node->kids[0]->kids[0] : node->kids[0];
    const Name *name = base->kind == NODE_NAME ? env_find(env, base->text) : NULL;
    if (name && name->thing.kind == THING_TENSOR) tensor = name->thing.tensor;
    if (tensor && tensor->absent && tensor->output) { // dropped, but still checked
        Trial trial;
        Region region = trial_begin(l, &trial);
        l->dropped = true;
        if (lower_access(l, env, node->kids[0], &access))
            store_to(l, env, node, &access);
        else
            lower_value(l, env, node->kids[1]);
        l->dropped = false;
        trial_end(l, &trial);
        trial_drop(l, &trial, region);
        return;
    }
    if (lower_access(l, env, node->kids[0], &access))
        store_to(l, env, node, &access);
    else
        lower_value(l, env, node->kids[1]);
}

static bool fold_kind(Lower *l, const Node *node, DType t, ReduceKind *kind)
{
    bool is_bool = t == DTYPE_BOOL, bitwise = node->op == '&' || node->op == '|' || node->op == '^';
    if (str_is(node->text, "max"))
        *kind = REDUCE_MAX;
    else if (str_is(node->text, "min"))
        *kind = REDUCE_MIN;
    else if (node->op == '+')
        *kind = REDUCE_SUM;
    else if (node->op == '*')
        *kind = REDUCE_PROD;
    else if (bitwise)
        *kind = node->op == '&' ? REDUCE_AND : node->op == '|' ? REDUCE_OR : REDUCE_XOR;
    else {
        Diag *diag = lower_error(l, DIAG_NOT_ASSIGNABLE, node->span,
                                 "fold combines with an operator that has an order-free result");
        lower_hint(l, diag, "it takes += *= max= min= &= |= ^=");
        return false;
    }
    if (bitwise ? !dtype_is_float(t) : !is_bool) return true;
    lower_error(l, DIAG_WRONG_TYPE, node->span, "fold %.*s%c= of %s", STR_ARG(node->text),
                node->op ? (int)node->op : ' ', dtype_info[t].name);
    return false;
}

static void fold_into(Lower *l, Env *env, const Node *node)
{
    TensorAccess access = {0};
    ReduceKind kind;
    if (!lower_access(l, env, node->kids[0], &access)) {
        lower_value(l, env, node->kids[1]);
        return;
    }
    l->folded = access.lanes, l->summed = 0;
    Thing v = lower_value(l, env, node->kids[1]);
    l->folded = 0, access.have &= ~l->summed;
    lower_at(l, node);
    if (v.kind == THING_POISON) return;
    const Tensor *tensor = access.tensor;
    if (lower_left_over(l, &v, access.have, node->kids[1]->span, access.what, false)) return;
    if (!guard_fits(l, access.have, node->span, access.what)) return;
    const char *what = str_format(l->arena, "'%.*s'", STR_ARG(tensor->name)).data;
    DType t = dtype_info[tensor->dtype].arith;
    if (!fold_kind(l, node, t, &kind) || !lower_coerce(l, &v, t, node->kids[1]->span, what) ||
        tensor->absent)
        return;
    emit_access(l, OP_FOLD, &access, v.value, lanes_for(l, access.lanes, access.have), 0, kind);
}

void lower_fold(Lower *l, Env *env, const Node *node)
{
    const Node *base =
        node->kids[0]->kind == NODE_SUBSCRIPT ? node->kids[0]->kids[0] : node->kids[0];
    const Name *name = base->kind == NODE_NAME ? env_find(env, base->text) : NULL;
    bool dropped = name && name->thing.kind == THING_TENSOR && name->thing.tensor->absent;
    if (!dropped) {
        fold_into(l, env, node);
        return;
    }
    Trial trial;
    Region region = trial_begin(l, &trial);
    l->dropped = true;
    fold_into(l, env, node);
    l->dropped = false;
    trial_end(l, &trial);
    trial_drop(l, &trial, region);
}
