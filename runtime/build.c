// Compiling kernels ahead of time: for each function of a library, each set of optional tensors,
// each variant asked for and each CPU, an exec as any other, but for sizes that are not known; then
// all their code as one object, and tables for the runtime that goes with it (runtime/aot).
#include "runtime/build.h"

#include "runtime/aot/embedded.h"

enum { OPTIONAL_MOST = 4, KIB = 1024, MIB = 1024 * 1024 };

// ---- CPUs

typedef struct KnownLevel {
    const char *architecture, *cpu, *features;
    uint32_t number; // as runtime/aot/run.c finds it
} KnownLevel;

static const KnownLevel known_levels[] = {
    {"x86_64", "x86-64-v4", NULL, 4},
    {"x86_64", "x86-64-v3", NULL, 3},
    {"x86_64", "x86-64-v2", NULL, 2},
    {"aarch64", "generic", NULL, 0},
    {"riscv64", "generic-rv64", "+m,+a,+f,+d,+c,+v", 1},
    {"riscv64", "generic-rv64", "+m,+a,+f,+d,+c", 0},
};

static bool is_architecture(const char *triple, const char *name)
{
    size_t length = strlen(name);
    return strncmp(triple, name, length) == 0 && triple[length] == '-';
}

// The machine of the build has no say in what is built: caches and cores are those of no one.
static bool add_level(hk_build *build, Level level)
{
    level.machine = (Machine){.vector_bytes = 16,
                              .vector_registers = 16,
                              .l1_bytes = 32 * KIB,
                              .l2_bytes = 512 * KIB,
                              .l3_bytes = 16 * MIB,
                              .cores = 8};
    if (!llvm_machine(&level.target, &level.machine, &build->diags)) return false;
    machine_assume_rates(&level.machine);
    bool x86 = level.machine.isa && strcmp(level.machine.isa, "x86-64") == 0;
    uint32_t bytes = level.machine.vector_bytes;
    if (x86 && !level.number) level.number = bytes >= 64 ? 4 : bytes >= 32 ? 3 : 2;
    build->levels[build->level_count++] = level;
    return true;
}

static bool add_native(hk_build *build)
{
    Level level = {.number = 0};
    if (!build->is_native) {
        diag_add(&build->diags, DIAG_BUILD, (Span){0},
                 "the CPU 'native' is this machine's, which '%s' is not", build->triple);
        return false;
    }
    machine_detect(&level.machine, NULL, &build->diags);
    level.machine.tiles_bf16 = level.machine.tiles_i8 = false; // nobody asks the kernel for them
    level.number = level.machine.vector_bytes >= 64 ? 4 : level.machine.vector_bytes >= 32 ? 3 : 2;
    if (!level.machine.isa || strcmp(level.machine.isa, "x86-64") != 0) level.number = 0;
    build->levels[build->level_count++] = level;
    return true;
}

static bool find_levels(hk_build *build, const char *cpus)
{
    enum { LEVELS_MOST = 16 };
    Arena *arena = &build->arena;
    Str host = llvm_host_triple(arena, &build->diags);
    if (build->diags.error_count) return false;
    const char *triple = build->triple ? build->triple : host.data;
    build->is_native = strncmp(triple, host.data, strcspn(host.data, "-") + 1) == 0;
    build->sign_extends = is_architecture(triple, "riscv64");
    build->levels = arena_array(arena, Level, LEVELS_MOST);
    for (size_t k = 0; !cpus && k < sizeof known_levels / sizeof *known_levels; k++) {
        const KnownLevel *known = &known_levels[k];
        Level level = {{build->triple, known->cpu, known->features}, known->number, {0}};
        if (is_architecture(triple, known->architecture) && !add_level(build, level)) return false;
    }
    for (const char *at = cpus; at && *at && build->level_count < LEVELS_MOST;) {
        size_t length = strcspn(at, ",");
        const char *cpu = str_copy(arena, (Str){at, length}).data;
        Level level = {{build->triple, cpu, NULL}, 0, {0}};
        bool ok = strcmp(cpu, "native") == 0 ? add_native(build) : add_level(build, level);
        if (!ok) return false;
        at += length + (at[length] == ',');
    }
    if (build->level_count) return true;
    // An unknown architecture: its own message.
    return add_level(build, (Level){{build->triple, cpus, NULL}, 0, {0}});
}

