// f32 functions as inline polynomials, the same instructions for a scalar and for any number of
// lanes, so that a result never depends on how it was vectorised. Bounds (docs/math.md, checked by
// tests/unit/test_math.c): at most 2 ULP everywhere, denormals and specials included. Coefficients
// are minimax fits of the relative error. Other functions, and all of f64, come from SLEEF
// (sleef.c).
#include "backends/llvm/gen.h"

typedef LLVMValueRef V;

static V add(Gen *g, V a, V c)
{
    return LLVMBuildFAdd(g->b, a, c, "");
}
static V sub(Gen *g, V a, V c)
{
    return LLVMBuildFSub(g->b, a, c, "");
}
static V mul(Gen *g, V a, V c)
{
    return LLVMBuildFMul(g->b, a, c, "");
}
static V quotient(Gen *g, V a, V c)
{
    return LLVMBuildFDiv(g->b, a, c, "");
}
static V real(V like, double x)
{
    return gen_const_real(LLVMTypeOf(like), x);
}
static V absolute(Gen *g, V x)
{
    return gen_intrinsic1(g, "llvm.fabs", x);
}
static V with_sign_of(Gen *g, V x, V sign)
{
    return gen_intrinsic2(g, "llvm.copysign", x, sign);
}
static V less(Gen *g, V a, V c)
{
    return LLVMBuildFCmp(g->b, LLVMRealOLT, a, c, "");
}
static V equal(Gen *g, V a, V c)
{
    return LLVMBuildFCmp(g->b, LLVMRealOEQ, a, c, "");
}
static V choose(Gen *g, V c, V a, V d)
{
    return LLVMBuildSelect(g->b, c, a, d, "");
}

static V at_most(Gen *g, V x, double limit) // NaN stays
{
    V top = real(x, limit);
    return choose(g, less(g, top, x), top, x);
}

static V at_least(Gen *g, V x, double limit) // NaN stays
{
    V low = real(x, limit);
    return choose(g, less(g, x, low), low, x);
}

V gen_poly(Gen *g, V x, const double *c, unsigned count)
{
    V sum = real(x, c[count - 1]);
    for (unsigned i = count - 1; i-- > 0;) sum = gen_fma(g, sum, x, real(x, c[i]));
    return sum;
}

static V word_bits(Gen *g, V x)
{
    return gen_bitcast(g, x, gen_int_type(g, 32));
}
static V word_float(Gen *g, V x)
{
    return gen_bitcast(g, x, LLVMFloatTypeInContext(g->context));
}

static V int_plus(Gen *g, V n, int64_t x)
{
    return LLVMBuildAdd(g->b, n, gen_const_int(LLVMTypeOf(n), x), "");
}

static V power_of_two(Gen *g, V n) // -126 <= n <= 127
{
    V biased = int_plus(g, n, 127);
    return word_float(g, LLVMBuildShl(g->b, biased, gen_const_int(LLVMTypeOf(n), 23), ""));
}

// y * 2^n rounded once: in two exact steps, so that denormal results round once and large n
// overflow. `count` is n as a float.
static V scale(Gen *g, V y, V n, V count)
{
    if (g->target->has_avx512) return gen_scalef(g, y, count);
    V half = LLVMBuildAShr(g->b, n, gen_const_int(LLVMTypeOf(n), 1), "");
    V rest = LLVMBuildSub(g->b, n, half, "");
    return mul(g, mul(g, y, power_of_two(g, half)), power_of_two(g, rest));
}

// The nearest integer to x * factor as float and as int. Adding 1.5 * 2^23 leaves it in the low
// bits; unlike a conversion this is defined for NaN too.
static V nearest(Gen *g, V x, double factor, V *n)
{
    V magic = real(x, 12582912.0);
    V sum = gen_fma(g, x, real(x, factor), magic);
    *n = LLVMBuildSub(g->b, word_bits(g, sum), word_bits(g, magic), "");
    return sub(g, sum, magic);
}

static const double ln2_hi = 0x1.62e430p-1,
                    ln2_lo = -0x1.05c610p-29; // hi + lo = log 2; hi in 24 bits

typedef struct Power { // x = n log 2 + r, or for exp2 n + r
    V r, n, count;     // count: n as a float
} Power;

