// Loads and stores: whole vectors, masked, gathered. Tensors, workspaces and scratch never overlap
// (the launch checks it), which alias scopes tell LLVM; inputs do not change during a launch.
#include "backends/llvm/gen.h"

LLVMValueRef gen_address(Gen *g, Mem mem, LLVMTypeRef element, LLVMValueRef offset)
{
    return LLVMBuildGEP2(g->b, element, g->mems[mem.i], &offset, 1, "");
}

void gen_note_access(Gen *g, LLVMValueRef access, Mem mem)
{
    if (g->alias_scope[mem.i]) LLVMSetMetadata(access, g->kind_alias_scope, g->alias_scope[mem.i]);
    if (g->alias_none[mem.i]) LLVMSetMetadata(access, g->kind_noalias, g->alias_none[mem.i]);
    if (mem_at(g->f, mem)->kind == MEM_IN && !LLVMIsAStoreInst(access)) {
        LLVMMetadataRef none = LLVMMDNodeInContext2(g->context, NULL, 0);
        LLVMSetMetadata(access, g->kind_invariant, LLVMMetadataAsValue(g->context, none));
    }
}

static unsigned element_bytes(DType t)
{
    return dtype_info[t].bits < 8 ? 1 : dtype_info[t].bits / 8u;
}

static unsigned alignment(const Inst *in, DType t)
{
    unsigned own = element_bytes(t), known = (unsigned)in->attr.bits;
    bool power = known && !(known & (known - 1));
    return power && known > own ? known : own;
}

static LLVMValueRef align_value(Gen *g, unsigned bytes)
{
    return gen_const_int(gen_int_type(g, 32), bytes);
}

// bool is a byte in memory and one bit in registers. That of scratch is 0 or 1: a comparison would
// be inverted together with the selections that it decides, which then cannot be masks of what is
// computed.
static LLVMValueRef from_memory(Gen *g, DType t, Mem mem, LLVMValueRef v)
{
    if (t != DTYPE_BOOL) return v;
    if (mem_at(g->f, mem)->kind == MEM_SCRATCH)
        return LLVMBuildTrunc(g->b, v, lltype_shaped(v, gen_int_type(g, 1)), "");
    return LLVMBuildICmp(g->b, LLVMIntNE, v, gen_const_int(LLVMTypeOf(v), 0), "");
}

static LLVMValueRef to_memory(Gen *g, DType t, LLVMValueRef v)
{
    if (t != DTYPE_BOOL) return v;
    return LLVMBuildZExt(g->b, v, lltype_shaped(v, gen_int_type(g, 8)), "");
}

static LLVMValueRef plain_load(Gen *g, Mem mem, LLVMTypeRef type, LLVMValueRef offset,
                               unsigned align)
{
    LLVMValueRef load =
        LLVMBuildLoad2(g->b, type, gen_address(g, mem, lltype_lane(type), offset), "");
    LLVMSetAlignment(load, align);
    gen_note_access(g, load, mem);
    return load;
}

static LLVMValueRef masked_load(Gen *g, Mem mem, LLVMTypeRef type, LLVMValueRef offset,
                                unsigned align, LLVMValueRef mask)
{
    LLVMTypeRef types[] = {type, LLVMPointerTypeInContext(g->context, 0)};
    LLVMValueRef args[] = {gen_address(g, mem, lltype_lane(type), offset), align_value(g, align),
                           mask, LLVMConstNull(type)};
    LLVMValueRef load = gen_intrinsic(g, "llvm.masked.load", types, 2, args, 4);
    gen_note_access(g, load, mem);
    return load;
}

LLVMValueRef gen_masked_gather(Gen *g, Mem mem, LLVMTypeRef type, LLVMValueRef pointers,
                               unsigned bytes, LLVMValueRef mask)
{
    LLVMTypeRef types[] = {type, LLVMTypeOf(pointers)};
    LLVMValueRef args[] = {pointers, align_value(g, bytes), mask, LLVMConstNull(type)};
    LLVMValueRef load = gen_intrinsic(g, "llvm.masked.gather", types, 2, args, 4);
    gen_note_access(g, load, mem);
    return load;
}