// ---- instances and variants

static int64_t *variant_dims(Arena *arena, const Func *f, const hk_build_variant *variant)
{
    int64_t *dims = arena_array(arena, int64_t, f->dims.count + 1);
    for (uint32_t d = 0; d < f->dims.count; d++) {
        dims[d] = -1;
        for (size_t k = 0; k < variant->dim_count; k++)
            if (str_is(f->dims.data[d].name, variant->dims[k].name))
                dims[d] = variant->dims[k].value;
    }
    return dims;
}

static Slot *given_slots(Arena *arena, const hk_kernel *kernel, uint32_t given)
{
    Slot *slots = arena_array(arena, Slot, kernel->param_count + 1);
    for (size_t k = 0; k < kernel->param_count; k++) {
        const hk_param *param = &kernel->params[k];
        if (param->kind == HK_PARAM_SCALAR) { // in C every scalar is given
            const Node *type = ast_kid(kernel->node, 1)->kids[k]->kids[0];
            slots[k].given = (type->flags & NODE_FLAG_OPTIONAL) != 0;
            slots[k].scalar.kind = HK_ARG_INT;
            continue;
        }
        slots[k].given = slots[k].wanted = !param->optional || given >> k & 1;
    }
    return slots;
}

static hk_status compile_code(hk_build *build, const Function *function, uint32_t given,
                              const hk_build_variant *variant, const Level *level, hk_exec **exec,
                              hk_error **error)
{
    Request request = {.defines = (hk_define *)function->asked->defines,
                       .define_count = function->asked->define_count,
                       .args_known = true,
                       .slots = given_slots(&build->arena, function->kernel, given),
                       .slot_count = function->kernel->param_count,
                       .dims = (hk_dim *)variant->dims,
                       .dim_count = variant->dim_count,
                       .config = str_of(variant->config),
                       .has_config = variant->config != NULL,
                       .tuned = str_of(variant->tuned),
                       .target = HK_TARGET_CPU,
                       .stage = HK_STAGE_LOOP,
                       .ahead = true,
                       .machine = &level->machine};
    return exec_make(function->kernel, &request, exec, error);
}

// The scheduler cannot do without some size, or a tuned Config is not one of this CPU.
static bool may_leave_out(const hk_build_variant *variant, const hk_error *error)
{
    hk_diag diag = {.struct_size = sizeof diag};
    for (size_t k = 0; hk_error_diag(error, k, &diag) == HK_OK; k++) {
        bool knob = diag.number == DIAG_KNOB_RANGE || diag.number == DIAG_KNOB_UNKNOWN;
        if (diag.severity == HK_ERROR && diag.number != DIAG_NOT_SUPPORTED &&
            !(knob && variant->tuned))
            return false;
    }
    return variant->optional && hk_error_diag_count(error);
}

static void keep_error(hk_build *build, hk_status status, hk_error *error)
{
    hk_error_free(build->error);
    build->status = status;
    build->error = error;
}

static bool compile_variant(hk_build *build, Function *function, Instance *instance,
                            const hk_build_variant *variant)
{
    Arena *arena = &build->arena;
    for (uint32_t k = 0; k < build->level_count; k++) {
        Code code = {.level = &build->levels[k]};
        hk_error *error = NULL;
        vec_reserve(arena, &instance->codes, instance->codes.count + 1);
        hk_status status =
            compile_code(build, function, instance->given, variant, code.level, &code.exec, &error);
        if (status != HK_OK) {
            keep_error(build, status, error);
            if (!may_leave_out(variant, error)) return false;
            continue;
        }
        vec_push(arena, &instance->codes, code);
        Code *kept = &vec_last(&instance->codes);
        kept->dims = variant_dims(arena, code.exec->tile, variant);
        uint32_t number = instance->codes.count - 1;
        kept->prefix = str_format(arena, "%s.%u", instance->prefix, number).data;
    }
    return true;
}

