// The whole compiler, in order: source to Tile IR to Loop IR to code.
#include "runtime/cache.h"
#include "runtime/cost.h"
#include "runtime/fault.h"
#include "runtime/internal.h"

typedef struct Compilation {
    hk_exec *exec;
    const Slot *slots;
    DiagList *diags;
    Config *tuned;  // what a database knows, may be NULL
    Config *given;  // the user's, may be NULL
    Config *merged; // tuned, `config` blocks of the source on top, the user's on top of them
    bool blocks;    // ... there are such
    PassContext passes;
    double pass_ms[PASS_COUNT];
    double started;
} Compilation;

static void time_step(Compilation *c, const char *name)
{
    double now = clock_ms();
    vec_push(&c->exec->arena, &c->exec->timing, (TimedStep){name, now - c->started});
    c->started = now;
}

// ---- the instance

static InstanceSpec instance_spec(Compilation *c)
{
    const hk_exec *exec = c->exec;
    const Request *request = &exec->request;
    Arena *arena = &c->exec->arena;
    InstanceSpec spec = {.tensors_known = request->args_known,
                         .types_guessed = request->ahead,
                         .config = c->merged};
    Define *defines = arena_array(arena, Define, request->define_count + 1);
    for (size_t i = 0; i < request->define_count; i++) {
        defines[i] = (Define){str_of(request->defines[i].name), str_of(request->defines[i].value)};
    }
    TensorArg *tensors = arena_array(arena, TensorArg, exec->kernel->param_count + 1);
    for (size_t i = 0; i < exec->kernel->param_count; i++) {
        const Slot *slot = &c->slots[i];
        if (!slot->given) continue;
        tensors[spec.tensor_count++] =
            (TensorArg){str_of(exec->kernel->params[i].name), slot->view.dtype, slot->view.rank};
    }
    spec.defines = defines;
    spec.define_count = (uint32_t)request->define_count;
    spec.tensors = tensors;
    return spec;
}

static uint32_t param_named(const hk_kernel *kernel, Str name)
{
    for (size_t i = 0; i < kernel->param_count; i++) {
        if (str_is(name, kernel->params[i].name)) return (uint32_t)i;
    }
    return UINT32_MAX;
}

static bool mem_is_param(const MemInfo *mem)
{
    return mem->kind == MEM_IN || mem->kind == MEM_OUT || mem->kind == MEM_INOUT;
}

uint32_t *slots_of_mems(Arena *arena, const hk_kernel *kernel, const Func *f)
{
    uint32_t *slots = arena_array(arena, uint32_t, f->mems.count + 1);
    for (uint32_t m = 0; m < f->mems.count; m++) {
        bool param = m && mem_is_param(mem_at(f, (Mem){m}));
        slots[m] = param ? param_named(kernel, mem_at(f, (Mem){m})->name) : UINT32_MAX;
    }
    return slots;
}

// The module with this compilation's memory, so that many threads may work on one module: its trees
// are only read.
static Module private_module(Compilation *c)
{
    Module module = *c->exec->kernel->module->parsed;
    module.arena = &c->exec->arena;
    module.sources = &c->exec->sources;
    module.files.capacity = module.files.count; // so that adding copies
    return module;
}

static Func *front_end(Compilation *c)
{
    Module parsed = private_module(c);
    InstanceSpec spec = instance_spec(c);
    return kernel_instantiate(&parsed, str_of(c->exec->kernel->name), &spec, c->diags);
}

static bool instantiate(Compilation *c)
{
    hk_exec *exec = c->exec;
    Arena *arena = &exec->arena;
    Func *f = front_end(c);
    time_step(c, "instantiate");
    if (!f || c->diags->error_count) return false;
    exec->tile = f;
    exec->slot_of_mem = slots_of_mems(arena, exec->kernel, f);
    exec->slot_of_arg = arena_array(arena, uint32_t, f->args.count + 1);
    for (uint32_t a = 0; a < f->args.count; a++) {
        exec->slot_of_arg[a] = param_named(exec->kernel, f->args.data[a].name);
    }
    return true;
}

// ---- passes