// x - n log 2
static V less_log2(Gen *g, V x, V n)
{
    return gen_fma(g, n, real(x, -ln2_lo), gen_fma(g, n, real(x, -ln2_hi), x));
}

static Power reduce_exp(Gen *g, V x)
{
    Power p;
    p.count = nearest(g, x, 0x1.715476p+0, &p.n);
    p.r = less_log2(g, x, p.count);
    return p;
}

// e^r for |r| <= log 2 / 2.
static V exp_fraction(Gen *g, V r)
{
    static const double c[] = {
        1, 1, 0x1.fffffcp-2, 0x1.555492p-3, 0x1.5558aep-5, 0x1.123986p-7, 0x1.6a4f84p-10};
    return gen_poly(g, r, c, 7);
}

// x = n log 2 + r in sixteenths n: 2^(n mod 1) from a table, and of r a third less work. Scaling
// takes the whole part of n, and knows overflow and underflow; r must not run away there.
static V exp_by_table(Gen *g, V x)
{
    static const double c[] = {1, 0x1.000222p-1, 0x1.555720p-3};
    V magic = real(x, 0x1.8p19), sum = gen_fma(g, x, real(x, 0x1.715476p+0), magic);
    V n = sub(g, sum, magic);
    V r = gen_clamp_magnitude(g, less_log2(g, x, n), 0.5);
    V power = gen_power_of_two_by_table(g, word_bits(g, sum));
    return gen_scalef(g, gen_fma(g, power, mul(g, r, gen_poly(g, r, c, 3)), power), n);
}

static V gen_exp(Gen *g, V x)
{
    if (g->target->has_avx512) return exp_by_table(g, x);
    Power p = reduce_exp(g, at_least(g, at_most(g, x, 89), -104));
    return scale(g, exp_fraction(g, p.r), p.n, p.count);
}

// For arguments that neither overflow nor give denormals.
static V exp_inner(Gen *g, V x)
{
    Power p = reduce_exp(g, x);
    V y = exp_fraction(g, p.r);
    return g->target->has_avx512 ? gen_scalef(g, y, p.count) : mul(g, y, power_of_two(g, p.n));
}

static V gen_exp2(Gen *g, V x)
{
    static const double c[] = {0x1.62e430p-1, 0x1.ebfbdcp-3,  0x1.c6af7ap-5,
                               0x1.3b2dd4p-7, 0x1.5f094ap-10, 0x1.417886p-13};
    Power p = {0};
    if (g->target->has_avx512) { // scaling knows overflow and underflow
        p.r = gen_from_nearest(g, x);
        p.count = sub(g, x, p.r);
    } else {
        V y = at_least(g, at_most(g, x, 129), -151);
        p.count = nearest(g, y, 1, &p.n);
        p.r = sub(g, y, p.count);
    }
    return scale(g, gen_fma(g, p.r, gen_poly(g, p.r, c, 6), real(x, 1)), p.n, p.count);
}

// 2 (q h + (h - 1/2)) with q = e^r - 1 and h = 2^(n-1), which is finite where the result is.
static V gen_expm1(Gen *g, V x)
{
    static const double c[] = {0x1.000000p-1, 0x1.555554p-3,  0x1.5554f4p-5,
                               0x1.1112fap-7, 0x1.6d3ed6p-10, 0x1.9e26b0p-13};
    Power p = reduce_exp(g, at_least(g, at_most(g, x, 89), -20));
    V q = gen_fma(g, mul(g, p.r, p.r), gen_poly(g, p.r, c, 6), p.r);
    V h = power_of_two(g, int_plus(g, p.n, -1));
    V half = gen_fma(g, q, h, sub(g, h, real(x, 0.5)));
    return with_sign_of(g, add(g, half, half), x); // keeps -0
}

// x = 2^e (1 + f) with 1 + f in [2/3, 4/3); tail = log(1 + f) - f.
typedef struct LogParts {
    V exponent, f, tail, n;
} LogParts;

static V log_tail(Gen *g, V f)
{
    static const double c[] = {0x1.555502p-2, -0x1.ffff14p-3, 0x1.99d1cap-3, -0x1.5597ecp-3,
                               0x1.1ec070p-3, -0x1.f3abcap-4, 0x1.1ec906p-3, -0x1.06c326p-3};
    V cubic = gen_fma(g, f, gen_poly(g, f, c, 8), real(f, -0.5));
    return mul(g, mul(g, f, f), cubic);
}

