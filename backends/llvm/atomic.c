// Atomic updates, lane by lane in ascending order. Integers of whole bytes use the machine's own
// instructions; everything else compares and swaps the bytes that hold the element until nobody
// came in between.
//
//   before: first = load; br loop
//   loop:   seen = phi [first, got]; next = encode(decode(seen) + value)
//           got, ok = cmpxchg seen, next; br ok, after, loop
#include "backends/llvm/gen.h"

static const LLVMAtomicOrdering ORDER = LLVMAtomicOrderingMonotonic;

typedef struct Update {
    uint32_t kind; // AtomicKind
    Mem mem;
    DType dtype, arith;                               // of the element; what it widens to
    LLVMValueRef value, desired, offset, mask;        // of all lanes
    LLVMTypeRef word;                                 // the integer that holds the element
    LLVMValueRef at, lane_value, lane_desired, shift; // of the current lane; shift: of half a byte
} Update;

static Op combining_op(uint32_t kind)
{
    if (kind == REDUCE_SUM) return OP_ADD;
    if (kind == REDUCE_PROD) return OP_MUL;
    if (kind == REDUCE_MAX) return OP_MAX;
    if (kind == REDUCE_MIN) return OP_MIN;
    if (kind == REDUCE_AND) return OP_AND;
    return kind == REDUCE_OR ? OP_OR : OP_XOR;
}

// ---- the element's bits and its value

static LLVMValueRef encode(Gen *g, const Update *u, LLVMValueRef v)
{
    LLVMValueRef code = gen_cast(g, u->arith, u->dtype, v);
    if (u->dtype == DTYPE_BOOL) return LLVMBuildZExt(g->b, v, u->word, "");
    return dtype_is_arith(u->dtype) ? LLVMBuildBitCast(g->b, code, u->word, "") : code;
}

static LLVMValueRef decode(Gen *g, const Update *u, LLVMValueRef code)
{
    if (u->dtype == DTYPE_BOOL)
        return LLVMBuildICmp(g->b, LLVMIntNE, code, gen_const_int(u->word, 0), "");
    if (dtype_is_arith(u->dtype)) return LLVMBuildBitCast(g->b, code, gen_dtype(g, u->dtype), "");
    return gen_cast(g, u->dtype, u->arith, code);
}

static LLVMValueRef fifteen(const Update *u)
{
    return gen_const_int(u->word, 15);
}

static LLVMValueRef code_of_word(Gen *g, const Update *u, LLVMValueRef word)
{
    if (!u->shift) return word;
    return LLVMBuildAnd(g->b, LLVMBuildLShr(g->b, word, u->shift, ""), fifteen(u), "");
}

static LLVMValueRef word_of_code(Gen *g, const Update *u, LLVMValueRef word, LLVMValueRef code)
{
    if (!u->shift) return code;
    LLVMValueRef keep = LLVMBuildNot(g->b, LLVMBuildShl(g->b, fifteen(u), u->shift, ""), "");
    code = LLVMBuildShl(g->b, LLVMBuildAnd(g->b, code, fifteen(u), ""), u->shift, "");
    return LLVMBuildOr(g->b, LLVMBuildAnd(g->b, word, keep, ""), code, "");
}

static LLVMValueRef next_code(Gen *g, const Update *u, LLVMValueRef code)
{
    if (u->kind == ATOMIC_XCHG) return encode(g, u, u->lane_value);
    if (u->kind == ATOMIC_CAS) {
        LLVMValueRef expected = encode(g, u, u->lane_value);
        if (u->shift) expected = LLVMBuildAnd(g->b, expected, fifteen(u), "");
        LLVMValueRef same = LLVMBuildICmp(g->b, LLVMIntEQ, code, expected, "");
        return LLVMBuildSelect(g->b, same, encode(g, u, u->lane_desired), code, "");
    }
    LLVMValueRef v = u->lane_value;
    if (u->kind == REDUCE_MAX || u->kind == REDUCE_MIN) v = gen_quant(g, u->arith, u->dtype, v);
    LLVMValueRef old = decode(g, u, code);
    return encode(g, u, gen_binary(g, combining_op(u->kind), u->arith, old, v));
}

// ---- one lane

static unsigned word_bytes(const Update *u)
{
    return dtype_info[u->dtype].bits < 8 ? 1 : dtype_info[u->dtype].bits / 8u;
}

static LLVMValueRef swap_word(Gen *g, const Update *u, LLVMValueRef seen, LLVMValueRef next)
{
    LLVMValueRef both = LLVMBuildAtomicCmpXchg(g->b, u->at, seen, next, ORDER, ORDER, false);
    gen_note_access(g, both, u->mem);
    return both;
}

