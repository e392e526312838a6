// Loads and stores: whole vectors, masked, gathered. Tensors, workspaces and scratch never overlap (the launch
// checks it), which alias scopes tell LLVM; inputs do not change during a launch.
#include "backends/llvm/emit.h"

LLVMValueRef emit_address(Emit *e, Mem mem, LLVMTypeRef element, LLVMValueRef offset)
{
    return LLVMBuildGEP2(e->b, element, e->mems[mem.i], &offset, 1, "");
}

void note_access(Emit *e, LLVMValueRef access, Mem mem)
{
    if (e->alias_scope[mem.i]) LLVMSetMetadata(access, e->kind_alias_scope, e->alias_scope[mem.i]);
    if (e->alias_none[mem.i]) LLVMSetMetadata(access, e->kind_noalias, e->alias_none[mem.i]);
    if (mem_at(e->f, mem)->kind == MEM_IN && !LLVMIsAStoreInst(access)) {
        LLVMMetadataRef none = LLVMMDNodeInContext2(e->context, NULL, 0);
        LLVMSetMetadata(access, e->kind_invariant, LLVMMetadataAsValue(e->context, none));
    }
}

static unsigned element_bytes(DType t) { return dtype_info[t].bits < 8 ? 1 : dtype_info[t].bits / 8u; }

static unsigned alignment(const Inst *in, DType t)
{
    unsigned own = element_bytes(t), known = (unsigned)in->attr.bits;
    bool power = known && !(known & (known - 1));
    return power && known > own ? known : own;
}

static LLVMValueRef align_value(Emit *e, unsigned bytes) { return const_int(emit_int_type(e, 32), bytes); }

// bool is a byte in memory and one bit in registers.
static LLVMValueRef from_memory(Emit *e, DType t, LLVMValueRef v)
{
    if (t != DTYPE_BOOL) return v;
    return LLVMBuildICmp(e->b, LLVMIntNE, v, const_int(LLVMTypeOf(v), 0), "");
}

static LLVMValueRef to_memory(Emit *e, DType t, LLVMValueRef v)
{
    if (t != DTYPE_BOOL) return v;
    return LLVMBuildZExt(e->b, v, type_shaped(v, emit_int_type(e, 8)), "");
}

static LLVMValueRef plain_load(Emit *e, Mem mem, LLVMTypeRef type, LLVMValueRef offset, unsigned align)
{
    LLVMValueRef load = LLVMBuildLoad2(e->b, type, emit_address(e, mem, type_lane(type), offset), "");
    LLVMSetAlignment(load, align);
    note_access(e, load, mem);
    return load;
}

static LLVMValueRef masked_load(Emit *e, Mem mem, LLVMTypeRef type, LLVMValueRef offset, unsigned align,
                                LLVMValueRef mask)
{
    LLVMTypeRef types[] = {type, LLVMPointerTypeInContext(e->context, 0)};
    LLVMValueRef args[] = {emit_address(e, mem, type_lane(type), offset), align_value(e, align), mask,
                           LLVMConstNull(type)};
    LLVMValueRef load = emit_intrinsic(e, "llvm.masked.load", types, 2, args, 4);
    note_access(e, load, mem);
    return load;
}

LLVMValueRef emit_masked_gather(Emit *e, Mem mem, LLVMTypeRef type, LLVMValueRef pointers, unsigned bytes,
                                LLVMValueRef mask)
{
    LLVMTypeRef types[] = {type, LLVMTypeOf(pointers)};
    LLVMValueRef args[] = {pointers, align_value(e, bytes), mask, LLVMConstNull(type)};
    LLVMValueRef load = emit_intrinsic(e, "llvm.masked.gather", types, 2, args, 4);
    note_access(e, load, mem);
    return load;
}

static LLVMValueRef all_lanes(Emit *e, unsigned lanes)
{
    return const_int(type_with_lanes(emit_int_type(e, 1), lanes), 1);
}

