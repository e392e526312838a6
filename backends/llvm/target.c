// Which CPU code is made for: its name, features and vector width, and the passes from module to
// object code.
#include "backends/llvm/gen.h"
#include "backends/llvm/sanitize.h"

#include <ctype.h>
#include <pthread.h>
#if defined(__x86_64__)
#include <cpuid.h>
#endif
#if defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>
#endif

#include "backends/llvm/code_hash.h"

// Registering LLVM's targets writes tables inside LLVM, so it happens once in a process.
static void register_targets(void)
{
    LLVMInitializeX86TargetInfo();
    LLVMInitializeX86Target();
    LLVMInitializeX86TargetMC();
    LLVMInitializeX86AsmPrinter();
    LLVMInitializeAArch64TargetInfo();
    LLVMInitializeAArch64Target();
    LLVMInitializeAArch64TargetMC();
    LLVMInitializeAArch64AsmPrinter();
    LLVMInitializeAArch64AsmParser(); // see aarch64_cpu_known
    LLVMInitializeRISCVTargetInfo();
    LLVMInitializeRISCVTarget();
    LLVMInitializeRISCVTargetMC();
    LLVMInitializeRISCVAsmPrinter();
}

typedef struct Kept {
    Arena *arena;
    char *message; // LLVM's
    const char *copy;
} Kept;

static void copy_message(void *self)
{
    Kept *kept = self;
    kept->copy = str_copy(kept->arena, str_of(kept->message)).data;
}

static void dispose_message(void *self)
{
    LLVMDisposeMessage(((Kept *)self)->message);
}

static const char *keep(Arena *arena, char *message)
{
    Kept kept = {arena, message, NULL};
    arena_finally(arena, copy_message, dispose_message, &kept);
    return kept.copy;
}

static bool has_feature(const char *features, const char *name)
{
    size_t length = strlen(name);
    for (const char *at = strstr(features, name); at; at = strstr(at + 1, name)) {
        bool starts = at > features && at[-1] == '+';
        if (starts && (at[length] == ',' || at[length] == 0)) return true;
    }
    return false;
}

// What a named CPU has is LLVM's knowledge and not in its C API: compile a probe and look at the
// instructions.
static const char *const probe_text =
    "define void @probe(ptr %p) {\n"
    " %a = load <16 x i32>, ptr %p\n %b = add <16 x i32> %a, %a\n store <16 x i32> %b, ptr %p\n"
    " %c = load <8 x float>, ptr %p\n %d = call <8 x float> @llvm.fma.v8f32(<8 x float> %c, <8 x "
    "float> %c, "
    "<8 x float> %c)\n store <8 x float> %d, ptr %p\n"
    " %h = load <8 x half>, ptr %p\n %f = fpext <8 x half> %h to <8 x float>\n store <8 x float> "
    "%f, ptr %p\n"
    " %s = load <32 x i16>, ptr %p\n %t = add <32 x i16> %s, %s\n store <32 x i16> %t, ptr %p\n"
    " %w = load <16 x float>, ptr %p\n %x = fptrunc <16 x float> %w to <16 x bfloat>\n"
    " store <16 x bfloat> %x, ptr %p\n"
    " %i = load <16 x i8>, ptr %p\n %j = zext <16 x i8> %i to <16 x i32>\n"
    " %k = sext <16 x i8> %i to <16 x i32>\n %l = mul <16 x i32> %j, %k\n"
    " %m = call i32 @llvm.vector.reduce.add.v16i32(<16 x i32> %l)\n store i32 %m, ptr %p\n"
    " ret void\n}\ndeclare <8 x float> @llvm.fma.v8f32(<8 x float>, <8 x float>, <8 x float>)\n"
    "declare i32 @llvm.vector.reduce.add.v16i32(<16 x i32>)\n";

static void probe_features(TargetInfo *t)
{
    LLVMContextRef context = LLVMContextCreate();
    LLVMMemoryBufferRef text =
        LLVMCreateMemoryBufferWithMemoryRangeCopy(probe_text, strlen(probe_text), "probe");
    LLVMModuleRef module = NULL;
    char *message = NULL;
    if (LLVMParseIRInContext(context, text, &module, &message)) {
        LLVMDisposeMessage(message);
        LLVMContextDispose(context);
        return;
    }
    LLVMSetTarget(module, t->triple);
    LLVMTargetMachineRef machine = target_machine_new(t);
    LLVMMemoryBufferRef out = NULL;
    if (LLVMTargetMachineEmitToMemoryBuffer(machine, module, LLVMAssemblyFile, &message, &out)) {
        LLVMDisposeMessage(message);
    } else {
        const char *assembly = LLVMGetBufferStart(out); // ends in 0, as all buffers of LLVM
        bool fma = strstr(assembly, "vfmadd") != NULL;
        t->has_f16c = strstr(assembly, "vcvtph2ps") != NULL;
        t->has_avx2 = fma && strstr(assembly, "vpaddd") && strstr(assembly, "ymm");
        t->has_avx512 = fma && strstr(assembly, "vpaddd") && strstr(assembly, "vpaddw\t%zmm");
        t->has_bf16 = t->has_avx512 && strstr(assembly, "vcvtneps2bf16");
        t->has_vnni = t->has_avx512 && strstr(assembly, "vpdpbusd");
        LLVMDisposeMemoryBuffer(out);
    }
    LLVMDisposeTargetMachine(machine);
    LLVMDisposeModule(module);
    LLVMContextDispose(context);
}

