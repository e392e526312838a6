// f16, bf16, f8 and f4 to f32 and back in integer arithmetic; where the CPU converts f16 itself, by
// that. A small float's code without its sign ascends with the value, so most of the work is a
// shift and a change of bias.
//
//   decode: code 0.eeee.mmm -> f32 bits: code << (23 - mantissa), exponent rebased; the subnormal
//   codes get one
//           exponent more and 2^emin taken away again, which is exact
//   encode: f32 bits, rounded to nearest even at the last kept bit, rebased; below 2^emin adding a
//   magic constant
//           makes the FPU round at the right place
#include "backends/llvm/gen.h"

typedef struct Format {
    unsigned width, mantissa;
    int bias;
    unsigned largest, infinity, nan; // codes
    bool has_infinity;
} Format;

static Format format_of(DType t)
{
    if (t == DTYPE_F16) return (Format){16, 10, 15, 0x7bff, 0x7c00, 0x7e00, true};
    if (t == DTYPE_F8E4M3) return (Format){8, 3, 7, 0x7e, 0x7e, 0x7f, false};
    if (t == DTYPE_F8E5M2) return (Format){8, 2, 15, 0x7b, 0x7c, 0x7e, true};
    return (Format){4, 1, 1, 7, 7, 7, false};
}

static LLVMTypeRef words_like(Gen *g, LLVMValueRef v)
{
    return lltype_shaped(v, gen_int_type(g, 32));
}

static LLVMValueRef as_float(Gen *g, LLVMValueRef word)
{
    return gen_bitcast(g, word, LLVMFloatTypeInContext(g->context));
}

static LLVMValueRef shift_left(Gen *g, LLVMValueRef v, unsigned by)
{
    return LLVMBuildShl(g->b, v, gen_const_int(LLVMTypeOf(v), by), "");
}

static LLVMValueRef shift_right(Gen *g, LLVMValueRef v, unsigned by)
{
    return LLVMBuildLShr(g->b, v, gen_const_int(LLVMTypeOf(v), by), "");
}

static LLVMValueRef bits_and(Gen *g, LLVMValueRef v, uint32_t mask)
{
    return LLVMBuildAnd(g->b, v, gen_const_int(LLVMTypeOf(v), mask), "");
}

static LLVMValueRef plus(Gen *g, LLVMValueRef v, int64_t x)
{
    return LLVMBuildAdd(g->b, v, gen_const_int(LLVMTypeOf(v), x), "");
}

static LLVMValueRef above(Gen *g, LLVMValueRef v, unsigned limit)
{
    return LLVMBuildICmp(g->b, LLVMIntUGT, v, gen_const_int(LLVMTypeOf(v), limit), "");
}

static bool has_native(const Gen *g, DType t)
{
    return t == DTYPE_F16 && (g->target->has_f16c || g->target->is_aarch64);
}

LLVMValueRef gen_small_float_decode(Gen *g, DType from, LLVMValueRef code)
{
    LLVMTypeRef f32 = lltype_shaped(code, LLVMFloatTypeInContext(g->context));
    if (has_native(g, from)) {
        LLVMValueRef half = gen_bitcast(g, code, LLVMHalfTypeInContext(g->context));
        return LLVMBuildFPExt(g->b, half, f32, "");
    }
    LLVMValueRef word = LLVMBuildZExt(g->b, code, words_like(g, code), "");
    if (from == DTYPE_BF16) return as_float(g, shift_left(g, word, 16));
    Format f = format_of(from);
    LLVMValueRef magnitude = bits_and(g, word, (1u << (f.width - 1)) - 1);
    LLVMValueRef sign = bits_and(g, shift_left(g, word, 32 - f.width), 0x80000000u);
    LLVMValueRef normal =
        plus(g, shift_left(g, magnitude, 23 - f.mantissa), (int64_t)(127 - f.bias) << 23);
    LLVMValueRef least = gen_const_real(f32, __builtin_ldexp(1, 1 - f.bias));
    LLVMValueRef small = LLVMBuildFSub(g->b, as_float(g, plus(g, normal, 1 << 23)), least, "");
    LLVMValueRef is_normal = above(g, magnitude, (1u << f.mantissa) - 1);
    LLVMValueRef bits =
        LLVMBuildSelect(g->b, is_normal, normal, gen_bitcast(g, small, gen_int_type(g, 32)), "");
    if (from != DTYPE_F4E2M1) {
        LLVMValueRef all_ones =
            gen_const_int(LLVMTypeOf(bits), f.has_infinity ? 0x7f800000 : 0x7fc00000);
        LLVMValueRef special = LLVMBuildOr(g->b, bits, all_ones, "");
        bits = LLVMBuildSelect(g->b, above(g, magnitude, f.largest), special, bits, "");
    }
    return as_float(g, LLVMBuildOr(g->b, bits, sign, ""));
}