static bool run_passes(Compilation *c, Func *f, const PassId *ids, uint32_t count)
{
    double before[PASS_COUNT];
    memcpy(before, c->pass_ms, sizeof before);
    bool ok = passes_run(f, ids, count, &c->passes);
    for (uint32_t i = 0; i < count; i++) {
        double ms = c->pass_ms[ids[i]] - before[ids[i]];
        bool counted = false; // a pass may be listed twice
        for (uint32_t k = 0; k < i; k++) counted |= ids[k] == ids[i];
        if (!counted)
            vec_push(&c->exec->arena, &c->exec->timing, (TimedStep){pass_info[ids[i]].name, ms});
    }
    c->started = clock_ms();
    return ok;
}

static bool parse_disabled(Compilation *c)
{
    Str list = c->exec->request.disabled;
    for (size_t at = 0; at < list.length;) {
        size_t end = at;
        while (end < list.length && list.data[end] != ',') end++;
        Str name = {list.data + at, end - at};
        PassId id;
        if (!pass_find(name, &id)) {
            diag_add(c->diags, DIAG_PASS_UNKNOWN, (Span){0}, "there is no pass '%.*s'",
                     STR_ARG(name));
            return false;
        }
        c->passes.disabled |= (uint64_t)1 << id;
        at = end + 1;
    }
    return true;
}

// ---- sizes

static bool all_dims_known(const Func *f, const int64_t *dims)
{
    for (uint32_t d = 0; d < f->dims.count; d++) {
        if (dims[d] < 0) return false;
    }
    return true;
}

// Marks the scalar arguments that v, a value of the prologue, is computed from.
static void mark_args(const Func *f, Value v, bool *marks)
{
    const Inst *in = value_def(f, v);
    if (!in) return;
    if (in->op == OP_ARG) marks[in->attr.ref] = true;
    for (unsigned k = 0; k < in->arg_count; k++) mark_args(f, inst_arg(f, in, k), marks);
}

static bool *args_in_sizes(Arena *arena, const Func *f)
{
    bool *marks = arena_array(arena, bool, f->args.count + 1);
    for_each_inst(f, f->body, id) {
        const Inst *in = inst_at(f, id);
        if (in->op != OP_TENSOR) continue;
        for (unsigned k = 0; k < in->arg_count; k++) mark_args(f, inst_arg(f, in, k), marks);
    }
    return marks;
}

// Some sizes are those of each launch.
static bool is_symbolic(const Request *request)
{
    return request->ahead || request->free_dim_count;
}

static void forget_free_dims(hk_exec *exec)
{
    for (uint32_t d = 0; d < exec->tile->dims.count; d++)
        for (size_t k = 0; k < exec->request.free_dim_count; k++)
            if (strcmp(exec->dim_names[d], exec->request.free_dims[k]) == 0) exec->dims[d] = -1;
}

// Dims, scalars and shapes as far as the arguments tell; all of them unless only Tile IR, or code
// for any sizes, is wanted.
static bool bind_sizes(Compilation *c)
{
    hk_exec *exec = c->exec;
    Arena *arena = &exec->arena;
    const Func *f = exec->tile;
    bool all = exec->request.stage != HK_STAGE_TILE && !is_symbolic(&exec->request);
    exec->dims = arena_array(arena, int64_t, f->dims.count + 1);
    exec->dim_names = arena_array(arena, const char *, f->dims.count + 1);
    for (uint32_t d = 0; d < f->dims.count; d++)
        exec->dim_names[d] = str_copy(arena, f->dims.data[d].name).data;
    Scalars scalars = {arena_array(arena, uint64_t, f->args.count + 1),
                       arena_array(arena, bool, f->args.count + 1)};
    exec->sizes_arg = args_in_sizes(arena, f);
    if (!scalars_bind(exec, c->slots, &scalars, c->diags) ||
        !dims_bind(exec, c->slots, &exec->request, &scalars, all, exec->dims, c->diags))
        return false;
    forget_free_dims(exec);
    exec->values = arena_array(arena, uint64_t, f->values.count + 1);
    for (uint32_t missing; all_dims_known(f, exec->dims);) {
        exec->shapes_known =
            prologue_eval(f, exec->dims, scalars.bits, scalars.given, exec->values, &missing);
        if (exec->shapes_known || missing >= f->args.count) break;
        scalars.given[missing] = true; // a launch will bring it
    }
    exec_describe_params(exec);
    return slots_check(exec, c->slots, exec->shapes_known ? exec->values : NULL, c->diags);
}

