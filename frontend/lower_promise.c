// Promises of a called kernel on what its caller computes, or where a condition decides whether it
// is called at all: the launch cannot check them. A kernel of the prelude does, in phases before
// those of the called one, and gives it a copy, which nobody writes again:
//
//   rows(w, ids)    ->    ids' = promise_in(ids, 0, V);  rows(w, ids')
//
// Values that break the promise are clamped in the copy, for a device may run what is queued to the
// end before the launch fails.
#include "frontend/params.h"

static Given tensor_given(const Tensor *t, Str name)
{
    return (Given){.name = name,
                   .present = true,
                   .known = true,
                   .dtype = t->dtype,
                   .rank = t->rank,
                   .thing = {.kind = THING_TENSOR, .tensor = (Tensor *)t}};
}

static Tensor *copy_of(Lower *l, const Tensor *t)
{
    Tensor *copy = arena_new(l->arena, Tensor);
    *copy = *t;
    copy->writable = copy->output = true;
    copy->mem = func_mem(l->f, (MemInfo){.name = t->name,
                                         .dtype = t->dtype,
                                         .kind = MEM_WORKSPACE,
                                         .rank = t->rank,
                                         .span = mem_at(l->f, t->mem)->span});
    tensor_declare(l, copy);
    return copy;
}

// No value keeps the promise of an empty range.
static void require_range(Lower *l, const Params *ps, const Tensor *t, Value lo, Value hi)
{
    Value zero = build_i64(&l->b, 0), ok = build_op2(&l->b, OP_LT, lo.i ? lo : zero, hi);
    for (uint32_t k = 0; k < t->rank; k++)
        ok = build_op2(&l->b, OP_OR, ok, build_op2(&l->b, OP_EQ, t->sizes[k], zero));
    if (l->guard.i) ok = build_op2(&l->b, OP_OR, ok, lanes_not(l, l->guard));
    Str message =
        str_format(l->arena, "'%.*s' of the kernel '%.*s' promises values of an empty range",
                   STR_ARG(t->name), STR_ARG(ps->binding->kernel->text));
    params_require(l, ok, ps->binding->site->span, message);
}

// The assertions of the prelude's kernel speak of the call.
static void name_sites(Lower *l, const Params *ps, const Tensor *t, uint32_t first)
{
    for (uint32_t i = first; i < l->f->sites.count; i++) {
        SiteInfo *site = &l->f->sites.data[i];
        if (site->kind != SITE_ASSERT) continue;
        site->message = str_format(l->arena, "'%.*s' of the kernel '%.*s' breaks its promise: %.*s",
                                   STR_ARG(t->name), STR_ARG(ps->binding->kernel->text),
                                   STR_ARG(site->message));
    }
}

void lower_promise(Lower *l, Params *ps, Tensor *t, Refine kind, const Value *bounds)
{
    static const char *const names[REFINE_KINDS] = {"promise_in", "promise_partition",
                                                    "promise_permutation", "promise_distinct"};
    bool range = kind == REFINE_RANGE;
    Value lo = range ? bounds[0] : (Value){0}, hi = bounds[range];
    if (kind != REFINE_PARTITION) require_range(l, ps, t, lo, hi);
    Tensor *copy = copy_of(l, t);
    Given params[3] = {tensor_given(t, STR("x"))}, result = tensor_given(copy, STR("y"));
    for (unsigned k = 0; k < (range ? 2u : 1u); k++)
        params[k + 1] = (Given){.name = range && !k ? STR("lo") : STR("hi"),
                                .present = true,
                                .thing = thing_value(bounds[k])};
    Binding binding = {.kernel = module_find_kernel(l->module, str_of(names[kind])),
                       .params = params,
                       .results = &result,
                       .inlined = true,
                       .site = ps->binding->site};
    Builder saved = l->b;
    Span span = l->span;
    uint32_t first = l->f->sites.count;
    l->span = ps->binding->site->span;
    kernel_lower(l, &binding);
    l->span = span;
    l->b = saved;
    l->b.before = l->first_phase;
    l->place = PLACE_PROLOGUE;
    name_sites(l, ps, t, first);
    t->mem = copy->mem;
}
