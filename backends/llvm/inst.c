// One instruction of Loop IR to LLVM IR: looks up operands, hands the work to the file of its kind, keeps the
// result. Scalars that meet vectors are splat, whatever produced them.
#include "backends/llvm/emit.h"

LLVMValueRef emit_unsupported(Emit *e, const Inst *in, const char *what)
{
    diag_add(e->diags, DIAG_NOT_SUPPORTED, in->span, "the CPU backend cannot translate '%s': %s",
             op_info[in->op].mnemonic, what);
    return NULL;
}

LLVMValueRef emit_value(Emit *e, Value v)
{
    LLVMValueRef found = e->values[v.i];
    // After an error elsewhere operands may be missing; the module is thrown away then.
    return found ? found : LLVMGetPoison(emit_type(e, value_type(e->f, v)));
}

LLVMValueRef emit_arg(Emit *e, const Inst *in, unsigned k) { return emit_value(e, inst_arg(e->f, in, k)); }

LLVMValueRef emit_arg_lanes(Emit *e, const Inst *in, unsigned k, unsigned lanes)
{
    return emit_splat(e, emit_arg(e, in, k), lanes);
}

void set_result(Emit *e, const Inst *in, unsigned k, LLVMValueRef v)
{
    e->values[inst_result(in, k).i] = v;
}

static LLVMValueRef emit_iota(Emit *e, Type t)
{
    LLVMTypeRef type = emit_type(e, t);
    if (!t.lanes) return const_int(type, 0);
    LLVMValueRef *lanes = arena_array(e->arena, LLVMValueRef, t.lanes);
    for (unsigned i = 0; i < t.lanes; i++) lanes[i] = const_int(type_lane(type), i);
    return LLVMConstVector(lanes, t.lanes);
}

static LLVMValueRef emit_reinterpret(Emit *e, const Inst *in, DType from, DType to, LLVMValueRef a)
{
    if (from == DTYPE_BOOL || to == DTYPE_BOOL || dtype_info[from].bits != dtype_info[to].bits) {
        return emit_unsupported(e, in, "the widths differ");
    }
    return emit_bitcast(e, a, emit_dtype(e, to));
}

// Elementwise: operands brought to the widest's lanes.
static LLVMValueRef emit_elementwise(Emit *e, const Inst *in, Type result)
{
    Op op = (Op)in->op;
    unsigned lanes = result.lanes;
    for (unsigned k = 0; k < in->arg_count; k++) {
        unsigned own = value_type(e->f, inst_arg(e->f, in, k)).lanes;
        if (own > lanes) lanes = own;
    }
    DType t = value_dtype(e->f, inst_arg(e->f, in, 0)), to = (DType)result.dtype;
    LLVMValueRef a = emit_arg_lanes(e, in, 0, lanes);
    LLVMValueRef c = in->arg_count > 1 ? emit_arg_lanes(e, in, 1, lanes) : NULL;
    LLVMValueRef d = in->arg_count > 2 ? emit_arg_lanes(e, in, 2, lanes) : NULL;
    if (op == OP_SELECT) return LLVMBuildSelect(e->b, a, c, d, "");
    if (op == OP_FMA) {
        if (dtype_is_float(t)) return emit_fma(e, a, c, d);
        return LLVMBuildAdd(e->b, LLVMBuildMul(e->b, a, c, ""), d, "");
    }
    if (op == OP_CAST) return emit_cast(e, t, to, a);
    if (op == OP_QUANT) return emit_quant(e, t, (DType)in->attr.kind, a);
    if (op == OP_NEAREST) return emit_nearest(e, t, (DType)in->attr.kind, to, a);
    if (op == OP_BITCAST) return emit_reinterpret(e, in, t, to, a);
    if (op == OP_EQ || op == OP_NE || op == OP_LT || op == OP_LE) return emit_compare(e, op, t, a, c);
    return c ? emit_binary(e, op, t, a, c) : emit_unary(e, op, t, a);
}