// Of a compact tensor, as far as its sizes are constants.
static void constant_strides(const Func *f, Mem m, int64_t *strides)
{
    const Inst *decl = inst_at(f, mem_at(f, m)->decl);
    int64_t known[RANK_MAX], step[RANK_MAX], size;
    uint32_t rank = mem_at(f, m)->rank, first = rank ? rank - 1 : 0;
    for (uint32_t p = 0; p < rank; p++) known[p] = 1;
    for (uint32_t p = rank; p-- > 1;) {
        if (!value_const_int(f, inst_arg(f, decl, p), &size)) break;
        known[p] = size;
        first = p - 1;
    }
    compact_strides(mem_at(f, m)->dtype, rank, known, step);
    for (uint32_t p = 0; p < rank; p++) strides[p] = p < first ? INT64_MIN : step[p];
}

// Strides that code may rely on: those of compact tensors, and an inner stride of 1.
static void known_strides(Compilation *c)
{
    hk_exec *exec = c->exec;
    const Func *f = exec->tile;
    const uint32_t own = exec->optimised ? exec->optimised->mems.count : 0; // with what passes made
    const uint32_t count = (own > f->mems.count ? own : f->mems.count) * RANK_MAX;
    exec->strides = arena_array(&exec->arena, int64_t, count);
    for (uint32_t k = 0; k < count; k++) exec->strides[k] = INT64_MIN;
    for (uint32_t m = 1; m < f->mems.count; m++) {
        const MemInfo *mem = mem_at(f, (Mem){m});
        int64_t shape[RANK_MAX], *strides = &exec->strides[m * RANK_MAX];
        if (exec->optimised && is_symbolic(&exec->request)) {
            constant_strides(exec->optimised, (Mem){m}, strides);
        } else {
            for (uint32_t p = 0; p < mem->rank; p++)
                shape[p] = mem_size(f, (Mem){m}, p, exec->values);
            compact_strides(mem->dtype, mem->rank, shape, strides);
        }
        uint32_t slot = exec->slot_of_mem[m];
        if (slot == UINT32_MAX || !c->slots[slot].view.given) continue;
        const TensorView *view = &c->slots[slot].view;
        bool compact = view_is_compact(view);
        for (uint32_t p = 0; p < mem->rank; p++) {
            if (!compact && view->strides[p] != 1) strides[p] = INT64_MIN;
            if (!compact && view->strides[p] == 1) strides[p] = 1;
        }
    }
}

// ---- the Config

static void config_lay(Config *under, const Config *over)
{
    for (uint32_t i = 0; over && i < over->knobs.count; i++)
        config_set(under, over->knobs.data[i].name, over->knobs.data[i].value);
}

static Config *parse_config(Compilation *c, const char *name, Str text)
{
    uint32_t source = source_add(&c->exec->sources, str_of(name), text);
    return config_parse(&c->exec->arena, text, c->diags, source);
}

static bool is_tunable(const hk_kernel *kernel, Str name)
{
    for (size_t i = 0; i < kernel->tunable_count; i++) {
        if (str_is(name, kernel->tunables[i].name)) return true;
    }
    return false;
}

// What the words of `config ... on "words"` may be.
static Str target_words(const Compilation *c)
{
    const Machine *machine = c->passes.machine;
    if (c->exec->request.target == HK_TARGET_OPENCL) return STR("opencl");
    if (!machine->isa) return STR("cpu");
    bool x86 = strcmp(machine->isa, "x86-64") == 0, arm = strcmp(machine->isa, "aarch64") == 0;
    return str_format(&c->exec->arena, "cpu %s%s%s%s", machine->isa, arm ? " neon" : "",
                      x86 && machine->vector_bytes >= 32 ? " avx2" : "",
                      x86 && machine->vector_bytes >= 64 ? " avx512" : "");
}

