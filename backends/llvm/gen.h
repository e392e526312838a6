// What the parts of the translation share: the state of one compilation and small wrappers of
// LLVM's builder. Reading order: module.c (a function for each phase), prologue.c (what a phase
// uses from before it), inst.c (dispatch), loop.c arith.c mem.c subbyte.c tiles.c atomic.c reduce.c
// convert.c small_float.c, math.c trig.c avx512.c sleef.c, type.c (types, constants, lanes),
// target.c (which CPU), jit.c rt.c (running), emit.c (text and objects), library.c (code of many
// kernels as one object).
#ifndef HK_BACKENDS_LLVM_GEN_H
#define HK_BACKENDS_LLVM_GEN_H

#include <llvm-c/Analysis.h>
#include <llvm-c/Core.h>
#include <llvm-c/IRReader.h>
#include <llvm-c/LLJIT.h>
#include <llvm-c/Linker.h>
#include <llvm-c/Orc.h>
#include <llvm-c/Target.h>
#include <llvm-c/TargetMachine.h>
#include <llvm-c/Transforms/PassBuilder.h>

#include "backends/llvm/api.h" // after all of LLVM's: made by api.sh
#include "backends/llvm/llvm_backend.h"

typedef struct TargetInfo {
    LLVMTargetRef target;
    const char *triple, *cpu, *features;
    bool is_x86, is_aarch64, is_riscv;
    bool is_native;                      // of this machine's architecture
    bool is_host;                        // exactly this machine
    bool has_avx2, has_avx512, has_f16c; // avx2 implies fma; avx512: f, bw, dq and vl
    bool has_bf16, has_vnni;             // of avx512
    bool has_tiles;                      // tile registers for bf16 and bytes; the host's only
    uint32_t vector_bytes;
} TargetInfo;

enum { STREAM_ALIGN = 64 }; // of the memories that non-temporal stores go to
enum { FRAME_MEMS, FRAME_DIMS, FRAME_STRIDES, FRAME_ARGS, FRAME_FIELDS };

typedef struct Gen {
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
    LLVMValueRef
        fields[FRAME_FIELDS]; // pointers loaded from the frame, on demand in the entry block
    int64_t *scratch_offset;  // [Mem.i] in the thread's memory
    LLVMValueRef *alias_scope, *alias_none; // [Mem.i] metadata: own scope; the scopes of all others
    unsigned kind_alias_scope, kind_noalias, kind_invariant, kind_nontemporal, kind_prof;
    LLVMValueRef *aligned;     // [Mem.i] whether a memory that is streamed to begins aligned
    bool streams;              // the current phase has non-temporal stores
    bool standalone;           // see ModuleSpec
    VEC(const char *) imports; // functions outside the module that the code calls
} Gen;

// Reports what the backend cannot do and returns a placeholder so that the rest is still looked at.
LLVMValueRef gen_unsupported(Gen *g, const Inst *in, const char *what);

// ---- type.c
LLVMTypeRef gen_dtype(Gen *g, DType t); // of one lane in a register; sub-byte codes live in i8
LLVMTypeRef gen_memory_dtype(Gen *g,
                             DType t); // of one element in memory; sub-byte: the byte of two
LLVMTypeRef gen_type(Gen *g, Type t);
LLVMTypeRef gen_int_type(Gen *g, unsigned bits);
unsigned lltype_lanes(LLVMTypeRef t); // 0: scalar
unsigned lltype_bits(LLVMTypeRef t);  // of one lane
LLVMTypeRef lltype_lane(LLVMTypeRef t);
LLVMTypeRef lltype_with_lanes(LLVMTypeRef lane, unsigned lanes);
LLVMTypeRef lltype_shaped(LLVMValueRef like, LLVMTypeRef lane); // as many lanes as `like`
unsigned lanes_of(LLVMValueRef v);
LLVMValueRef gen_const_int(LLVMTypeRef t, int64_t x); // in every lane
LLVMValueRef gen_const_real(LLVMTypeRef t, double x);
LLVMValueRef gen_const_bits(Gen *g, Type t, uint64_t bits);
bool gen_const_real_value(LLVMValueRef v,
                          double *x); // the same finite or infinite constant in every lane
bool gen_const_int_value(LLVMValueRef v, int64_t *x);
LLVMValueRef gen_splat(Gen *g, LLVMValueRef scalar, unsigned lanes); // as it is if it has lanes
LLVMValueRef gen_lane(Gen *g, LLVMValueRef v, unsigned lane);        // of a vector; else v
LLVMValueRef gen_slice(Gen *g, LLVMValueRef v, unsigned first,
                       unsigned lanes); // past the end: lane 0 again