static bool compile_instance(hk_build *build, Function *function, Instance *instance)
{
    static const hk_build_variant any = {0};
    const hk_build_kernel *asked = function->asked;
    size_t count = asked->variant_count ? asked->variant_count : 1;
    for (size_t k = 0; k < count; k++) {
        const hk_build_variant *variant = asked->variant_count ? &asked->variants[k] : &any;
        if (!compile_variant(build, function, instance, variant)) return false;
    }
    if (!instance->codes.count) return false;
    keep_error(build, HK_OK, NULL); // of what was left out
    return true;
}

// The bits of `all` that the number's bits choose.
static uint32_t spread_bits(uint32_t number, uint32_t all)
{
    uint32_t result = 0;
    for (uint32_t bit = 0; bit < 32; bit++) {
        if (!(all >> bit & 1)) continue;
        result |= (number & 1) << bit;
        number >>= 1;
    }
    return result;
}

static bool choose_all(hk_build *build, Function *function, uint32_t optional)
{
    uint32_t count = (uint32_t)__builtin_popcount(optional);
    if (count > OPTIONAL_MOST) {
        Diag *diag = diag_add(&build->diags, DIAG_BUILD, function->kernel->node->text_span,
                              "kernel %s has %u optional tensors: there would be code for each of "
                              "%u choices",
                              function->kernel->name, count, 1u << count);
        diag_hint(&build->diags, diag, "say which choices are wanted: hako build --given A,B");
        return false;
    }
    function->instances = arena_array(&build->arena, Instance, (size_t)1 << count);
    function->instance_count = 1u << count; // free_execs looks at them
    for (uint32_t k = 0; k < function->instance_count; k++)
        function->instances[k].given = spread_bits(k, optional);
    return true;
}

// The bits of the names in a list. False after an error.
static bool bits_of(hk_build *build, const hk_kernel *kernel, uint32_t optional, const char *list,
                    uint32_t *bits)
{
    for (const char *at = list; *at;) {
        size_t n = strcspn(at, ","), k = 0;
        while (k < kernel->param_count &&
               (strlen(kernel->params[k].name) != n || memcmp(kernel->params[k].name, at, n)))
            k++;
        if (k >= kernel->param_count || !(optional >> k & 1)) {
            diag_add(&build->diags, DIAG_BUILD, kernel->node->text_span,
                     "kernel %s has no optional tensor '%.*s'", kernel->name, (int)n, at);
            return false;
        }
        *bits |= (uint32_t)1 << k;
        at += n + (at[n] == ',');
    }
    return true;
}

static bool choose_asked(hk_build *build, Function *function, uint32_t optional)
{
    const hk_build_kernel *asked = function->asked;
    function->instances = arena_array(&build->arena, Instance, asked->choice_count);
    for (size_t k = 0; k < asked->choice_count; k++) {
        Instance *next = &function->instances[function->instance_count];
        if (!bits_of(build, function->kernel, optional, asked->choices[k], &next->given))
            return false;
        bool again = false;
        for (uint32_t i = 0; i < function->instance_count; i++)
            again |= function->instances[i].given == next->given;
        if (again)
            next->given = 0;
        else
            function->instance_count++;
    }
    return true;
}

static bool compile_function(hk_build *build, Function *function)
{
    const hk_kernel *kernel = function->kernel;
    uint32_t optional = 0;
    build->diags.sources = &kernel->module->sources;
    for (size_t k = 0; k < kernel->param_count && k < 32; k++) {
        const hk_param *param = &kernel->params[k];
        if (param->optional && param->kind != HK_PARAM_SCALAR) optional |= (uint32_t)1 << k;
    }
    bool chosen = function->asked->choice_count ? choose_asked(build, function, optional)
                                                : choose_all(build, function, optional);
    if (!chosen) return false;
    for (uint32_t k = 0; k < function->instance_count; k++) {
        Instance *instance = &function->instances[k];
        instance->prefix = str_format(&build->arena, "%s.%u", function->symbol, k).data;
        if (!compile_instance(build, function, instance)) return false;
    }
    return function_tables(build, function);
}

// ---- names

