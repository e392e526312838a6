// Launching: what the caller passed is checked against the exec, workspaces are made, outputs get
// their initial values, and the phases run one after the other.
#include "runtime/launch.h"
#include "runtime/print.h"

#include "ir/eval.h"
#include "runtime/phase.h"
#include "runtime/stream.h"
#include "runtime/threads.h"
#include "runtime/warm.h"

// ---- checking

static bool view_fits(const TensorView *view, const int64_t *known)
{
    bool compact = view_is_compact(view); // then dimensions of one element do not count
    for (uint32_t p = 0; p < view->rank; p++) {
        bool counts = !compact || view->shape[p] > 1;
        if (counts && known[p] != INT64_MIN && known[p] != view->strides[p]) return false;
    }
    return true;
}

static bool strides_fit(const Launch *launch)
{
    const hk_exec *exec = launch->exec;
    const Func *f = exec->tile;
    if (exec->request.target == HK_TARGET_INTERP) return true;
    for (uint32_t m = 1; m < f->mems.count; m++) {
        uint32_t slot = exec->slot_of_mem[m];
        TensorView workspace = {.dtype = mem_at(f, (Mem){m})->dtype,
                                .rank = mem_at(f, (Mem){m})->rank};
        for (uint32_t p = 0; p < workspace.rank; p++) {
            workspace.shape[p] = mem_size(f, (Mem){m}, p, launch->values);
        }
        compact_strides(workspace.dtype, workspace.rank, workspace.shape, workspace.strides);
        const TensorView *view = slot == UINT32_MAX ? &workspace : &launch->slots[slot].view;
        if (!view_fits(view, &exec->strides[m * RANK_MAX])) return false;
    }
    return true;
}

static bool places_fit(const Launch *launch)
{
    const hk_exec *exec = launch->exec;
    for (uint32_t m = 1; exec->opencl && m < exec->loop->mems.count; m++) {
        uint32_t slot = exec->slot_of_loop_mem[m];
        OpenclPlace known = exec->places ? exec->places[m] : OPENCL_AT_START;
        if (slot != UINT32_MAX && place_of_slot(&launch->slots[slot]) > known) return false;
    }
    return true;
}

// Code reads scalars from the frame, so defaults go there too.
static void take_defaults(Launch *launch)
{
    const Func *f = launch->exec->tile;
    for_each_inst(f, f->body, id) {
        const Inst *in = inst_at(f, id);
        if (in->op == OP_ARG) launch->scalars[in->attr.ref] = launch->values[inst_result(in, 0).i];
    }
}

static void bind_all(Launch *launch)
{
    const hk_exec *exec = launch->exec;
    const Func *f = exec->tile;
    Arena *arena = &launch->arena;
    Request request = {.dims = arena_array(arena, hk_dim, f->dims.count + 1)};
    for (uint32_t d = 0; d < f->dims.count; d++)
        if (exec->dims[d] >= 0)
            request.dims[request.dim_count++] = (hk_dim){exec->dim_names[d], exec->dims[d]};
    launch->dims = arena_array(arena, int64_t, f->dims.count + 1);
    Scalars scalars = {arena_array(arena, uint64_t, f->args.count + 1),
                       arena_array(arena, bool, f->args.count + 1)};
    launch->scalars = scalars.bits;
    launch->given = scalars.given;
    launch->values = arena_array(arena, uint64_t, f->values.count + 1);
    if (!scalars_bind(exec, launch->slots, &scalars, &launch->diags) ||
        !dims_bind(exec, launch->slots, &request, &scalars, true, launch->dims, &launch->diags))
        return;
    uint32_t missing = 0;
    if (prologue_eval(f, launch->dims, launch->scalars, launch->given, launch->values, &missing)) {
        take_defaults(launch);
        return;
    }
    Diag *diag = diag_add(&launch->diags, DIAG_ARG_MISSING, (Span){0},
                          "kernel %s: scalar argument %.*s is missing", exec->kernel->name,
                          STR_ARG(f->args.data[missing].name));
    diag_hint(&launch->diags, diag, "it is a %s and has no default",
              dtype_info[f->args.data[missing].dtype].name);
}

