// Structured control flow to blocks and phis. No allocas: every carried value is a phi from the
// start, so the code generator keeps accumulators in registers without any IR pass.
//
//   for (lo, hi, step, x0)  ->  before: br lo < hi, body, after
//                               body:   i = phi [lo, i + step], x = phi [x0, yielded]; ...; br i +
//                               step < hi, body, after after:  result = phi [x0, yielded]
#include "backends/llvm/gen.h"

static const Inst *region_yield(const Func *f, Region r)
{
    InstId last = region_at(f, r)->last;
    if (!last.i || inst_at(f, last)->op != OP_YIELD) return NULL;
    return inst_at(f, last);
}

static LLVMBasicBlockRef new_block(Gen *g, const char *name)
{
    return LLVMAppendBasicBlockInContext(g->context, g->function, name);
}

static LLVMValueRef yielded(Gen *g, const Inst *yield, unsigned k, Value like)
{
    if (!yield || k >= yield->arg_count) return LLVMGetPoison(gen_type(g, value_type(g->f, like)));
    LLVMValueRef v = gen_arg(g, yield, k);
    return gen_splat(g, v, value_type(g->f, like).lanes);
}

typedef struct ForState {
    LLVMBasicBlockRef before, body, after;
    LLVMValueRef lo, hi, step, index, *carried, *init;
    unsigned carried_count;
} ForState;

// A loop that runs in reverse visits the same indices, last first.
static LLVMValueRef reversed_index(Gen *g, const ForState *s)
{
    LLVMTypeRef i64 = gen_int_type(g, 64);
    LLVMValueRef span =
        LLVMBuildSub(g->b, LLVMBuildSub(g->b, s->hi, s->lo, ""), gen_const_int(i64, 1), "");
    LLVMValueRef last = LLVMBuildSub(g->b, span, LLVMBuildSRem(g->b, span, s->step, ""), "");
    return LLVMBuildSub(g->b, LLVMBuildAdd(g->b, LLVMBuildAdd(g->b, s->lo, s->lo, ""), last, ""),
                        s->index, "");
}

// Whether all that a loop's multiply-adds do with scalars, and they are several, is to take each
// from memory for all lanes, once.
static bool takes_scalars(const Gen *g, Region body)
{
    unsigned splats = 0, taken = 0;
    for_each_inst(g->f, body, id) {
        const Inst *in = inst_at(g->f, id);
        if (in->region_count) return false;
        splats += in->op == OP_SPLAT;
        if (in->op != OP_FMA) continue;
        for (unsigned k = 0; k < 2; k++) {
            const Inst *splat = value_def(g->f, inst_arg(g->f, in, k));
            if (!splat || splat->op != OP_SPLAT) continue;
            const Inst *load = value_def(g->f, inst_arg(g->f, splat, 0));
            taken += load && load->op == OP_LOAD && !(load->flags & INST_MASKED);
        }
    }
    return splats == taken && taken >= 4;
}

// The index times a 1 that LLVM does not know. Where it knows how far addresses move, it makes them
// of a base and the loop's counter, which saves an addition; but then Intel's CPUs split the
// multiply-add and its load again when they issue it, as they do with three registers of which two
// make an address ("micro-op fusion", Intel's optimization manual, 3.4.2.2).
static LLVMValueRef opaque_index(Gen *g, LLVMValueRef index)
{
    LLVMTypeRef i64 = gen_int_type(g, 64);
    LLVMTypeRef type = LLVMFunctionType(i64, &i64, 1, false);
    LLVMValueRef same =
        LLVMGetInlineAsm(type, "", 0, "=r,0", 4, false, false, LLVMInlineAsmDialectATT, false);
    LLVMValueRef one = gen_const_int(i64, 1), call;
    LLVMBasicBlockRef here = LLVMGetInsertBlock(g->b);
    LLVMBasicBlockRef entry = LLVMGetEntryBasicBlock(g->function);
    LLVMPositionBuilder(g->b, entry, LLVMGetFirstInstruction(entry));
    call = LLVMBuildCall2(g->b, type, same, &one, 1, "one");
    LLVMPositionBuilderAtEnd(g->b, here);
    return LLVMBuildMul(g->b, index, call, "");
}

