// Tensors as callers pass them (DLPack) and as the library uses them: a view with checked dtype,
// explicit strides in elements and the span of bytes that its elements occupy.
#include "runtime/tensor.h"

#include <stdio.h>

enum {
    CODE_INT = 0,
    CODE_UINT = 1,
    CODE_FLOAT = 2,
    CODE_BFLOAT = 4,
    CODE_BOOL = 6,
    CODE_F8E4M3 = 10,
    CODE_F8E5M2 = 12,
    CODE_F4E2M1 = 17,
    DEVICE_CPU = 1
};

static uint8_t code_of(DType t)
{
    switch (t) {
    case DTYPE_BOOL: return CODE_BOOL;
    case DTYPE_I4:
    case DTYPE_I8:
    case DTYPE_I16:
    case DTYPE_I32:
    case DTYPE_I64: return CODE_INT;
    case DTYPE_U4:
    case DTYPE_U8:
    case DTYPE_U16:
    case DTYPE_U32: return CODE_UINT;
    case DTYPE_F16:
    case DTYPE_F32:
    case DTYPE_F64: return CODE_FLOAT;
    case DTYPE_BF16: return CODE_BFLOAT;
    case DTYPE_F8E4M3: return CODE_F8E4M3;
    case DTYPE_F8E5M2: return CODE_F8E5M2;
    case DTYPE_F4E2M1: return CODE_F4E2M1;
    case DTYPE_NONE:
    case DTYPE_COUNT: break;
    }
    return 255;
}

DLDataType dtype_to_dlpack(DType t)
{
    return (DLDataType){code_of(t), dtype_info[t].bits, 1};
}

bool dtype_from_dlpack(DLDataType from, DType *to)
{
    for (int t = DTYPE_NONE + 1; t < DTYPE_COUNT; t++) {
        if (from.lanes == 1 && from.code == code_of((DType)t) && from.bits == dtype_info[t].bits) {
            *to = (DType)t;
            return true;
        }
    }
    *to = DTYPE_NONE;
    return false;
}

// Elements from one line to the next: lines of sub-byte elements are padded to bytes.
static int64_t line_elements(DType dtype, int64_t count)
{
    int64_t per_byte = 8 / dtype_info[dtype].bits;
    return per_byte > 1 ? (count + per_byte - 1) / per_byte * per_byte : count;
}

void compact_strides(DType dtype, uint32_t rank, const int64_t *shape, int64_t *strides)
{
    int64_t step = 1;
    for (uint32_t i = rank; i-- > 0;) {
        strides[i] = step;
        int64_t size = i + 1 == rank ? line_elements(dtype, shape[i]) : shape[i];
        step *= size > 0 ? size : 1;
    }
}

bool compact_bytes(DType dtype, uint32_t rank, const int64_t *shape, int64_t *bytes)
{
    int64_t elements = 1;
    bool empty = false;
    for (uint32_t i = rank; i-- > 0;) {
        if (shape[i] < 0 || shape[i] > INT64_MAX / 16) return false;
        int64_t size = i + 1 == rank ? line_elements(dtype, shape[i]) : shape[i];
        if (size == 0)
            empty = true;
        else if (__builtin_mul_overflow(elements, size, &elements))
            return false;
    }
    if (__builtin_mul_overflow(elements, (int64_t)dtype_info[dtype].bits, bytes)) return false;
    *bytes = empty ? 0 : (*bytes + 7) / 8;
    return true;
}

void shape_format(char out[SHAPE_MOST], uint32_t rank, const int64_t *shape)
{
    int n = 0;
    out[n++] = '(';
    for (uint32_t i = 0; i < rank; i++)
        n += snprintf(out + n, (size_t)(SHAPE_MOST - n), "%s%lld", i ? ", " : "",
                      (long long)shape[i]);
    snprintf(out + n, (size_t)(SHAPE_MOST - n), rank == 1 ? ",)" : ")");
}

// The bytes that elements occupy, relative to element 0. False if the span overflows.
static bool span_bytes(TensorView *view)
{
    int64_t low = 0, high = 0;
    int bits = dtype_info[view->dtype].bits;
    for (uint32_t i = 0; i < view->rank; i++) {
        if (view->shape[i] == 0) return true; // no element: [0, 0)
        int64_t reach;
        if (__builtin_mul_overflow(view->shape[i] - 1, view->strides[i], &reach)) return false;
        if (__builtin_add_overflow(reach < 0 ? low : high, reach, reach < 0 ? &low : &high))
            return false;
    }
    if (high >= INT64_MAX / 64 - 8 || low <= INT64_MIN / 64 + 8) return false;
    view->low = low * bits / 8;
    view->high = ((high + 1) * bits + 7) / 8;
    return true;
}

