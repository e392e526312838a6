// Instances: the entry of the lowering, kernels inlined by other kernels, tunables of a module.
#include "frontend/lower.h"

static uint32_t count_of(const Node *list)
{
    return list ? list->kid_count : 0;
}

static const TensorArg *arg_find(const InstanceSpec *spec, Str name)
{
    for (uint32_t k = 0; k < spec->tensor_count; k++) {
        if (str_equal(spec->tensors[k].name, name)) return &spec->tensors[k];
    }
    return NULL;
}

// What the launch gives for each parameter. Outputs that are not optional are always there.
static Given *given_for(Lower *l, const Node *list, bool results)
{
    Given *given = arena_array(l->arena, Given, count_of(list) + 1);
    for (uint32_t k = 0; k < count_of(list); k++) {
        const Node *param = list->kids[k];
        const TensorArg *arg = arg_find(l->spec, param->text);
        bool optional = (param->kids[0]->flags & NODE_FLAG_OPTIONAL) != 0;
        bool assumed = !l->spec->tensors_known && !str_equal(param->text, l->spec->absent);
        bool present = arg || assumed || (results && !optional);
        given[k] = (Given){.name = param->text, .present = present};
        if (!arg || !arg->dtype) continue;
        given[k].known = true;
        given[k].dtype = arg->dtype;
        given[k].rank = arg->rank;
    }
    return given;
}

static const Node *param_find(const Node *kernel, Str name)
{
    for (unsigned part = 1; part <= 2; part++) {
        const Node *list = ast_kid(kernel, part);
        for (uint32_t k = 0; k < count_of(list); k++) {
            if (str_equal(list->kids[k]->text, name)) return list->kids[k];
        }
    }
    return NULL;
}

static void check_arguments(Lower *l, const Node *kernel)
{
    for (uint32_t k = 0; k < l->spec->tensor_count; k++) {
        Str name = l->spec->tensors[k].name, best = {0};
        if (param_find(kernel, name)) continue;
        Diag *diag = lower_error(l, DIAG_ARG_UNKNOWN, kernel->text_span,
                                 "the kernel '%.*s' has no parameter '%.*s'", STR_ARG(kernel->text),
                                 STR_ARG(name));
        size_t distance = 3;
        for (unsigned part = 1; part <= 2; part++) {
            const Node *list = ast_kid(kernel, part);
            for (uint32_t i = 0; i < count_of(list); i++) {
                size_t d = str_distance(list->kids[i]->text, name);
                if (d < distance) distance = d, best = list->kids[i]->text;
            }
        }
        if (best.length) lower_hint(l, diag, "did you mean '%.*s'?", STR_ARG(best));
    }
}

static void check_single(Lower *l, const Node *kernel)
{
    for (uint32_t f = 0; f < l->module->files.count; f++) {
        const Node *file = l->module->files.data[f];
        for (uint32_t k = 0; k < file->kid_count; k++) {
            const Node *other = file->kids[k];
            if (other == kernel || other->kind != NODE_KERNEL ||
                !str_equal(other->text, kernel->text))
                continue;
            Diag *diag = lower_error(l, DIAG_NAME_TAKEN, other->text_span,
                                     "there is a kernel '%.*s' already", STR_ARG(kernel->text));
            if (diag != l->spare)
                diag_note(l->diags, diag, kernel->text_span, "it is declared here");
        }
    }
}

void kernel_lower(Lower *l, Binding *binding)
{
    const Node *body = binding->kernel->kids[binding->kernel->kid_count - 1];
    binding->env = env_new(l, l->file, true);
    if (!templates_bind(l, binding) && binding->inlined) return;
    if (!params_bind(l, binding)) return;
    if (body->kind == NODE_INSTANCE)
        lower_instance(l, binding->env, body);
    else if (body->kind == NODE_BLOCK)
        lower_kernel_body(l, binding->env, body);
}

// ---- kernels in kernels

static const Node *kernel_named(Lower *l, const Node *node)
{
    const Node *kernel = module_find_kernel(l->module, node->text);
    if (kernel) return kernel;
    Diag *diag = lower_error(l, DIAG_UNKNOWN_KERNEL, node->text_span, "unknown kernel '%.*s'",
                             STR_ARG(node->text));
    Str best = {0};
    size_t distance = 3;
    for (uint32_t k = 0; k < module_kernel_count(l->module); k++) {
        Str name = module_kernel(l->module, k)->text;
        size_t d = str_distance(name, node->text);
        if (d < distance) distance = d, best = name;
    }
    if (best.length) lower_hint(l, diag, "did you mean '%.*s'?", STR_ARG(best));
    return NULL;
}

