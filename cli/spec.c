// SPEC: what stands behind NAME= in -i.
//
//     @a.npy                    an array from a file
//     8x16xbf16=@a.npy          with its shape and type stated; the file may hold the bits as <u2
//     8x16xf32=zeros            made up: zeros ones full(v) iota rand randn randint permutation
//     partition, 8x16xf32=randn(seed=7)    with seed, lo, hi as arguments 4xi32=1 2 3 4 listed 3.5
//     a scalar
#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"

// Random elements beyond this prime number of them repeat: making each takes 30 ns.
enum { RANK_MAX = 8, PERIOD = 15485863 };

bool scalar_parse(const char *text, Scalar *scalar)
{
    *scalar = (Scalar){.given = true};
    if (strcmp(text, "true") == 0 || strcmp(text, "false") == 0) {
        scalar->whole = true;
        scalar->integer = *text == 't';
        scalar->number = (double)scalar->integer;
        return true;
    }
    char *end;
    errno = 0;
    scalar->integer = strtoll(text, &end, 0);
    scalar->whole = end != text && *end == 0 && errno == 0;
    if (scalar->whole) {
        scalar->number = (double)scalar->integer;
        return true;
    }
    scalar->number = strtod(text, &end);
    return end != text && *end == 0;
}

// "8x16xf32" up to '=' or the end. False if it is not of that form.
static bool parse_type(const char *text, size_t length, DLDataType *dtype, int32_t *ndim,
                       int64_t *shape)
{
    *ndim = 0;
    const char *at = text, *end = text + length;
    while (at < end && isdigit((unsigned char)*at)) {
        char *next;
        errno = 0;
        long long size = strtoll(at, &next, 10);
        if (errno || next >= end || *next != 'x' || *ndim == RANK_MAX) return false;
        shape[(*ndim)++] = size;
        at = next + 1;
    }
    char name[32];
    if (end - at <= 0 || end - at >= (ptrdiff_t)sizeof name) return false;
    memcpy(name, at, (size_t)(end - at));
    name[end - at] = 0;
    return hk_dtype_named(name, dtype);
}

// ---- generators: a value depends on the seed and the element's number alone

