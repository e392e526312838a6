// hk_exec_host_program: a launch as a C program of the plain OpenCL API. Inputs are made up here,
// the interpreter computes what the program shall find, and a share of that is chosen to be written
// down; backends/opencl/host.c writes the text.
#include "runtime/launch.h"
#include "runtime/order.h"
#include "runtime/verify.h"

enum {
    WANTED_ALL = 4096,        // elements of an output, all of which are compared
    WANTED_SOME = 1024,       // ... and about how many of a larger one
    DATA_BYTES_MOST = 1 << 22 // of all arguments that are written into the program
};

typedef struct HostJob {
    Arena *arena; // of the launch, once there is one
    const hk_exec *exec;
    const hk_arg *args;
    size_t arg_count;
    const hk_verify_options *options;
    hk_arg *all; // the same and what was made up
    size_t all_count;
    const Fill **made; // by slot; NULL: was given, or is an output
    Launch *launch;
    TensorView *originals; // by slot: of outputs
    InterpResult interp;
    DiagList diags;
    Buf out;
} HostJob;

// ---- inputs

static void float_layout(DType t, Fill *fill)
{
    static const struct {
        uint8_t mantissa;
        uint16_t bias;
    } layouts[DTYPE_COUNT] = {
        [DTYPE_F64] = {52, 1023}, [DTYPE_F32] = {23, 127}, [DTYPE_F16] = {10, 15},
        [DTYPE_BF16] = {7, 127},  [DTYPE_F8E4M3] = {3, 7}, [DTYPE_F8E5M2] = {2, 15},
        [DTYPE_F4E2M1] = {1, 1}};
    fill->bits = dtype_info[t].bits;
    fill->mantissa = layouts[t].mantissa;
    fill->bias = layouts[t].bias;
}

static Fill fill_of(const hk_exec_param_info *info, DType t, uint64_t seed)
{
    Fill fill = {.kind = FILL_FLOATS, .seed = seed, .low = 0, .high = 2};
    float_layout(t, &fill);
    fill.count = (int64_t)info->bytes * 8 / fill.bits;
    if (info->promise == HK_PROMISE_NONE) {
        if (!dtype_is_float(t)) fill.kind = FILL_INTEGERS;
        return fill;
    }
    fill.low = info->low;
    fill.high = info->high;
    fill.kind = info->promise == HK_PROMISE_RANGE       ? FILL_INTEGERS
                : info->promise == HK_PROMISE_PARTITION ? FILL_PARTITION
                                                        : FILL_PERMUTATION;
    return fill;
}

static bool is_given(const HostJob *job, const char *name)
{
    for (size_t i = 0; i < job->arg_count; i++) {
        bool has = job->args[i].kind != HK_ARG_TENSOR || job->args[i].tensor;
        if (has && job->args[i].name && strcmp(job->args[i].name, name) == 0) return true;
    }
    return false;
}

static size_t slot_named(const hk_kernel *kernel, const char *name)
{
    size_t slot = 0;
    while (strcmp(kernel->params[slot].name, name) != 0) slot++;
    return slot;
}

static bool make_up(HostJob *job, const hk_exec_param_info *info, size_t number)
{
    Arena *arena = job->arena;
    if (!info->shape) return false;
    DLTensor *tensor = arena_new(arena, DLTensor);
    char *data = arena_alloc(arena, info->bytes + 64);
    memset(data, 0, info->bytes);
    *tensor = (DLTensor){.data = data,
                         .device = {kDLCPU, 0},
                         .ndim = info->ndim,
                         .dtype = info->dtype,
                         .shape = (int64_t *)info->shape};
    job->all[job->all_count++] = hk_tensor(info->name, tensor);
    DType t;
    if (info->kind == HK_PARAM_OUT || !dtype_from_dlpack(info->dtype, &t)) return true;
    Fill fill = fill_of(info, t, job->options->seed + number);
    fill_all(&fill, data);
    job->made[slot_named(job->exec->kernel, info->name)] = arena_copy(arena, &fill, sizeof fill);
    return true;
}

static void complete_args(void *self)
{
    HostJob *job = self;
    const hk_exec *exec = job->exec;
    job->all = arena_array(job->arena, hk_arg, job->arg_count + exec->param_count + 1);
    job->made = arena_array(job->arena, const Fill *, exec->kernel->param_count + 1);
    for (size_t i = 0; i < job->arg_count; i++)
        if (job->args[i].kind != HK_ARG_TENSOR || job->args[i].tensor)
            job->all[job->all_count++] = job->args[i];
    for (size_t p = 0; p < exec->param_count; p++) {
        const hk_exec_param_info *info = &exec->params[p];
        if (info->kind == HK_PARAM_SCALAR || is_given(job, info->name)) continue;
        if (make_up(job, info, p + 1)) continue;
        diag_add(&job->diags, DIAG_USAGE, (Span){0},
                 "the sizes of %s are not known; give its dimensions", info->name);
    }
}