// Linux gives a process tile registers when it asks for them, for all its threads.
static bool tiles_allowed;

static void ask_for_tiles(void)
{
#if defined(__x86_64__) && defined(__linux__) && !defined(SANITIZE_VECTOR_BYTES)
    enum { REQUEST_PERMISSION = 0x1023, TILE_DATA = 18, SAVED = 3 << 17, OSXSAVE = 1 << 27 };
    const unsigned has = 1u << 22 | 1u << 24 | 1u << 25; // for bf16, any, for bytes
    unsigned a = 0, b = 0, c = 0, d = 0, saved = 0, high = 0;
    if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & OSXSAVE)) return;
    if (!__get_cpuid_count(7, 0, &a, &b, &c, &d) || (d & has) != has) return;
    __asm__ volatile("xgetbv" : "=a"(saved), "=d"(high) : "c"(0));
    tiles_allowed =
        (saved & SAVED) == SAVED && !syscall(SYS_arch_prctl, REQUEST_PERMISSION, TILE_DATA);
#endif
}

static bool host_has_tiles(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, ask_for_tiles);
    return tiles_allowed;
}

static void host_features(TargetInfo *t)
{
    t->has_f16c = has_feature(t->features, "f16c");
    t->has_avx2 = has_feature(t->features, "avx2") && has_feature(t->features, "fma");
    t->has_avx512 = t->has_avx2 && has_feature(t->features, "avx512f") &&
                    has_feature(t->features, "avx512bw") && has_feature(t->features, "avx512dq") &&
                    has_feature(t->features, "avx512vl");
    t->has_bf16 = t->has_avx512 && has_feature(t->features, "avx512bf16");
    t->has_vnni = t->has_avx512 && has_feature(t->features, "avx512vnni");
    t->has_tiles = t->has_avx512 && has_feature(t->features, "amx-tile") && host_has_tiles();
}

static bool same_machine(const char *triple, const char *host)
{
    size_t machine = strcspn(host, "-");
    return strncmp(triple, host, machine) == 0 && triple[machine] == '-';
}

static const char *const architectures[] = {"x86_64", "aarch64", "riscv64"};

// ELF for one of the architectures that the backend knows.
static bool triple_fits(const char *triple)
{
    bool known = false;
    size_t length = strcspn(triple, "-");
    for (size_t k = 0; k < sizeof architectures / sizeof *architectures; k++)
        known |= strlen(architectures[k]) == length && !strncmp(triple, architectures[k], length);
    return known && !strstr(triple, "darwin") && !strstr(triple, "macos") &&
           !strstr(triple, "windows") && !strstr(triple, "gnux32");
}

static bool resolve_triple(TargetInfo *out, const char *triple, const char *host, Arena *arena,
                           DiagList *diags)
{
    char *message = NULL;
    out->triple = triple ? keep(arena, LLVMNormalizeTargetTriple(triple)) : host;
    if (triple_fits(out->triple) && !LLVMGetTargetFromTriple(out->triple, &out->target, &message))
        return true;
    Diag *diag = diag_add(diags, DIAG_NOT_SUPPORTED, (Span){0},
                          "no code generator for target '%s'", triple ? triple : host);
    if (message) diag_note(diags, diag, (Span){0}, "%s", keep(arena, message));
    diag_hint(diags, diag, "there are x86_64-linux-gnu, aarch64-linux-gnu and riscv64-linux-gnu");
    return false;
}

static void ignore_diagnostic(LLVMDiagnosticInfoRef info, void *errors)
{
    *(bool *)errors |= LLVMGetDiagInfoSeverity(info) == LLVMDSError;
}

