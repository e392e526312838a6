// Conversions between dtypes, storage types included: cast, quant and nearest. ir/eval.h has the meaning.
// Small floats (f16, bf16, f8, f4) go through small_float.c, always by way of f32.
#include "backends/llvm/emit.h"

#include "ir/eval.h"

static bool is_small_float(DType t) { return dtype_is_float(t) && dtype_info[t].bits < 32; }

static bool is_unsigned(DType t) { return dtype_info[t].class_ == DCLASS_UINT; }

static LLVMTypeRef shaped(Emit *e, LLVMValueRef like, DType t) { return type_shaped(like, emit_dtype(e, t)); }

// f64 to f32 such that rounding the f32 further gives what rounding the f64 would: what is cut off leaves its
// mark in the lowest bit ("round to odd").
static LLVMValueRef narrow_odd(Emit *e, LLVMValueRef x)
{
    LLVMBuilderRef b = e->b;
    LLVMValueRef near = LLVMBuildFPTrunc(b, x, shaped(e, x, DTYPE_F32), "");
    LLVMValueRef back = LLVMBuildFPExt(b, near, LLVMTypeOf(x), "");
    LLVMValueRef bits = emit_bitcast(e, near, emit_int_type(e, 32));
    LLVMTypeRef word = LLVMTypeOf(bits);
    LLVMValueRef inexact = LLVMBuildFCmp(b, LLVMRealONE, back, x, "");
    LLVMValueRef lowest = LLVMBuildAnd(b, bits, const_int(word, 1), "");
    LLVMValueRef even = LLVMBuildICmp(b, LLVMIntEQ, lowest, const_int(word, 0), "");
    LLVMValueRef below = LLVMBuildFCmp(b, LLVMRealOLT, emit_intrinsic1(e, "llvm.fabs", back),
                                       emit_intrinsic1(e, "llvm.fabs", x), "");
    LLVMValueRef step = LLVMBuildSelect(b, below, const_int(word, 1), const_int(word, -1), "");
    LLVMValueRef moved = LLVMBuildAdd(b, bits, step, "");
    LLVMValueRef odd = LLVMBuildSelect(b, LLVMBuildAnd(b, inexact, even, ""), moved, bits, "");
    return LLVMBuildBitCast(b, odd, LLVMTypeOf(near), "");
}

static LLVMValueRef from_bool(Emit *e, DType to, LLVMValueRef v)
{
    if (dtype_is_float(to)) return LLVMBuildUIToFP(e->b, v, shaped(e, v, to), "");
    return LLVMBuildZExt(e->b, v, shaped(e, v, to), "");
}

static LLVMValueRef to_bool(Emit *e, DType from, LLVMValueRef v)
{
    LLVMTypeRef type = LLVMTypeOf(v);
    if (dtype_is_float(from)) return LLVMBuildFCmp(e->b, LLVMRealUNE, v, const_real(type, 0), "");
    return LLVMBuildICmp(e->b, LLVMIntNE, v, const_int(type, 0), "");
}

static LLVMValueRef int_resize(Emit *e, DType to, LLVMValueRef v)
{
    LLVMTypeRef type = shaped(e, v, to);
    unsigned from_bits = type_bits(LLVMTypeOf(v)), to_bits = type_bits(type);
    if (to_bits > from_bits) return LLVMBuildSExt(e->b, v, type, "");
    return to_bits < from_bits ? LLVMBuildTrunc(e->b, v, type, "") : v;
}

// Toward zero, saturating at the bounds of `to`, NaN to 0.
static LLVMValueRef float_to_int(Emit *e, DType to, LLVMValueRef v)
{
    unsigned bits = dtype_info[to].bits;
    LLVMTypeRef types[] = {type_shaped(v, emit_int_type(e, bits)), LLVMTypeOf(v)};
    const char *name = is_unsigned(to) ? "llvm.fptoui.sat" : "llvm.fptosi.sat";
    LLVMValueRef x = emit_intrinsic(e, name, types, 2, &v, 1);
    return bits < 8 ? LLVMBuildZExt(e->b, x, shaped(e, v, to), "") : x;
}

// Among bool, i32, i64, f32 and f64.
static LLVMValueRef cast_arith(Emit *e, DType from, DType to, LLVMValueRef v)
{
    if (from == to) return v;
    if (from == DTYPE_BOOL) return from_bool(e, to, v);
    if (to == DTYPE_BOOL) return to_bool(e, from, v);
    if (dtype_is_float(from)) {
        if (!dtype_is_float(to)) return float_to_int(e, to, v);
        return to == DTYPE_F64 ? LLVMBuildFPExt(e->b, v, shaped(e, v, to), "")
                               : LLVMBuildFPTrunc(e->b, v, shaped(e, v, to), "");
    }
    if (dtype_is_float(to)) return LLVMBuildSIToFP(e->b, v, shaped(e, v, to), "");
    return int_resize(e, to, v);
}

