// A Func of Loop IR to an LLVM module: one function for each phase, with the signature PhaseFn of ir/frame.h.
//
//   phase (units) { unit u: ... }  ->  void NAME(ptr frame, i64 begin, i64 end, ptr scratch):
//                                      prologue; for u = begin .. end: ...
#include "backends/llvm/emit.h"

#include <llvm-c/Analysis.h>

enum { SCRATCH_ALIGN = 64 };

// Scratch memories lie one after the other in the thread's memory.
static int64_t place_scratch(Emit *e)
{
    int64_t end = 0;
    e->scratch_offset = arena_array(e->arena, int64_t, e->f->mems.count + 1);
    for (uint32_t i = 1; i < e->f->mems.count; i++) {
        const MemInfo *mem = mem_at(e->f, (Mem){i});
        if (mem->kind != MEM_SCRATCH || !mem->decl.i) continue;
        e->scratch_offset[i] = end;
        int64_t bytes = dtype_bytes(mem->dtype, (int64_t)inst_at(e->f, mem->decl)->attr.bits);
        end += (bytes + SCRATCH_ALIGN - 1) / SCRATCH_ALIGN * SCRATCH_ALIGN;
    }
    return end;
}

static LLVMMetadataRef text_node(Emit *e, Str text) { return LLVMMDStringInContext2(e->context, text.data, text.length); }

// Memories of one launch do not overlap: every access carries its own scope and the list of all others.
static void make_alias_scopes(Emit *e)
{
    uint32_t count = e->f->mems.count;
    e->alias_scope = arena_array(e->arena, LLVMValueRef, count + 1);
    e->alias_none = arena_array(e->arena, LLVMValueRef, count + 1);
    if (count < 2) return;
    LLVMMetadataRef domain_name = text_node(e, STR("hako"));
    LLVMMetadataRef domain = LLVMMDNodeInContext2(e->context, &domain_name, 1);
    LLVMMetadataRef *scopes = arena_array(e->arena, LLVMMetadataRef, count);
    LLVMMetadataRef *others = arena_array(e->arena, LLVMMetadataRef, count);
    for (uint32_t i = 1; i < count; i++) {
        Str name = str_format(e->arena, "mem%u", i);
        scopes[i] = LLVMMDNodeInContext2(e->context, (LLVMMetadataRef[]){text_node(e, name), domain}, 2);
    }
    for (uint32_t i = 1; i < count; i++) {
        uint32_t n = 0;
        for (uint32_t k = 1; k < count; k++) {
            if (k != i) others[n++] = scopes[k];
        }
        e->alias_scope[i] = LLVMMetadataAsValue(e->context, LLVMMDNodeInContext2(e->context, &scopes[i], 1));
        e->alias_none[i] = LLVMMetadataAsValue(e->context, LLVMMDNodeInContext2(e->context, others, n));
    }
}

static unsigned metadata_kind(Emit *e, const char *name)
{
    return LLVMGetMDKindIDInContext(e->context, name, (unsigned)strlen(name));
}

static void add_text_attribute(Emit *e, const char *key, const char *value)
{
    if (!value[0]) return;
    LLVMAttributeRef attribute = LLVMCreateStringAttribute(e->context, key, (unsigned)strlen(key), value,
                                                           (unsigned)strlen(value));
    LLVMAddAttributeAtIndex(e->function, (LLVMAttributeIndex)LLVMAttributeFunctionIndex, attribute);
}

static void add_attribute(Emit *e, LLVMAttributeIndex at, const char *name)
{
    unsigned kind = LLVMGetEnumAttributeKindForName(name, strlen(name));
    LLVMAddAttributeAtIndex(e->function, at, LLVMCreateEnumAttribute(e->context, kind, 0));
}

static void new_function(Emit *e, const char *symbol)
{
    LLVMTypeRef pointer = LLVMPointerTypeInContext(e->context, 0), i64 = emit_int_type(e, 64);
    LLVMTypeRef type = LLVMFunctionType(LLVMVoidTypeInContext(e->context),
                                        (LLVMTypeRef[]){pointer, i64, i64, pointer}, 4, false);
    e->function = LLVMAddFunction(e->module, symbol, type);
    add_attribute(e, (LLVMAttributeIndex)LLVMAttributeFunctionIndex, "nounwind");
    add_attribute(e, 4, "noalias");
    add_text_attribute(e, "target-cpu", e->target->cpu);
    add_text_attribute(e, "target-features", e->target->features);
    e->frame = LLVMGetParam(e->function, 0);
    e->scratch = LLVMGetParam(e->function, 3);
}

