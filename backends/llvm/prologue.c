// What a phase uses from outside: sizes, strides and arguments out of the frame, base addresses,
// and the pure arithmetic of the prologue over them, computed once in the entry block of the
// phase's function.
#include "backends/llvm/gen.h"

#include "ir/frame.h"

typedef struct Needs {
    bool *value, *mem, *stream; // [Value.i], [Mem.i], [Mem.i]
    VEC(Value) work;
} Needs;

static void need_value(const Gen *g, Needs *n, Value v)
{
    if (!v.i || n->value[v.i]) return;
    n->value[v.i] = true;
    vec_push(g->arena, &n->work, v);
}

static void need_region(const Gen *g, Needs *n, Region r)
{
    for_each_inst(g->f, r, id) {
        const Inst *in = inst_at(g->f, id);
        for (unsigned k = 0; k < in->arg_count; k++) need_value(g, n, inst_arg(g->f, in, k));
        if (in->op == OP_DIM || in->op == OP_ARG || in->op == OP_EXTENT || in->op == OP_STRIDE) {
            need_value(g, n, inst_result(in, 0));
        }
        if (in->op == OP_LOAD || in->op == OP_GATHER || in->op == OP_STORE ||
            in->op == OP_SCATTER || in->op == OP_ATOMIC || in->op == OP_PREFETCH ||
            in->op == OP_LOAD_ROWS || in->op == OP_STORE_ROWS) {
            n->mem[in->attr.ref] = true;
            if (in->flags & INST_STREAM) n->stream[in->attr.ref] = true;
        }
        for (unsigned k = 0; k < in->region_count; k++) need_region(g, n, inst_region(in, k));
    }
}

// The size of a tensor's dimension is an operand of its declaration.
static Value extent_value(const Gen *g, const Inst *in)
{
    const MemInfo *mem = mem_at(g->f, (Mem){in->attr.ref});
    const Inst *decl = mem->decl.i ? inst_at(g->f, mem->decl) : NULL;
    if (!decl || in->attr.bits >= decl->arg_count) return (Value){0};
    return inst_arg(g->f, decl, (unsigned)in->attr.bits);
}

static bool is_outside(const Gen *g, const Inst *in)
{
    return in->parent.i == g->f->body.i;
}

static void need_closure(const Gen *g, Needs *n)
{
    while (n->work.count) {
        const Inst *in = value_def(g->f, n->work.data[--n->work.count]);
        if (!in) continue;
        if (in->op == OP_EXTENT) need_value(g, n, extent_value(g, in));
        if (!is_outside(g, in) || in->op == OP_ARG) continue;
        for (unsigned k = 0; k < in->arg_count; k++) need_value(g, n, inst_arg(g->f, in, k));
    }
}

static LLVMValueRef invariant_load(Gen *g, LLVMTypeRef type, LLVMValueRef base, int64_t offset,
                                   unsigned align)
{
    LLVMTypeRef i8 = gen_int_type(g, 8);
    LLVMValueRef at = LLVMBuildGEP2(
        g->b, i8, base, (LLVMValueRef[]){gen_const_int(gen_int_type(g, 64), offset)}, 1, "");
    LLVMValueRef load = LLVMBuildLoad2(g->b, type, at, "");
    LLVMSetAlignment(load, align);
    LLVMValueRef none = LLVMMetadataAsValue(g->context, LLVMMDNodeInContext2(g->context, NULL, 0));
    LLVMSetMetadata(load, g->kind_invariant, none);
    return load;
}

static LLVMValueRef frame_field(Gen *g, unsigned field)
{
    static const size_t offset[FRAME_FIELDS] = {[FRAME_MEMS] = offsetof(Frame, mems),
                                                [FRAME_DIMS] = offsetof(Frame, dims),
                                                [FRAME_STRIDES] = offsetof(Frame, strides),
                                                [FRAME_ARGS] = offsetof(Frame, args)};
    if (!g->fields[field]) {
        LLVMTypeRef pointer = LLVMPointerTypeInContext(g->context, 0);
        g->fields[field] = invariant_load(g, pointer, g->frame, (int64_t)offset[field], 8);
    }
    return g->fields[field];
}

static LLVMValueRef gen_argument(Gen *g, const Inst *in)
{
    DType t = (DType)value_type(g->f, inst_result(in, 0)).dtype;
    LLVMTypeRef type = gen_memory_dtype(g, t);
    LLVMValueRef v =
        invariant_load(g, type, frame_field(g, FRAME_ARGS), 8 * (int64_t)in->attr.ref, 8);
    if (t != DTYPE_BOOL) return v;
    return LLVMBuildICmp(g->b, LLVMIntNE, v, gen_const_int(type, 0), "");
}