static void for_begin(Gen *g, const Inst *in, ForState *s)
{
    Region r = inst_region(in, 0);
    LLVMPositionBuilderAtEnd(g->b, s->body);
    s->index = LLVMBuildPhi(g->b, gen_int_type(g, 64), "i");
    LLVMAddIncoming(s->index, &s->lo, &s->before, 1);
    s->carried = arena_array(g->arena, LLVMValueRef, s->carried_count + 1);
    for (unsigned k = 0; k < s->carried_count; k++) {
        Value arg = region_arg(g->f, r, k + 1);
        s->carried[k] = LLVMBuildPhi(g->b, gen_type(g, value_type(g->f, arg)), "");
        LLVMAddIncoming(s->carried[k], &s->init[k], &s->before, 1);
        g->values[arg.i] = s->carried[k];
    }
    LLVMValueRef index = in->flags & INST_REVERSE ? reversed_index(g, s) : s->index;
    if (g->target->has_avx512 && takes_scalars(g, r)) index = opaque_index(g, index);
    g->values[region_arg(g->f, r, 0).i] = index;
}

static void for_end(Gen *g, const Inst *in, ForState *s, bool guarded)
{
    const Inst *yield = region_yield(g->f, inst_region(in, 0));
    LLVMValueRef *next = arena_array(g->arena, LLVMValueRef, s->carried_count + 1);
    for (unsigned k = 0; k < s->carried_count; k++)
        next[k] = yielded(g, yield, k, inst_result(in, k));
    LLVMBasicBlockRef latch = LLVMGetInsertBlock(g->b);
    LLVMValueRef index = LLVMBuildNSWAdd(g->b, s->index, s->step, "");
    LLVMValueRef more = LLVMBuildICmp(g->b, LLVMIntSLT, index, s->hi, "");
    if (in->flags & INST_WHILE)
        more = LLVMBuildAnd(g->b, more, gen_arg(g, yield, yield->arg_count - 1u), "");
    LLVMBuildCondBr(g->b, more, s->body, s->after);
    LLVMAddIncoming(s->index, &index, &latch, 1);
    LLVMPositionBuilderAtEnd(g->b, s->after);
    for (unsigned k = 0; k < s->carried_count; k++) {
        LLVMAddIncoming(s->carried[k], &next[k], &latch, 1);
        LLVMValueRef result = next[k];
        if (guarded) {
            result = LLVMBuildPhi(g->b, LLVMTypeOf(next[k]), "");
            LLVMAddIncoming(result, (LLVMValueRef[]){s->init[k], next[k]},
                            (LLVMBasicBlockRef[]){s->before, latch}, 2);
        }
        gen_result(g, in, k, result);
    }
}

void gen_for(Gen *g, const Inst *in)
{
    ForState s = {.lo = gen_arg(g, in, 0),
                  .hi = gen_arg(g, in, 1),
                  .step = gen_arg(g, in, 2),
                  .carried_count = in->result_count};
    s.init = arena_array(g->arena, LLVMValueRef, s.carried_count + 1);
    for (unsigned k = 0; k < s.carried_count; k++) {
        s.init[k] = gen_arg_lanes(g, in, k + 3, value_type(g->f, inst_result(in, k)).lanes);
    }
    int64_t lo, hi;
    bool known = gen_const_int_value(s.lo, &lo) && gen_const_int_value(s.hi, &hi);
    if (known && lo >= hi) {
        for (unsigned k = 0; k < s.carried_count; k++) gen_result(g, in, k, s.init[k]);
        return;
    }
    s.before = LLVMGetInsertBlock(g->b);
    s.body = new_block(g, "body");
    s.after = new_block(g, "after");
    if (known) {
        LLVMBuildBr(g->b, s.body);
    } else {
        LLVMBuildCondBr(g->b, LLVMBuildICmp(g->b, LLVMIntSLT, s.lo, s.hi, ""), s.body, s.after);
    }
    for_begin(g, in, &s);
    gen_region(g, inst_region(in, 0));
    for_end(g, in, &s, !known);
    LLVMMoveBasicBlockAfter(s.after, LLVMGetLastBasicBlock(g->function));
}

