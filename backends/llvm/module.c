// A Func of Loop IR to an LLVM module: one function for each phase, with the signature PhaseFn of
// ir/frame.h.
//
//   phase (units) { unit u: ... }  ->  void NAME(ptr frame, i64 begin, i64 end, ptr scratch):
//                                      prologue; for u = begin .. end: ...
#include "backends/llvm/gen.h"
#include "backends/llvm/sanitize.h"


enum { SCRATCH_ALIGN = 64 };

// Scratch memories lie one after the other in the thread's memory.
static int64_t place_scratch(Gen *g)
{
    int64_t end = 0;
    g->scratch_offset = arena_array(g->arena, int64_t, g->f->mems.count + 1);
    for (uint32_t i = 1; i < g->f->mems.count; i++) {
        const MemInfo *mem = mem_at(g->f, (Mem){i});
        if (mem->kind != MEM_SCRATCH || !mem->decl.i) continue;
        g->scratch_offset[i] = end;
        int64_t bytes = dtype_bytes(mem->dtype, (int64_t)inst_at(g->f, mem->decl)->attr.bits);
        end += (bytes + SCRATCH_ALIGN - 1) / SCRATCH_ALIGN * SCRATCH_ALIGN;
    }
    return end;
}

static LLVMMetadataRef text_node(Gen *g, Str text)
{
    return LLVMMDStringInContext2(g->context, text.data, text.length);
}

// Memories of one launch do not overlap: every access carries its own scope and the list of all
// others.
static void make_alias_scopes(Gen *g)
{
    uint32_t count = g->f->mems.count;
    g->alias_scope = arena_array(g->arena, LLVMValueRef, count + 1);
    g->alias_none = arena_array(g->arena, LLVMValueRef, count + 1);
    if (count < 2) return;
    LLVMMetadataRef domain_name = text_node(g, STR("hako"));
    LLVMMetadataRef domain = LLVMMDNodeInContext2(g->context, &domain_name, 1);
    LLVMMetadataRef *scopes = arena_array(g->arena, LLVMMetadataRef, count);
    LLVMMetadataRef *others = arena_array(g->arena, LLVMMetadataRef, count);
    for (uint32_t i = 1; i < count; i++) {
        Str name = str_format(g->arena, "mem%u", i);
        scopes[i] =
            LLVMMDNodeInContext2(g->context, (LLVMMetadataRef[]){text_node(g, name), domain}, 2);
    }
    for (uint32_t i = 1; i < count; i++) {
        uint32_t n = 0;
        for (uint32_t k = 1; k < count; k++) {
            if (k != i) others[n++] = scopes[k];
        }
        g->alias_scope[i] =
            LLVMMetadataAsValue(g->context, LLVMMDNodeInContext2(g->context, &scopes[i], 1));
        g->alias_none[i] =
            LLVMMetadataAsValue(g->context, LLVMMDNodeInContext2(g->context, others, n));
    }
}

static unsigned metadata_kind(Gen *g, const char *name)
{
    return LLVMGetMDKindIDInContext(g->context, name, (unsigned)strlen(name));
}

static void add_text_attribute(Gen *g, const char *key, const char *value)
{
    if (!value[0]) return;
    LLVMAttributeRef attribute = LLVMCreateStringAttribute(g->context, key, (unsigned)strlen(key),
                                                           value, (unsigned)strlen(value));
    LLVMAddAttributeAtIndex(g->function, (LLVMAttributeIndex)LLVMAttributeFunctionIndex, attribute);
}

static void add_attribute(Gen *g, LLVMAttributeIndex at, const char *name)
{
    unsigned kind = LLVMGetEnumAttributeKindForName(name, strlen(name));
    LLVMAddAttributeAtIndex(g->function, at, LLVMCreateEnumAttribute(g->context, kind, 0));
}

// A function whose first parameter is the frame; nothing is emitted in it yet.
static void new_function(Gen *g, const char *symbol, LLVMTypeRef type)
{
    g->function = LLVMAddFunction(g->module, symbol, type);
    add_attribute(g, (LLVMAttributeIndex)LLVMAttributeFunctionIndex, "nounwind");
#ifdef SANITIZE_ATTRIBUTE
    add_attribute(g, (LLVMAttributeIndex)LLVMAttributeFunctionIndex, SANITIZE_ATTRIBUTE);
#endif
    add_text_attribute(g, "target-cpu", g->target->cpu);
    add_text_attribute(g, "target-features", g->target->features);
    g->frame = LLVMGetParam(g->function, 0);
    memset(g->values, 0, sizeof g->values[0] * g->f->values.count);
    memset(g->mems, 0, sizeof g->mems[0] * g->f->mems.count);
    memset(g->aligned, 0, sizeof g->aligned[0] * g->f->mems.count);
    memset(g->fields, 0, sizeof g->fields);
}