// ---- outputs

static bool is_output(const HostJob *job, size_t slot)
{
    const hk_param_kind kind = job->exec->kernel->params[slot].kind;
    return kind == HK_PARAM_OUT || kind == HK_PARAM_INOUT;
}

// The interpreter works on copies: the program begins with what is in the originals.
static void copy_outputs(void *self)
{
    HostJob *job = self;
    Launch *launch = job->launch;
    const hk_kernel *kernel = job->exec->kernel;
    job->originals = arena_array(&launch->arena, TensorView, kernel->param_count + 1);
    for (size_t i = 0; i < kernel->param_count; i++) {
        if (!is_output(job, i) || !launch->slots[i].view.given) continue;
        job->originals[i] = launch->slots[i].view;
        launch->slots[i].view = view_copy(&launch->arena, &job->originals[i]);
    }
}

static void choose_wanted(const HostJob *job, HostTensor *tensor, const TensorView *want,
                          const TensorView *place, const uint8_t *written)
{
    Arena *arena = &job->launch->arena;
    int64_t index[RANK_MAX] = {0}, known = 0, count = 0, total = 0;
    if (view_is_empty(want)) return;
    do known += !written || written[total++];
    while (view_next(want, index));
    // An odd step meets all columns.
    const int64_t step = known <= WANTED_ALL ? 1 : known / WANTED_SOME | 1;
    int64_t *at = arena_array(arena, int64_t, known / step + 2);
    uint64_t *bits = arena_array(arena, uint64_t, known / step + 2);
    int64_t seen = 0, i = 0;
    const Fill element = {.bits = dtype_info[want->dtype].bits};
    do {
        if (written && !written[i++]) continue;
        if (seen++ % step) continue;
        at[count] = view_offset(place, index) + tensor->front * 8 / element.bits;
        bits[count++] = fill_get(&element, want->data, view_offset(want, index));
    } while (view_next(want, index));
    tensor->want_count = count;
    tensor->at = at;
    tensor->want = bits;
}

static void take_wanted(HostJob *job, HostTensor *tensors, const TensorView *copies)
{
    Launch *launch = job->launch;
    const hk_exec *exec = launch->exec;
    Cost cost = cost_estimate(&launch->arena, exec->tile, launch->values);
    const bool *unordered = order_dependent(&launch->arena, exec->tile);
    const uint32_t tile_mems = exec->tile->mems.count;
    for (uint32_t m = 1; m < exec->loop->mems.count; m++) {
        const uint32_t slot = exec->slot_of_loop_mem[m];
        if (slot == UINT32_MAX || !copies[slot].given) continue;
        uint32_t tile_mem = 1;
        while (tile_mem < tile_mems && exec->slot_of_mem[tile_mem] != slot) tile_mem++;
        if (tile_mem == tile_mems || unordered[tile_mem]) continue;
        const bool part = job->interp.tiles_run < job->interp.tiles_total && job->interp.written;
        Comparison c = {.want = &copies[slot],
                        .written = part ? job->interp.written[tile_mem] : NULL};
        Tolerance allowed =
            verify_tolerance(&cost, c.want->dtype, verify_largest(&c), job->options);
        tensors[m].relative = allowed.relative;
        tensors[m].absolute = allowed.absolute;
        choose_wanted(job, &tensors[m], c.want, &job->originals[slot], c.written);
    }
}

// ---- the text

static void describe_tensor(HostJob *job, Mem m, HostTensor *tensor, int64_t *data_bytes)
{
    Launch *launch = job->launch;
    const Func *f = launch->exec->loop;
    const MemInfo *mem = mem_at(f, m);
    const uint32_t slot = launch->exec->slot_of_loop_mem[m.i];
    const TensorView *view = slot == UINT32_MAX ? NULL : &launch->slots[slot].view;
    tensor->name = str_format(&launch->arena, "%.*s", STR_ARG(mem->name)).data;
    tensor->front = view ? -view->low : 0;
    tensor->bytes = view ? view->high - view->low : mem_bytes(f, m, launch->f_values);
    float_layout(mem->dtype, &tensor->fill);
    tensor->fill.count = tensor->bytes * 8 / tensor->fill.bits;
    if (mem->has_init) {
        uint64_t element = 0;
        storage_store(mem->dtype, &element, 0, mem->init_bits);
        tensor->fill.kind = FILL_SAME;
        tensor->fill.low = (int64_t)fill_get(&tensor->fill, &element, 0);
    } else if (view && job->made[slot]) {
        tensor->fill = *job->made[slot];
    } else if (view && mem->kind != MEM_OUT) {
        tensor->data = view->data + view->low;
        *data_bytes += tensor->bytes;
    }
}

