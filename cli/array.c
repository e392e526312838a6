/* Arrays that own their memory, and generators of test data; see array.h. */
#include "cli/array.h"

#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "cli/array_error.h"

void array_fail(ArrayError *error, int exit_code, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    error->exit_code = exit_code;
    vsnprintf(error->message, sizeof error->message, format, args);
    va_end(args);
}

static bool count_elements(int32_t ndim, const int64_t *shape, int64_t *count)
{
    *count = 1;
    bool empty = false;
    for (int32_t k = 0; k < ndim; k++) {
        if (shape[k] < 0) return false;
        if (shape[k] == 0) empty = true;
        else if (__builtin_mul_overflow(*count, shape[k], count)) return false;
    }
    if (empty) *count = 0;
    return true;
}

static bool count_bytes(DLDataType dtype, int32_t ndim, const int64_t *shape, size_t *bytes)
{
    int64_t count, bits;
    if (!count_elements(ndim, shape, &count)) return false;
    if (dtype.bits < 8) { /* lines are padded to bytes */
        int64_t last = ndim ? shape[ndim - 1] : 1, lines = last ? count / last : 0;
        *bytes = (size_t)(lines * ((last * dtype.bits + 7) / 8));
        return true;
    }
    if (__builtin_mul_overflow(count, dtype.bits, &bits) || bits / 8 > ((int64_t)1 << 46)) return false;
    *bytes = (size_t)(bits / 8);
    return true;
}

bool array_alloc(Array *array, DLDataType dtype, int32_t ndim, const int64_t *shape, ArrayError *error)
{
    *array = (Array){.is_scalar = false};
    if (ndim > ARRAY_RANK_MAX) {
        array_fail(error, 1, "%d dimensions, but at most %d are supported", ndim, ARRAY_RANK_MAX);
        return false;
    }
    if (!count_bytes(dtype, ndim, shape, &array->bytes)) {
        array_fail(error, 1, "the product of the sizes is too large");
        return false;
    }
    size_t rounded = (array->bytes + 127) / 64 * 64;
    array->memory = aligned_alloc(64, rounded);
    if (!array->memory) {
        array_fail(error, 3, "no memory for %zu bytes", array->bytes);
        return false;
    }
    memset(array->memory, 0, rounded);
    int64_t stride = 1;
    for (int32_t k = ndim; k-- > 0;) {
        array->shape[k] = shape[k];
        array->strides[k] = stride;
        stride *= shape[k] > 0 ? shape[k] : 1;
    }
    array->tensor = (DLTensor){.data = array->memory, .device = {kDLCPU, 0}, .ndim = ndim, .dtype = dtype};
    return true;
}

void array_free(Array *array)
{
    free(array->memory);
    array->memory = NULL;
}

int64_t array_count(const Array *array)
{
    int64_t count = 0;
    return count_elements(array->tensor.ndim, array->shape, &count) ? count : 0;
}

/* Sub-byte lines start at whole bytes, so an element is found by its line and its place in it. */
static const char *place_of(const Array *array, int64_t flat, int64_t *index)
{
    const DLTensor *t = &array->tensor;
    const char *data = (const char *)t->data + t->byte_offset;
    if (t->dtype.bits < 8) {
        int64_t last = t->ndim ? array->shape[t->ndim - 1] : 1;
        *index = flat % last;
        return data + flat / last * ((last * t->dtype.bits + 7) / 8);
    }
    *index = 0;
    for (int32_t k = t->ndim; k-- > 0;) {
        *index += flat % array->shape[k] * array->strides[k];
        flat /= array->shape[k];
    }
    return data;
}

double array_get(const Array *array, int64_t flat)
{
    int64_t index;
    const char *line = place_of(array, flat, &index);
    return hk_element_get(array->tensor.dtype, line, index);
}

static void set_flat(Array *array, int64_t flat, double value)
{
    int64_t index;
    const char *line = place_of(array, flat, &index);
    hk_element_set(array->tensor.dtype, (char *)array->memory + (line - (const char *)array->memory), index, value);
}

/* SplitMix64: small, and the same numbers everywhere. */
static uint64_t next_random(uint64_t *state)
{
    uint64_t z = (*state += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static double uniform(uint64_t *state)
{
    return (double)(next_random(state) >> 11) * 0x1p-53;
}

static double normal(uint64_t *state)
{
    double u = uniform(state), v = uniform(state);
    return sqrt(-2 * log(1 - u)) * cos(6.283185307179586 * v);
}

typedef struct Generator {
    char name[16];
    double numbers[2];
    int number_count;
    uint64_t seed;
} Generator;

static bool parse_generator(const char *text, Generator *g)
{
    *g = (Generator){.seed = 0};
    size_t n = strspn(text, "abcdefghijklmnopqrstuvwxyz");
    if (n == 0 || n >= sizeof g->name) return false;
    memcpy(g->name, text, n);
    text += n;
    if (*text == 0) return true;
    if (*text++ != '(') return false;
    while (*text && *text != ')') {
        char *end;
        text += strspn(text, " ,");
        if (strncmp(text, "seed", 4) == 0) {
            text += 4 + strspn(text + 4, " =");
            g->seed = strtoull(text, &end, 10);
        } else {
            if (g->number_count == 2) return false;
            text += strncmp(text, "lo=", 3) == 0 || strncmp(text, "hi=", 3) == 0 ? 3 : 0;
            g->numbers[g->number_count++] = strtod(text, &end);
        }
        if (end == text) return false;
        text = end + strspn(end, " ");
    }
    return text[0] == ')' && text[1] == 0;
}

static double draw(const Generator *g, int64_t index, uint64_t *state)
{
    double lo = g->number_count > 0 ? g->numbers[0] : 0, hi = g->number_count > 1 ? g->numbers[1] : 1;
    if (g->number_count == 1) lo = 0, hi = g->numbers[0];
    if (strcmp(g->name, "ones") == 0) return 1;
    if (strcmp(g->name, "iota") == 0) return (double)index;
    if (strcmp(g->name, "rand") == 0) return lo + (hi - lo) * uniform(state);
    if (strcmp(g->name, "randn") == 0) return normal(state);
    if (strcmp(g->name, "randint") == 0) return floor(lo + (hi - lo) * uniform(state));
    return 0;
}

bool array_generate(Array *array, const char *generator, ArrayError *error)
{
    static const char *const names[] = {"zeros", "ones", "iota", "rand", "randn", "randint"};
    Generator g;
    bool known = false;
    if (parse_generator(generator, &g))
        for (size_t k = 0; k < sizeof names / sizeof *names; k++) known |= strcmp(names[k], g.name) == 0;
    if (!known) {
        array_fail(error, 2, "'%s' is no generator: zeros, ones, iota, rand, randn(seed=7), randint(lo, hi)", generator);
        return false;
    }
    uint64_t state = g.seed * 0x2545f4914f6cdd1du + 1;
    int64_t count = array_count(array);
    for (int64_t i = 0; i < count; i++) set_flat(array, i, draw(&g, i, &state));
    return true;
}
