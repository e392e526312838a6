// Types, constants, lanes and intrinsics: the vocabulary of the other files of this folder.
#include "backends/llvm/gen.h"

LLVMTypeRef gen_int_type(Gen *g, unsigned bits)
{
    return LLVMIntTypeInContext(g->context, bits);
}

LLVMTypeRef gen_dtype(Gen *g, DType t)
{
    if (t == DTYPE_BOOL) return LLVMInt1TypeInContext(g->context);
    if (t == DTYPE_F32) return LLVMFloatTypeInContext(g->context);
    if (t == DTYPE_F64) return LLVMDoubleTypeInContext(g->context);
    unsigned bits = dtype_info[t].bits;
    return gen_int_type(g, bits < 8 ? 8 : bits);
}

LLVMTypeRef gen_memory_dtype(Gen *g, DType t)
{
    return t == DTYPE_BOOL ? gen_int_type(g, 8) : gen_dtype(g, t);
}

LLVMTypeRef gen_type(Gen *g, Type t)
{
    if (gen_is_tile(t)) return LLVMX86AMXTypeInContext(g->context);
    return lltype_with_lanes(gen_dtype(g, (DType)t.dtype), t.lanes);
}

unsigned lltype_lanes(LLVMTypeRef t)
{
    return LLVMGetTypeKind(t) == LLVMVectorTypeKind ? LLVMGetVectorSize(t) : 0;
}

LLVMTypeRef lltype_lane(LLVMTypeRef t)
{
    return lltype_lanes(t) ? LLVMGetElementType(t) : t;
}

LLVMTypeRef lltype_with_lanes(LLVMTypeRef lane, unsigned lanes)
{
    return lanes ? LLVMVectorType(lane, lanes) : lane;
}

LLVMTypeRef lltype_shaped(LLVMValueRef like, LLVMTypeRef lane)
{
    return lltype_with_lanes(lane, lanes_of(like));
}

unsigned lanes_of(LLVMValueRef v)
{
    return lltype_lanes(LLVMTypeOf(v));
}

unsigned lltype_bits(LLVMTypeRef t)
{
    LLVMTypeRef lane = lltype_lane(t);
    LLVMTypeKind kind = LLVMGetTypeKind(lane);
    if (kind == LLVMIntegerTypeKind) return LLVMGetIntTypeWidth(lane);
    if (kind == LLVMDoubleTypeKind) return 64;
    return kind == LLVMHalfTypeKind ? 16 : 32;
}

