// Structured control flow to blocks and phis. No allocas: every carried value is a phi from the start, so the
// code generator keeps accumulators in registers without any IR pass.
//
//   for (lo, hi, step, x0)  ->  before: br lo < hi, body, after
//                               body:   i = phi [lo, i + step], x = phi [x0, yielded]; ...; br i + step < hi, body, after
//                               after:  result = phi [x0, yielded]
#include "backends/llvm/emit.h"

static const Inst *region_yield(const Func *f, Region r)
{
    InstId last = region_at(f, r)->last;
    if (!last.i || inst_at(f, last)->op != OP_YIELD) return NULL;
    return inst_at(f, last);
}

static LLVMBasicBlockRef new_block(Emit *e, const char *name)
{
    return LLVMAppendBasicBlockInContext(e->context, e->function, name);
}

static LLVMValueRef yielded(Emit *e, const Inst *yield, unsigned k, Value like)
{
    if (!yield || k >= yield->arg_count) return LLVMGetPoison(emit_type(e, value_type(e->f, like)));
    LLVMValueRef v = emit_arg(e, yield, k);
    return emit_splat(e, v, value_type(e->f, like).lanes);
}

typedef struct ForState {
    LLVMBasicBlockRef before, body, after;
    LLVMValueRef lo, hi, step, index, *carried, *init;
    unsigned carried_count;
} ForState;

// A loop that runs in reverse visits the same indices, last first.
static LLVMValueRef reversed_index(Emit *e, const ForState *s)
{
    LLVMTypeRef i64 = emit_int_type(e, 64);
    LLVMValueRef span = LLVMBuildSub(e->b, LLVMBuildSub(e->b, s->hi, s->lo, ""), const_int(i64, 1), "");
    LLVMValueRef last = LLVMBuildSub(e->b, span, LLVMBuildSRem(e->b, span, s->step, ""), "");
    return LLVMBuildSub(e->b, LLVMBuildAdd(e->b, LLVMBuildAdd(e->b, s->lo, s->lo, ""), last, ""), s->index, "");
}

static void for_begin(Emit *e, const Inst *in, ForState *s)
{
    Region r = inst_region(in, 0);
    LLVMPositionBuilderAtEnd(e->b, s->body);
    s->index = LLVMBuildPhi(e->b, emit_int_type(e, 64), "i");
    LLVMAddIncoming(s->index, &s->lo, &s->before, 1);
    s->carried = arena_array(e->arena, LLVMValueRef, s->carried_count + 1);
    for (unsigned k = 0; k < s->carried_count; k++) {
        Value arg = region_arg(e->f, r, k + 1);
        s->carried[k] = LLVMBuildPhi(e->b, emit_type(e, value_type(e->f, arg)), "");
        LLVMAddIncoming(s->carried[k], &s->init[k], &s->before, 1);
        e->values[arg.i] = s->carried[k];
    }
    e->values[region_arg(e->f, r, 0).i] = in->flags & INST_REVERSE ? reversed_index(e, s) : s->index;
}

static void for_end(Emit *e, const Inst *in, ForState *s, bool guarded)
{
    const Inst *yield = region_yield(e->f, inst_region(in, 0));
    LLVMValueRef *next = arena_array(e->arena, LLVMValueRef, s->carried_count + 1);
    for (unsigned k = 0; k < s->carried_count; k++) next[k] = yielded(e, yield, k, inst_result(in, k));
    LLVMBasicBlockRef latch = LLVMGetInsertBlock(e->b);
    LLVMValueRef index = LLVMBuildNSWAdd(e->b, s->index, s->step, "");
    LLVMBuildCondBr(e->b, LLVMBuildICmp(e->b, LLVMIntSLT, index, s->hi, ""), s->body, s->after);
    LLVMAddIncoming(s->index, &index, &latch, 1);
    LLVMPositionBuilderAtEnd(e->b, s->after);
    for (unsigned k = 0; k < s->carried_count; k++) {
        LLVMAddIncoming(s->carried[k], &next[k], &latch, 1);
        LLVMValueRef result = next[k];
        if (guarded) {
            result = LLVMBuildPhi(e->b, LLVMTypeOf(next[k]), "");
            LLVMAddIncoming(result, (LLVMValueRef[]){s->init[k], next[k]},
                            (LLVMBasicBlockRef[]){s->before, latch}, 2);
        }
        set_result(e, in, k, result);
    }
}