// Promises about tensors on a device are checked on copies.
static bool fetch_promised(Launch *launch)
{
    const Func *f = launch->exec->tile;
    for_each_inst(f, f->body, id) {
        const Inst *in = inst_at(f, id);
        uint32_t at = in->op == OP_REFINE ? launch->exec->slot_of_mem[in->attr.ref] : UINT32_MAX;
        Slot *slot = at == UINT32_MAX ? NULL : &launch->slots[at];
        if (!slot || !slot->on.given || slot->view.data || slot->view.low == slot->view.high)
            continue;
        const int64_t bytes = slot->view.high - slot->view.low;
        char *copy = arena_alloc(&launch->arena, (size_t)bytes);
        OpenclStream *stream = stream_lock(launch->stream);
        bool ok = opencl_stream_read(stream, slot->on.buffer, slot->on.offset + slot->view.low,
                                     bytes, copy, &launch->diags);
        stream_unlock(launch->stream);
        if (!ok) return false;
        slot->view.data = copy - slot->view.low;
    }
    return true;
}

static void forget_promised(Launch *launch)
{
    for (size_t i = 0; i < launch->exec->kernel->param_count; i++)
        if (launch->slots[i].on.given) launch->slots[i].view.data = NULL;
}

static void check(void *self)
{
    Launch *launch = self;
    const hk_exec *exec = launch->exec;
    DiagList *diags = &launch->diags;
    diags->arena = &launch->arena;
    diags->sources = &exec->sources;
    launch->slots = arena_array(&launch->arena, Slot, exec->kernel->param_count + 1);
    if (!slots_fill(exec->kernel, launch->args, launch->arg_count, launch->slots, diags) ||
        !slots_have_data(exec->kernel, launch->slots, diags))
        return;
    if (!slots_complete(exec, launch->slots, diags)) return;
    if (!slots_check(exec, launch->slots, NULL, diags)) return; // dtypes and ranks before sizes
    if (!devices_check(exec, launch->slots, diags)) return;
    bind_all(launch);
    if (diags->error_count || !slots_check(exec, launch->slots, launch->values, diags)) return;
    if (!requires_check(exec->tile, exec->kernel->name, launch->values, diags)) return;
    if (fetch_promised(launch)) refinements_check(exec, launch->slots, launch->values, diags);
    forget_promised(launch);
}

// Code for free sizes may have bounds.
static bool sizes_fit(const Launch *launch)
{
    const hk_exec *exec = launch->exec;
    for (uint32_t d = 0; exec->loop && d < exec->loop->dims.count; d++)
        if (exec->most[d] && launch->dims[d] > exec->most[d]) return false;
    return true;
}

// Code for the sizes, strides and places at hand: the exec's own, or a variant from the cache.
static hk_status fit_layout(Launch *launch, hk_error **error)
{
    bool fits = sizes_fit(launch);
    if (fits && strides_fit(launch) && places_fit(launch)) return HK_OK;
    Request request = launch->exec->request;
    if (!fits) request.free_dim_count = 0;
    request.args_known = true;
    request.slots = launch->slots;
    request.slot_count = launch->exec->kernel->param_count;
    hk_status status = exec_obtain(launch->exec->kernel, &request, &launch->variant, error);
    if (status == HK_OK) launch->exec = launch->variant;
    return status;
}

static hk_status prepare(Launch *launch, hk_error **error)
{
    const hk_exec *exec = launch->exec;
    hk_context *context = exec->kernel->module->context;
    uint32_t device;
    arena_init(&launch->arena, &context->allocator);
    if (!launch->stream && exec->request.target == HK_TARGET_OPENCL &&
        args_on_device(launch->args, launch->arg_count, &device)) {
        hk_status status = stream_take(context, exec->request.device, &launch->stream, error);
        if (status != HK_OK) return status;
        launch->is_own_stream = true;
    }
    if (!guarded(&launch->arena, check, launch))
        return fail(&context->allocator, error, HK_ERROR_MEMORY, DIAG_MEMORY, "out of memory");
    if (!launch->diags.error_count) return fit_layout(launch, error);
    DiagCode code = launch->diags.diags.data[launch->diags.diags.count - 1]->code;
    return fail_with(&context->allocator, error,
                     code == DIAG_OPENCL_FAILED ? HK_ERROR_ENVIRONMENT : HK_ERROR_DIAGNOSTICS,
                     &launch->diags);
}

