// Conversions between dtypes, storage types included: cast, quant and nearest. ir/eval.h has the
// meaning. Small floats (f16, bf16, f8, f4) go through small_float.c, always by way of f32.
#include "backends/llvm/gen.h"

#include <math.h>

#include "ir/eval.h"

static bool is_small_float(DType t)
{
    return dtype_is_float(t) && dtype_info[t].bits < 32;
}

static bool is_unsigned(DType t)
{
    return dtype_info[t].class_ == DCLASS_UINT;
}

static LLVMTypeRef shaped(Gen *g, LLVMValueRef like, DType t)
{
    return lltype_shaped(like, gen_dtype(g, t));
}

// f64 to f32 such that rounding the f32 further gives what rounding the f64 would: what is cut off
// leaves its mark in the lowest bit ("round to odd").
static LLVMValueRef narrow_odd(Gen *g, LLVMValueRef x)
{
    LLVMBuilderRef b = g->b;
    LLVMValueRef near = LLVMBuildFPTrunc(b, x, shaped(g, x, DTYPE_F32), "");
    LLVMValueRef back = LLVMBuildFPExt(b, near, LLVMTypeOf(x), "");
    LLVMValueRef bits = gen_bitcast(g, near, gen_int_type(g, 32));
    LLVMTypeRef word = LLVMTypeOf(bits);
    LLVMValueRef inexact = LLVMBuildFCmp(b, LLVMRealONE, back, x, "");
    LLVMValueRef lowest = LLVMBuildAnd(b, bits, gen_const_int(word, 1), "");
    LLVMValueRef even = LLVMBuildICmp(b, LLVMIntEQ, lowest, gen_const_int(word, 0), "");
    LLVMValueRef below = LLVMBuildFCmp(b, LLVMRealOLT, gen_intrinsic1(g, "llvm.fabs", back),
                                       gen_intrinsic1(g, "llvm.fabs", x), "");
    LLVMValueRef step =
        LLVMBuildSelect(b, below, gen_const_int(word, 1), gen_const_int(word, -1), "");
    LLVMValueRef moved = LLVMBuildAdd(b, bits, step, "");
    LLVMValueRef odd = LLVMBuildSelect(b, LLVMBuildAnd(b, inexact, even, ""), moved, bits, "");
    return LLVMBuildBitCast(b, odd, LLVMTypeOf(near), "");
}

static LLVMValueRef from_bool(Gen *g, DType to, LLVMValueRef v)
{
    if (dtype_is_float(to)) return LLVMBuildUIToFP(g->b, v, shaped(g, v, to), "");
    return LLVMBuildZExt(g->b, v, shaped(g, v, to), "");
}

static LLVMValueRef to_bool(Gen *g, DType from, LLVMValueRef v)
{
    LLVMTypeRef type = LLVMTypeOf(v);
    if (dtype_is_float(from)) {
        return LLVMBuildFCmp(g->b, LLVMRealUNE, v, gen_const_real(type, 0), "");
    }
    return LLVMBuildICmp(g->b, LLVMIntNE, v, gen_const_int(type, 0), "");
}

// The low halves of i64, as one permutation of two registers: LLVM's truncation of vectors on x86
// takes five steps, and so would a permutation of integers, which it takes for a truncation.
static LLVMValueRef low_words(Gen *g, LLVMValueRef v)
{
    LLVMTypeRef words = lltype_with_lanes(LLVMFloatTypeInContext(g->context), 2 * lanes_of(v));
    LLVMValueRef x = LLVMBuildBitCast(g->b, v, words, "");
    return gen_bitcast(g, gen_every_other(g, x, NULL, 0), gen_int_type(g, 32));
}

static LLVMValueRef int_resize(Gen *g, DType to, LLVMValueRef v)
{
    LLVMTypeRef type = shaped(g, v, to);
    unsigned from_bits = lltype_bits(LLVMTypeOf(v)), to_bits = lltype_bits(type);
    if (to_bits > from_bits) return LLVMBuildSExt(g->b, v, type, "");
    if (from_bits == 64 && to_bits == 32 && lanes_of(v) >= 4 && g->target->is_x86)
        return low_words(g, v);
    return to_bits < from_bits ? LLVMBuildTrunc(g->b, v, type, "") : v;
}