static LLVMValueRef swap_loop(Gen *g, const Update *u)
{
    LLVMBasicBlockRef before = LLVMGetInsertBlock(g->b);
    LLVMBasicBlockRef loop = LLVMAppendBasicBlockInContext(g->context, g->function, "again");
    LLVMBasicBlockRef after = LLVMAppendBasicBlockInContext(g->context, g->function, "after");
    LLVMValueRef first = LLVMBuildLoad2(g->b, u->word, u->at, "");
    LLVMSetOrdering(first, ORDER);
    LLVMSetAlignment(first, word_bytes(u));
    gen_note_access(g, first, u->mem);
    LLVMBuildBr(g->b, loop);
    LLVMPositionBuilderAtEnd(g->b, loop);
    LLVMValueRef seen = LLVMBuildPhi(g->b, u->word, "");
    LLVMValueRef code = code_of_word(g, u, seen);
    LLVMValueRef both = swap_word(g, u, seen, word_of_code(g, u, seen, next_code(g, u, code)));
    LLVMBasicBlockRef end = LLVMGetInsertBlock(g->b); // conversions may have added blocks
    LLVMValueRef got = LLVMBuildExtractValue(g->b, both, 0, "");
    LLVMAddIncoming(seen, (LLVMValueRef[]){first, got}, (LLVMBasicBlockRef[]){before, end}, 2);
    LLVMBuildCondBr(g->b, LLVMBuildExtractValue(g->b, both, 1, ""), after, loop);
    LLVMPositionBuilderAtEnd(g->b, after);
    return code;
}

// The machine's own instruction for integers; false if there is none.
static bool native_op(const Update *u, LLVMAtomicRMWBinOp *op)
{
    bool is_unsigned = dtype_info[u->dtype].class_ == DCLASS_UINT;
    bool is_bits = u->dtype == DTYPE_BOOL || dtype_is_int(u->dtype);
    if (dtype_info[u->dtype].bits < 8) return false;
    *op = LLVMAtomicRMWBinOpXchg;
    if (u->kind == ATOMIC_XCHG) return true;
    *op = u->kind == REDUCE_AND  ? LLVMAtomicRMWBinOpAnd
          : u->kind == REDUCE_OR ? LLVMAtomicRMWBinOpOr
                                 : LLVMAtomicRMWBinOpXor;
    if (u->kind == REDUCE_AND || u->kind == REDUCE_OR || u->kind == REDUCE_XOR) return is_bits;
    *op = u->kind == REDUCE_SUM   ? LLVMAtomicRMWBinOpAdd
          : u->kind == REDUCE_MAX ? (is_unsigned ? LLVMAtomicRMWBinOpUMax : LLVMAtomicRMWBinOpMax)
                                  : (is_unsigned ? LLVMAtomicRMWBinOpUMin : LLVMAtomicRMWBinOpMin);
    bool has = u->kind == REDUCE_SUM || u->kind == REDUCE_MAX || u->kind == REDUCE_MIN;
    return has && dtype_is_int(u->dtype);
}

static LLVMValueRef update_lane(Gen *g, Update *u, LLVMValueRef offset)
{
    LLVMAtomicRMWBinOp op;
    u->shift = NULL;
    if (dtype_info[u->dtype].bits < 8) {
        LLVMTypeRef type = LLVMTypeOf(offset);
        LLVMValueRef odd = LLVMBuildAnd(g->b, offset, gen_const_int(type, 1), "");
        u->shift =
            LLVMBuildTrunc(g->b, LLVMBuildShl(g->b, odd, gen_const_int(type, 2), ""), u->word, "");
        offset = LLVMBuildAShr(g->b, offset, gen_const_int(type, 1), "");
    }
    u->at = gen_address(g, u->mem, u->word, offset);
    LLVMValueRef code;
    if (native_op(u, &op)) {
        code = LLVMBuildAtomicRMW(g->b, op, u->at, encode(g, u, u->lane_value), ORDER, false);
        gen_note_access(g, code, u->mem);
    } else if (u->kind == ATOMIC_CAS && !u->shift) {
        LLVMValueRef both =
            swap_word(g, u, encode(g, u, u->lane_value), encode(g, u, u->lane_desired));
        code = LLVMBuildExtractValue(g->b, both, 0, "");
    } else {
        code = swap_loop(g, u);
    }
    return decode(g, u, code);
}

void gen_atomic(Gen *g, const Inst *in)
{
    Type type = value_type(g->f, inst_result(in, 0));
    unsigned next = 0, lanes = type.lanes;
    Update u = {.kind = in->attr.kind, .mem = {in->attr.ref}, .arith = (DType)type.dtype};
    u.dtype = mem_at(g->f, u.mem)->dtype;
    u.word = gen_int_type(g, 8 * word_bytes(&u));
    u.value = gen_arg_lanes(g, in, next++, lanes);
    if (u.kind == ATOMIC_CAS) u.desired = gen_arg_lanes(g, in, next++, lanes);
    u.offset = gen_arg_lanes(g, in, next++, lanes);
    if (in->flags & INST_MASKED) u.mask = gen_arg_lanes(g, in, next, lanes);
    LLVMValueRef all = lanes ? LLVMGetPoison(gen_type(g, type)) : NULL;
    for (unsigned i = 0; i < (lanes ? lanes : 1); i++) {
        Guard guard = {0};
        if (u.mask) guard = gen_guard_begin(g, gen_lane(g, u.mask, i));
        u.lane_value = gen_lane(g, u.value, i);
        u.lane_desired = u.desired ? gen_lane(g, u.desired, i) : NULL;
        LLVMValueRef old = update_lane(g, &u, gen_lane(g, u.offset, i));
        if (u.mask) old = gen_guard_end(g, guard, old);
        all = lanes ? LLVMBuildInsertElement(g->b, all, old, gen_const_int(gen_int_type(g, 32), i),
                                             "")
                    : old;
    }
    gen_result(g, in, 0, all);
}