static void gen_phase(Gen *g, const Inst *phase, const char *symbol)
{
    LLVMTypeRef pointer = LLVMPointerTypeInContext(g->context, 0), i64 = gen_int_type(g, 64);
    LLVMTypeRef type = LLVMFunctionType(LLVMVoidTypeInContext(g->context),
                                        (LLVMTypeRef[]){pointer, i64, i64, pointer}, 4, false);
    new_function(g, symbol, type);
    add_attribute(g, 4, "noalias");
    g->scratch = LLVMGetParam(g->function, 3);
    g->streams = false;
    LLVMBasicBlockRef entry = LLVMAppendBasicBlockInContext(g->context, g->function, "entry");
    LLVMPositionBuilderAtEnd(g->b, entry);
    gen_prologue(g, phase);
    LLVMValueRef begin = LLVMGetParam(g->function, 1), end = LLVMGetParam(g->function, 2);
    LLVMBasicBlockRef unit = LLVMAppendBasicBlockInContext(g->context, g->function, "unit");
    LLVMBasicBlockRef done = LLVMAppendBasicBlockInContext(g->context, g->function, "done");
    LLVMBuildCondBr(g->b, LLVMBuildICmp(g->b, LLVMIntSLT, begin, end, ""), unit, done);
    LLVMPositionBuilderAtEnd(g->b, unit);
    LLVMValueRef u = LLVMBuildPhi(g->b, i64, "u");
    LLVMAddIncoming(u, &begin, &entry, 1);
    Region body = inst_region(phase, 0);
    if (region_at(g->f, body)->arg_count) g->values[region_arg(g->f, body, 0).i] = u;
    gen_region(g, body);
    LLVMBasicBlockRef latch = LLVMGetInsertBlock(g->b);
    LLVMValueRef next = LLVMBuildNSWAdd(g->b, u, gen_const_int(i64, 1), "");
    LLVMAddIncoming(u, &next, &latch, 1);
    LLVMBuildCondBr(g->b, LLVMBuildICmp(g->b, LLVMIntSLT, next, end, ""), unit, done);
    LLVMMoveBasicBlockAfter(done, LLVMGetLastBasicBlock(g->function));
    LLVMPositionBuilderAtEnd(g->b, done);
    // Streaming stores are ordered before what other threads see next only by a fence.
    if (g->streams && g->target->is_x86) gen_intrinsic(g, "llvm.x86.sse.sfence", NULL, 0, NULL, 0);
    LLVMBuildRetVoid(g->b);
}

static void gen_phases(Gen *g, ModuleCode *out, const char *prefix)
{
    const Func *f = g->f;
    for_each_inst(f, f->body, id) {
        if (inst_at(f, id)->op == OP_PHASE) out->phase_count++;
    }
    out->symbols = arena_array(g->arena, const char *, out->phase_count + 1);
    uint32_t count = 0;
    for_each_inst(f, f->body, id) {
        if (inst_at(f, id)->op != OP_PHASE) continue;
        Str symbol = str_format(g->arena, "%s_phase%u", prefix, count);
        out->symbols[count++] = symbol.data;
        gen_phase(g, inst_at(f, id), symbol.data);
    }
}

// LLVM's own laws; a breach is our mistake, and going on would end the process.
static bool verify(Gen *g)
{
    char *message = NULL;
    if (!LLVMVerifyModule(g->module, LLVMReturnStatusAction, &message)) {
        LLVMDisposeMessage(message);
        return true;
    }
    diag_add(g->diags, DIAG_INTERNAL, (Span){0}, "LLVM rejects the code for kernel '%.*s': %s",
             STR_ARG(g->f->name), message ? message : "no reason given");
    LLVMDisposeMessage(message);
    return false;
}

static void gen_values(Gen *g, const ModuleSpec *spec)
{
    LLVMTypeRef pointer = LLVMPointerTypeInContext(g->context, 0);
    LLVMTypeRef type = LLVMFunctionType(LLVMVoidTypeInContext(g->context),
                                        (LLVMTypeRef[]){pointer, pointer}, 2, false);
    new_function(g, str_format(g->arena, "%s_values", spec->prefix).data, type);
    LLVMBasicBlockRef entry = LLVMAppendBasicBlockInContext(g->context, g->function, "entry");
    LLVMPositionBuilderAtEnd(g->b, entry);
    gen_store_values(g, spec->values, spec->value_count, LLVMGetParam(g->function, 1));
    LLVMBuildRetVoid(g->b);
}

bool module_build(ModuleCode *out, const ModuleSpec *spec, Arena *arena, DiagList *diags)
{
    const Func *f = spec->f;
    *out = (ModuleCode){.context = spec->context, .shares_context = spec->context != NULL};
    if (!out->context) out->context = LLVMContextCreate();
    uint32_t errors = diags->error_count;
    Gen g = {.f = f,
             .arena = arena,
             .diags = diags,
             .target = spec->target,
             .context = out->context,
             .standalone = spec->standalone};
    out->module = LLVMModuleCreateWithNameInContext(spec->prefix, out->context);
    g.module = out->module;
    LLVMSetTarget(g.module, spec->target->triple);
    g.b = out->builder = LLVMCreateBuilderInContext(g.context);
    g.values = arena_array(arena, LLVMValueRef, f->values.count + 1);
    g.mems = arena_array(arena, LLVMValueRef, f->mems.count + 1);
    g.aligned = arena_array(arena, LLVMValueRef, f->mems.count + 1);
    g.kind_alias_scope = metadata_kind(&g, "alias.scope");
    g.kind_noalias = metadata_kind(&g, "noalias");
    g.kind_invariant = metadata_kind(&g, "invariant.load");
    g.kind_nontemporal = metadata_kind(&g, "nontemporal");
    g.kind_prof = metadata_kind(&g, "prof");
    if (spec->values) gen_values(&g, spec);
    if (f->level == LEVEL_LOOP) {
        out->scratch_bytes = place_scratch(&g);
        make_alias_scopes(&g);
        gen_phases(&g, out, spec->prefix);
    }
    out->imports = g.imports.data;
    out->import_count = g.imports.count;
    return diags->error_count == errors && verify(&g);
}

void module_dispose(ModuleCode *code)
{
    if (code->builder) LLVMDisposeBuilder(code->builder);
    if (code->object) LLVMDisposeMemoryBuffer(code->object);
    if (code->machine) LLVMDisposeTargetMachine(code->machine);
    if (code->module) LLVMDisposeModule(code->module);
    if (code->context && !code->shares_context) LLVMContextDispose(code->context);
    *code = (ModuleCode){0};
}