// fptosi.sat and fptoui.sat in steps that stay vectors: x86 has no instruction for these, and LLVM
// takes the lanes one by one. What is out of range is converted as 0.
static LLVMValueRef saturate(Gen *g, LLVMValueRef v, unsigned bits, bool is_signed)
{
    LLVMBuilderRef b = g->b;
    LLVMTypeRef type = LLVMTypeOf(v);
    LLVMTypeRef word = lltype_shaped(v, gen_int_type(g, bits < 32 ? 32 : bits));
    double least = is_signed ? -ldexp(1, (int)bits - 1) : 0, past = ldexp(1, (int)bits - is_signed);
    uint64_t all = UINT64_MAX >> (64 - bits), largest = is_signed ? all >> 1 : all;
    LLVMValueRef low = gen_const_real(type, least), high = gen_const_real(type, past);
    LLVMValueRef inside = LLVMBuildAnd(b, LLVMBuildFCmp(b, LLVMRealOGE, v, low, ""),
                                       LLVMBuildFCmp(b, LLVMRealOLT, v, high, ""), "");
    LLVMValueRef safe = LLVMBuildSelect(b, inside, v, gen_const_real(type, 0), "");
    LLVMValueRef x = is_signed || bits < 32 ? LLVMBuildFPToSI(b, safe, word, "")
                                            : LLVMBuildFPToUI(b, safe, word, "");
    x = LLVMBuildSelect(b, LLVMBuildFCmp(b, LLVMRealOGE, v, high, ""),
                        gen_const_int(word, (int64_t)largest), x, "");
    if (is_signed)
        x = LLVMBuildSelect(b, LLVMBuildFCmp(b, LLVMRealOLT, v, low, ""),
                            gen_const_int(word, (int64_t)~largest), x, "");
    return bits < 32 ? LLVMBuildTrunc(b, x, lltype_shaped(v, gen_int_type(g, bits)), "") : x;
}

// Toward zero, saturating at the bounds of `to`, NaN to 0.
static LLVMValueRef float_to_int(Gen *g, DType to, LLVMValueRef v)
{
    unsigned bits = dtype_info[to].bits;
    LLVMTypeRef types[] = {lltype_shaped(v, gen_int_type(g, bits)), LLVMTypeOf(v)};
    const char *name = is_unsigned(to) ? "llvm.fptoui.sat" : "llvm.fptosi.sat";
    LLVMValueRef x = g->target->is_x86 ? saturate(g, v, bits, !is_unsigned(to))
                                       : gen_intrinsic(g, name, types, 2, &v, 1);
    return bits < 8 ? LLVMBuildZExt(g->b, x, shaped(g, v, to), "") : x;
}

// Among bool, i32, i64, f32 and f64.
static LLVMValueRef cast_arith(Gen *g, DType from, DType to, LLVMValueRef v)
{
    if (from == to) return v;
    if (from == DTYPE_BOOL) return from_bool(g, to, v);
    if (to == DTYPE_BOOL) return to_bool(g, from, v);
    if (dtype_is_float(from)) {
        if (!dtype_is_float(to)) return float_to_int(g, to, v);
        return to == DTYPE_F64 ? LLVMBuildFPExt(g->b, v, shaped(g, v, to), "")
                               : LLVMBuildFPTrunc(g->b, v, shaped(g, v, to), "");
    }
    if (dtype_is_float(to)) return LLVMBuildSIToFP(g->b, v, shaped(g, v, to), "");
    return int_resize(g, to, v);
}

// A storage type to its arithmetic type.
static LLVMValueRef widen(Gen *g, DType from, LLVMValueRef v)
{
    if (is_small_float(from)) return gen_small_float_decode(g, from, v);
    LLVMTypeRef type = shaped(g, v, dtype_info[from].arith);
    if (is_unsigned(from)) return LLVMBuildZExt(g->b, v, type, "");
    if (from == DTYPE_I4) {
        LLVMValueRef four = gen_const_int(LLVMTypeOf(v), 4);
        v = LLVMBuildAShr(g->b, LLVMBuildShl(g->b, v, four, ""), four, "");
    }
    return LLVMBuildSExt(g->b, v, type, "");
}

// To a storage type from any arithmetic type: floats round once, floats to integers saturate,
// integers wrap.
static LLVMValueRef narrow(Gen *g, DType from, DType to, LLVMValueRef v)
{
    if (is_small_float(to)) {
        if (from != DTYPE_F32) v = narrow_odd(g, cast_arith(g, from, DTYPE_F64, v));
        return gen_small_float_encode(g, to, v);
    }
    if (dtype_is_float(from)) return float_to_int(g, to, v);
    if (from == DTYPE_BOOL) return from_bool(g, to, v);
    v = int_resize(g, to, v);
    return dtype_info[to].bits < 8 ? LLVMBuildAnd(g->b, v, gen_const_int(LLVMTypeOf(v), 15), "")
                                   : v;
}

