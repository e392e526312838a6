// The code of a kernel as text or as an object file, for this machine or another.
#include "backends/llvm/gen.h"

static bool gen_kind(Buf *out, const Func *loop, const LlvmTarget *target, const char *prefix,
                     bool as_ir, LLVMCodeGenFileType kind, DiagList *diags)
{
    TargetInfo info;
    if (!target_resolve(&info, target, diags->arena, diags)) return false;
    ModuleCode module = {0};
    bool ok = module_build(&module, loop, &info, prefix, diags->arena, diags);
    LLVMTargetMachineRef machine = ok ? target_machine_new(&info) : NULL;
    ok = ok && module_optimise(&module, machine, diags);
    if (ok && as_ir) {
        char *text = LLVMPrintModuleToString(module.module);
        buf_str(out, str_of(text));
        LLVMDisposeMessage(text);
    } else if (ok) {
        LLVMMemoryBufferRef code = module_object(&module, machine, kind, diags);
        ok = code != NULL;
        if (ok) buf_add(out, LLVMGetBufferStart(code), LLVMGetBufferSize(code));
        if (ok) LLVMDisposeMemoryBuffer(code);
    }
    if (machine) LLVMDisposeTargetMachine(machine);
    module_dispose(&module);
    return ok;
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