static void gen_outside(Gen *g, Value v)
{
    if (!v.i || g->values[v.i]) return;
    const Inst *in = value_def(g->f, v);
    if (!in) return;
    LLVMTypeRef i64 = gen_int_type(g, 64);
    int64_t ref = in->attr.ref;
    if (in->op == OP_DIM) {
        gen_result(g, in, 0, invariant_load(g, i64, frame_field(g, FRAME_DIMS), 8 * ref, 8));
    } else if (in->op == OP_STRIDE) {
        int64_t at = 8 * (ref * RANK_MAX + (int64_t)in->attr.bits);
        gen_result(g, in, 0, invariant_load(g, i64, frame_field(g, FRAME_STRIDES), at, 8));
    } else if (in->op == OP_ARG) {
        gen_result(g, in, 0, gen_argument(g, in));
    } else if (in->op == OP_EXTENT) {
        Value size = extent_value(g, in); // may be defined after this instruction
        gen_outside(g, size);
        if (size.i) {
            gen_result(g, in, 0, gen_value(g, size));
        } else {
            gen_unsupported(g, in, "the tensor has no such dimension");
        }
    } else if (is_outside(g, in)) {
        for (unsigned k = 0; k < in->arg_count; k++) gen_outside(g, inst_arg(g->f, in, k));
        if (op_info[in->op].traits & TRAIT_PURE) {
            gen_inst(g, in);
        } else {
            gen_unsupported(g, in, "a phase uses its result");
        }
    }
}

static void gen_base(Gen *g, Mem mem)
{
    LLVMTypeRef i64 = gen_int_type(g, 64);
    if (mem_at(g->f, mem)->kind == MEM_SCRATCH) {
        LLVMValueRef offset = gen_const_int(i64, g->scratch_offset[mem.i]);
        g->mems[mem.i] = LLVMBuildGEP2(g->b, gen_int_type(g, 8), g->scratch, &offset, 1, "");
        return;
    }
    LLVMTypeRef pointer = LLVMPointerTypeInContext(g->context, 0);
    g->mems[mem.i] = invariant_load(g, pointer, frame_field(g, FRAME_MEMS), 8 * (int64_t)mem.i, 8);
}

static LLVMValueRef is_aligned(Gen *g, LLVMValueRef base)
{
    LLVMTypeRef i64 = gen_int_type(g, 64);
    LLVMValueRef within = LLVMBuildAnd(g->b, LLVMBuildPtrToInt(g->b, base, i64, ""),
                                       gen_const_int(i64, STREAM_ALIGN - 1), "");
    return LLVMBuildICmp(g->b, LLVMIntEQ, within, gen_const_int(i64, 0), "");
}

void gen_prologue(Gen *g, const Inst *phase)
{
    Needs n = {.value = arena_array(g->arena, bool, g->f->values.count + 1),
               .mem = arena_array(g->arena, bool, g->f->mems.count + 1),
               .stream = arena_array(g->arena, bool, g->f->mems.count + 1)};
    for (unsigned k = 0; k < phase->region_count; k++) need_region(g, &n, inst_region(phase, k));
    need_closure(g, &n);
    for (uint32_t i = 1; i < g->f->mems.count; i++) {
        if (n.mem[i]) gen_base(g, (Mem){i});
        if (n.stream[i]) g->aligned[i] = is_aligned(g, g->mems[i]);
    }
    for_each_inst(g->f, g->f->body, id) {
        const Inst *in = inst_at(g->f, id);
        if (in == phase) break;
        for (unsigned k = 0; k < in->result_count; k++) {
            if (n.value[inst_result(in, k).i]) gen_outside(g, inst_result(in, k));
        }
    }
    // The same four ops inside the phase: their values hold everywhere in it.
    for (uint32_t i = 1; i < g->f->values.count; i++) {
        const Inst *in = n.value[i] ? value_def(g->f, (Value){i}) : NULL;
        if (in &&
            (in->op == OP_DIM || in->op == OP_ARG || in->op == OP_EXTENT || in->op == OP_STRIDE)) {
            gen_outside(g, (Value){i});
        }
    }
}

LLVMValueRef gen_word(Gen *g, DType t, LLVMValueRef v)
{
    LLVMTypeRef i64 = gen_int_type(g, 64);
    if (t == DTYPE_F32) v = LLVMBuildBitCast(g->b, v, gen_int_type(g, 32), "");
    if (t == DTYPE_F64) return LLVMBuildBitCast(g->b, v, i64, "");
    return t == DTYPE_I32 || t == DTYPE_I64 ? LLVMBuildSExtOrBitCast(g->b, v, i64, "")
                                            : LLVMBuildZExt(g->b, v, i64, "");
}

void gen_store_values(Gen *g, const Value *values, uint32_t count, LLVMValueRef to)
{
    LLVMTypeRef i64 = gen_int_type(g, 64);
    for (uint32_t k = 0; k < count; k++) {
        gen_outside(g, values[k]);
        LLVMValueRef at = gen_const_int(i64, k);
        LLVMBuildStore(g->b, gen_word(g, value_dtype(g->f, values[k]), gen_value(g, values[k])),
                       LLVMBuildGEP2(g->b, i64, to, &at, 1, ""));
    }
}
