// Parameters: memories, dimensions, scalar arguments, sizes, refinements: the prologue of a kernel,
// or the binding of an inlined one.
// dims.c finds the dimensions; here every tensor states its sizes, which the launch compares with
// those of its arguments.
#include "frontend/params.h"

#include "ir/eval.h"

static const Node *type_of(const Node *param)
{
    return param->kids[0];
}

static const Node *dims_of(const Node *type)
{
    const Node *last = type->kid_count ? type->kids[type->kid_count - 1] : NULL;
    return last && last->kind == NODE_DIMS ? last : NULL;
}

bool param_is_scalar(const Param *p)
{
    return !p->is_result && !(p->node->flags & NODE_FLAG_INOUT) &&
           !(type_of(p->node)->flags & NODE_FLAG_HAS_DIMS);
}

static bool is_optional(const Param *p)
{
    return (type_of(p->node)->flags & NODE_FLAG_OPTIONAL) != 0;
}

// ---- packs

static PackInfo *pack_find(Lower *l, Params *ps, const Node *node)
{
    for (uint32_t k = 0; k < ps->packs.count; k++) {
        if (str_equal(ps->packs.data[k].name, node->text)) return &ps->packs.data[k];
    }
    vec_push(l->arena, &ps->packs, (PackInfo){.name = node->text, .span = node->span});
    return &vec_last(&ps->packs);
}

static void pack_rank(Lower *l, Params *ps, const Param *p)
{
    const Node *dims = dims_of(type_of(p->node)), *pack = NULL;
    uint32_t plain = 0;
    for (uint32_t k = 0; dims && k < dims->kid_count; k++) {
        if (dims->kids[k]->kind != NODE_PACK)
            plain++;
        else if (pack) {
            lower_error(l, DIAG_RANK, dims->kids[k]->span,
                        "a type has one pack of dimensions at most");
            ps->failed = true;
        } else
            pack = dims->kids[k];
    }
    if (!pack) return;
    PackInfo *info = pack_find(l, ps, pack);
    if (!p->given->present || !p->given->known) return;
    if (p->given->rank < plain || (info->known && info->rank != p->given->rank - plain)) {
        lower_error(l, DIAG_ARG_RANK, p->node->text_span, "'%.*s' has %u dimensions, %s%u expected",
                    STR_ARG(p->node->text), p->given->rank, info->known ? "" : "at least ",
                    plain + (info->known ? info->rank : 0));
        ps->failed = true;
        return;
    }
    info->known = true;
    info->rank = p->given->rank - plain;
}

static void spread_dims(Lower *l, Params *ps, Param *p)
{
    const Node *dims = dims_of(type_of(p->node));
    for (uint32_t k = 0; dims && k < dims->kid_count; k++) {
        const Node *node = dims->kids[k];
        const PackInfo *pack = node->kind == NODE_PACK ? pack_find(l, ps, node) : NULL;
        uint32_t parts = pack ? pack->rank : 1;
        for (uint32_t i = 0; i < parts; i++) {
            if (p->dim_count == RANK_MAX) {
                lower_error(l, DIAG_RANK, dims->span, "'%.*s' has more than %d dimensions",
                            STR_ARG(p->node->text), RANK_MAX);
                ps->failed = true;
                return;
            }
            Dim dim = {.node = pack ? NULL : node, .span = node->span};
            if (pack)
                dim.name = parts == 1 ? pack->name
                                      : str_format(l->arena, "%.*s_%u", STR_ARG(pack->name), i);
            p->dims[p->dim_count++] = dim;
        }
        bool last = k + 1 == dims->kid_count;
        if (node->kind == NODE_PACKED && !last) {
            lower_unsupported(l, node->span, "packing along another dimension than the last");
            ps->failed = true;
        }
    }
}

// ---- memories

