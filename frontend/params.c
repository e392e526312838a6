// Parameters: memories, dimensions, scalar arguments, sizes, refinements: the prologue of a kernel, or the
// binding of an inlined one.
//
// A dimension is found from the size of an argument: size == scale * dim + offset, where plain names go
// first. Every other occurrence is checked at launch, since `tensor` states all sizes.
#include "frontend/lower.h"

#include "ir/eval.h"

typedef struct Symbol {
    Str name;
    Span span;
    Value value; // {0}: not found yet
    bool wanted; // by a tensor that is there
} Symbol;

typedef struct Dim { // one dimension as written; packs are spread
    const Node *node; // NULL: part of a pack
    Str name;         // of that part
    Span span;
} Dim;

typedef struct Param {
    const Node *node;
    const Given *given;
    Tensor *tensor; // NULL: a scalar
    bool is_result;
    uint32_t dim_count;
    Dim dims[RANK_MAX];
} Param;

typedef struct PackInfo {
    Str name;
    Span span;
    uint32_t rank;
    bool known;
} PackInfo;

typedef struct Params {
    Binding *binding;
    Env *env;
    VEC(Param) list;
    VEC(Symbol) symbols;
    VEC(PackInfo) packs;
    bool failed;
} Params;

static const Node *type_of(const Node *param)
{
    return param->kids[0];
}

static const Node *dims_of(const Node *type)
{
    const Node *last = type->kid_count ? type->kids[type->kid_count - 1] : NULL;
    return last && last->kind == NODE_DIMS ? last : NULL;
}

static bool is_scalar(const Param *p)
{
    return !p->is_result && !(p->node->flags & NODE_FLAG_INOUT) && !(type_of(p->node)->flags & NODE_FLAG_HAS_DIMS);
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
        if (dims->kids[k]->kind != NODE_PACK) plain++;
        else if (pack) {
            lower_error(l, DIAG_RANK, dims->kids[k]->span, "a type has one pack of dimensions at most");
            ps->failed = true;
        } else pack = dims->kids[k];
    }
    if (!pack) return;
    PackInfo *info = pack_find(l, ps, pack);
    if (!p->given->present || !p->given->known) return;
    if (p->given->rank < plain || (info->known && info->rank != p->given->rank - plain)) {
        lower_error(l, DIAG_ARG_RANK, p->node->text_span, "'%.*s' has %u dimensions, %s%u expected", STR_ARG(p->node->text),
                    p->given->rank, info->known ? "" : "at least ", plain + (info->known ? info->rank : 0));
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
                lower_error(l, DIAG_RANK, dims->span, "'%.*s' has more than %d dimensions", STR_ARG(p->node->text), RANK_MAX);
                ps->failed = true;
                return;
            }
            Dim dim = {.node = pack ? NULL : node, .span = node->span};
            if (pack) dim.name = parts == 1 ? pack->name : str_format(l->arena, "%.*s_%u", STR_ARG(pack->name), i);
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

static bool check_argument(Lower *l, const Param *p, DType dtype)
{
    const Given *g = p->given;
    if (!g->present || !g->known) return true;
    if (g->dtype != dtype) {
        lower_error(l, DIAG_ARG_DTYPE, p->node->text_span, "'%.*s' is %s, %s was given", STR_ARG(p->node->text),
                    dtype_info[dtype].name, dtype_info[g->dtype].name);
        return false;
    }
    if (g->rank == p->dim_count) return true;
    lower_error(l, DIAG_ARG_RANK, p->node->text_span, "'%.*s' has %u dimension%s, %u given", STR_ARG(p->node->text),
                p->dim_count, p->dim_count == 1 ? "" : "s", g->rank);
    return false;
}

static bool check_presence(Lower *l, const Params *ps, const Param *p)
{
    if (p->given->present || is_optional(p) || p->is_result) return true;
    Span span = ps->binding->site ? ps->binding->site->span : p->node->text_span;
    lower_error(l, DIAG_ARG_MISSING, span, "argument '%.*s' is missing", STR_ARG(p->node->text));
    return false;
}

