// What is known at compile time: the parameters in <...>, -D definitions, tunables, and the names
// of files.
#include "frontend/lower.h"

// ---- the names of all files

static Thing constant_thing(Lower *l, Env *env, const Node *node)
{
    Deferred *d = arena_new(l->arena, Deferred);
    *d = (Deferred){.node = node->kids[0], .env = env, .name = node->text, .constant = true};
    return (Thing){.kind = THING_DEFERRED, .deferred = d};
}

static Thing function_thing(Lower *l, Env *env, const Node *node)
{
    Function *function = arena_new(l->arena, Function);
    *function = (Function){node, env};
    return (Thing){.kind = THING_FUNCTION, .function = function};
}

static bool library_name(const Lower *l, Span span)
{
    Str name = l->module->sources->sources.data[span.source].name;
    return name.length && name.data[0] == '<';
}

// A file's own names go before those of the library.
static void file_define(Lower *l, Env *env, const Node *node, Thing thing)
{
    const Name *old = env_find(env, node->text);
    if (old && (library_name(l, node->span) || library_name(l, old->span))) {
        if (!library_name(l, node->span)) *(Name *)old = (Name){node->text, thing, node->text_span};
        return;
    }
    env_define(l, env, node->text, node->text_span, thing);
}

Env *file_env(Lower *l)
{
    Env *env = env_new(l, NULL, true);
    for (uint32_t f = 0; f < l->module->files.count; f++) {
        const Node *file = l->module->files.data[f];
        for (uint32_t k = 0; k < file->kid_count; k++) {
            const Node *item = file->kids[k];
            if (item->kind == NODE_FUNCTION)
                file_define(l, env, item, function_thing(l, env, item));
            else if (item->kind == NODE_CONSTANT)
                file_define(l, env, item, constant_thing(l, env, item));
            else if (item->kind == NODE_TUNE)
                lower_tune(l, env, item);
        }
    }
    return env;
}

// ---- -D NAME=VALUE

static const Define *define_find(const InstanceSpec *spec, Str name)
{
    for (uint32_t k = 0; k < spec->define_count; k++) {
        if (str_equal(spec->defines[k].name, name)) return &spec->defines[k];
    }
    return NULL;
}

// The value is an expression: it is parsed as the value of a file-level let.
Thing define_parse(Lower *l, Str name, Str value)
{
    Str text = str_format(l->arena, "let %.*s = %.*s;", STR_ARG(name), STR_ARG(value));
    Str source_name = str_format(l->arena, "-D %.*s", STR_ARG(name));
    uint32_t source = source_add(l->module->sources, source_name, text);
    const Node *file = parse_source(l->arena, l->module->sources, source, l->diags);
    if (!file || file->kid_count != 1 || file->kids[0]->kind != NODE_CONSTANT) {
        if (file)
            lower_error(l, DIAG_BAD_DEFINE, (Span){1, 1, 1, 2, source}, "'%.*s' is no value",
                        STR_ARG(value));
        return thing_poison();
    }
    return lower_expr(l, l->file, file->kids[0]->kids[0]);
}

// ---- tunables

static bool is_pow2(const Node *set)
{
    return set->kind == NODE_CALL && set->kids[0]->kind == NODE_NAME &&
           str_is(set->kids[0]->text, "pow2");
}

enum { CHOICES_MAX = 4096 };

static bool tune_bounds(Lower *l, Env *env, const Node *set, int64_t *lo, int64_t *hi, int64_t *by)
{
    *lo = 0, *by = 1;
    if (is_pow2(set)) {
        const Node *args = set->kids[1];
        const Node *range =
            args->kid_count == 1 && args->kids[0]->kind == NODE_RANGE ? args->kids[0] : NULL;
        if (!range && args->kid_count != 2) {
            lower_error(l, DIAG_BAD_CALL, set->span, "pow2(lo, hi) takes two numbers");
            return false;
        }
        const Node *from = range ? range->kids[0] : args->kids[0],
                   *to = range ? range->kids[1] : args->kids[1];
        return (!from || lower_const_int(l, env, from, lo, "a choice")) &&
               lower_const_int(l, env, to, hi, "a choice");
    }
    if (set->kind != NODE_RANGE) return false;
    if (set->kids[0] && !lower_const_int(l, env, set->kids[0], lo, "a choice")) return false;
    if (ast_kid(set, 2) && !lower_const_int(l, env, set->kids[2], by, "a step")) return false;
    if (!lower_const_int(l, env, set->kids[1], hi, "a choice")) return false;
    if (*by > 0) return true;
    lower_error(l, DIAG_BAD_RANGE, set->span, "a step must be at least 1");
    return false;
}

