// The scalar meaning of elementwise operations.
#include "ir/eval.h"

#include <math.h>

double scalar_to_double(DType t, uint64_t bits)
{
    if (t == DTYPE_F64) {
        double x;
        memcpy(&x, &bits, sizeof x);
        return x;
    }
    if (t == DTYPE_F32) {
        uint32_t word = (uint32_t)bits;
        float x;
        memcpy(&x, &word, sizeof x);
        return (double)x;
    }
    return (double)(int64_t)bits;
}

static int64_t double_to_int(double x, double lo, double hi, int64_t least, int64_t largest)
{
    if (isnan(x)) return 0;
    if (x <= lo) return least;
    if (x >= hi) return largest;
    return (int64_t)x;
}

int64_t scalar_to_int(DType t, uint64_t bits)
{
    if (!dtype_is_float(t)) return (int64_t)bits;
    return double_to_int(scalar_to_double(t, bits), -0x1p63, 0x1p63, INT64_MIN, INT64_MAX);
}

static uint64_t float_bits(float x)
{
    uint32_t word;
    memcpy(&word, &x, sizeof word);
    return word;
}

uint64_t scalar_from_double(DType t, double x)
{
    if (t == DTYPE_F64) {
        uint64_t bits;
        memcpy(&bits, &x, sizeof bits);
        return bits;
    }
    if (t == DTYPE_F32) return float_bits((float)x);
    if (t == DTYPE_BOOL) return x != 0;
    if (t == DTYPE_I32) return (uint64_t)double_to_int(x, -0x1p31, 0x1p31, INT32_MIN, INT32_MAX);
    return (uint64_t)double_to_int(x, -0x1p63, 0x1p63, INT64_MIN, INT64_MAX);
}

uint64_t scalar_from_int(DType t, int64_t x)
{
    if (t == DTYPE_F64) return scalar_from_double(t, (double)x);
    if (t == DTYPE_F32) return float_bits((float)x);
    if (t == DTYPE_BOOL) return x != 0;
    if (t == DTYPE_I32) return (uint64_t)(int64_t)(int32_t)(uint32_t)x;
    return (uint64_t)x;
}