static void bind_memory(Lower *l, Params *ps, Param *p)
{
    const Node *node = p->node;
    bool inout = (node->flags & NODE_FLAG_INOUT) != 0;
    DType dtype = lower_type(l, ps->env, type_of(node));
    if (!dtype || !check_argument(l, p, dtype) || !check_presence(l, ps, p)) {
        ps->failed = true;
        return;
    }
    Tensor *t = p->tensor = arena_new(l->arena, Tensor);
    *t = (Tensor){.name = node->text, .dtype = dtype, .rank = (uint8_t)p->dim_count, .writable = inout || p->is_result,
                  .output = p->is_result, .absent = !p->given->present};
    if (t->absent) return;
    if (ps->binding->inlined) {
        const Tensor *outer = p->given->thing.tensor;
        t->mem = outer->mem;
        memcpy(t->sizes, outer->sizes, sizeof t->sizes);
        return;
    }
    MemInfo info = {.name = node->text, .dtype = dtype, .kind = p->is_result ? MEM_OUT : inout ? MEM_INOUT : MEM_IN,
                    .rank = t->rank, .partial = (node->flags & NODE_FLAG_PARTIAL) != 0, .span = node->text_span};
    t->mem = func_mem(l->f, info);
}

// ---- dimensions

static Symbol *symbol_find(Params *ps, Str name)
{
    for (uint32_t k = 0; k < ps->symbols.count; k++) {
        if (str_equal(ps->symbols.data[k].name, name)) return &ps->symbols.data[k];
    }
    return NULL;
}

// Names that something else than a tensor's size gives: constants, scalar arguments, `where`.
static bool known_otherwise(const Params *ps, Str name)
{
    const Name *found = env_find(ps->env, name);
    ThingKind kind = found ? found->thing.kind : THING_POISON;
    if (found && (kind == THING_VALUE || kind == THING_DEFERRED || kind == THING_POISON)) return true;
    for (uint32_t k = 0; k < ps->list.count; k++) {
        const Param *p = &ps->list.data[k];
        if (is_scalar(p) && str_equal(p->node->text, name)) return true;
    }
    const Node *where = ast_kid(ps->binding->kernel, 3);
    for (uint32_t k = 0; where && k < where->kid_count; k++) {
        if (str_equal(where->kids[k]->text, name)) return true;
    }
    return false;
}

static void symbol_add(Lower *l, Params *ps, Str name, Span span, bool wanted)
{
    Symbol *old = symbol_find(ps, name);
    if (old) old->wanted |= wanted;
    else vec_push(l->arena, &ps->symbols, (Symbol){.name = name, .span = span, .wanted = wanted});
}

static void collect(Lower *l, Params *ps, const Node *node, bool wanted)
{
    if (!node) return;
    if (node->kind == NODE_NAME) {
        if (!known_otherwise(ps, node->text)) symbol_add(l, ps, node->text, node->span, wanted);
        return;
    }
    for (uint32_t k = node->kind == NODE_CALL ? 1 : 0; k < node->kid_count; k++) collect(l, ps, node->kids[k], wanted);
}

typedef struct Linear { // scale * symbol + offset
    bool ok;
    Symbol *symbol;
    int64_t scale, offset;
} Linear;

static Linear linear(Lower *l, Params *ps, const Node *node);

static Linear linear_product(Lower *l, Params *ps, Node *const *kids, uint32_t count)
{
    Linear all = {.ok = true, .offset = 1};
    for (uint32_t k = 0; k < count; k++) {
        Linear a = linear(l, ps, kids[k]);
        const Linear *factor = a.symbol ? &all : &a; // the one without symbol
        const Linear *other = a.symbol ? &a : &all;
        if (!a.ok || (a.symbol && all.symbol)) return (Linear){0};
        Linear product = {.ok = true, .symbol = other->symbol};
        if (__builtin_mul_overflow(other->scale, factor->offset, &product.scale)
            || __builtin_mul_overflow(other->offset, factor->offset, &product.offset))
            return (Linear){0};
        all = product;
    }
    return all;
}

static Linear linear_sum(Linear a, Linear b, int64_t sign)
{
    if (!a.ok || !b.ok || (a.symbol && b.symbol)) return (Linear){0};
    Linear sum = {.ok = true, .symbol = a.symbol ? a.symbol : b.symbol};
    int64_t scale, offset;
    bool overflow = __builtin_mul_overflow(b.scale, sign, &scale) | __builtin_mul_overflow(b.offset, sign, &offset);
    overflow |= __builtin_add_overflow(a.scale, scale, &sum.scale);
    overflow |= __builtin_add_overflow(a.offset, offset, &sum.offset);
    return overflow ? (Linear){0} : sum;
}

