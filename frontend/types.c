// Dtypes in the source: classes, type names, arith(T) and its kin; and the tables of built-in
// functions.
#include "frontend/lower.h"

#include <float.h>
#include <math.h>

#include "ir/eval.h"

static const Builtin builtins[] = {
#define BUILTIN(name, least, most, rule, op) {#name, least, most, BUILTIN_##rule, OP_##op},
#define AXIS_BUILTIN(name, form, kind)
#include "frontend/builtins.def"
#undef AXIS_BUILTIN
};

static const AxisBuiltin axis_builtins[] = {
#define BUILTIN(name, least, most, rule, op)
#define AXIS_BUILTIN(name, form, kind) {#name, FORM_##form, REDUCE_##kind},
#include "frontend/builtins.def"
#undef BUILTIN
};

enum {
    BUILTINS = sizeof(builtins) / sizeof(*builtins),
    AXIS_BUILTINS = sizeof(axis_builtins) / sizeof(*axis_builtins)
};

const Builtin *builtin_find(Str name)
{
    for (unsigned i = 0; i < BUILTINS; i++) {
        if (str_is(name, builtins[i].name)) return &builtins[i];
    }
    return NULL;
}

const AxisBuiltin *axis_builtin_find(Str name)
{
    for (unsigned i = 0; i < AXIS_BUILTINS; i++) {
        if (str_is(name, axis_builtins[i].name)) return &axis_builtins[i];
    }
    return NULL;
}

void builtin_suggest(Str name, Str *best, size_t *distance)
{
    for (unsigned i = 0; i < BUILTINS + AXIS_BUILTINS; i++) {
        Str candidate = str_of(i < BUILTINS ? builtins[i].name : axis_builtins[i - BUILTINS].name);
        size_t d = str_distance(name, candidate);
        if (d < *distance) {
            *distance = d;
            *best = candidate;
        }
    }
}

bool class_known(Str class_)
{
    return str_is(class_, "float") || str_is(class_, "int") || str_is(class_, "any") ||
           dtype_find(class_);
}

bool type_in_class(DType t, Str class_)
{
    if (str_is(class_, "float")) return dtype_is_float(t);
    if (str_is(class_, "int")) return dtype_is_int(t);
    if (str_is(class_, "any")) return true;
    return dtype_find(class_) == t;
}

DType type_of_class(Str class_)
{
    if (str_is(class_, "int")) return DTYPE_I32;
    DType t = dtype_find(class_);
    return t ? t : DTYPE_F32;
}

// The type that a name or arith(T) or promote(T, U) stands for.
DType lower_type(Lower *l, Env *env, const Node *type)
{
    const Node *args = ast_kid(type, 0);
    const Name *name = env_find(env, type->text);
    if (args && args->kind == NODE_ARGS) {
        const Builtin *builtin = builtin_find(type->text);
        if (!builtin || !(str_is(type->text, "arith") || str_is(type->text, "promote"))) {
            lower_error(l, DIAG_UNKNOWN_TYPE, type->span, "'%.*s(...)' is no type",
                        STR_ARG(type->text));
            return DTYPE_NONE;
        }
        Thing things[2] = {0};
        for (uint32_t k = 0; k < args->kid_count && k < 2; k++)
            things[k] = lower_expr(l, env, args->kids[k]);
        return type_call(l, type->span, builtin, things, args->kid_count).dtype;
    }
    if (name && name->thing.kind == THING_TYPE) return name->thing.dtype;
    if (name && name->thing.kind == THING_POISON) return DTYPE_NONE;
    DType t = dtype_find(type->text);
    if (t) return t;
    if (name) {
        lower_error(l, DIAG_UNKNOWN_TYPE, type->text_span, "'%.*s' is %s, not a type",
                    STR_ARG(type->text), thing_text(&name->thing));
        return DTYPE_NONE;
    }
    lower_unknown(l, env, type, "type");
    return DTYPE_NONE;
}