// Lanes first, first + 2, ... of a followed by c; NULL: of a alone.
LLVMValueRef gen_every_other(Gen *g, LLVMValueRef a, LLVMValueRef c, unsigned first);
LLVMValueRef gen_concat(Gen *g, LLVMValueRef a, LLVMValueRef c);
LLVMValueRef gen_bitcast(Gen *g, LLVMValueRef v, LLVMTypeRef lane);
// Calls llvm.NAME overloaded on the given types.
LLVMValueRef gen_intrinsic(Gen *g, const char *name, LLVMTypeRef *types, unsigned type_count,
                           LLVMValueRef *args, unsigned count);
LLVMValueRef gen_intrinsic1(Gen *g, const char *name, LLVMValueRef a); // overloaded on a's type
LLVMValueRef gen_intrinsic2(Gen *g, const char *name, LLVMValueRef a, LLVMValueRef c);
LLVMValueRef gen_fma(Gen *g, LLVMValueRef a, LLVMValueRef c, LLVMValueRef d);
LLVMValueRef gen_import(Gen *g, const char *name,
                        LLVMTypeRef function_type); // a declaration, noted

// ---- inst.c, loop.c
// A branch around code that runs only where a scalar condition holds; the builder stands inside it
// after begin.
typedef struct Guard {
    LLVMBasicBlockRef before, then, after;
} Guard;
Guard gen_guard_begin(Gen *g, LLVMValueRef condition);
Guard gen_guard_rare(Gen *g, LLVMValueRef condition); // kept out of the way of the hot code
LLVMValueRef gen_guard_end(Gen *g, Guard guard,
                           LLVMValueRef v); // v where the condition held, else 0; v may be NULL
void gen_region(Gen *g, Region r);
void gen_inst(Gen *g, const Inst *in);
void gen_for(Gen *g, const Inst *in);
void gen_if(Gen *g, const Inst *in);
LLVMValueRef gen_value(Gen *g, Value v);
LLVMValueRef gen_arg(Gen *g, const Inst *in, unsigned k);
LLVMValueRef gen_arg_lanes(Gen *g, const Inst *in, unsigned k, unsigned lanes);
void gen_result(Gen *g, const Inst *in, unsigned k, LLVMValueRef v);

// ---- arith.c: operands agree in lanes; t is their dtype
LLVMValueRef gen_unary(Gen *g, Op op, DType t, LLVMValueRef a);
LLVMValueRef gen_binary(Gen *g, Op op, DType t, LLVMValueRef a, LLVMValueRef c);
LLVMValueRef gen_compare(Gen *g, Op op, DType t, LLVMValueRef a, LLVMValueRef c);

// ---- mem.c, subbyte.c
void gen_load(Gen *g, const Inst *in);
void gen_store(Gen *g, const Inst *in);
void gen_prefetch(Gen *g, const Inst *in);
LLVMValueRef gen_address(Gen *g, Mem mem, LLVMTypeRef element, LLVMValueRef offset);
void gen_note_access(Gen *g, LLVMValueRef access, Mem mem);
LLVMValueRef gen_masked_gather(Gen *g, Mem mem, LLVMTypeRef type, LLVMValueRef pointers,
                               unsigned bytes, LLVMValueRef mask);
LLVMValueRef gen_subbyte_load(Gen *g, const Inst *in, LLVMValueRef offset, LLVMValueRef mask,
                              unsigned lanes);
void gen_subbyte_store(Gen *g, const Inst *in, LLVMValueRef value, LLVMValueRef offset,
                       LLVMValueRef mask);

// ---- tiles.c: vectors of 1 KiB, which are tile registers
bool gen_is_tile(Type t);
LLVMValueRef gen_tile_zero(Gen *g); // not shared: LLVM copies tiles through memory
void gen_tile_load(Gen *g, const Inst *in);
void gen_tile_store(Gen *g, const Inst *in);
void gen_tile_dot(Gen *g, const Inst *in);

// ---- atomic.c
void gen_atomic(Gen *g, const Inst *in);

// ---- reduce.c
LLVMValueRef gen_vreduce(Gen *g, const Inst *in, DType t, LLVMValueRef v);
LLVMValueRef gen_any(Gen *g, LLVMValueRef bools);
LLVMValueRef gen_lane_bits(Gen *g, LLVMValueRef bools); // an integer, lane 0 lowest; scalars: 1 bit
void gen_check(Gen *g, const Inst *in);
void gen_print(Gen *g, const Inst *in);