// An integer, or a bool as 0 or 1.
static bool choice_value(Lower *l, Env *env, const Node *node, const char *what, int64_t *x,
                         bool *boolean)
{
    uint64_t bits;
    if (node->kind != NODE_BOOL) return lower_const_int(l, env, node, x, what);
    Thing t = lower_value(l, env, node);
    *boolean = thing_const(l, &t, &bits);
    *x = (int64_t)bits;
    return *boolean;
}

void tune_value(Lower *l, Env *env, const Node *node, Tunable *tunable)
{
    const Node *set = node->kids[0], *init = ast_kid(node, 1);
    VEC(int64_t) choices = {0};
    int64_t lo, hi, by, x;
    bool boolean = false;
    if (set->kind == NODE_SET) {
        for (uint32_t k = 0; k < set->kid_count; k++) {
            if (choice_value(l, env, set->kids[k], "a choice", &x, &boolean))
                vec_push(l->arena, &choices, x);
        }
    } else if (is_pow2(set) || set->kind == NODE_RANGE) {
        if (tune_bounds(l, env, set, &lo, &hi, &by)) {
            for (unsigned i = 0; is_pow2(set) && i < 63; i++) {
                if (((int64_t)1 << i) >= lo && ((int64_t)1 << i) <= hi)
                    vec_push(l->arena, &choices, (int64_t)1 << i);
            }
            for (int64_t at = lo; !is_pow2(set) && at < hi && choices.count < CHOICES_MAX;) {
                vec_push(l->arena, &choices, at);
                if (__builtin_add_overflow(at, by, &at)) break;
            }
        }
    } else if (lower_const_int(l, env, set, &hi, "a choice")) {
        for (int64_t at = 0; at < hi && choices.count < CHOICES_MAX; at++)
            vec_push(l->arena, &choices, at);
    }
    *tunable = (Tunable){.name = node->text,
                         .choices = choices.data,
                         .choice_count = choices.count,
                         .initial = 1,
                         .boolean = boolean};
    if (choices.count)
        tunable->initial = choices.data[0];
    else
        lower_error(l, DIAG_BAD_RANGE, set->span, "'%.*s' has nothing to choose from",
                    STR_ARG(node->text));
    if (init && choice_value(l, env, init, "a default", &x, &boolean)) tunable->initial = x;
}

static bool tune_given(Lower *l, const Node *node, int64_t *x)
{
    const Define *define = define_find(l->spec, node->text);
    if (define) {
        Thing t = define_parse(l, define->name, define->value);
        if (t.kind == THING_VALUE && value_const_int(l->f, t.value, x)) return true;
        if (t.kind != THING_POISON)
            lower_error(l, DIAG_BAD_DEFINE, node->text_span,
                        "the tunable '%.*s' must be an integer", STR_ARG(node->text));
        return false;
    }
    return l->spec->config && config_get(l->spec->config, node->text, x);
}

void lower_tune(Lower *l, Env *env, const Node *node)
{
    Tunable tunable;
    int64_t x;
    tune_value(l, env, node, &tunable);
    x = tunable.initial;
    tune_given(l, node, &x);
    bool known = !tunable.choice_count;
    for (uint32_t k = 0; k < tunable.choice_count; k++) known |= tunable.choices[k] == x;
    if (!known) {
        Diag *diag = lower_error(l, DIAG_BAD_DEFINE, node->text_span,
                                 "%lld is no choice for '%.*s'", (long long)x, STR_ARG(node->text));
        lower_hint(l, diag, "its choices stand here");
    }
    env_define(l, env, node->text, node->text_span,
               tunable.boolean ? literal_bool(l, x != 0) : literal_int(l, x));
}

// ---- the parameters in <...>

// `causal: bool`, `C: i64`: a constant. `T: f16` and lists are types.
static DType constant_type(const Node *template_)
{
    const Node *classes = template_->kids[0], *init = ast_kid(template_, 1);
    if (classes->kind == NODE_FNTYPE || classes->kid_count != 1) return DTYPE_NONE;
    Str name = classes->kids[0]->text;
    DType t = dtype_find(name);
    if (dtype_is_arith(t)) return t;
    bool number = init && init->kind == NODE_INT;
    return str_is(name, "int") && number ? DTYPE_I64 : DTYPE_NONE;
}

