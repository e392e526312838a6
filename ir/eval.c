// The scalar meaning of elementwise operations: one dispatch for an array of elements.
//
// Laws: f32 operations are computed exactly or in double and rounded once (a double has more than
// twice the digits of a float, so + - * / and sqrt come out as if computed in float). Integers
// wrap.
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
        int64_t x = dtype_is_float(from)
                        ? double_to_int(DTYPE_I64, rint(scalar_to_double(from, bits)))
                        : (int64_t)bits;
        x = x < int_least(kind) ? int_least(kind) : x > int_largest(kind) ? int_largest(kind) : x;
        return scalar_from_int(to, x);
    }
    double x = scalar_to_double(from, bits), top = float_largest(kind);
    x = x > top ? top : x < -top ? -top : x;
    return scalar_from_double(to, scalar_to_double(kind, scalar_from_double(kind, x)));
}

static bool eval_convert(Op op, DType t, DType to, DType kind, const uint64_t *a, uint64_t *out,
                         size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (op == OP_CAST)
            out[i] = eval_cast(t, to, a[i]);
        else if (op == OP_QUANT)
            out[i] = eval_cast(kind, t, eval_cast(t, kind, a[i]));
        else if (op == OP_NEAREST)
            out[i] = eval_nearest(t, to, kind, a[i]);
        else if (dtype_is_float(to))
            out[i] = a[i] & (UINT64_MAX >> (64u - dtype_info[to].bits));
        else
            out[i] = (uint64_t)int_wrap(to, a[i]);
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

// Winitzki's closed form is good to 2e-3; each step of Halley's method on erf (or on erfc where erf
// has no digits left) cubes the error.
static double float_erfinv(double x)
{
    double a = fabs(x);
    if (!(a < 1)) return a == 1 ? copysign((double)INFINITY, x) : (double)NAN;
    if (a == 0) return x;
    double l = log1p(-a * a), p = 4.3307467508 + l / 2; // 2 / (pi * 0.147)
    double y =
        sqrt(-l / 0.147 / (sqrt(p * p - l / 0.147) + p)); // sqrt(p² + q) - p without cancellation
    for (int step = 0; step < 3; step++) {
        double error = a < 0.5 ? erf(y) - a : (1 - a) - erfc(y);
        double u = error / (M_2_SQRTPI * exp(-y * y));
        y -= u / (1 + y * u);
    }
    return copysign(y, x);
}

static double float_rcp(double a)
{
    return 1 / a;
}

static double float_rsqrt(double a)
{
    return 1 / sqrt(a);
}

typedef double Unary(double);

static Unary *const unary[OP_COUNT] = {
    [OP_SIGN] = float_sign, [OP_FLOOR] = floor,
    [OP_CEIL] = ceil,       [OP_ROUND] = rint,
    [OP_TRUNC] = trunc,     [OP_RCP] = float_rcp,
    [OP_SQRT] = sqrt,       [OP_RSQRT] = float_rsqrt,
    [OP_EXP] = exp,         [OP_EXP2] = exp2,
    [OP_EXPM1] = expm1,     [OP_LOG] = log,
    [OP_LOG2] = log2,       [OP_LOG10] = log10,
    [OP_LOG1P] = log1p,     [OP_SIN] = sin,
    [OP_COS] = cos,         [OP_TAN] = tan,
    [OP_ASIN] = asin,       [OP_ACOS] = acos,
    [OP_ATAN] = atan,       [OP_SINH] = sinh,
    [OP_COSH] = cosh,       [OP_TANH] = tanh,
    [OP_ERF] = erf,         [OP_ERFINV] = float_erfinv,
    [OP_ABS] = fabs,
};

typedef double Binary(double, double);

static Binary *const binary[OP_COUNT] = {
    [OP_REM] = fmod,        [OP_MIN] = float_min, [OP_MAX] = float_max, [OP_FMIN] = float_fmin,
    [OP_FMAX] = float_fmax, [OP_ATAN2] = atan2,   [OP_POW] = pow,
};

#define CASE(id, expr)                                                                             \
    if (op == OP_##id) {                                                                           \
        for (size_t i = 0; i < n; i++) out[i] = expr;                                              \
        return true;                                                                               \
    }

// The two functions differ in how bits become numbers only.
#define EVAL_FLOAT(name, T, AS, FROM, FUSED)                                                       \
    static bool name(Op op, const uint64_t *const *args, uint64_t *out, size_t n)                  \
    {                                                                                              \
        const uint64_t *x = args[0], *y = args[1], *z = args[2];                                   \
        CASE(ADD, FROM(AS(x[i]) + AS(y[i])));                                                      \
        CASE(SUB, FROM(AS(x[i]) - AS(y[i])));                                                      \
        CASE(MUL, FROM(AS(x[i]) * AS(y[i])));                                                      \
        CASE(DIV, FROM(AS(x[i]) / AS(y[i])));                                                      \
        CASE(FMA, FROM(FUSED(AS(x[i]), AS(y[i]), AS(z[i]))));                                      \
        CASE(NEG, FROM(-AS(x[i])));                                                                \
        CASE(EQ, AS(x[i]) == AS(y[i]));                                                            \
        CASE(NE, AS(x[i]) != AS(y[i]));                                                            \
        CASE(LT, AS(x[i]) < AS(y[i]));                                                             \
        CASE(LE, AS(x[i]) <= AS(y[i]));                                                            \
        CASE(ISNAN, isnan(AS(x[i])) != 0);                                                         \
        CASE(ISINF, isinf(AS(x[i])) != 0);                                                         \
        if (!unary[op] && !binary[op]) return false;                                               \
        for (size_t i = 0; i < n; i++) {                                                           \
            double a = (double)AS(x[i]), b = (double)AS(y[i]);                                     \
            out[i] = FROM((T)(unary[op] ? unary[op](a) : binary[op](a, b)));                       \
        }                                                                                          \
        return true;                                                                               \
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

#define WRAP(expr) (uint64_t) int_wrap(t, expr)

static bool eval_int(Op op, DType t, const uint64_t *const *args, uint64_t *out, size_t n)
{
    const uint64_t *x = args[0], *y = args[1], *z = args[2];
    const int64_t *sx = (const int64_t *)x, *sy = (const int64_t *)y;
    CASE(ADD, WRAP(x[i] + y[i]));
    CASE(SUB, WRAP(x[i] - y[i]));
    CASE(MUL, WRAP(x[i] * y[i]));
    CASE(FMA, WRAP(x[i] * y[i] + z[i]));
    CASE(DIV, WRAP(int_div(sx[i], sy[i])));
    CASE(REM, WRAP(int_rem(sx[i], sy[i])));
    CASE(NEG, WRAP(0 - x[i]));
    CASE(MIN, sx[i] < sy[i] ? x[i] : y[i]);
    CASE(MAX, sx[i] > sy[i] ? x[i] : y[i]);
    CASE(FMIN, sx[i] < sy[i] ? x[i] : y[i]);
    CASE(FMAX, sx[i] > sy[i] ? x[i] : y[i]);
    CASE(AND, x[i] & y[i]);
    CASE(OR, x[i] | y[i]);
    CASE(XOR, x[i] ^ y[i]);
    CASE(NOT, t == DTYPE_BOOL ? !x[i] : WRAP(~x[i]));
    CASE(EQ, x[i] == y[i]);
    CASE(NE, x[i] != y[i]);
    CASE(LT, sx[i] < sy[i]);
    CASE(LE, sx[i] <= sy[i]);
    CASE(ISNAN, 0);
    CASE(ISINF, 0);
    CASE(FLOOR, x[i]);
    CASE(CEIL, x[i]);
    CASE(ROUND, x[i]);
    CASE(TRUNC, x[i]);
    if (t == DTYPE_BOOL) return false;
    CASE(SHL, WRAP(int_shl(t, x[i], sy[i])));
    CASE(SHR, WRAP(int_shr(t, sx[i], sy[i])));
    CASE(ABS, WRAP(sx[i] < 0 ? 0 - x[i] : x[i]));
    CASE(SIGN, sx[i] > 0 ? 1 : sx[i] < 0 ? UINT64_MAX : 0);
    CASE(POW, WRAP(int_pow(sx[i], sy[i])));
    CASE(POPCOUNT, int_popcount(t, x[i]));
    CASE(CLZ, int_clz(t, x[i]));
    return false;
}

bool eval_array(Op op, DType t, DType to, uint32_t kind, const uint64_t *const *args,
                unsigned count, uint64_t *out, size_t n)
{
    bool elementwise = (op >= OP_ADD && op <= OP_BITCAST) && op_info[op].arity == count;
    if (!elementwise) return false;
    const uint64_t *operands[3] = {args[0], count > 1 ? args[1] : args[0],
                                   count > 2 ? args[2] : args[0]};
    CASE(SELECT, operands[0][i] ? operands[1][i] : operands[2][i]);
    if (op == OP_CAST || op == OP_QUANT || op == OP_NEAREST || op == OP_BITCAST) {
        return eval_convert(op, t, to, (DType)kind, args[0], out, n);
    }
    if (t == DTYPE_F32) return eval_f32(op, operands, out, n);
    if (t == DTYPE_F64) return eval_f64(op, operands, out, n);
    if (t == DTYPE_NONE || dtype_is_float(t)) return false;
    return eval_int(op, t, operands, out, n);
}

bool eval_op(Op op, DType t, DType to, uint32_t kind, const uint64_t *args, unsigned count,
             uint64_t *result)
{
    if (count < 1 || count > 3) return false;
    const uint64_t *each[3] = {args, args + (count > 1 ? 1 : 0), args + (count > 2 ? 2 : 0)};
    return eval_array(op, t, to, kind, each, count, result, 1);
}