// ---- convert.c, small_float.c
LLVMValueRef gen_cast(Gen *g, DType from, DType to, LLVMValueRef v);
// The same of x, the code of v, whose range may be known: integers of 64 bits have no vector
// instruction to f32 before AVX-512, and a slow one there.
LLVMValueRef gen_cast_value(Gen *g, Value v, DType to, LLVMValueRef x);
LLVMValueRef gen_quant(Gen *g, DType t, DType storage, LLVMValueRef v);
LLVMValueRef gen_nearest(Gen *g, DType t, DType target, DType result, LLVMValueRef v);
LLVMValueRef gen_small_float_decode(Gen *g, DType from, LLVMValueRef code); // to f32
LLVMValueRef gen_small_float_encode(Gen *g, DType to, LLVMValueRef x);      // from f32

// ---- math.c, trig.c, sleef.c: floats only. NULL: this op has no such form.
LLVMValueRef gen_math(Gen *g, Op op, DType t, LLVMValueRef a, LLVMValueRef c);
LLVMValueRef gen_trig(Gen *g, Op op, LLVMValueRef x); // sin, cos of f32
LLVMValueRef gen_erfinv(Gen *g, LLVMValueRef x);
LLVMValueRef gen_poly(Gen *g, LLVMValueRef x, const double *c,
                      unsigned count); // c[0] + c[1] x + ...
LLVMValueRef gen_sleef(Gen *g, Op op, DType t, LLVMValueRef a, LLVMValueRef c);
void *gen_sleef_address(const char *name); // NULL: unknown here

// ---- avx512.c: f32 with any number of lanes
LLVMValueRef gen_scalef(Gen *g, LLVMValueRef y,
                        LLVMValueRef n); // y 2^n for a whole n, rounded once
// x, or the limit with the sign of x if that is nearer to 0 or x is NaN.
LLVMValueRef gen_clamp_magnitude(Gen *g, LLVMValueRef x, double limit);
LLVMValueRef gen_range(Gen *g, LLVMValueRef a, LLVMValueRef c, bool max); // no NaN
LLVMValueRef gen_from_nearest(Gen *g, LLVMValueRef x); // x less the nearest integer; 0 for infinity
LLVMValueRef gen_divide_f32(Gen *g, LLVMValueRef a, LLVMValueRef c);

// ---- segments.c: f32 with any number of lanes, for AVX-512
LLVMValueRef gen_tanh_by_segments(Gen *g, LLVMValueRef x);
LLVMValueRef gen_erf_by_segments(Gen *g, LLVMValueRef x);
LLVMValueRef gen_power_of_two_by_table(Gen *g, LLVMValueRef k); // 2^(k / 16), of k modulo 16

// ---- prologue.c
void gen_prologue(Gen *g,
                  const Inst *phase); // what the phase uses from before it, into the entry block
LLVMValueRef gen_word(Gen *g, DType t, LLVMValueRef v); // a scalar's bits, as in ir/eval.h
// Stores these values of the prologue, as bits of 64, one after the other.
void gen_store_values(Gen *g, const Value *values, uint32_t count, LLVMValueRef to);

// ---- module.c
typedef struct ModuleSpec {
    const Func *f;
    const TargetInfo *target;
    const char *prefix;     // of the symbols
    LLVMContextRef context; // NULL: one of its own
    // Without SLEEF, and with names of the runtime that cannot meet another version's: to be
    // linked with libm and runtime/aot.
    bool standalone;
    // A function PREFIX_values(frame, i64 *out) that computes these; none: no such function.
    const Value *values;
    uint32_t value_count;
} ModuleSpec;

typedef struct ModuleCode {
    LLVMContextRef context;
    bool shares_context;
    LLVMModuleRef module;
    LLVMBuilderRef builder;
    LLVMTargetMachineRef machine; // these two made by the caller
    LLVMMemoryBufferRef object;
    const char **symbols; // one for each phase
    uint32_t phase_count;
    const char **imports;
    uint32_t import_count;
    int64_t scratch_bytes;
} ModuleCode;
// False after an error in diags. The caller disposes of it either way (module_dispose), also if
// an allocation in the arena fails.
bool module_build(ModuleCode *out, const ModuleSpec *spec, Arena *arena, DiagList *diags);
void module_dispose(ModuleCode *code);

// ---- load.c
bool llvm_load(DiagList *diags); // before anything of LLVM is called
bool llvm_knows_cpu(bool is_x86, const char *name); // else of RISC-V; true where nobody can tell

// ---- target.c
bool target_resolve(TargetInfo *out, const LlvmTarget *target, Arena *arena, DiagList *diags);
LLVMTargetMachineRef target_machine_new(const TargetInfo *target);
bool module_optimise(const ModuleCode *code, LLVMTargetMachineRef machine, DiagList *diags);
// NULL after an error.
LLVMMemoryBufferRef module_object(const ModuleCode *code, LLVMTargetMachineRef machine,
                                  LLVMCodeGenFileType kind, DiagList *diags);

// ---- rt.c
void *gen_rt_address(const char *name); // of a function that generated code may call; NULL: none

#endif