static void emit_pure(Emit *e, const Inst *in)
{
    Type result = value_type(e->f, inst_result(in, 0));
    LLVMValueRef v = emit_elementwise(e, in, result);
    if (!v) {
        emit_unsupported(e, in, dtype_info[value_dtype(e->f, inst_arg(e->f, in, 0))].name);
        v = LLVMGetPoison(emit_type(e, result));
    }
    set_result(e, in, 0, v);
}

static void emit_vector_op(Emit *e, const Inst *in)
{
    Type result = value_type(e->f, inst_result(in, 0));
    LLVMValueRef v;
    if (in->op == OP_IOTA) {
        v = emit_iota(e, result);
    } else if (in->op == OP_SPLAT) {
        v = emit_arg_lanes(e, in, 0, result.lanes);
    } else if (in->op == OP_EXTRACT) {
        v = emit_lane(e, emit_arg(e, in, 0), (unsigned)in->attr.bits);
    } else {
        v = emit_vreduce(e, in, value_dtype(e->f, inst_arg(e->f, in, 0)), emit_arg(e, in, 0));
    }
    set_result(e, in, 0, v ? v : LLVMGetPoison(emit_type(e, result)));
}

void emit_inst(Emit *e, const Inst *in)
{
    switch ((Op)in->op) {
    case OP_CONST:
        set_result(e, in, 0, const_bits(e, value_type(e->f, inst_result(in, 0)), in->attr.bits));
        return;
    case OP_DIM: case OP_ARG: case OP_EXTENT: case OP_STRIDE:
        return; // at the function's entry: prologue.c
    case OP_ADD: case OP_SUB: case OP_MUL: case OP_DIV: case OP_REM: case OP_NEG: case OP_FMA: case OP_MIN:
    case OP_MAX: case OP_FMIN: case OP_FMAX: case OP_AND: case OP_OR: case OP_XOR: case OP_NOT: case OP_SHL:
    case OP_SHR: case OP_ABS: case OP_SIGN: case OP_FLOOR: case OP_CEIL: case OP_ROUND: case OP_TRUNC:
    case OP_RCP: case OP_SQRT: case OP_RSQRT: case OP_EXP: case OP_EXP2: case OP_EXPM1: case OP_LOG:
    case OP_LOG2: case OP_LOG10: case OP_LOG1P: case OP_SIN: case OP_COS: case OP_TAN: case OP_ASIN:
    case OP_ACOS: case OP_ATAN: case OP_ATAN2: case OP_SINH: case OP_COSH: case OP_TANH: case OP_ERF:
    case OP_ERFINV: case OP_POW: case OP_EQ: case OP_NE: case OP_LT: case OP_LE: case OP_ISNAN: case OP_ISINF:
    case OP_POPCOUNT: case OP_CLZ: case OP_SELECT: case OP_CAST: case OP_QUANT: case OP_NEAREST:
    case OP_BITCAST:
        emit_pure(e, in);
        return;
    case OP_SPLAT: case OP_IOTA: case OP_EXTRACT: case OP_VREDUCE:
        emit_vector_op(e, in);
        return;
    case OP_LOAD: case OP_GATHER:
        emit_load(e, in);
        return;
    case OP_STORE: case OP_SCATTER:
        emit_store(e, in);
        return;
    case OP_IF:
        emit_if(e, in);
        return;
    case OP_FOR:
        emit_for(e, in);
        return;
    case OP_CHECK:
        emit_check(e, in);
        return;
    case OP_YIELD:
        return; // its owner reads it
    case OP_NONE: case OP_TENSOR: case OP_REQUIRE: case OP_REFINE: case OP_PHASE: case OP_GRID: case OP_LOOP:
    case OP_AXIS: case OP_INDEX: case OP_TILEINFO: case OP_LOAD_TILE: case OP_STORE_TILE: case OP_FOLD:
    case OP_REDUCE: case OP_SCRATCH: case OP_COUNT:
        emit_unsupported(e, in, "it has no place inside a phase of Loop IR");
        return;
    }
}

void emit_region(Emit *e, Region r)
{
    for_each_inst(e->f, r, id) emit_inst(e, inst_at(e->f, id));
}
