// Types, constants, lanes and intrinsics: the vocabulary of the other files of this folder.
#include "backends/llvm/emit.h"

LLVMTypeRef emit_int_type(Emit *e, unsigned bits) { return LLVMIntTypeInContext(e->context, bits); }

LLVMTypeRef emit_dtype(Emit *e, DType t)
{
    if (t == DTYPE_BOOL) return LLVMInt1TypeInContext(e->context);
    if (t == DTYPE_F32) return LLVMFloatTypeInContext(e->context);
    if (t == DTYPE_F64) return LLVMDoubleTypeInContext(e->context);
    unsigned bits = dtype_info[t].bits;
    return emit_int_type(e, bits < 8 ? 8 : bits);
}

LLVMTypeRef emit_memory_dtype(Emit *e, DType t)
{
    return t == DTYPE_BOOL ? emit_int_type(e, 8) : emit_dtype(e, t);
}

LLVMTypeRef emit_type(Emit *e, Type t)
{
    return type_with_lanes(emit_dtype(e, (DType)t.dtype), t.lanes);
}

unsigned type_lanes(LLVMTypeRef t)
{
    return LLVMGetTypeKind(t) == LLVMVectorTypeKind ? LLVMGetVectorSize(t) : 0;
}

LLVMTypeRef type_lane(LLVMTypeRef t) { return type_lanes(t) ? LLVMGetElementType(t) : t; }

LLVMTypeRef type_with_lanes(LLVMTypeRef lane, unsigned lanes)
{
    return lanes ? LLVMVectorType(lane, lanes) : lane;
}

LLVMTypeRef type_shaped(LLVMValueRef like, LLVMTypeRef lane)
{
    return type_with_lanes(lane, value_lanes(like));
}

unsigned value_lanes(LLVMValueRef v) { return type_lanes(LLVMTypeOf(v)); }

unsigned type_bits(LLVMTypeRef t)
{
    LLVMTypeRef lane = type_lane(t);
    LLVMTypeKind kind = LLVMGetTypeKind(lane);
    if (kind == LLVMIntegerTypeKind) return LLVMGetIntTypeWidth(lane);
    if (kind == LLVMDoubleTypeKind) return 64;
    return kind == LLVMHalfTypeKind ? 16 : 32;
}

static LLVMValueRef const_lanes(LLVMTypeRef t, LLVMValueRef lane)
{
    enum { CHUNK = 64 };
    unsigned lanes = type_lanes(t);
    if (!lanes) return lane;
    LLVMValueRef few[CHUNK];
    if (lanes <= CHUNK) {
        for (unsigned i = 0; i < lanes; i++) few[i] = lane;
        return LLVMConstVector(few, lanes);
    }
    // Very wide vectors: splat through a shuffle, which folds to a constant.
    LLVMValueRef one = LLVMConstVector(&lane, 1);
    LLVMContextRef context = LLVMGetTypeContext(t);
    LLVMBuilderRef b = LLVMCreateBuilderInContext(context);
    LLVMValueRef zeros = LLVMConstNull(LLVMVectorType(LLVMInt32TypeInContext(context), lanes));
    LLVMValueRef all = LLVMBuildShuffleVector(b, one, one, zeros, "");
    LLVMDisposeBuilder(b);
    return all;
}

LLVMValueRef const_int(LLVMTypeRef t, int64_t x)
{
    return const_lanes(t, LLVMConstInt(type_lane(t), (unsigned long long)x, true));
}

LLVMValueRef const_real(LLVMTypeRef t, double x) { return const_lanes(t, LLVMConstReal(type_lane(t), x)); }

LLVMValueRef const_bits(Emit *e, Type t, uint64_t bits)
{
    DType dtype = (DType)t.dtype;
    LLVMTypeRef lane = emit_dtype(e, dtype);
    LLVMValueRef scalar;
    if (dtype == DTYPE_F32 || dtype == DTYPE_F64) {
        LLVMValueRef word = LLVMConstInt(emit_int_type(e, dtype_info[dtype].bits), bits, false);
        scalar = LLVMConstBitCast(word, lane);
    } else {
        if (dtype == DTYPE_BOOL) bits = bits != 0;
        scalar = LLVMConstInt(lane, bits, false);
    }
    return const_lanes(type_with_lanes(lane, t.lanes), scalar);
}

// The constant that all lanes of v share, NULL if there is none.
static LLVMValueRef const_lane(LLVMValueRef v)
{
    if (!LLVMIsConstant(v) || LLVMIsUndef(v)) return NULL;
    unsigned lanes = value_lanes(v);
    if (!lanes) return v;
    LLVMValueRef first = LLVMGetAggregateElement(v, 0);
    for (unsigned i = 1; i < lanes; i++) {
        if (LLVMGetAggregateElement(v, i) != first) return NULL; // constants are unique
    }
    return first;
}

bool const_real_value(LLVMValueRef v, double *x)
{
    LLVMValueRef lane = const_lane(v);
    if (!lane || !LLVMIsAConstantFP(lane)) return false;
    LLVMBool loses;
    *x = LLVMConstRealGetDouble(lane, &loses);
    return *x == *x;
}