LLVMValueRef gen_cast(Gen *g, DType from, DType to, LLVMValueRef v)
{
    if (from == to) return v;
    if (!dtype_is_arith(from)) {
        v = widen(g, from, v);
        from = dtype_info[from].arith;
    }
    return dtype_is_arith(to) ? cast_arith(g, from, to, v) : narrow(g, from, to, v);
}

// The least number of low bits that surely hold all of v, an integer that is not negative; 64: may
// be any integer.
static unsigned bits_used(const Func *f, Value v, unsigned depth)
{
    const Inst *in = value_def(f, v);
    int64_t c;
    if (value_const_int(f, v, &c))
        return c < 0 ? 64 : 64 - (unsigned)__builtin_clzll((uint64_t)c | 1);
    if (!in || !depth) return 64;
    if (in->op == OP_SPLAT) return bits_used(f, inst_arg(f, in, 0), depth - 1);
    if (in->op != OP_AND && in->op != OP_OR && in->op != OP_XOR && in->op != OP_SHR) return 64;
    unsigned a = bits_used(f, inst_arg(f, in, 0), depth - 1);
    if (in->op == OP_SHR) {
        bool known = value_const_int(f, inst_arg(f, in, 1), &c) && c >= 0 && c < 64;
        return a == 64 || !known ? a : a > c ? a - (unsigned)c : 1;
    }
    unsigned b = bits_used(f, inst_arg(f, in, 1), depth - 1);
    return (in->op == OP_AND) == (a < b) ? a : b;
}

LLVMValueRef gen_cast_value(Gen *g, Value v, DType to, LLVMValueRef x)
{
    enum { DEPTH = 6 }; // as far as random_unit needs
    DType from = value_dtype(g->f, v);
    bool is_word =
        from == DTYPE_I64 && dtype_is_float(to) && lanes_of(x) && bits_used(g->f, v, DEPTH) < 32;
    return is_word ? gen_cast(g, DTYPE_I32, to, int_resize(g, DTYPE_I32, x))
                   : gen_cast(g, from, to, x);
}

LLVMValueRef gen_quant(Gen *g, DType t, DType storage, LLVMValueRef v)
{
    return gen_cast(g, storage, t, gen_cast(g, t, storage, v));
}

static LLVMValueRef clamp_int(Gen *g, LLVMValueRef v, int64_t least, int64_t largest)
{
    LLVMTypeRef type = LLVMTypeOf(v);
    return gen_intrinsic2(g, "llvm.smin",
                          gen_intrinsic2(g, "llvm.smax", v, gen_const_int(type, least)),
                          gen_const_int(type, largest));
}

static LLVMValueRef nearest_int(Gen *g, DType t, DType target, DType result, LLVMValueRef v)
{
    if (dtype_is_float(t)) {
        v = gen_intrinsic1(g, "llvm.roundeven", v);
        if (target == DTYPE_BOOL) {
            v = LLVMBuildFCmp(g->b, LLVMRealOGE, v, gen_const_real(LLVMTypeOf(v), 1), "");
        } else {
            v = float_to_int(g, target, v);
        }
        return gen_cast(g, target, result, v);
    }
    v = gen_cast(g, t, DTYPE_I64, v);
    unsigned bits = target == DTYPE_BOOL ? 1 : dtype_info[target].bits;
    bool has_sign = dtype_info[target].class_ == DCLASS_INT;
    int64_t largest = (int64_t)(((uint64_t)1 << (bits - (has_sign ? 1u : 0u))) - 1);
    v = clamp_int(g, v, has_sign ? -largest - 1 : 0, largest);
    return gen_cast(g, DTYPE_I64, result, v);
}

LLVMValueRef gen_nearest(Gen *g, DType t, DType target, DType result, LLVMValueRef v)
{
    if (!dtype_is_float(target)) return nearest_int(g, t, target, result, v);
    DType wide = t == DTYPE_F32 && target != DTYPE_F64 ? DTYPE_F32 : DTYPE_F64;
    v = gen_cast(g, t, wide, v);
    LLVMTypeRef type = LLVMTypeOf(v);
    double largest = float_largest(target);
    LLVMValueRef top = gen_const_real(type, largest), low = gen_const_real(type, -largest);
    v = LLVMBuildSelect(g->b, LLVMBuildFCmp(g->b, LLVMRealOGT, v, top, ""), top, v, "");
    v = LLVMBuildSelect(g->b, LLVMBuildFCmp(g->b, LLVMRealOLT, v, low, ""), low, v, "");
    return gen_cast(g, target, result, gen_cast(g, wide, target, v));
}