// The position of an argument in a list, by order or by name; -1 after an error.
static int64_t position_of(Lower *l, const Node *list, const Node *arg, uint32_t order,
                           const char *what, const Node *kernel)
{
    if (arg->kind != NODE_SETTING) {
        if (order < count_of(list)) return order;
        lower_error(l, DIAG_BAD_CALL, arg->span, "'%.*s' takes no more than %u %s",
                    STR_ARG(kernel->text), count_of(list), what);
        return -1;
    }
    for (uint32_t k = 0; k < count_of(list); k++) {
        if (str_equal(list->kids[k]->text, arg->text)) return k;
    }
    lower_error(l, DIAG_BAD_CALL, arg->text_span, "'%.*s' has no parameter '%.*s'",
                STR_ARG(kernel->text), STR_ARG(arg->text));
    return -1;
}

static bool instance_templates(Lower *l, Env *env, const Node *args, Binding *b)
{
    const Node *list = ast_kid(b->kernel, 0);
    b->templates = arena_array(l->arena, Thing, count_of(list) + 1);
    bool ok = true;
    for (uint32_t k = 0; k < count_of(args); k++) {
        const Node *arg = args->kids[k];
        int64_t at = position_of(l, list, arg, k, "compile-time parameters", b->kernel);
        Thing t = lower_expr(l, env, arg->kind == NODE_SETTING ? arg->kids[0] : arg);
        ok = ok && at >= 0 && t.kind != THING_POISON;
        if (at >= 0) b->templates[at] = t;
    }
    return ok;
}

static bool give_tensor(Lower *l, Thing t, const Node *node, bool write, Given *given)
{
    if (t.kind != THING_TENSOR || t.tensor->view) {
        lower_error(l, DIAG_WRONG_TYPE, node->span, "a tensor is needed for '%.*s', this is %s",
                    STR_ARG(given->name), thing_text(&t));
        return false;
    }
    if (write && !t.tensor->writable) {
        lower_error(l, DIAG_NOT_ASSIGNABLE, node->span, "'%.*s' is an input, which is read-only",
                    STR_ARG(t.tensor->name));
        return false;
    }
    given->present = !t.tensor->absent;
    given->known = true;
    given->dtype = t.tensor->dtype;
    given->rank = t.tensor->rank;
    given->thing = t;
    return true;
}

// An optional scalar that was not given is passed on as that.
static bool absent_name(const Env *env, const Node *node)
{
    const Name *name = node->kind == NODE_NAME ? env_find(env, node->text) : NULL;
    if (!name) return false;
    const Thing *t = &name->thing;
    return t->kind == THING_TENSOR ? t->tensor->absent && !t->tensor->rank
                                   : t->kind == THING_VALUE && t->presence == PRESENCE_DEFAULT;
}

static bool instance_argument(Lower *l, Env *env, const Node *node, const Node *param, Given *given)
{
    bool inout = (param->flags & NODE_FLAG_INOUT) != 0;
    if (inout || (param->kids[0]->flags & NODE_FLAG_HAS_DIMS)) {
        Thing t = lower_expr(l, env, node);
        return t.kind != THING_POISON && give_tensor(l, t, node, inout, given);
    }
    if ((param->kids[0]->flags & NODE_FLAG_OPTIONAL) && absent_name(env, node)) return true;
    given->thing = prologue_scalar(l, env, node, "a scalar argument");
    given->present = true;
    return given->thing.kind != THING_POISON;
}

static bool instance_arguments(Lower *l, Env *env, const Node *args, Binding *b)
{
    const Node *list = ast_kid(b->kernel, 1);
    bool ok = true;
    for (uint32_t k = 0; k < count_of(list); k++) b->params[k].name = list->kids[k]->text;
    for (uint32_t k = 0; k < count_of(args); k++) {
        const Node *arg = args->kids[k], *value = arg->kind == NODE_SETTING ? arg->kids[0] : arg;
        int64_t at = position_of(l, list, arg, k, "arguments", b->kernel);
        if (at >= 0)
            ok &= instance_argument(l, env, value, list->kids[at], &b->params[at]);
        else
            ok = false;
    }
    return ok;
}

static bool instance_results(Lower *l, Env *env, const Node *names, Binding *b)
{
    const Node *list = ast_kid(b->kernel, 2);
    bool ok = true;
    if (names && count_of(names) != count_of(list)) {
        Diag *diag = lower_error(l, DIAG_BAD_CALL, names->span, "'%.*s' has %u outputs, %u named",
                                 STR_ARG(b->kernel->text), count_of(list), count_of(names));
        lower_hint(l, diag, "_ drops one");
        return false;
    }
    for (uint32_t k = 0; k < count_of(list); k++) {
        const Node *node = names ? names->kids[k] : b->site;
        Str name = names ? node->text : list->kids[k]->text;
        b->results[k].name = list->kids[k]->text;
        if (str_is(name, "_")) continue;
        const Name *found = env_find(env, name);
        if (!found) {
            if (names)
                lower_unknown(l, env, node, "output");
            else
                lower_error(l, DIAG_BAD_CALL, node->span,
                            "there is no '%.*s' for the output of that name", STR_ARG(name));
            ok = false;
            continue;
        }
        ok &= found->thing.kind != THING_POISON &&
              give_tensor(l, found->thing, node, true, &b->results[k]);
    }
    return ok;
}