// Adds what the source's `config` blocks say for these sizes. True if that changes a value that the
// instance was made with.
static bool merge_config_blocks(Compilation *c)
{
    hk_exec *exec = c->exec;
    Arena *arena = &exec->arena;
    const Func *f = exec->tile;
    Str *names = arena_array(arena, Str, f->dims.count + 1);
    for (uint32_t d = 0; d < f->dims.count; d++) names[d] = f->dims.data[d].name;
    Module parsed = private_module(c);
    uint32_t known = all_dims_known(f, exec->dims) ? f->dims.count : 0; // else no condition holds
    Config *block = module_config(&parsed, str_of(exec->kernel->name), target_words(c), names,
                                  exec->dims, known, c->diags);
    if (!block) return false;
    c->blocks = true;
    Config *merged = c->tuned ? config_clone(arena, c->tuned) : config_new(arena);
    config_lay(merged, block);
    config_lay(merged, c->given);
    bool changed = false;
    for (uint32_t i = 0; i < merged->knobs.count; i++) {
        int64_t before;
        const Knob *knob = &merged->knobs.data[i];
        bool same =
            c->merged && config_get(c->merged, knob->name, &before) && before == knob->value;
        changed |= !same && is_tunable(exec->kernel, knob->name);
    }
    c->merged = merged;
    return changed;
}

// What may vary: the space's knobs, then the kernel's own tunables, which the instance was made
// with.
static void reflect_knobs(hk_exec *exec)
{
    const Space *space = exec->space;
    const hk_kernel *kernel = exec->kernel;
    exec->knobs =
        arena_array(&exec->arena, hk_tunable, space->knobs.count + kernel->tunable_count + 1);
    for (uint32_t k = 0; k < space->knobs.count; k++) {
        const SpaceKnob *knob = &space->knobs.data[k];
        int64_t initial = 0;
        config_get(exec->config, knob->name, &initial);
        exec->knobs[exec->knob_count++] =
            (hk_tunable){.struct_size = sizeof(hk_tunable),
                         .name = str_copy(&exec->arena, knob->name).data,
                         .choices = knob->choices,
                         .choice_count = knob->choice_count,
                         .initial = initial};
    }
    for (size_t t = 0; t < kernel->tunable_count; t++) {
        hk_tunable *knob = &exec->knobs[exec->knob_count++];
        *knob = kernel->tunables[t];
        config_get(exec->config, str_of(knob->name), &knob->initial);
    }
}

// Where a Config that the user did not type comes from.
static void note_blocks(const Compilation *c)
{
    const Diag *last = c->diags->diags.data[c->diags->diags.count - 1];
    if (c->blocks)
        diag_note(c->diags, (Diag *)last, (Span){0},
                  "`config` blocks for these sizes, of the source or of a .hkt file beside it, are "
                  "part of the Config");
}

static double bytes_moved(const hk_exec *exec, const Cost *cost)
{
    double bytes = 0;
    for (uint32_t m = 1; m < exec->tile->mems.count; m++) bytes += cost->mem_bytes[m];
    return bytes;
}

// Whether a launch takes a CPU milliseconds.
static bool is_long(hk_exec *exec)
{
    static const double BYTES = 16e6, FLOPS = 1e8;
    if (is_symbolic(&exec->request)) return false;
    Cost cost = cost_estimate(&exec->arena, exec->tile, exec->values);
    return bytes_moved(exec, &cost) > BYTES || cost.flops > FLOPS;
}

