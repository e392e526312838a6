// Object code in this process: each kernel has its own LLVM context and target machine, so
// compilations in several threads share nothing. The object is loaded by object.c, and by LLVM's
// LLJIT where that cannot. Code may call only the functions bound here by name.
#include <stdlib.h>

#include "backends/llvm/gen.h"
#include "backends/llvm/object.h"
#include "backends/llvm/sanitize.h"
#include "ir/base/clock.h"

struct LlvmCode {
    Arena arena;         // holds this struct too
    LLVMOrcLLJITRef jit; // or
    Object object;
    Str file; // the object file and the names of its functions, for another process
    const char **symbols;
    PhaseFn **phases;
    uint32_t phase_count;
    int64_t scratch_bytes;
    double compile_ms, passes_ms, codegen_ms;
};

// True if there was an error; it is then in diags.
static bool report(LLVMErrorRef error, const char *doing, DiagList *diags)
{
    if (!error) return false;
    char *message = LLVMGetErrorMessage(error);
    diag_add(diags, DIAG_INTERNAL, (Span){0}, "LLVM failed %s: %s", doing, message);
    LLVMDisposeErrorMessage(message);
    return true;
}

static bool bind_imports(LLVMOrcLLJITRef jit, LLVMOrcJITDylibRef library, const ModuleCode *module,
                         Arena *arena, DiagList *diags)
{
    // The code generator may turn an operation into one of these by itself.
    static const char *const implicit[] = {"fmod",      "fmodf",      "fma",    "fmaf",   "floor",
                                           "floorf",    "ceil",       "ceilf",  "trunc",  "truncf",
                                           "roundeven", "roundevenf", "fmin",   "fminf",  "fmax",
                                           "fmaxf",     "memcpy",     "memset", "memmove"};
    uint32_t implicit_count = sizeof implicit / sizeof implicit[0], count = 0;
    LLVMOrcCSymbolMapPair *pairs =
        arena_array(arena, LLVMOrcCSymbolMapPair, module->import_count + implicit_count);
    for (uint32_t i = 0; i < module->import_count + implicit_count; i++) {
        const char *name = i < implicit_count ? implicit[i] : module->imports[i - implicit_count];
        bool known = false;
        for (uint32_t k = 0; k < implicit_count && i >= implicit_count; k++)
            known |= !strcmp(implicit[k], name);
        if (known) continue;
        void *address = gen_rt_address(name);
        if (!address) address = gen_sleef_address(name);
        if (!address) {
            diag_add(diags, DIAG_NOT_SUPPORTED, (Span){0},
                     "the function '%s' is not available on this machine", name);
            return false;
        }
        pairs[count].Name = LLVMOrcLLJITMangleAndIntern(jit, name);
        pairs[count].Sym.Address = (LLVMOrcExecutorAddress)(uintptr_t)address;
        pairs[count++].Sym.Flags = (LLVMJITSymbolFlags){LLVMJITSymbolGenericFlagsExported, 0};
    }
    return !report(LLVMOrcJITDylibDefine(library, LLVMOrcAbsoluteSymbols(pairs, count)),
                   "binding functions", diags);
}

typedef struct Lookup {
    LlvmCode *code;
    LLVMErrorRef error;
    bool ok;
} Lookup;

static void on_lookup(LLVMErrorRef error, LLVMOrcCSymbolMapPairs found, size_t count, void *context)
{
    Lookup *lookup = context;
    lookup->error = error;
    lookup->ok = count > 0;
    for (size_t i = 0; !error && i < count; i++) {
        // Results come in any order: the number at the end of NAME_phaseN says which it is.
        const char *name = LLVMOrcSymbolStringPoolEntryStr(found[i].Name);
        uint32_t phase = (uint32_t)strtoul(strrchr(name, 'e') + 1, NULL, 10);
        lookup->code->phases[phase] = (PhaseFn *)(uintptr_t)found[i].Sym.Address;
    }
}

static bool find_phases(LlvmCode *code, LLVMOrcJITDylibRef library, const ModuleCode *module,
                        DiagList *diags)
{
    LLVMOrcExecutionSessionRef session = LLVMOrcLLJITGetExecutionSession(code->jit);
    LLVMOrcCJITDylibSearchOrderElement order = {library, LLVMOrcJITDylibLookupFlagsMatchAllSymbols};
    LLVMOrcCLookupSetElement *wanted =
        arena_array(&code->arena, LLVMOrcCLookupSetElement, module->phase_count + 1);
    code->phases = arena_array(&code->arena, PhaseFn *, module->phase_count + 1);
    code->phase_count = module->phase_count;
    if (!module->phase_count) return true;
    for (uint32_t i = 0; i < module->phase_count; i++) {
        wanted[i].Name = LLVMOrcLLJITMangleAndIntern(code->jit, module->symbols[i]);
        wanted[i].LookupFlags = LLVMOrcSymbolLookupFlagsRequiredSymbol;
    }
    Lookup lookup = {.code = code};
    LLVMOrcExecutionSessionLookup(session, LLVMOrcLookupKindStatic, &order, 1, wanted,
                                  module->phase_count, on_lookup, &lookup);
    return !report(lookup.error, "linking", diags) && lookup.ok;
}