// Words of C and C++, and functions that a program that uses the library has anyway.
static const char reserved[] =
    " alignas alignof and and_eq asm auto bitand bitor bool break case catch char class compl "
    "const "
    "constexpr continue decltype default delete do double else enum explicit export extern false "
    "float for friend goto if inline int long mutable namespace new noexcept not not_eq nullptr "
    "operator or or_eq private protected public register restrict return short signed sizeof "
    "static "
    "struct switch template this throw true try typedef typeid typename union unsigned using "
    "virtual void volatile wchar_t while xor xor_eq main abort abs acos asin atan atan2 atof atoi "
    "calloc cbrt ceil copysign cos cosh div erf erfc exit exp exp2 expm1 fabs floor fma fmax fmin "
    "fmod free frexp gamma getenv hypot index j0 j1 labs ldexp lgamma log log10 log1p log2 logb "
    "lrint lround malloc memchr memcmp memcpy memmove memset modf pow printf puts qsort rand "
    "random read realloc remainder remove rename rint round scanf signal sin sinh sqrt srand "
    "strlen system tan tanh tgamma time trunc write y0 y1 ";

static bool is_name(const char *name)
{
    size_t length = name ? strlen(name) : 0;
    return length && length < 128 && !(name[0] >= '0' && name[0] <= '9') &&
           strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_") ==
               length;
}

bool build_name_taken(Arena *arena, const char *name)
{
    return strstr(reserved, str_format(arena, " %s ", name).data) != NULL;
}

static bool check_symbol(hk_build *build, const char *symbol, uint32_t index)
{
    Diag *diag = NULL;
    if (!is_name(symbol) || build_name_taken(&build->arena, symbol) ||
        strncmp(symbol, "hako", 4) == 0)
        diag = diag_add(&build->diags, DIAG_BUILD, (Span){0},
                        "'%s' cannot be the name of a function in C", symbol);
    for (uint32_t k = 0; k < index && !diag; k++)
        if (strcmp(build->functions[k].symbol, symbol) == 0)
            diag = diag_add(&build->diags, DIAG_BUILD, (Span){0},
                            "two functions of the library would be called '%s'", symbol);
    if (diag) diag_hint(&build->diags, diag, "give functions a prefix (hako build --prefix)");
    return !diag;
}

// ---- the public calls

typedef struct BuildJob {
    Arena arena;
    const hk_build_options *options;
    hk_build *build;
} BuildJob;

static bool link_all(hk_build *build)
{
    return llvm_library_add_text(build->library, library_text(build), &build->diags);
}

static void emit_all(hk_build *build)
{
    static const LlvmForm forms[] = {LLVM_FORM_IR, LLVM_FORM_ASM, LLVM_FORM_OBJECT};
    Str *results[] = {&build->llvm, &build->assembly, &build->object};
    for (unsigned k = 0; k < 3; k++) {
        Buf out = {.arena = &build->arena};
        if (!llvm_library_emit(build->library, forms[k], &out, &build->diags)) return;
        *results[k] = buf_view(&out);
    }
    build->header = library_header(build);
}

static void free_execs(hk_build *build)
{
    for (uint32_t f = 0; f < build->function_count; f++) {
        for (uint32_t i = 0; i < build->functions[f].instance_count; i++) {
            Instance *instance = &build->functions[f].instances[i];
            for (uint32_t k = 0; k < instance->codes.count; k++)
                exec_destroy(instance->codes.data[k].exec);
            instance->codes.count = 0;
        }
    }
}

