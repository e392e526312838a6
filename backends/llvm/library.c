// Code of many kernels for one architecture as one object file: a module for each kernel and CPU,
// optimised on its own and then linked into the first. Every function keeps the CPU that it was
// made for, so that one object holds several versions of a kernel.
#include "backends/llvm/gen.h"

struct LlvmLibrary {
    LLVMContextRef context;
    LLVMModuleRef module;
    TargetInfo base;
};

static void set_layout(LlvmLibrary *library, LLVMModuleRef module)
{
    LLVMTargetMachineRef machine = target_machine_new(&library->base);
    LLVMTargetDataRef layout = LLVMCreateTargetDataLayout(machine);
    LLVMSetTarget(module, library->base.triple);
    LLVMSetModuleDataLayout(module, layout);
    LLVMDisposeTargetData(layout);
    LLVMDisposeTargetMachine(machine);
}

LlvmLibrary *llvm_library_new(const char *name, const LlvmTarget *base, DiagList *diags)
{
    LlvmLibrary *library = arena_new(diags->arena, LlvmLibrary);
    if (!target_resolve(&library->base, base, diags->arena, diags)) return NULL;
    library->context = LLVMContextCreate();
    library->module = LLVMModuleCreateWithNameInContext(name, library->context);
    set_layout(library, library->module);
    if (library->base.is_riscv) { // else floats would be passed in integer registers
        static const char key[] = "target-abi", abi[] = "lp64d";
        LLVMMetadataRef text = LLVMMDStringInContext2(library->context, abi, sizeof abi - 1);
        LLVMAddModuleFlag(library->module, LLVMModuleFlagBehaviorError, key, sizeof key - 1, text);
    }
    return library;
}

void llvm_library_free(LlvmLibrary *library)
{
    if (!library || !library->context) return;
    LLVMDisposeModule(library->module);
    LLVMContextDispose(library->context);
    library->context = NULL;
}

static bool link_in(LlvmLibrary *library, LLVMModuleRef module, DiagList *diags)
{
    if (!LLVMLinkModules2(library->module, module)) return true; // which ends the other module
    diag_add(diags, DIAG_INTERNAL, (Span){0}, "LLVM cannot link the parts of a library");
    return false;
}

typedef struct AddJob {
    LlvmLibrary *whole;
    const LlvmPart *part;
    DiagList *diags;
    ModuleCode code;
    int64_t scratch_bytes;
    bool ok;
} AddJob;

static void add(void *self)
{
    AddJob *job = self;
    ModuleCode *code = &job->code;
    TargetInfo info;
    if (!target_resolve(&info, &job->part->target, job->diags->arena, job->diags)) return;
    ModuleSpec spec = {.f = job->part->f,
                       .target = &info,
                       .prefix = job->part->prefix,
                       .context = job->whole->context,
                       .standalone = true,
                       .values = job->part->values,
                       .value_count = job->part->value_count};
    if (!module_build(code, &spec, job->diags->arena, job->diags)) return;
    code->machine = target_machine_new(&info);
    if (!module_optimise(code, code->machine, job->diags)) return;
    job->scratch_bytes = code->scratch_bytes;
    LLVMModuleRef module = code->module;
    code->module = NULL;
    job->ok = link_in(job->whole, module, job->diags);
}

static void end_add(void *self)
{
    module_dispose(&((AddJob *)self)->code);
}

bool llvm_library_add(LlvmLibrary *library, const LlvmPart *part, int64_t *scratch_bytes,
                      DiagList *diags)
{
    AddJob job = {.whole = library, .part = part, .diags = diags};
    arena_finally(diags->arena, add, end_add, &job);
    *scratch_bytes = job.scratch_bytes;
    return job.ok;
}

bool llvm_library_add_text(LlvmLibrary *library, Str text, DiagList *diags)
{
    LLVMMemoryBufferRef buffer =
        LLVMCreateMemoryBufferWithMemoryRangeCopy(text.data, text.length, "tables");
    LLVMModuleRef module = NULL;
    char *message = NULL;
    if (LLVMParseIRInContext(library->context, buffer, &module, &message)) {
        diag_add(diags, DIAG_INTERNAL, (Span){0}, "LLVM rejects a library's tables: %s", message);
        LLVMDisposeMessage(message);
        return false;
    }
    set_layout(library, module);
    return link_in(library, module, diags);
}

// Parts are called through tables alone; their names, which hold a point, end here.
static void hide_parts(LlvmLibrary *library)
{
    LLVMValueRef f = LLVMGetFirstFunction(library->module);
    for (; f; f = LLVMGetNextFunction(f)) {
        size_t length;
        const char *name = LLVMGetValueName2(f, &length);
        bool part = LLVMCountBasicBlocks(f) && memchr(name, '.', length);
        if (part) LLVMSetLinkage(f, LLVMInternalLinkage);
    }
}

typedef struct FormJob {
    LlvmLibrary *whole;
    LlvmForm form;
    Buf *out;
    DiagList *diags;
    ModuleCode copy; // code generation changes a module, which may be asked for another form
    char *text;      // LLVM's
    bool ok;
} FormJob;

static void put_form(void *self)
{
    FormJob *job = self;
    ModuleCode *copy = &job->copy;
    if (job->form == LLVM_FORM_IR) {
        job->text = LLVMPrintModuleToString(job->whole->module);
        buf_str(job->out, str_of(job->text));
        job->ok = true;
        return;
    }
    LLVMCodeGenFileType kind = job->form == LLVM_FORM_ASM ? LLVMAssemblyFile : LLVMObjectFile;
    copy->context = job->whole->context;
    copy->shares_context = true;
    copy->module = LLVMCloneModule(job->whole->module);
    copy->machine = target_machine_new(&job->whole->base);
    copy->object = module_object(copy, copy->machine, kind, job->diags);
    if (!copy->object) return;
    buf_add(job->out, LLVMGetBufferStart(copy->object), LLVMGetBufferSize(copy->object));
    job->ok = true;
}

static void end_form(void *self)
{
    FormJob *job = self;
    if (job->text) LLVMDisposeMessage(job->text);
    module_dispose(&job->copy);
}

bool llvm_library_emit(LlvmLibrary *library, LlvmForm form, Buf *out, DiagList *diags)
{
    FormJob job = {.whole = library, .form = form, .out = out, .diags = diags};
    hide_parts(library);
    arena_finally(diags->arena, put_form, end_form, &job);
    return job.ok;
}