static bool check_argument(Lower *l, const Params *ps, const Param *p, DType dtype)
{
    const Given *g = p->given;
    Span span = ps->binding->site ? ps->binding->site->span : p->node->text_span;
    if (!g->present || !g->known) return true;
    if (g->dtype != dtype) {
        Diag *diag =
            lower_error(l, DIAG_ARG_DTYPE, span, "'%.*s' is %s, %s was given",
                        STR_ARG(p->node->text), dtype_info[dtype].name, dtype_info[g->dtype].name);
        Str type = type_of(p->node)->text;
        if (dtype_find(type) == DTYPE_NONE)
            lower_hint(l, diag,
                       "%.*s is one type for all its tensors, here %s; where they may differ, each "
                       "needs a type parameter of its own",
                       STR_ARG(type), dtype_info[dtype].name);
        return false;
    }
    if (g->rank == p->dim_count) return true;
    lower_error(l, DIAG_ARG_RANK, span, "'%.*s' has %u dimension%s, %u given",
                STR_ARG(p->node->text), p->dim_count, p->dim_count == 1 ? "" : "s", g->rank);
    return false;
}

// What the caller passes on for an absent input: its default, {0}: none.
static Value passed_default(const Params *ps, const Param *p)
{
    const Thing *t = &p->given->thing;
    return ps->binding->inlined && t->kind == THING_TENSOR ? t->tensor->fallback : (Value){0};
}

static bool check_presence(Lower *l, const Params *ps, const Param *p)
{
    if (p->given->present || is_optional(p) || p->is_result || passed_default(ps, p).i) return true;
    Span span = ps->binding->site ? ps->binding->site->span : p->node->text_span;
    lower_error(l, DIAG_ARG_MISSING, span, "argument '%.*s' is missing", STR_ARG(p->node->text));
    return false;
}

static void bind_memory(Lower *l, Params *ps, Param *p)
{
    const Node *node = p->node;
    bool inout = (node->flags & NODE_FLAG_INOUT) != 0;
    DType dtype = lower_type(l, ps->env, type_of(node));
    if (!dtype || !check_argument(l, ps, p, dtype) || !check_presence(l, ps, p)) {
        ps->failed = true;
        return;
    }
    Tensor *t = p->tensor = arena_new(l->arena, Tensor);
    *t = (Tensor){.name = node->text,
                  .dtype = dtype,
                  .rank = (uint8_t)p->dim_count,
                  .writable = inout || p->is_result,
                  .output = p->is_result,
                  .absent = !p->given->present};
    t->fallback = t->absent ? passed_default(ps, p) : (Value){0};
    if (t->absent) return;
    if (ps->binding->inlined) {
        const Tensor *outer = p->given->thing.tensor;
        t->mem = outer->mem;
        memcpy(t->sizes, outer->sizes, sizeof t->sizes);
        return;
    }
    MemInfo info = {.name = node->text,
                    .dtype = dtype,
                    .kind = p->is_result ? MEM_OUT
                            : inout      ? MEM_INOUT
                                         : MEM_IN,
                    .rank = t->rank,
                    .partial = (node->flags & NODE_FLAG_PARTIAL) != 0,
                    .span = node->text_span};
    t->mem = func_mem(l->f, info);
}

// ---- scalars

static Thing scalar_default(Lower *l, Params *ps, const Param *p, DType dtype)
{
    const Node *init = ast_kid(p->node, 2);
    if (!init) return thing_poison();
    Thing t = prologue_scalar(l, ps->env, init, "a default");
    lower_at(l, init);
    const char *what = str_format(l->arena, "'%.*s'", STR_ARG(p->node->text)).data;
    if (t.kind == THING_POISON || !lower_coerce(l, &t, dtype, init->span, what)) {
        ps->failed = true;
        return thing_poison();
    }
    return t;
}

static Value scalar_argument(Lower *l, const Param *p, DType dtype, Thing fallback)
{
    ArgInfo info = {p->node->text, dtype_info[dtype].arith, p->node->text_span};
    vec_push(l->arena, &l->f->args, info);
    Type type = type_scalar(info.dtype);
    bool has_default = fallback.kind == THING_VALUE;
    InstId id = build_inst(&l->b, OP_ARG,
                           (BuildSpec){.args = &fallback.value,
                                       .arg_count = has_default,
                                       .results = &type,
                                       .result_count = 1,
                                       .attr = {.ref = l->f->args.count - 1}});
    Value v = inst_result(inst_at(l->f, id), 0);
    value_at(l->f, v)->name = p->node->text;
    return lower_round(l, v, dtype);
}