hk_status launch_prepare(Launch *launch, const hk_exec *exec, const hk_arg *args, size_t count,
                         hk_error **error)
{
    *launch = (Launch){.exec = exec, .args = args, .arg_count = count};
    return prepare(launch, error);
}

hk_status launch_open_in(Launch *launch, hk_stream *stream, const hk_exec *exec, const hk_arg *args,
                         size_t count, hk_error **error)
{
    *launch = (Launch){.exec = exec, .args = args, .arg_count = count, .stream = stream};
    if (exec->runnable) return prepare(launch, error);
    arena_init(&launch->arena, &exec->kernel->module->context->allocator);
    return fail_usage(error, "the exec was not compiled to the end (see hk_stage)");
}

hk_status launch_open(Launch *launch, const hk_exec *exec, const hk_arg *args, size_t count,
                      hk_error **error)
{
    return launch_open_in(launch, NULL, exec, args, count, error);
}

void launch_close(Launch *launch)
{
    for (uint32_t i = 0; i < launch->blocks.count; i++)
        block_free(&launch->blocks.data[i], &launch->arena.allocator);
    if (launch->is_own_stream) stream_give(launch->stream);
    if (launch->variant) hk_exec_free(launch->variant);
    arena_free(&launch->arena);
}

// ---- memory

// Aligned memory that launch_close frees; NULL (and no_memory) if there is none.
static void *temporary(Launch *launch, int64_t bytes)
{
    Block block;
    vec_reserve(&launch->arena, &launch->blocks, launch->blocks.count + 1);
    if (bytes < 0 || !block_new(&block, &launch->arena.allocator, (size_t)bytes)) {
        launch->no_memory = true;
        return NULL;
    }
    vec_push(&launch->arena, &launch->blocks, block);
    return block.data;
}

static TensorView workspace_view(Launch *launch, Mem m, bool on_host)
{
    const MemInfo *mem = mem_at(launch->f, m);
    TensorView view = {.given = true, .dtype = mem->dtype, .rank = mem->rank};
    for (uint32_t p = 0; p < mem->rank; p++)
        view.shape[p] = mem_size(launch->f, m, p, launch->f_values);
    compact_strides(mem->dtype, mem->rank, view.shape, view.strides);
    if (on_host) view.data = temporary(launch, mem_bytes(launch->f, m, launch->f_values));
    return view;
}

// A user's buffer without initial value is cleared, so that a program that reads too early is at
// least the same each time.
static bool is_cleared(const Launch *launch, Mem m)
{
    return mem_at(launch->f, m)->kind == MEM_WORKSPACE && m.i < launch->exec->tile->mems.count;
}

// Between the elements lies what must stay.
static void fill_strided(Launch *launch, const Slot *slot, const char *element)
{
    TensorView view = slot->view;
    const int64_t start = slot->on.offset + view.low, bytes = view.high - view.low;
    if (bytes == 0) return;
    char *copy = arena_alloc(&launch->arena, (size_t)bytes);
    OpenclStream *stream = stream_opencl(launch->stream);
    if (!opencl_stream_read(stream, slot->on.buffer, start, bytes, copy, &launch->diags)) return;
    view.data = copy - view.low;
    view_fill(&view, element);
    opencl_stream_write(stream, slot->on.buffer, start, bytes, copy, &launch->diags);
}

