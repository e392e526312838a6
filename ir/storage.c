// Storage types: codes of small floats, packed elements of memory, and what reductions start from.
#include "ir/eval.h"

#include <math.h>

// A small float is sign, exponent, mantissa; its codes ascend with its magnitude.
typedef struct FloatFormat {
    uint8_t width, mantissa;
    int16_t exponent_min;
    uint16_t largest, infinity, nan; // codes; infinity is `largest` where there is none
} FloatFormat;

static const FloatFormat formats[DTYPE_COUNT] = {
    [DTYPE_F16] = {16, 10, -14, 0x7bff, 0x7c00, 0x7e00},
    [DTYPE_BF16] = {16, 7, -126, 0x7f7f, 0x7f80, 0x7fc0},
    [DTYPE_F8E4M3] = {8, 3, -6, 0x7e, 0x7e, 0x7f},
    [DTYPE_F8E5M2] = {8, 2, -14, 0x7b, 0x7c, 0x7e},
    [DTYPE_F4E2M1] = {4, 1, 0, 7, 7, 7},
};

// 2^exponent, of normal numbers. scalbn takes ten times as long, and large tensors feel it.
static double power_of_two(int exponent)
{
    return scalar_to_double(DTYPE_F64, (uint64_t)(1023 + exponent) << 52);
}

uint32_t storage_encode(DType t, double x)
{
    FloatFormat format = formats[t];
    if (!format.width) return (uint32_t)scalar_from_double(t, x);
    uint64_t bits = scalar_from_double(DTYPE_F64, x);
    uint32_t sign = bits >> 63 && !(isnan(x) && t == DTYPE_F4E2M1) ? 1u << (format.width - 1) : 0;
    if (isnan(x)) return sign | format.nan;
    int exponent = (int)(bits >> 52 & 0x7ff) - 1023; // of subnormal doubles: below all formats'
    if (exponent < format.exponent_min) exponent = format.exponent_min;
    if (exponent > 128) return sign | format.infinity; // beyond every format; keeps the code small
    double units = rint(fabs(x) * power_of_two(format.mantissa - exponent));
    // The implicit one of a normal number, and a carry out of the mantissa, both add to the
    // exponent.
    uint32_t code =
        ((uint32_t)(exponent - format.exponent_min) << format.mantissa) + (uint32_t)units;
    return sign | (code > format.largest ? format.infinity : code);
}

double storage_decode(DType t, uint32_t code)
{
    FloatFormat format = formats[t];
    if (!format.width) return scalar_to_double(t, code);
    uint32_t magnitude = code & ((1u << (format.width - 1)) - 1);
    double sign = code >> (format.width - 1) & 1 ? -1 : 1;
    if (magnitude > format.largest) {
        return magnitude == format.infinity ? sign * (double)INFINITY : copysign((double)NAN, sign);
    }
    uint32_t one = 1u << format.mantissa, exponent = magnitude >> format.mantissa;
    if (exponent == 0)
        return sign * magnitude * power_of_two(format.exponent_min - format.mantissa);
    uint64_t mantissa = (uint64_t)(magnitude & (one - 1)) << (52 - format.mantissa);
    uint64_t bits = ((uint64_t)(1023 + format.exponent_min - 1 + (int)exponent) << 52) | mantissa;
    return sign * scalar_to_double(DTYPE_F64, bits);
}

double float_largest(DType t)
{
    if (formats[t].width) return storage_decode(t, formats[t].largest);
    return t == DTYPE_F32 ? 0x1.fffffep127 : 0x1.fffffffffffffp1023;
}

// The raw code of one element, zero-extended.
static uint64_t read_code(DType t, const void *line, int64_t index)
{
    const unsigned char *bytes = line;
    unsigned bits = dtype_info[t].bits;
    if (bits == 4) return (uint64_t)(bytes[index >> 1] >> ((index & 1) * 4)) & 15;
    uint64_t code = 0;
    memcpy(&code, bytes + index * (int64_t)(bits / 8),
           bits / 8); // little-endian, as all targets are
    return code;
}