static Linear linear_name(Lower *l, Params *ps, const Node *node)
{
    Symbol *symbol = symbol_find(ps, node->text);
    if (symbol) return (Linear){!symbol->value.i, symbol, 1, 0};
    const Name *name = env_find(ps->env, node->text);
    if (!name) return (Linear){0};
    int64_t x;
    Thing t = thing_resolve(l, ps->env, name, node);
    if (t.kind != THING_VALUE || !value_const_int(l->f, t.value, &x)) return (Linear){0};
    return (Linear){true, NULL, 0, x};
}

// Not ok: no form with one unknown and constants around it.
static Linear linear(Lower *l, Params *ps, const Node *node)
{
    switch ((unsigned)node->kind) {
    case NODE_INT: return (Linear){true, NULL, 0, node->integer};
    case NODE_NAME: return linear_name(l, ps, node);
    case NODE_PACKED: return linear(l, ps, node->kids[0]);
    case NODE_TUPLE: return linear_product(l, ps, node->kids, node->kid_count);
    case NODE_BINARY:
        if (node->op == BINARY_MUL) return linear_product(l, ps, node->kids, 2);
        if (node->op == BINARY_ADD || node->op == BINARY_SUB)
            return linear_sum(linear(l, ps, node->kids[0]), linear(l, ps, node->kids[1]), node->op == BINARY_ADD ? 1 : -1);
    }
    return (Linear){0};
}

static void require_that(Lower *l, Value ok, Span span, Str message)
{
    uint64_t known;
    if (value_const(l->f, ok, &known)) {
        if (!known) lower_error(l, DIAG_SHAPE_MISMATCH, span, "%.*s", STR_ARG(message));
        return;
    }
    SiteInfo site = {.kind = SITE_REQUIRE, .span = span, .message = message};
    build_inst(&l->b, OP_REQUIRE, (BuildSpec){.args = &ok, .arg_count = 1, .attr = {.ref = func_site(l->f, site)}});
}

static void symbol_bind(Lower *l, Params *ps, Symbol *symbol, const Param *p, uint32_t position, int64_t scale, int64_t offset)
{
    Type i64 = type_scalar(DTYPE_I64);
    if (!ps->binding->inlined) {
        DimInfo info = {symbol->name, p->tensor->mem, position, scale, offset, symbol->span};
        vec_push(l->arena, &l->f->dims, info);
        InstId id = build_inst(&l->b, OP_DIM, (BuildSpec){.results = &i64, .result_count = 1,
                                                          .attr = {.ref = l->f->dims.count - 1}});
        symbol->value = inst_result(inst_at(l->f, id), 0);
        value_at(l->f, symbol->value)->name = symbol->name;
        return;
    }
    Value rest = build_op2(&l->b, OP_SUB, p->tensor->sizes[position], build_i64(&l->b, offset));
    symbol->value = build_op2(&l->b, OP_DIV, rest, build_i64(&l->b, scale));
    Value back = build_op2(&l->b, OP_MUL, symbol->value, build_i64(&l->b, scale));
    if (scale != 1)
        require_that(l, build_op2(&l->b, OP_EQ, back, rest), ps->binding->site->span,
                     str_format(l->arena, "dimension %u of '%.*s' does not divide", position, STR_ARG(p->node->text)));
}

static bool bind_dim(Lower *l, Params *ps, const Param *p, uint32_t k, bool plain_only)
{
    const Dim *dim = &p->dims[k];
    l->b.span = dim->span;
    if (!dim->node) {
        Symbol *symbol = symbol_find(ps, dim->name);
        if (symbol->value.i) return false;
        symbol_bind(l, ps, symbol, p, k, 1, 0);
        return true;
    }
    if (plain_only && dim->node->kind != NODE_NAME) return false;
    Linear form = linear(l, ps, dim->node);
    if (!form.ok || !form.symbol || form.scale <= 0) return false;
    symbol_bind(l, ps, form.symbol, p, k, form.scale, form.offset);
    return true;
}

