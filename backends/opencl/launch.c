// One launch: buffers, arguments, all phases in one queue in order, results back.
#include "backends/opencl/code.h"
#include "ir/eval.h"

typedef struct Launch {
    OpenclStream *stream;
    OpenclCode *code;
    const OpenclApi *api;
    const OpenclLaunch *given;
    const Func *f;
    const Frame *frame;
    const int64_t *bytes, *front;
    DiagList *diags;
    Arena *arena;
    uint64_t *values;     // [Value.i] of the function's body
    cl_mem *buffers;      // [Mem.i]
    bool *is_wrapped;     // [Mem.i]: the buffer is the caller's memory
    int64_t *sizes;       // [Mem.i]: bytes of a buffer to be found for it
    size_t *items;        // [kernel]: work-items in flight, or groups that share units
    VEC(cl_event) events; // of the kernels, if they are timed
    cl_mem trap;
    uint64_t *words; // of the lines that were printed
    bool ok;
} Launch;

static int64_t units_of(const Launch *l, const Kernel *kernel)
{
    return ocl_units(l->f, l->values, kernel);
}

// ---- memory

enum { SHARED_ALIGNMENT = 64 };

// How many work-items (or groups that share a unit) run at once: all units, or as many as have room
// for their slices.
static size_t items_of(const Launch *l, const Kernel *kernel)
{
    int64_t units = kernel->is_repeated ? INT64_MAX : units_of(l, kernel), slice = 0;
    if (kernel->is_serial) return 1;
    if (!kernel->has_slices) return (size_t)units;
    for (uint32_t i = 0; i < kernel->params.count; i++) {
        if (kernel->params.data[i].kind == PARAM_SCRATCH) {
            slice += ocl_scratch_bytes(l->f, kernel->params.data[i].mem);
        }
    }
    const OpenclDevice *device = &l->code->site.device;
    // On a CPU few, so that slices stay in its caches, but small ones can be as many as make cores
    // that others use as well finish at the same time.
    const int64_t most_per_cpu = slice > 64 * 1024 ? 4 : 16;
    const int64_t most_per_unit = device->is_cpu ? most_per_cpu : kernel->deal ? 16 : 256;
    int64_t most = (int64_t)device->compute_units * most_per_unit;
    int64_t room = device->allocation_bytes_max / 2 / (slice > 0 ? slice : 1);
    if (most > room) most = room;
    if (most > units) most = units;
    return most > 0 ? (size_t)most : 1;
}

static void *given_buffer(const Launch *l, uint32_t mem)
{
    return l->given->buffers ? l->given->buffers[mem] : NULL;
}

// Decides the size of every buffer that is not there yet and compares with what the device has.
static bool plan_memory(Launch *l)
{
    const OpenclDevice *device = &l->code->site.device;
    const Program *program = &l->code->program;
    int64_t total = 0;
    for (uint32_t k = 0; k < program->kernels.count; k++) {
        const Kernel *kernel = &program->kernels.data[k];
        l->items[k] = kernel->is_repeated || units_of(l, kernel) ? items_of(l, kernel) : 0;
        if (!l->items[k]) continue;
        for (uint32_t i = 0; i < kernel->params.count; i++) {
            const Param *p = &kernel->params.data[i];
            int64_t size = 0;
            if (p->kind == PARAM_MEM && given_buffer(l, p->mem.i)) {
                continue;
            } else if (p->kind == PARAM_MEM) {
                size = l->front[p->mem.i] + l->bytes[p->mem.i];
            } else if (p->kind == PARAM_SCRATCH &&
                       __builtin_mul_overflow(ocl_scratch_bytes(l->f, p->mem), (int64_t)l->items[k],
                                              &size)) {
                size = INT64_MAX / 2;
            } else if (p->kind != PARAM_SCRATCH) {
                continue;
            }
            size = (size + 15) / 16 * 16; // whole words, for what is updated by atomics
            if (size < 16) size = 16;
            if (size > l->sizes[p->mem.i]) l->sizes[p->mem.i] = size;
        }
    }
    for (uint32_t i = 1; i < l->f->mems.count; i++) {
        if (l->sizes[i] > device->allocation_bytes_max) {
            diag_add(l->diags, DIAG_OPENCL_LIMIT, mem_at(l->f, (Mem){i})->span,
                     "'%.*s' needs %lld bytes in one buffer; '%s' allows %lld",
                     STR_ARG(mem_at(l->f, (Mem){i})->name), (long long)l->sizes[i], device->name,
                     (long long)device->allocation_bytes_max);
            return false;
        }
        total += l->sizes[i];
    }
    if (total <= device->global_bytes) return true;
    diag_add(l->diags, DIAG_OPENCL_LIMIT, (Span){0}, "the launch needs %lld bytes; '%s' has %lld",
             (long long)total, device->name, (long long)device->global_bytes);
    return false;
}