// A name that says, where it is used, that it is absent.
Thing absent_scalar(Lower *l, Str name, DType dtype)
{
    Tensor *tensor = arena_new(l->arena, Tensor);
    *tensor = (Tensor){.name = name, .dtype = dtype, .absent = true};
    return (Thing){.kind = THING_TENSOR, .tensor = tensor};
}

static void bind_scalar(Lower *l, Params *ps, const Param *p)
{
    const Node *node = p->node;
    DType dtype = lower_type(l, ps->env, type_of(node));
    if (!dtype) {
        ps->failed = true;
        env_define(l, ps->env, node->text, node->text_span, thing_poison());
        return;
    }
    lower_at(l, node);
    Thing t = thing_poison();
    if (ps->binding->inlined && p->given->present) {
        t = p->given->thing;
        const char *what = str_format(l->arena, "'%.*s'", STR_ARG(node->text)).data;
        if (!lower_coerce(l, &t, dtype, ps->binding->site->span, what))
            t = thing_poison();
        else
            t.value = lower_round(l, t.value, dtype);
    } else {
        Thing fallback = scalar_default(l, ps, p, dtype);
        lower_at(l, node);
        if (p->given->present || (!ps->binding->inlined && !is_optional(p)))
            t = thing_value(scalar_argument(l, p, dtype, fallback));
        else if (fallback.kind == THING_VALUE || ast_kid(node, 2))
            t = fallback;
        else if (check_presence(l, ps, p))
            t = absent_scalar(l, node->text, dtype);
    }
    if (is_optional(p) && t.kind == THING_VALUE)
        t.presence = p->given->present ? PRESENCE_GIVEN : PRESENCE_DEFAULT;
    ps->failed |= t.kind == THING_POISON;
    env_define(l, ps->env, node->text, node->text_span, t);
}

// ---- sizes

static Value size_value(Lower *l, Env *env, const Node *node)
{
    if (node->kind == NODE_PACKED) node = node->kids[0];
    Thing t = prologue_scalar(l, env, node, "a dimension");
    if (t.kind == THING_POISON) return (Value){0};
    int64_t x;
    if (!dtype_is_int(thing_dtype(l, &t))) {
        lower_error(l, DIAG_WRONG_TYPE, node->span, "a dimension must be an integer, this is %s",
                    dtype_text(l, &t));
        return (Value){0};
    }
    if (value_const_int(l->f, t.value, &x) && x < 0) {
        lower_error(l, DIAG_BAD_RANGE, node->span, "a dimension cannot be negative, this is %lld",
                    (long long)x);
        return (Value){0};
    }
    return thing_convert(l, t, DTYPE_I64);
}

static bool split_size(Lower *l, Env *env, const Node *node, Tensor *t, uint32_t d, Value *size)
{
    if (node->kid_count > SPLIT_MAX) {
        lower_error(l, DIAG_RANK, node->span, "a dimension is split into %d parts at most",
                    SPLIT_MAX);
        return false;
    }
    t->part_count[d] = (uint8_t)node->kid_count;
    *size = (Value){0};
    for (uint32_t k = 0; k < node->kid_count; k++) {
        Value part = t->parts[d][k] =
            t->absent ? build_i64(&l->b, 1) : size_value(l, env, node->kids[k]);
        if (!part.i) return false;
        *size = k ? build_op2(&l->b, OP_MUL, *size, part) : part;
    }
    return true;
}

bool tensor_dim_size(Lower *l, Env *env, const Node *node, Tensor *t, uint32_t d, Value *size)
{
    Builder saved = l->b;
    l->b.region = l->f->body;
    l->b.before = l->first_phase;
    lower_at(l, node);
    bool ok = true;
    if (node->kind == NODE_TUPLE)
        ok = split_size(l, env, node, t, d, size);
    else
        *size = t->absent ? (Value){0} : size_value(l, env, node);
    l->b = saved;
    return ok && (size->i || t->absent);
}