static uint64_t mix(uint64_t x)
{
    x += 0x9e3779b97f4a7c15u;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

static double uniform(uint64_t seed, uint64_t i) // [0, 1)
{
    return (double)(mix(mix(seed) ^ (i * 0xd1342543de82ef95u)) >> 11) * 0x1p-53;
}

static double normal(uint64_t seed, uint64_t i) // Box-Muller
{
    double u = 1 - uniform(seed, 2 * i), v = uniform(seed, 2 * i + 1);
    return sqrt(-2 * log(u)) * cos(6.283185307179586 * v);
}

typedef struct Generator {
    char kind[24];
    uint64_t seed;
    double lo, hi;
    bool has_range;
} Generator;

static bool argument_value(const char *text, const hk_dim *dims, size_t dim_count, double *value)
{
    for (size_t i = 0; i < dim_count; i++) {
        if (strcmp(dims[i].name, text) == 0) {
            *value = (double)dims[i].value;
            return true;
        }
    }
    char *end;
    *value = strtod(text, &end);
    return end != text && *end == 0;
}

// "randn(seed=7)", "randint(0, V)", "iota". False if malformed.
static bool parse_generator(const char *text, const hk_dim *dims, size_t dim_count, Generator *g)
{
    *g = (Generator){.hi = 1};
    size_t n = strcspn(text, "( ");
    if (n == 0 || n >= sizeof g->kind) return false;
    memcpy(g->kind, text, n);
    const char *at = text + n;
    while (*at == ' ') at++;
    if (*at == 0) return true;
    if (*at++ != '(') return false;
    for (int position = 0; *at && *at != ')'; position++) {
        size_t length = strcspn(at, ",)");
        char word[64] = "";
        size_t k = 0;
        for (size_t i = 0; i < length && k + 1 < sizeof word; i++) {
            if (!isspace((unsigned char)at[i])) word[k++] = at[i];
        }
        char *equals = strchr(word, '=');
        double value;
        if (!argument_value(equals ? equals + 1 : word, dims, dim_count, &value)) return false;
        bool low = equals ? strncmp(word, "lo=", 3) == 0 : position == 0;
        if (equals && strncmp(word, "seed=", 5) == 0) {
            g->seed = (uint64_t)value;
        } else if (low || (equals ? strncmp(word, "hi=", 3) == 0 : position == 1)) {
            *(low ? &g->lo : &g->hi) = value;
            g->has_range = true;
        } else {
            return false;
        }
        at += length + (at[length] == ',');
    }
    return *at == ')' && at[1] == 0;
}

static void fill_permutation(const Generator *g, Array *array, int64_t count)
{
    int64_t *order = must_alloc(sizeof(int64_t) * (size_t)(count + 1)), index[RANK_MAX] = {0};
    for (int64_t i = 0; i < count; i++) order[i] = i;
    for (int64_t i = count - 1; i > 0; i--) {
        int64_t k = (int64_t)(uniform(g->seed, (uint64_t)i) * (double)(i + 1)), t = order[i];
        order[i] = order[k];
        order[k] = t;
    }
    int64_t i = 0;
    do array_set_int(array, index, order[i++]);
    while (array_next(array, index));
    free(order);
}

// Ascending from 0 to hi with uneven steps.
static void fill_partition(const Generator *g, Array *array, int64_t count)
{
    int64_t index[RANK_MAX] = {0}, i = 0;
    do {
        double share = count > 1 ? (double)i / (double)(count - 1) : 1;
        double shift =
            i == 0 || i == count - 1 ? 0 : (uniform(g->seed, (uint64_t)i) - 0.5) / (double)count;
        array_set_int(array, index, i == 0 ? 0 : (int64_t)(g->hi * (share + shift)));
        i++;
    } while (array_next(array, index));
}

// Of each element, in row-major order. Large arrays take their time: the kind is looked at once.
static void fill_each(const Generator *g, Array *array, int64_t count)
{
    bool is_float = dtype_is_float(array->tensor.dtype), has = g->has_range;
    bool normals = strcmp(g->kind, "randn") == 0, counts = strcmp(g->kind, "iota") == 0;
    bool integers = strcmp(g->kind, "randint") == 0, uniforms = strcmp(g->kind, "rand") == 0;
    integers = integers || (!is_float && uniforms);
    double lo = g->lo, hi = integers && !has ? 10 : g->hi;
    double same = strcmp(g->kind, "ones") == 0 ? 1 : lo;
    bool compact = array->tensor.dtype.bits >= 8; // narrower ones' lines are padded
    bool repeats = compact && count > PERIOD && (normals || integers || uniforms);
    int64_t index[RANK_MAX] = {0}, made = repeats ? PERIOD : count;
    for (int64_t i = 0; i < made; i++) {
        double value = normals    ? normal(g->seed, (uint64_t)i)
                       : counts   ? (double)i
                       : integers ? floor(lo + uniform(g->seed, (uint64_t)i) * (hi - lo))
                       : uniforms ? lo + uniform(g->seed, (uint64_t)i) * (hi - lo)
                                  : same;
        if (compact) {
            hk_element_set(array->tensor.dtype, array->memory, i, value);
        } else {
            array_set(array, index, value);
            array_next(array, index);
        }
    }
    char *data = array->memory;
    int64_t bytes = array->tensor.dtype.bits / 8;
    for (int64_t i = made; i < count; i += made)
        memcpy(data + i * bytes, data, (size_t)((count - i < made ? count - i : made) * bytes));
}

int array_generate(const char *name, const char *text, const hk_dim *dims, size_t dim_count,
                   Array *array)
{
    static const char *const kinds =
        " zeros ones full iota rand randn randint permutation partition ";
    Generator g;
    bool ok = parse_generator(text, dims, dim_count, &g);
    char *word = must_format(" %s ", g.kind);
    ok = ok && strstr(kinds, word) != NULL;
    free(word);
    if (!ok)
        return usage_error("-i %s: '%s' is none of: zeros ones full(V) iota rand randn randint "
                           "permutation partition, with (seed=N, lo=A, hi=B)",
                           name, text);
    int64_t count = array_elements(array);
    if (count == 0 || strcmp(g.kind, "zeros") == 0) return 0; // arrays begin as zeros
    if (strcmp(g.kind, "permutation") == 0) {
        fill_permutation(&g, array, count);
    } else if (strcmp(g.kind, "partition") == 0) {
        fill_partition(&g, array, count);
    } else {
        fill_each(&g, array, count);
    }
    return 0;
}

// ---- listed values and files

static int fill_listed(const char *name, const char *text, Array *array)
{
    int64_t count = array_elements(array), given = 0, index[RANK_MAX] = {0};
    for (const char *at = text; *at;) {
        size_t n = strcspn(at, " ,\t\n");
        if (n == 0) {
            at++;
            continue;
        }
        char *word = must_format("%.*s", (int)n, at);
        Scalar value;
        bool ok = scalar_parse(word, &value);
        if (!ok) usage_error("-i %s: '%s' is not a number", name, word);
        free(word);
        if (!ok) return EXIT_USAGE;
        if (given < count) {
            if (value.whole && !dtype_is_float(array->tensor.dtype))
                array_set_int(array, index, value.integer);
            else
                array_set(array, index, value.number);
            array_next(array, index);
        }
        given++;
        at += n;
    }
    if (given == count) return 0;
    return usage_error("-i %s: %lld values are listed; the shape has %lld", name, (long long)given,
                       (long long)count);
}

// The file's bits taken as another type of the same width, or packed lines of bytes.
static int reinterpret(const char *name, const char *path, DLDataType dtype, int32_t ndim,
                       const int64_t *shape, Array *array)
{
    DLDataType have = array->tensor.dtype;
    char want_text[160], have_text[160];
    shape_print(want_text, sizeof want_text, ndim, shape);
    shape_print(have_text, sizeof have_text, array->tensor.ndim, array->shape);
    bool same = have.code == dtype.code && have.bits == dtype.bits;
    bool packed = dtype.bits < 8 && have.bits == 8 && have.code == kDLUInt;
    bool bits = have.bits == dtype.bits && (have.code == kDLUInt || have.code == kDLInt);
    int64_t line = ndim && packed ? (shape[ndim - 1] * dtype.bits + 7) / 8
                   : ndim         ? shape[ndim - 1]
                                  : 1;
    bool fits = array->tensor.ndim == ndim;
    for (int32_t i = 0; fits && i < ndim; i++)
        fits = array->shape[i] == (i + 1 == ndim ? line : shape[i]);
    if (!fits || !(same || bits || packed)) {
        return usage_error("-i %s: %s holds %s%s%s, not %s%s%s", name, path, have_text,
                           array->tensor.ndim ? "x" : "", hk_dtype_name(have), want_text,
                           ndim ? "x" : "", hk_dtype_name(dtype));
    }
    if (packed) { // lines of bytes to lines of elements; a copy is compact
        Array bytes = *array;
        if (!array_copy(array, &bytes)) return io_error("-i %s: out of memory", name);
        array_free(&bytes);
        Array typed;
        if (!array_init(&typed, dtype, ndim, shape)) return io_error("-i %s: out of memory", name);
        memcpy(typed.memory, array->memory, array_bytes(&typed));
        array_free(array);
        *array = typed;
    }
    array->tensor.dtype = dtype;
    return 0;
}

int spec_parse(const char *name, const char *spec, Array *array, Scalar *scalar)
{
    *array = (Array){0};
    *scalar = (Scalar){0};
    if (*spec == '@') return npy_read(spec + 1, array);
    const char *equals = strchr(spec, '=');
    DLDataType dtype;
    int32_t ndim;
    int64_t shape[RANK_MAX];
    if (!equals || !parse_type(spec, (size_t)(equals - spec), &dtype, &ndim, shape)) {
        if (!equals && scalar_parse(spec, scalar)) return 0;
        *scalar = (Scalar){0};
        return usage_error("-i %s: '%s' is not a SPEC: @a.npy, 8x16xf32=@a.npy, "
                           "8x16xf32=zeros|iota|rand|randn(seed=7), "
                           "4xi32=1 2 3 4, or a number",
                           name, spec);
    }
    const char *value = equals + 1;
    if (*value == '@') {
        int code = npy_read(value + 1, array);
        return code ? code : reinterpret(name, value + 1, dtype, ndim, shape, array);
    }
    if (!array_init(array, dtype, ndim, shape)) {
        return io_error("-i %s: an array of %.*s does not fit in memory", name,
                        (int)(equals - spec), spec);
    }
    bool listed = isdigit((unsigned char)*value) || strchr("-+. ", *value) ||
                  strncmp(value, "true", 4) == 0 || strncmp(value, "false", 5) == 0 ||
                  strncmp(value, "nan", 3) == 0 || strncmp(value, "inf", 3) == 0;
    return listed ? fill_listed(name, value, array) : array_generate(name, value, NULL, 0, array);
}
