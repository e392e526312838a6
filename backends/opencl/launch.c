// One launch: buffers, arguments, all phases in one in-order queue, results back.
#include "backends/opencl/code.h"
#include "ir/eval.h"

// The error buffer, as helpers.def declares it.
typedef struct DeviceTrap {
    cl_int state, site;
    cl_long index, bound;
} DeviceTrap;

typedef struct Launch {
    OpenclCode *code;
    const OpenclApi *api;
    const Func *f;
    const Frame *frame;
    const int64_t *bytes, *front;
    DiagList *diags;
    Arena *arena;
    uint64_t *values; // [Value.i] of the function's body
    cl_mem *buffers;  // [Mem.i]
    int64_t *sizes;   // [Mem.i]: bytes of the buffer
    size_t *items;    // [kernel]: work-items in flight, or groups that share units
    cl_mem trap, lines;
    uint64_t *words;   // of the lines that were printed
    cl_event *events;  // [kernel]
    double *device_ms; // may be NULL
    bool ok;
} Launch;

static int64_t units_of(const Launch *l, const Kernel *kernel)
{
    return ocl_units(l->f, l->values, kernel);
}

// ---- memory

enum { SHARED_ALIGNMENT = 64 };

static bool is_copied_in(const MemInfo *mem)
{
    return mem->kind == MEM_IN || mem->kind == MEM_OUT || mem->kind == MEM_INOUT || mem->has_init;
}

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
    const OpenclDevice *device = &l->code->device;
    const int64_t most_per_unit = device->is_cpu ? 4 : kernel->deal ? 16 : 256;
    int64_t most = (int64_t)device->compute_units * most_per_unit;
    int64_t room = device->allocation_bytes_max / 2 / (slice > 0 ? slice : 1);
    if (most > room) most = room;
    if (most > units) most = units;
    return most > 0 ? (size_t)most : 1;
}