bool tensor_shape(Lower *l, Env *env, const Node *dims, Tensor *t)
{
    for (uint32_t k = 0; dims && k < dims->kid_count; k++) {
        const Node *node = dims->kids[k];
        const Name *name = node->kind == NODE_PACK ? env_find(env, node->text) : NULL;
        bool pack = name && name->thing.kind == THING_DIMS;
        uint32_t parts = pack ? name->thing.dims->count : 1;
        if (node->kind == NODE_PACK && !pack) {
            if (!name) lower_unknown(l, env, node, "pack of dimensions");
            return false;
        }
        if (t->rank + parts > RANK_MAX) {
            lower_error(l, DIAG_RANK, dims->span, "'%.*s' has more than %d dimensions",
                        STR_ARG(t->name), RANK_MAX);
            return false;
        }
        for (uint32_t i = 0; i < parts; i++) {
            if (pack)
                t->sizes[t->rank] = name->thing.dims->sizes[i];
            else if (!tensor_dim_size(l, env, node, t, t->rank, &t->sizes[t->rank]))
                return false;
            t->rank++;
        }
    }
    return true;
}

void tensor_declare(Lower *l, const Tensor *t)
{
    Builder saved = l->b;
    l->b.region = l->f->body;
    l->b.before = l->first_phase;
    InstId id =
        build_inst(&l->b, OP_TENSOR,
                   (BuildSpec){.args = t->sizes, .arg_count = t->rank, .attr = {.ref = t->mem.i}});
    mem_at(l->f, t->mem)->decl = id;
    l->b = saved;
}

// The initial value of an output or workspace, and the default of an absent input.
Value tensor_init(Lower *l, Env *env, const Node *init, const Tensor *t)
{
    Thing v = prologue_scalar(l, env, init, "an initial value");
    const char *what = str_format(l->arena, "'%.*s'", STR_ARG(t->name)).data;
    if (v.kind == THING_POISON || !lower_coerce(l, &v, t->dtype, init->span, what))
        return (Value){0};
    return lower_round(l, v.value, t->dtype);
}

// A tensor begins with v: filled by the launch where that is a constant, else by a phase.
void tensor_start(Lower *l, const Tensor *t, Value v)
{
    MemInfo *info = mem_at(l->f, t->mem);
    info->has_init = value_const(l->f, v, &info->init_bits);
    if (!info->has_init) vec_push(l->arena, &l->fills, (Fill){t, v});
}

// An inlined kernel's tensors have sizes already: they must be what its types say.
static void check_sizes(Lower *l, Params *ps, const Param *p, const Value *given)
{
    const Tensor *t = p->tensor;
    for (uint32_t k = 0; k < t->rank; k++) {
        if (!t->sizes[k].i || t->sizes[k].i == given[k].i) continue;
        Str text = str_format(l->arena, "dimension %u of '%.*s' does not fit the kernel '%.*s'", k,
                              STR_ARG(p->node->text), STR_ARG(ps->binding->kernel->text));
        params_require(l, build_op2(&l->b, OP_EQ, t->sizes[k], given[k]), ps->binding->site->span,
                       text);
    }
}

// Whatever the caller's tensor held.
static bool inlined_init(Lower *l, Params *ps, const Param *p, const Node *init)
{
    Value v = tensor_init(l, ps->env, init, p->tensor);
    if (v.i) vec_push(l->arena, &l->fills, (Fill){p->tensor, v});
    return v.i;
}

