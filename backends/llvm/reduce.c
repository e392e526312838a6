// Across lanes: reductions by a fixed tree, tests of masks, and checks that set the trap. The tree
// is spelled as shuffles because LLVM's reduction intrinsics leave the order of float sums to the
// target.
//
//   x0 x1 x2 x3 x4  ->  x0+x3 x1+x4 x2  ->  x0+x3+x2 x1+x4  ->  one: lane i meets lane i + ceil(n /
//   2)
#include "backends/llvm/gen.h"

#include "ir/frame.h"

LLVMValueRef gen_lane_bits(Gen *g, LLVMValueRef bools)
{
    unsigned lanes = lanes_of(bools);
    return lanes ? LLVMBuildBitCast(g->b, bools, gen_int_type(g, lanes), "") : bools;
}

LLVMValueRef gen_any(Gen *g, LLVMValueRef bools)
{
    if (!lanes_of(bools)) return bools;
    LLVMValueRef bits = gen_lane_bits(g, bools);
    return LLVMBuildICmp(g->b, LLVMIntNE, bits, gen_const_int(LLVMTypeOf(bits), 0), "");
}

static LLVMValueRef gen_all(Gen *g, LLVMValueRef bools)
{
    if (!lanes_of(bools)) return bools;
    LLVMValueRef bits = gen_lane_bits(g, bools);
    return LLVMBuildICmp(g->b, LLVMIntEQ, bits, gen_const_int(LLVMTypeOf(bits), -1), "");
}

static Op combining_op(ReduceKind kind)
{
    switch (kind) {
    case REDUCE_SUM: return OP_ADD;
    case REDUCE_PROD: return OP_MUL;
    case REDUCE_MAX: return OP_MAX;
    case REDUCE_MIN: return OP_MIN;
    case REDUCE_ANY:
    case REDUCE_OR: return OP_OR;
    case REDUCE_ALL:
    case REDUCE_AND: return OP_AND;
    case REDUCE_XOR: return OP_XOR;
    case REDUCE_ARGMAX:
    case REDUCE_ARGMIN:
    case REDUCE_COUNT: return OP_NONE;
    }
    return OP_NONE;
}

static LLVMValueRef gen_tree(Gen *g, Op op, DType t, LLVMValueRef v)
{
    unsigned lanes = lanes_of(v);
    while (lanes > 1) {
        unsigned half = (lanes + 1) / 2, pairs = lanes - half;
        LLVMValueRef a = gen_slice(g, v, 0, pairs), c = gen_slice(g, v, half, pairs);
        LLVMValueRef both = gen_binary(g, op, t, a, c);
        if (!both) return NULL;
        v = pairs == half ? both : gen_concat(g, both, gen_slice(g, v, pairs, 1));
        lanes = half;
    }
    return gen_lane(g, v, 0);
}

// NaN is looked for once, beside a tree of numbers.
static LLVMValueRef gen_extreme(Gen *g, bool max, LLVMValueRef v)
{
    LLVMValueRef nan = gen_any(g, LLVMBuildFCmp(g->b, LLVMRealUNO, v, v, ""));
    unsigned lanes = lanes_of(v);
    for (unsigned half = lanes / 2; half; half /= 2)
        v = gen_range(g, gen_slice(g, v, 0, half), gen_slice(g, v, half, half), max);
    LLVMValueRef one = gen_lane(g, v, 0);
    LLVMValueRef none = gen_const_real(LLVMTypeOf(one), __builtin_nan(""));
    return LLVMBuildSelect(g->b, nan, none, one, "");
}

LLVMValueRef gen_vreduce(Gen *g, const Inst *in, DType t, LLVMValueRef v)
{
    ReduceKind kind = (ReduceKind)in->attr.kind;
    unsigned lanes = lanes_of(v);
    if (t == DTYPE_BOOL && (kind == REDUCE_ANY || kind == REDUCE_OR || kind == REDUCE_MAX)) {
        return gen_any(g, v);
    }
    if (t == DTYPE_BOOL && (kind == REDUCE_ALL || kind == REDUCE_AND || kind == REDUCE_MIN)) {
        return gen_all(g, v);
    }
    Op op = combining_op(kind);
    if (op == OP_NONE) return gen_unsupported(g, in, "this kind of reduction needs its indices");
    bool extreme = (op == OP_MAX || op == OP_MIN) && t == DTYPE_F32 && g->target->has_avx512;
    if (extreme && lanes >= 8 && !(lanes & (lanes - 1))) return gen_extreme(g, op == OP_MAX, v);
    LLVMValueRef one = gen_tree(g, op, t, v);
    return one ? one : gen_unsupported(g, in, dtype_info[t].name);
}