// OpenCL: workspaces, and tensors that are on the device.
static void place_on_device(Launch *launch, Mem m, const Slot *slot)
{
    const MemInfo *mem = mem_at(launch->f, m);
    const unsigned bits = dtype_info[mem->dtype].bits;
    OpenclFill *fill = &launch->fills[m.i];
    launch->buffers[m.i] = slot ? slot->on.buffer : NULL;
    if (!mem->has_init) {
        fill->bytes = !slot && is_cleared(launch, m) ? sizeof(uint32_t) : 0;
        return;
    }
    unsigned char element[8] = {0};
    storage_store(mem->dtype, element, 0, mem->init_bits);
    if (slot && !view_is_compact(&slot->view)) {
        fill_strided(launch, slot, (const char *)element);
        return;
    }
    if (bits < 8) element[0] = (unsigned char)((element[0] & 15) * 17);
    memcpy(fill->pattern, element, sizeof element);
    fill->bytes = (bits + 7) / 8;
}

static bool place_mem(Launch *launch, Mem m, uint32_t slot)
{
    const MemInfo *mem = mem_at(launch->f, m);
    if (mem->kind == MEM_SCRATCH) return true;
    const bool param = slot != UINT32_MAX;
    const bool on_device = launch->fills && (!param || launch->slots[slot].on.given);
    TensorView view = param ? launch->slots[slot].view : workspace_view(launch, m, !on_device);
    if (launch->no_memory) return false;
    launch->mems[m.i] = view.data;
    for (uint32_t p = 0; p < view.rank; p++) launch->strides[m.i * RANK_MAX + p] = view.strides[p];
    char element[8] = {0};
    if (on_device) {
        place_on_device(launch, m, param ? &launch->slots[slot] : NULL);
    } else if (mem->has_init) {
        storage_store(mem->dtype, element, 0, mem->init_bits);
        view_fill(&view, element);
    } else if (!param && is_cleared(launch, m)) {
        memset(view.data, 0, (size_t)mem_bytes(launch->f, m, launch->f_values));
    }
    return launch->diags.error_count == 0;
}

bool launch_place(Launch *launch, const Func *f)
{
    const hk_exec *exec = launch->exec;
    uint32_t missing;
    launch->f = f;
    launch->f_values = arena_array(&launch->arena, uint64_t, f->values.count + 1);
    launch->trap = (Trap){0};
    prologue_eval(f, launch->dims, launch->scalars, launch->given, launch->f_values, &missing);
    const uint32_t *slots = f == exec->tile ? exec->slot_of_mem : exec->slot_of_loop_mem;
    launch->mems = arena_array(&launch->arena, void *, f->mems.count + 1);
    const bool opencl = f == exec->loop && exec->request.target == HK_TARGET_OPENCL;
    launch->buffers = opencl ? arena_array(&launch->arena, void *, f->mems.count + 1) : NULL;
    launch->fills = opencl ? arena_array(&launch->arena, OpenclFill, f->mems.count + 1) : NULL;
    launch->strides = arena_array(&launch->arena, int64_t, f->mems.count * RANK_MAX);
    for (uint32_t m = 1; m < f->mems.count; m++) {
        if (!place_mem(launch, (Mem){m}, slots[m])) return false;
    }
    launch->frame = (Frame){.mems = launch->mems,
                            .dims = launch->dims,
                            .strides = launch->strides,
                            .args = launch->scalars,
                            .trap = &launch->trap};
    return true;
}

// ---- running

static bool run_on_host_threads(Launch *launch, PhaseJob *job, int64_t threads)
{
    hk_context *context = launch->exec->kernel->module->context;
    job->scratch = temporary(launch, (int64_t)phase_cut(job, threads));
    if (!job->scratch) return false;
    context->parallel_for(context->parallel_for_self, job->pieces, phase_piece, job);
    return true;
}

static bool run_phase(Launch *launch, PhaseFn *code, int64_t units, bool parallel)
{
    const hk_exec *exec = launch->exec;
    hk_context *context = exec->kernel->module->context;
    PhaseJob job = {.code = code,
                    .frame = &launch->frame,
                    .units = units,
                    .scratch_bytes = llvm_code_scratch_bytes(exec->llvm)};
    int64_t threads = parallel ? launch->team : 1;
    if (threads > 1 && units > 1 && context->parallel_for)
        return run_on_host_threads(launch, &job, threads);
    // One thread too: the pool keeps scratch from launch to launch, and fresh pages are dear.
    Pool *pool = context_pool(context);
    PoolJob work = {.fn = phase_units,
                    .context = &job,
                    .units = units,
                    .scratch_bytes = (size_t)job.scratch_bytes,
                    .threads_max = (unsigned)threads};
    launch->no_memory = !pool || !pool_run(pool, &work);
    return !launch->no_memory;
}