static Thing type_thing(DType t)
{
    return (Thing){.kind = THING_TYPE, .dtype = t};
}

static DType promoted(DType a, DType b)
{
    a = dtype_info[a].arith, b = dtype_info[b].arith;
    if (a == b) return a;
    if (a == DTYPE_BOOL || b == DTYPE_BOOL) return DTYPE_NONE;
    if (a == DTYPE_F64 || b == DTYPE_F64) return DTYPE_F64;
    if (a == DTYPE_F32 || b == DTYPE_F32) return DTYPE_F32;
    return DTYPE_I64;
}

typedef struct Limits {
    double largest, tiny, epsilon;
} Limits;

static Limits float_limits(DType t)
{
    switch ((unsigned)t) {
    case DTYPE_F64: return (Limits){DBL_MAX, DBL_MIN, DBL_EPSILON};
    case DTYPE_F16: return (Limits){65504, ldexp(1, -14), ldexp(1, -10)};
    case DTYPE_BF16: return (Limits){ldexp(255, 120), ldexp(1, -126), ldexp(1, -7)};
    case DTYPE_F8E4M3: return (Limits){448, ldexp(1, -6), ldexp(1, -3)};
    case DTYPE_F8E5M2: return (Limits){57344, ldexp(1, -14), ldexp(1, -2)};
    case DTYPE_F4E2M1: return (Limits){6, 1, 0.5};
    }
    return (Limits){FLT_MAX, FLT_MIN, FLT_EPSILON};
}

static Thing type_limit(Lower *l, Span span, const char *name, DType t)
{
    bool largest = strcmp(name, "largest") == 0, least = strcmp(name, "least") == 0;
    if (dtype_is_float(t)) {
        Limits limits = float_limits(t);
        return literal_float(l, largest                     ? limits.largest
                                : least                     ? -limits.largest
                                : strcmp(name, "tiny") == 0 ? limits.tiny
                                                            : limits.epsilon);
    }
    if (!dtype_is_int(t) || !(largest || least)) {
        lower_error(l, DIAG_WRONG_TYPE, span, "there is no %s(%s)", name, dtype_info[t].name);
        return thing_poison();
    }
    unsigned bits = dtype_info[t].bits;
    bool is_unsigned = dtype_info[t].class_ == DCLASS_UINT;
    if (is_unsigned) return literal_int(l, largest ? (int64_t)(((uint64_t)1 << bits) - 1) : 0);
    uint64_t top = ((uint64_t)1 << (bits - 1)) - 1;
    return literal_int(l, largest ? (int64_t)top : -(int64_t)top - 1);
}

Thing type_call(Lower *l, Span span, const Builtin *builtin, const Thing *args, uint32_t count)
{
    const char *name = builtin->name;
    if (count < builtin->least || count > builtin->most) {
        lower_error(l, DIAG_BAD_CALL, span, "%s takes %u type%s, %u given", name, builtin->least,
                    builtin->least == 1 ? "" : "s", count);
        return thing_poison();
    }
    for (uint32_t k = 0; k < count; k++) {
        if (args[k].kind == THING_POISON) return thing_poison();
        if (args[k].kind == THING_TYPE && args[k].dtype) continue;
        lower_error(l, DIAG_WRONG_TYPE, span, "%s takes types, %s given", name,
                    thing_text(&args[k]));
        return thing_poison();
    }
    DType t = args[0].dtype;
    if (strcmp(name, "arith") == 0) return type_thing(dtype_info[t].arith);
    if (strcmp(name, "is_float") == 0) return literal_bool(l, dtype_is_float(t));
    if (strcmp(name, "is_int") == 0) return literal_bool(l, dtype_is_int(t));
    if (strcmp(name, "promote") != 0) return type_limit(l, span, name, t);
    DType both = promoted(t, args[1].dtype);
    if (both) return type_thing(both);
    lower_error(l, DIAG_WRONG_TYPE, span, "%s and %s have no common type", dtype_info[t].name,
                dtype_info[args[1].dtype].name);
    return thing_poison();
}
