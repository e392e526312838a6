// One instruction of Loop IR to LLVM IR: looks up operands, hands the work to the file of its kind,
// keeps the result. Scalars that meet vectors are splat, whatever produced them.
#include <math.h>

#include "backends/llvm/gen.h"

LLVMValueRef gen_unsupported(Gen *g, const Inst *in, const char *what)
{
    diag_add(g->diags, DIAG_NOT_SUPPORTED, in->span, "the CPU backend cannot translate '%s': %s",
             op_info[in->op].mnemonic, what);
    return NULL;
}

LLVMValueRef gen_value(Gen *g, Value v)
{
    const Inst *def = value_def(g->f, v);
    if (def && def->op == OP_CONST && gen_is_tile(value_type(g->f, v))) return gen_tile_zero(g);
    LLVMValueRef found = g->values[v.i];
    // After an error elsewhere operands may be missing; the module is thrown away then.
    return found ? found : LLVMGetPoison(gen_type(g, value_type(g->f, v)));
}

LLVMValueRef gen_arg(Gen *g, const Inst *in, unsigned k)
{
    return gen_value(g, inst_arg(g->f, in, k));
}

LLVMValueRef gen_arg_lanes(Gen *g, const Inst *in, unsigned k, unsigned lanes)
{
    return gen_splat(g, gen_arg(g, in, k), lanes);
}

void gen_result(Gen *g, const Inst *in, unsigned k, LLVMValueRef v)
{
    g->values[inst_result(in, k).i] = v;
}

static LLVMValueRef gen_iota(Gen *g, Type t)
{
    LLVMTypeRef type = gen_type(g, t);
    if (!t.lanes) return gen_const_int(type, 0);
    LLVMValueRef *lanes = arena_array(g->arena, LLVMValueRef, t.lanes);
    for (unsigned i = 0; i < t.lanes; i++) lanes[i] = gen_const_int(lltype_lane(type), i);
    return LLVMConstVector(lanes, t.lanes);
}

static LLVMValueRef gen_reinterpret(Gen *g, const Inst *in, DType from, DType to, LLVMValueRef a)
{
    if (from == DTYPE_BOOL || to == DTYPE_BOOL || dtype_info[from].bits != dtype_info[to].bits) {
        return gen_unsupported(g, in, "the widths differ");
    }
    return gen_bitcast(g, a, gen_dtype(g, to));
}

// Whether whole vectors are divided by one number: a row by its sum. Its reciprocal is then worth
// computing once. Division by powers of two is LLVM's to turn into multiplication.
static bool divides_by_one(Gen *g, const Inst *in, DType t, unsigned lanes)
{
    if (t != DTYPE_F32 || lanes < 8 || !g->target->has_avx512) return false;
    Value v = inst_arg(g->f, in, 1);
    const Inst *def = value_def(g->f, v);
    double known;
    if (def && def->op == OP_CONST) {
        int exponent;
        return gen_const_real_value(gen_value(g, v), &known) &&
               frexp(fabs(known), &exponent) != 0.5;
    }
    return value_type(g->f, v).lanes == 0 || (def && def->op == OP_SPLAT);
}

// Elementwise: operands brought to the widest's lanes.
static LLVMValueRef gen_elementwise(Gen *g, const Inst *in, Type result)
{
    Op op = (Op)in->op;
    unsigned lanes = result.lanes;
    for (unsigned k = 0; k < in->arg_count; k++) {
        unsigned own = value_type(g->f, inst_arg(g->f, in, k)).lanes;
        if (own > lanes) lanes = own;
    }
    DType t = value_dtype(g->f, inst_arg(g->f, in, 0)), to = (DType)result.dtype;
    LLVMValueRef a = gen_arg_lanes(g, in, 0, lanes);
    LLVMValueRef c = in->arg_count > 1 ? gen_arg_lanes(g, in, 1, lanes) : NULL;
    LLVMValueRef d = in->arg_count > 2 ? gen_arg_lanes(g, in, 2, lanes) : NULL;
    if (op == OP_SELECT) return LLVMBuildSelect(g->b, a, c, d, "");
    if (op == OP_FMA) {
        if (dtype_is_float(t)) return gen_fma(g, a, c, d);
        return LLVMBuildAdd(g->b, LLVMBuildMul(g->b, a, c, ""), d, "");
    }
    if (op == OP_CAST) return gen_cast_value(g, inst_arg(g->f, in, 0), to, a);
    if (op == OP_QUANT) return gen_quant(g, t, (DType)in->attr.kind, a);
    if (op == OP_NEAREST) return gen_nearest(g, t, (DType)in->attr.kind, to, a);
    if (op == OP_BITCAST) return gen_reinterpret(g, in, t, to, a);
    if (op == OP_DIV && divides_by_one(g, in, t, lanes)) return gen_divide_f32(g, a, c);
    if (op == OP_EQ || op == OP_NE || op == OP_LT || op == OP_LE) {
        return gen_compare(g, op, t, a, c);
    }
    return c ? gen_binary(g, op, t, a, c) : gen_unary(g, op, t, a);
}