static char *host_start(const Launch *l, uint32_t mem)
{
    if (mem_at(l->f, (Mem){mem})->kind == MEM_SCRATCH || given_buffer(l, mem)) return NULL;
    return l->frame->mems[mem] ? (char *)l->frame->mems[mem] - l->front[mem] : NULL;
}

// On a CPU a buffer can be the caller's memory itself, if that is as aligned and as large as one of
// the driver's would be.
static bool is_shared(const Launch *l, uint32_t mem)
{
    const char *host = host_start(l, mem);
    return l->code->site.device.is_cpu && host && (uintptr_t)host % SHARED_ALIGNMENT == 0 &&
           l->sizes[mem] == l->front[mem] + l->bytes[mem];
}

static bool wrap(Launch *l, uint32_t mem, char *host)
{
    cl_int status = CL_SUCCESS;
    cl_mem_flags flags =
        mem_at(l->f, (Mem){mem})->kind == MEM_IN ? CL_MEM_READ_ONLY : CL_MEM_READ_WRITE;
    l->buffers[mem] = l->api->clCreateBuffer(l->code->site.context, flags | CL_MEM_USE_HOST_PTR,
                                             (size_t)l->sizes[mem], host, &status);
    l->is_wrapped[mem] = l->buffers[mem] != NULL;
    return opencl_site_ok(&l->stream->site, l->diags, status, "clCreateBuffer");
}

static bool find_buffer(Launch *l, uint32_t mem)
{
    if (!l->sizes[mem]) return true;
    if (is_shared(l, mem)) return wrap(l, mem, host_start(l, mem));
    l->buffers[mem] = ocl_stream_buffer(l->stream, l->sizes[mem], l->diags);
    return l->buffers[mem] != NULL;
}

static bool fill(Launch *l, uint32_t mem)
{
    const OpenclFill *f = l->given->fills ? &l->given->fills[mem] : NULL;
    const size_t at = given_buffer(l, mem) ? (size_t)l->front[mem] : 0;
    const size_t bytes = given_buffer(l, mem) ? (size_t)l->bytes[mem] : (size_t)l->sizes[mem];
    if (!f || !f->bytes || !bytes || !l->buffers[mem]) return true;
    cl_int status = l->api->clEnqueueFillBuffer(l->stream->queue, l->buffers[mem], f->pattern,
                                                f->bytes, at, bytes, 0, NULL, NULL);
    return opencl_site_ok(&l->stream->site, l->diags, status, "clEnqueueFillBuffer");
}

// Of a shared buffer this copies nothing: it tells the driver that the memory has values.
static bool copy_in(Launch *l, uint32_t mem)
{
    const size_t bytes = (size_t)(l->front[mem] + l->bytes[mem]);
    const char *from = host_start(l, mem);
    if (!l->sizes[mem] || !from || !bytes) return true;
    cl_int status = l->api->clEnqueueWriteBuffer(l->stream->queue, l->buffers[mem], CL_FALSE, 0,
                                                 bytes, from, 0, NULL, NULL);
    return opencl_site_ok(&l->stream->site, l->diags, status, "clEnqueueWriteBuffer");
}

// Lines begin with the word that counts the others.
static bool prepare_lines(Launch *l)
{
    const uint64_t none = 0;
    cl_int status = CL_SUCCESS;
    if (!ocl_prints(&l->code->program)) return true;
    const size_t bytes = sizeof none * PRINT_WORDS;
    l->words = arena_array(l->arena, uint64_t, PRINT_WORDS);
    if (!l->stream->lines)
        l->stream->lines =
            l->api->clCreateBuffer(l->code->site.context, CL_MEM_READ_WRITE, bytes, NULL, &status);
    if (!opencl_site_ok(&l->stream->site, l->diags, status, "clCreateBuffer")) return false;
    status = l->api->clEnqueueFillBuffer(l->stream->queue, l->stream->lines, &none, sizeof none, 0,
                                         bytes, 0, NULL, NULL);
    return opencl_site_ok(&l->stream->site, l->diags, status, "clEnqueueFillBuffer");
}

static bool traps(const Program *program)
{
    for (uint32_t k = 0; k < program->kernels.count; k++) {
        const Kernel *kernel = &program->kernels.data[k];
        for (uint32_t i = 0; i < kernel->params.count; i++)
            if (kernel->params.data[i].kind == PARAM_TRAP) return true;
    }
    return false;
}