bool const_int_value(LLVMValueRef v, int64_t *x)
{
    LLVMValueRef lane = const_lane(v);
    if (!lane || !LLVMIsAConstantInt(lane)) return false;
    *x = LLVMConstIntGetSExtValue(lane);
    return true;
}

LLVMValueRef emit_splat(Emit *e, LLVMValueRef scalar, unsigned lanes)
{
    if (!lanes || value_lanes(scalar)) return scalar;
    LLVMTypeRef type = LLVMVectorType(LLVMTypeOf(scalar), lanes);
    if (LLVMIsConstant(scalar)) return const_lanes(type, scalar);
    LLVMTypeRef i32 = emit_int_type(e, 32);
    LLVMValueRef one = LLVMGetPoison(LLVMVectorType(LLVMTypeOf(scalar), 1));
    one = LLVMBuildInsertElement(e->b, one, scalar, const_int(i32, 0), "");
    LLVMValueRef zeros = LLVMConstNull(LLVMVectorType(i32, lanes));
    return LLVMBuildShuffleVector(e->b, one, LLVMGetPoison(LLVMTypeOf(one)), zeros, "");
}

LLVMValueRef emit_lane(Emit *e, LLVMValueRef v, unsigned lane)
{
    if (!value_lanes(v)) return v;
    return LLVMBuildExtractElement(e->b, v, const_int(emit_int_type(e, 32), lane), "");
}

LLVMValueRef emit_slice(Emit *e, LLVMValueRef v, unsigned first, unsigned lanes)
{
    unsigned from = value_lanes(v);
    if (!from) return emit_splat(e, v, lanes);
    if (first == 0 && lanes == from) return v;
    LLVMValueRef *at = arena_array(e->arena, LLVMValueRef, lanes);
    LLVMTypeRef i32 = emit_int_type(e, 32);
    for (unsigned i = 0; i < lanes; i++) at[i] = const_int(i32, first + i < from ? first + i : 0);
    return LLVMBuildShuffleVector(e->b, v, LLVMGetPoison(LLVMTypeOf(v)), LLVMConstVector(at, lanes), "");
}

LLVMValueRef emit_concat(Emit *e, LLVMValueRef a, LLVMValueRef c)
{
    unsigned la = value_lanes(a), lc = value_lanes(c);
    unsigned wide = la > lc ? la : lc;
    LLVMTypeRef i32 = emit_int_type(e, 32);
    LLVMValueRef *at = arena_array(e->arena, LLVMValueRef, la + lc);
    for (unsigned i = 0; i < la; i++) at[i] = const_int(i32, i);
    for (unsigned i = 0; i < lc; i++) at[la + i] = const_int(i32, wide + i);
    return LLVMBuildShuffleVector(e->b, emit_slice(e, a, 0, wide), emit_slice(e, c, 0, wide),
                                  LLVMConstVector(at, la + lc), "");
}

LLVMValueRef emit_bitcast(Emit *e, LLVMValueRef v, LLVMTypeRef lane)
{
    return LLVMBuildBitCast(e->b, v, type_shaped(v, lane), "");
}

LLVMValueRef emit_intrinsic(Emit *e, const char *name, LLVMTypeRef *types, unsigned type_count,
                            LLVMValueRef *args, unsigned count)
{
    unsigned id = LLVMLookupIntrinsicID(name, strlen(name));
    LLVMValueRef function = LLVMGetIntrinsicDeclaration(e->module, id, types, type_count);
    LLVMTypeRef type = LLVMIntrinsicGetType(e->context, id, types, type_count);
    return LLVMBuildCall2(e->b, type, function, args, count, "");
}

LLVMValueRef emit_intrinsic1(Emit *e, const char *name, LLVMValueRef a)
{
    LLVMTypeRef type = LLVMTypeOf(a);
    return emit_intrinsic(e, name, &type, 1, &a, 1);
}

LLVMValueRef emit_intrinsic2(Emit *e, const char *name, LLVMValueRef a, LLVMValueRef c)
{
    LLVMTypeRef type = LLVMTypeOf(a);
    return emit_intrinsic(e, name, &type, 1, (LLVMValueRef[]){a, c}, 2);
}

LLVMValueRef emit_fma(Emit *e, LLVMValueRef a, LLVMValueRef c, LLVMValueRef d)
{
    LLVMTypeRef type = LLVMTypeOf(a);
    return emit_intrinsic(e, "llvm.fma", &type, 1, (LLVMValueRef[]){a, c, d}, 3);
}

LLVMValueRef emit_import(Emit *e, const char *name, LLVMTypeRef function_type)
{
    LLVMValueRef function = LLVMGetNamedFunction(e->module, name);
    if (function) return function;
    function = LLVMAddFunction(e->module, name, function_type);
    unsigned nounwind = LLVMGetEnumAttributeKindForName("nounwind", 8);
    LLVMAddAttributeAtIndex(function, (LLVMAttributeIndex)LLVMAttributeFunctionIndex,
                            LLVMCreateEnumAttribute(e->context, nounwind, 0));
    vec_push(e->arena, &e->imports, str_copy(e->arena, str_of(name)).data);
    return function;
}