static bool refuse(DiagCode code, DiagCode *code_out, char *why, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

static bool refuse(DiagCode code, DiagCode *code_out, char *why, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(why, WHY_MOST, format, args);
    va_end(args);
    *code_out = code;
    return false;
}

static bool check_sub_byte(const TensorView *view)
{
    int per_byte = 8 / dtype_info[view->dtype].bits;
    if (per_byte <= 1) return true;
    for (uint32_t i = 0; i < view->rank; i++) {
        if (view->shape[i] <= 1) continue;
        bool inner = i + 1 == view->rank;
        if (inner ? view->strides[i] != 1 : view->strides[i] % per_byte != 0) return false;
    }
    return true;
}

bool tensor_view(const DLTensor *tensor, TensorView *view, DiagCode *code, char why[WHY_MOST])
{
    *view = (TensorView){.given = true};
    if (!dtype_from_dlpack(tensor->dtype, &view->dtype))
        return refuse(DIAG_ARG_DTYPE, code, why,
                      "has a dtype that Hako does not have (DLPack code %u, %u bits, %u lanes)",
                      tensor->dtype.code, tensor->dtype.bits, tensor->dtype.lanes);
    if ((int)tensor->device.device_type != DEVICE_CPU)
        return refuse(DIAG_ARG_DEVICE, code, why, "is not in host memory");
    if (tensor->ndim < 0 || tensor->ndim > RANK_MAX)
        return refuse(DIAG_ARG_RANK, code, why, "has %d dimensions; at most %d are possible",
                      tensor->ndim, RANK_MAX);
    if (tensor->ndim > 0 && !tensor->shape)
        return refuse(DIAG_ARG_NULL, code, why, "has no shape (NULL)");
    view->rank = (uint32_t)tensor->ndim;
    int64_t bytes;
    for (uint32_t i = 0; i < view->rank; i++) view->shape[i] = tensor->shape[i];
    if (!compact_bytes(view->dtype, view->rank, view->shape, &bytes)) {
        char shape[SHAPE_MOST];
        shape_format(shape, view->rank, view->shape);
        return refuse(DIAG_ARG_TOO_LARGE, code, why,
                      "has sizes %s, which are negative or whose product overflows", shape);
    }
    compact_strides(view->dtype, view->rank, view->shape, view->strides);
    for (uint32_t i = 0; tensor->strides && i < view->rank; i++) {
        if (view->shape[i] > 1 && bytes > 0) view->strides[i] = tensor->strides[i];
    }
    if (!span_bytes(view))
        return refuse(DIAG_ARG_STRIDE, code, why, "has strides whose reach overflows");
    if (bytes > 0 && !check_sub_byte(view))
        return refuse(DIAG_ARG_STRIDE, code, why,
                      "packs elements in bytes, but its last stride is not 1 or its lines do not "
                      "start at a byte");
    view->data = tensor->data ? (char *)tensor->data + tensor->byte_offset : NULL;
    if ((uintptr_t)view->data % (uintptr_t)((dtype_info[view->dtype].bits + 7) / 8) != 0)
        return refuse(DIAG_ARG_STRIDE, code, why, "is not aligned to its elements");
    return true;
}

bool view_is_compact(const TensorView *view)
{
    int64_t strides[RANK_MAX];
    compact_strides(view->dtype, view->rank, view->shape, strides);
    for (uint32_t p = 0; p < view->rank; p++) {
        if (view->shape[p] == 0) return true;
        if (view->shape[p] > 1 && view->strides[p] != strides[p]) return false;
    }
    return true;
}

int64_t view_offset(const TensorView *view, const int64_t *index)
{
    int64_t offset = 0;
    for (uint32_t p = 0; p < view->rank; p++) offset += index[p] * view->strides[p];
    return offset;
}

bool view_next(const TensorView *view, int64_t *index)
{
    uint32_t p = view->rank;
    while (p > 0 && ++index[p - 1] == view->shape[p - 1]) index[--p] = 0;
    return p > 0;
}

bool view_is_empty(const TensorView *view)
{
    for (uint32_t p = 0; p < view->rank; p++) {
        if (view->shape[p] == 0) return true;
    }
    return false;
}

// Sorted by stride, each dimension must step over all that the smaller ones reach. Strict, but
// every layout made by slicing, transposing and padding passes.
bool view_self_overlaps(const TensorView *view)
{
    int64_t stride[RANK_MAX], size[RANK_MAX];
    uint32_t count = 0;
    for (uint32_t i = 0; i < view->rank; i++) {
        if (view->shape[i] == 0) return false;
        if (view->shape[i] == 1) continue;
        int64_t step = view->strides[i] < 0 ? -view->strides[i] : view->strides[i];
        uint32_t k = count++;
        for (; k > 0 && stride[k - 1] > step; k--) {
            stride[k] = stride[k - 1];
            size[k] = size[k - 1];
        }
        stride[k] = step;
        size[k] = view->shape[i];
    }
    int64_t reach = 0;
    for (uint32_t k = 0; k < count; k++) {
        if (stride[k] <= reach) return true;
        reach += (size[k] - 1) * stride[k];
    }
    return false;
}

// The largest common stride in bytes that both step by, and what each occupies apart from that
// dimension: two column blocks of one matrix share their row stride and lie side by side within it.
static bool apart_within_rows(const TensorView *a, const TensorView *b)
{
    if (dtype_info[a->dtype].bits < 8 || dtype_info[b->dtype].bits < 8) return false;
    int64_t a_bytes = dtype_info[a->dtype].bits / 8, b_bytes = dtype_info[b->dtype].bits / 8,
            row = 0;
    for (uint32_t i = 0; i < a->rank; i++) {
        for (uint32_t j = 0; j < b->rank; j++) {
            int64_t step = a->strides[i] * a_bytes;
            if (step > row && step == b->strides[j] * b_bytes && a->shape[i] > 1 && b->shape[j] > 1)
                row = step;
        }
    }
    if (row == 0) return false;
    int64_t start[2], end[2];
    const TensorView *both[2] = {a, b};
    for (int k = 0; k < 2; k++) {
        const TensorView *v = both[k];
        int64_t bytes = dtype_info[v->dtype].bits / 8, reach = bytes;
        for (uint32_t i = 0; i < v->rank; i++) {
            int64_t step = v->strides[i] * bytes;
            if (step < 0) return false;
            if (step % row != 0) reach += (v->shape[i] - 1) * step;
        }
        start[k] = (int64_t)((uintptr_t)v->data % (uintptr_t)row);
        end[k] = start[k] + reach;
    }
    if (end[0] - start[0] > row || end[1] - start[1] > row) return false;
    int64_t gap = (start[1] - start[0] + row) % row; // from a's start to b's within a row
    return end[0] - start[0] <= gap && gap + (end[1] - start[1]) <= row;
}

bool views_overlap(const TensorView *a, const TensorView *b)
{
    if (a->high == a->low || b->high == b->low || !a->data || !b->data) return false;
    uintptr_t a0 = (uintptr_t)a->data + (uintptr_t)a->low,
              a1 = (uintptr_t)a->data + (uintptr_t)a->high;
    uintptr_t b0 = (uintptr_t)b->data + (uintptr_t)b->low,
              b1 = (uintptr_t)b->data + (uintptr_t)b->high;
    return a0 < b1 && b0 < a1 && !apart_within_rows(a, b);
}

static void fill_line(char *data, unsigned bits, int64_t offset, int64_t stride, int64_t count,
                      const void *element)
{
    unsigned char half = *(const unsigned char *)element & 15;
    for (int64_t i = 0; i < count && bits < 8; i++) {
        unsigned char *byte = (unsigned char *)data + ((offset + i * stride) >> 1);
        int shift = (int)((offset + i * stride) & 1) * 4;
        *byte = (unsigned char)((*byte & ~(15 << shift)) | half << shift);
    }
    if (bits < 8) return;
    size_t bytes = bits / 8;
    char *at = data + offset * (int64_t)bytes;
    for (int64_t i = 0; i < count; i++, at += stride * (int64_t)bytes) memcpy(at, element, bytes);
}

void view_fill(const TensorView *v, const void *element)
{
    int64_t index[RANK_MAX] = {0};
    if (view_is_empty(v)) return;
    uint32_t inner = v->rank ? v->rank - 1 : 0;
    for (;;) {
        int64_t offset = 0;
        for (uint32_t p = 0; p < inner; p++) offset += index[p] * v->strides[p];
        fill_line(v->data, dtype_info[v->dtype].bits, offset, v->rank ? v->strides[inner] : 1,
                  v->rank ? v->shape[inner] : 1, element);
        uint32_t p = inner;
        while (p > 0 && ++index[p - 1] == v->shape[p - 1]) index[--p] = 0;
        if (p == 0) return;
    }
}

int64_t element_int(DType dtype, const void *line, int64_t index)
{
    unsigned bits = dtype_info[dtype].bits;
    uint64_t code = 0;
    if (bits < 8) {
        code = (uint64_t)(((const unsigned char *)line)[index >> 1] >> ((index & 1) * 4)) & 15;
    } else { // little-endian, as all targets are
        memcpy(&code, (const char *)line + index * (int64_t)(bits / 8), bits / 8);
    }
    if (dtype_info[dtype].class_ != DCLASS_INT || bits == 64) return (int64_t)code;
    uint64_t sign = (uint64_t)1 << (bits - 1);
    return (int64_t)((code ^ sign) - sign);
}

bool dim_solve(int64_t extent, int64_t scale, int64_t offset, int64_t *dim)
{
    int64_t rest;
    if (__builtin_sub_overflow(extent, offset, &rest)) return false;
    *dim = 0;
    if (!scale) return !rest;
    if (rest % scale || (rest && (rest < 0) != (scale < 0))) return false;
    *dim = rest / scale;
    return true;
}