static LLVMValueRef as_i64(Gen *g, LLVMValueRef v)
{
    return LLVMBuildSExt(g->b, v, gen_int_type(g, 64), "");
}

// The lane's value of an optional operand of the check, -1 if it has none.
static LLVMValueRef check_detail(Gen *g, const Inst *in, unsigned k, LLVMValueRef lane)
{
    if (k >= inst_plain_args(in)) return gen_const_int(gen_int_type(g, 64), -1);
    LLVMValueRef v = gen_arg(g, in, k);
    if (lanes_of(v)) v = LLVMBuildExtractElement(g->b, v, lane, "");
    return as_i64(g, v);
}

// hako_rt_trap(frame, site, index, bound) for the first failing lane, out of the way of the hot
// code.
void gen_check(Gen *g, const Inst *in)
{
    unsigned lanes = 0;
    for (unsigned k = 0; k < in->arg_count; k++) {
        unsigned own = value_type(g->f, inst_arg(g->f, in, k)).lanes;
        if (own > lanes) lanes = own;
    }
    LLVMValueRef bad = LLVMBuildNot(g->b, gen_arg_lanes(g, in, 0, lanes), "");
    if (inst_mask(g->f, in).i) {
        bad = LLVMBuildAnd(g->b, bad, gen_arg_lanes(g, in, in->arg_count - 1u, lanes), "");
    }
    Guard guard = gen_guard_rare(g, gen_any(g, bad));
    LLVMValueRef lane = gen_const_int(gen_int_type(g, 32), 0);
    if (lanes) {
        LLVMValueRef bits = gen_lane_bits(g, bad);
        LLVMTypeRef type = LLVMTypeOf(bits);
        LLVMValueRef args[] = {bits, LLVMConstInt(gen_int_type(g, 1), 0, false)};
        lane = gen_intrinsic(g, "llvm.cttz", &type, 1, args, 2);
        if (lanes < 8) lane = LLVMBuildZExt(g->b, lane, gen_int_type(g, 32), "");
    }
    LLVMTypeRef i64 = gen_int_type(g, 64), pointer = LLVMPointerTypeInContext(g->context, 0);
    LLVMTypeRef type = LLVMFunctionType(LLVMVoidTypeInContext(g->context),
                                        (LLVMTypeRef[]){pointer, i64, i64, i64}, 4, false);
    LLVMValueRef function = gen_import(g, g->standalone ? HAKO_RT "trap" : "hako_rt_trap", type);
    LLVMValueRef args[] = {g->frame, gen_const_int(i64, in->attr.ref), check_detail(g, in, 1, lane),
                           check_detail(g, in, 2, lane)};
    LLVMBuildCall2(g->b, type, function, args, 4, "");
    gen_guard_end(g, guard, NULL);
}

// One line: the operands' bits in an array of the function's frame.
void gen_print(Gen *g, const Inst *in)
{
    LLVMTypeRef i64 = gen_int_type(g, 64), pointer = LLVMPointerTypeInContext(g->context, 0);
    unsigned count = inst_plain_args(in);
    LLVMBasicBlockRef here = LLVMGetInsertBlock(g->b), entry = LLVMGetEntryBasicBlock(g->function);
    LLVMPositionBuilder(g->b, entry, LLVMGetFirstInstruction(entry));
    LLVMValueRef line =
        LLVMBuildArrayAlloca(g->b, i64, gen_const_int(gen_int_type(g, 32), count + 1), "");
    LLVMPositionBuilderAtEnd(g->b, here);
    Guard guard = {0};
    if (in->flags & INST_MASKED) guard = gen_guard_begin(g, gen_arg(g, in, count));
    for (unsigned k = 0; k < count; k++) {
        LLVMValueRef at = gen_const_int(i64, k);
        LLVMBuildStore(g->b,
                       gen_word(g, value_dtype(g->f, inst_arg(g->f, in, k)), gen_arg(g, in, k)),
                       LLVMBuildGEP2(g->b, i64, line, &at, 1, ""));
    }
    LLVMTypeRef type = LLVMFunctionType(LLVMVoidTypeInContext(g->context),
                                        (LLVMTypeRef[]){pointer, i64, pointer}, 3, false);
    LLVMValueRef function = gen_import(g, g->standalone ? HAKO_RT "print" : "hako_rt_print", type);
    LLVMValueRef args[] = {g->frame, gen_const_int(i64, in->attr.ref), line};
    LLVMBuildCall2(g->b, type, function, args, 3, "");
    if (in->flags & INST_MASKED) gen_guard_end(g, guard, NULL);
}
