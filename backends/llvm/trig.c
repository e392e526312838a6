// sin and cos of f32, and the inverse error function. The argument is reduced in f64, where x - n
// pi/2 keeps all its digits up to 2^30; larger ones, which no real kernel has, branch to SLEEF.
#include "backends/llvm/gen.h"

typedef LLVMValueRef V;

static V real(V like, double x)
{
    return gen_const_real(LLVMTypeOf(like), x);
}

static V as_double(Gen *g, V x)
{
    return LLVMBuildFPExt(g->b, x, lltype_shaped(x, LLVMDoubleTypeInContext(g->context)), "");
}

// r in [-pi/4, pi/4] with x = r + quadrant * pi/2; the quadrant's two low bits count.
static V reduce_quadrant(Gen *g, V x, V *quadrant)
{
    V wide = as_double(g, x), magic = real(wide, 0x1.8p52);
    V sum = gen_fma(g, wide, real(wide, 0x1.45f306dc9c883p-1), magic);
    V n = LLVMBuildFSub(g->b, sum, magic, "");
    V bits = gen_bitcast(g, sum, gen_int_type(g, 64));
    *quadrant = LLVMBuildTrunc(g->b, bits, lltype_shaped(x, gen_int_type(g, 32)), "");
    V r = gen_fma(g, n, real(wide, -0x1.921fb54442d18p+0), wide);
    r = gen_fma(g, n, real(wide, -0x1.1a62633145c07p-54), r);
    return LLVMBuildFPTrunc(g->b, r, LLVMTypeOf(x), "");
}

static V sin_poly(Gen *g, V r, V s)
{
    static const double c[] = {-0x1.555556p-3, 0x1.111174p-7, -0x1.a0596ap-13, 0x1.7c3802p-19};
    return gen_fma(g, LLVMBuildFMul(g->b, r, s, ""), gen_poly(g, s, c, 4), r);
}

static V cos_poly(Gen *g, V s)
{
    static const double c[] = {1, -0.5, 0x1.55554ap-5, -0x1.6c0c2ap-10, 0x1.99e904p-16};
    return gen_poly(g, s, c, 5);
}

static V bit_set(Gen *g, V n, int64_t bit)
{
    LLVMTypeRef type = LLVMTypeOf(n);
    V masked = LLVMBuildAnd(g->b, n, gen_const_int(type, bit), "");
    return LLVMBuildICmp(g->b, LLVMIntNE, masked, gen_const_int(type, 0), "");
}

static V select_large(Gen *g, Op op, V x, V result)
{
    V a = gen_intrinsic1(g, "llvm.fabs", x);
    V large = LLVMBuildFCmp(g->b, LLVMRealOGT, a, real(x, 0x1p30), "");
    Guard guard = gen_guard_rare(g, gen_any(g, large));
    V other = gen_guard_end(g, guard, gen_sleef(g, op, DTYPE_F32, x, NULL));
    return LLVMBuildSelect(g->b, large, other, result, "");
}

V gen_trig(Gen *g, Op op, V x)
{
    V quadrant, r = reduce_quadrant(g, x, &quadrant);
    if (op == OP_COS) {
        quadrant = LLVMBuildAdd(g->b, quadrant, gen_const_int(LLVMTypeOf(quadrant), 1), "");
    }
    V s = LLVMBuildFMul(g->b, r, r, "");
    V y = LLVMBuildSelect(g->b, bit_set(g, quadrant, 1), cos_poly(g, s), sin_poly(g, r, s), "");
    y = LLVMBuildSelect(g->b, bit_set(g, quadrant, 2), LLVMBuildFNeg(g->b, y, ""), y, "");
    if (op == OP_SIN) { // keeps -0
        V zero = LLVMBuildFCmp(g->b, LLVMRealOEQ, x, real(x, 0), "");
        y = LLVMBuildSelect(g->b, zero, x, y, "");
    }
    return select_large(g, op, x, y);
}