static LogParts split_log(Gen *g, V x)
{
    LogParts p;
    V word = word_bits(g, x);
    LLVMTypeRef type = LLVMTypeOf(word);
    V places = gen_const_int(type, 23);
    p.n = LLVMBuildAShr(g->b, int_plus(g, word, -0x3f2aaaab), places, "");
    V mantissa = LLVMBuildSub(g->b, word, LLVMBuildShl(g->b, p.n, places, ""), "");
    p.exponent = LLVMBuildSIToFP(g->b, p.n, LLVMTypeOf(x), "");
    p.f = sub(g, word_float(g, mantissa), real(x, 1));
    return p;
}

static LogParts reduce_log(Gen *g, V x)
{
    V is_small = less(g, x, real(x, 0x1p-126));
    LogParts p = split_log(g, choose(g, is_small, mul(g, x, real(x, 0x1p23)), x));
    p.exponent = sub(g, p.exponent, choose(g, is_small, real(x, 23), real(x, 0)));
    p.tail = log_tail(g, p.f);
    return p;
}

// log of 0 is -inf, of a negative number NaN; inf and NaN stay.
static V log_specials(Gen *g, V x, V result)
{
    V zero = real(x, 0), inf = real(x, __builtin_inf());
    V other = choose(g, less(g, x, zero), real(x, __builtin_nan("")), x);
    other = choose(g, equal(g, x, zero), real(x, -__builtin_inf()), other);
    V regular = LLVMBuildAnd(g->b, less(g, zero, x), less(g, x, inf), "");
    return choose(g, regular, result, other);
}

static V natural_log(Gen *g, LogParts p)
{
    V low = add(g, gen_fma(g, p.exponent, real(p.f, ln2_lo), p.tail), p.f);
    return gen_fma(g, p.exponent, real(p.f, ln2_hi), low);
}

static V gen_log(Gen *g, V x)
{
    return log_specials(g, x, natural_log(g, reduce_log(g, x)));
}

// log(1 + f) * factor + exponent * unit, where factor and unit have two parts each.
static V gen_log_base(Gen *g, V x, double factor_hi, double factor_lo, double unit_hi,
                      double unit_lo)
{
    LogParts p = reduce_log(g, x);
    V low = mul(g, p.f, real(x, factor_lo));
    if (unit_lo != 0) low = gen_fma(g, p.exponent, real(x, unit_lo), low);
    low = gen_fma(g, p.tail, real(x, factor_hi), low);
    low = gen_fma(g, p.f, real(x, factor_hi), low);
    return log_specials(g, x, gen_fma(g, p.exponent, real(x, unit_hi), low));
}

// 1 + x = 2^e (1 + f) with f = x 2^-e + (2^-e - 1), rounded once; what the rounding lost comes
// after.
static V gen_log1p(Gen *g, V x)
{
    V u = add(g, x, real(x, 1));
    LogParts p = split_log(g, u);
    V few = gen_intrinsic2(g, "llvm.smin", p.n, gen_const_int(LLVMTypeOf(p.n), 64));
    V s = power_of_two(g, LLVMBuildNeg(g->b, few, "")), offset = sub(g, s, real(x, 1));
    V exact = gen_fma(g, x, s, offset);
    V lost = gen_fma(g, x, s, sub(g, offset, exact));
    V is_large = LLVMBuildICmp(g->b, LLVMIntSGT, p.n, gen_const_int(LLVMTypeOf(p.n), 64), "");
    p.f = choose(g, is_large, p.f, exact);
    p.tail = add(g, log_tail(g, p.f), choose(g, is_large, real(x, 0), lost));
    V result = log_specials(g, u, natural_log(g, p));
    return choose(g, equal(g, x, real(x, 0)), x, result); // keeps -0
}

static V gen_tanh(Gen *g, V x)
{
    if (g->target->has_avx512) return gen_tanh_by_segments(g, x);
    static const double c[] = {-0x1.55554ap-2, 0x1.110cfep-3, -0x1.b922e2p-5, 0x1.59145ap-6,
                               -0x1.9a6034p-8};
    V a = absolute(g, x), square = mul(g, a, a);
    V small = gen_fma(g, mul(g, a, square), gen_poly(g, square, c, 5), a);
    V t = at_most(g, a, 10);
    V big =
        sub(g, real(x, 1), quotient(g, real(x, 2), add(g, exp_inner(g, add(g, t, t)), real(x, 1))));
    return with_sign_of(g, choose(g, less(g, a, real(x, 0.55)), small, big), x);
}

