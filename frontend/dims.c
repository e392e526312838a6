// The dimensions of a kernel.
//
// One is found from the size of an argument, size == scale * dim + offset: plain names go first,
// then constant scales and offsets, then those made of dimensions found before, which the launch
// solves. Every other occurrence is checked at launch, since `tensor` states all sizes.
#include "frontend/params.h"

Symbol *symbol_find(Params *ps, Str name)
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
    if (found && (kind == THING_VALUE || kind == THING_DEFERRED || kind == THING_POISON))
        return true;
    for (uint32_t k = 0; k < ps->list.count; k++) {
        const Param *p = &ps->list.data[k];
        if (param_is_scalar(p) && str_equal(p->node->text, name)) return true;
    }
    const Node *where = ast_kid(ps->binding->kernel, 3);
    for (uint32_t k = 0; where && k < where->kid_count; k++) {
        if (str_equal(where->kids[k]->text, name)) return true;
    }
    return false;
}

static void symbol_add(Lower *l, Params *ps, Str name, Span span, const Tensor *of)
{
    Symbol *old = symbol_find(ps, name);
    Symbol new = {.name = name, .span = span, .wanted = !of->absent, .absent = of->name};
    if (old)
        old->wanted |= new.wanted;
    else
        vec_push(l->arena, &ps->symbols, new);
}

static void collect(Lower *l, Params *ps, const Node *node, const Tensor *of)
{
    if (!node) return;
    if (node->kind == NODE_NAME) {
        if (!known_otherwise(ps, node->text)) symbol_add(l, ps, node->text, node->span, of);
        return;
    }
    if (node->kind == NODE_SUBSCRIPT) return; // no dimension: size_value says so
    for (uint32_t k = node->kind == NODE_CALL ? 1 : 0; k < node->kid_count; k++)
        collect(l, ps, node->kids[k], of);
}

typedef struct Linear { // scale * symbol + offset
    bool ok;
    bool solved; // scale and offset follow from known dimensions
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
        bool solved = all.solved || a.solved;
        Linear product = {.ok = true, .solved = solved, .symbol = other->symbol};
        if (__builtin_mul_overflow(other->scale, factor->offset, &product.scale) ||
            __builtin_mul_overflow(other->offset, factor->offset, &product.offset))
            return (Linear){0};
        all = product;
    }
    return all;
}

static Linear linear_sum(Linear a, Linear b, int64_t sign)
{
    if (!a.ok || !b.ok || (a.symbol && b.symbol)) return (Linear){0};
    Symbol *symbol = a.symbol ? a.symbol : b.symbol;
    Linear sum = {.ok = true, .solved = a.solved || b.solved, .symbol = symbol};
    int64_t scale, offset;
    bool overflow = __builtin_mul_overflow(b.scale, sign, &scale) |
                    __builtin_mul_overflow(b.offset, sign, &offset);
    overflow |= __builtin_add_overflow(a.scale, scale, &sum.scale);
    overflow |= __builtin_add_overflow(a.offset, offset, &sum.offset);
    return overflow ? (Linear){0} : sum;
}

static Linear linear_name(Lower *l, Params *ps, const Node *node)
{
    Symbol *symbol = symbol_find(ps, node->text);
    if (symbol && symbol->value.i) return (Linear){.ok = true, .solved = true};
    if (symbol) return (Linear){.ok = true, .symbol = symbol, .scale = 1};
    for (uint32_t k = 0; k < ps->list.count && !ps->binding->inlined; k++) {
        const Param *p = &ps->list.data[k];
        if (param_is_scalar(p) && str_equal(p->node->text, node->text))
            return (Linear){.ok = true, .solved = true};
    }
    const Name *name = env_find(ps->env, node->text);
    if (!name) return (Linear){0};
    int64_t x;
    Thing t = thing_resolve(l, ps->env, name, node);
    if (t.kind != THING_VALUE || !value_const_int(l->f, t.value, &x)) return (Linear){0};
    return (Linear){.ok = true, .offset = x};
}

// Of known dimensions and constants only: a coefficient, whatever its form.
static Linear linear_known(Lower *l, Params *ps, const Node *node)
{
    for (uint32_t k = node->kind == NODE_CALL ? 1 : 0; k < node->kid_count; k++) {
        Linear part = linear(l, ps, node->kids[k]);
        if (!part.ok || part.symbol) return (Linear){0};
    }
    return (Linear){.ok = true, .solved = true};
}