// ---- inverse error function, f64: Wichura's AS 241 for the normal quantile, three rational pieces

static const double center_top[] = {3.3871328727963666080e0, 1.3314166789178437745e2,
                                    1.9715909503065514427e3, 1.3731693765509461125e4,
                                    4.5921953931549871457e4, 6.7265770927008700853e4,
                                    3.3430575583588128105e4, 2.5090809287301226727e3};
static const double center_low[] = {1,
                                    4.2313330701600911252e1,
                                    6.8718700749205790830e2,
                                    5.3941960214247511077e3,
                                    2.1213794301586595867e4,
                                    3.9307895800092710610e4,
                                    2.8729085735721942674e4,
                                    5.2264952788528545610e3};
static const double middle_top[] = {1.42343711074968357734e0,  4.63033784615654529590e0,
                                    5.76949722146069140550e0,  3.64784832476320460504e0,
                                    1.27045825245236838258e0,  2.41780725177450611770e-1,
                                    2.27238449892691845833e-2, 7.74545014278341407640e-4};
static const double middle_low[] = {1,
                                    2.05319162663775882187e0,
                                    1.67638483018380384940e0,
                                    6.89767334985100004550e-1,
                                    1.48103976427480074590e-1,
                                    1.51986665636164571966e-2,
                                    5.47593808499534494600e-4,
                                    1.05075007164441684324e-9};
static const double tail_top[] = {6.65790464350110377720e0,  5.46378491116411436990e0,
                                  1.78482653991729133580e0,  2.96560571828504891230e-1,
                                  2.65321895265761230930e-2, 1.24266094738807843860e-3,
                                  2.71155556874348757815e-5, 2.01033439929228813265e-7};
static const double tail_low[] = {1,
                                  5.99832206555887937690e-1,
                                  1.36929880922735805310e-1,
                                  1.48753612908506148525e-2,
                                  7.86869131145613259100e-4,
                                  1.84631831751005468180e-5,
                                  1.42151175831644588870e-7,
                                  2.04426310338993978564e-15};

static V rational(Gen *g, V x, const double *top, const double *low)
{
    return LLVMBuildFDiv(g->b, gen_poly(g, x, top, 8), gen_poly(g, x, low, 8), "");
}

V gen_erfinv(Gen *g, V x)
{
    LLVMBuilderRef b = g->b;
    V a = gen_intrinsic1(g, "llvm.fabs", x), one = real(x, 1);
    V q = LLVMBuildFMul(b, a, real(x, 0.5), "");
    V s = LLVMBuildFSub(b, real(x, 0.180625), LLVMBuildFMul(b, q, q, ""), "");
    V center = LLVMBuildFMul(b, q, rational(g, s, center_top, center_low), "");
    V rest = LLVMBuildFMul(b, LLVMBuildFSub(b, one, a, ""), real(x, 0.5), "");
    V root = LLVMBuildFNeg(b, gen_sleef(g, OP_LOG, DTYPE_F64, rest, NULL), "");
    root = gen_intrinsic1(g, "llvm.sqrt", root);
    V middle = rational(g, LLVMBuildFSub(b, root, real(x, 1.6), ""), middle_top, middle_low);
    V tail = rational(g, LLVMBuildFSub(b, root, real(x, 5), ""), tail_top, tail_low);
    V outer =
        LLVMBuildSelect(b, LLVMBuildFCmp(b, LLVMRealOLE, root, real(x, 5), ""), middle, tail, "");
    V is_center = LLVMBuildFCmp(b, LLVMRealOLE, q, real(x, 0.425), "");
    V y = LLVMBuildSelect(b, is_center, center, outer, "");
    y = LLVMBuildFMul(b, y, real(x, 0x1.6a09e667f3bcdp-1), "");
    V at_one = LLVMBuildFCmp(b, LLVMRealOEQ, a, one, "");
    y = LLVMBuildSelect(b, at_one, real(x, __builtin_inf()), y, "");
    return gen_intrinsic2(g, "llvm.copysign", y, x);
}