// An argument that counts the turns of a repeat has changed.
static void evaluate_again(void *self)
{
    Launch *launch = self;
    uint32_t missing;
    for (uint32_t a = 0; a < launch->f->args.count; a++) launch->given[a] = true;
    prologue_eval(launch->f, launch->dims, launch->scalars, launch->given, launch->f_values,
                  &missing);
}

static bool run_cpu(Launch *launch)
{
    const hk_exec *exec = launch->exec;
    const Func *f = exec->loop;
    uint32_t phase;
    launch->team = exec->team ? exec->team : exec_team(&launch->arena, exec, launch->values);
    PhaseWalk walk = {.f = f,
                      .args = launch->scalars,
                      .values = launch->f_values,
                      .evaluate = evaluate_again,
                      .self = launch};
    while (phase_next(&walk, &phase)) {
        const Inst *in = inst_at(f, walk.at);
        int64_t units = (int64_t)launch->f_values[inst_arg(f, in, 0).i];
        PhaseFn *code = llvm_code_phase(exec->llvm, phase);
        if (units > 0 && !run_phase(launch, code, units, in->attr.kind == LOOP_GRID)) return false;
        if (launch->trap.state) break;
    }
    return true;
}

// Queues the launch, with the stream locked.
static bool run_opencl(Launch *launch)
{
    const hk_exec *exec = launch->exec;
    const Func *f = exec->loop;
    int64_t *bytes = arena_array(&launch->arena, int64_t, f->mems.count + 1);
    int64_t *front = arena_array(&launch->arena, int64_t, f->mems.count + 1);
    for (uint32_t m = 1; m < f->mems.count; m++) {
        if (mem_at(f, (Mem){m})->kind == MEM_SCRATCH) continue;
        uint32_t slot = exec->slot_of_loop_mem[m];
        const Slot *s = slot == UINT32_MAX ? NULL : &launch->slots[slot];
        bytes[m] = s ? s->view.high : mem_bytes(f, (Mem){m}, launch->f_values);
        front[m] = !s ? 0 : s->on.given ? s->on.offset : -s->view.low;
    }
    OpenclLaunch how = {.loop = f,
                        .frame = &launch->frame,
                        .bytes = bytes,
                        .front = front,
                        .buffers = launch->buffers,
                        .fills = launch->fills,
                        .trap = stream_hold(launch->stream, exec),
                        .device_ms = launch->is_timed ? &launch->device_ms : NULL};
    return opencl_run(stream_opencl(launch->stream), exec->opencl, &how, &launch->diags);
}

static void report_trap(Launch *launch)
{
    const Func *f = launch->f;
    const Trap *trap = &launch->trap;
    const char *kernel = launch->exec->kernel->name;
    if (trap->site < 0 || (uint64_t)trap->site >= f->sites.count) {
        diag_add(&launch->diags, DIAG_TRAPPED, (Span){0}, "kernel %s failed at an unknown place",
                 kernel);
        return;
    }
    const SiteInfo *site = &f->sites.data[trap->site];
    const SourceSet *sources = &launch->exec->sources;
    Str file = site->span.source < sources->sources.count
                   ? sources->sources.data[site->span.source].name
                   : STR("?");
    const char *where =
        str_format(&launch->arena, "kernel %s, %.*s:%u", kernel, STR_ARG(file), site->span.line)
            .data;
    long long index = (long long)trap->index, bound = (long long)trap->bound;
    switch (site->kind) {
    case SITE_BOUNDS:
        diag_add(&launch->diags, DIAG_TRAPPED, site->span,
                 "%s: index %lld of %.*s dimension %u is out of bounds (size %lld)", where, index,
                 STR_ARG(mem_at(f, site->mem)->name), site->position, bound);
        break;
    case SITE_ASSERT:
        diag_add(&launch->diags, DIAG_ASSERT_FAILED, site->span, "%s: assertion failed%s%.*s",
                 where, site->message.length ? ": " : "", STR_ARG(site->message));
        break;
    case SITE_DIVIDE:
        diag_add(&launch->diags, DIAG_DIVIDED_BY_ZERO, site->span, "%s: division by zero", where);
        break;
    case SITE_LANE:
        diag_add(&launch->diags, DIAG_TRAPPED, site->span,
                 "%s: index %lld is outside of the axis %.*s, whose range ends at %lld", where,
                 index, STR_ARG(site->message), bound);
        break;
    case SITE_REQUIRE:
        diag_add(&launch->diags, DIAG_TRAPPED, site->span, "%s: %.*s", where,
                 STR_ARG(site->message));
        break;
    case SITE_PRINT: break;
    }
}