static void gen_pure(Gen *g, const Inst *in)
{
    Type result = value_type(g->f, inst_result(in, 0));
    LLVMValueRef v = gen_elementwise(g, in, result);
    if (!v) {
        gen_unsupported(g, in, dtype_info[value_dtype(g->f, inst_arg(g->f, in, 0))].name);
        v = LLVMGetPoison(gen_type(g, result));
    }
    gen_result(g, in, 0, v);
}

static LLVMValueRef gen_spread(Gen *g, LLVMValueRef a, unsigned first, unsigned shift)
{
    unsigned lanes = lanes_of(a);
    LLVMValueRef *at = arena_array(g->arena, LLVMValueRef, lanes);
    for (unsigned i = 0; i < lanes; i++)
        at[i] = gen_const_int(gen_int_type(g, 32), first + (i >> shift));
    LLVMValueRef none = LLVMGetPoison(LLVMTypeOf(a));
    return LLVMBuildShuffleVector(g->b, a, none, LLVMConstVector(at, lanes), "");
}

static LLVMValueRef gen_zip(Gen *g, LLVMValueRef a, LLVMValueRef c, bool high)
{
    unsigned lanes = lanes_of(a);
    LLVMValueRef *at = arena_array(g->arena, LLVMValueRef, lanes);
    for (unsigned i = 0; i < lanes; i++)
        at[i] = gen_const_int(gen_int_type(g, 32),
                              i / 2 + (high ? lanes / 2 : 0) + (i % 2 ? lanes : 0));
    return LLVMBuildShuffleVector(g->b, a, c, LLVMConstVector(at, lanes), "");
}

// The scheduler asks for it only where the target has the instruction, for whole vectors.
static void gen_dot(Gen *g, const Inst *in)
{
    LLVMValueRef a = gen_arg(g, in, 0), b = gen_arg(g, in, 1), acc = gen_arg(g, in, 2);
    unsigned lanes = lanes_of(acc);
    DType t = value_dtype(g->f, inst_arg(g->f, in, 0));
    if (!g->target->has_avx512 || lanes != 16) {
        gen_unsupported(g, in, "products of groups");
        gen_result(g, in, 0, acc);
        return;
    }
    LLVMTypeRef i32 = gen_int_type(g, 32), words = lltype_with_lanes(i32, lanes);
    a = gen_splat(g, LLVMBuildBitCast(g->b, a, i32, ""), lanes);
    LLVMTypeRef type = words;
    const char *name = "llvm.x86.avx512.vpdpbusd.512";
    if (t == DTYPE_BF16) {
        type = LLVMVectorType(LLVMBFloatTypeInContext(g->context), lanes * 2);
        name = "llvm.x86.avx512bf16.dpbf16ps.512";
    }
    a = LLVMBuildBitCast(g->b, a, type, "");
    b = LLVMBuildBitCast(g->b, b, type, "");
    bool swap = t == DTYPE_I8; // the unsigned one is the first
    LLVMValueRef args[] = {acc, swap ? b : a, swap ? a : b};
    gen_result(g, in, 0, gen_intrinsic(g, name, NULL, 0, args, 3));
}

static void gen_vector_op(Gen *g, const Inst *in)
{
    Type result = value_type(g->f, inst_result(in, 0));
    LLVMValueRef v;
    if (in->op == OP_IOTA) {
        v = gen_iota(g, result);
    } else if (in->op == OP_SPLAT) {
        v = gen_arg_lanes(g, in, 0, result.lanes);
    } else if (in->op == OP_EXTRACT) {
        v = gen_lane(g, gen_arg(g, in, 0), (unsigned)in->attr.bits);
    } else if (in->op == OP_SPREAD) {
        v = gen_spread(g, gen_arg(g, in, 0), (unsigned)in->attr.bits / 8, in->attr.bits % 8);
    } else if (in->op == OP_UNZIP) {
        v = gen_every_other(g, gen_arg(g, in, 0), gen_arg(g, in, 1), (unsigned)in->attr.bits);
    } else if (in->op == OP_ZIP) {
        v = gen_zip(g, gen_arg(g, in, 0), gen_arg(g, in, 1), in->attr.bits != 0);
    } else {
        v = gen_vreduce(g, in, value_dtype(g->f, inst_arg(g->f, in, 0)), gen_arg(g, in, 0));
    }
    gen_result(g, in, 0, v ? v : LLVMGetPoison(gen_type(g, result)));
}

