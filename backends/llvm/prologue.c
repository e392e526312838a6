// What a phase uses from outside: sizes, strides and arguments out of the frame, base addresses, and the pure
// arithmetic of the prologue over them, computed once in the entry block of the phase's function.
#include "backends/llvm/emit.h"

#include "ir/frame.h"

typedef struct Needs {
    bool *value, *mem; // [Value.i], [Mem.i]
    VEC(Value) work;
} Needs;

static void need_value(const Emit *e, Needs *n, Value v)
{
    if (!v.i || n->value[v.i]) return;
    n->value[v.i] = true;
    vec_push(e->arena, &n->work, v);
}

static void need_region(const Emit *e, Needs *n, Region r)
{
    for_each_inst(e->f, r, id) {
        const Inst *in = inst_at(e->f, id);
        for (unsigned k = 0; k < in->arg_count; k++) need_value(e, n, inst_arg(e->f, in, k));
        if (in->op == OP_DIM || in->op == OP_ARG || in->op == OP_EXTENT || in->op == OP_STRIDE) {
            need_value(e, n, inst_result(in, 0));
        }
        if (in->op == OP_LOAD || in->op == OP_GATHER || in->op == OP_STORE || in->op == OP_SCATTER) {
            n->mem[in->attr.ref] = true;
        }
        for (unsigned k = 0; k < in->region_count; k++) need_region(e, n, inst_region(in, k));
    }
}

// The size of a tensor's dimension is an operand of its declaration.
static Value extent_value(const Emit *e, const Inst *in)
{
    const MemInfo *mem = mem_at(e->f, (Mem){in->attr.ref});
    const Inst *decl = mem->decl.i ? inst_at(e->f, mem->decl) : NULL;
    if (!decl || in->attr.bits >= decl->arg_count) return (Value){0};
    return inst_arg(e->f, decl, (unsigned)in->attr.bits);
}

static bool is_outside(const Emit *e, const Inst *in)
{
    return in->parent.i == e->f->body.i;
}

static void need_closure(const Emit *e, Needs *n)
{
    while (n->work.count) {
        const Inst *in = value_def(e->f, n->work.data[--n->work.count]);
        if (!in) continue;
        if (in->op == OP_EXTENT) need_value(e, n, extent_value(e, in));
        if (!is_outside(e, in) || in->op == OP_ARG) continue;
        for (unsigned k = 0; k < in->arg_count; k++) need_value(e, n, inst_arg(e->f, in, k));
    }
}

static LLVMValueRef invariant_load(Emit *e, LLVMTypeRef type, LLVMValueRef base, int64_t offset, unsigned align)
{
    LLVMTypeRef i8 = emit_int_type(e, 8);
    LLVMValueRef at = LLVMBuildGEP2(e->b, i8, base, (LLVMValueRef[]){const_int(emit_int_type(e, 64), offset)},
                                    1, "");
    LLVMValueRef load = LLVMBuildLoad2(e->b, type, at, "");
    LLVMSetAlignment(load, align);
    LLVMValueRef none = LLVMMetadataAsValue(e->context, LLVMMDNodeInContext2(e->context, NULL, 0));
    LLVMSetMetadata(load, e->kind_invariant, none);
    return load;
}

static LLVMValueRef frame_field(Emit *e, unsigned field)
{
    static const size_t offset[FRAME_FIELDS] = {
        [FRAME_MEMS] = offsetof(Frame, mems), [FRAME_DIMS] = offsetof(Frame, dims),
        [FRAME_STRIDES] = offsetof(Frame, strides), [FRAME_ARGS] = offsetof(Frame, args)};
    if (!e->fields[field]) {
        LLVMTypeRef pointer = LLVMPointerTypeInContext(e->context, 0);
        e->fields[field] = invariant_load(e, pointer, e->frame, (int64_t)offset[field], 8);
    }
    return e->fields[field];
}