static LLVMValueRef encode_bf16(Gen *g, LLVMValueRef x, LLVMValueRef bits)
{
    LLVMValueRef odd = bits_and(g, shift_right(g, bits, 16), 1);
    LLVMValueRef rounded = LLVMBuildAdd(g->b, plus(g, bits, 0x7fff), odd, "");
    LLVMValueRef quiet = LLVMBuildOr(g->b, bits_and(g, bits, 0x80000000u),
                                     gen_const_int(LLVMTypeOf(bits), 0x7fc00000), "");
    LLVMValueRef is_nan = LLVMBuildFCmp(g->b, LLVMRealUNO, x, x, "");
    LLVMValueRef word = LLVMBuildSelect(g->b, is_nan, quiet, rounded, "");
    return LLVMBuildTrunc(g->b, shift_right(g, word, 16), lltype_shaped(x, gen_int_type(g, 16)),
                          "");
}

LLVMValueRef gen_small_float_encode(Gen *g, DType to, LLVMValueRef x)
{
    if (has_native(g, to)) {
        LLVMTypeRef half = lltype_shaped(x, LLVMHalfTypeInContext(g->context));
        return gen_bitcast(g, LLVMBuildFPTrunc(g->b, x, half, ""), gen_int_type(g, 16));
    }
    LLVMValueRef bits = gen_bitcast(g, x, gen_int_type(g, 32));
    if (to == DTYPE_BF16) return encode_bf16(g, x, bits);
    Format f = format_of(to);
    LLVMTypeRef f32 = LLVMTypeOf(x), word = LLVMTypeOf(bits);
    unsigned cut = 23 - f.mantissa;
    LLVMValueRef magnitude = bits_and(g, bits, 0x7fffffff), absolute = as_float(g, magnitude);
    LLVMValueRef odd = bits_and(g, shift_right(g, magnitude, cut), 1);
    LLVMValueRef rounded = LLVMBuildAdd(g->b, plus(g, magnitude, (1 << (cut - 1)) - 1), odd, "");
    LLVMValueRef normal =
        plus(g, shift_right(g, rounded, cut), -((int64_t)(127 - f.bias) << f.mantissa));
    LLVMValueRef magic = gen_const_real(f32, __builtin_ldexp(1, 1 - f.bias + (int)cut));
    LLVMValueRef sum =
        gen_bitcast(g, LLVMBuildFAdd(g->b, absolute, magic, ""), gen_int_type(g, 32));
    LLVMValueRef small = LLVMBuildSub(g->b, sum, gen_bitcast(g, magic, gen_int_type(g, 32)), "");
    LLVMValueRef least = gen_const_real(f32, __builtin_ldexp(1, 1 - f.bias));
    LLVMValueRef is_small = LLVMBuildFCmp(g->b, LLVMRealOLT, absolute, least, "");
    LLVMValueRef code = LLVMBuildSelect(g->b, is_small, small, normal, "");
    code =
        LLVMBuildSelect(g->b, above(g, code, f.largest), gen_const_int(word, f.infinity), code, "");
    LLVMValueRef is_nan = LLVMBuildFCmp(g->b, LLVMRealUNO, x, x, "");
    LLVMValueRef sign = bits_and(g, shift_right(g, bits, 32 - f.width), 1u << (f.width - 1));
    if (to == DTYPE_F4E2M1) sign = LLVMBuildSelect(g->b, is_nan, gen_const_int(word, 0), sign, "");
    code = LLVMBuildSelect(g->b, is_nan, gen_const_int(word, f.nan), code, "");
    code = LLVMBuildOr(g->b, code, sign, "");
    return LLVMBuildTrunc(g->b, code, lltype_shaped(x, gen_dtype(g, to)), "");
}