void emit_load(Emit *e, const Inst *in)
{
    Mem mem = {in->attr.ref};
    DType t = mem_at(e->f, mem)->dtype;
    Type result = value_type(e->f, inst_result(in, 0));
    unsigned lanes = result.lanes;
    LLVMValueRef mask = inst_mask(e->f, in).i ? emit_arg_lanes(e, in, in->arg_count - 1u, lanes) : NULL;
    bool gathers = in->op == OP_GATHER && lanes;
    LLVMValueRef offset = gathers ? emit_arg_lanes(e, in, 0, lanes) : emit_arg(e, in, 0);
    Guard guard = {0};
    bool guarded = mask && !lanes;
    if (guarded) {
        guard = guard_begin(e, mask);
        mask = NULL;
    }
    LLVMTypeRef type = type_with_lanes(emit_memory_dtype(e, t), lanes);
    unsigned align = gathers ? element_bytes(t) : alignment(in, t);
    LLVMValueRef v;
    if (dtype_info[t].bits < 8) {
        v = emit_subbyte_load(e, in, offset, mask, lanes);
    } else if (gathers) {
        LLVMValueRef pointers = emit_address(e, mem, type_lane(type), offset);
        v = emit_masked_gather(e, mem, type, pointers, align, mask ? mask : all_lanes(e, lanes));
    } else {
        v = mask ? masked_load(e, mem, type, offset, align, mask) : plain_load(e, mem, type, offset, align);
    }
    v = from_memory(e, t, v);
    if (guarded) v = guard_end(e, guard, v);
    set_result(e, in, 0, v);
}

// Non-temporal stores bypass the caches and must be naturally aligned, else LLVM would split them.
static void plain_store(Emit *e, const Inst *in, Mem mem, LLVMValueRef value, LLVMValueRef offset, unsigned align)
{
    LLVMTypeRef type = LLVMTypeOf(value);
    LLVMValueRef store = LLVMBuildStore(e->b, value, emit_address(e, mem, type_lane(type), offset));
    LLVMSetAlignment(store, align);
    note_access(e, store, mem);
    unsigned lanes = type_lanes(type), bytes = (lanes ? lanes : 1) * type_bits(type) / 8;
    unsigned whole = bytes < e->target->vector_bytes ? bytes : e->target->vector_bytes;
    if (in->flags & INST_STREAM && align >= whole && bytes >= 16) {
        LLVMMetadataRef one = LLVMValueAsMetadata(const_int(emit_int_type(e, 32), 1));
        LLVMMetadataRef node = LLVMMDNodeInContext2(e->context, &one, 1);
        LLVMSetMetadata(store, e->kind_nontemporal, LLVMMetadataAsValue(e->context, node));
        e->streams = true;
    }
}

static void masked_store(Emit *e, Mem mem, LLVMValueRef value, LLVMValueRef offset, unsigned align,
                         LLVMValueRef mask)
{
    LLVMTypeRef type = LLVMTypeOf(value);
    LLVMTypeRef types[] = {type, LLVMPointerTypeInContext(e->context, 0)};
    LLVMValueRef args[] = {value, emit_address(e, mem, type_lane(type), offset), align_value(e, align), mask};
    note_access(e, emit_intrinsic(e, "llvm.masked.store", types, 2, args, 4), mem);
}

static void scatter(Emit *e, Mem mem, DType t, LLVMValueRef value, LLVMValueRef offset, LLVMValueRef mask)
{
    LLVMTypeRef type = LLVMTypeOf(value);
    LLVMValueRef pointers = emit_address(e, mem, type_lane(type), offset);
    LLVMTypeRef types[] = {type, LLVMTypeOf(pointers)};
    LLVMValueRef all = all_lanes(e, type_lanes(type));
    LLVMValueRef args[] = {value, pointers, align_value(e, element_bytes(t)), mask ? mask : all};
    note_access(e, emit_intrinsic(e, "llvm.masked.scatter", types, 2, args, 4), mem);
}

void emit_store(Emit *e, const Inst *in)
{
    Mem mem = {in->attr.ref};
    DType t = mem_at(e->f, mem)->dtype;
    unsigned lanes = value_type(e->f, inst_arg(e->f, in, 0)).lanes;
    unsigned offset_lanes = value_type(e->f, inst_arg(e->f, in, 1)).lanes;
    bool scatters = in->op == OP_SCATTER && (lanes || offset_lanes);
    if (scatters && !lanes) lanes = offset_lanes;
    LLVMValueRef value = to_memory(e, t, emit_arg_lanes(e, in, 0, lanes));
    LLVMValueRef offset = scatters ? emit_arg_lanes(e, in, 1, lanes) : emit_arg(e, in, 1);
    LLVMValueRef mask = inst_mask(e->f, in).i ? emit_arg_lanes(e, in, in->arg_count - 1u, lanes) : NULL;
    Guard guard = {0};
    bool guarded = mask && !lanes;
    if (guarded) {
        guard = guard_begin(e, mask);
        mask = NULL;
    }
    if (dtype_info[t].bits < 8) emit_subbyte_store(e, in, value, offset, mask);
    else if (scatters) scatter(e, mem, t, value, offset, mask);
    else if (mask) masked_store(e, mem, value, offset, alignment(in, t), mask);
    else plain_store(e, in, mem, value, offset, alignment(in, t));
    if (guarded) guard_end(e, guard, NULL);
}
