// Names and their scopes, and the diagnostics of the lowering: each place complains once about one
// thing.
#include "frontend/lower.h"

Env *env_new(Lower *l, Env *parent, bool wall)
{
    Env *env = arena_new(l->arena, Env);
    env->parent = parent;
    env->wall = wall;
    return env;
}

static const Name *find_here(const Env *env, Str name)
{
    for (uint32_t i = 0; i < env->names.count; i++) {
        if (str_equal(env->names.data[i].name, name)) return &env->names.data[i];
    }
    return NULL;
}

const Name *env_find(const Env *env, Str name)
{
    for (; env; env = env->parent) {
        const Name *found = find_here(env, name);
        if (found) return found;
    }
    return NULL;
}

// What `name(...)` means: `let mean = mean[n](x);` does not hide the function.
const Name *env_find_callable(const Env *env, Str name)
{
    for (; env; env = env->parent) {
        const Name *found = find_here(env, name);
        if (!found) continue;
        ThingKind kind = found->thing.kind;
        if (kind == THING_FUNCTION || kind == THING_BUILTIN || kind == THING_TYPE) return found;
    }
    return NULL;
}

void env_define(Lower *l, Env *env, Str name, Span span, Thing thing)
{
    for (const Env *e = env; e; e = e->parent) {
        const Name *old = find_here(e, name);
        if (old) {
            Diag *diag = lower_error(l, DIAG_NAME_TAKEN, span, "'%.*s' is already a name here",
                                     STR_ARG(name));
            if (old->span.line) diag_note(l->diags, diag, old->span, "it is declared here");
            lower_hint(l, diag, "names do not shadow each other: choose another one");
            return;
        }
        if (e->wall) break;
    }
    vec_push(l->arena, &env->names, (Name){name, thing, span});
}

static bool is_library(const Lower *l, Span span)
{
    const SourceSet *sources = l->module->sources;
    if (span.source >= sources->sources.count) return false;
    Str name = sources->sources.data[span.source].name;
    return name.length && name.data[0] == '<';
}

static bool said_before(const Lower *l, DiagCode code, Span span)
{
    for (uint32_t i = 0; i < l->diags->diags.count; i++) {
        const Diag *d = l->diags->diags.data[i];
        if (d->code == code && d->span.source == span.source && d->span.line == span.line &&
            d->span.column == span.column && d->span.end_column == span.end_column)
            return true;
    }
    return false;
}

static void note_calls(Lower *l, Diag *diag)
{
    enum { CALLS_SHOWN = 4 };
    unsigned shown = 0;
    for (const CallFrame *c = l->call; c && shown < CALLS_SHOWN; c = c->up) {
        if (!c->function->text.length || is_library(l, c->span)) continue;
        if (c->up && c->up->span.line == c->span.line && c->up->span.column == c->span.column)
            continue;
        if (l->span.line && c->span.line == diag->span.line && c->span.column == diag->span.column)
            continue;
        diag_note(l->diags, diag, c->span, "in this call of '%.*s'", STR_ARG(c->function->text));
        shown++;
    }
}

Diag *lower_error(Lower *l, DiagCode code, Span span, const char *format, ...)
{
    Span inner = span;
    if (code != DIAG_AXIS_LACKING) l->failed = true; // also if it was said before
    if (l->span.line) span = l->span;
    if (l->quiet || said_before(l, code, span)) {
        *l->spare = (Diag){0};
        return l->spare;
    }
    va_list args;
    va_start(args, format);
    Str text = str_vformat(l->arena, format, args);
    va_end(args);
    Diag *diag = diag_add(l->diags, code, span, "%.*s", STR_ARG(text));
    if (l->span.line) diag_note(l->diags, diag, inner, "inside the library it is here");
    note_calls(l, diag);
    return diag;
}

void lower_hint(Lower *l, Diag *diag, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    Str text = str_vformat(l->arena, format, args);
    va_end(args);
    if (diag != l->spare) diag_hint(l->diags, diag, "%.*s", STR_ARG(text));
}

