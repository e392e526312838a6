// The tables of a kernel (runtime/aot/tables.h), from what compiling has found, and its code: each
// prologue's values that the tables refer to are computed by a function beside the phases.
#include "ir/eval.h"
#include "runtime/build.h"

typedef struct Writer {
    hk_build *build;
    Function *function;
    Buf out;
    VEC(Value) values; // asked for, of the prologue at hand
} Writer;

static At put(Writer *w, const void *data, size_t bytes)
{
    static const char zeros[8] = {0};
    buf_add(&w->out, zeros, (8 - w->out.length % 8) % 8);
    At at = (At)w->out.length;
    buf_add(&w->out, data, bytes);
    return at;
}

static At put_text(Writer *w, Str s)
{
    At at = (At)w->out.length;
    buf_str(&w->out, s);
    buf_add(&w->out, "", 1);
    return at;
}

static uint32_t add_code(Writer *w, Str name)
{
    vec_push(&w->build->arena, &w->function->code, name.data);
    return w->function->code.count - 1;
}

static uint32_t ask(Writer *w, Value v)
{
    vec_push(&w->build->arena, &w->values, v);
    return w->values.count - 1;
}

static uint32_t ask_sizes(Writer *w, const Func *f, Mem m)
{
    uint32_t first = w->values.count;
    const Inst *decl = inst_at(f, mem_at(f, m)->decl);
    for (uint32_t p = 0; p < mem_at(f, m)->rank; p++) ask(w, inst_arg(f, decl, p));
    return first;
}

static bool fits(Writer *w, uint32_t count, uint32_t most, const char *what)
{
    if (count <= most) return true;
    diag_add(&w->build->diags, DIAG_NOT_SUPPORTED, (Span){0},
             "kernel %s: %u %s; a library's functions have at most %u", w->function->kernel->name,
             count, what, most);
    return false;
}

// Makes the code of a function's phases, and what computes the values asked for.
static bool make_code(Writer *w, const Func *f, const Level *level, const char *prefix,
                      int64_t *scratch_bytes)
{
    static const Value none;
    LlvmPart part = {.f = f,
                     .target = level->target,
                     .prefix = prefix,
                     .values = w->values.data ? w->values.data : &none,
                     .value_count = w->values.count};
    if (!fits(w, w->values.count, AOT_VALUES, "values of sizes")) return false;
    return llvm_library_add(w->build->library, &part, scratch_bytes, &w->build->diags);
}

static uint32_t add_values(Writer *w, const char *prefix)
{
    return add_code(w, str_format(&w->build->arena, "%s_values", prefix));
}

// ---- kernel and parameters

static At put_params(Writer *w)
{
    const hk_kernel *kernel = w->function->kernel;
    AotParam *all = arena_array(&w->build->arena, AotParam, kernel->param_count + 1);
    for (size_t k = 0; k < kernel->param_count; k++) {
        const hk_param *param = &kernel->params[k];
        bool scalar = param->kind == HK_PARAM_SCALAR;
        At *dims = arena_array(&w->build->arena, At, param->dim_count + 1);
        for (size_t d = 0; d < param->dim_count; d++) dims[d] = put_text(w, str_of(param->dims[d]));
        all[k] = (AotParam){.name = put_text(w, str_of(param->name)),
                            .text = put_text(w, str_of(param->text)),
                            .dims = put(w, dims, sizeof(At) * param->dim_count),
                            .dim_count = (uint32_t)param->dim_count,
                            .pack = param->pack,
                            .pack_name = param->pack < 0 ? 0 : dims[param->pack],
                            .scalar = scalar,
                            .written = !scalar && param->kind != HK_PARAM_IN,
                            .optional = !scalar && param->optional};
    }
    return put(w, all, sizeof *all * kernel->param_count);
}

static void put_dims(Buf *out, const Code *code)
{
    const Func *f = code->exec->tile;
    const char *comma = "";
    for (uint32_t d = 0; d < f->dims.count; d++) {
        int64_t most = code->exec->most[d];
        if (code->dims[d] < 0 && !most) continue;
        buf_printf(out, "%s%.*s%s%lld", comma, STR_ARG(f->dims.data[d].name), most ? "<=" : "=",
                   (long long)(most ? most : code->dims[d]));
        comma = ",";
    }
}