static LLVMValueRef emit_argument(Emit *e, const Inst *in)
{
    DType t = (DType)value_type(e->f, inst_result(in, 0)).dtype;
    LLVMTypeRef type = emit_memory_dtype(e, t);
    LLVMValueRef v = invariant_load(e, type, frame_field(e, FRAME_ARGS), 8 * (int64_t)in->attr.ref, 8);
    if (t != DTYPE_BOOL) return v;
    return LLVMBuildICmp(e->b, LLVMIntNE, v, const_int(type, 0), "");
}

static void emit_outside(Emit *e, Value v)
{
    if (!v.i || e->values[v.i]) return;
    const Inst *in = value_def(e->f, v);
    if (!in) return;
    LLVMTypeRef i64 = emit_int_type(e, 64);
    int64_t ref = in->attr.ref;
    if (in->op == OP_DIM) {
        set_result(e, in, 0, invariant_load(e, i64, frame_field(e, FRAME_DIMS), 8 * ref, 8));
    } else if (in->op == OP_STRIDE) {
        int64_t at = 8 * (ref * RANK_MAX + (int64_t)in->attr.bits);
        set_result(e, in, 0, invariant_load(e, i64, frame_field(e, FRAME_STRIDES), at, 8));
    } else if (in->op == OP_ARG) {
        set_result(e, in, 0, emit_argument(e, in));
    } else if (in->op == OP_EXTENT) {
        Value size = extent_value(e, in); // may be defined after this instruction
        emit_outside(e, size);
        if (size.i) set_result(e, in, 0, emit_value(e, size));
        else emit_unsupported(e, in, "the tensor has no such dimension");
    } else if (is_outside(e, in)) {
        for (unsigned k = 0; k < in->arg_count; k++) emit_outside(e, inst_arg(e->f, in, k));
        if (op_info[in->op].traits & TRAIT_PURE) emit_inst(e, in);
        else emit_unsupported(e, in, "a phase uses its result");
    }
}

static void emit_base(Emit *e, Mem mem)
{
    LLVMTypeRef i64 = emit_int_type(e, 64);
    if (mem_at(e->f, mem)->kind == MEM_SCRATCH) {
        LLVMValueRef offset = const_int(i64, e->scratch_offset[mem.i]);
        e->mems[mem.i] = LLVMBuildGEP2(e->b, emit_int_type(e, 8), e->scratch, &offset, 1, "");
        return;
    }
    LLVMTypeRef pointer = LLVMPointerTypeInContext(e->context, 0);
    e->mems[mem.i] = invariant_load(e, pointer, frame_field(e, FRAME_MEMS), 8 * (int64_t)mem.i, 8);
}

void emit_prologue(Emit *e, const Inst *phase)
{
    Needs n = {.value = arena_array(e->arena, bool, e->f->values.count + 1),
               .mem = arena_array(e->arena, bool, e->f->mems.count + 1)};
    for (unsigned k = 0; k < phase->region_count; k++) need_region(e, &n, inst_region(phase, k));
    need_closure(e, &n);
    for (uint32_t i = 1; i < e->f->mems.count; i++) {
        if (n.mem[i]) emit_base(e, (Mem){i});
    }
    for_each_inst(e->f, e->f->body, id) {
        const Inst *in = inst_at(e->f, id);
        if (in == phase) break;
        for (unsigned k = 0; k < in->result_count; k++) {
            if (n.value[inst_result(in, k).i]) emit_outside(e, inst_result(in, k));
        }
    }
    // The same four ops inside the phase: their values hold everywhere in it.
    for (uint32_t i = 1; i < e->f->values.count; i++) {
        const Inst *in = n.value[i] ? value_def(e->f, (Value){i}) : NULL;
        if (in && (in->op == OP_DIM || in->op == OP_ARG || in->op == OP_EXTENT || in->op == OP_STRIDE)) {
            emit_outside(e, (Value){i});
        }
    }
}
