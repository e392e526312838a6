// What AVX-512 has for f32 beyond LLVM's own operations: scaling by powers of two, minima and
// maxima of numbers, clamping by magnitude, distances to integers, mantissas and exponents;
// and a division made of them. Any number of lanes, also none, does the same operations, so that
// bits do not depend on it.
#include <math.h>
#include <stdio.h>

#include "backends/llvm/gen.h"

typedef LLVMValueRef V;

typedef struct Call { // llvm.x86.avx512.NAME.BITS (operands, immediate?, 0, all lanes, rounding?)
    const char *name;
    V operands[2];
    unsigned count;
    int immediate; // -1: none
    bool rounds;
} Call;

static V call_native(Gen *g, const Call *c, unsigned lanes)
{
    char name[64];
    bool wide = lanes == 16;
    snprintf(name, sizeof name, "llvm.x86.avx512.%s.%u", c->name, lanes * 32);
    V args[7];
    unsigned n = 0;
    for (unsigned k = 0; k < c->count; k++) args[n++] = c->operands[k];
    if (c->immediate >= 0) args[n++] = gen_const_int(gen_int_type(g, 32), c->immediate);
    args[n++] = LLVMConstNull(LLVMTypeOf(c->operands[0]));
    args[n++] = gen_const_int(gen_int_type(g, wide ? 16 : 8), -1);
    if (wide && c->rounds) args[n++] = gen_const_int(gen_int_type(g, 32), 4); // as the CPU is set
    return gen_intrinsic(g, name, NULL, 0, args, n);
}

static unsigned native_lanes(unsigned lanes)
{
    return lanes <= 4 ? 4 : lanes <= 8 ? 8 : 16;
}

static V call(Gen *g, Call c)
{
    unsigned lanes = lanes_of(c.operands[0]);
    if (lanes > 16) {
        Call first = c, rest = c;
        for (unsigned k = 0; k < c.count; k++) {
            first.operands[k] = gen_slice(g, c.operands[k], 0, 16);
            rest.operands[k] = gen_slice(g, c.operands[k], 16, lanes - 16);
        }
        return gen_concat(g, call(g, first), call(g, rest));
    }
    unsigned native = native_lanes(lanes);
    for (unsigned k = 0; k < c.count; k++) c.operands[k] = gen_slice(g, c.operands[k], 0, native);
    V result = call_native(g, &c, native);
    return lanes ? gen_slice(g, result, 0, lanes) : gen_lane(g, result, 0);
}

V gen_scalef(Gen *g, V y, V n)
{
    return call(g, (Call){"mask.scalef.ps", {y, n}, 2, -1, true});
}

V gen_clamp_magnitude(Gen *g, V x, double limit)
{
    V most = gen_const_real(LLVMTypeOf(x), limit);
    enum { LEAST_MAGNITUDE_SIGN_OF_FIRST = 2 };
    return call(g, (Call){"mask.range.ps", {x, most}, 2, LEAST_MAGNITUDE_SIGN_OF_FIRST, true});
}

V gen_range(Gen *g, V a, V c, bool max)
{
    enum { MIN = 4, MAX = 5 }; // -0 < 0; of a NaN and a number either
    return call(g, (Call){"mask.range.ps", {a, c}, 2, max ? MAX : MIN, true});
}

V gen_from_nearest(Gen *g, V x)
{
    return call(g, (Call){"mask.reduce.ps", {x}, 1, 0, true});
}

static V mantissa(Gen *g, V x) // 1 <= m < 2, of |x|
{
    enum { POSITIVE = 4 };
    return call(g, (Call){"mask.getmant.ps", {x}, 1, POSITIVE, true});
}

static V exponent(Gen *g, V x)
{
    return call(g, (Call){"mask.getexp.ps", {x}, 1, -1, true});
}

static V reciprocal14(Gen *g, V x) // to 14 bits
{
    return call(g, (Call){"rcp14.ps", {x}, 1, -1, false});
}

static V any_special(Gen *g, V x) // denormal, infinite or NaN
{
    enum { SPECIAL = 1 + 8 + 16 + 32 + 128 };
    unsigned lanes = lanes_of(x);
    if (lanes > 16)
        return LLVMBuildOr(g->b, any_special(g, gen_slice(g, x, 0, 16)),
                           any_special(g, gen_slice(g, x, 16, lanes - 16)), "");
    unsigned native = native_lanes(lanes);
    char name[64];
    snprintf(name, sizeof name, "llvm.x86.avx512.fpclass.ps.%u", native * 32);
    V args[] = {gen_slice(g, x, 0, native), gen_const_int(gen_int_type(g, 32), SPECIAL)};
    return gen_any(g, gen_intrinsic(g, name, NULL, 0, args, 2));
}

static V plus(Gen *g, V x, double c)
{
    return LLVMBuildFAdd(g->b, x, gen_const_real(LLVMTypeOf(x), c), "");
}

static V times(Gen *g, V x, double c)
{
    return LLVMBuildFMul(g->b, x, gen_const_real(LLVMTypeOf(x), c), "");
}

// a / c by the correctly rounded reciprocal r of c, by Newton's iteration, which fails for the
// largest mantissa only: q = a r is within one unit of the quotient, and q - r (q c - a) is it,
// correctly rounded (Markstein). What concerns c alone leaves loops that c does not change in.
// q c - a is exact since c and a are 2^64 times as large there, c without its sign, which a has
// instead: then zeros keep theirs. What is too large for that becomes infinite or NaN; where the
// quotient is, or is denormal and so perhaps rounded twice, division decides.
V gen_divide_f32(Gen *g, V a, V c)
{
    enum { SCALE = 64, TOO_LARGE = 2 }; // c >= 2^62, of which 2^-64 / c is denormal
    LLVMTypeRef type = LLVMTypeOf(a);
    V n = mantissa(g, c), l = exponent(g, c), one = gen_const_real(type, 1);
    V minus = LLVMBuildFNeg(g->b, n, ""), r = reciprocal14(g, n);
    for (unsigned turn = 0; turn < 2; turn++) r = gen_fma(g, r, gen_fma(g, minus, r, one), r);
    r = gen_range(g, r, gen_const_real(type, 0.5 + ldexp(1, -24)), true);
    r = gen_scalef(g, r, LLVMBuildFNeg(g->b, l, ""));
    V scaled = times(g, gen_scalef(g, n, plus(g, l, SCALE + TOO_LARGE)), ldexp(1, -TOO_LARGE));
    V scale = gen_intrinsic2(g, "llvm.copysign", gen_const_real(type, ldexp(1, SCALE)), c);
    V step = LLVMBuildFNeg(g->b, times(g, r, ldexp(1, -SCALE)), "");
    V q = LLVMBuildFMul(g->b, a, gen_intrinsic2(g, "llvm.copysign", r, c), "");
    V excess = gen_fma(g, q, scaled, LLVMBuildFNeg(g->b, LLVMBuildFMul(g->b, a, scale, ""), ""));
    q = gen_fma(g, excess, step, q);
    V any = any_special(g, q);
    LLVMBasicBlockRef before = LLVMGetInsertBlock(g->b);
    Guard guard = gen_guard_rare(g, any);
    V again = LLVMBuildFDiv(g->b, a, c, "");
    LLVMBasicBlockRef from = LLVMGetInsertBlock(g->b);
    gen_guard_end(g, guard, NULL);
    V result = LLVMBuildPhi(g->b, type, "");
    LLVMAddIncoming(result, (V[]){q, again}, (LLVMBasicBlockRef[]){before, from}, 2);
    return result;
}