static bool prepare_memory(Launch *l)
{
    for (uint32_t i = 1; i < l->f->mems.count; i++) {
        l->buffers[i] = given_buffer(l, i);
        if (!find_buffer(l, i) || !fill(l, i) || !copy_in(l, i)) return false;
    }
    if (traps(&l->code->program)) {
        l->trap = ocl_stream_trap(l->stream, l->given->trap, l->diags);
        if (!l->trap) return false;
    }
    return prepare_lines(l) && ocl_stream_order(l->stream, l->diags);
}

// ---- kernels

static bool set_scalar(Launch *l, cl_kernel kernel, cl_uint at, const Param *p)
{
    size_t bytes;
    uint64_t bits = ocl_scalar(l->f, l->frame, l->front, p, &bytes);
    return opencl_site_ok(&l->stream->site, l->diags,
                          l->api->clSetKernelArg(kernel, at, bytes, &bits), "clSetKernelArg");
}

static bool set_args(Launch *l, const Kernel *kernel, cl_kernel handle)
{
    for (uint32_t i = 0; i < kernel->params.count; i++) {
        const Param *p = &kernel->params.data[i];
        if (!param_is_buffer(p)) {
            if (!set_scalar(l, handle, i, p)) return false;
            continue;
        }
        const cl_mem *buffer = p->kind == PARAM_TRAP    ? &l->trap
                               : p->kind == PARAM_PRINT ? &l->stream->lines
                                                        : &l->buffers[p->mem.i];
        cl_int status = l->api->clSetKernelArg(handle, i, sizeof *buffer, buffer);
        if (!opencl_site_ok(&l->stream->site, l->diags, status, "clSetKernelArg")) return false;
    }
    return true;
}

// A power of two: small enough to give every compute unit some groups, and no larger than the
// kernel allows.
static size_t group_size(const Launch *l, cl_kernel handle, size_t items)
{
    size_t most = 1, size = 1;
    cl_int status = l->api->clGetKernelWorkGroupInfo(
        handle, l->code->site.id, CL_KERNEL_WORK_GROUP_SIZE, sizeof most, &most, NULL);
    if (status != CL_SUCCESS) return 1;
    const size_t groups = (size_t)l->code->site.device.compute_units * 4;
    while (size * 2 <= most && size * 2 <= 64 && items / (size * 2) >= groups) size *= 2;
    return size;
}

static bool run_kernel(Launch *l, uint32_t k)
{
    const Kernel *kernel = &l->code->program.kernels.data[k];
    cl_kernel handle = l->code->kernels[k];
    if (kernel->is_repeated && !kernel->has_slices && !kernel->is_serial)
        l->items[k] = (size_t)units_of(l, kernel);
    if (!l->items[k] || !units_of(l, kernel)) return true;
    if (!set_args(l, kernel, handle)) return false;
    size_t local = kernel_group(kernel), global = l->items[k] * local;
    if (!local) {
        local = group_size(l, handle, l->items[k]);
        global = (l->items[k] + local - 1) / local * local;
        // Work-items beyond the last slice would have no scratch of their own.
        if (kernel->has_slices) global = l->items[k] / local * local;
    }
    cl_event event = NULL;
    vec_reserve(l->arena, &l->events, l->events.count + 1);
    cl_int status =
        l->api->clEnqueueNDRangeKernel(l->stream->queue, handle, 1, NULL, &global, &local, 0, NULL,
                                       l->given->device_ms ? &event : NULL);
    if (event) vec_push(l->arena, &l->events, event);
    return opencl_site_ok(&l->stream->site, l->diags, status, "clEnqueueNDRangeKernel") &&
           ocl_stream_order(l->stream, l->diags);
}

// ---- results

// Each line to the host's printer. The first word counts those behind it.
static void take_lines(const Launch *l)
{
    const Printer *printer = l->frame->printer;
    for (uint32_t at = 1; printer && at < PRINT_WORDS && l->words[at];) {
        printer->line(printer->self, (int64_t)(l->words[at] & 0xffffffffu), &l->words[at + 1]);
        at += (uint32_t)(l->words[at] >> 32);
    }
}

// To the caller's memory; where it is the buffer, mapping brings it up to date.
static bool read_output(const Launch *l, uint32_t mem)
{
    const OpenclApi *api = l->api;
    const cl_command_queue queue = l->stream->queue;
    const size_t bytes = (size_t)(l->front[mem] + l->bytes[mem]);
    cl_int status;
    if (!is_shared(l, mem)) {
        status = api->clEnqueueReadBuffer(queue, l->buffers[mem], CL_FALSE, 0, bytes,
                                          host_start(l, mem), 0, NULL, NULL);
        return opencl_site_ok(&l->stream->site, l->diags, status, "clEnqueueReadBuffer");
    }
    void *mapped = api->clEnqueueMapBuffer(queue, l->buffers[mem], CL_FALSE, CL_MAP_READ, 0, bytes,
                                           0, NULL, NULL, &status);
    if (!opencl_site_ok(&l->stream->site, l->diags, status, "clEnqueueMapBuffer")) return false;
    status = api->clEnqueueUnmapMemObject(queue, l->buffers[mem], mapped, 0, NULL, NULL);
    return opencl_site_ok(&l->stream->site, l->diags, status, "clEnqueueUnmapMemObject");
}