static void bind_dims(Lower *l, Params *ps)
{
    for (uint32_t k = 0; k < ps->list.count; k++) {
        const Param *p = &ps->list.data[k];
        if (!p->tensor) continue;
        for (uint32_t i = 0; i < p->dim_count; i++) {
            const Dim *dim = &p->dims[i];
            if (dim->node) collect(l, ps, dim->node, !p->tensor->absent);
            else symbol_add(l, ps, dim->name, dim->span, !p->tensor->absent);
        }
    }
    for (bool plain = true, more = true; more; plain = false) {
        more = plain; // names alone first; then the rest, until nothing changes
        for (uint32_t k = 0; k < ps->list.count; k++) {
            const Param *p = &ps->list.data[k];
            if (!p->tensor || p->tensor->absent || p->is_result) continue;
            for (uint32_t i = 0; i < p->dim_count; i++) more |= bind_dim(l, ps, p, i, plain);
        }
    }
}

static void report_unknown_dims(Lower *l, Params *ps)
{
    for (uint32_t k = 0; k < ps->symbols.count; k++) {
        const Symbol *s = &ps->symbols.data[k];
        if (s->value.i) continue;
        if (s->wanted) {
            bool only = true;
            for (uint32_t i = 0; i < ps->list.count; i++) {
                const Param *p = &ps->list.data[i];
                for (uint32_t j = 0; p->tensor && !p->is_result && j < p->dim_count; j++)
                    if (p->dims[j].node && p->dims[j].node->kind != NODE_NAME) only = false;
            }
            Diag *diag = lower_error(l, DIAG_DIM_UNDETERMINED, s->span, "no argument determines the dimension '%.*s'", STR_ARG(s->name));
            lower_hint(l, diag, only ? "make it a scalar argument (%.*s: i64), or a constant (<%.*s: i64>)"
                                     : "a size that is c * %.*s + d, with constants c and d, does; or make it a scalar argument, %.*s: i64",
                       STR_ARG(s->name), STR_ARG(s->name));
            ps->failed = true;
        }
        if (!env_find(ps->env, s->name)) env_define(l, ps->env, s->name, s->span, thing_poison());
    }
}

static void define_dims(Lower *l, Params *ps)
{
    report_unknown_dims(l, ps);
    for (uint32_t k = 0; k < ps->packs.count; k++) {
        const PackInfo *pack = &ps->packs.data[k];
        Dims *dims = arena_new(l->arena, Dims);
        dims->count = pack->rank;
        for (uint32_t i = 0; i < pack->rank && i < RANK_MAX; i++) {
            Str name = pack->rank == 1 ? pack->name : str_format(l->arena, "%.*s_%u", STR_ARG(pack->name), i);
            Symbol *symbol = symbol_find(ps, name);
            dims->names[i] = name;
            dims->sizes[i] = symbol && symbol->value.i ? symbol->value : build_i64(&l->b, 1);
        }
        env_define(l, ps->env, pack->name, pack->span, (Thing){.kind = THING_DIMS, .dims = dims});
    }
    for (uint32_t k = 0; k < ps->symbols.count; k++) {
        const Symbol *s = &ps->symbols.data[k];
        bool of_pack = false;
        for (uint32_t i = 0; i < ps->list.count; i++) {
            const Param *p = &ps->list.data[i];
            for (uint32_t j = 0; j < p->dim_count; j++) of_pack |= !p->dims[j].node && str_equal(p->dims[j].name, s->name);
        }
        if (s->value.i && !of_pack) env_define(l, ps->env, s->name, s->span, thing_value(s->value));
    }
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
    InstId id = build_inst(&l->b, OP_ARG, (BuildSpec){.args = &fallback.value, .arg_count = has_default, .results = &type,
                                                      .result_count = 1, .attr = {.ref = l->f->args.count - 1}});
    Value v = inst_result(inst_at(l->f, id), 0);
    value_at(l->f, v)->name = p->node->text;
    return lower_round(l, v, dtype);
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
        if (!lower_coerce(l, &t, dtype, ps->binding->site->span, what)) t = thing_poison();
        else t.value = lower_round(l, t.value, dtype);
    } else {
        Thing fallback = scalar_default(l, ps, p, dtype);
        lower_at(l, node);
        if (ps->binding->inlined) {
            t = fallback;
            if (t.kind == THING_POISON && !ast_kid(node, 2)) check_presence(l, ps, p);
        } else if (is_optional(p) && fallback.kind != THING_VALUE) {
            lower_unsupported(l, type_of(node)->span, "an optional scalar without a default");
        } else {
            t = thing_value(scalar_argument(l, p, dtype, fallback));
        }
    }
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
        lower_error(l, DIAG_WRONG_TYPE, node->span, "a dimension must be an integer, this is %s", dtype_text(l, &t));
        return (Value){0};
    }
    if (value_const_int(l->f, t.value, &x) && x < 0) {
        lower_error(l, DIAG_BAD_RANGE, node->span, "a dimension cannot be negative, this is %lld", (long long)x);
        return (Value){0};
    }
    return thing_convert(l, t, DTYPE_I64);
}

