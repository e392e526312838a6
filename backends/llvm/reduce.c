// Across lanes: reductions by a fixed tree, tests of masks, and checks that set the trap. The tree is spelled as
// shuffles because LLVM's reduction intrinsics leave the order of float sums to the target.
//
//   x0 x1 x2 x3 x4  ->  x0+x3 x1+x4 x2  ->  x0+x3+x2 x1+x4  ->  one: lane i meets lane i + ceil(n / 2)
#include "backends/llvm/emit.h"

LLVMValueRef emit_lane_bits(Emit *e, LLVMValueRef bools)
{
    unsigned lanes = value_lanes(bools);
    return lanes ? LLVMBuildBitCast(e->b, bools, emit_int_type(e, lanes), "") : bools;
}

LLVMValueRef emit_any(Emit *e, LLVMValueRef bools)
{
    if (!value_lanes(bools)) return bools;
    LLVMValueRef bits = emit_lane_bits(e, bools);
    return LLVMBuildICmp(e->b, LLVMIntNE, bits, const_int(LLVMTypeOf(bits), 0), "");
}

static LLVMValueRef emit_all(Emit *e, LLVMValueRef bools)
{
    if (!value_lanes(bools)) return bools;
    LLVMValueRef bits = emit_lane_bits(e, bools);
    return LLVMBuildICmp(e->b, LLVMIntEQ, bits, const_int(LLVMTypeOf(bits), -1), "");
}

static Op combining_op(ReduceKind kind)
{
    switch (kind) {
    case REDUCE_SUM: return OP_ADD;
    case REDUCE_PROD: return OP_MUL;
    case REDUCE_MAX: return OP_MAX;
    case REDUCE_MIN: return OP_MIN;
    case REDUCE_ANY: case REDUCE_OR: return OP_OR;
    case REDUCE_ALL: case REDUCE_AND: return OP_AND;
    case REDUCE_XOR: return OP_XOR;
    case REDUCE_ARGMAX: case REDUCE_ARGMIN: case REDUCE_COUNT: return OP_NONE;
    }
    return OP_NONE;
}

LLVMValueRef emit_vreduce(Emit *e, const Inst *in, DType t, LLVMValueRef v)
{
    ReduceKind kind = (ReduceKind)in->attr.kind;
    if (t == DTYPE_BOOL && (kind == REDUCE_ANY || kind == REDUCE_OR || kind == REDUCE_MAX)) return emit_any(e, v);
    if (t == DTYPE_BOOL && (kind == REDUCE_ALL || kind == REDUCE_AND || kind == REDUCE_MIN)) return emit_all(e, v);
    Op op = combining_op(kind);
    if (op == OP_NONE) return emit_unsupported(e, in, "this kind of reduction needs its indices");
    unsigned lanes = value_lanes(v);
    while (lanes > 1) {
        unsigned half = (lanes + 1) / 2, pairs = lanes - half;
        LLVMValueRef both = emit_binary(e, op, t, emit_slice(e, v, 0, pairs), emit_slice(e, v, half, pairs));
        if (!both) return emit_unsupported(e, in, dtype_info[t].name);
        v = pairs == half ? both : emit_concat(e, both, emit_slice(e, v, pairs, 1));
        lanes = half;
    }
    return emit_lane(e, v, 0);
}

static LLVMValueRef as_i64(Emit *e, LLVMValueRef v)
{
    return LLVMBuildSExt(e->b, v, emit_int_type(e, 64), "");
}

// The lane's value of an optional operand of the check, -1 if it has none.
static LLVMValueRef check_detail(Emit *e, const Inst *in, unsigned k, LLVMValueRef lane)
{
    if (k >= inst_plain_args(in)) return const_int(emit_int_type(e, 64), -1);
    LLVMValueRef v = emit_arg(e, in, k);
    if (value_lanes(v)) v = LLVMBuildExtractElement(e->b, v, lane, "");
    return as_i64(e, v);
}

// hako_rt_trap(frame, site, index, bound) for the first failing lane, out of the way of the hot code.
void emit_check(Emit *e, const Inst *in)
{
    unsigned lanes = 0;
    for (unsigned k = 0; k < in->arg_count; k++) {
        unsigned own = value_type(e->f, inst_arg(e->f, in, k)).lanes;
        if (own > lanes) lanes = own;
    }
    LLVMValueRef bad = LLVMBuildNot(e->b, emit_arg_lanes(e, in, 0, lanes), "");
    if (inst_mask(e->f, in).i) bad = LLVMBuildAnd(e->b, bad, emit_arg_lanes(e, in, in->arg_count - 1u, lanes), "");
    Guard guard = guard_begin(e, emit_any(e, bad));
    LLVMValueRef lane = const_int(emit_int_type(e, 32), 0);
    if (lanes) {
        LLVMValueRef bits = emit_lane_bits(e, bad);
        LLVMTypeRef type = LLVMTypeOf(bits);
        LLVMValueRef args[] = {bits, LLVMConstInt(emit_int_type(e, 1), 0, false)};
        lane = emit_intrinsic(e, "llvm.cttz", &type, 1, args, 2);
        if (lanes < 8) lane = LLVMBuildZExt(e->b, lane, emit_int_type(e, 32), "");
    }
    LLVMTypeRef i64 = emit_int_type(e, 64), pointer = LLVMPointerTypeInContext(e->context, 0);
    LLVMTypeRef type = LLVMFunctionType(LLVMVoidTypeInContext(e->context),
                                        (LLVMTypeRef[]){pointer, i64, i64, i64}, 4, false);
    LLVMValueRef function = emit_import(e, "hako_rt_trap", type);
    LLVMValueRef args[] = {e->frame, const_int(i64, in->attr.ref), check_detail(e, in, 1, lane),
                           check_detail(e, in, 2, lane)};
    LLVMBuildCall2(e->b, type, function, args, 4, "");
    guard_end(e, guard, NULL);
}
