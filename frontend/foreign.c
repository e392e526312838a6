// Hints for unknown names: how what other languages call so is written here.
//
//     where(c, a, b)   ->   a choice is written c ? a : b
#include "frontend/embedded.h"
#include "frontend/lower.h"

static const char *foreign(Str name, const char *what)
{
    static const char *const functions[][2] = {
        {"where", "a choice is written c ? a : b"},
        {"select", "a choice is written c ? a : b"},
        {"range", "a range is written 0 .. N, or just N"},
        {"arange", "an axis is its own index: axis n in N;"},
        {"maximum", "write max(a, b)"},
        {"minimum", "write min(a, b)"},
        {"fabs", "write abs(x)"},
        {"power", "write pow(x, y)"},
        {"square", "write x * x"},
        {"reciprocal", "write rcp(x)"},
        {"cast", "a type converts: f32(x)"},
        {"amax", "write max[n](x)"},
        {"amin", "write min[n](x)"},
        {"len", "dimensions have names: f32[N]; size(n) is how many indices axis n has"},
        {"zeros", "declare it: var s: f32[m] = 0;"},
        {"program_id", "name the axis of the grid: tile m in M"},
        {"load", "an element is written x[m, n]"},
        {"store", "write y[m, n] = ...;"},
        {"transpose", "index it the other way round: x[n, m]"},
    };
    static const char no_prefix[] = "operations have no prefix: exp(x)";
    static const char *const names[][2] = {
        {"torch", no_prefix},
        {"np", no_prefix},
        {"jnp", no_prefix},
        {"tl", no_prefix},
        {"hl", no_prefix},
        {"math", no_prefix},
        {"None", "an optional parameter is x: f32[N]? = 0; has(x) asks whether it was given"},
        {"True", "write true"},
        {"False", "write false"},
    };
    static const char *const types[][2] = {
        {"float16", "f16"}, {"float32", "f32"}, {"float64", "f64"},  {"double", "f64"},
        {"half", "f16"},    {"int8", "i8"},     {"int16", "i16"},    {"int32", "i32"},
        {"int64", "i64"},   {"uint8", "u8"},    {"uint16", "u16"},   {"uint32", "u32"},
        {"fp16", "f16"},    {"fp32", "f32"},    {"bfloat16", "bf16"}, {"boolean", "bool"},
    };
    const char *const(*table)[2] = functions;
    size_t count = sizeof functions / sizeof *functions;
    if (strcmp(what, "type") == 0)
        table = types, count = sizeof types / sizeof *types;
    else if (strcmp(what, "name") == 0)
        table = names, count = sizeof names / sizeof *names;
    else if (strcmp(what, "function") != 0)
        return NULL;
    for (size_t k = 0; k < count; k++)
        if (str_is(name, table[k][0])) return table[k][1];
    return NULL;
}

static bool library_has(Lower *l, Str name)
{
    static const char *const forms[] = {"\nfn %.*s[", "\nfn %.*s(", "\nlet %.*s ="};
    for (size_t k = 0; k < sizeof forms / sizeof *forms; k++) {
        const char *text = str_format(l->arena, forms[k], STR_ARG(name)).data;
        if (strstr((const char *)embedded_std, text)) return true;
    }
    return false;
}

// An axis's name without its axis: a dimension of that name may be what it ranges over.
static bool hint_axis(Lower *l, Diag *diag, const Env *env, Str name)
{
    if (name.length > 60) return false;
    char upper[64];
    for (size_t k = 0; k < name.length; k++)
        upper[k] = name.data[k] >= 'a' && name.data[k] <= 'z' ? (char)(name.data[k] - 32)
                                                              : name.data[k];
    Str dim = {upper, name.length};
    if (str_equal(dim, name) || !env_find(env, dim)) return false;
    lower_hint(l, diag,
               "declare an axis, 'axis %.*s in %.*s;'; one that a reduction brings along is known "
               "in its parentheses only",
               STR_ARG(name), STR_ARG(dim));
    return true;
}

// x.shape: what other languages ask of an array.
void lower_hint_member(Lower *l, Diag *diag, Str name)
{
    static const char *const members[][2] = {
        {"shape", "dimensions have names: x: f32[M, N] makes M and N known"},
        {"size", "dimensions have names: x: f32[M, N] makes M and N known"},
        {"ndim", "how many dimensions there are is in the type; ..P stands for any number"},
        {"dtype", "a type has a name where it is a parameter: kernel f<T: float>(x: T[N])"},
        {"T", "index it the other way round: x[n, m]"},
    };
    for (size_t k = 0; k < sizeof members / sizeof *members; k++) {
        if (!str_is(name, members[k][0])) continue;
        lower_hint(l, diag, "%s", members[k][1]);
        return;
    }
    lower_hint(l, diag, "operations are functions: write %.*s(x)", STR_ARG(name));
}

bool lower_hint_foreign(Lower *l, Diag *diag, const Env *env, Str name, const char *what)
{
    const char *spelled = foreign(name, what);
    if (spelled && strcmp(what, "type") == 0)
        lower_hint(l, diag, "did you mean '%s'?", spelled);
    else if (spelled)
        lower_hint(l, diag, "%s", spelled);
    else if (strcmp(what, "type") != 0 && library_has(l, name))
        lower_hint(l, diag, "it is in the library: import std;");
    else if (strcmp(what, "function") == 0 && module_find_kernel(l->module, name))
        lower_hint(l, diag,
                   "it is a kernel: its phases are called at the top of another, %.*s(x) -> (y);, "
                   "never in an expression",
                   STR_ARG(name));
    else
        return strcmp(what, "name") == 0 && hint_axis(l, diag, env, name);
    return true;
}