static bool split_size(Lower *l, Env *env, const Node *node, Tensor *t, uint32_t d, Value *size)
{
    if (node->kid_count > SPLIT_MAX) {
        lower_error(l, DIAG_RANK, node->span, "a dimension is split into %d parts at most", SPLIT_MAX);
        return false;
    }
    t->part_count[d] = (uint8_t)node->kid_count;
    *size = (Value){0};
    for (uint32_t k = 0; k < node->kid_count; k++) {
        Value part = t->parts[d][k] = t->absent ? build_i64(&l->b, 1) : size_value(l, env, node->kids[k]);
        if (!part.i) return false;
        *size = k ? build_op2(&l->b, OP_MUL, *size, part) : part;
    }
    return true;
}

static bool dim_size(Lower *l, Env *env, const Node *node, Tensor *t, uint32_t d, Value *size)
{
    Builder saved = l->b;
    l->b.region = l->f->body;
    l->b.before = l->first_phase;
    lower_at(l, node);
    bool ok = true;
    if (node->kind == NODE_TUPLE) ok = split_size(l, env, node, t, d, size);
    else *size = t->absent ? (Value){0} : size_value(l, env, node);
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
            lower_error(l, DIAG_RANK, dims->span, "'%.*s' has more than %d dimensions", STR_ARG(t->name), RANK_MAX);
            return false;
        }
        for (uint32_t i = 0; i < parts; i++) {
            if (pack) t->sizes[t->rank] = name->thing.dims->sizes[i];
            else if (!dim_size(l, env, node, t, t->rank, &t->sizes[t->rank])) return false;
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
    InstId id = build_inst(&l->b, OP_TENSOR, (BuildSpec){.args = t->sizes, .arg_count = t->rank, .attr = {.ref = t->mem.i}});
    mem_at(l->f, t->mem)->decl = id;
    l->b = saved;
}

// The initial value of an output or workspace, and the default of an absent input.
bool tensor_init(Lower *l, Env *env, const Node *init, const Tensor *t, MemInfo *info)
{
    Thing v = prologue_scalar(l, env, init, "an initial value");
    const char *what = str_format(l->arena, "'%.*s'", STR_ARG(t->name)).data;
    if (v.kind == THING_POISON || !lower_coerce(l, &v, t->dtype, init->span, what)) return false;
    Value rounded = lower_round(l, v.value, t->dtype);
    if (!value_const(l->f, rounded, &info->init_bits)) {
        lower_unsupported(l, init->span, "an initial value that is not known at compile time");
        return false;
    }
    info->has_init = true;
    return true;
}

// An inlined kernel's tensors have sizes already: they must be what its types say.
static void check_sizes(Lower *l, Params *ps, const Param *p, const Value *given)
{
    const Tensor *t = p->tensor;
    for (uint32_t k = 0; k < t->rank; k++) {
        if (!t->sizes[k].i || t->sizes[k].i == given[k].i) continue;
        Str text = str_format(l->arena, "dimension %u of '%.*s' does not fit the kernel '%.*s'", k, STR_ARG(p->node->text),
                              STR_ARG(ps->binding->kernel->text));
        require_that(l, build_op2(&l->b, OP_EQ, t->sizes[k], given[k]), ps->binding->site->span, text);
    }
}