// kernel f(...) = g<...>(a, b) -> (c); and g<...>(a, b) -> (c); as a statement: g's phases stand
// here.
void lower_instance(Lower *l, Env *env, const Node *node)
{
    enum { KERNEL_DEPTH_MAX = 16 };
    const Node *kernel = kernel_named(l, node);
    if (!kernel) return;
    if (l->kernel_depth >= KERNEL_DEPTH_MAX) {
        lower_error(l, DIAG_RECURSION, node->span, "'%.*s' calls itself", STR_ARG(node->text));
        return;
    }
    Binding b = {.kernel = kernel, .inlined = true, .site = node};
    b.params = arena_array(l->arena, Given, count_of(ast_kid(kernel, 1)) + 1);
    b.results = arena_array(l->arena, Given, count_of(ast_kid(kernel, 2)) + 1);
    bool ok = instance_templates(l, env, ast_kid(node, 0), &b);
    ok &= instance_arguments(l, env, ast_kid(node, 1), &b);
    ok &= instance_results(l, env, ast_kid(node, 2), &b);
    if (!ok) return;
    l->kernel_depth++;
    kernel_lower(l, &b);
    l->kernel_depth--;
}

// ---- the entry

// Removes pure instructions that nothing uses, last first.
static void sweep(Func *f)
{
    uint32_t *uses = arena_array(f->arena, uint32_t, f->values.count);
    for (uint32_t i = 1; i < f->insts.count; i++) {
        const Inst *in = &f->insts.data[i];
        if (in->flags & INST_DEAD) continue;
        for (unsigned k = 0; k < in->arg_count; k++) uses[inst_arg(f, in, k).i]++;
    }
    for (uint32_t i = f->insts.count - 1; i > 0; i--) {
        const Inst *in = &f->insts.data[i];
        if ((in->flags & INST_DEAD) || !(op_info[in->op].traits & TRAIT_PURE) || in->region_count)
            continue;
        if (in->op == OP_DIM || in->op == OP_ARG) continue;
        bool used = false;
        for (unsigned k = 0; k < in->result_count; k++) used |= uses[in->results + k] != 0;
        if (used) continue;
        for (unsigned k = 0; k < in->arg_count; k++) uses[inst_arg(f, in, k).i]--;
        inst_unlink(f, (InstId){i});
    }
}

static Lower *lower_new(Module *module, const InstanceSpec *spec, DiagList *diags, Str name)
{
    Lower *l = arena_new(module->arena, Lower);
    l->arena = module->arena;
    l->module = module;
    l->diags = diags;
    l->spec = spec;
    l->f = func_new(module->arena, LEVEL_TILE, name);
    l->b = (Builder){.f = l->f, .region = l->f->body};
    l->place = PLACE_PROLOGUE;
    l->errors_before = diags->error_count;
    l->spare = arena_new(module->arena, Diag);
    l->file = file_env(l);
    return l;
}

Func *kernel_instantiate(Module *module, Str kernel, const InstanceSpec *spec, DiagList *diags)
{
    const Node *node = module_find_kernel(module, kernel);
    if (!node) {
        diag_add(diags, DIAG_UNKNOWN_KERNEL, (Span){0}, "there is no kernel '%.*s'",
                 STR_ARG(kernel));
        return NULL;
    }
    Lower *l = lower_new(module, spec, diags, node->text);
    if (node->span.source < module->sources->sources.count)
        l->f->source_name = module->sources->sources.data[node->span.source].name;
    check_arguments(l, node);
    check_single(l, node);
    Binding binding = {.kernel = node};
    binding.params = given_for(l, ast_kid(node, 1), false);
    binding.results = given_for(l, ast_kid(node, 2), true);
    kernel_lower(l, &binding);
    if (lower_failed(l)) return NULL;
    sweep(l->f);
    return l->f;
}

// ---- tunables

static void tunes_in(const Node *node, const Node **found, uint32_t *count, uint32_t most)
{
    if (!node) return;
    if (node->kind == NODE_TUNE && *count < most) found[(*count)++] = node;
    if (node->kind != NODE_BLOCK && node->kind != NODE_IF && node->kind != NODE_KERNEL &&
        node->kind != NODE_FILE)
        return;
    for (uint32_t k = 0; k < node->kid_count; k++) {
        const Node *kid = node->kids[k];
        bool other = node->kind == NODE_FILE && kid->kind != NODE_TUNE;
        if (!other) tunes_in(kid, found, count, most);
    }
}

enum { TUNES_MAX = 64 };

static uint32_t module_tunes(const Module *module, const Node *kernel, const Node **found)
{
    uint32_t count = 0;
    for (uint32_t f = 0; f < module->files.count; f++)
        tunes_in(module->files.data[f], found, &count, TUNES_MAX);
    tunes_in(kernel, found, &count, TUNES_MAX);
    return count;
}

bool module_has_tunable(const Module *module, const Node *kernel, Str name)
{
    const Node *found[TUNES_MAX];
    uint32_t count = module_tunes(module, kernel, found);
    for (uint32_t k = 0; k < count; k++) {
        if (str_equal(found[k]->text, name)) return true;
    }
    return false;
}
