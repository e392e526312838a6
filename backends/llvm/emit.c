// The code of a kernel as text or as an object file, for this machine or another.
#include "backends/llvm/gen.h"

typedef struct EmitJob {
    Buf *out;
    const Func *loop;
    const TargetInfo *target;
    LlvmForm form;
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
    ModuleSpec spec = {.f = job->loop,
                       .target = job->target,
                       .prefix = str_copy(diags->arena, job->loop->name).data};
    if (!module_build(module, &spec, diags->arena, diags)) return;
    module->machine = target_machine_new(job->target);
    if (!module_optimise(module, module->machine, diags)) return;
    if (job->form == LLVM_FORM_IR) {
        job->text = LLVMPrintModuleToString(module->module);
        buf_str(job->out, str_of(job->text));
    } else {
        LLVMCodeGenFileType kind = job->form == LLVM_FORM_ASM ? LLVMAssemblyFile : LLVMObjectFile;
        module->object = module_object(module, module->machine, kind, diags);
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

bool llvm_emit(Buf *out, const Func *loop, const LlvmTarget *target, LlvmForm form, DiagList *diags)
{
    TargetInfo info;
    if (!target_resolve(&info, target, diags->arena, diags)) return false;
    EmitJob job = {.out = out, .loop = loop, .target = &info, .form = form, .diags = diags};
    arena_finally(diags->arena, emit, end_emit, &job);
    return job.ok;
}