static bool link_object(LlvmCode *code, ModuleCode *module, DiagList *diags)
{
    LLVMOrcLLJITBuilderRef builder = LLVMOrcCreateLLJITBuilder();
    if (report(LLVMOrcCreateLLJIT(&code->jit, builder), "starting", diags)) return false;
    LLVMOrcExecutionSessionRef session = LLVMOrcLLJITGetExecutionSession(code->jit);
    LLVMOrcJITDylibRef library = LLVMOrcExecutionSessionCreateBareJITDylib(session, "kernel");
    if (!bind_imports(code->jit, library, module, &code->arena, diags)) return false;
#ifdef SANITIZE_PASSES
    LLVMOrcDefinitionGeneratorRef process; // has what the sanitizer's checks call
    LLVMErrorRef error = LLVMOrcCreateDynamicLibrarySearchGeneratorForProcess(
        &process, LLVMOrcLLJITGetGlobalPrefix(code->jit), NULL, NULL);
    if (report(error, "looking into the process", diags)) return false;
    LLVMOrcJITDylibAddGenerator(library, process);
#endif
    LLVMMemoryBufferRef object = module->object;
    module->object = NULL; // LLVM takes it over
    if (report(LLVMOrcLLJITAddObjectFile(code->jit, library, object), "adding the object", diags))
        return false;
    return find_phases(code, library, module, diags);
}

static void *address_of(const char *name)
{
    void *address = gen_rt_address(name);
    return address ? address : gen_sleef_address(name);
}

static bool link_own(LlvmCode *code)
{
    code->phases = arena_array(&code->arena, PhaseFn *, code->phase_count + 1);
    return object_load(&code->object, code->file.data, code->file.length, address_of, code->symbols,
                       code->phases, code->phase_count);
}

static bool link_any(LlvmCode *code, ModuleCode *module, DiagList *diags)
{
    Arena *arena = &code->arena;
    size_t bytes = LLVMGetBufferSize(module->object);
    code->file = (Str){arena_copy(arena, LLVMGetBufferStart(module->object), bytes), bytes};
    code->phase_count = module->phase_count;
    code->symbols = arena_array(arena, const char *, code->phase_count + 1);
    for (uint32_t k = 0; k < code->phase_count; k++)
        code->symbols[k] = str_copy(arena, str_of(module->symbols[k])).data;
    return link_own(code) || link_object(code, module, diags);
}

static bool translate(LlvmCode *code, ModuleCode *module, const Func *loop,
                      const TargetInfo *target, DiagList *diags)
{
    Str prefix = str_copy(diags->arena, loop->name);
    ModuleSpec spec = {.f = loop, .target = target, .prefix = prefix.data};
    if (!module_build(module, &spec, diags->arena, diags)) return false;
    module->machine = target_machine_new(target);
    double start = clock_ms();
    bool ok = module_optimise(module, module->machine, diags);
    double middle = clock_ms();
    if (ok) module->object = module_object(module, module->machine, LLVMObjectFile, diags);
    code->passes_ms = middle - start;
    code->codegen_ms = clock_ms() - middle;
    code->scratch_bytes = module->scratch_bytes;
    return module->object != NULL;
}

// Running what the CPU lacks would end the process by a signal.
static bool can_run(const TargetInfo *target, DiagList *diags)
{
    TargetInfo host;
    if (target->is_host) return true;
    if (!target_resolve(&host, NULL, diags->arena, diags)) return false;
    bool lacks = (target->has_avx512 && !host.has_avx512) || (target->has_avx2 && !host.has_avx2) ||
                 (target->has_f16c && !host.has_f16c) || (target->has_bf16 && !host.has_bf16) ||
                 (target->has_vnni && !host.has_vnni);
    if (target->is_native && !lacks) return true;
    diag_add(diags, DIAG_NOT_SUPPORTED, (Span){0}, "code for %s %s cannot run on this machine",
             target->triple, target->cpu);
    return false;
}

// In an arena of its own, with the other's allocator.
static LlvmCode *code_new(const Arena *other)
{
    Arena arena;
    arena_init(&arena, &other->allocator);
    arena.out_of_memory = other->out_of_memory;
    LlvmCode *code = arena_new(&arena, LlvmCode);
    code->arena = arena;
    return code;
}

typedef struct CompileJob {
    const Func *loop;
    const TargetInfo *target;
    DiagList *diags;
    ModuleCode module;
    LlvmCode *code;
    bool ok;
} CompileJob;