// Decides the size of every buffer and compares with what the device has.
static bool plan_memory(Launch *l)
{
    const OpenclDevice *device = &l->code->device;
    const Program *program = &l->code->program;
    int64_t total = 0;
    for (uint32_t k = 0; k < program->kernels.count; k++) {
        const Kernel *kernel = &program->kernels.data[k];
        l->items[k] = kernel->is_repeated || units_of(l, kernel) ? items_of(l, kernel) : 0;
        if (!l->items[k]) continue;
        for (uint32_t i = 0; i < kernel->params.count; i++) {
            const Param *p = &kernel->params.data[i];
            int64_t size = 0;
            if (p->kind == PARAM_MEM) {
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
    return l->frame->mems[mem] ? (char *)l->frame->mems[mem] - l->front[mem] : NULL;
}

// On a CPU a buffer can be the caller's memory itself, if that is as aligned and as large as one of
// the driver's would be.
static bool is_shared(const Launch *l, uint32_t mem)
{
    const char *host = host_start(l, mem);
    if (!l->code->device.is_cpu || mem_at(l->f, (Mem){mem})->kind == MEM_SCRATCH) return false;
    return host && (uintptr_t)host % SHARED_ALIGNMENT == 0 &&
           l->sizes[mem] == l->front[mem] + l->bytes[mem];
}

static bool create_buffers(Launch *l)
{
    cl_int status = CL_SUCCESS;
    for (uint32_t i = 1; i < l->f->mems.count; i++) {
        const MemInfo *mem = mem_at(l->f, (Mem){i});
        if (!l->sizes[i]) continue;
        cl_mem_flags flags = mem->kind == MEM_IN ? CL_MEM_READ_ONLY : CL_MEM_READ_WRITE;
        if (is_shared(l, i)) flags |= CL_MEM_USE_HOST_PTR;
        void *host = is_shared(l, i) ? host_start(l, i) : NULL;
        l->buffers[i] =
            l->api->clCreateBuffer(l->code->context, flags, (size_t)l->sizes[i], host, &status);
        if (!opencl_ok(l->diags, status, "clCreateBuffer")) return false;
        size_t bytes = mem->kind == MEM_SCRATCH ? 0 : (size_t)(l->front[i] + l->bytes[i]);
        const void *from = mem->kind == MEM_SCRATCH ? NULL : host_start(l, i);
        // Of a shared buffer this copies nothing: it tells the driver that the memory has values.
        if (!is_copied_in(mem) || !bytes || !from) continue;
        status = l->api->clEnqueueWriteBuffer(l->code->queue, l->buffers[i], CL_FALSE, 0, bytes,
                                              from, 0, NULL, NULL);
        if (!opencl_ok(l->diags, status, "clEnqueueWriteBuffer")) return false;
    }
    DeviceTrap none = {0};
    l->trap = l->api->clCreateBuffer(l->code->context, CL_MEM_READ_WRITE | CL_MEM_COPY_HOST_PTR,
                                     sizeof none, &none, &status);
    if (!opencl_ok(l->diags, status, "clCreateBuffer")) return false;
    if (!ocl_prints(&l->code->program)) return true;
    l->words = arena_array(l->arena, uint64_t, PRINT_WORDS);
    l->lines = l->api->clCreateBuffer(l->code->context, CL_MEM_READ_WRITE | CL_MEM_COPY_HOST_PTR,
                                      sizeof(uint64_t) * PRINT_WORDS, l->words, &status);
    return opencl_ok(l->diags, status, "clCreateBuffer");
}

// ---- kernels

static bool set_scalar(Launch *l, cl_kernel kernel, cl_uint at, const Param *p)
{
    size_t bytes;
    uint64_t bits = ocl_scalar(l->f, l->frame, l->front, p, &bytes);
    return opencl_ok(l->diags, l->api->clSetKernelArg(kernel, at, bytes, &bits), "clSetKernelArg");
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
                               : p->kind == PARAM_PRINT ? &l->lines
                                                        : &l->buffers[p->mem.i];
        cl_int status = l->api->clSetKernelArg(handle, i, sizeof *buffer, buffer);
        if (!opencl_ok(l->diags, status, "clSetKernelArg")) return false;
    }
    return true;
}

// A power of two: small enough to give every compute unit some groups, and no larger than the
// kernel allows.
static size_t group_size(const Launch *l, cl_kernel handle, size_t items)
{
    size_t most = 1, size = 1;
    cl_int status = l->api->clGetKernelWorkGroupInfo(handle, l->code->id, CL_KERNEL_WORK_GROUP_SIZE,
                                                     sizeof most, &most, NULL);
    if (status != CL_SUCCESS) return 1;
    const size_t groups = (size_t)l->code->device.compute_units * 4;
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
    if (l->events[k]) l->api->clReleaseEvent(l->events[k]);
    l->events[k] = NULL;
    if (!set_args(l, kernel, handle)) return false;
    size_t local = kernel_group(kernel), global = l->items[k] * local;
    if (!local) {
        local = group_size(l, handle, l->items[k]);
        global = (l->items[k] + local - 1) / local * local;
        // Work-items beyond the last slice would have no scratch of their own.
        if (kernel->has_slices) global = l->items[k] / local * local;
    }
    cl_int status = l->api->clEnqueueNDRangeKernel(l->code->queue, handle, 1, NULL, &global, &local,
                                                   0, NULL, &l->events[k]);
    return opencl_ok(l->diags, status, "clEnqueueNDRangeKernel");
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
    const cl_command_queue queue = l->code->queue;
    const size_t bytes = (size_t)(l->front[mem] + l->bytes[mem]);
    cl_int status;
    if (!is_shared(l, mem)) {
        status = api->clEnqueueReadBuffer(queue, l->buffers[mem], CL_FALSE, 0, bytes,
                                          host_start(l, mem), 0, NULL, NULL);
        return opencl_ok(l->diags, status, "clEnqueueReadBuffer");
    }
    void *mapped = api->clEnqueueMapBuffer(queue, l->buffers[mem], CL_FALSE, CL_MAP_READ, 0, bytes,
                                           0, NULL, NULL, &status);
    if (!opencl_ok(l->diags, status, "clEnqueueMapBuffer")) return false;
    status = api->clEnqueueUnmapMemObject(queue, l->buffers[mem], mapped, 0, NULL, NULL);
    return opencl_ok(l->diags, status, "clEnqueueUnmapMemObject");
}

static bool read_back(Launch *l)
{
    DeviceTrap trap = {0};
    cl_command_queue queue = l->code->queue;
    for (uint32_t i = 1; i < l->f->mems.count; i++) {
        const MemInfo *mem = mem_at(l->f, (Mem){i});
        if (!l->buffers[i] || (mem->kind != MEM_OUT && mem->kind != MEM_INOUT)) continue;
        if (l->front[i] + l->bytes[i] > 0 && !read_output(l, i)) return false;
    }
    cl_int status =
        l->api->clEnqueueReadBuffer(queue, l->trap, CL_FALSE, 0, sizeof trap, &trap, 0, NULL, NULL);
    if (!opencl_ok(l->diags, status, "clEnqueueReadBuffer")) return false;
    if (l->lines) {
        status = l->api->clEnqueueReadBuffer(
            queue, l->lines, CL_FALSE, 0, sizeof(uint64_t) * PRINT_WORDS, l->words, 0, NULL, NULL);
        if (!opencl_ok(l->diags, status, "clEnqueueReadBuffer")) return false;
    }
    if (!opencl_ok(l->diags, l->api->clFinish(queue), "clFinish")) return false;
    if (l->lines) take_lines(l);
    if (trap.state && l->frame->trap) {
        *l->frame->trap =
            (Trap){.state = 2, .site = trap.site, .index = trap.index, .bound = trap.bound};
    }
    return true;
}

static double device_time_ms(const Launch *l)
{
    double ms = 0;
    for (uint32_t k = 0; k < l->code->program.kernels.count; k++) {
        cl_ulong start = 0, end = 0;
        if (!l->events[k]) continue;
        l->api->clGetEventProfilingInfo(l->events[k], CL_PROFILING_COMMAND_START, sizeof start,
                                        &start, NULL);
        l->api->clGetEventProfilingInfo(l->events[k], CL_PROFILING_COMMAND_END, sizeof end, &end,
                                        NULL);
        ms += (double)(end - start) * 1e-6;
    }
    return ms;
}

static void release(void *self)
{
    Launch *l = self;
    l->api->clFinish(l->code->queue); // after an error, copies may still be under way
    for (uint32_t k = 0; l->events && k < l->code->program.kernels.count; k++) {
        if (l->events[k]) l->api->clReleaseEvent(l->events[k]);
    }
    for (uint32_t i = 1; l->buffers && i < l->f->mems.count; i++) {
        if (l->buffers[i]) l->api->clReleaseMemObject(l->buffers[i]);
    }
    if (l->trap) l->api->clReleaseMemObject(l->trap);
    if (l->lines) l->api->clReleaseMemObject(l->lines);
    pthread_mutex_unlock(&l->code->lock);
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
    l->arena->out_of_memory = l->diags->arena->out_of_memory;
    l->values = arena_array(l->arena, uint64_t, l->f->values.count);
    l->buffers = arena_array(l->arena, cl_mem, l->f->mems.count);
    l->sizes = arena_array(l->arena, int64_t, l->f->mems.count);
    l->items = arena_array(l->arena, size_t, kernels);
    l->events = arena_array(l->arena, cl_event, kernels);
    evaluate_body(l);
    bool ok = plan_memory(l) && create_buffers(l);
    PhaseWalk phases = {.f = l->f,
                        .args = l->frame->args,
                        .values = l->values,
                        .evaluate = evaluate_body,
                        .self = l};
    for (uint32_t k; ok && phase_next(&phases, &k);) ok = run_kernel(l, k);
    l->ok = ok && read_back(l);
    if (l->ok && l->device_ms) *l->device_ms = device_time_ms(l);
}

bool opencl_run(OpenclCode *code, const Func *loop, const Frame *frame, const int64_t *bytes,
                const int64_t *front, double *device_ms, DiagList *diags)
{
    Arena arena;
    arena_init(&arena, &diags->arena->allocator);
    Launch l = {.code = code,
                .api = &code->api,
                .f = loop,
                .frame = frame,
                .bytes = bytes,
                .front = front,
                .diags = diags,
                .device_ms = device_ms,
                .arena = &arena};
    pthread_mutex_lock(&code->lock);
    arena_finally(diags->arena, run, release, &l);
    return l.ok;
}