typedef struct RunJob {
    Launch *launch;
    const InterpOptions *interp;
    InterpResult *result;
    Printed *printed; // NULL: nobody listens
    bool ok;
} RunJob;

static void run(void *self)
{
    RunJob *job = self;
    Launch *launch = job->launch;
    const hk_exec *exec = launch->exec;
    Arena *arena = &launch->arena;
    bool interp = job->interp || exec->request.target == HK_TARGET_INTERP;
    if (!launch_place(launch, interp ? exec->tile : exec->loop)) return;
    if (job->printed) launch->frame.printer = &job->printed->printer;
    if (interp) {
        InterpOptions own = {.config = exec->config};
        InterpResult ignored;
        interp_run(arena, exec->tile, &launch->frame, job->interp ? job->interp : &own,
                   job->result ? job->result : &ignored);
        job->ok = true;
    } else {
        job->ok = exec->request.target == HK_TARGET_OPENCL ? run_opencl(launch) : run_cpu(launch);
    }
    if (launch->trap.state) report_trap(launch);
}

static hk_status run_guarded(RunJob *job, hk_error **error)
{
    Launch *launch = job->launch;
    const Allocator *allocator = &launch->arena.allocator;
    bool enough = guarded(&launch->arena, run, job) && !launch->no_memory;
    if (!enough) {
        return fail(allocator, error, HK_ERROR_MEMORY, DIAG_MEMORY, "kernel %s: out of memory",
                    launch->exec->kernel->name);
    }
    if (launch->trap.state) return fail_with(allocator, error, HK_ERROR_TRAP, &launch->diags);
    if (!job->ok || launch->diags.error_count)
        return fail_with(allocator, error, HK_ERROR_ENVIRONMENT, &launch->diags);
    return HK_OK;
}

// Host memory is the caller's again when the launch returns.
static bool uses_host_memory(const Launch *launch)
{
    for (size_t i = 0; i < launch->exec->kernel->param_count; i++)
        if (launch->slots[i].view.given && !launch->slots[i].on.given) return true;
    return false;
}

static hk_status run_in_stream(RunJob *job, hk_error **error)
{
    Launch *launch = job->launch;
    const hk_exec *exec = launch->exec;
    hk_status status = HK_OK;
    if (!launch->stream) {
        status = stream_take(exec->kernel->module->context, exec->request.device, &launch->stream,
                             error);
        if (status != HK_OK) return status;
        launch->is_own_stream = true;
    }
    stream_lock(launch->stream);
    if (stream_is_full(launch->stream)) status = stream_wait(launch->stream, error);
    if (status == HK_OK) status = run_guarded(job, error);
    if (status == HK_OK && (launch->is_own_stream || uses_host_memory(launch)))
        status = stream_wait(launch->stream, error);
    else if (launch->is_own_stream)
        stream_wait(launch->stream, NULL); // an idle one holds no exec
    stream_unlock(launch->stream);
    return status;
}