Str instance_sizes(Arena *arena, const Instance *instance)
{
    Buf out = {.arena = arena};
    const Code *last = NULL;
    buf_add(&out, "", 0);
    for (uint32_t k = 0; k < instance->codes.count; k++) {
        const Code *code = &instance->codes.data[k];
        size_t bytes = sizeof *code->dims * code->exec->tile->dims.count;
        if (last && memcmp(last->dims, code->dims, bytes) == 0) continue;
        if (last) buf_printf(&out, " or ");
        last = code;
        size_t before = out.length;
        put_dims(&out, code);
        if (out.length == before) buf_printf(&out, "any sizes");
    }
    return buf_view(&out);
}

// ---- instances

// The numbers of an instance's memories, by Mem.i of the tile; AOT_NONE: no argument.
static uint32_t *number_mems(Writer *w, const hk_exec *exec, uint32_t *count)
{
    const Func *f = exec->tile;
    uint32_t *numbers = arena_array(&w->build->arena, uint32_t, f->mems.count + 1);
    *count = 0;
    for (uint32_t m = 0; m < f->mems.count; m++)
        numbers[m] = m && exec->slot_of_mem[m] != UINT32_MAX ? (*count)++ : AOT_NONE;
    return numbers;
}

static At put_mems(Writer *w, const hk_exec *exec)
{
    const Func *f = exec->tile;
    AotMem *all = arena_array(&w->build->arena, AotMem, f->mems.count + 1);
    uint32_t count = 0;
    for (uint32_t m = 1; m < f->mems.count; m++) {
        const MemInfo *mem = mem_at(f, (Mem){m});
        if (exec->slot_of_mem[m] == UINT32_MAX) continue;
        all[count++] = (AotMem){.param = exec->slot_of_mem[m],
                                .dtype = (uint8_t)mem->dtype,
                                .rank = mem->rank,
                                .written = mem->kind != MEM_IN,
                                .sizes = ask_sizes(w, f, (Mem){m})};
    }
    return put(w, all, sizeof *all * count);
}

static At put_named_dims(Writer *w, const Func *f, const uint32_t *numbers)
{
    AotDim *all = arena_array(&w->build->arena, AotDim, f->dims.count + 1);
    for (uint32_t d = 0; d < f->dims.count; d++) {
        const DimInfo *dim = &f->dims.data[d];
        all[d] = (AotDim){.name = put_text(w, dim->name),
                          .mem = numbers[dim->mem.i],
                          .position = dim->position,
                          .scale = dim->scale,
                          .offset = dim->offset};
    }
    return put(w, all, sizeof *all * f->dims.count);
}

static At put_args(Writer *w, const hk_exec *exec)
{
    const Func *f = exec->tile;
    uint32_t *all = arena_array(&w->build->arena, uint32_t, f->args.count + 1);
    for (uint32_t a = 0; a < f->args.count; a++)
        all[a] = arg_is_turn(f, a) ? AOT_NONE : exec->slot_of_arg[a];
    return put(w, all, sizeof *all * f->args.count);
}

static void put_checks(Writer *w, const hk_exec *exec, const uint32_t *numbers, AotInstance *to)
{
    const Func *f = exec->tile;
    VEC(AotText) requires = {0};
    VEC(AotRefine) refines = {0};
    Arena *arena = &w->build->arena;
    for_each_inst(f, f->body, id) {
        const Inst *in = inst_at(f, id);
        if (in->op == OP_REQUIRE) {
            Str text = f->sites.data[in->attr.ref].message;
            if (!text.length) text = STR("a `require` does not hold");
            vec_push(arena, &requires, (AotText){put_text(w, text), ask(w, inst_arg(f, in, 0))});
        }
        if (in->op != OP_REFINE || numbers[in->attr.ref] == AOT_NONE) continue;
        bool range = in->attr.kind == REFINE_RANGE;
        AotRefine refine = {.mem = numbers[in->attr.ref], .kind = in->attr.kind, .low = AOT_NONE};
        if (range) refine.low = ask(w, inst_arg(f, in, 0));
        refine.high = ask(w, inst_arg(f, in, range ? 1 : 0));
        vec_push(arena, &refines, refine);
    }
    to->require_count = requires.count;
    to->requires = put(w, requires.data, sizeof *requires.data * requires.count);
    to->refine_count = refines.count;
    to->refines = put(w, refines.data, sizeof *refines.data * refines.count);
}

// ---- variants