static Str classes_text(Lower *l, const Node *classes)
{
    Buf buf = {.arena = l->arena};
    for (uint32_t k = 0; k < classes->kid_count; k++) {
        if (k) buf_printf(&buf, " | ");
        buf_str(&buf, classes->kids[k]->text);
    }
    return buf_view(&buf);
}

// A type parameter follows from the first tensor of that very type.
static Thing infer_in(const Binding *b, const Node *list, const Given *given, Str name,
                      const Node **from)
{
    for (uint32_t k = 0; list && k < list->kid_count; k++) {
        const Node *type = list->kids[k]->kids[0];
        if (!str_equal(type->text, name) || ast_kid(type, 0)) {
            const Node *first = ast_kid(type, 0);
            if (!str_equal(type->text, name) || (first && first->kind == NODE_ARGS)) continue;
        }
        if (!given[k].present || !given[k].known) continue;
        *from = list->kids[k];
        return (Thing){.kind = THING_TYPE, .dtype = given[k].dtype};
    }
    (void)b;
    return thing_poison();
}

static bool only_absent_use(const Binding *b, Str name)
{
    const Node *list = ast_kid(b->kernel, 1);
    for (uint32_t k = 0; list && k < list->kid_count; k++) {
        if (str_equal(list->kids[k]->kids[0]->text, name) && !b->params[k].present) return true;
    }
    return false;
}

static Thing fallback(Lower *l, const Binding *b, const Node *template_)
{
    const Node *classes = template_->kids[0];
    bool guess = !l->spec->tensors_known && !b->inlined;
    DType constant = constant_type(template_);
    if (classes->kind == NODE_FNTYPE) {
        const Name *identity = env_find_callable(l->file, STR("identity"));
        if (guess && identity) return identity->thing;
    } else if (constant) {
        if (guess) return constant == DTYPE_BOOL ? literal_bool(l, true) : literal_int(l, 1);
    } else if (guess || (l->spec->types_guessed && !b->inlined) ||
               only_absent_use(b, template_->text)) {
        return (Thing){.kind = THING_TYPE, .dtype = type_of_class(classes->kids[0]->text)};
    }
    Diag *diag = lower_error(
        l, DIAG_BAD_TEMPLATE, b->site ? b->site->span : template_->text_span,
        "the compile-time parameter '%.*s' is not given%s", STR_ARG(template_->text),
        constant || classes->kind == NODE_FNTYPE ? "" : " and no argument determines it");
    if (!b->inlined)
        lower_hint(l, diag, "give it with -D %.*s=..., or a default in <...>",
                   STR_ARG(template_->text));
    return thing_poison();
}

static Thing check_type(Lower *l, const Node *template_, Thing t, const Node *from, Span span)
{
    const Node *classes = template_->kids[0];
    if (t.kind != THING_TYPE) {
        lower_error(l, DIAG_BAD_TEMPLATE, span, "'%.*s' is a type, %s was given",
                    STR_ARG(template_->text), thing_text(&t));
        return thing_poison();
    }
    for (uint32_t k = 0; k < classes->kid_count; k++) {
        if (type_in_class(t.dtype, classes->kids[k]->text)) return t;
    }
    if (from)
        lower_error(l, DIAG_ARG_DTYPE, from->text_span, "'%.*s' is %s; '%.*s' must be %.*s",
                    STR_ARG(from->text), dtype_info[t.dtype].name, STR_ARG(template_->text),
                    STR_ARG(classes_text(l, classes)));
    else
        lower_error(l, DIAG_BAD_TEMPLATE, span, "'%.*s' is %s, it must be %.*s",
                    STR_ARG(template_->text), dtype_info[t.dtype].name,
                    STR_ARG(classes_text(l, classes)));
    return thing_poison();
}

static Thing check_template(Lower *l, const Node *template_, Thing t, const Node *from, Span span)
{
    DType constant = constant_type(template_);
    if (t.kind == THING_POISON) return t;
    if (template_->kids[0]->kind == NODE_FNTYPE) {
        t.loose = true;
        if (t.kind == THING_FUNCTION || t.kind == THING_BUILTIN) return t;
        lower_error(l, DIAG_BAD_TEMPLATE, span, "'%.*s' is a function, %s was given",
                    STR_ARG(template_->text), thing_text(&t));
        return thing_poison();
    }
    if (!constant) return check_type(l, template_, t, from, span);
    uint64_t bits;
    const char *what = str_format(l->arena, "'%.*s'", STR_ARG(template_->text)).data;
    if (t.kind != THING_VALUE || !thing_const(l, &t, &bits)) {
        lower_error(l, DIAG_NOT_CONSTANT, span, "%s must be known at compile time", what);
        return thing_poison();
    }
    return lower_coerce(l, &t, constant, span, what) ? t : thing_poison();
}