static LLVMValueRef all_lanes(Gen *g, unsigned lanes)
{
    return gen_const_int(lltype_with_lanes(gen_int_type(g, 1), lanes), 1);
}

void gen_load(Gen *g, const Inst *in)
{
    Mem mem = {in->attr.ref};
    DType t = mem_at(g->f, mem)->dtype;
    Type result = value_type(g->f, inst_result(in, 0));
    unsigned lanes = result.lanes;
    LLVMValueRef mask =
        inst_mask(g->f, in).i ? gen_arg_lanes(g, in, in->arg_count - 1u, lanes) : NULL;
    bool gathers = in->op == OP_GATHER && lanes;
    LLVMValueRef offset = gathers ? gen_arg_lanes(g, in, 0, lanes) : gen_arg(g, in, 0);
    Guard guard = {0};
    bool guarded = mask && !lanes;
    if (guarded) {
        guard = gen_guard_begin(g, mask);
        mask = NULL;
    }
    LLVMTypeRef type = lltype_with_lanes(gen_memory_dtype(g, t), lanes);
    unsigned align = gathers ? element_bytes(t) : alignment(in, t);
    LLVMValueRef v;
    if (dtype_info[t].bits < 8) {
        v = gen_subbyte_load(g, in, offset, mask, lanes);
    } else if (gathers) {
        LLVMValueRef pointers = gen_address(g, mem, lltype_lane(type), offset);
        v = gen_masked_gather(g, mem, type, pointers, align, mask ? mask : all_lanes(g, lanes));
    } else {
        v = mask ? masked_load(g, mem, type, offset, align, mask)
                 : plain_load(g, mem, type, offset, align);
    }
    v = from_memory(g, t, mem, v);
    if (guarded) v = gen_guard_end(g, guard, v);
    gen_result(g, in, 0, v);
}

static LLVMValueRef build_store(Gen *g, Mem mem, LLVMValueRef value, LLVMValueRef offset,
                                unsigned align)
{
    LLVMTypeRef type = LLVMTypeOf(value);
    LLVMValueRef store =
        LLVMBuildStore(g->b, value, gen_address(g, mem, lltype_lane(type), offset));
    LLVMSetAlignment(store, align);
    gen_note_access(g, store, mem);
    return store;
}

// Non-temporal stores bypass the caches and must be aligned: the pass `stream` has proved it of the
// offset, and what the entry of the function asks about the memory says the rest.
static void stream_store(Gen *g, Mem mem, LLVMValueRef value, LLVMValueRef offset, unsigned bytes)
{
    LLVMBasicBlockRef aligned = LLVMAppendBasicBlockInContext(g->context, g->function, "stream");
    LLVMBasicBlockRef other = LLVMAppendBasicBlockInContext(g->context, g->function, "store");
    LLVMBasicBlockRef after = LLVMAppendBasicBlockInContext(g->context, g->function, "after");
    LLVMBuildCondBr(g->b, g->aligned[mem.i], aligned, other);
    LLVMPositionBuilderAtEnd(g->b, aligned);
    LLVMValueRef store = build_store(g, mem, value, offset, bytes);
    LLVMMetadataRef one = LLVMValueAsMetadata(gen_const_int(gen_int_type(g, 32), 1));
    LLVMMetadataRef node = LLVMMDNodeInContext2(g->context, &one, 1);
    LLVMSetMetadata(store, g->kind_nontemporal, LLVMMetadataAsValue(g->context, node));
    g->streams = true;
    LLVMBuildBr(g->b, after);
    LLVMPositionBuilderAtEnd(g->b, other);
    build_store(g, mem, value, offset, lltype_bits(LLVMTypeOf(value)) / 8); // of a lane
    LLVMBuildBr(g->b, after);
    LLVMPositionBuilderAtEnd(g->b, after);
}