void gen_inst(Gen *g, const Inst *in)
{
    switch ((Op)in->op) {
    case OP_CONST:
        if (gen_is_tile(value_type(g->f, inst_result(in, 0)))) return; // gen_value makes it
        gen_result(g, in, 0,
                   gen_const_bits(g, value_type(g->f, inst_result(in, 0)), in->attr.bits));
        return;
    case OP_DIM:
    case OP_ARG:
    case OP_EXTENT:
    case OP_STRIDE: return; // at the function's entry: prologue.c
    case OP_ADD:
    case OP_SUB:
    case OP_MUL:
    case OP_DIV:
    case OP_REM:
    case OP_NEG:
    case OP_FMA:
    case OP_MIN:
    case OP_MAX:
    case OP_FMIN:
    case OP_FMAX:
    case OP_AND:
    case OP_OR:
    case OP_XOR:
    case OP_NOT:
    case OP_SHL:
    case OP_SHR:
    case OP_ABS:
    case OP_SIGN:
    case OP_FLOOR:
    case OP_CEIL:
    case OP_ROUND:
    case OP_TRUNC:
    case OP_RCP:
    case OP_SQRT:
    case OP_RSQRT:
    case OP_EXP:
    case OP_EXP2:
    case OP_EXPM1:
    case OP_LOG:
    case OP_LOG2:
    case OP_LOG10:
    case OP_LOG1P:
    case OP_SIN:
    case OP_COS:
    case OP_TAN:
    case OP_ASIN:
    case OP_ACOS:
    case OP_ATAN:
    case OP_ATAN2:
    case OP_SINH:
    case OP_COSH:
    case OP_TANH:
    case OP_ERF:
    case OP_ERFINV:
    case OP_POW:
    case OP_EQ:
    case OP_NE:
    case OP_LT:
    case OP_LE:
    case OP_ISNAN:
    case OP_ISINF:
    case OP_POPCOUNT:
    case OP_CLZ:
    case OP_SELECT:
    case OP_CAST:
    case OP_QUANT:
    case OP_NEAREST:
    case OP_BITCAST: gen_pure(g, in); return;
    case OP_DOT: gen_dot(g, in); return;
    case OP_LOAD_ROWS: gen_tile_load(g, in); return;
    case OP_STORE_ROWS: gen_tile_store(g, in); return;
    case OP_DOT_ROWS: gen_tile_dot(g, in); return;
    case OP_SPLAT:
    case OP_IOTA:
    case OP_EXTRACT:
    case OP_SPREAD:
    case OP_ZIP:
    case OP_UNZIP:
    case OP_VREDUCE: gen_vector_op(g, in); return;
    case OP_LOAD:
    case OP_GATHER: gen_load(g, in); return;
    case OP_STORE:
    case OP_SCATTER: gen_store(g, in); return;
    case OP_ATOMIC: gen_atomic(g, in); return;
    case OP_PREFETCH: gen_prefetch(g, in); return;
    case OP_IF: gen_if(g, in); return;
    case OP_FOR: gen_for(g, in); return;
    case OP_CHECK: gen_check(g, in); return;
    case OP_PRINT: gen_print(g, in); return;
    case OP_YIELD: return; // its owner reads it
    case OP_NONE:
    case OP_TENSOR:
    case OP_REQUIRE:
    case OP_REFINE:
    case OP_PHASE:
    case OP_GRID:
    case OP_LOOP:
    case OP_AXIS:
    case OP_INDEX:
    case OP_TILEINFO:
    case OP_LOAD_TILE:
    case OP_STORE_TILE:
    case OP_FOLD:
    case OP_ATOMIC_TILE:
    case OP_REDUCE:
    case OP_TAKE:
    case OP_COMBINE:
    case OP_SORT:
    case OP_REPEAT:
    case OP_AGAIN:
    case OP_SEARCH:
    case OP_SCRATCH:
    case OP_COUNT: gen_unsupported(g, in, "it has no place inside a phase of Loop IR"); return;
    }
}

void gen_region(Gen *g, Region r)
{
    for_each_inst(g->f, r, id) gen_inst(g, inst_at(g->f, id));
}
