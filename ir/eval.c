// The scalar meaning of elementwise operations: one dispatch for an array of elements.
//
// Laws: f32 operations are computed exactly or in double and rounded once (a double has more than twice
// the digits of a float, so + - * / and sqrt come out as if computed in float). Integers wrap.
#include "ir/eval.h"

#include <math.h>

// ---- conversions between dtypes

static double as_f64(uint64_t bits)
{
    double x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

static uint64_t from_f64(double x)
{
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

static float as_f32(uint64_t bits)
{
    uint32_t word = (uint32_t)bits;
    float x;
    memcpy(&x, &word, sizeof x);
    return x;
}

static uint64_t from_f32(float x)
{
    uint32_t word;
    memcpy(&word, &x, sizeof word);
    return word;
}

// Floats that only memory knows carry their code as bits.
double scalar_to_double(DType t, uint64_t bits)
{
    if (t == DTYPE_F64) return as_f64(bits);
    if (t == DTYPE_F32) return (double)as_f32(bits);
    if (dtype_is_float(t)) return storage_decode(t, (uint32_t)bits);
    return (double)(int64_t)bits;
}

static int64_t int_least(DType t)
{
    return dtype_info[t].class_ == DCLASS_INT ? INT64_MIN >> (64 - dtype_info[t].bits) : 0;
}

static int64_t int_largest(DType t)
{
    if (t == DTYPE_BOOL) return 1;
    unsigned digits = dtype_info[t].bits - (dtype_info[t].class_ == DCLASS_INT ? 1u : 0u);
    return (int64_t)(((uint64_t)1 << digits) - 1);
}

static int64_t int_wrap(DType t, uint64_t x)
{
    unsigned spare = 64u - dtype_info[t].bits;
    if (t == DTYPE_BOOL) return x != 0;
    if (dtype_info[t].class_ == DCLASS_INT) return (int64_t)(x << spare) >> spare;
    return (int64_t)(x << spare >> spare);
}

// Toward zero, saturating, NaN to 0.
static int64_t double_to_int(DType t, double x)
{
    if (isnan(x)) return 0;
    if (t == DTYPE_BOOL) return x != 0;
    double y = trunc(x);
    if (y <= (double)int_least(t)) return int_least(t);
    if (y >= (double)int_largest(t)) return int_largest(t);
    return (int64_t)y;
}

int64_t scalar_to_int(DType t, uint64_t bits)
{
    if (!dtype_is_float(t)) return (int64_t)bits;
    return double_to_int(DTYPE_I64, scalar_to_double(t, bits));
}

uint64_t scalar_from_double(DType t, double x)
{
    if (t == DTYPE_F64) return from_f64(x);
    if (t == DTYPE_F32) return from_f32((float)x);
    if (dtype_is_float(t)) return storage_encode(t, x);
    return (uint64_t)double_to_int(t, x);
}

uint64_t scalar_from_int(DType t, int64_t x)
{
    if (t == DTYPE_F32) return from_f32((float)x); // not through double: that would round twice
    if (dtype_is_float(t)) return scalar_from_double(t, (double)x);
    return (uint64_t)int_wrap(t, (uint64_t)x);
}

static uint64_t eval_cast(DType from, DType to, uint64_t bits)
{
    if (!dtype_is_float(from)) return scalar_from_int(to, (int64_t)bits);
    if (to == DTYPE_BOOL) return scalar_to_double(from, bits) != 0; // NaN is true, as in C
    return scalar_from_double(to, scalar_to_double(from, bits));
}

static uint64_t eval_nearest(DType from, DType to, DType kind, uint64_t bits)
{
    if (!dtype_is_float(kind)) {
        int64_t x = dtype_is_float(from) ? double_to_int(DTYPE_I64, rint(scalar_to_double(from, bits)))
                                         : (int64_t)bits;
        x = x < int_least(kind) ? int_least(kind) : x > int_largest(kind) ? int_largest(kind) : x;
        return scalar_from_int(to, x);
    }
    double x = scalar_to_double(from, bits), top = float_largest(kind);
    x = x > top ? top : x < -top ? -top : x;
    return scalar_from_double(to, scalar_to_double(kind, scalar_from_double(kind, x)));
}

static bool eval_convert(Op op, DType t, DType to, DType kind, const uint64_t *a, uint64_t *out, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (op == OP_CAST) out[i] = eval_cast(t, to, a[i]);
        else if (op == OP_QUANT) out[i] = eval_cast(kind, t, eval_cast(t, kind, a[i]));
        else if (op == OP_NEAREST) out[i] = eval_nearest(t, to, kind, a[i]);
        else if (dtype_is_float(to)) out[i] = a[i] & (UINT64_MAX >> (64u - dtype_info[to].bits));
        else out[i] = (uint64_t)int_wrap(to, a[i]);
    }
    return true;
}

// ---- floats

static double float_min(double a, double b)
{
    if (isnan(a) || isnan(b)) return (double)NAN;
    if (a == b) return signbit(a) ? a : b;
    return a < b ? a : b;
}

static double float_max(double a, double b)
{
    if (isnan(a) || isnan(b)) return (double)NAN;
    if (a == b) return signbit(a) ? b : a;
    return a > b ? a : b;
}

static double float_fmin(double a, double b)
{
    return isnan(a) ? b : isnan(b) ? a : float_min(a, b);
}

static double float_fmax(double a, double b)
{
    return isnan(a) ? b : isnan(b) ? a : float_max(a, b);
}

static double float_sign(double a)
{
    return a > 0 ? 1 : a < 0 ? -1 : a;
}

// Winitzki's closed form is good to 2e-3; each step of Halley's method on erf (or on erfc where erf has no
// digits left) cubes the error.
static double float_erfinv(double x)
{
    double a = fabs(x);
    if (!(a < 1)) return a == 1 ? copysign((double)INFINITY, x) : (double)NAN;
    if (a == 0) return x;
    double l = log1p(-a * a), p = 4.3307467508 + l / 2; // 2 / (pi * 0.147)
    double y = sqrt(-l / 0.147 / (sqrt(p * p - l / 0.147) + p)); // sqrt(p² + q) - p without cancellation
    for (int step = 0; step < 3; step++) {
        double error = a < 0.5 ? erf(y) - a : (1 - a) - erfc(y);
        double u = error / (M_2_SQRTPI * exp(-y * y));
        y -= u / (1 + y * u);
    }
    return copysign(y, x);
}

static double unary(Op op, double a)
{
#define CASE(id, expr) if (op == OP_##id) return expr;
    CASE(RCP, 1 / a) CASE(RSQRT, 1 / sqrt(a)) CASE(EXP2, exp2(a)) CASE(EXPM1, expm1(a))
    CASE(LOG, log(a)) CASE(LOG2, log2(a)) CASE(LOG10, log10(a)) CASE(LOG1P, log1p(a))
    CASE(SIN, sin(a)) CASE(COS, cos(a)) CASE(TAN, tan(a)) CASE(ASIN, asin(a)) CASE(ACOS, acos(a))
    CASE(ATAN, atan(a)) CASE(SINH, sinh(a)) CASE(COSH, cosh(a)) CASE(TANH, tanh(a)) CASE(ERF, erf(a))
    CASE(ERFINV, float_erfinv(a)) CASE(SIGN, float_sign(a)) CASE(FLOOR, floor(a)) CASE(CEIL, ceil(a))
    CASE(ROUND, rint(a)) CASE(TRUNC, trunc(a))
#undef CASE
    return a;
}

static bool is_float_unary(Op op)
{
    return op == OP_SIGN || (op >= OP_FLOOR && op <= OP_ATAN) || (op >= OP_SINH && op <= OP_ERFINV);
}

#define EACH(expr)                              \
    for (size_t i = 0; i < n; i++) out[i] = expr; \
    return true

// The two loops differ in how bits become numbers only.
#define EVAL_FLOAT(name, T, AS, FROM, FMA)                                                               \
    static bool name(Op op, const uint64_t *const *args, uint64_t *out, size_t n)                        \
    {                                                                                                    \
        const uint64_t *x = args[0], *y = args[1], *z = args[2];                                         \
        if (op == OP_ADD) { EACH(FROM(AS(x[i]) + AS(y[i]))); }                                           \
        if (op == OP_SUB) { EACH(FROM(AS(x[i]) - AS(y[i]))); }                                           \
        if (op == OP_MUL) { EACH(FROM(AS(x[i]) * AS(y[i]))); }                                           \
        if (op == OP_DIV) { EACH(FROM(AS(x[i]) / AS(y[i]))); }                                           \
        if (op == OP_FMA) { EACH(FROM(FMA(AS(x[i]), AS(y[i]), AS(z[i])))); }                             \
        if (op == OP_REM) { EACH(FROM((T)fmod((double)AS(x[i]), (double)AS(y[i])))); }                   \
        if (op == OP_MIN) { EACH(FROM((T)float_min((double)AS(x[i]), (double)AS(y[i])))); }              \
        if (op == OP_MAX) { EACH(FROM((T)float_max((double)AS(x[i]), (double)AS(y[i])))); }              \
        if (op == OP_FMIN) { EACH(FROM((T)float_fmin((double)AS(x[i]), (double)AS(y[i])))); }            \
        if (op == OP_FMAX) { EACH(FROM((T)float_fmax((double)AS(x[i]), (double)AS(y[i])))); }            \
        if (op == OP_ATAN2) { EACH(FROM((T)atan2((double)AS(x[i]), (double)AS(y[i])))); }                \
        if (op == OP_POW) { EACH(FROM((T)pow((double)AS(x[i]), (double)AS(y[i])))); }                    \
        if (op == OP_EQ) { EACH(AS(x[i]) == AS(y[i])); }                                                 \
        if (op == OP_NE) { EACH(AS(x[i]) != AS(y[i])); }                                                 \
        if (op == OP_LT) { EACH(AS(x[i]) < AS(y[i])); }                                                  \
        if (op == OP_LE) { EACH(AS(x[i]) <= AS(y[i])); }                                                 \
        if (op == OP_ISNAN) { EACH(isnan(AS(x[i])) != 0); }                                              \
        if (op == OP_ISINF) { EACH(isinf(AS(x[i])) != 0); }                                              \
        if (op == OP_NEG) { EACH(FROM(-AS(x[i]))); }                                                     \
        if (op == OP_ABS) { EACH(FROM((T)fabs((double)AS(x[i])))); }                                     \
        if (op == OP_SQRT) { EACH(FROM((T)sqrt((double)AS(x[i])))); }                                    \
        if (op == OP_EXP) { EACH(FROM((T)exp((double)AS(x[i])))); }                                      \
        if (!is_float_unary(op)) return false;                                                           \
        EACH(FROM((T)unary(op, (double)AS(x[i]))));                                                      \
    }

EVAL_FLOAT(eval_f32, float, as_f32, from_f32, fmaf)
EVAL_FLOAT(eval_f64, double, as_f64, from_f64, fma)

// ---- integers and bool

static uint64_t int_div(int64_t a, int64_t b)
{
    if (b == 0) return 0;
    return b == -1 ? 0 - (uint64_t)a : (uint64_t)(a / b);
}

static uint64_t int_rem(int64_t a, int64_t b)
{
    return b == 0 || b == -1 ? 0 : (uint64_t)(a % b);
}

static uint64_t int_pow(int64_t a, int64_t b)
{
    if (b < 0) return a == 1 ? 1 : a == -1 ? (b & 1 ? UINT64_MAX : 1) : 0;
    uint64_t power = 1, square = (uint64_t)a;
    for (; b; b >>= 1, square *= square) {
        if (b & 1) power *= square;
    }
    return power;
}

static uint64_t int_shl(DType t, uint64_t a, int64_t b)
{
    return b < 0 || b >= dtype_info[t].bits ? 0 : a << b;
}

static uint64_t int_shr(DType t, int64_t a, int64_t b)
{
    return (uint64_t)(b < 0 || b >= dtype_info[t].bits ? a >> 63 : a >> b);
}

static uint64_t int_popcount(DType t, uint64_t a)
{
    return (uint64_t)__builtin_popcountll(a & (UINT64_MAX >> (64u - dtype_info[t].bits)));
}

static uint64_t int_clz(DType t, uint64_t a)
{
    unsigned width = dtype_info[t].bits;
    a &= UINT64_MAX >> (64u - width);
    return a ? (uint64_t)__builtin_clzll(a) - (64u - width) : width;
}

#define WRAP(expr) (uint64_t)int_wrap(t, expr)

static bool eval_int(Op op, DType t, const uint64_t *const *args, uint64_t *out, size_t n)
{
    const uint64_t *x = args[0], *y = args[1], *z = args[2];
    const int64_t *sx = (const int64_t *)x, *sy = (const int64_t *)y;
    if (op == OP_ADD) { EACH(WRAP(x[i] + y[i])); }
    if (op == OP_SUB) { EACH(WRAP(x[i] - y[i])); }
    if (op == OP_MUL) { EACH(WRAP(x[i] * y[i])); }
    if (op == OP_FMA) { EACH(WRAP(x[i] * y[i] + z[i])); }
    if (op == OP_DIV) { EACH(WRAP(int_div(sx[i], sy[i]))); }
    if (op == OP_REM) { EACH(WRAP(int_rem(sx[i], sy[i]))); }
    if (op == OP_NEG) { EACH(WRAP(0 - x[i])); }
    if (op == OP_MIN || op == OP_FMIN) { EACH(sx[i] < sy[i] ? x[i] : y[i]); }
    if (op == OP_MAX || op == OP_FMAX) { EACH(sx[i] > sy[i] ? x[i] : y[i]); }
    if (op == OP_AND) { EACH(x[i] & y[i]); }
    if (op == OP_OR) { EACH(x[i] | y[i]); }
    if (op == OP_XOR) { EACH(x[i] ^ y[i]); }
    if (op == OP_NOT) { EACH(t == DTYPE_BOOL ? !x[i] : WRAP(~x[i])); }
    if (op == OP_EQ) { EACH(x[i] == y[i]); }
    if (op == OP_NE) { EACH(x[i] != y[i]); }
    if (op == OP_LT) { EACH(sx[i] < sy[i]); }
    if (op == OP_LE) { EACH(sx[i] <= sy[i]); }
    if (op == OP_ISNAN || op == OP_ISINF) { EACH(0); }
    if (op >= OP_FLOOR && op <= OP_TRUNC) { EACH(x[i]); }
    if (t == DTYPE_BOOL) return false;
    if (op == OP_SHL) { EACH(WRAP(int_shl(t, x[i], sy[i]))); }
    if (op == OP_SHR) { EACH(WRAP(int_shr(t, sx[i], sy[i]))); }
    if (op == OP_ABS) { EACH(WRAP(sx[i] < 0 ? 0 - x[i] : x[i])); }
    if (op == OP_SIGN) { EACH(sx[i] > 0 ? 1 : sx[i] < 0 ? UINT64_MAX : 0); }
    if (op == OP_POW) { EACH(WRAP(int_pow(sx[i], sy[i]))); }
    if (op == OP_POPCOUNT) { EACH(int_popcount(t, x[i])); }
    if (op == OP_CLZ) { EACH(int_clz(t, x[i])); }
    return false;
}

bool eval_array(Op op, DType t, DType to, uint32_t kind, const uint64_t *const *args, unsigned count,
                uint64_t *out, size_t n)
{
    bool elementwise = (op >= OP_ADD && op <= OP_BITCAST) && op_info[op].arity == count;
    if (!elementwise) return false;
    const uint64_t *operands[3] = {args[0], count > 1 ? args[1] : args[0], count > 2 ? args[2] : args[0]};
    if (op == OP_SELECT) {
        EACH(operands[0][i] ? operands[1][i] : operands[2][i]);
    }
    if (op == OP_CAST || op == OP_QUANT || op == OP_NEAREST || op == OP_BITCAST) {
        return eval_convert(op, t, to, (DType)kind, args[0], out, n);
    }
    if (t == DTYPE_F32) return eval_f32(op, operands, out, n);
    if (t == DTYPE_F64) return eval_f64(op, operands, out, n);
    if (t == DTYPE_NONE || dtype_is_float(t)) return false;
    return eval_int(op, t, operands, out, n);
}

bool eval_op(Op op, DType t, DType to, uint32_t kind, const uint64_t *args, unsigned count, uint64_t *result)
{
    if (count < 1 || count > 3) return false;
    const uint64_t *each[3] = {args, args + (count > 1 ? 1 : 0), args + (count > 2 ? 2 : 0)};
    return eval_array(op, t, to, kind, each, count, result, 1);
}
