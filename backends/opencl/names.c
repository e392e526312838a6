// Makes identifiers. "x" -> "x", then "x_2"; "exp" -> "exp_2" since OpenCL C owns exp; "" -> "v".
#include "backends/opencl/names.h"

#include <stdlib.h>
#include <string.h>

// clang-format off
// Sorted. Words with a taken prefix and vector types are recognised below.
static const char *const reserved[] = {
    "EOF", "HUGE_VAL", "HUGE_VALF", "INFINITY", "MAXFLOAT", "NAN", "NULL", "abs", "abs_diff",
    "acos", "acosh", "acospi", "add_sat", "all", "any", "asin", "asinh", "asinpi", "asm",
    "atan", "atan2", "atan2pi", "atanh", "atanpi", "auto", "barrier", "bitselect", "bool",
    "break", "case", "cbrt", "ceil", "char", "clamp", "clz", "complex", "const", "constant",
    "continue", "copysign", "cos", "cosh", "cospi", "cross", "ctz", "default", "defined",
    "degrees", "distance", "do", "dot", "double", "else", "enum", "erf", "erfc", "event_t",
    "exp", "exp10", "exp2", "expm1", "extern", "fabs", "false", "fast_distance", "fast_length",
    "fast_normalize", "fdim", "float", "floor", "fma", "fmax", "fmin", "fmod", "for", "fract",
    "frexp", "generic", "global", "goto", "hadd", "half", "hypot", "if", "ilogb", "image1d_t",
    "image2d_t", "image3d_t", "imaginary", "inline", "int", "isequal", "isfinite", "isgreater",
    "isgreaterequal", "isinf", "isless", "islessequal", "islessgreater", "isnan", "isnormal",
    "isnotequal", "isordered", "isunordered", "kernel", "ldexp", "length", "lgamma", "lgamma_r",
    "local", "log", "log10", "log1p", "log2", "logb", "long", "mad", "mad24", "mad_hi",
    "mad_sat", "main", "max", "maxmag", "mem_fence", "min", "minmag", "mix", "modf", "mul24",
    "mul_hi", "nan", "nextafter", "normalize", "pipe", "popcount", "pow", "pown", "powr",
    "prefetch", "printf", "private", "quad", "radians", "register", "remainder", "remquo",
    "restrict", "return", "rhadd", "rint", "rootn", "rotate", "round", "rsqrt", "sampler_t",
    "select", "short", "shuffle", "shuffle2", "sign", "signbit", "signed", "sin", "sincos",
    "sinh", "sinpi", "size_t", "sizeof", "smoothstep", "sqrt", "static", "step", "struct",
    "sub_sat", "switch", "tan", "tanh", "tanpi", "tgamma", "true", "trunc", "typedef", "typeof",
    "uchar", "uint", "ulong", "uniform", "union", "unsigned", "upsample", "ushort", "vec_step",
    "void", "volatile", "wait_group_events", "while"};

static const char *const taken_prefixes[] = {
    "_", "hk_", "image1d", "image2d", "image3d", "as_", "convert_", "vload", "vstore", "atom",
    "get_", "native_", "half_", "read_", "write_", "async_", "cl_", "CL", "sub_", "work_", "M_",
    "FLT_", "DBL_", "HALF_", "FP_", "CHAR_", "INT_", "LONG_", "SCHAR_", "SHRT_", "UCHAR_",
    "UINT_", "ULONG_", "USHRT_", "intel_", "ndrange", "memory_", "POCL_",
    "LLVM_", "IMG_", "INTTYPE"};

static const char *const vector_bases[] = {
    "char", "uchar", "short", "ushort", "int", "uint", "long", "ulong", "float", "double",
    "half", "bool"};
// clang-format on

static int compare_word(const void *key, const void *element)
{
    return strcmp(key, *(const char *const *)element);
}

static bool is_vector_type(Str s)
{
    for (size_t i = 0; i < sizeof vector_bases / sizeof *vector_bases; i++) {
        size_t n = strlen(vector_bases[i]);
        if (s.length <= n || strncmp(s.data, vector_bases[i], n) != 0) continue;
        size_t k = n;
        while (k < s.length && s.data[k] >= '0' && s.data[k] <= '9') k++;
        if (k == s.length) return true;
    }
    return false;
}

// `s` is zero-terminated.
static bool is_reserved(Str s)
{
    if (bsearch(s.data, reserved, sizeof reserved / sizeof *reserved, sizeof *reserved,
                compare_word)) {
        return true;
    }
    for (size_t i = 0; i < sizeof taken_prefixes / sizeof *taken_prefixes; i++) {
        if (strncmp(s.data, taken_prefixes[i], strlen(taken_prefixes[i])) == 0) return true;
    }
    return is_vector_type(s);
}

Str ocl_name_clean(Arena *arena, Str wanted)
{
    if (!wanted.length) return STR("v");
    Buf buf = {.arena = arena};
    for (size_t i = 0; i < wanted.length && i < 40; i++) {
        char c = wanted.data[i];
        bool is_letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
        bool is_digit = c >= '0' && c <= '9';
        if (i == 0 && is_digit) buf_char(&buf, 'v');
        buf_char(&buf, is_letter || is_digit ? c : '_');
    }
    return buf_view(&buf);
}

static NameEntry *find(Names *names, Str text)
{
    uint32_t at = (uint32_t)str_hash(text) & (names->capacity - 1);
    while (names->entries[at].text.length && !str_equal(names->entries[at].text, text)) {
        at = (at + 1) & (names->capacity - 1);
    }
    return &names->entries[at];
}

static void grow(Names *names)
{
    NameEntry *old = names->entries;
    uint32_t old_capacity = names->capacity;
    names->capacity = old_capacity ? old_capacity * 2 : 64;
    names->entries = arena_array(names->arena, NameEntry, names->capacity);
    for (uint32_t i = 0; i < old_capacity; i++) {
        if (old[i].text.length) *find(names, old[i].text) = old[i];
    }
}

static bool take(Names *names, Str text)
{
    if (names->count * 2 >= names->capacity) grow(names);
    NameEntry *entry = find(names, text);
    if (entry->text.length) return false;
    *entry = (NameEntry){.text = text, .next = 2};
    names->count++;
    return true;
}

Str ocl_names_make(Names *names, Str wanted)
{
    Str base = ocl_name_clean(names->arena, wanted);
    if (take(names, base) && !is_reserved(base)) return base;
    for (;;) {
        uint32_t suffix = find(names, base)->next++;
        Str text = str_format(names->arena, "%.*s_%u", STR_ARG(base), suffix);
        if (!take(names, text)) continue;
        if (!is_reserved(text)) return text;
        base = str_format(names->arena, "v_%.*s", STR_ARG(base));
        if (take(names, base)) return base;
    }
}