static At put_strides(Writer *w, const hk_exec *exec)
{
    const Func *f = exec->tile;
    int64_t *all = arena_array(&w->build->arena, int64_t, f->mems.count * RANK_MAX);
    uint32_t count = 0;
    for (uint32_t m = 1; m < f->mems.count; m++) {
        if (exec->slot_of_mem[m] == UINT32_MAX) continue;
        memcpy(&all[count++ * RANK_MAX], &exec->strides[m * RANK_MAX], sizeof *all * RANK_MAX);
    }
    return put(w, all, sizeof *all * RANK_MAX * count);
}

static AotPlace place_of(Writer *w, const hk_exec *exec, Mem m, const uint32_t *numbers)
{
    const Func *f = exec->loop;
    const MemInfo *mem = mem_at(f, m);
    AotPlace place = {.mem = AOT_NONE, .absent = !m.i || mem->kind == MEM_SCRATCH};
    if (place.absent) return place;
    place.dtype = (uint8_t)mem->dtype;
    place.rank = mem->rank;
    place.has_init = mem->has_init;
    if (mem->has_init) storage_store(mem->dtype, place.init, 0, mem->init_bits);
    uint32_t slot = exec->slot_of_loop_mem[m.i];
    for (uint32_t k = 1; k < exec->tile->mems.count && slot != UINT32_MAX; k++)
        if (exec->slot_of_mem[k] == slot) place.mem = numbers[k];
    if (place.mem != AOT_NONE) return place;
    place.sizes = ask_sizes(w, f, m);
    // As for launches: a buffer that the user declared is cleared.
    place.clears = mem->kind == MEM_WORKSPACE && m.i < exec->tile->mems.count;
    return place;
}

static uint32_t end_of_repeat(const Func *f, InstId from, uint32_t step)
{
    uint32_t arg = inst_at(f, from)->attr.ref;
    for (InstId id = inst_at(f, from)->next; id.i; id = inst_at(f, id)->next) {
        const Inst *in = inst_at(f, id);
        bool counts = in->op == OP_PHASE || in->op == OP_REPEAT || in->op == OP_AGAIN;
        step += counts;
        if (in->op == OP_AGAIN && in->attr.ref == arg) break;
    }
    return step;
}

static At put_steps(Writer *w, const hk_exec *exec, AotVariant *to)
{
    const Func *f = exec->loop;
    VEC(AotStep) steps = {0};
    for_each_inst(f, f->body, id) {
        const Inst *in = inst_at(f, id);
        AotStep step = {.kind = in->op == OP_PHASE    ? AOT_PHASE
                                : in->op == OP_REPEAT ? AOT_REPEAT
                                                      : AOT_AGAIN};
        if (in->op != OP_PHASE && in->op != OP_REPEAT && in->op != OP_AGAIN) continue;
        if (in->op != OP_AGAIN) step.count = ask(w, inst_arg(f, in, 0));
        step.parallel = in->op == OP_PHASE && in->attr.kind == LOOP_GRID;
        if (in->op == OP_REPEAT) {
            step.arg = in->attr.ref;
            step.end = end_of_repeat(f, id, steps.count);
        }
        vec_push(&w->build->arena, &steps, step);
    }
    to->step_count = steps.count;
    return put(w, steps.data, sizeof *steps.data * steps.count);
}

static At put_sites(Writer *w, const hk_exec *exec)
{
    const Func *f = exec->loop;
    const SourceSet *sources = &exec->sources;
    Arena *arena = &w->build->arena;
    AotSite *all = arena_array(arena, AotSite, f->sites.count + 1);
    for (uint32_t k = 0; k < f->sites.count; k++) {
        const SiteInfo *site = &f->sites.data[k];
        bool known = site->span.source < sources->sources.count;
        Str file = known ? sources->sources.data[site->span.source].name : STR("?");
        Str place = str_format(arena, ", %.*s:%u", STR_ARG(file), site->span.line);
        bool bounds = site->kind == SITE_BOUNDS;
        DiagCode code = site->kind == SITE_ASSERT   ? DIAG_ASSERT_FAILED
                        : site->kind == SITE_DIVIDE ? DIAG_DIVIDED_BY_ZERO
                                                    : DIAG_TRAPPED;
        all[k] = (AotSite){.kind = site->kind,
                           .code = code,
                           .place = put_text(w, place),
                           .text = put_text(w, bounds ? mem_at(f, site->mem)->name : site->message),
                           .position = site->position};
    }
    return put(w, all, sizeof *all * f->sites.count);
}