static Str title_of(const HostJob *job)
{
    const hk_exec *exec = job->exec;
    Buf title = {.arena = &job->launch->arena};
    buf_printf(&title, "kernel %s", exec->kernel->name);
    for (uint32_t d = 0; d < exec->tile->dims.count; d++)
        buf_printf(&title, "%s%s = %lld", d ? ", " : " for ", exec->dim_names[d],
                   (long long)job->launch->dims[d]);
    return buf_view(&title);
}

static void write_program(void *self)
{
    HostJob *job = self;
    Launch *launch = job->launch;
    const hk_exec *exec = launch->exec;
    const Func *f = exec->loop;
    Arena *arena = &launch->arena;
    TensorView *copies = arena_array(arena, TensorView, exec->kernel->param_count + 1);
    for (size_t i = 0; i < exec->kernel->param_count; i++) {
        if (!job->originals[i].given) continue;
        copies[i] = launch->slots[i].view;
        launch->slots[i].view = job->originals[i];
    }
    if (!launch_place(launch, f)) return;
    HostTensor *tensors = arena_array(arena, HostTensor, f->mems.count + 1);
    int64_t data_bytes = 0;
    for (uint32_t m = 1; m < f->mems.count; m++)
        if (mem_at(f, (Mem){m})->kind != MEM_SCRATCH)
            describe_tensor(job, (Mem){m}, &tensors[m], &data_bytes);
    if (data_bytes > DATA_BYTES_MOST) {
        diag_add(&job->diags, DIAG_USAGE, (Span){0},
                 "the arguments have %lld bytes, too many to be written into a program (%d); leave "
                 "them out and give shapes, so that it makes them up",
                 (long long)data_bytes, DATA_BYTES_MOST);
        return;
    }
    take_wanted(job, tensors, copies);
    HostLaunch host = {.title = title_of(job).data,
                       .loop = f,
                       .machine = exec->machine,
                       .frame = &launch->frame,
                       .tensors = tensors};
    opencl_host_text(&job->out, &host, &job->diags);
}

static hk_status run_and_write(HostJob *job, hk_error **error)
{
    Launch *launch = job->launch;
    const Allocator *allocator = &launch->arena.allocator;
    InterpOptions interp = {.config = launch->exec->config,
                            .seconds_max = job->options->seconds_max,
                            .sample_seed = job->options->seed};
    job->out.arena = &launch->arena;
    if (!guarded(&launch->arena, copy_outputs, job))
        return fail(allocator, error, HK_ERROR_MEMORY, DIAG_MEMORY, "out of memory");
    hk_status status = launch_run(launch, &interp, &job->interp, error);
    if (status != HK_OK) return status;
    job->diags.arena = &launch->arena;
    if (!guarded(&launch->arena, write_program, job) || launch->no_memory)
        return fail(allocator, error, HK_ERROR_MEMORY, DIAG_MEMORY, "out of memory");
    return HK_OK;
}

hk_status hk_exec_host_program(const hk_exec *exec, const hk_arg *args, size_t arg_count,
                               const hk_verify_options *options, hk_text **text, hk_error **error)
{
    if (error) *error = NULL;
    if (text) *text = NULL;
    hk_verify_options zero = {.struct_size = sizeof zero};
    if (!options) options = &zero;
    if (!exec || !text || (!args && arg_count))
        return fail_usage(error, "hk_exec_host_program: an argument is NULL");
    if (options->struct_size != sizeof *options)
        return fail_usage(error, "hk_exec_host_program: wrong struct_size");
    if (!exec->loop || exec->request.target != HK_TARGET_OPENCL)
        return fail_usage(error, "hk_exec_host_program: the exec is not Loop IR for OpenCL");
    hk_status status = args_want_host(exec->kernel, args, arg_count, "hk_exec_host_program", error);
    if (status != HK_OK) return status;
    const Allocator *allocator = &exec->kernel->module->context->allocator;
    Arena arena;
    Launch launch;
    HostJob job = {.arena = &arena,
                   .exec = exec,
                   .args = args,
                   .arg_count = arg_count,
                   .options = options,
                   .launch = &launch};
    arena_init(&arena, allocator);
    job.diags.arena = &arena;
    if (!guarded(&arena, complete_args, &job))
        status = fail(allocator, error, HK_ERROR_MEMORY, DIAG_MEMORY, "out of memory");
    else if (job.diags.error_count)
        status = fail_with(allocator, error, HK_ERROR_DIAGNOSTICS, &job.diags);
    if (status == HK_OK) {
        status = launch_prepare(&launch, exec, job.all, job.all_count, error);
        if (status == HK_OK) status = run_and_write(&job, error);
        if (status == HK_OK && job.diags.error_count)
            status = fail_with(allocator, error, HK_ERROR_DIAGNOSTICS, &job.diags);
        if (status == HK_OK) status = text_new(allocator, buf_view(&job.out), text, error);
        launch_close(&launch);
    }
    arena_free(&arena);
    return status;
}