static void emit_phase(Emit *e, const Inst *phase, const char *symbol)
{
    new_function(e, symbol);
    memset(e->values, 0, sizeof e->values[0] * e->f->values.count);
    memset(e->mems, 0, sizeof e->mems[0] * e->f->mems.count);
    memset(e->fields, 0, sizeof e->fields);
    e->streams = false;
    LLVMBasicBlockRef entry = LLVMAppendBasicBlockInContext(e->context, e->function, "entry");
    LLVMPositionBuilderAtEnd(e->b, entry);
    emit_prologue(e, phase);
    LLVMValueRef begin = LLVMGetParam(e->function, 1), end = LLVMGetParam(e->function, 2);
    LLVMBasicBlockRef unit = LLVMAppendBasicBlockInContext(e->context, e->function, "unit");
    LLVMBasicBlockRef done = LLVMAppendBasicBlockInContext(e->context, e->function, "done");
    LLVMBuildCondBr(e->b, LLVMBuildICmp(e->b, LLVMIntSLT, begin, end, ""), unit, done);
    LLVMPositionBuilderAtEnd(e->b, unit);
    LLVMTypeRef i64 = emit_int_type(e, 64);
    LLVMValueRef u = LLVMBuildPhi(e->b, i64, "u");
    LLVMAddIncoming(u, &begin, &entry, 1);
    Region body = inst_region(phase, 0);
    if (region_at(e->f, body)->arg_count) e->values[region_arg(e->f, body, 0).i] = u;
    emit_region(e, body);
    LLVMBasicBlockRef latch = LLVMGetInsertBlock(e->b);
    LLVMValueRef next = LLVMBuildNSWAdd(e->b, u, const_int(i64, 1), "");
    LLVMAddIncoming(u, &next, &latch, 1);
    LLVMBuildCondBr(e->b, LLVMBuildICmp(e->b, LLVMIntSLT, next, end, ""), unit, done);
    LLVMMoveBasicBlockAfter(done, LLVMGetLastBasicBlock(e->function));
    LLVMPositionBuilderAtEnd(e->b, done);
    // Streaming stores are ordered before what other threads see next only by a fence.
    if (e->streams && e->target->is_x86) emit_intrinsic(e, "llvm.x86.sse.sfence", NULL, 0, NULL, 0);
    LLVMBuildRetVoid(e->b);
}

static void emit_phases(Emit *e, ModuleCode *out, const char *prefix)
{
    const Func *f = e->f;
    for_each_inst(f, f->body, id) {
        if (inst_at(f, id)->op == OP_PHASE) out->phase_count++;
    }
    out->symbols = arena_array(e->arena, const char *, out->phase_count + 1);
    uint32_t count = 0;
    for_each_inst(f, f->body, id) {
        if (inst_at(f, id)->op != OP_PHASE) continue;
        Str symbol = str_format(e->arena, "%s_phase%u", prefix, count);
        out->symbols[count++] = symbol.data;
        emit_phase(e, inst_at(f, id), symbol.data);
    }
}

// LLVM's own laws; a breach is our mistake, and going on would end the process.
static bool verify(Emit *e)
{
    char *message = NULL;
    if (!LLVMVerifyModule(e->module, LLVMReturnStatusAction, &message)) {
        LLVMDisposeMessage(message);
        return true;
    }
    diag_add(e->diags, DIAG_INTERNAL, (Span){0}, "LLVM rejects the code for kernel '%.*s': %s",
             STR_ARG(e->f->name), message ? message : "no reason given");
    LLVMDisposeMessage(message);
    return false;
}

bool module_build(ModuleCode *out, const Func *f, const TargetInfo *target, const char *prefix, Arena *arena,
                  DiagList *diags)
{
    *out = (ModuleCode){.context = LLVMContextCreate()};
    uint32_t errors = diags->error_count;
    Emit e = {.f = f, .arena = arena, .diags = diags, .target = target, .context = out->context};
    out->module = LLVMModuleCreateWithNameInContext(prefix, out->context);
    e.module = out->module;
    LLVMSetTarget(e.module, target->triple);
    e.b = LLVMCreateBuilderInContext(e.context);
    e.values = arena_array(arena, LLVMValueRef, f->values.count + 1);
    e.mems = arena_array(arena, LLVMValueRef, f->mems.count + 1);
    e.kind_alias_scope = metadata_kind(&e, "alias.scope");
    e.kind_noalias = metadata_kind(&e, "noalias");
    e.kind_invariant = metadata_kind(&e, "invariant.load");
    e.kind_nontemporal = metadata_kind(&e, "nontemporal");
    out->scratch_bytes = place_scratch(&e);
    make_alias_scopes(&e);
    emit_phases(&e, out, prefix);
    LLVMDisposeBuilder(e.b);
    out->imports = e.imports.data;
    out->import_count = e.imports.count;
    return diags->error_count == errors && verify(&e);
}

void module_dispose(ModuleCode *code)
{
    if (code->module) LLVMDisposeModule(code->module);
    if (code->context) LLVMContextDispose(code->context);
    *code = (ModuleCode){0};
}