// Not ok: no form with one unknown and what is known around it.
static Linear linear(Lower *l, Params *ps, const Node *node)
{
    switch ((unsigned)node->kind) {
    case NODE_INT: return (Linear){.ok = true, .offset = node->integer};
    case NODE_NAME: return linear_name(l, ps, node);
    case NODE_PACKED: return linear(l, ps, node->kids[0]);
    case NODE_TUPLE: return linear_product(l, ps, node->kids, node->kid_count);
    case NODE_BINARY:
        if (node->op == BINARY_MUL) return linear_product(l, ps, node->kids, 2);
        if (node->op == BINARY_ADD || node->op == BINARY_SUB)
            return linear_sum(linear(l, ps, node->kids[0]), linear(l, ps, node->kids[1]),
                              node->op == BINARY_ADD ? 1 : -1);
        return linear_known(l, ps, node);
    case NODE_CALL: return linear_known(l, ps, node);
    }
    return (Linear){0};
}

// The size of dimension k of p, if `symbol` were x.
static Value size_if(Lower *l, Params *ps, const Param *p, uint32_t k, const Symbol *symbol,
                     int64_t x)
{
    Env *env = env_new(l, ps->env, false);
    for (uint32_t i = 0; i < ps->symbols.count; i++) {
        const Symbol *s = &ps->symbols.data[i];
        Value value = s == symbol ? build_i64(&l->b, x) : s->value;
        if (value.i) env_define(l, env, s->name, s->span, thing_value(value));
    }
    Value size = {0};
    Tensor scrap = {0};
    tensor_dim_size(l, env, p->dims[k].node, &scrap, k, &size);
    return size;
}

// A caller's dimension may be split as this one is, with the same other part: then it tells.
static Value part_of_caller(Params *ps, const Param *p, uint32_t k, const Symbol *symbol)
{
    const Node *split = p->dims[k].node;
    const Tensor *outer = p->given->thing.tensor;
    Value found = {0};
    if (split->kind != NODE_TUPLE || outer->part_count[k] != split->kid_count) return found;
    for (uint32_t i = 0; i < split->kid_count; i++) {
        const Node *part = split->kids[i];
        const Symbol *s = part->kind == NODE_NAME ? symbol_find(ps, part->text) : NULL;
        if (!s || (s != symbol && s->value.i != outer->parts[k][i].i)) return (Value){0};
        if (s == symbol) found = outer->parts[k][i];
    }
    return found;
}

static void symbol_bind_inlined(Lower *l, Params *ps, Symbol *symbol, const Param *p, uint32_t k,
                                Linear form)
{
    Value offset = build_i64(&l->b, form.offset), scale = build_i64(&l->b, form.scale);
    symbol->value = form.solved ? part_of_caller(ps, p, k, symbol) : (Value){0};
    if (symbol->value.i) return;
    if (form.solved) {
        offset = size_if(l, ps, p, k, symbol, 0);
        Value one = size_if(l, ps, p, k, symbol, 1);
        if (!offset.i || !one.i) return;
        scale = build_op2(&l->b, OP_SUB, one, offset);
    }
    Value rest = build_op2(&l->b, OP_SUB, p->tensor->sizes[k], offset);
    symbol->value = build_op2(&l->b, OP_DIV, rest, scale);
    Value back = build_op2(&l->b, OP_MUL, symbol->value, scale);
    if (form.solved || form.scale != 1)
        params_require(l, build_op2(&l->b, OP_EQ, back, rest), ps->binding->site->span,
                       str_format(l->arena, "dimension %u of '%.*s' does not divide", k,
                                  STR_ARG(p->node->text)));
}

static void symbol_bind(Lower *l, Params *ps, Symbol *symbol, const Param *p, uint32_t k,
                        Linear form)
{
    if (ps->binding->inlined) {
        symbol_bind_inlined(l, ps, symbol, p, k, form);
        return;
    }
    Type i64 = type_scalar(DTYPE_I64);
    DimInfo info = {symbol->name, p->tensor->mem, k, form.scale, form.offset, symbol->span};
    if (form.solved) info.scale = info.offset = 0;
    vec_push(l->arena, &l->f->dims, info);
    BuildSpec spec = {.results = &i64, .result_count = 1, .attr = {.ref = l->f->dims.count - 1}};
    symbol->value = inst_result(inst_at(l->f, build_inst(&l->b, OP_DIM, spec)), 0);
    value_at(l->f, symbol->value)->name = symbol->name;
}

