// What the parts of the translation share: the state of one compilation and small wrappers of LLVM's builder.
// Types and constants: type.c. Instructions: inst.c arith.c mem.c subbyte.c loop.c reduce.c convert.c small_float.c
// math.c trig.c sleef.c. Whole functions: module.c prologue.c. The machine: target.c. Running: jit.c rt.c.
#ifndef HK_BACKENDS_LLVM_EMIT_H
#define HK_BACKENDS_LLVM_EMIT_H

#include <llvm-c/Core.h>
#include <llvm-c/TargetMachine.h>

#include "backends/llvm/llvm_backend.h"

typedef struct TargetInfo {
    LLVMTargetRef target;
    const char *triple, *cpu, *features;
    bool is_x86, is_aarch64, is_host;
    bool has_avx2, has_avx512, has_f16c; // avx2 implies fma; avx512: f, bw, dq and vl
    uint32_t vector_bytes;
} TargetInfo;

enum { FRAME_MEMS, FRAME_DIMS, FRAME_STRIDES, FRAME_ARGS, FRAME_FIELDS };

typedef struct Emit {
    const Func *f;
    Arena *arena;
    DiagList *diags;
    const TargetInfo *target;
    LLVMContextRef context;
    LLVMModuleRef module;
    LLVMBuilderRef b;
    LLVMValueRef *values; // [Value.i] in the current phase; NULL: not emitted
    LLVMValueRef *mems;   // [Mem.i] base address in the current phase
    LLVMValueRef function, frame, scratch;
    LLVMValueRef fields[FRAME_FIELDS]; // pointers loaded from the frame, on demand in the entry block
    int64_t *scratch_offset;           // [Mem.i] in the thread's memory
    LLVMValueRef *alias_scope, *alias_none; // [Mem.i] metadata: own scope; the scopes of all others
    unsigned kind_alias_scope, kind_noalias, kind_invariant, kind_nontemporal;
    bool streams;                  // the current phase has non-temporal stores
    VEC(const char *) imports;     // functions outside the module that the code calls
} Emit;

// Reports what the backend cannot do and returns a placeholder so that the rest is still looked at.
LLVMValueRef emit_unsupported(Emit *e, const Inst *in, const char *what);

// ---- type.c
LLVMTypeRef emit_dtype(Emit *e, DType t);        // of one lane in a register; sub-byte codes live in i8
LLVMTypeRef emit_memory_dtype(Emit *e, DType t); // of one element in memory; sub-byte: the byte of two
LLVMTypeRef emit_type(Emit *e, Type t);
LLVMTypeRef emit_int_type(Emit *e, unsigned bits);
unsigned type_lanes(LLVMTypeRef t); // 0: scalar
unsigned type_bits(LLVMTypeRef t);  // of one lane
LLVMTypeRef type_lane(LLVMTypeRef t);
LLVMTypeRef type_with_lanes(LLVMTypeRef lane, unsigned lanes);
LLVMTypeRef type_shaped(LLVMValueRef like, LLVMTypeRef lane); // as many lanes as `like`
unsigned value_lanes(LLVMValueRef v);
LLVMValueRef const_int(LLVMTypeRef t, int64_t x);   // in every lane
LLVMValueRef const_real(LLVMTypeRef t, double x);
LLVMValueRef const_bits(Emit *e, Type t, uint64_t bits);
bool const_real_value(LLVMValueRef v, double *x);   // the same finite or infinite constant in every lane
bool const_int_value(LLVMValueRef v, int64_t *x);
LLVMValueRef emit_splat(Emit *e, LLVMValueRef scalar, unsigned lanes); // as it is if it has lanes
LLVMValueRef emit_lane(Emit *e, LLVMValueRef v, unsigned lane);        // of a vector; else v
LLVMValueRef emit_slice(Emit *e, LLVMValueRef v, unsigned first, unsigned lanes); // past the end: lane 0 again
LLVMValueRef emit_concat(Emit *e, LLVMValueRef a, LLVMValueRef c);
LLVMValueRef emit_bitcast(Emit *e, LLVMValueRef v, LLVMTypeRef lane);
// Calls llvm.NAME overloaded on the given types.
LLVMValueRef emit_intrinsic(Emit *e, const char *name, LLVMTypeRef *types, unsigned type_count,
                            LLVMValueRef *args, unsigned count);
LLVMValueRef emit_intrinsic1(Emit *e, const char *name, LLVMValueRef a); // overloaded on a's type
LLVMValueRef emit_intrinsic2(Emit *e, const char *name, LLVMValueRef a, LLVMValueRef c);
LLVMValueRef emit_fma(Emit *e, LLVMValueRef a, LLVMValueRef c, LLVMValueRef d);
LLVMValueRef emit_import(Emit *e, const char *name, LLVMTypeRef function_type); // a declaration, noted