hk_status launch_run(Launch *launch, const InterpOptions *interp, InterpResult *result,
                     hk_error **error)
{
    const hk_context *context = launch->exec->kernel->module->context;
    const Func *tile = launch->exec->tile;
    RunJob job = {.launch = launch, .interp = interp, .result = result};
    Printed printed;
    bool prints = context->log && !interp && printed_any(tile);
    if (prints) printed_begin(job.printed = &printed, tile, &launch->arena.allocator);
    bool opencl = !interp && launch->exec->request.target == HK_TARGET_OPENCL;
    hk_status status = opencl ? run_in_stream(&job, error) : run_guarded(&job, error);
    if (prints) printed_end(&printed, context);
    return status;
}

static void report_of(void *launch)
{
    report_trap(launch);
}

hk_status launch_trapped(const hk_exec *exec, const Trap *trap, hk_error **error)
{
    const Allocator *allocator = &exec->kernel->module->context->allocator;
    Launch launch = {.exec = exec, .f = exec->loop, .trap = *trap};
    arena_init(&launch.arena, allocator);
    launch.diags.arena = &launch.arena;
    launch.diags.sources = &exec->sources;
    bool enough = guarded(&launch.arena, report_of, &launch);
    hk_status status = enough ? fail_with(allocator, error, HK_ERROR_TRAP, &launch.diags)
                              : fail(allocator, error, HK_ERROR_MEMORY, DIAG_MEMORY,
                                     "kernel %s: out of memory", exec->kernel->name);
    arena_free(&launch.arena);
    return status;
}

// ---- the public calls

static hk_status run_cold(const hk_exec *exec, const hk_arg *args, size_t arg_count,
                          double *device_ms, hk_error **error)
{
    Launch launch;
    hk_status status = launch_open(&launch, exec, args, arg_count, error);
    launch.is_timed = device_ms != NULL;
    if (status == HK_OK) status = launch_run(&launch, NULL, NULL, error);
    if (status == HK_OK && !printed_any(exec->tile)) warm_keep(&launch);
    if (device_ms) *device_ms = launch.device_ms;
    launch_close(&launch);
    return status;
}

hk_status hk_exec_run(const hk_exec *exec, const hk_arg *args, size_t arg_count, hk_error **error)
{
    if (error) *error = NULL;
    if (!exec || (!args && arg_count)) return fail_usage(error, "hk_exec_run: an argument is NULL");
    hk_status status;
    if (warm_run(exec, args, arg_count, &status, error)) return status;
    return run_cold(exec, args, arg_count, NULL, error);
}

hk_status hk_exec_run_timed(const hk_exec *exec, const hk_arg *args, size_t arg_count,
                            double *seconds, hk_error **error)
{
    if (error) *error = NULL;
    if (!exec || !seconds || (!args && arg_count))
        return fail_usage(error, "hk_exec_run_timed: an argument is NULL");
    hk_status status;
    double device_ms = 0, start = clock_seconds();
    if (exec->request.target == HK_TARGET_OPENCL)
        status = run_cold(exec, args, arg_count, &device_ms, error);
    else
        status = hk_exec_run(exec, args, arg_count, error);
    *seconds = device_ms > 0 ? device_ms * 1e-3 : clock_seconds() - start;
    return status;
}

hk_status hk_kernel_run(const hk_kernel *kernel, const hk_arg *args, size_t arg_count,
                        hk_error **error)
{
    static const hk_arg none;
    if (error) *error = NULL;
    if (!kernel || (!args && arg_count))
        return fail_usage(error, "hk_kernel_run: an argument is NULL");
    hk_specialize_options options = {
        .struct_size = sizeof options, .args = args ? args : &none, .arg_count = arg_count};
    if (args_on_device(options.args, arg_count, &options.device)) options.target = HK_TARGET_OPENCL;
    hk_exec *exec = args ? exec_known(kernel, args, arg_count) : NULL;
    hk_status status = exec ? HK_OK : hk_kernel_specialize(kernel, &options, &exec, error);
    if (status == HK_OK) status = hk_exec_run(exec, args, arg_count, error);
    hk_exec_free(exec);
    return status;
}