void emit_for(Emit *e, const Inst *in)
{
    ForState s = {.lo = emit_arg(e, in, 0), .hi = emit_arg(e, in, 1), .step = emit_arg(e, in, 2),
                  .carried_count = in->result_count};
    s.init = arena_array(e->arena, LLVMValueRef, s.carried_count + 1);
    for (unsigned k = 0; k < s.carried_count; k++) {
        s.init[k] = emit_arg_lanes(e, in, k + 3, value_type(e->f, inst_result(in, k)).lanes);
    }
    int64_t lo, hi;
    bool known = const_int_value(s.lo, &lo) && const_int_value(s.hi, &hi);
    if (known && lo >= hi) {
        for (unsigned k = 0; k < s.carried_count; k++) set_result(e, in, k, s.init[k]);
        return;
    }
    s.before = LLVMGetInsertBlock(e->b);
    s.body = new_block(e, "body");
    s.after = new_block(e, "after");
    if (known) LLVMBuildBr(e->b, s.body);
    else LLVMBuildCondBr(e->b, LLVMBuildICmp(e->b, LLVMIntSLT, s.lo, s.hi, ""), s.body, s.after);
    for_begin(e, in, &s);
    emit_region(e, inst_region(in, 0));
    for_end(e, in, &s, !known);
    LLVMMoveBasicBlockAfter(s.after, LLVMGetLastBasicBlock(e->function));
}

void emit_if(Emit *e, const Inst *in)
{
    LLVMBasicBlockRef arm[2] = {new_block(e, "then"), new_block(e, "else")}, end[2];
    LLVMBasicBlockRef after = new_block(e, "after");
    LLVMBuildCondBr(e->b, emit_arg(e, in, 0), arm[0], arm[1]);
    LLVMValueRef *results[2];
    for (unsigned side = 0; side < 2; side++) {
        results[side] = arena_array(e->arena, LLVMValueRef, in->result_count + 1u);
        LLVMPositionBuilderAtEnd(e->b, arm[side]);
        if (side < in->region_count) {
            Region r = inst_region(in, side);
            emit_region(e, r);
            for (unsigned k = 0; k < in->result_count; k++) {
                results[side][k] = yielded(e, region_yield(e->f, r), k, inst_result(in, k));
            }
        }
        end[side] = LLVMGetInsertBlock(e->b);
        LLVMBuildBr(e->b, after);
    }
    LLVMMoveBasicBlockAfter(after, LLVMGetLastBasicBlock(e->function));
    LLVMPositionBuilderAtEnd(e->b, after);
    for (unsigned k = 0; k < in->result_count; k++) {
        LLVMValueRef phi = LLVMBuildPhi(e->b, emit_type(e, value_type(e->f, inst_result(in, k))), "");
        LLVMAddIncoming(phi, (LLVMValueRef[]){results[0][k], results[1][k]}, end, 2);
        set_result(e, in, k, phi);
    }
}

Guard guard_begin(Emit *e, LLVMValueRef condition)
{
    Guard g = {.before = LLVMGetInsertBlock(e->b)};
    g.then = LLVMAppendBasicBlockInContext(e->context, e->function, "masked");
    g.after = LLVMAppendBasicBlockInContext(e->context, e->function, "after");
    LLVMBuildCondBr(e->b, condition, g.then, g.after);
    LLVMPositionBuilderAtEnd(e->b, g.then);
    return g;
}

LLVMValueRef guard_end(Emit *e, Guard g, LLVMValueRef v)
{
    LLVMBasicBlockRef from = LLVMGetInsertBlock(e->b);
    LLVMBuildBr(e->b, g.after);
    LLVMPositionBuilderAtEnd(e->b, g.after);
    if (!v) return NULL;
    LLVMValueRef phi = LLVMBuildPhi(e->b, LLVMTypeOf(v), "");
    LLVMAddIncoming(phi, (LLVMValueRef[]){LLVMConstNull(LLVMTypeOf(v)), v},
                    (LLVMBasicBlockRef[]){g.before, from}, 2);
    return phi;
}