static bool classes_fine(Lower *l, const Node *template_)
{
    const Node *classes = template_->kids[0];
    if (classes->kind == NODE_FNTYPE) return true;
    for (uint32_t k = 0; k < classes->kid_count; k++) {
        const Node *name = classes->kids[k];
        if (class_known(name->text)) continue;
        Diag *diag = lower_error(l, DIAG_UNKNOWN_TYPE, name->span, "'%.*s' is no class of types",
                                 STR_ARG(name->text));
        lower_hint(l, diag,
                   "a parameter is float, int, any, a list of dtypes, a constant's dtype, or fn");
        return false;
    }
    return true;
}

static Thing bind_template(Lower *l, Binding *b, const Node *template_, uint32_t k)
{
    const Node *from = NULL, *init = ast_kid(template_, 1);
    Span span = b->site ? b->site->span : template_->text_span;
    Thing t = b->templates ? b->templates[k] : thing_poison();
    const Define *define = b->inlined ? NULL : define_find(l->spec, template_->text);
    if (!classes_fine(l, template_)) return thing_poison();
    if (define) {
        t = define_parse(l, define->name, define->value);
        if (t.kind == THING_POISON) return t;
        span = template_->text_span;
    }
    bool type = template_->kids[0]->kind != NODE_FNTYPE && !constant_type(template_);
    if (t.kind == THING_POISON && type)
        t = infer_in(b, ast_kid(b->kernel, 1), b->params, template_->text, &from);
    if (t.kind == THING_POISON && type)
        t = infer_in(b, ast_kid(b->kernel, 2), b->results, template_->text, &from);
    if (t.kind == THING_POISON && init) {
        lower_at(l, init);
        t = lower_expr(l, b->env, init);
        if (t.kind == THING_POISON) return t;
        span = init->span;
    }
    if (t.kind == THING_POISON) t = fallback(l, b, template_);
    return check_template(l, template_, t, from, span);
}

static void check_defines(Lower *l, const Binding *b)
{
    const Node *templates = ast_kid(b->kernel, 0);
    for (uint32_t k = 0; k < l->spec->define_count; k++) {
        Str name = l->spec->defines[k].name;
        bool known = false;
        for (uint32_t i = 0; templates && i < templates->kid_count; i++)
            known |= str_equal(templates->kids[i]->text, name);
        known |= module_has_tunable(l->module, b->kernel, name);
        if (known) continue;
        Diag *diag = lower_error(l, DIAG_UNKNOWN_DEFINE, b->kernel->text_span,
                                 "'%.*s' has no compile-time parameter '%.*s'",
                                 STR_ARG(b->kernel->text), STR_ARG(name));
        Str best = {0};
        size_t distance = 3;
        for (uint32_t i = 0; templates && i < templates->kid_count; i++) {
            size_t d = str_distance(templates->kids[i]->text, name);
            if (d < distance) distance = d, best = templates->kids[i]->text;
        }
        Buf all = {.arena = l->arena};
        for (uint32_t i = 0; templates && i < templates->kid_count; i++)
            buf_printf(&all, "%s%.*s", i ? ", " : "", STR_ARG(templates->kids[i]->text));
        if (best.length)
            lower_hint(l, diag, "did you mean '%.*s'?", STR_ARG(best));
        else if (buf_view(&all).length)
            lower_hint(l, diag, "it has %.*s", STR_ARG(buf_view(&all)));
    }
}

bool templates_bind(Lower *l, Binding *b)
{
    const Node *templates = ast_kid(b->kernel, 0);
    uint32_t before = l->diags->error_count;
    if (!b->inlined) check_defines(l, b);
    for (uint32_t k = 0; templates && k < templates->kid_count; k++) {
        const Node *template_ = templates->kids[k];
        lower_at(l, template_);
        env_define(l, b->env, template_->text, template_->text_span,
                   bind_template(l, b, template_, k));
    }
    return l->diags->error_count == before;
}