// The assembler says whether it knows the CPU: `.cpu NAME` in a module without code.
static bool aarch64_cpu_known(const TargetInfo *t, Arena *arena)
{
    TargetInfo plain = *t;
    plain.cpu = "generic";
    LLVMContextRef context = LLVMContextCreate();
    bool errors = false;
    LLVMContextSetDiagnosticHandler(context, ignore_diagnostic, &errors);
    LLVMModuleRef module = LLVMModuleCreateWithNameInContext("cpu", context);
    LLVMSetTarget(module, t->triple);
    Str line = str_format(arena, ".cpu %s\n", t->cpu);
    LLVMAppendModuleInlineAsm(module, line.data, line.length);
    LLVMTargetMachineRef machine = target_machine_new(&plain);
    LLVMMemoryBufferRef out = NULL;
    char *message = NULL;
    if (LLVMTargetMachineEmitToMemoryBuffer(machine, module, LLVMObjectFile, &message, &out)) {
        LLVMDisposeMessage(message);
        errors = true;
    } else {
        LLVMDisposeMemoryBuffer(out);
    }
    LLVMDisposeTargetMachine(machine);
    LLVMDisposeModule(module);
    LLVMContextDispose(context);
    return !errors;
}

// LLVM itself would print a line and go on with a generic CPU.
static bool cpu_known(const TargetInfo *t, Arena *arena)
{
    if (strcmp(t->cpu, "generic") == 0) return true;
    for (const char *at = t->cpu; *at; at++)
        if (!isalnum((unsigned char)*at) && !strchr("-_.+", *at)) return false;
    if (t->is_aarch64) return aarch64_cpu_known(t, arena);
    return llvm_knows_cpu(t->is_x86, t->cpu);
}

static void resolve_cpu(TargetInfo *out, const LlvmTarget *want, Arena *arena)
{
    bool detect = out->is_native && !want->cpu;
    const char *generic = out->is_riscv ? "generic-rv64" : "generic";
    out->cpu = want->cpu ? str_copy(arena, str_of(want->cpu)).data
               : detect  ? keep(arena, LLVMGetHostCPUName())
                         : generic;
    out->features = want->features ? str_copy(arena, str_of(want->features)).data
                    : detect       ? keep(arena, LLVMGetHostCPUFeatures())
                    : out->is_riscv && !want->cpu ? "+m,+a,+f,+d,+c"
                                                  : "";
}

bool target_resolve(TargetInfo *out, const LlvmTarget *target, Arena *arena, DiagList *diags)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    if (!llvm_load(diags)) return false;
    pthread_once(&once, register_targets);
    LlvmTarget want = target ? *target : (LlvmTarget){0};
    *out = (TargetInfo){0};
    const char *host = keep(arena, LLVMGetDefaultTargetTriple());
    if (!resolve_triple(out, want.triple, host, arena, diags)) return false;
    out->is_native = same_machine(out->triple, host);
    if (out->is_native && want.cpu && strcmp(want.cpu, "native") == 0) want.cpu = NULL;
    out->is_host = out->is_native && !want.cpu && !want.features;
    out->is_x86 = strncmp(out->triple, "x86_64", 6) == 0;
    out->is_aarch64 = strncmp(out->triple, "aarch64", 7) == 0;
    out->is_riscv = strncmp(out->triple, "riscv64", 7) == 0;
    resolve_cpu(out, &want, arena);
    if (want.cpu && !cpu_known(out, arena)) {
        Diag *diag = diag_add(diags, DIAG_NOT_SUPPORTED, (Span){0},
                              "LLVM knows no CPU '%s' for target '%s'", want.cpu, out->triple);
        diag_hint(diags, diag, "names are those of LLVM: x86-64-v3, znver4, cortex-a72");
        return false;
    }
    if (out->is_x86 && out->is_host) {
        host_features(out);
    } else if (out->is_x86) {
        probe_features(out);
    }
    out->vector_bytes = out->has_avx512 ? 64 : out->has_avx2 ? 32 : 16;
#ifdef SANITIZE_VECTOR_BYTES
    out->vector_bytes = SANITIZE_VECTOR_BYTES;
#endif
    return true;
}

LLVMTargetMachineRef target_machine_new(const TargetInfo *t)
{
    return LLVMCreateTargetMachine(t->target, t->triple, t->cpu, t->features,
                                   LLVMCodeGenLevelDefault, LLVMRelocPIC, LLVMCodeModelDefault);
}

bool module_optimise(const ModuleCode *code, LLVMTargetMachineRef machine, DiagList *diags)
{
    LLVMTargetDataRef layout = LLVMCreateTargetDataLayout(machine);
    LLVMSetModuleDataLayout(code->module, layout);
    LLVMDisposeTargetData(layout);
    LLVMPassBuilderOptionsRef options = LLVMCreatePassBuilderOptions();
    const char *passes = "function(early-cse<memssa>,instcombine<no-verify-fixpoint>,simplifycfg,"
                         "loop-mssa(licm),gvn,dce)";
    LLVMErrorRef error = LLVMRunPasses(code->module, passes, machine, options);
#ifdef SANITIZE_PASSES
    if (!error) error = LLVMRunPasses(code->module, SANITIZE_PASSES, machine, options);
#endif
    LLVMDisposePassBuilderOptions(options);
    if (!error) return true;
    char *message = LLVMGetErrorMessage(error);
    diag_add(diags, DIAG_INTERNAL, (Span){0}, "LLVM's passes failed: %s", message);
    LLVMDisposeErrorMessage(message);
    return false;
}

