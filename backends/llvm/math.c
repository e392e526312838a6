// f32 functions as inline polynomials, the same instructions for a scalar and for any number of lanes, so that a
// result never depends on how it was vectorised. Bounds (docs/math.md, checked by tests/unit/test_math.c): at
// most 2 ULP everywhere, denormals and specials included. Coefficients are minimax fits of the relative error.
// Other functions, and all of f64, come from SLEEF (sleef.c).
#include "backends/llvm/emit.h"

typedef LLVMValueRef V;

static V add(Emit *e, V a, V c) { return LLVMBuildFAdd(e->b, a, c, ""); }
static V sub(Emit *e, V a, V c) { return LLVMBuildFSub(e->b, a, c, ""); }
static V mul(Emit *e, V a, V c) { return LLVMBuildFMul(e->b, a, c, ""); }
static V quotient(Emit *e, V a, V c) { return LLVMBuildFDiv(e->b, a, c, ""); }
static V real(V like, double x) { return const_real(LLVMTypeOf(like), x); }
static V absolute(Emit *e, V x) { return emit_intrinsic1(e, "llvm.fabs", x); }
static V with_sign_of(Emit *e, V x, V sign) { return emit_intrinsic2(e, "llvm.copysign", x, sign); }
static V less(Emit *e, V a, V c) { return LLVMBuildFCmp(e->b, LLVMRealOLT, a, c, ""); }
static V equal(Emit *e, V a, V c) { return LLVMBuildFCmp(e->b, LLVMRealOEQ, a, c, ""); }
static V choose(Emit *e, V c, V a, V d) { return LLVMBuildSelect(e->b, c, a, d, ""); }

static V at_most(Emit *e, V x, double limit) // NaN stays
{
    V top = real(x, limit);
    return choose(e, less(e, top, x), top, x);
}

static V at_least(Emit *e, V x, double limit) // NaN stays
{
    V low = real(x, limit);
    return choose(e, less(e, x, low), low, x);
}

V emit_poly(Emit *e, V x, const double *c, unsigned count)
{
    V sum = real(x, c[count - 1]);
    for (unsigned i = count - 1; i-- > 0;) sum = emit_fma(e, sum, x, real(x, c[i]));
    return sum;
}

static V word_bits(Emit *e, V x) { return emit_bitcast(e, x, emit_int_type(e, 32)); }
static V word_float(Emit *e, V x) { return emit_bitcast(e, x, LLVMFloatTypeInContext(e->context)); }

static V int_plus(Emit *e, V n, int64_t x) { return LLVMBuildAdd(e->b, n, const_int(LLVMTypeOf(n), x), ""); }

static V power_of_two(Emit *e, V n) // -126 <= n <= 127
{
    V biased = int_plus(e, n, 127);
    return word_float(e, LLVMBuildShl(e->b, biased, const_int(LLVMTypeOf(n), 23), ""));
}

// y * 2^n in two exact steps and one rounding, so that denormal results round once and large n overflow.
static V scale(Emit *e, V y, V n)
{
    V half = LLVMBuildAShr(e->b, n, const_int(LLVMTypeOf(n), 1), "");
    V rest = LLVMBuildSub(e->b, n, half, "");
    return mul(e, mul(e, y, power_of_two(e, half)), power_of_two(e, rest));
}

// The nearest integer to x * factor as float and as int. Adding 1.5 * 2^23 leaves it in the low bits; unlike a
// conversion this is defined for NaN too.
static V nearest(Emit *e, V x, double factor, V *n)
{
    V magic = real(x, 12582912.0);
    V sum = emit_fma(e, x, real(x, factor), magic);
    *n = LLVMBuildSub(e->b, word_bits(e, sum), word_bits(e, magic), "");
    return sub(e, sum, magic);
}

static const double ln2_hi = 0x1.62e430p-1, ln2_lo = -0x1.05c610p-29; // hi + lo = log 2; hi in 24 bits

static V reduce_exp(Emit *e, V x, V *n)
{
    V count = nearest(e, x, 0x1.715476p+0, n);
    return emit_fma(e, count, real(x, -ln2_lo), emit_fma(e, count, real(x, -ln2_hi), x));
}

// e^r for |r| <= log 2 / 2.
static V exp_fraction(Emit *e, V r)
{
    static const double c[] = {0x1.fffffcp-2, 0x1.555492p-3, 0x1.5558aep-5, 0x1.123986p-7, 0x1.6a4f84p-10};
    V tail = emit_fma(e, mul(e, r, r), emit_poly(e, r, c, 5), r);
    return add(e, tail, real(r, 1));
}