static void plain_store(Gen *g, const Inst *in, Mem mem, LLVMValueRef value, LLVMValueRef offset,
                        unsigned align)
{
    LLVMTypeRef type = LLVMTypeOf(value);
    unsigned bytes = (lltype_lanes(type) ? lltype_lanes(type) : 1) * lltype_bits(type) / 8;
    bool whole = bytes >= 16 && !(bytes & (bytes - 1)) && lltype_bits(type) >= 8;
    if (in->flags & INST_STREAM && whole && g->aligned[mem.i])
        stream_store(g, mem, value, offset, bytes < STREAM_ALIGN ? bytes : STREAM_ALIGN);
    else
        build_store(g, mem, value, offset, align);
}

static void masked_store(Gen *g, Mem mem, LLVMValueRef value, LLVMValueRef offset, unsigned align,
                         LLVMValueRef mask)
{
    LLVMTypeRef type = LLVMTypeOf(value);
    LLVMTypeRef types[] = {type, LLVMPointerTypeInContext(g->context, 0)};
    LLVMValueRef args[] = {value, gen_address(g, mem, lltype_lane(type), offset),
                           align_value(g, align), mask};
    gen_note_access(g, gen_intrinsic(g, "llvm.masked.store", types, 2, args, 4), mem);
}

static void scatter(Gen *g, Mem mem, DType t, LLVMValueRef value, LLVMValueRef offset,
                    LLVMValueRef mask)
{
    LLVMTypeRef type = LLVMTypeOf(value);
    LLVMValueRef pointers = gen_address(g, mem, lltype_lane(type), offset);
    LLVMTypeRef types[] = {type, LLVMTypeOf(pointers)};
    LLVMValueRef all = all_lanes(g, lltype_lanes(type));
    LLVMValueRef args[] = {value, pointers, align_value(g, element_bytes(t)), mask ? mask : all};
    gen_note_access(g, gen_intrinsic(g, "llvm.masked.scatter", types, 2, args, 4), mem);
}

void gen_store(Gen *g, const Inst *in)
{
    Mem mem = {in->attr.ref};
    DType t = mem_at(g->f, mem)->dtype;
    unsigned lanes = value_type(g->f, inst_arg(g->f, in, 0)).lanes;
    unsigned offset_lanes = value_type(g->f, inst_arg(g->f, in, 1)).lanes;
    bool scatters = in->op == OP_SCATTER && (lanes || offset_lanes);
    if (scatters && !lanes) lanes = offset_lanes;
    LLVMValueRef value = to_memory(g, t, gen_arg_lanes(g, in, 0, lanes));
    LLVMValueRef offset = scatters ? gen_arg_lanes(g, in, 1, lanes) : gen_arg(g, in, 1);
    LLVMValueRef mask =
        inst_mask(g->f, in).i ? gen_arg_lanes(g, in, in->arg_count - 1u, lanes) : NULL;
    Guard guard = {0};
    bool guarded = mask && !lanes;
    if (guarded) {
        guard = gen_guard_begin(g, mask);
        mask = NULL;
    }
    if (dtype_info[t].bits < 8) {
        gen_subbyte_store(g, in, value, offset, mask);
    } else if (scatters) {
        scatter(g, mem, t, value, offset, mask);
    } else if (mask) {
        masked_store(g, mem, value, offset, alignment(in, t), mask);
    } else {
        plain_store(g, in, mem, value, offset, alignment(in, t));
    }
    if (guarded) gen_guard_end(g, guard, NULL);
}

// Into all caches; for writing, what is only written. The address may lie outside, so it is no
// `inbounds` one.
void gen_prefetch(Gen *g, const Inst *in)
{
    Mem mem = {in->attr.ref};
    unsigned writes = mem_at(g->f, mem)->kind == MEM_OUT;
    LLVMTypeRef i32 = gen_int_type(g, 32), pointer = LLVMPointerTypeInContext(g->context, 0);
    LLVMTypeRef element = gen_memory_dtype(g, mem_at(g->f, mem)->dtype);
    LLVMValueRef args[] = {gen_address(g, mem, element, gen_arg(g, in, 0)),
                           gen_const_int(i32, writes), gen_const_int(i32, 3),
                           gen_const_int(i32, 1)};
    gen_intrinsic(g, "llvm.prefetch", &pointer, 1, args, 4);
}
