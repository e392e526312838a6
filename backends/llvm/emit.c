// The code of a kernel as text or as an object file, for this machine or another.
#include "backends/llvm/gen.h"

typedef struct EmitJob {
    Buf *out;
    const Func *loop;
    const TargetInfo *target;
    const char *prefix;
    bool as_ir;
    LLVMCodeGenFileType kind;
    DiagList *diags;
    ModuleCode module;
    char *text; // LLVM's
    bool ok;
} EmitJob;

static void emit(void *self)
{
    EmitJob *job = self;
    ModuleCode *module = &job->module;
    DiagList *diags = job->diags;
    if (!module_build(module, job->loop, job->target, job->prefix, diags->arena, diags)) return;
    module->machine = target_machine_new(job->target);
    if (!module_optimise(module, module->machine, diags)) return;
    if (job->as_ir) {
        job->text = LLVMPrintModuleToString(module->module);
        buf_str(job->out, str_of(job->text));
    } else {
        module->object = module_object(module, module->machine, job->kind, diags);
        if (!module->object) return;
        buf_add(job->out, LLVMGetBufferStart(module->object), LLVMGetBufferSize(module->object));
    }
    job->ok = true;
}

static void end_emit(void *self)
{
    EmitJob *job = self;
    if (job->text) LLVMDisposeMessage(job->text);
    module_dispose(&job->module);
}

static bool gen_kind(Buf *out, const Func *loop, const LlvmTarget *target, const char *prefix,
                     bool as_ir, LLVMCodeGenFileType kind, DiagList *diags)
{
    TargetInfo info;
    if (!target_resolve(&info, target, diags->arena, diags)) return false;
    EmitJob job = {.out = out,
                   .loop = loop,
                   .target = &info,
                   .prefix = prefix,
                   .as_ir = as_ir,
                   .kind = kind,
                   .diags = diags};
    arena_finally(diags->arena, emit, end_emit, &job);
    return job.ok;
}

bool llvm_emit_text(Buf *out, const Func *loop, const LlvmTarget *target, LlvmText kind,
                    DiagList *diags)
{
    Str prefix = str_copy(diags->arena, loop->name);
    return gen_kind(out, loop, target, prefix.data, kind == LLVM_TEXT_IR, LLVMAssemblyFile, diags);
}

bool llvm_emit_object(Buf *out, const Func *loop, const LlvmTarget *target,
                      const char *symbol_prefix, DiagList *diags)
{
    return gen_kind(out, loop, target, symbol_prefix, false, LLVMObjectFile, diags);
}