static bool read_outputs(const Launch *l)
{
    for (uint32_t i = 1; i < l->f->mems.count; i++) {
        const MemKind kind = mem_at(l->f, (Mem){i})->kind;
        if (!l->buffers[i] || (kind != MEM_OUT && kind != MEM_INOUT) || !host_start(l, i)) continue;
        if (l->front[i] + l->bytes[i] > 0 && !read_output(l, i)) return false;
    }
    return true;
}

static bool read_lines(const Launch *l)
{
    if (!l->words) return true;
    if (!opencl_stream_read(l->stream, l->stream->lines, 0, sizeof(uint64_t) * PRINT_WORDS,
                            l->words, l->diags))
        return false;
    take_lines(l);
    return true;
}

// A host's queue may not have a clock.
static bool measure(const Launch *l)
{
    double ms = 0;
    if (!l->given->device_ms) return true;
    if (!opencl_site_ok(&l->stream->site, l->diags, l->api->clFinish(l->stream->queue), "clFinish"))
        return false;
    for (uint32_t k = 0; k < l->events.count; k++) {
        cl_ulong start = 0, end = 0;
        l->api->clGetEventProfilingInfo(l->events.data[k], CL_PROFILING_COMMAND_START, sizeof start,
                                        &start, NULL);
        l->api->clGetEventProfilingInfo(l->events.data[k], CL_PROFILING_COMMAND_END, sizeof end,
                                        &end, NULL);
        ms += (double)(end - start) * 1e-6;
    }
    *l->given->device_ms = ms;
    return true;
}

// A buffer lives on while commands use it.
static void release(void *self)
{
    Launch *l = self;
    l->code->arena.out_of_memory = NULL;
    pthread_mutex_unlock(&l->code->lock);
    if (!l->ok && l->stream->queue)
        l->api->clFinish(l->stream->queue); // copies may still be under way
    for (uint32_t k = 0; k < l->events.count; k++) l->api->clReleaseEvent(l->events.data[k]);
    for (uint32_t i = 1; l->is_wrapped && i < l->f->mems.count; i++)
        if (l->is_wrapped[i]) l->api->clReleaseMemObject(l->buffers[i]);
    ocl_stream_trim(l->stream);
    arena_free(l->arena);
}

static void evaluate_body(void *self)
{
    Launch *l = self;
    ocl_evaluate_body(l->f, l->frame, l->values);
}

static void run(void *self)
{
    Launch *l = self;
    const uint32_t kernels = l->code->program.kernels.count + 1;
    l->arena->out_of_memory = l->code->arena.out_of_memory = l->diags->arena->out_of_memory;
    if (!ocl_stream_ready(l->stream, l->diags) || !opencl_build_again(l->code, l->diags)) return;
    l->values = arena_array(l->arena, uint64_t, l->f->values.count);
    l->buffers = arena_array(l->arena, cl_mem, l->f->mems.count);
    l->is_wrapped = arena_array(l->arena, bool, l->f->mems.count);
    l->sizes = arena_array(l->arena, int64_t, l->f->mems.count);
    l->items = arena_array(l->arena, size_t, kernels);
    evaluate_body(l);
    bool ok = ocl_stream_order(l->stream, l->diags) && plan_memory(l) && prepare_memory(l);
    PhaseWalk phases = {.f = l->f,
                        .args = l->frame->args,
                        .values = l->values,
                        .evaluate = evaluate_body,
                        .self = l};
    for (uint32_t k; ok && phase_next(&phases, &k);) ok = run_kernel(l, k);
    ok = ok && read_outputs(l) && read_lines(l) && measure(l);
    if (ok && l->stream->is_own)
        ok = opencl_site_ok(&l->stream->site, l->diags, l->api->clFlush(l->stream->queue),
                            "clFlush");
    l->ok = ok;
}

bool opencl_run(OpenclStream *stream, OpenclCode *code, const OpenclLaunch *launch, DiagList *diags)
{
    Arena arena;
    arena_init(&arena, &diags->arena->allocator);
    Launch l = {.stream = stream,
                .code = code,
                .api = code->site.api,
                .given = launch,
                .f = launch->loop,
                .frame = launch->frame,
                .bytes = launch->bytes,
                .front = launch->front,
                .diags = diags,
                .arena = &arena};
    stream->launch++;
    pthread_mutex_lock(&code->lock);
    arena_finally(diags->arena, run, release, &l);
    return l.ok;
}
