/* SPECs of arguments on the command line; see array.h.
       "8x16xf32=randn(seed=7)" -> an array of 8 x 16;  "3.5" -> a scalar that keeps its text */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "cli/array_error.h"

typedef struct Shape {
    DLDataType dtype;
    int32_t ndim;
    int64_t sizes[ARRAY_RANK_MAX];
} Shape;

/* "8x16xf32" or "f32" (rank 0), up to `length` characters. */
static bool parse_shape(const char *text, size_t length, Shape *shape, ArrayError *error)
{
    *shape = (Shape){.ndim = 0};
    const char *at = text, *end = text + length;
    while (at < end && isdigit((unsigned char)*at)) {
        char *after;
        long long size = strtoll(at, &after, 10);
        if (after >= end || *after != 'x' || shape->ndim == ARRAY_RANK_MAX || size < 0 || after - at > 18) {
            array_fail(error, 2, "'%.*s' is no shape: write sizes and a dtype, as 8x16xf32", (int)length, text);
            return false;
        }
        shape->sizes[shape->ndim++] = size;
        at = after + 1;
    }
    char name[16] = {0};
    size_t n = (size_t)(end - at);
    if (n < sizeof name) memcpy(name, at, n);
    if (n == 0 || n >= sizeof name || !hk_dtype_named(name, &shape->dtype)) {
        array_fail(error, 2, "'%.*s' has no dtype that is known: write sizes and a dtype, as 8x16xf32", (int)length,
                   text);
        return false;
    }
    return true;
}

static bool fill_list(Array *array, const char *text, ArrayError *error)
{
    int64_t count = array_count(array), at = 0;
    for (;;) {
        text += strspn(text, " ,\t");
        if (!*text) break;
        char *end;
        double value = strtod(text, &end);
        bool is_true = strncmp(text, "true", 4) == 0, is_false = strncmp(text, "false", 5) == 0;
        if (is_true || is_false) value = is_true, end = (char *)text + (is_true ? 4 : 5);
        if (end == text) {
            array_fail(error, 2, "'%s' is no number", text);
            return false;
        }
        if (at < count) {
            int64_t exact = array->tensor.dtype.code == kDLInt ? strtoll(text, NULL, 0) : 0;
            hk_element_set(array->tensor.dtype, array->memory, at, exact ? (double)exact : value);
            if (array->tensor.dtype.code == kDLInt && array->tensor.dtype.bits == 64)
                ((int64_t *)array->memory)[at] = exact;
        }
        at++;
        text = end;
    }
    if (at == count) return true;
    array_fail(error, 2, "%lld values are listed for %lld elements", (long long)at, (long long)count);
    return false;
}

static bool same_shape(const Shape *shape, const Array *array)
{
    if (shape->ndim != array->tensor.ndim) return false;
    for (int32_t k = 0; k < shape->ndim; k++)
        if (shape->sizes[k] != array->shape[k]) return false;
    return true;
}

static bool from_file(const char *path, const Shape *shape, Array *array, ArrayError *error)
{
    if (!npy_read(path, shape ? shape->dtype : (DLDataType){0, 0, 0}, array, error)) return false;
    if (!shape || same_shape(shape, array)) return true;
    array_fail(error, 1, "%s has another shape than the SPEC says", path);
    array_free(array);
    return false;
}

bool spec_parse(const char *spec, Array *array, ArrayError *error)
{
    *error = (ArrayError){0};
    *array = (Array){.is_scalar = false};
    if (spec[0] == '@') return from_file(spec + 1, NULL, array, error);
    const char *equals = strchr(spec, '=');
    char *end;
    strtod(spec, &end);
    bool number = end != spec && *end == 0;
    if (number || strcmp(spec, "true") == 0 || strcmp(spec, "false") == 0) {
        array->is_scalar = true;
        array->text = spec;
        return true;
    }
    if (!equals) {
        array_fail(error, 2, "'%s' is no SPEC: write @a.npy, 8x16xf32=@a.npy, 8x16xf32=randn(seed=1), 4xi32=1 2 3 4 or a number",
                   spec);
        return false;
    }
    Shape shape;
    if (!parse_shape(spec, (size_t)(equals - spec), &shape, error)) return false;
    const char *value = equals + 1;
    if (value[0] == '@') return from_file(value + 1, &shape, array, error);
    if (!array_alloc(array, shape.dtype, shape.ndim, shape.sizes, error)) return false;
    bool list = value[0] == 0 || isdigit((unsigned char)value[0]) || strchr("-+. ", value[0])
             || strncmp(value, "inf", 3) == 0 || strncmp(value, "nan", 3) == 0 || strncmp(value, "true", 4) == 0
             || strncmp(value, "false", 5) == 0;
    if (list ? fill_list(array, value, error) : array_generate(array, value, error)) return true;
    array_free(array);
    return false;
}