static bool complete_config(Compilation *c)
{
    hk_exec *exec = c->exec;
    Machine *machine = arena_copy(&exec->arena, exec->machine, sizeof *machine);
    int64_t group = 0, lanes = 0, buffers, unroll;
    if (c->merged) config_get(c->merged, STR("group"), &group);
    if (c->merged) config_get(c->merged, STR("lanes"), &lanes);
    if (exec->request.target == HK_TARGET_OPENCL)
        opencl_machine(exec->kernel->module->context->opencl, exec->request.device, group, lanes,
                       is_long(exec), machine);
    exec->machine = c->passes.machine = machine;
    if (!run_passes(c, exec->optimised, passes_axes, passes_axes_count)) return false;
    exec->config = config_default(&exec->arena, exec->optimised, c->passes.machine);
    exec->space = space_find(&exec->arena, exec->optimised, c->passes.machine, exec->config);
    const hk_kernel *kernel = exec->kernel;
    Str *tunables = arena_array(&exec->arena, Str, kernel->tunable_count + 1);
    for (size_t t = 0; t < kernel->tunable_count; t++)
        tunables[t] = str_of(kernel->tunables[t].name);
    if (!space_check(exec->optimised, c->merged, tunables, (uint32_t)kernel->tunable_count,
                     c->diags)) {
        note_blocks(c);
        return false;
    }
    config_lay(exec->config, c->merged);
    if (machine->is_gpu_style && config_get(exec->config, STR("group"), &group))
        machine->group = (uint32_t)group;
    if (config_get(exec->config, STR("buffers"), &buffers)) machine->buffers = (uint32_t)buffers;
    if (config_get(exec->config, STR("unroll"), &unroll)) machine->unroll = (uint32_t)unroll;
    c->passes.config = exec->config;
    reflect_knobs(exec);
    time_step(c, "config");
    return true;
}

// ---- the end

// All that code depends on; empty if it cannot be kept.
static Str cache_key(const Compilation *c)
{
    if (c->exec->kernel->module->context->has_target) return (Str){0};
    Str machine = llvm_code_key(&c->exec->arena);
    Buf key = {.arena = &c->exec->arena};
    if (!machine.length) return machine;
    buf_str(&key, machine);
    buf_char(&key, '\n');
    func_print(&key, c->exec->loop);
    return buf_view(&key);
}

static Str kept_get(void *folder, Arena *arena, Str key)
{
    return cache_get_file(arena, folder, key);
}

static void kept_put(void *folder, Arena *arena, Str key, Str binary)
{
    cache_put_file(arena, folder, key, binary);
}

static bool generate_opencl(Compilation *c)
{
    hk_exec *exec = c->exec;
    const hk_context *context = exec->kernel->module->context;
    const char *folder = context->code_cache;
    OpenclKeep keep = {kept_get, kept_put, (char *)folder};
    exec->opencl = opencl_compile(context->opencl, exec->request.device, exec->loop, exec->machine,
                                  exec->places, folder ? &keep : NULL, c->diags);
    bool kept = exec->opencl && opencl_code_was_kept(exec->opencl);
    time_step(c, kept ? "code cache" : "opencl");
    return exec->opencl != NULL;
}

static bool generate(Compilation *c)
{
    hk_exec *exec = c->exec;
    if (exec->request.target == HK_TARGET_OPENCL) return generate_opencl(c);
    const char *folder = exec->kernel->module->context->code_cache;
    Str key = folder ? cache_key(c) : (Str){0};
    Str saved = key.length ? cache_get_file(&exec->arena, folder, key) : (Str){0};
    if (saved.length) exec->llvm = llvm_code_load(saved, &exec->arena);
    time_step(c, "code cache");
    if (exec->llvm) return true;
    const hk_context *context = exec->kernel->module->context;
    exec->llvm = llvm_compile(exec->loop, context->has_target ? &context->target : NULL, c->diags);
    if (!exec->llvm) return false;
    if (key.length)
        cache_put_file(&exec->arena, folder, key, llvm_code_save(exec->llvm, &exec->arena));
    double passes_ms = 0, codegen_ms = 0;
    llvm_code_compile_ms(exec->llvm, &passes_ms, &codegen_ms);
    vec_push(&exec->arena, &exec->timing, (TimedStep){"llvm passes", passes_ms});
    vec_push(&exec->arena, &exec->timing, (TimedStep){"llvm codegen", codegen_ms});
    return true;
}

static bool stops_after(const Compilation *c, const PassId *ids, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        if (str_is(c->exec->request.stop_after, pass_info[ids[i]].name)) return true;
    }
    return false;
}

