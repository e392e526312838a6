// Calls of SLEEF, the vector maths library (u10: at most 1 ULP). Arguments are split or widened to
// the native vector, scalars too, so that a result depends on the target only and never on how it
// was vectorised.
#include "backends/llvm/gen.h"

#include <stdio.h>

// Functions used, and the ops they serve.
#define SLEEF_FUNCTIONS(X)                                                                         \
    X(EXP, exp)                                                                                    \
    X(EXP2, exp2) X(EXPM1, expm1) X(LOG, log) X(LOG2, log2) X(LOG10, log10) X(LOG1P, log1p)        \
        X(SIN, sin) X(COS, cos) X(TAN, tan) X(ASIN, asin) X(ACOS, acos) X(ATAN, atan)              \
            X(ATAN2, atan2) X(SINH, sinh) X(COSH, cosh) X(TANH, tanh) X(ERF, erf) X(POW, pow)

static const char *base_name(Op op)
{
#define NAME(id, name)                                                                             \
    if (op == OP_##id) return #name;
    SLEEF_FUNCTIONS(NAME)
#undef NAME
    return NULL;
}

LLVMValueRef gen_sleef(Gen *g, Op op, DType t, LLVMValueRef a, LLVMValueRef c)
{
    const char *base = base_name(op);
    if (!base) return NULL;
    const TargetInfo *target = g->target;
    unsigned bits = dtype_info[t].bits, native = target->has_avx512 ? 512
                                                 : target->has_avx2 ? 256
                                                                    : 128;
    native /= bits;
    const char *suffix = target->is_aarch64   ? "advsimd"
                         : target->has_avx512 ? "avx512f"
                         : target->has_avx2   ? "avx2"
                                              : "sse2";
    char name[64];
    snprintf(name, sizeof name, "Sleef_%s%c%u_u10%s", base, t == DTYPE_F64 ? 'd' : 'f', native,
             suffix);
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

#if defined(__x86_64__)
#define SLEEF_VARIANTS(X, name)                                                                    \
    X(name, f16, avx512f)                                                                          \
    X(name, d8, avx512f) X(name, f8, avx2) X(name, d4, avx2) X(name, f4, sse2) X(name, d2, sse2)
#elif defined(__aarch64__)
#define SLEEF_VARIANTS(X, name) X(name, f4, advsimd) X(name, d2, advsimd)
#else
#define SLEEF_VARIANTS(X, name)
#endif

// Only the addresses matter here; the code generator knows the types.
#define DECLARE(name, shape, suffix) extern void Sleef_##name##shape##_u10##suffix(void);
#define DECLARE_ALL(id, name)        SLEEF_VARIANTS(DECLARE, name)
SLEEF_FUNCTIONS(DECLARE_ALL)

void *gen_sleef_address(const char *wanted)
{
#define MATCH(name, shape, suffix)                                                                 \
    if (strcmp(wanted, "Sleef_" #name #shape "_u10" #suffix) == 0) {                               \
        return (void *)(uintptr_t)Sleef_##name##shape##_u10##suffix;                               \
    }
#define MATCH_ALL(id, name) SLEEF_VARIANTS(MATCH, name)
    SLEEF_FUNCTIONS(MATCH_ALL)
    return NULL;
}
