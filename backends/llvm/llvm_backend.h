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

typedef enum LlvmForm { LLVM_FORM_IR, LLVM_FORM_ASM, LLVM_FORM_OBJECT } LlvmForm;

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

bool llvm_emit(Buf *out, const Func *loop, const LlvmTarget *target, LlvmForm kind,
                    DiagList *diags);

// ---- code compiled ahead of time, to be linked with libm and runtime/aot
typedef struct LlvmLibrary LlvmLibrary;
typedef struct LlvmPart {
    const Func *f; // Loop IR: PREFIX_phase0 ...; Tile IR: its values alone
    LlvmTarget target;
    const char *prefix; // holds a point, which marks what is not to be seen outside
    const Value *values; // of the prologue: PREFIX_values(frame, out) computes them
    uint32_t value_count;
} LlvmPart;
// NULL after an error in diags, in whose arena it lies. All parts are for base's architecture.
LlvmLibrary *llvm_library_new(const char *name, const LlvmTarget *base, DiagList *diags);
bool llvm_library_add(LlvmLibrary *library, const LlvmPart *part, int64_t *scratch_bytes,
                      DiagList *diags);
bool llvm_library_add_text(LlvmLibrary *library, Str text, DiagList *diags); // LLVM IR
bool llvm_library_emit(LlvmLibrary *library, LlvmForm kind, Buf *out, DiagList *diags);
void llvm_library_free(LlvmLibrary *library);

// Fills what an instruction set decides, of the host (NULL) or target. False after an error.
bool llvm_machine(const LlvmTarget *target, Machine *machine, DiagList *diags);
Str llvm_host_cpu(Arena *arena); // zero-terminated: "znver4"
Str llvm_host_triple(Arena *arena, DiagList *diags);

#endif