// A storage type to its arithmetic type.
static LLVMValueRef widen(Emit *e, DType from, LLVMValueRef v)
{
    if (is_small_float(from)) return emit_small_float_decode(e, from, v);
    LLVMTypeRef type = shaped(e, v, dtype_info[from].arith);
    if (is_unsigned(from)) return LLVMBuildZExt(e->b, v, type, "");
    if (from == DTYPE_I4) {
        LLVMValueRef four = const_int(LLVMTypeOf(v), 4);
        v = LLVMBuildAShr(e->b, LLVMBuildShl(e->b, v, four, ""), four, "");
    }
    return LLVMBuildSExt(e->b, v, type, "");
}

// To a storage type from any arithmetic type: floats round once, floats to integers saturate, integers wrap.
static LLVMValueRef narrow(Emit *e, DType from, DType to, LLVMValueRef v)
{
    if (is_small_float(to)) {
        if (from != DTYPE_F32) v = narrow_odd(e, cast_arith(e, from, DTYPE_F64, v));
        return emit_small_float_encode(e, to, v);
    }
    if (dtype_is_float(from)) return float_to_int(e, to, v);
    if (from == DTYPE_BOOL) return from_bool(e, to, v);
    v = int_resize(e, to, v);
    return dtype_info[to].bits < 8 ? LLVMBuildAnd(e->b, v, const_int(LLVMTypeOf(v), 15), "") : v;
}

LLVMValueRef emit_cast(Emit *e, DType from, DType to, LLVMValueRef v)
{
    if (from == to) return v;
    if (!dtype_is_arith(from)) {
        v = widen(e, from, v);
        from = dtype_info[from].arith;
    }
    return dtype_is_arith(to) ? cast_arith(e, from, to, v) : narrow(e, from, to, v);
}

LLVMValueRef emit_quant(Emit *e, DType t, DType storage, LLVMValueRef v)
{
    return emit_cast(e, storage, t, emit_cast(e, t, storage, v));
}

static LLVMValueRef clamp_int(Emit *e, LLVMValueRef v, int64_t least, int64_t largest)
{
    LLVMTypeRef type = LLVMTypeOf(v);
    return emit_intrinsic2(e, "llvm.smin", emit_intrinsic2(e, "llvm.smax", v, const_int(type, least)),
                           const_int(type, largest));
}

static LLVMValueRef nearest_int(Emit *e, DType t, DType target, DType result, LLVMValueRef v)
{
    if (dtype_is_float(t)) {
        v = emit_intrinsic1(e, "llvm.roundeven", v);
        if (target == DTYPE_BOOL) v = LLVMBuildFCmp(e->b, LLVMRealOGE, v, const_real(LLVMTypeOf(v), 1), "");
        else v = float_to_int(e, target, v);
        return emit_cast(e, target, result, v);
    }
    v = emit_cast(e, t, DTYPE_I64, v);
    unsigned bits = target == DTYPE_BOOL ? 1 : dtype_info[target].bits;
    bool has_sign = dtype_info[target].class_ == DCLASS_INT;
    int64_t largest = (int64_t)(((uint64_t)1 << (bits - (has_sign ? 1u : 0u))) - 1);
    v = clamp_int(e, v, has_sign ? -largest - 1 : 0, largest);
    return emit_cast(e, DTYPE_I64, result, v);
}

LLVMValueRef emit_nearest(Emit *e, DType t, DType target, DType result, LLVMValueRef v)
{
    if (!dtype_is_float(target)) return nearest_int(e, t, target, result, v);
    DType wide = t == DTYPE_F32 ? DTYPE_F32 : DTYPE_F64;
    v = emit_cast(e, t, wide, v);
    LLVMTypeRef type = LLVMTypeOf(v);
    double largest = wide == DTYPE_F32 && target == DTYPE_F64 ? float_largest(DTYPE_F32) : float_largest(target);
    LLVMValueRef top = const_real(type, largest), low = const_real(type, -largest);
    v = LLVMBuildSelect(e->b, LLVMBuildFCmp(e->b, LLVMRealOGT, v, top, ""), top, v, "");
    v = LLVMBuildSelect(e->b, LLVMBuildFCmp(e->b, LLVMRealOLT, v, low, ""), low, v, "");
    return emit_cast(e, target, result, emit_cast(e, wide, target, v));
}
