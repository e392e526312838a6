// Expands the templates of helpers.def: HELPER_MAX for f32x4 -> "static float4 hk_max_f32x4(float4
// a, ...".
#include "backends/opencl/helpers.h"

#include <string.h>

typedef struct HelperInfo {
    const char *name, *text;
    Helper before;
} HelperInfo;

static const HelperInfo infos[HELPER_COUNT] = {
#define HELPER(id, name, before, text) [HELPER_##id] = {name, text, HELPER_##before},
#include "backends/opencl/helpers.def"
};

// One function for each dtype, not only for each number of lanes.
static bool has_dtype(Helper helper)
{
    return helper <= HELPER_CLAMP;
}

static Str with_lanes(Arena *arena, const char *element, unsigned lanes)
{
    return lanes > 1 ? str_format(arena, "%s%u", element, lanes) : str_of(element);
}

static const char *element_register(DType t)
{
    switch (t) {
    case DTYPE_BOOL: return "bool";
    case DTYPE_I32: return "int";
    case DTYPE_I64: return "long";
    case DTYPE_F32: return "float";
    case DTYPE_F64: return "double";
    case DTYPE_F16:
    case DTYPE_BF16:
    case DTYPE_U16: return "ushort";
    case DTYPE_I8: return "char";
    case DTYPE_I16: return "short";
    case DTYPE_U32: return "uint";
    case DTYPE_F8E4M3:
    case DTYPE_F8E5M2:
    case DTYPE_F4E2M1:
    case DTYPE_U8:
    case DTYPE_I4:
    case DTYPE_U4: return "uchar";
    case DTYPE_NONE:
    case DTYPE_COUNT: break;
    }
    return "void";
}

Str ocl_ctype_register(Arena *arena, Type type)
{
    if (type.dtype == DTYPE_BOOL && type.lanes > 1) return with_lanes(arena, "int", type.lanes);
    return with_lanes(arena, element_register((DType)type.dtype), type.lanes);
}

const char *ocl_ctype_memory(DType t)
{
    if (t == DTYPE_BOOL) return "uchar";
    if (t == DTYPE_F16) return "half";
    return element_register(t);
}

// What `$c` stands for, empty if it is none of the letters.
static Str expand(Arena *arena, char c, Str name, Type type)
{
    const bool wide = dtype_info[type.dtype].bits == 64;
    switch (c) {
    case 'N': return name;
    case 'T': return ocl_ctype_register(arena, type);
    case 'S': return str_of(element_register((DType)type.dtype));
    case 'I': return with_lanes(arena, wide ? "long" : "int", type.lanes);
    case 'U': return with_lanes(arena, wide ? "ulong" : "uint", type.lanes);
    case 'F': return with_lanes(arena, "float", type.lanes);
    case 'D': return with_lanes(arena, "double", type.lanes);
    case 'J': return with_lanes(arena, "int", type.lanes);
    case 'K': return with_lanes(arena, "uint", type.lanes);
    case 'L': return with_lanes(arena, "long", type.lanes);
    case 'V': return with_lanes(arena, "ulong", type.lanes);
    case 'H': return with_lanes(arena, "ushort", type.lanes);
    case 'B': return with_lanes(arena, "uchar", type.lanes);
    case 'n': return with_lanes(arena, "", type.lanes);
    case 't':
        return str_format(arena, type.lanes > 1 ? "%sx%u" : "%s", dtype_info[type.dtype].name,
                          type.lanes);
    case 'x': return type.lanes > 1 ? str_format(arena, "x%u", type.lanes) : STR("");
    }
    return STR("");
}

bool ocl_helper_add(Helpers *helpers, Str name)
{
    for (uint32_t i = 0; i < helpers->have.count; i++) {
        if (str_equal(helpers->have.data[i], name)) return false;
    }
    vec_push(helpers->arena, &helpers->have, name);
    return true;
}

Str ocl_helper_need(Helpers *helpers, Helper helper, Type type)
{
    const HelperInfo *info = &infos[helper];
    Str lanes = expand(helpers->arena, 'x', (Str){0}, type);
    Str name = has_dtype(helper) ? str_format(helpers->arena, "%s_%s%.*s", info->name,
                                              dtype_info[type.dtype].name, STR_ARG(lanes))
                                 : str_format(helpers->arena, "%s%.*s", info->name, STR_ARG(lanes));
    if (!ocl_helper_add(helpers, name)) return name;
    if (info->before != HELPER_NONE) ocl_helper_need(helpers, info->before, type);
    for (const char *s = info->text; *s; s++) {
        if (*s != '$') {
            buf_char(&helpers->text, *s);
            continue;
        }
        buf_str(&helpers->text, expand(helpers->arena, *++s, name, type));
    }
    buf_char(&helpers->text, '\n');
    return name;
}