void gen_if(Gen *g, const Inst *in)
{
    LLVMBasicBlockRef arm[2] = {new_block(g, "then"), new_block(g, "else")}, end[2];
    LLVMBasicBlockRef after = new_block(g, "after");
    LLVMBuildCondBr(g->b, gen_arg(g, in, 0), arm[0], arm[1]);
    LLVMValueRef *results[2];
    for (unsigned side = 0; side < 2; side++) {
        results[side] = arena_array(g->arena, LLVMValueRef, in->result_count + 1u);
        LLVMPositionBuilderAtEnd(g->b, arm[side]);
        if (side < in->region_count) {
            Region r = inst_region(in, side);
            gen_region(g, r);
            for (unsigned k = 0; k < in->result_count; k++) {
                results[side][k] = yielded(g, region_yield(g->f, r), k, inst_result(in, k));
            }
        }
        end[side] = LLVMGetInsertBlock(g->b);
        LLVMBuildBr(g->b, after);
    }
    LLVMMoveBasicBlockAfter(after, LLVMGetLastBasicBlock(g->function));
    LLVMPositionBuilderAtEnd(g->b, after);
    for (unsigned k = 0; k < in->result_count; k++) {
        LLVMValueRef phi =
            LLVMBuildPhi(g->b, gen_type(g, value_type(g->f, inst_result(in, k))), "");
        LLVMAddIncoming(phi, (LLVMValueRef[]){results[0][k], results[1][k]}, end, 2);
        gen_result(g, in, k, phi);
    }
}

static Guard guard(Gen *g, LLVMValueRef condition, bool is_rare)
{
    Guard made = {.before = LLVMGetInsertBlock(g->b)};
    made.then = LLVMAppendBasicBlockInContext(g->context, g->function, "masked");
    made.after = LLVMAppendBasicBlockInContext(g->context, g->function, "after");
    LLVMValueRef branch = LLVMBuildCondBr(g->b, condition, made.then, made.after);
    if (is_rare) {
        LLVMTypeRef i32 = gen_int_type(g, 32);
        LLVMMetadataRef weights[] = {LLVMMDStringInContext2(g->context, "branch_weights", 14),
                                     LLVMValueAsMetadata(gen_const_int(i32, 1)),
                                     LLVMValueAsMetadata(gen_const_int(i32, 4000))};
        LLVMMetadataRef node = LLVMMDNodeInContext2(g->context, weights, 3);
        LLVMSetMetadata(branch, g->kind_prof, LLVMMetadataAsValue(g->context, node));
    }
    LLVMPositionBuilderAtEnd(g->b, made.then);
    return made;
}

Guard gen_guard_begin(Gen *g, LLVMValueRef condition)
{
    return guard(g, condition, false);
}

Guard gen_guard_rare(Gen *g, LLVMValueRef condition)
{
    return guard(g, condition, true);
}

LLVMValueRef gen_guard_end(Gen *g, Guard made, LLVMValueRef v)
{
    LLVMBasicBlockRef from = LLVMGetInsertBlock(g->b);
    LLVMBuildBr(g->b, made.after);
    LLVMPositionBuilderAtEnd(g->b, made.after);
    if (!v) return NULL;
    LLVMValueRef phi = LLVMBuildPhi(g->b, LLVMTypeOf(v), "");
    LLVMAddIncoming(phi, (LLVMValueRef[]){LLVMConstNull(LLVMTypeOf(v)), v},
                    (LLVMBasicBlockRef[]){made.before, from}, 2);
    return phi;
}