// e^a / 2 for a >= 0, finite as long as sinh and cosh are; then e^-a / 2 is a quarter of its
// inverse.
static V half_exp(Gen *g, V a)
{
    Power p = reduce_exp(g, at_most(g, a, 90));
    return scale(g, exp_fraction(g, p.r), int_plus(g, p.n, -1), sub(g, p.count, real(a, 1)));
}

static V gen_cosh(Gen *g, V x)
{
    V half = half_exp(g, absolute(g, x));
    return add(g, half, quotient(g, real(x, 0.25), half));
}

static V gen_sinh(Gen *g, V x)
{
    static const double c[] = {0x1.555556p-3, 0x1.1110e2p-7, 0x1.a0216ap-13, 0x1.75a184p-19};
    V a = absolute(g, x), square = mul(g, a, a);
    V small = gen_fma(g, mul(g, a, square), gen_poly(g, square, c, 4), a);
    V half = half_exp(g, a);
    V big = sub(g, half, quotient(g, real(x, 0.25), half));
    return with_sign_of(g, choose(g, less(g, a, real(x, 1)), small, big), x);
}

// Near 0 odd polynomial; else 1 - erfc by the exponential of a polynomial for log erfc.
static V gen_erf(Gen *g, V x)
{
    if (g->target->has_avx512) return gen_erf_by_segments(g, x);
    static const double near0[] = {0x1.06eba8p-3, -0x1.812742p-2,  0x1.ce2deep-4, -0x1.b80d1ep-6,
                                   0x1.54be60p-8, -0x1.aa02e4p-11, 0x1.5c451ap-14};
    static const double far[] = {-0x1.077b16p-3, -0x1.45304ap-1, -0x1.b34374p-4, 0x1.85b8eap-6,
                                 -0x1.def538p-9, 0x1.5581c2p-12, -0x1.828a02p-17};
    V a = absolute(g, x), square = mul(g, a, a);
    V small = gen_fma(g, a, gen_poly(g, square, near0, 7), a);
    V t = at_most(g, a, 3.95);
    V exponent = sub(g, mul(g, t, gen_poly(g, t, far, 7)), t);
    V big = sub(g, real(x, 1), exp_inner(g, exponent));
    return with_sign_of(g, choose(g, less(g, a, real(x, 0.9275)), small, big), x);
}

static V gen_f32(Gen *g, Op op, V x)
{
    if (op == OP_EXP) return gen_exp(g, x);
    if (op == OP_EXP2) return gen_exp2(g, x);
    if (op == OP_EXPM1) return gen_expm1(g, x);
    if (op == OP_LOG) return gen_log(g, x);
    if (op == OP_LOG2) return gen_log_base(g, x, 0x1.715476p+0, 0x1.4ae0c0p-26, 1, 0);
    if (op == OP_LOG10) {
        return gen_log_base(g, x, 0x1.bcb7b2p-2, -0x1.5b235ep-27, 0x1.344136p-2, -0x1.ec10c0p-27);
    }
    if (op == OP_LOG1P) return gen_log1p(g, x);
    if (op == OP_TANH) return gen_tanh(g, x);
    if (op == OP_ERF) return gen_erf(g, x);
    if (op == OP_SINH) return gen_sinh(g, x);
    if (op == OP_COSH) return gen_cosh(g, x);
    if (op == OP_SIN || op == OP_COS) return gen_trig(g, op, x);
    return NULL;
}

V gen_math(Gen *g, Op op, DType t, V a, V c)
{
    if (op == OP_RCP) return quotient(g, real(a, 1), a);
    if (op == OP_SQRT) return gen_intrinsic1(g, "llvm.sqrt", a);
    if (op == OP_RSQRT) return quotient(g, real(a, 1), gen_intrinsic1(g, "llvm.sqrt", a));
    if (op == OP_ERFINV) {
        return gen_cast(g, DTYPE_F64, t, gen_erfinv(g, gen_cast(g, t, DTYPE_F64, a)));
    }
    V inlined = t == DTYPE_F32 ? gen_f32(g, op, a) : NULL;
    return inlined ? inlined : gen_sleef(g, op, t, a, c);
}