static void build_all(void *self)
{
    BuildJob *job = self;
    const hk_build_options *o = job->options;
    hk_build *build = arena_new(&job->arena, hk_build);
    build->arena = job->arena; // from here on the object owns the arena
    job->build = build;
    Arena *arena = build->diags.arena = &build->arena;
    build->name = str_copy(arena, str_of(o->name)).data;
    if (o->triple && o->triple[0]) build->triple = str_copy(arena, str_of(o->triple)).data;
    if (!is_name(o->name)) {
        diag_add(&build->diags, DIAG_BUILD, (Span){0},
                 "'%s' cannot be a library's name: letters, digits and _, as names in C", o->name);
        return;
    }
    if (!find_levels(build, o->cpus && o->cpus[0] ? o->cpus : NULL)) return;
    const LlvmTarget *base = &build->levels[build->level_count - 1].target;
    build->library = llvm_library_new(o->name, base, &build->diags);
    if (!build->library) return;
    build->functions = arena_array(arena, Function, o->kernel_count + 1);
    for (size_t k = 0; k < o->kernel_count; k++) {
        const hk_build_kernel *asked = &o->kernels[k];
        const char *symbol = asked->symbol ? asked->symbol : asked->kernel->name;
        build->functions[k] = (Function){.kernel = asked->kernel,
                                         .symbol = str_copy(arena, str_of(symbol)).data,
                                         .asked = asked};
        build->function_count++;
        if (!check_symbol(build, symbol, (uint32_t)k)) return;
        if (!compile_function(build, &build->functions[k])) return;
    }
    if (link_all(build)) emit_all(build);
}

static bool options_fit(const hk_build_options *o)
{
    if (o->struct_size != sizeof *o || !o->name || !o->kernel_count || !o->kernels) return false;
    for (size_t k = 0; k < o->kernel_count; k++)
        if (!o->kernels[k].kernel || (o->kernels[k].choice_count && !o->kernels[k].choices))
            return false;
    return true;
}

hk_status hk_build_create(hk_context *context, const hk_build_options *options, hk_build **build,
                          hk_error **error)
{
    if (error) *error = NULL;
    if (build) *build = NULL;
    if (!context || !options || !build || !options_fit(options))
        return fail_usage(error, "hk_build_create: malformed options, or an argument is NULL");
    const Allocator *allocator = &context->allocator;
    BuildJob job = {.options = options};
    arena_init(&job.arena, allocator);
    bool enough = guarded(&job.arena, build_all, &job);
    hk_build *made = job.build;
    hk_status status = made ? made->status : HK_OK;
    if (made) free_execs(made);
    if (made) llvm_library_free(made->library);
    if (!enough) {
        status = fail(allocator, error, HK_ERROR_MEMORY, DIAG_MEMORY, "out of memory");
    } else if (made->diags.error_count) {
        status = fail_with(allocator, error, HK_ERROR_DIAGNOSTICS, &made->diags);
    } else if (status != HK_OK && error) {
        *error = made->error;
        made->error = NULL;
    }
    if (status == HK_OK) {
        made->arena.out_of_memory = NULL;
        *build = made;
    } else if (made) {
        hk_build_free(made);
    } else {
        arena_free(&job.arena);
    }
    return status;
}

void hk_build_free(hk_build *build)
{
    if (!build) return;
    hk_error_free(build->error);
    Arena arena = build->arena;
    arena_free(&arena);
}

hk_status hk_build_artifact(const hk_build *build, hk_artifact artifact, hk_text **text,
                            hk_error **error)
{
    if (error) *error = NULL;
    if (text) *text = NULL;
    if (!build || !text || (unsigned)artifact > HK_ARTIFACT_ASM)
        return fail_usage(error, "hk_build_artifact: an argument is NULL, or there is no such one");
    const Allocator *allocator = &build->arena.allocator;
    if (artifact == HK_ARTIFACT_RUNTIME_OBJECT && !build->is_native)
        return fail(allocator, error, HK_ERROR_ENVIRONMENT, DIAG_BUILD,
                    "the runtime is at hand compiled for this machine only; compile its source");
    const Str all[] = {
        [HK_ARTIFACT_OBJECT] = build->object,
        [HK_ARTIFACT_HEADER] = build->header,
        [HK_ARTIFACT_RUNTIME_OBJECT] = {aot_runtime_object,
                                        (size_t)(aot_runtime_object_end - aot_runtime_object)},
        [HK_ARTIFACT_RUNTIME_SOURCE] = {aot_runtime_source,
                                        (size_t)(aot_runtime_source_end - aot_runtime_source)},
        [HK_ARTIFACT_LLVM] = build->llvm,
        [HK_ARTIFACT_ASM] = build->assembly};
    return text_new(allocator, all[artifact], text, error);
}