// Instance, checks and sizes; again if a `config` block changes the instance's tunables.
static bool make_tile(Compilation *c)
{
    for (int attempt = 0; attempt < 2; attempt++) {
        if (!instantiate(c) || !run_passes(c, c->exec->tile, passes_check, passes_check_count))
            return false;
        if (!bind_sizes(c)) return false;
        bool judged = c->exec->shapes_known || is_symbolic(&c->exec->request);
        if (!judged || !merge_config_blocks(c)) break;
    }
    return c->diags->error_count == 0;
}

// Tensors on a device may begin anywhere in their buffers.
static void place_tensors(Compilation *c)
{
    hk_exec *exec = c->exec;
    if (exec->request.target != HK_TARGET_OPENCL || !exec->request.args_known) return;
    exec->places = arena_array(&exec->arena, OpenclPlace, exec->loop->mems.count + 1);
    for (uint32_t m = 1; m < exec->loop->mems.count; m++) {
        uint32_t slot = exec->slot_of_loop_mem[m];
        if (slot != UINT32_MAX) exec->places[m] = place_of_slot(&c->slots[slot]);
    }
}

static int64_t scratch_bytes(const Func *loop)
{
    int64_t bytes = 0;
    for_each_inst(loop, loop->body, id) {
        const Inst *in = inst_at(loop, id);
        if (in->op != OP_SCRATCH) continue;
        uint32_t bits = dtype_info[mem_at(loop, (Mem){in->attr.ref})->dtype].bits;
        bytes += (int64_t)in->attr.bits * bits / 8;
    }
    return bytes;
}

// Sizes that only launches tell get the bound `most` where scratch depends on them.
static Func *schedule_up_to(Compilation *c, int64_t most, bool *bounded)
{
    hk_exec *exec = c->exec;
    Func *f = exec->optimised;
    memset(exec->most, 0, sizeof *exec->most * f->dims.count);
    for (*bounded = false;; *bounded = true) {
        uint32_t unbounded = UINT32_MAX;
        PassContext passes = c->passes;
        if (is_symbolic(&exec->request)) passes.unbounded = &unbounded;
        Func *loop = schedule(f, &passes);
        if (unbounded == UINT32_MAX) return loop;
        f = func_clone(&exec->arena, f);
        func_bound_dim(f, unbounded, most);
        exec->most[unbounded] = most;
    }
}

// With bounds as large as a moderate scratch allows.
static Func *schedule_all(Compilation *c)
{
    enum { MOST = 4096, LEAST = 256, SCRATCH_MODERATE = 1 << 20 };
    bool bounded;
    c->exec->most = arena_array(&c->exec->arena, int64_t, c->exec->optimised->dims.count + 1);
    Func *loop = schedule_up_to(c, MOST, &bounded);
    for (int64_t most = MOST / 2; loop && bounded && most >= LEAST; most /= 2) {
        if (scratch_bytes(loop) <= SCRATCH_MODERATE) break;
        loop = schedule_up_to(c, most, &bounded);
    }
    return loop;
}

static bool make_loop(Compilation *c)
{
    hk_exec *exec = c->exec;
    exec->optimised = func_clone(&exec->arena, exec->tile);
    func_specialise(exec->optimised, exec->dims);
    c->passes.config = c->merged;
    if (!complete_config(c)) return false;
    if (!run_passes(c, exec->optimised, passes_tile, passes_tile_count)) return false;
    if (stops_after(c, passes_tile, passes_tile_count)) return true;
    known_strides(c);
    c->passes.strides = exec->strides;
    exec->loop = schedule_all(c);
    time_step(c, "schedule");
    if (!exec->loop) return false;
    exec->slot_of_loop_mem = slots_of_mems(&exec->arena, exec->kernel, exec->loop);
    place_tensors(c);
    func_specialise_strides(exec->loop, exec->strides);
    if (!run_passes(c, exec->loop, passes_loop, passes_loop_count)) return false;
    fault_loop(exec->loop);
    return true;
}

