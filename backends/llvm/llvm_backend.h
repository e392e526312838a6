// Loop IR to native code through LLVM: JIT, objects, text.
#ifndef HK_BACKENDS_LLVM_LLVM_BACKEND_H
#define HK_BACKENDS_LLVM_LLVM_BACKEND_H

#include "ir/frame.h"
#include "ir/ir.h"
#include "ir/machine.h"

typedef struct LlvmTarget {
    const char *triple;   // NULL: the host
    const char *cpu;      // NULL: the host's; x86-64-v3, znver4, neoverse-n1 ...
    const char *features; // NULL: the CPU's own
} LlvmTarget;

typedef enum LlvmText { LLVM_TEXT_IR, LLVM_TEXT_ASM } LlvmText;

typedef struct LlvmCode LlvmCode; // a JIT-compiled kernel; immutable, usable from any thread

// One function for each phase, in order. NULL after an error in diags.
LlvmCode *llvm_compile(const Func *loop, const LlvmTarget *target, DiagList *diags);
void llvm_code_free(LlvmCode *code);
// Code made for this machine, for another process; empty if that cannot be. What comes back from
// elsewhere may be damaged: NULL then. Neither needs LLVM.
Str llvm_code_save(const LlvmCode *code, Arena *arena);
LlvmCode *llvm_code_load(Str saved, Arena *arena); // the arena lends its allocator
// What such code depends on besides the Func: this CPU, and this version of the backend. Empty if
// code cannot be saved here.
Str llvm_code_key(Arena *arena);
uint32_t llvm_code_phase_count(const LlvmCode *code);
PhaseFn *llvm_code_phase(const LlvmCode *code, uint32_t phase);
int64_t llvm_code_scratch_bytes(const LlvmCode *code); // for each thread
double llvm_code_compile_ms(const LlvmCode *code, double *passes_ms, double *codegen_ms);

bool llvm_emit_text(Buf *out, const Func *loop, const LlvmTarget *target, LlvmText kind,
                    DiagList *diags);
bool llvm_emit_object(Buf *out, const Func *loop, const LlvmTarget *target,
                      const char *symbol_prefix, DiagList *diags);

// Fills vector_bytes and vector_registers of the host or target.
bool llvm_machine(const LlvmTarget *target, Machine *machine);
Str llvm_host_cpu(Arena *arena); // zero-terminated: "znver4"

#endif