static void write_code(DType t, void *line, int64_t index, uint64_t code)
{
    unsigned char *bytes = line;
    unsigned bits = dtype_info[t].bits;
    if (bits == 4) {
        unsigned shift = (unsigned)(index & 1) * 4;
        unsigned char *byte = bytes + (index >> 1);
        *byte = (unsigned char)((*byte & ~(15u << shift)) | (unsigned)(code & 15) << shift);
        return;
    }
    memcpy(bytes + index * (int64_t)(bits / 8), &code, bits / 8);
}

// The bits of an f32 that holds the same: what storage_decode says, faster where it is normal.
static uint64_t widened(DType t, uint32_t code)
{
    FloatFormat format = formats[t];
    uint32_t magnitude = code & ((1u << (format.width - 1)) - 1);
    bool normal = magnitude >> format.mantissa != 0 && magnitude <= format.largest;
    if (!normal) return scalar_from_double(DTYPE_F32, storage_decode(t, code));
    uint32_t sign = (code ^ magnitude) << (32 - format.width);
    return sign | ((magnitude << (23 - format.mantissa)) +
                   ((uint32_t)(127 + format.exponent_min - 1) << 23));
}

uint64_t storage_load(DType t, const void *line, int64_t index)
{
    uint64_t code = read_code(t, line, index);
    if (t == DTYPE_BF16) return code << 16;
    if (t == DTYPE_F32 || t == DTYPE_F64) return code;
    if (dtype_is_float(t)) return widened(t, (uint32_t)code);
    return scalar_from_int(t, (int64_t)code);
}

void storage_store(DType t, void *line, int64_t index, uint64_t bits)
{
    bool small_float = dtype_is_float(t) && !dtype_is_arith(t);
    if (small_float) bits = storage_encode(t, scalar_to_double(dtype_info[t].arith, bits));
    write_code(t, line, index, bits);
}

// ---- reductions

uint64_t reduce_identity(ReduceKind kind, DType t)
{
    bool is_float = dtype_is_float(t);
    unsigned bits = dtype_info[t].bits;
    switch (kind) {
    case REDUCE_SUM:
    case REDUCE_ANY:
    case REDUCE_OR:
    case REDUCE_XOR: return 0;
    case REDUCE_PROD: return scalar_from_int(t, 1);
    case REDUCE_ALL: return 1;
    case REDUCE_AND: return t == DTYPE_BOOL ? 1 : UINT64_MAX;
    case REDUCE_MAX:
    case REDUCE_ARGMAX:
        if (is_float) return scalar_from_double(t, -(double)INFINITY);
        return t == DTYPE_BOOL ? 0 : (uint64_t)(INT64_MIN >> (64 - bits));
    case REDUCE_MIN:
    case REDUCE_ARGMIN:
        if (is_float) return scalar_from_double(t, (double)INFINITY);
        return t == DTYPE_BOOL ? 1 : (uint64_t)INT64_MAX >> (64 - bits);
    case REDUCE_COUNT: break;
    }
    return 0;
}

static Op combine_op(ReduceKind kind)
{
    switch (kind) {
    case REDUCE_SUM: return OP_ADD;
    case REDUCE_PROD: return OP_MUL;
    case REDUCE_MAX:
    case REDUCE_ARGMAX: return OP_MAX;
    case REDUCE_MIN:
    case REDUCE_ARGMIN: return OP_MIN;
    case REDUCE_ANY:
    case REDUCE_OR: return OP_OR;
    case REDUCE_ALL:
    case REDUCE_AND: return OP_AND;
    case REDUCE_XOR: return OP_XOR;
    case REDUCE_COUNT: break;
    }
    return OP_NONE;
}

uint64_t reduce_combine(ReduceKind kind, DType t, uint64_t a, uint64_t b)
{
    uint64_t result = a;
    eval_op(combine_op(kind), t, t, 0, (uint64_t[]){a, b}, 2, &result);
    return result;
}
