// Arrays that the program owns: a DLTensor and its memory.
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "cli/cli.h"

static int64_t per_byte(DLDataType dtype)
{
    return dtype.bits < 8 ? 8 / dtype.bits : 1;
}

// Lines of sub-byte elements are padded to bytes.
static int64_t line_elements(DLDataType dtype, int64_t count)
{
    int64_t n = per_byte(dtype);
    return (count + n - 1) / n * n;
}

// Large memory lies on huge pages: small ones cost up to half of the memory's speed.
void *memory_new(size_t bytes)
{
    const size_t huge = (size_t)2 << 20;
    size_t unit = bytes >= huge ? huge : 64;
    size_t whole = (bytes + unit) / unit * unit;
    void *data = aligned_alloc(unit, whole);
    if (data && unit == huge) (void)madvise(data, whole, MADV_HUGEPAGE); // no more than advice
    if (data) memset(data, 0, bytes);
    return data;
}

bool array_init(Array *array, DLDataType dtype, int32_t ndim, const int64_t *shape)
{
    *array = (Array){0};
    int64_t elements = 1, bytes;
    bool empty = false;
    for (int32_t i = ndim; i-- > 0;) {
        if (shape[i] < 0 || shape[i] > INT64_MAX / 16) return false;
        array->shape[i] = shape[i];
        array->strides[i] = elements;
        int64_t size = i + 1 == ndim ? line_elements(dtype, shape[i]) : shape[i];
        if (size == 0)
            empty = true;
        else if (__builtin_mul_overflow(elements, size, &elements))
            return false;
    }
    if (__builtin_mul_overflow(elements, (int64_t)dtype.bits, &bytes)) return false;
    size_t want = empty ? 64 : (size_t)(bytes + 7) / 8;
    want = (want + 127) / 64 * 64;
    array->memory = memory_new(want);
    if (!array->memory) return false;
    array->tensor = (DLTensor){.data = array->memory,
                               .device = {kDLCPU, 0},
                               .ndim = ndim,
                               .dtype = dtype,
                               .shape = NULL,
                               .strides = NULL};
    return true;
}

void array_free(Array *array)
{
    free(array->memory);
    array->memory = NULL;
}

// The tensor's pointers are set late because an Array may be moved.
DLTensor *array_tensor(Array *array)
{
    array->tensor.shape = array->shape;
    array->tensor.strides = array->strides;
    return &array->tensor;
}

int64_t array_elements(const Array *array)
{
    int64_t n = 1;
    for (int32_t i = 0; i < array->tensor.ndim; i++) n *= array->shape[i];
    return n;
}

size_t array_bytes(const Array *array)
{
    int64_t n = 1;
    for (int32_t i = 0; i < array->tensor.ndim; i++) {
        n *= i + 1 == array->tensor.ndim ? line_elements(array->tensor.dtype, array->shape[i])
                                         : array->shape[i];
    }
    return (size_t)(n * array->tensor.dtype.bits + 7) / 8;
}

static int64_t offset_of(const Array *array, const int64_t *index)
{
    int64_t offset = 0;
    for (int32_t i = 0; i < array->tensor.ndim; i++) offset += index[i] * array->strides[i];
    return offset;
}

bool array_next(const Array *array, int64_t *index)
{
    int32_t p = array->tensor.ndim;
    while (p > 0 && ++index[p - 1] == array->shape[p - 1]) index[--p] = 0;
    return p > 0;
}

bool array_copy(Array *to, const Array *from)
{
    if (!array_init(to, from->tensor.dtype, from->tensor.ndim, from->shape)) return false;
    int64_t index[8] = {0};
    if (array_elements(from) == 0) return true;
    bool whole = from->tensor.dtype.bits >= 8;
    size_t bytes = from->tensor.dtype.bits / 8;
    do {
        int64_t a = offset_of(to, index), b = offset_of(from, index);
        if (whole)
            memcpy((char *)to->memory + a * (int64_t)bytes,
                   (char *)from->memory + b * (int64_t)bytes, bytes);
        else
            hk_element_set(to->tensor.dtype, to->memory, a,
                           hk_element_get(from->tensor.dtype, from->memory, b));
    } while (array_next(from, index));
    return true;
}

double array_get(const Array *array, const int64_t *index)
{
    return hk_element_get(array->tensor.dtype, array->memory, offset_of(array, index));
}

int64_t array_get_int(const Array *array, const int64_t *index)
{
    return hk_element_get_int(array->tensor.dtype, array->memory, offset_of(array, index));
}

void array_set(Array *array, const int64_t *index, double value)
{
    hk_element_set(array->tensor.dtype, array->memory, offset_of(array, index), value);
}

void array_set_int(Array *array, const int64_t *index, int64_t value)
{
    hk_element_set_int(array->tensor.dtype, array->memory, offset_of(array, index), value);
}

bool dtype_is_float(DLDataType dtype)
{
    return dtype.code != kDLInt && dtype.code != kDLUInt && dtype.code != kDLBool;
}

void shape_print(char *text, size_t bytes, int32_t ndim, const int64_t *shape)
{
    size_t at = 0;
    text[0] = 0;
    for (int32_t i = 0; i < ndim && at < bytes; i++) {
        at += (size_t)snprintf(text + at, bytes - at, "%s%lld", i ? "x" : "", (long long)shape[i]);
    }
}

// ---- printing, as NumPy does

enum { EDGE = 3, ALL_UP_TO = 1000 };

// A NaN's sign means nothing and differs between machines.
static void print_float(FILE *out, unsigned bits, double x)
{
    fprintf(out, bits == 64 ? "%.12g" : "%.7g", isnan(x) ? fabs(x) : x);
}

static void print_element(FILE *out, const Array *array, const int64_t *index)
{
    DLDataType dtype = array->tensor.dtype;
    int64_t at = offset_of(array, index);
    if (dtype.code == kDLBool)
        fputs(hk_element_get_int(dtype, array->memory, at) ? "true" : "false", out);
    else if (!dtype_is_float(dtype))
        fprintf(out, "%lld", (long long)hk_element_get_int(dtype, array->memory, at));
    else
        print_float(out, dtype.bits, hk_element_get(dtype, array->memory, at));
}

static void print_level(FILE *out, const Array *array, int64_t *index, int32_t level, bool elide)
{
    if (level == array->tensor.ndim) {
        print_element(out, array, index);
        return;
    }
    int64_t n = array->shape[level];
    bool inner = level + 1 == array->tensor.ndim;
    fputc('[', out);
    for (int64_t i = 0; i < n; i++) {
        if (i) fprintf(out, inner ? " " : "\n%*s", level + 1, "");
        if (elide && n > 2 * EDGE && i == EDGE) {
            fputs(inner ? "..." : "...\n", out);
            if (!inner)
                fprintf(out, "%*s", level + 1, "");
            else
                fputc(' ', out);
            i = n - EDGE;
        }
        index[level] = i;
        print_level(out, array, index, level + 1, elide);
    }
    index[level] = 0;
    fputc(']', out);
}

void array_print(FILE *out, const char *name, const Array *array)
{
    char shape[160];
    shape_print(shape, sizeof shape, array->tensor.ndim, array->shape);
    fprintf(out, "%s: %s%s%s\n", name, shape, array->tensor.ndim ? "x" : "",
            hk_dtype_name(array->tensor.dtype));
    int64_t index[8] = {0};
    print_level(out, array, index, 0, array_elements(array) > ALL_UP_TO);
    fputc('\n', out);
}
