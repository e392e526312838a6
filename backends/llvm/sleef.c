// Calls of SLEEF, the vector maths library (u10: at most 1 ULP). Arguments are split or widened to
// the native vector, scalars too. The flavours "finz" and "cinz" (with and without FMA) give the
// same bits whatever the other lanes hold; SLEEF's plain functions choose a path by looking at all
// lanes.
#include "backends/llvm/gen.h"

#include <stdio.h>

// Functions used, and the ops they serve.
#define SLEEF_FUNCTIONS(X)                                                                         \
    X(EXP, exp)                                                                                    \
    X(EXP2, exp2)                                                                                  \
    X(EXPM1, expm1)                                                                                \
    X(LOG, log)                                                                                    \
    X(LOG2, log2)                                                                                  \
    X(LOG10, log10)                                                                                \
    X(LOG1P, log1p)                                                                                \
    X(SIN, sin) X(COS, cos) X(TAN, tan) X(ASIN, asin) X(ACOS, acos) X(ATAN, atan) X(ATAN2, atan2)  \
        X(SINH, sinh) X(COSH, cosh) X(TANH, tanh) X(ERF, erf) X(POW, pow)

static const char *base_name(Op op)
{
#define NAME(id, name)                                                                             \
    if (op == OP_##id) return #name;
    SLEEF_FUNCTIONS(NAME)
#undef NAME
    return NULL;
}

// Lane by lane: code that is to run where only libm is.
static LLVMValueRef call_libm(Gen *g, const char *base, DType t, LLVMValueRef a, LLVMValueRef c)
{
    char name[16];
    snprintf(name, sizeof name, "%s%s", base, t == DTYPE_F64 ? "" : "f");
    LLVMTypeRef lane = gen_dtype(g, t);
    LLVMTypeRef type = LLVMFunctionType(lane, (LLVMTypeRef[]){lane, lane}, c ? 2 : 1, false);
    LLVMValueRef function = gen_import(g, name, type);
    unsigned lanes = lanes_of(a);
    LLVMValueRef all = lanes ? LLVMGetUndef(LLVMTypeOf(a)) : NULL;
    for (unsigned k = 0; k < (lanes ? lanes : 1); k++) {
        LLVMValueRef args[] = {gen_lane(g, a, k), c ? gen_lane(g, c, k) : NULL};
        LLVMValueRef y = LLVMBuildCall2(g->b, type, function, args, c ? 2 : 1, "");
        LLVMValueRef at = gen_const_int(gen_int_type(g, 32), k);
        all = lanes ? LLVMBuildInsertElement(g->b, all, y, at, "") : y;
    }
    return all;
}

static LLVMValueRef call_sleef(Gen *g, Op op, DType t, LLVMValueRef a, LLVMValueRef c)
{
    const char *base = base_name(op);
    if (!base) return NULL;
    if (g->standalone) return call_libm(g, base, t, a, c);
    const TargetInfo *target = g->target;
    unsigned bits = dtype_info[t].bits, native = target->has_avx512 ? 512
                                                 : target->has_avx2 ? 256
                                                                    : 128;
    native /= bits;
    const char *suffix = target->is_aarch64   ? "advsimd"
                         : target->has_avx512 ? "avx512f"
                         : target->has_avx2   ? "avx2"
                                              : "sse2";
    const char *flavour = target->is_aarch64 || target->has_avx2 ? "finz" : "cinz";
    char name[64];
    snprintf(name, sizeof name, "Sleef_%s_%s%c%u_u10%s", flavour, base, t == DTYPE_F64 ? 'd' : 'f',
             native, suffix);
    LLVMTypeRef vector = LLVMVectorType(gen_dtype(g, t), native);
    LLVMTypeRef type = LLVMFunctionType(vector, (LLVMTypeRef[]){vector, vector}, c ? 2 : 1, false);
    LLVMValueRef function = gen_import(g, name, type);
    unsigned lanes = lanes_of(a);
    LLVMValueRef all = NULL;
    for (unsigned first = 0; first < (lanes ? lanes : 1); first += native) {
        LLVMValueRef args[] = {gen_slice(g, a, first, native),
                               c ? gen_slice(g, c, first, native) : NULL};
        LLVMValueRef part = LLVMBuildCall2(g->b, type, function, args, c ? 2 : 1, "");
        all = all ? gen_concat(g, all, part) : part;
    }
    return lanes ? gen_slice(g, all, 0, lanes) : gen_lane(g, all, 0);
}

// SLEEF's log1p overflows near the largest f64: take 2^512 out of large arguments, where 1 + x = x.
static LLVMValueRef log1p_f64(Gen *g, LLVMValueRef x)
{
    LLVMTypeRef type = LLVMTypeOf(x);
    LLVMValueRef large = LLVMBuildFCmp(g->b, LLVMRealOGT, x, gen_const_real(type, 0x1p600), "");
    LLVMValueRef less = LLVMBuildFMul(g->b, x, gen_const_real(type, 0x1p-512), "");
    LLVMValueRef y =
        call_sleef(g, OP_LOG1P, DTYPE_F64, LLVMBuildSelect(g->b, large, less, x, ""), NULL);
    LLVMValueRef whole =
        LLVMBuildFAdd(g->b, y, gen_const_real(type, 512 * 0x1.62e42fefa39efp-1), "");
    return LLVMBuildSelect(g->b, large, whole, y, "");
}

// SLEEF's sinh and cosh overflow before the result does; there they are e^(|x| - 1) * e/2.
static LLVMValueRef hyperbolic_f64(Gen *g, Op op, LLVMValueRef x)
{
    LLVMTypeRef type = LLVMTypeOf(x);
    LLVMValueRef y = call_sleef(g, op, DTYPE_F64, x, NULL);
    LLVMValueRef a = gen_intrinsic1(g, "llvm.fabs", x);
    LLVMValueRef large = LLVMBuildFCmp(g->b, LLVMRealOGT, a, gen_const_real(type, 700), "");
    Guard guard = gen_guard_rare(g, gen_any(g, large));
    LLVMValueRef below = LLVMBuildFSub(g->b, a, gen_const_real(type, 1), "");
    LLVMValueRef power = call_sleef(g, OP_EXP, DTYPE_F64, below, NULL);
    LLVMValueRef other = LLVMBuildFMul(g->b, power, gen_const_real(type, 0x1.5bf0a8b145769p+0), "");
    if (op == OP_SINH) other = gen_intrinsic2(g, "llvm.copysign", other, x);
    other = gen_guard_end(g, guard, other);
    return LLVMBuildSelect(g->b, large, other, y, "");
}

LLVMValueRef gen_sleef(Gen *g, Op op, DType t, LLVMValueRef a, LLVMValueRef c)
{
    if (op == OP_LOG1P && t == DTYPE_F64) return log1p_f64(g, a);
    if ((op == OP_SINH || op == OP_COSH) && t == DTYPE_F64) return hyperbolic_f64(g, op, a);
    return call_sleef(g, op, t, a, c);
}

#if defined(__x86_64__)
#define SLEEF_VARIANTS(X, name)                                                                    \
    X(name, finz, f16, avx512f)                                                                    \
    X(name, finz, d8, avx512f)                                                                     \
    X(name, finz, f8, avx2)                                                                        \
    X(name, finz, d4, avx2)                                                                        \
    X(name, cinz, f4, sse2)                                                                        \
    X(name, cinz, d2, sse2)
#elif defined(__aarch64__)
#define SLEEF_VARIANTS(X, name) X(name, finz, f4, advsimd) X(name, finz, d2, advsimd)
#else
#define SLEEF_VARIANTS(X, name)
#endif

// Only the addresses matter here; the code generator knows the types.
#define DECLARE(name, flavour, shape, suffix)                                                      \
    extern void Sleef_##flavour##_##name##shape##_u10##suffix(void);
#define DECLARE_ALL(id, name) SLEEF_VARIANTS(DECLARE, name)
SLEEF_FUNCTIONS(DECLARE_ALL)

void *gen_sleef_address(const char *wanted)
{
#define MATCH(name, flavour, shape, suffix)                                                        \
    if (strcmp(wanted, "Sleef_" #flavour "_" #name #shape "_u10" #suffix) == 0) {                  \
        return (void *)(uintptr_t)Sleef_##flavour##_##name##shape##_u10##suffix;                   \
    }
#define MATCH_ALL(id, name) SLEEF_VARIANTS(MATCH, name)
    SLEEF_FUNCTIONS(MATCH_ALL)
    return NULL;
}
