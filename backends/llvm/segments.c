// tanh, erf and the fractions of powers of two where there is AVX-512, whose permutation looks 16
// numbers up in a table of 32 (of 16) at once. Of tanh and erf a quarter of an octave has a
// polynomial of its own: f(c + t) = f(c) + t P(t), at most 0.9 ULP off since the sum's second part
// is small (after Gal and Bachelis, "An accurate elementary mathematical library", 1991). Any
// number of lanes, also none, does the same operations.
#include <math.h>

#include "backends/llvm/gen.h"

typedef LLVMValueRef V;

enum { ROWS = 32, PARTS = 8 }; // parts: centre, value there, six terms

typedef struct Segments {
    double limit; // f is 1 here and from here on
    float part[PARTS][ROWS];
} Segments;

#define ROW(...)                                                                                   \
    {                                                                                              \
        __VA_ARGS__                                                                                \
    }
#define SEGMENTS(name, limit, ...)                                                                 \
    static const Segments name##_segments = {limit, {ROWS_OF(__VA_ARGS__)}};
#define ROWS_OF(a, b, c, d, e, f, g, h) ROW a, ROW b, ROW c, ROW d, ROW e, ROW f, ROW g, ROW h
#include "backends/llvm/segments.def"

static const double first = 0x1p-4; // below it f(a) = a + a P(a)

// The numbers of a part for 16 rows; `row` counts modulo 32.
static V look_up(Gen *g, const float *part, V row)
{
    V half[2], number[16];
    for (unsigned h = 0; h < 2; h++) {
        for (unsigned k = 0; k < 16; k++)
            number[k] = gen_const_real(LLVMFloatTypeInContext(g->context), part[16 * h + k]);
        half[h] = LLVMConstVector(number, 16);
    }
    return gen_intrinsic(g, "llvm.x86.avx512.vpermi2var.ps.512", NULL, 0,
                         (V[]){half[0], row, half[1]}, 3);
}

static V at_sixteen(Gen *g, const Segments *s, V x)
{
    LLVMTypeRef type = LLVMTypeOf(x);
    V a = gen_intrinsic1(g, "llvm.fabs", x), limit = gen_const_real(type, s->limit),
      least = gen_const_real(type, first * 0.9);
    a = LLVMBuildSelect(g->b, LLVMBuildFCmp(g->b, LLVMRealOLT, limit, a, ""), limit, a,
                        ""); // NaN stays
    V is_small = LLVMBuildFCmp(g->b, LLVMRealOLT, a, gen_const_real(type, first), "");
    V found = LLVMBuildSelect(g->b, LLVMBuildFCmp(g->b, LLVMRealOLT, a, least, ""), least, a, "");
    V word = gen_bitcast(g, found, gen_int_type(g, 32));
    V row = LLVMBuildLShr(g->b, word, gen_const_int(LLVMTypeOf(word), 21), "");
    V t = LLVMBuildFSub(g->b, a, look_up(g, s->part[0], row), "");
    V sum = look_up(g, s->part[PARTS - 1], row);
    for (unsigned k = PARTS - 1; k-- > 2;) sum = gen_fma(g, sum, t, look_up(g, s->part[k], row));
    V start = LLVMBuildSelect(g->b, is_small, a, look_up(g, s->part[1], row), "");
    return gen_intrinsic2(g, "llvm.copysign", gen_fma(g, sum, t, start), x);
}

// Sixteen lanes at a time, or fewer.
static V by_sixteens(Gen *g, V (*at)(Gen *, const Segments *, V), const Segments *s, V x)
{
    unsigned lanes = lanes_of(x);
    if (lanes > 16)
        return gen_concat(g, by_sixteens(g, at, s, gen_slice(g, x, 0, 16)),
                          by_sixteens(g, at, s, gen_slice(g, x, 16, lanes - 16)));
    V y = at(g, s, gen_slice(g, x, 0, 16));
    return lanes ? gen_slice(g, y, 0, lanes) : gen_lane(g, y, 0);
}

static V power_at_sixteen(Gen *g, const Segments *none, V k)
{
    (void)none;
    V number[16];
    for (unsigned i = 0; i < 16; i++)
        number[i] = gen_const_real(LLVMFloatTypeInContext(g->context), exp2(i / 16.0));
    V args[] = {LLVMConstVector(number, 16), k};
    return gen_intrinsic(g, "llvm.x86.avx512.permvar.sf.512", NULL, 0, args, 2);
}

V gen_power_of_two_by_table(Gen *g, V k)
{
    return by_sixteens(g, power_at_sixteen, NULL, k);
}

V gen_tanh_by_segments(Gen *g, V x)
{
    return by_sixteens(g, at_sixteen, &tanh_segments, x);
}

V gen_erf_by_segments(Gen *g, V x)
{
    return by_sixteens(g, at_sixteen, &erf_segments, x);
}