typedef enum BindLevel { BIND_PLAIN, BIND_CONSTANT, BIND_SOLVED, BIND_LEVELS } BindLevel;

static bool bind_dim(Lower *l, Params *ps, const Param *p, uint32_t k, BindLevel level)
{
    const Dim *dim = &p->dims[k];
    l->b.span = dim->span;
    if (!dim->node) {
        Symbol *symbol = symbol_find(ps, dim->name);
        if (symbol->value.i) return false;
        symbol_bind(l, ps, symbol, p, k, (Linear){.symbol = symbol, .scale = 1});
        return true;
    }
    if (level == BIND_PLAIN && dim->node->kind != NODE_NAME) return false;
    Linear form = linear(l, ps, dim->node);
    if (!form.ok || !form.symbol) return false;
    if (form.solved ? level < BIND_SOLVED : form.scale <= 0) return false;
    symbol_bind(l, ps, form.symbol, p, k, form);
    return form.symbol->value.i != 0;
}

static bool bind_dims(Lower *l, Params *ps, BindLevel level)
{
    bool any = false;
    for (uint32_t k = 0; k < ps->list.count; k++) {
        const Param *p = &ps->list.data[k];
        if (!p->tensor || p->tensor->absent || p->is_result) continue;
        for (uint32_t i = 0; i < p->dim_count; i++) any |= bind_dim(l, ps, p, i, level);
    }
    return any;
}

void params_bind_dims(Lower *l, Params *ps)
{
    for (uint32_t k = 0; k < ps->list.count; k++) {
        const Param *p = &ps->list.data[k];
        if (!p->tensor) continue;
        for (uint32_t i = 0; i < p->dim_count; i++) {
            const Dim *dim = &p->dims[i];
            if (dim->node)
                collect(l, ps, dim->node, p->tensor);
            else
                symbol_add(l, ps, dim->name, dim->span, p->tensor);
        }
    }
    bind_dims(l, ps, BIND_PLAIN);
    for (BindLevel level = BIND_CONSTANT; level < BIND_LEVELS;)
        level = bind_dims(l, ps, level) ? BIND_CONSTANT : level + 1;
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
            Diag *diag =
                lower_error(l, DIAG_DIM_UNDETERMINED, s->span,
                            "no argument determines the dimension '%.*s'", STR_ARG(s->name));
            lower_hint(l, diag,
                       only ? "make it a scalar argument (%.*s: i64), or a constant (<%.*s: i64>)"
                            : "make it a constant, <%.*s: i64 = 1>, or a scalar argument, %.*s: "
                              "i64; or a size c * %.*s + d does, where c and d are known otherwise",
                       STR_ARG(s->name), STR_ARG(s->name), STR_ARG(s->name));
            ps->failed = true;
        }
        if (env_find(ps->env, s->name)) continue;
        // A size of what is absent is as absent.
        Thing size = s->wanted ? thing_poison() : absent_scalar(l, s->absent, DTYPE_I64);
        env_define(l, ps->env, s->name, s->span, size);
    }
}

void params_define_dims(Lower *l, Params *ps)
{
    report_unknown_dims(l, ps);
    for (uint32_t k = 0; k < ps->packs.count; k++) {
        const PackInfo *pack = &ps->packs.data[k];
        Dims *dims = arena_new(l->arena, Dims);
        dims->count = pack->rank;
        for (uint32_t i = 0; i < pack->rank && i < RANK_MAX; i++) {
            Str name = pack->rank == 1 ? pack->name
                                       : str_format(l->arena, "%.*s_%u", STR_ARG(pack->name), i);
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
            for (uint32_t j = 0; j < p->dim_count; j++)
                of_pack |= !p->dims[j].node && str_equal(p->dims[j].name, s->name);
        }
        if (s->value.i && !of_pack) env_define(l, ps->env, s->name, s->span, thing_value(s->value));
    }
}

void params_require(Lower *l, Value ok, Span span, Str message)
{
    uint64_t known;
    if (value_const(l->f, ok, &known)) {
        if (!known) lower_error(l, DIAG_SHAPE_MISMATCH, span, "%.*s", STR_ARG(message));
        return;
    }
    SiteInfo site = {.kind = SITE_REQUIRE, .span = span, .message = message};
    build_inst(&l->b, OP_REQUIRE,
               (BuildSpec){.args = &ok, .arg_count = 1, .attr = {.ref = func_site(l->f, site)}});
}