LLVMMemoryBufferRef module_object(const ModuleCode *code, LLVMTargetMachineRef machine,
                                  LLVMCodeGenFileType kind, DiagList *diags)
{
    LLVMMemoryBufferRef out = NULL;
    char *message = NULL;
    if (!LLVMTargetMachineEmitToMemoryBuffer(machine, code->module, kind, &message, &out)) {
        return out;
    }
    diag_add(diags, DIAG_INTERNAL, (Span){0}, "LLVM's code generator failed: %s",
             message ? message : "");
    LLVMDisposeMessage(message);
    return NULL;
}

// What target_resolve would say of the host, without LLVM.
static void host_machine(Machine *machine)
{
#if defined(__x86_64__)
    __builtin_cpu_init();
    bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    bool avx512 = avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                  __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
    machine->vector_bytes = avx512 ? 64 : avx2 ? 32 : 16;
    machine->lacks_fma = !avx2;
    machine->vector_registers = avx512 ? 32 : 16;
    machine->dots_bf16 = avx512 && __builtin_cpu_supports("avx512bf16");
    machine->slow_dots_bf16 = __builtin_cpu_is("intel");
    machine->dots_i8 = avx512 && __builtin_cpu_supports("avx512vnni");
    machine->tiles_bf16 = machine->tiles_i8 = avx512 && host_has_tiles();
    machine->isa = "x86-64";
#else
    machine->vector_bytes = 16;
    machine->vector_registers = 32;
#if defined(__aarch64__)
    machine->isa = "aarch64";
#endif
#endif
#ifdef SANITIZE_VECTOR_BYTES
    machine->vector_bytes = SANITIZE_VECTOR_BYTES;
    machine->dots_bf16 = machine->dots_i8 = false; // their groups fill vectors
#endif
}

bool llvm_machine(const LlvmTarget *target, Machine *machine, DiagList *diags)
{
    if (!target) {
        host_machine(machine);
        return true;
    }
    TargetInfo info;
    bool ok = target_resolve(&info, target, diags->arena, diags);
    if (ok) {
        machine->vector_bytes = info.vector_bytes;
        machine->lacks_fma = info.is_x86 && !info.has_avx2;
        machine->vector_registers = info.has_avx512 || !info.is_x86 ? 32 : 16;
        machine->isa = info.is_x86 ? "x86-64" : info.is_aarch64 ? "aarch64" : "riscv64";
        machine->dots_bf16 = info.has_bf16;
        machine->slow_dots_bf16 = strncmp(info.cpu, "znver", 5) != 0;
        machine->dots_i8 = info.has_vnni;
        machine->tiles_bf16 = machine->tiles_i8 = info.has_tiles;
    }
    return ok;
}

Str llvm_host_cpu(Arena *arena)
{
    DiagList diags = {.arena = arena};
    if (!llvm_load(&diags)) return STR("unknown");
    return str_of(keep(arena, LLVMGetHostCPUName()));
}

Str llvm_host_triple(Arena *arena, DiagList *diags)
{
    if (!llvm_load(diags)) return (Str){0};
    return str_of(keep(arena, LLVMGetDefaultTargetTriple()));
}

Str llvm_code_key(Arena *arena)
{
    Buf out = {.arena = arena};
#if defined(__x86_64__) && !defined(SANITIZE_PASSES)
    buf_printf(&out, "x86-64 " HAKO_CODE_HASH);
    static const unsigned leaves[][2] = {{0, 0}, {1, 0},  {7, 0},    {7, 1},
                                         {7, 2}, {13, 1}, {0x19, 0}, {0x80000001u, 0}};
    for (size_t k = 0; k < sizeof leaves / sizeof *leaves; k++) {
        unsigned a = 0, b = 0, c = 0, d = 0;
        __get_cpuid_count(leaves[k][0], leaves[k][1], &a, &b, &c, &d);
        if (leaves[k][0] == 1) b = 0;  // which core this is
        if (leaves[k][0] == 13) b = 0; // a size that depends on what is switched on
        buf_printf(&out, " %x.%x.%x.%x", a, b, c, d);
        bool has_xgetbv = leaves[k][0] == 1 && (c >> 27 & 1); // what the system keeps of registers
        if (has_xgetbv) __asm__ volatile("xgetbv" : "=a"(a), "=d"(d) : "c"(0));
        if (has_xgetbv) buf_printf(&out, " %x.%x", a, d);
    }
#endif
    return buf_view(&out);
}