static void bind_size(Lower *l, Params *ps, Param *p)
{
    Tensor *t = p->tensor;
    Value given[RANK_MAX];
    memcpy(given, t->sizes, sizeof given);
    t->rank = 0;
    lower_at(l, p->node);
    bool ok = true;
    for (uint32_t k = 0; k < p->dim_count; k++) {
        const Dim *dim = &p->dims[k];
        if (dim->node) {
            ok &= tensor_dim_size(l, ps->env, dim->node, t, k, &t->sizes[k]);
        } else {
            Symbol *symbol = symbol_find(ps, dim->name);
            t->sizes[k] = symbol ? symbol->value : (Value){0};
        }
    }
    t->rank = (uint8_t)p->dim_count;
    const Node *init = ast_kid(p->node, 2);
    lower_at(l, p->node);
    if (!t->absent && ok) {
        if (ps->binding->inlined)
            check_sizes(l, ps, p, given);
        else
            tensor_declare(l, t);
    }
    bool plain_input = !p->is_result && !(p->node->flags & NODE_FLAG_INOUT);
    if (init && ok && plain_input) {
        if (!is_optional(p)) {
            lower_error(l, DIAG_MISPLACED, init->span,
                        "only an optional input has a default: '%.*s: ...? = ...'",
                        STR_ARG(t->name));
            ok = false;
        } else if (t->absent && !t->fallback.i) {
            t->fallback = tensor_init(l, ps->env, init, t);
            ok = t->fallback.i;
        }
    } else if (init && ok && !t->absent) {
        if (ps->binding->inlined) {
            ok = inlined_init(l, ps, p, init);
        } else {
            Value v = tensor_init(l, ps->env, init, t);
            ok = v.i;
            if (ok) tensor_start(l, t, v);
        }
    }
    if (ok) return;
    ps->failed = true;
    Name *name = (Name *)env_find(ps->env, t->name);
    if (name) name->thing = thing_poison();
}

// ---- refinements

static bool refine_bound(Lower *l, Params *ps, const Node *node, Value *v)
{
    Thing t = prologue_scalar(l, ps->env, node, "a refinement");
    if (t.kind == THING_POISON) return false;
    if (dtype_is_int(thing_dtype(l, &t))) {
        *v = thing_convert(l, t, DTYPE_I64);
        return true;
    }
    lower_error(l, DIAG_WRONG_TYPE, node->span,
                "a refinement's bound must be an integer, this is %s", dtype_text(l, &t));
    return false;
}

static void refine_scalar(Lower *l, Params *ps, const Param *p, const Value *bounds)
{
    Thing t = env_find(ps->env, p->node->text)->thing;
    if (t.kind != THING_VALUE) return;
    Value v = thing_convert(l, t, DTYPE_I64);
    Value ok = build_op2(&l->b, OP_AND, build_op2(&l->b, OP_LE, bounds[0], v),
                         build_op2(&l->b, OP_LT, v, bounds[1]));
    params_require(l, ok, p->node->text_span,
                   str_format(l->arena, "'%.*s' is out of its range", STR_ARG(p->node->text)));
}

static void bind_refinement(Lower *l, Params *ps, const Param *p, const Node *refine)
{
    static const char *const names[REFINE_KINDS] = {"in", "partition", "permutation", "distinct"};
    Refine kind = 0;
    while (kind + 1 < REFINE_KINDS && !str_is(refine->text, names[kind])) kind++;
    DType dtype = p->tensor ? p->tensor->dtype : lower_type(l, ps->env, type_of(p->node));
    Value bounds[2] = {{0}};
    if (!dtype_is_int(dtype)) {
        lower_error(l, DIAG_WRONG_TYPE, refine->span,
                    "'%.*s' is refined, so it must hold integers, not %s", STR_ARG(p->node->text),
                    dtype_info[dtype].name);
        return;
    }
    if (kind != REFINE_RANGE && (!p->tensor || p->tensor->rank != 1)) {
        lower_error(l, DIAG_RANK, refine->span, "a %s has one dimension", names[kind]);
        return;
    }
    for (uint32_t k = 0; k < refine->kid_count && k < 2; k++) {
        if (!refine_bound(l, ps, refine->kids[k], &bounds[k])) return;
    }
    lower_at(l, refine);
    if (!p->tensor) {
        refine_scalar(l, ps, p, bounds);
        return;
    }
    if (p->tensor->absent) return;
    // A promise is checked at the launch on what the launch brings, for good; else before the call.
    bool brought = mem_at(l->f, p->tensor->mem)->kind == MEM_IN;
    if (ps->binding->inlined && l->repeat_depth && !brought) {
        Diag *diag = lower_error(l, DIAG_MISPLACED, ps->binding->site->span,
                                 "'%.*s' of the kernel '%.*s' makes a promise, but its values may "
                                 "change from turn to turn of this 'serial for'",
                                 STR_ARG(p->node->text), STR_ARG(ps->binding->kernel->text));
        lower_hint(l, diag,
                   "promises are of inputs here; check with assert, and write 'unordered'");
        return;
    }
    if (ps->binding->inlined && p->tensor->writable) return; // not relied upon
    bool conditional = (l->guard.i || l->data_guards.count) && !l->repeat_depth;
    if (ps->binding->inlined && (!brought || conditional))
        lower_promise(l, ps, p->tensor, kind, bounds);
    build_inst(&l->b, OP_REFINE,
               (BuildSpec){.args = bounds,
                           .arg_count = kind == REFINE_RANGE ? 2 : 1,
                           .attr = {.ref = p->tensor->mem.i, .kind = kind}});
}