// Waking others takes longer than some microseconds of work.
uint32_t exec_team(Arena *arena, const hk_exec *exec, const uint64_t *values)
{
    static const double BYTES_PER_NS = 15, FLOPS_PER_NS = 100, NS_WORTH = 8000;
    Cost cost = cost_estimate(arena, exec->tile, values);
    double ns = bytes_moved(exec, &cost) / BYTES_PER_NS + cost.flops / FLOPS_PER_NS;
    int64_t most;
    if (config_get(exec->config, STR("threads"), &most) && most < exec->threads)
        return (uint32_t)most;
    return cost.exact && ns < NS_WORTH ? 1 : exec->threads;
}

static bool compile_steps(Compilation *c)
{
    hk_exec *exec = c->exec;
    const Request *request = &exec->request;
    if (!parse_disabled(c) || !make_tile(c)) return false;
    if (request->stage == HK_STAGE_TILE) return true;
    if (request->target == HK_TARGET_INTERP) {
        exec->config = c->merged ? c->merged : config_new(&exec->arena);
        known_strides(c);
        exec->runnable = true;
        return true;
    }
    if (!make_loop(c)) return false;
    if (!is_symbolic(request)) exec->team = exec_team(&exec->arena, exec, exec->values);
    if (request->stage == HK_STAGE_LOOP || request->stop_after.length) return true;
    exec->runnable = generate(c);
    return exec->runnable;
}

static Compilation *compilation_new(hk_exec *exec, const Slot *slots, DiagList *diags)
{
    hk_context *context = exec->kernel->module->context;
    Arena *arena = &exec->arena;
    Compilation *c = arena_new(arena, Compilation);
    *c = (Compilation){.exec = exec, .slots = slots, .diags = diags, .started = clock_ms()};
    exec->dump.arena = arena;
    exec->machine = exec->request.machine ? exec->request.machine : &context->machine;
    c->passes = (PassContext){.arena = arena,
                              .diags = diags,
                              .machine = exec->machine,
                              .time_ms = c->pass_ms,
                              .stop_after = exec->request.stop_after,
                              .dump = exec->request.dump,
                              .dump_to = &exec->dump};
#ifndef NDEBUG
    c->passes.verify = true;
#endif
    return c;
}

void compile(hk_exec *exec, const Slot *slots, DiagList *diags)
{
    Arena *arena = &exec->arena;
    Compilation *c = compilation_new(exec, slots, diags);
    vec_push(arena, &exec->timing, (TimedStep){"parse", exec->kernel->module->parse_ms});
    if (exec->request.tuned.length)
        c->merged = c->tuned = parse_config(c, "<tuned>", exec->request.tuned);
    if (exec->request.has_config) {
        c->given = parse_config(c, "<config>", exec->request.config);
        if (!c->given) return;
        c->merged = c->tuned ? config_clone(arena, c->tuned) : config_new(arena);
        config_lay(c->merged, c->given);
    }
    if (!compile_steps(c) && diags->error_count == 0) {
        diag_add(diags, DIAG_INTERNAL, (Span){0}, "kernel %s: compiling stopped without a message",
                 exec->kernel->name);
    }
}

bool compile_again(hk_exec *copy, Str config, DiagList *diags)
{
    Arena *arena = &copy->arena;
    copy->request.dump = copy->request.stop_after = (Str){0};
    copy->dump = (Buf){0};
    copy->loop = NULL;
    copy->knob_count = 0;
    memset(&copy->timing, 0, sizeof copy->timing);
    copy->sources.arena = arena;
    copy->sources.sources.capacity = copy->sources.sources.count; // so that adding copies
    Compilation *c = compilation_new(copy, copy->request.slots, diags);
    c->passes.verify = false; // what is compiled in the end is verified
    c->given = c->merged = parse_config(c, "<config>", config);
    if (!c->given || !copy->shapes_known || merge_config_blocks(c)) return false;
    for (size_t t = 0; t < copy->kernel->tunable_count; t++) {
        Str name = str_of(copy->kernel->tunables[t].name);
        int64_t was = copy->kernel->tunables[t].initial, now = was;
        config_get(copy->config, name, &was);
        if (config_get(c->merged, name, &now) && now != was) return false;
    }
    if (!make_loop(c)) return false;
    copy->team = exec_team(arena, copy, copy->values);
    return true;
}