static LLVMValueRef const_lanes(LLVMTypeRef t, LLVMValueRef lane)
{
    enum { CHUNK = 64 };
    unsigned lanes = lltype_lanes(t);
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

LLVMValueRef gen_const_int(LLVMTypeRef t, int64_t x)
{
    return const_lanes(t, LLVMConstInt(lltype_lane(t), (unsigned long long)x, true));
}

LLVMValueRef gen_const_real(LLVMTypeRef t, double x)
{
    return const_lanes(t, LLVMConstReal(lltype_lane(t), x));
}

LLVMValueRef gen_const_bits(Gen *g, Type t, uint64_t bits)
{
    DType dtype = (DType)t.dtype;
    LLVMTypeRef lane = gen_dtype(g, dtype);
    LLVMValueRef scalar;
    if (dtype == DTYPE_F32 || dtype == DTYPE_F64) {
        LLVMValueRef word = LLVMConstInt(gen_int_type(g, dtype_info[dtype].bits), bits, false);
        scalar = LLVMConstBitCast(word, lane);
    } else {
        if (dtype == DTYPE_BOOL) bits = bits != 0;
        scalar = LLVMConstInt(lane, bits, false);
    }
    return const_lanes(lltype_with_lanes(lane, t.lanes), scalar);
}

// The constant that all lanes of v share, NULL if there is none.
static LLVMValueRef const_lane(LLVMValueRef v)
{
    if (!LLVMIsConstant(v) || LLVMIsUndef(v)) return NULL;
    unsigned lanes = lanes_of(v);
    if (!lanes) return v;
    LLVMValueRef first = LLVMGetAggregateElement(v, 0);
    for (unsigned i = 1; i < lanes; i++) {
        if (LLVMGetAggregateElement(v, i) != first) return NULL; // constants are unique
    }
    return first;
}

bool gen_const_real_value(LLVMValueRef v, double *x)
{
    LLVMValueRef lane = const_lane(v);
    if (!lane || !LLVMIsAConstantFP(lane)) return false;
    LLVMBool loses;
    *x = LLVMConstRealGetDouble(lane, &loses);
    return *x == *x;
}

bool gen_const_int_value(LLVMValueRef v, int64_t *x)
{
    LLVMValueRef lane = const_lane(v);
    if (!lane || !LLVMIsAConstantInt(lane)) return false;
    *x = LLVMConstIntGetSExtValue(lane);
    return true;
}

LLVMValueRef gen_splat(Gen *g, LLVMValueRef scalar, unsigned lanes)
{
    bool tile = LLVMGetTypeKind(LLVMTypeOf(scalar)) == LLVMX86_AMXTypeKind;
    if (!lanes || lanes_of(scalar) || tile) return scalar;
    LLVMTypeRef type = LLVMVectorType(LLVMTypeOf(scalar), lanes);
    if (LLVMIsConstant(scalar)) return const_lanes(type, scalar);
    LLVMTypeRef i32 = gen_int_type(g, 32);
    LLVMValueRef one = LLVMGetPoison(LLVMVectorType(LLVMTypeOf(scalar), 1));
    one = LLVMBuildInsertElement(g->b, one, scalar, gen_const_int(i32, 0), "");
    LLVMValueRef zeros = LLVMConstNull(LLVMVectorType(i32, lanes));
    return LLVMBuildShuffleVector(g->b, one, LLVMGetPoison(LLVMTypeOf(one)), zeros, "");
}

LLVMValueRef gen_lane(Gen *g, LLVMValueRef v, unsigned lane)
{
    if (!lanes_of(v)) return v;
    return LLVMBuildExtractElement(g->b, v, gen_const_int(gen_int_type(g, 32), lane), "");
}

LLVMValueRef gen_slice(Gen *g, LLVMValueRef v, unsigned first, unsigned lanes)
{
    unsigned from = lanes_of(v);
    if (!from) return gen_splat(g, v, lanes);
    if (first == 0 && lanes == from) return v;
    LLVMValueRef *at = arena_array(g->arena, LLVMValueRef, lanes);
    LLVMTypeRef i32 = gen_int_type(g, 32);
    for (unsigned i = 0; i < lanes; i++)
        at[i] = gen_const_int(i32, first + i < from ? first + i : 0);
    return LLVMBuildShuffleVector(g->b, v, LLVMGetPoison(LLVMTypeOf(v)), LLVMConstVector(at, lanes),
                                  "");
}

LLVMValueRef gen_every_other(Gen *g, LLVMValueRef a, LLVMValueRef c, unsigned first)
{
    unsigned lanes = (c ? 2 * lanes_of(a) : lanes_of(a)) / 2;
    LLVMValueRef *at = arena_array(g->arena, LLVMValueRef, lanes);
    for (unsigned i = 0; i < lanes; i++) at[i] = gen_const_int(gen_int_type(g, 32), 2 * i + first);
    LLVMValueRef none = LLVMGetPoison(LLVMTypeOf(a));
    return LLVMBuildShuffleVector(g->b, a, c ? c : none, LLVMConstVector(at, lanes), "");
}

LLVMValueRef gen_concat(Gen *g, LLVMValueRef a, LLVMValueRef c)
{
    unsigned la = lanes_of(a), lc = lanes_of(c);
    unsigned wide = la > lc ? la : lc;
    LLVMTypeRef i32 = gen_int_type(g, 32);
    LLVMValueRef *at = arena_array(g->arena, LLVMValueRef, la + lc);
    for (unsigned i = 0; i < la; i++) at[i] = gen_const_int(i32, i);
    for (unsigned i = 0; i < lc; i++) at[la + i] = gen_const_int(i32, wide + i);
    return LLVMBuildShuffleVector(g->b, gen_slice(g, a, 0, wide), gen_slice(g, c, 0, wide),
                                  LLVMConstVector(at, la + lc), "");
}

LLVMValueRef gen_bitcast(Gen *g, LLVMValueRef v, LLVMTypeRef lane)
{
    return LLVMBuildBitCast(g->b, v, lltype_shaped(v, lane), "");
}

LLVMValueRef gen_intrinsic(Gen *g, const char *name, LLVMTypeRef *types, unsigned type_count,
                           LLVMValueRef *args, unsigned count)
{
    unsigned id = LLVMLookupIntrinsicID(name, strlen(name));
    LLVMValueRef function = LLVMGetIntrinsicDeclaration(g->module, id, types, type_count);
    LLVMTypeRef type = LLVMIntrinsicGetType(g->context, id, types, type_count);
    return LLVMBuildCall2(g->b, type, function, args, count, "");
}

LLVMValueRef gen_intrinsic1(Gen *g, const char *name, LLVMValueRef a)
{
    LLVMTypeRef type = LLVMTypeOf(a);
    return gen_intrinsic(g, name, &type, 1, &a, 1);
}

LLVMValueRef gen_intrinsic2(Gen *g, const char *name, LLVMValueRef a, LLVMValueRef c)
{
    LLVMTypeRef type = LLVMTypeOf(a);
    return gen_intrinsic(g, name, &type, 1, (LLVMValueRef[]){a, c}, 2);
}

LLVMValueRef gen_fma(Gen *g, LLVMValueRef a, LLVMValueRef c, LLVMValueRef d)
{
    LLVMTypeRef type = LLVMTypeOf(a);
    bool by_double = g->target->is_x86 && !g->target->has_avx2 && lltype_bits(type) == 32;
    if (!by_double) return gen_intrinsic(g, "llvm.fma", &type, 1, (LLVMValueRef[]){a, c, d}, 3);
    // Without the instruction it would be a call. The product is exact in f64; that the sum is
    // rounded twice shows in one of 2^29 results.
    LLVMTypeRef wide = lltype_shaped(a, LLVMDoubleTypeInContext(g->context));
    LLVMValueRef product = LLVMBuildFMul(g->b, LLVMBuildFPExt(g->b, a, wide, ""),
                                         LLVMBuildFPExt(g->b, c, wide, ""), "");
    LLVMValueRef sum = LLVMBuildFAdd(g->b, product, LLVMBuildFPExt(g->b, d, wide, ""), "");
    return LLVMBuildFPTrunc(g->b, sum, type, "");
}

LLVMValueRef gen_import(Gen *g, const char *name, LLVMTypeRef function_type)
{
    LLVMValueRef function = LLVMGetNamedFunction(g->module, name);
    if (function) return function;
    function = LLVMAddFunction(g->module, name, function_type);
    unsigned nounwind = LLVMGetEnumAttributeKindForName("nounwind", 8);
    LLVMAddAttributeAtIndex(function, (LLVMAttributeIndex)LLVMAttributeFunctionIndex,
                            LLVMCreateEnumAttribute(g->context, nounwind, 0));
    vec_push(g->arena, &g->imports, str_copy(g->arena, str_of(name)).data);
    return function;
}