static bool inlined_init(Lower *l, Params *ps, const Param *p, const Node *init)
{
    MemInfo *info = mem_at(l->f, p->tensor->mem);
    if (info->has_init || l->phase || info->kind == MEM_INOUT) {
        lower_unsupported(l, ps->binding->site->span, "a called kernel whose output starts at a value");
        return false;
    }
    MemInfo filled = *info;
    bool ok = tensor_init(l, ps->env, init, p->tensor, &filled);
    *mem_at(l->f, p->tensor->mem) = filled;
    return ok;
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
            ok &= dim_size(l, ps->env, dim->node, t, k, &t->sizes[k]);
        } else {
            Symbol *symbol = symbol_find(ps, dim->name);
            t->sizes[k] = symbol ? symbol->value : (Value){0};
        }
    }
    t->rank = (uint8_t)p->dim_count;
    const Node *init = ast_kid(p->node, 2);
    lower_at(l, p->node);
    if (!t->absent && ok) {
        if (ps->binding->inlined) check_sizes(l, ps, p, given);
        else tensor_declare(l, t);
    }
    bool plain_input = !p->is_result && !(p->node->flags & NODE_FLAG_INOUT);
    if (init && ok && plain_input) {
        MemInfo unused = {0};
        if (!is_optional(p)) {
            lower_error(l, DIAG_MISPLACED, init->span, "only an optional input has a default: '%.*s: ...? = ...'", STR_ARG(t->name));
            ok = false;
        } else if (t->absent) {
            ok = tensor_init(l, ps->env, init, t, &unused);
            if (ok) t->fallback = build_bits(&l->b, type_scalar(dtype_info[t->dtype].arith), unused.init_bits);
        }
    } else if (init && ok && !t->absent) {
        if (ps->binding->inlined) {
            ok = inlined_init(l, ps, p, init);
        } else {
            MemInfo info = *mem_at(l->f, t->mem);
            ok = tensor_init(l, ps->env, init, t, &info);
            *mem_at(l->f, t->mem) = info;
        }
    }
    ps->failed |= !ok;
    env_define(l, ps->env, t->name, p->node->text_span, (Thing){.kind = THING_TENSOR, .tensor = t});
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
    lower_error(l, DIAG_WRONG_TYPE, node->span, "a refinement's bound must be an integer, this is %s", dtype_text(l, &t));
    return false;
}

static void refine_scalar(Lower *l, Params *ps, const Param *p, const Value *bounds)
{
    Thing t = env_find(ps->env, p->node->text)->thing;
    if (t.kind != THING_VALUE) return;
    Value v = thing_convert(l, t, DTYPE_I64);
    Value ok = build_op2(&l->b, OP_AND, build_op2(&l->b, OP_LE, bounds[0], v), build_op2(&l->b, OP_LT, v, bounds[1]));
    require_that(l, ok, p->node->text_span, str_format(l->arena, "'%.*s' is out of its range", STR_ARG(p->node->text)));
}

static void bind_refinement(Lower *l, Params *ps, const Param *p, const Node *refine)
{
    static const char *const names[REFINE_KINDS] = {"in", "partition", "permutation", "distinct"};
    Refine kind = 0;
    while (kind + 1 < REFINE_KINDS && !str_is(refine->text, names[kind])) kind++;
    DType dtype = p->tensor ? p->tensor->dtype : lower_type(l, ps->env, type_of(p->node));
    Value bounds[2] = {{0}};
    if (!dtype_is_int(dtype)) {
        lower_error(l, DIAG_WRONG_TYPE, refine->span, "'%.*s' is refined, so it must hold integers, not %s",
                    STR_ARG(p->node->text), dtype_info[dtype].name);
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
    if (ps->binding->inlined) {
        lower_unsupported(l, ps->binding->site->span, "a called kernel with refined arguments");
        return;
    }
    build_inst(&l->b, OP_REFINE, (BuildSpec){.args = bounds, .arg_count = kind == REFINE_RANGE ? 2 : 1,
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
        if (size.i && !value_at(l->f, size)->name.length) value_at(l->f, size)->name = setting->text;
        ps->failed |= !size.i;
        env_define(l, ps->env, setting->text, setting->text_span, size.i ? thing_value(size) : thing_poison());
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
        if (!is_scalar(&list[k])) bind_memory(l, &ps, &list[k]);
    }
    for (uint32_t k = 0; k < count; k++) {
        if (!list[k].tensor && !is_scalar(&list[k])) return false;
    }
    bind_dims(l, &ps);
    define_dims(l, &ps);
    for (uint32_t k = 0; k < count; k++) {
        if (is_scalar(&list[k])) bind_scalar(l, &ps, &list[k]);
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