// ---- all of it, in the order in which things depend on each other

static void add_params(Lower *l, Params *ps, const Node *list, const Given *given, bool results)
{
    for (uint32_t k = 0; list && k < list->kid_count; k++) {
        Param p = {.node = list->kids[k], .given = &given[k], .is_result = results};
        vec_push(l->arena, &ps->list, p);
    }
}

static void bind_where(Lower *l, Params *ps, const Node *where)
{
    for (uint32_t k = 0; where && k < where->kid_count; k++) {
        const Node *setting = where->kids[k];
        lower_at(l, setting);
        Value size = size_value(l, ps->env, setting->kids[0]);
        if (size.i && !value_at(l->f, size)->name.length)
            value_at(l->f, size)->name = setting->text;
        ps->failed |= !size.i;
        env_define(l, ps->env, setting->text, setting->text_span,
                   size.i ? thing_value(size) : thing_poison());
    }
}

bool params_bind(Lower *l, Binding *binding)
{
    Params ps = {.binding = binding, .env = binding->env};
    const Node *kernel = binding->kernel;
    add_params(l, &ps, ast_kid(kernel, 1), binding->params, false);
    add_params(l, &ps, ast_kid(kernel, 2), binding->results, true);
    Param *list = ps.list.data;
    uint32_t count = ps.list.count;
    for (uint32_t k = 0; k < count; k++) pack_rank(l, &ps, &list[k]);
    for (uint32_t k = 0; k < ps.packs.count; k++) {
        if (!ps.packs.data[k].known) ps.packs.data[k].rank = 1;
    }
    for (uint32_t k = 0; k < count; k++) spread_dims(l, &ps, &list[k]);
    for (uint32_t k = 0; k < count; k++) {
        if (!param_is_scalar(&list[k])) bind_memory(l, &ps, &list[k]);
    }
    for (uint32_t k = 0; k < count; k++) {
        if (!list[k].tensor && !param_is_scalar(&list[k])) return false;
    }
    params_bind_dims(l, &ps);
    params_define_dims(l, &ps);
    for (uint32_t k = 0; k < count; k++) {
        Thing thing = {.kind = THING_TENSOR, .tensor = list[k].tensor};
        if (thing.tensor) env_define(l, ps.env, list[k].node->text, list[k].node->text_span, thing);
    }
    for (uint32_t k = 0; k < count; k++) {
        if (param_is_scalar(&list[k])) bind_scalar(l, &ps, &list[k]);
    }
    bind_where(l, &ps, ast_kid(kernel, 3));
    for (uint32_t k = 0; k < count; k++) {
        if (list[k].tensor) bind_size(l, &ps, &list[k]);
    }
    for (uint32_t k = 0; k < count; k++) {
        const Node *refine = ast_kid(list[k].node, 1);
        if (refine) bind_refinement(l, &ps, &list[k], refine);
    }
    return true;
}
