// f16, bf16, f8 and f4 to f32 and back in integer arithmetic; where the CPU converts f16 itself, by that. A small
// float's code without its sign ascends with the value, so most of the work is a shift and a change of bias.
//
//   decode: code 0.eeee.mmm -> f32 bits: code << (23 - mantissa), exponent rebased; the subnormal codes get one
//           exponent more and 2^emin taken away again, which is exact
//   encode: f32 bits, rounded to nearest even at the last kept bit, rebased; below 2^emin adding a magic constant
//           makes the FPU round at the right place
#include "backends/llvm/emit.h"

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

static LLVMTypeRef words_like(Emit *e, LLVMValueRef v) { return type_shaped(v, emit_int_type(e, 32)); }

static LLVMValueRef as_float(Emit *e, LLVMValueRef word)
{
    return emit_bitcast(e, word, LLVMFloatTypeInContext(e->context));
}

static LLVMValueRef shift_left(Emit *e, LLVMValueRef v, unsigned by)
{
    return LLVMBuildShl(e->b, v, const_int(LLVMTypeOf(v), by), "");
}

static LLVMValueRef shift_right(Emit *e, LLVMValueRef v, unsigned by)
{
    return LLVMBuildLShr(e->b, v, const_int(LLVMTypeOf(v), by), "");
}

static LLVMValueRef bits_and(Emit *e, LLVMValueRef v, uint32_t mask)
{
    return LLVMBuildAnd(e->b, v, const_int(LLVMTypeOf(v), mask), "");
}

static LLVMValueRef plus(Emit *e, LLVMValueRef v, int64_t x)
{
    return LLVMBuildAdd(e->b, v, const_int(LLVMTypeOf(v), x), "");
}

static LLVMValueRef above(Emit *e, LLVMValueRef v, unsigned limit)
{
    return LLVMBuildICmp(e->b, LLVMIntUGT, v, const_int(LLVMTypeOf(v), limit), "");
}

static bool has_native(const Emit *e, DType t)
{
    return t == DTYPE_F16 && (e->target->has_f16c || e->target->is_aarch64);
}

LLVMValueRef emit_small_float_decode(Emit *e, DType from, LLVMValueRef code)
{
    LLVMTypeRef f32 = type_shaped(code, LLVMFloatTypeInContext(e->context));
    if (has_native(e, from)) {
        LLVMValueRef half = emit_bitcast(e, code, LLVMHalfTypeInContext(e->context));
        return LLVMBuildFPExt(e->b, half, f32, "");
    }
    LLVMValueRef word = LLVMBuildZExt(e->b, code, words_like(e, code), "");
    if (from == DTYPE_BF16) return as_float(e, shift_left(e, word, 16));
    Format f = format_of(from);
    LLVMValueRef magnitude = bits_and(e, word, (1u << (f.width - 1)) - 1);
    LLVMValueRef sign = bits_and(e, shift_left(e, word, 32 - f.width), 0x80000000u);
    LLVMValueRef normal = plus(e, shift_left(e, magnitude, 23 - f.mantissa), (int64_t)(127 - f.bias) << 23);
    LLVMValueRef least = const_real(f32, __builtin_ldexp(1, 1 - f.bias));
    LLVMValueRef small = LLVMBuildFSub(e->b, as_float(e, plus(e, normal, 1 << 23)), least, "");
    LLVMValueRef is_normal = above(e, magnitude, (1u << f.mantissa) - 1);
    LLVMValueRef bits = LLVMBuildSelect(e->b, is_normal, normal, emit_bitcast(e, small, emit_int_type(e, 32)), "");
    if (from != DTYPE_F4E2M1) {
        LLVMValueRef all_ones = const_int(LLVMTypeOf(bits), f.has_infinity ? 0x7f800000 : 0x7fc00000);
        LLVMValueRef special = LLVMBuildOr(e->b, bits, all_ones, "");
        bits = LLVMBuildSelect(e->b, above(e, magnitude, f.largest), special, bits, "");
    }
    return as_float(e, LLVMBuildOr(e->b, bits, sign, ""));
}

static LLVMValueRef encode_bf16(Emit *e, LLVMValueRef x, LLVMValueRef bits)
{
    LLVMValueRef odd = bits_and(e, shift_right(e, bits, 16), 1);
    LLVMValueRef rounded = LLVMBuildAdd(e->b, plus(e, bits, 0x7fff), odd, "");
    LLVMValueRef quiet = LLVMBuildOr(e->b, bits_and(e, bits, 0x80000000u),
                                     const_int(LLVMTypeOf(bits), 0x7fc00000), "");
    LLVMValueRef is_nan = LLVMBuildFCmp(e->b, LLVMRealUNO, x, x, "");
    LLVMValueRef word = LLVMBuildSelect(e->b, is_nan, quiet, rounded, "");
    return LLVMBuildTrunc(e->b, shift_right(e, word, 16), type_shaped(x, emit_int_type(e, 16)), "");
}

LLVMValueRef emit_small_float_encode(Emit *e, DType to, LLVMValueRef x)
{
    if (has_native(e, to)) {
        LLVMTypeRef half = type_shaped(x, LLVMHalfTypeInContext(e->context));
        return emit_bitcast(e, LLVMBuildFPTrunc(e->b, x, half, ""), emit_int_type(e, 16));
    }
    LLVMValueRef bits = emit_bitcast(e, x, emit_int_type(e, 32));
    if (to == DTYPE_BF16) return encode_bf16(e, x, bits);
    Format f = format_of(to);
    LLVMTypeRef f32 = LLVMTypeOf(x), word = LLVMTypeOf(bits);
    unsigned cut = 23 - f.mantissa;
    LLVMValueRef magnitude = bits_and(e, bits, 0x7fffffff), absolute = as_float(e, magnitude);
    LLVMValueRef odd = bits_and(e, shift_right(e, magnitude, cut), 1);
    LLVMValueRef rounded = LLVMBuildAdd(e->b, plus(e, magnitude, (1 << (cut - 1)) - 1), odd, "");
    LLVMValueRef normal = plus(e, shift_right(e, rounded, cut), -((int64_t)(127 - f.bias) << f.mantissa));
    LLVMValueRef magic = const_real(f32, __builtin_ldexp(1, 1 - f.bias + (int)cut));
    LLVMValueRef sum = emit_bitcast(e, LLVMBuildFAdd(e->b, absolute, magic, ""), emit_int_type(e, 32));
    LLVMValueRef small = LLVMBuildSub(e->b, sum, emit_bitcast(e, magic, emit_int_type(e, 32)), "");
    LLVMValueRef least = const_real(f32, __builtin_ldexp(1, 1 - f.bias));
    LLVMValueRef is_small = LLVMBuildFCmp(e->b, LLVMRealOLT, absolute, least, "");
    LLVMValueRef code = LLVMBuildSelect(e->b, is_small, small, normal, "");
    code = LLVMBuildSelect(e->b, above(e, code, f.largest), const_int(word, f.infinity), code, "");
    LLVMValueRef is_nan = LLVMBuildFCmp(e->b, LLVMRealUNO, x, x, "");
    LLVMValueRef sign = bits_and(e, shift_right(e, bits, 32 - f.width), 1u << (f.width - 1));
    if (to == DTYPE_F4E2M1) sign = LLVMBuildSelect(e->b, is_nan, const_int(word, 0), sign, "");
    code = LLVMBuildSelect(e->b, is_nan, const_int(word, f.nan), code, "");
    code = LLVMBuildOr(e->b, code, sign, "");
    return LLVMBuildTrunc(e->b, code, type_shaped(x, emit_dtype(e, to)), "");
}