// ---- inst.c, loop.c
// A branch around code that runs only where a scalar condition holds; the builder stands inside it after begin.
typedef struct Guard {
    LLVMBasicBlockRef before, then, after;
} Guard;
Guard guard_begin(Emit *e, LLVMValueRef condition);
LLVMValueRef guard_end(Emit *e, Guard g, LLVMValueRef v); // v where the condition held, else 0; v may be NULL
void emit_region(Emit *e, Region r);
void emit_inst(Emit *e, const Inst *in);
void emit_for(Emit *e, const Inst *in);
void emit_if(Emit *e, const Inst *in);
LLVMValueRef emit_value(Emit *e, Value v);
LLVMValueRef emit_arg(Emit *e, const Inst *in, unsigned k);
LLVMValueRef emit_arg_lanes(Emit *e, const Inst *in, unsigned k, unsigned lanes);
void set_result(Emit *e, const Inst *in, unsigned k, LLVMValueRef v);

// ---- arith.c: operands agree in lanes; t is their dtype
LLVMValueRef emit_unary(Emit *e, Op op, DType t, LLVMValueRef a);
LLVMValueRef emit_binary(Emit *e, Op op, DType t, LLVMValueRef a, LLVMValueRef c);
LLVMValueRef emit_compare(Emit *e, Op op, DType t, LLVMValueRef a, LLVMValueRef c);

// ---- mem.c, subbyte.c
void emit_load(Emit *e, const Inst *in);
void emit_store(Emit *e, const Inst *in);
LLVMValueRef emit_address(Emit *e, Mem mem, LLVMTypeRef element, LLVMValueRef offset);
void note_access(Emit *e, LLVMValueRef access, Mem mem);
LLVMValueRef emit_masked_gather(Emit *e, Mem mem, LLVMTypeRef type, LLVMValueRef pointers, unsigned bytes,
                                LLVMValueRef mask);
LLVMValueRef emit_subbyte_load(Emit *e, const Inst *in, LLVMValueRef offset, LLVMValueRef mask, unsigned lanes);
void emit_subbyte_store(Emit *e, const Inst *in, LLVMValueRef value, LLVMValueRef offset, LLVMValueRef mask);

// ---- reduce.c
LLVMValueRef emit_vreduce(Emit *e, const Inst *in, DType t, LLVMValueRef v);
LLVMValueRef emit_any(Emit *e, LLVMValueRef bools);
LLVMValueRef emit_lane_bits(Emit *e, LLVMValueRef bools); // an integer, lane 0 lowest; scalars: 1 bit
void emit_check(Emit *e, const Inst *in);

// ---- convert.c, small_float.c
LLVMValueRef emit_cast(Emit *e, DType from, DType to, LLVMValueRef v);
LLVMValueRef emit_quant(Emit *e, DType t, DType storage, LLVMValueRef v);
LLVMValueRef emit_nearest(Emit *e, DType t, DType target, DType result, LLVMValueRef v);
LLVMValueRef emit_small_float_decode(Emit *e, DType from, LLVMValueRef code); // to f32
LLVMValueRef emit_small_float_encode(Emit *e, DType to, LLVMValueRef x);      // from f32

// ---- math.c, trig.c, sleef.c: floats only. NULL: this op has no such form.
LLVMValueRef emit_math(Emit *e, Op op, DType t, LLVMValueRef a, LLVMValueRef c);
LLVMValueRef emit_trig(Emit *e, Op op, LLVMValueRef x); // sin, cos of f32
LLVMValueRef emit_erfinv(Emit *e, LLVMValueRef x);
LLVMValueRef emit_poly(Emit *e, LLVMValueRef x, const double *c, unsigned count); // c[0] + c[1] x + ...
LLVMValueRef emit_sleef(Emit *e, Op op, DType t, LLVMValueRef a, LLVMValueRef c);
void *sleef_address(const char *name); // NULL: unknown here

// ---- prologue.c
void emit_prologue(Emit *e, const Inst *phase); // what the phase uses from before it, into the entry block

// ---- module.c
typedef struct ModuleCode {
    LLVMContextRef context;
    LLVMModuleRef module;
    const char **symbols; // one for each phase
    uint32_t phase_count;
    const char **imports;
    uint32_t import_count;
    int64_t scratch_bytes;
} ModuleCode;
// False after an error in diags. The caller disposes of module and context either way (module_dispose).
bool module_build(ModuleCode *out, const Func *f, const TargetInfo *target, const char *prefix, Arena *arena,
                  DiagList *diags);
void module_dispose(ModuleCode *code);

// ---- target.c
bool target_resolve(TargetInfo *out, const LlvmTarget *target, Arena *arena, DiagList *diags);
LLVMTargetMachineRef target_machine_new(const TargetInfo *target);
bool module_optimise(const ModuleCode *code, LLVMTargetMachineRef machine, DiagList *diags);
// NULL after an error.
LLVMMemoryBufferRef module_object(const ModuleCode *code, LLVMTargetMachineRef machine,
                                  LLVMCodeGenFileType kind, DiagList *diags);

// ---- rt.c
void *rt_address(const char *name); // of a function that generated code may call; NULL: none

#endif