static bool make_variant(Writer *w, const Code *code, const uint32_t *numbers, AotVariant *to)
{
    const hk_exec *exec = code->exec;
    const Func *f = exec->loop;
    w->values.count = 0;
    *to = (AotVariant){.level = code->level->number, .place_count = f->mems.count};
    if (!fits(w, f->mems.count, AOT_MEMS, "memories")) return false;
    to->dims = put(w, code->dims, sizeof *code->dims * exec->tile->dims.count);
    to->most = put(w, exec->most, sizeof *exec->most * exec->tile->dims.count);
    to->strides = put_strides(w, exec);
    AotPlace *places = arena_array(&w->build->arena, AotPlace, f->mems.count + 1);
    for (uint32_t m = 0; m < f->mems.count; m++) places[m] = place_of(w, exec, (Mem){m}, numbers);
    to->places = put(w, places, sizeof *places * f->mems.count);
    to->steps = put_steps(w, exec, to);
    to->site_count = f->sites.count;
    to->sites = put_sites(w, exec);
    to->values = add_values(w, code->prefix);
    to->value_count = w->values.count;
    to->phases = w->function->code.count;
    uint32_t phases = 0;
    for_each_inst(f, f->body, id) {
        if (inst_at(f, id)->op == OP_PHASE)
            add_code(w, str_format(&w->build->arena, "%s_phase%u", code->prefix, phases++));
    }
    return make_code(w, f, code->level, code->prefix, &to->scratch_bytes);
}

static bool make_instance(Writer *w, const Instance *instance, AotInstance *to)
{
    hk_build *build = w->build;
    const hk_exec *exec = instance->codes.data[0].exec;
    const Func *f = exec->tile;
    uint32_t *numbers = number_mems(w, exec, &to->mem_count);
    int64_t no_scratch;
    if (!fits(w, f->dims.count, AOT_DIMS, "dimensions") ||
        !fits(w, f->args.count, AOT_ARGS, "scalar arguments") ||
        !fits(w, f->mems.count, AOT_MEMS, "memories"))
        return false;
    w->values.count = 0;
    to->given = instance->given;
    to->mems = put_mems(w, exec);
    to->dim_count = f->dims.count;
    to->dims = put_named_dims(w, f, numbers);
    to->arg_count = f->args.count;
    to->args = put_args(w, exec);
    put_checks(w, exec, numbers, to);
    to->values = add_values(w, instance->prefix);
    to->value_count = w->values.count;
    // The least CPU has to run it.
    const Level *least = &build->levels[build->level_count - 1];
    if (!make_code(w, f, least, instance->prefix, &no_scratch)) return false;
    AotVariant *variants = arena_array(&build->arena, AotVariant, instance->codes.count + 1);
    for (uint32_t k = 0; k < instance->codes.count; k++)
        if (!make_variant(w, &instance->codes.data[k], numbers, &variants[k])) return false;
    to->variant_count = instance->codes.count;
    to->variants = put(w, variants, sizeof *variants * instance->codes.count);
    return true;
}

bool function_tables(hk_build *build, Function *function)
{
    Arena *arena = &build->arena;
    Writer w = {.build = build, .function = function, .out = {.arena = arena}};
    AotKernel kernel = {.param_count = (uint32_t)function->kernel->param_count,
                        .instance_count = function->instance_count};
    if (!fits(&w, kernel.param_count, AOT_PARAMS, "parameters")) return false;
    put(&w, &kernel, sizeof kernel); // its place
    const Instance *whole = &function->instances[function->instance_count - 1];
    kernel.name = put_text(&w, str_of(function->kernel->name));
    kernel.built_for = put_text(&w, instance_sizes(arena, whole));
    kernel.cpu = put_text(&w, str_of(build->levels[build->level_count - 1].target.cpu));
    kernel.params = put_params(&w);
    AotInstance *instances = arena_array(arena, AotInstance, function->instance_count + 1);
    for (uint32_t k = 0; k < function->instance_count; k++)
        if (!make_instance(&w, &function->instances[k], &instances[k])) return false;
    kernel.instances = put(&w, instances, sizeof *instances * function->instance_count);
    memcpy(w.out.data, &kernel, sizeof kernel);
    function->tables = buf_view(&w.out);
    return true;
}