static V emit_exp(Emit *e, V x)
{
    V n, r = reduce_exp(e, at_least(e, at_most(e, x, 89), -104), &n);
    return scale(e, exp_fraction(e, r), n);
}

// For arguments that neither overflow nor give denormals.
static V exp_inner(Emit *e, V x)
{
    V n, r = reduce_exp(e, x, &n);
    return mul(e, exp_fraction(e, r), power_of_two(e, n));
}

static V emit_exp2(Emit *e, V x)
{
    static const double c[] = {0x1.62e430p-1, 0x1.ebfbdcp-3, 0x1.c6af7ap-5,
                               0x1.3b2dd4p-7, 0x1.5f094ap-10, 0x1.417886p-13};
    V n, y = at_least(e, at_most(e, x, 129), -151);
    V r = sub(e, y, nearest(e, y, 1, &n));
    return scale(e, emit_fma(e, r, emit_poly(e, r, c, 6), real(x, 1)), n);
}

// 2 (q h + (h - 1/2)) with q = e^r - 1 and h = 2^(n-1), which is finite where the result is.
static V emit_expm1(Emit *e, V x)
{
    static const double c[] = {0x1.000000p-1, 0x1.555554p-3, 0x1.5554f4p-5,
                               0x1.1112fap-7, 0x1.6d3ed6p-10, 0x1.9e26b0p-13};
    V n, r = reduce_exp(e, at_least(e, at_most(e, x, 89), -20), &n);
    V q = emit_fma(e, mul(e, r, r), emit_poly(e, r, c, 6), r);
    V h = power_of_two(e, int_plus(e, n, -1));
    V half = emit_fma(e, q, h, sub(e, h, real(x, 0.5)));
    return with_sign_of(e, add(e, half, half), x); // keeps -0
}

// x = 2^e (1 + f) with 1 + f in [2/3, 4/3); tail = log(1 + f) - f.
typedef struct LogParts {
    V exponent, f, tail, n;
} LogParts;

static V log_tail(Emit *e, V f)
{
    static const double c[] = {0x1.555502p-2, -0x1.ffff14p-3, 0x1.99d1cap-3, -0x1.5597ecp-3,
                               0x1.1ec070p-3, -0x1.f3abcap-4, 0x1.1ec906p-3, -0x1.06c326p-3};
    V cubic = emit_fma(e, f, emit_poly(e, f, c, 8), real(f, -0.5));
    return mul(e, mul(e, f, f), cubic);
}

static LogParts split_log(Emit *e, V x)
{
    LogParts p;
    V word = word_bits(e, x);
    LLVMTypeRef type = LLVMTypeOf(word);
    V places = const_int(type, 23);
    p.n = LLVMBuildAShr(e->b, int_plus(e, word, -0x3f2aaaab), places, "");
    V mantissa = LLVMBuildSub(e->b, word, LLVMBuildShl(e->b, p.n, places, ""), "");
    p.exponent = LLVMBuildSIToFP(e->b, p.n, LLVMTypeOf(x), "");
    p.f = sub(e, word_float(e, mantissa), real(x, 1));
    return p;
}

static LogParts reduce_log(Emit *e, V x)
{
    V is_small = less(e, x, real(x, 0x1p-126));
    LogParts p = split_log(e, choose(e, is_small, mul(e, x, real(x, 0x1p23)), x));
    p.exponent = sub(e, p.exponent, choose(e, is_small, real(x, 23), real(x, 0)));
    p.tail = log_tail(e, p.f);
    return p;
}

// log of 0 is -inf, of a negative number NaN; inf and NaN stay.
static V log_specials(Emit *e, V x, V result)
{
    V zero = real(x, 0), inf = real(x, __builtin_inf());
    V other = choose(e, less(e, x, zero), real(x, __builtin_nan("")), x);
    other = choose(e, equal(e, x, zero), real(x, -__builtin_inf()), other);
    V regular = LLVMBuildAnd(e->b, less(e, zero, x), less(e, x, inf), "");
    return choose(e, regular, result, other);
}

static V natural_log(Emit *e, LogParts p)
{
    V low = add(e, emit_fma(e, p.exponent, real(p.f, ln2_lo), p.tail), p.f);
    return emit_fma(e, p.exponent, real(p.f, ln2_hi), low);
}

static V emit_log(Emit *e, V x) { return log_specials(e, x, natural_log(e, reduce_log(e, x))); }

// log(1 + f) * factor + exponent * unit, where factor and unit have two parts each.
static V emit_log_base(Emit *e, V x, double factor_hi, double factor_lo, double unit_hi, double unit_lo)
{
    LogParts p = reduce_log(e, x);
    V low = mul(e, p.f, real(x, factor_lo));
    if (unit_lo != 0) low = emit_fma(e, p.exponent, real(x, unit_lo), low);
    low = emit_fma(e, p.tail, real(x, factor_hi), low);
    low = emit_fma(e, p.f, real(x, factor_hi), low);
    return log_specials(e, x, emit_fma(e, p.exponent, real(x, unit_hi), low));
}