Thing lower_unsupported(Lower *l, Span span, const char *what)
{
    lower_error(l, DIAG_NOT_SUPPORTED, span, "%s: not supported yet", what);
    return thing_poison();
}

static void suggest(Str name, Str candidate, Str *best, size_t *distance)
{
    size_t d = str_distance(name, candidate);
    if (d < *distance) {
        *distance = d;
        *best = candidate;
    }
}

// What was meant, among names that could stand there.
static Str meant(const Env *env, Str name, const char *what)
{
    bool type = strcmp(what, "type") == 0, function = strcmp(what, "function") == 0;
    size_t length = name.length;
    size_t distance = length < 2 ? 0 : length < 5 ? 2 : length < 8 ? 3 : 4;
    Str best = {0};
    for (const Env *e = env; e; e = e->parent) {
        for (uint32_t i = 0; i < e->names.count; i++) {
            const Name *n = &e->names.data[i];
            if (!type || n->thing.kind == THING_TYPE) suggest(name, n->name, &best, &distance);
        }
    }
    if (function) builtin_suggest(name, &best, &distance);
    for (unsigned t = 1; (type || function) && t < DTYPE_COUNT; t++)
        suggest(name, str_of(dtype_info[t].name), &best, &distance);
    return best;
}

// An unknown name is reported once.
Thing lower_unknown(Lower *l, const Env *env, const Node *name, const char *what)
{
    for (uint32_t i = 0; i < l->unknown.count; i++) {
        if (str_equal(l->unknown.data[i], name->text)) return thing_poison();
    }
    Span span = name->text_span.line ? name->text_span : name->span;
    Diag *diag =
        lower_error(l, DIAG_UNKNOWN_NAME, span, "unknown %s '%.*s'", what, STR_ARG(name->text));
    if (!l->quiet) vec_push(l->arena, &l->unknown, name->text);
    if (lower_hint_foreign(l, diag, env, name->text, what)) return thing_poison();
    Str best = meant(env, name->text, what);
    if (best.length) {
        lower_hint(l, diag, "did you mean '%.*s'?", STR_ARG(best));
    } else if (strcmp(what, "axis") == 0) {
        lower_hint(l, diag,
                   "declare it, 'axis %.*s in ...;', or give its range here: sum[%.*s in ...](x)",
                   STR_ARG(name->text), STR_ARG(name->text));
    } else if (strcmp(what, "variable") == 0) {
        lower_hint(l, diag, "declare it before: var %.*s = 0;", STR_ARG(name->text));
    } else if (strcmp(what, "type") == 0 && class_known(name->text)) {
        lower_hint(l, diag, "that is a class of types: <T: %.*s> makes T such a type",
                   STR_ARG(name->text));
    }
    return thing_poison();
}

bool lower_failed(const Lower *l)
{
    return l->failed || l->diags->error_count > l->errors_before;
}

Str axes_text(Lower *l, AxisSet axes)
{
    Buf buf = {.arena = l->arena};
    buf_char(&buf, '{');
    bool first = true;
    for (uint32_t i = 1; i < 64; i++) {
        if (!(axes >> i & 1)) continue;
        if (!first) buf_printf(&buf, ", ");
        first = false;
        buf_str(&buf, l->axes[i] ? l->axes[i]->name : axis_at(l->f, (Axis){i})->name);
    }
    buf_char(&buf, '}');
    return buf_view(&buf);
}

const char *thing_text(const Thing *thing)
{
    switch (thing->kind) {
    case THING_POISON: return "nothing";
    case THING_VALUE: return "a value";
    case THING_AXIS: return "an axis";
    case THING_PACK: return "the axes of a pack";
    case THING_DIMS: return "a pack of dimensions";
    case THING_TENSOR: return thing->tensor->view ? "a view" : "a tensor";
    case THING_VAR: return "a variable";
    case THING_FUNCTION:
    case THING_BUILTIN: return "a function";
    case THING_TYPE: return "a type";
    case THING_TUPLE:
        return thing->tuple->count ? "a tuple" : "nothing: the function returns no value";
    case THING_TEXT: return "a text";
    case THING_DEFERRED: return "a value";
    }
    return "nothing";
}