static void compile(void *self)
{
    CompileJob *job = self;
    LlvmCode *code = job->code = code_new(job->diags->arena);
    job->ok = translate(code, &job->module, job->loop, job->target, job->diags) &&
              link_any(code, &job->module, job->diags);
}

static void end_compile(void *self)
{
    CompileJob *job = self;
    module_dispose(&job->module);
    if (job->code) job->code->arena.out_of_memory = NULL;
    if (!job->ok) llvm_code_free(job->code);
}

LlvmCode *llvm_compile(const Func *loop, const LlvmTarget *target, DiagList *diags)
{
    double start = clock_ms();
    TargetInfo info;
    if (!target_resolve(&info, target, diags->arena, diags) || !can_run(&info, diags)) return NULL;
    CompileJob job = {.loop = loop, .target = &info, .diags = diags};
    arena_finally(diags->arena, compile, end_compile, &job);
    if (!job.ok) return NULL;
    job.code->compile_ms = clock_ms() - start;
    return job.code;
}

void llvm_code_free(LlvmCode *code)
{
    if (!code) return;
    if (code->jit) LLVMConsumeError(LLVMOrcDisposeLLJIT(code->jit));
    object_unload(&code->object);
    Arena arena = code->arena;
    arena_free(&arena);
}

// ---- for another process: number of phases, scratch, names, the object file

typedef struct Saved {
    uint32_t phase_count, names_bytes; // the names end in 0 and are padded to 8 bytes
    int64_t scratch_bytes;
} Saved;

Str llvm_code_save(const LlvmCode *code, Arena *arena)
{
    Buf out = {.arena = arena};
    if (!code->object.memory) return (Str){0};
    Buf names = {.arena = arena};
    for (uint32_t k = 0; k < code->phase_count; k++)
        buf_add(&names, code->symbols[k], strlen(code->symbols[k]) + 1);
    while (names.length % 8) buf_char(&names, 0);
    Saved head = {code->phase_count, (uint32_t)names.length, code->scratch_bytes};
    buf_add(&out, (const char *)&head, sizeof head);
    buf_add(&out, names.data, names.length);
    buf_add(&out, code->file.data, code->file.length);
    return buf_view(&out);
}

static bool read_saved(LlvmCode *code, Str saved)
{
    Saved head;
    if (saved.length < sizeof head) return false;
    memcpy(&head, saved.data, sizeof head);
    const char *names = saved.data + sizeof head;
    size_t left = saved.length - sizeof head;
    bool fits = head.phase_count < 1 << 16 && head.names_bytes % 8 == 0 &&
                head.names_bytes <= left && head.scratch_bytes >= 0 && head.names_bytes > 0 &&
                names[head.names_bytes - 1] == 0;
    if (!fits) return false;
    code->scratch_bytes = head.scratch_bytes;
    code->phase_count = head.phase_count;
    code->symbols = arena_array(&code->arena, const char *, head.phase_count + 1);
    const char *at = names, *end = names + head.names_bytes;
    for (uint32_t k = 0; k < head.phase_count; k++) {
        if (at >= end) return false;
        code->symbols[k] = str_copy(&code->arena, str_of(at)).data;
        at += strlen(at) + 1;
    }
    left -= head.names_bytes;
    code->file = (Str){arena_copy(&code->arena, end, left), left};
    return true;
}

typedef struct LoadJob {
    Arena *arena;
    Str saved;
    LlvmCode *code;
    bool ok;
} LoadJob;

static void load(void *self)
{
    LoadJob *job = self;
    job->code = code_new(job->arena);
    job->ok = read_saved(job->code, job->saved) && link_own(job->code);
}

static void end_load(void *self)
{
    LoadJob *job = self;
    if (job->code) job->code->arena.out_of_memory = NULL;
    if (!job->ok) llvm_code_free(job->code);
}

LlvmCode *llvm_code_load(Str saved, Arena *arena)
{
    double start = clock_ms();
    LoadJob job = {.arena = arena, .saved = saved};
    arena_finally(arena, load, end_load, &job);
    if (!job.ok) return NULL;
    job.code->compile_ms = clock_ms() - start;
    return job.code;
}

uint32_t llvm_code_phase_count(const LlvmCode *code)
{
    return code->phase_count;
}
PhaseFn *llvm_code_phase(const LlvmCode *code, uint32_t phase)
{
    return code->phases[phase];
}
int64_t llvm_code_scratch_bytes(const LlvmCode *code)
{
    return code->scratch_bytes;
}

double llvm_code_compile_ms(const LlvmCode *code, double *passes_ms, double *codegen_ms)
{
    if (passes_ms) *passes_ms = code->passes_ms;
    if (codegen_ms) *codegen_ms = code->codegen_ms;
    return code->compile_ms;
}