// 1 + x = 2^e (1 + f) with f = x 2^-e + (2^-e - 1), rounded once: nothing of x is lost.
static V emit_log1p(Emit *e, V x)
{
    V u = add(e, x, real(x, 1));
    LogParts p = split_log(e, u);
    V few = emit_intrinsic2(e, "llvm.smin", p.n, const_int(LLVMTypeOf(p.n), 64));
    V s = power_of_two(e, LLVMBuildNeg(e->b, few, ""));
    V exact = emit_fma(e, x, s, sub(e, s, real(x, 1)));
    V is_large = LLVMBuildICmp(e->b, LLVMIntSGT, p.n, const_int(LLVMTypeOf(p.n), 64), "");
    p.f = choose(e, is_large, p.f, exact);
    p.tail = log_tail(e, p.f);
    V result = log_specials(e, u, natural_log(e, p));
    return choose(e, equal(e, x, real(x, 0)), x, result); // keeps -0
}

static V emit_tanh(Emit *e, V x)
{
    static const double c[] = {-0x1.55554ap-2, 0x1.110cfep-3, -0x1.b922e2p-5, 0x1.59145ap-6, -0x1.9a6034p-8};
    V a = absolute(e, x), square = mul(e, a, a);
    V small = emit_fma(e, mul(e, a, square), emit_poly(e, square, c, 5), a);
    V t = at_most(e, a, 10);
    V big = sub(e, real(x, 1), quotient(e, real(x, 2), add(e, exp_inner(e, add(e, t, t)), real(x, 1))));
    return with_sign_of(e, choose(e, less(e, a, real(x, 0.55)), small, big), x);
}

// Near 0 odd polynomial; else 1 - erfc by the exponential of a polynomial for log erfc.
static V emit_erf(Emit *e, V x)
{
    static const double near0[] = {0x1.06eba8p-3, -0x1.812742p-2, 0x1.ce2deep-4, -0x1.b80d1ep-6,
                                   0x1.54be60p-8, -0x1.aa02e4p-11, 0x1.5c451ap-14};
    static const double far[] = {-0x1.077b16p-3, -0x1.45304ap-1, -0x1.b34374p-4, 0x1.85b8eap-6,
                                 -0x1.def538p-9, 0x1.5581c2p-12, -0x1.828a02p-17};
    V a = absolute(e, x), square = mul(e, a, a);
    V small = emit_fma(e, a, emit_poly(e, square, near0, 7), a);
    V t = at_most(e, a, 3.95);
    V exponent = sub(e, mul(e, t, emit_poly(e, t, far, 7)), t);
    V big = sub(e, real(x, 1), exp_inner(e, exponent));
    return with_sign_of(e, choose(e, less(e, a, real(x, 0.9275)), small, big), x);
}

static V emit_f32(Emit *e, Op op, V x)
{
    if (op == OP_EXP) return emit_exp(e, x);
    if (op == OP_EXP2) return emit_exp2(e, x);
    if (op == OP_EXPM1) return emit_expm1(e, x);
    if (op == OP_LOG) return emit_log(e, x);
    if (op == OP_LOG2) return emit_log_base(e, x, 0x1.715476p+0, 0x1.4ae0c0p-26, 1, 0);
    if (op == OP_LOG10) {
        return emit_log_base(e, x, 0x1.bcb7b2p-2, -0x1.5b235ep-27, 0x1.344136p-2, -0x1.ec10c0p-27);
    }
    if (op == OP_LOG1P) return emit_log1p(e, x);
    if (op == OP_TANH) return emit_tanh(e, x);
    if (op == OP_ERF) return emit_erf(e, x);
    if (op == OP_SIN || op == OP_COS) return emit_trig(e, op, x);
    return NULL;
}

V emit_math(Emit *e, Op op, DType t, V a, V c)
{
    if (op == OP_RCP) return quotient(e, real(a, 1), a);
    if (op == OP_SQRT) return emit_intrinsic1(e, "llvm.sqrt", a);
    if (op == OP_RSQRT) return quotient(e, real(a, 1), emit_intrinsic1(e, "llvm.sqrt", a));
    if (op == OP_ERFINV) return emit_cast(e, DTYPE_F64, t, emit_erfinv(e, emit_cast(e, t, DTYPE_F64, a)));
    V inlined = t == DTYPE_F32 ? emit_f32(e, op, a) : NULL;
    return inlined ? inlined : emit_sleef(e, op, t, a, c);
}
