// Queues. Launches follow each other in one queue in order, so the memory that one needs for itself
// is free for the next as soon as the first has been queued, whether it has run or not.
#include "backends/opencl/stream.h"
#include "backends/opencl/code.h"

enum { KEPT_LAUNCHES = 16 }; // that long a buffer stays without use

static bool open_host_queue(OpenclStream *stream, cl_command_queue queue, DiagList *diags)
{
    const OpenclApi *api = stream->site.api;
    cl_context context = NULL;
    cl_device_id device = NULL;
    cl_command_queue_properties properties = 0;
    cl_int status =
        api->clGetCommandQueueInfo(queue, CL_QUEUE_CONTEXT, sizeof context, &context, NULL);
    if (status == CL_SUCCESS)
        status = api->clGetCommandQueueInfo(queue, CL_QUEUE_DEVICE, sizeof device, &device, NULL);
    if (status == CL_SUCCESS)
        status = api->clGetCommandQueueInfo(queue, CL_QUEUE_PROPERTIES, sizeof properties,
                                            &properties, NULL);
    if (!opencl_ok(diags, status, "clGetCommandQueueInfo")) return false;
    if (context != stream->site.context) {
        Diag *diag = diag_add(diags, DIAG_DEVICE, (Span){0},
                              "the queue is of another OpenCL context than the hk_context's");
        diag_hint(diags, diag, "give that context to hk_context_create as `opencl_context`");
        return false;
    }
    if (device != stream->site.id) {
        diag_add(diags, DIAG_DEVICE, (Span){0}, "the queue is of another device than '%s'",
                 stream->site.device.name);
        return false;
    }
    if (!opencl_ok(diags, api->clRetainCommandQueue(queue), "clRetainCommandQueue")) return false;
    stream->queue = queue;
    stream->is_ordered = !(properties & CL_QUEUE_OUT_OF_ORDER_EXEC_MODE_ENABLE);
    return true;
}

static bool open_own_queue(OpenclStream *stream, DiagList *diags)
{
    cl_int status = CL_SUCCESS;
    stream->is_own = stream->is_ordered = true;
    stream->queue = stream->site.api->clCreateCommandQueue(stream->site.context, stream->site.id,
                                                           CL_QUEUE_PROFILING_ENABLE, &status);
    return opencl_ok(diags, status, "clCreateCommandQueue");
}

OpenclStream *opencl_stream_open(Arena *arena, OpenclSystem *system, uint32_t device, void *queue,
                                 DiagList *diags)
{
    OpenclStream *stream = arena_new(arena, OpenclStream);
    if (!opencl_site(system, device, &stream->site, diags)) return NULL;
    bool ok = queue ? open_host_queue(stream, queue, diags) : open_own_queue(stream, diags);
    return ok ? stream : NULL;
}

void *opencl_stream_queue(const OpenclStream *stream)
{
    return stream->queue;
}

static void drop(OpenclStream *stream, PooledBuffer *pooled)
{
    if (pooled->buffer) stream->site.api->clReleaseMemObject(pooled->buffer);
    *pooled = (PooledBuffer){0};
}

// What still runs keeps what it needs: OpenCL counts that.
void opencl_stream_close(OpenclStream *stream)
{
    const OpenclApi *api = stream->site.api;
    for (uint32_t i = 0; i < POOL_MAX; i++) drop(stream, &stream->pool[i]);
    for (uint32_t i = 0; i < OPENCL_TRAPS_MAX; i++) {
        if (stream->traps[i]) api->clReleaseMemObject(stream->traps[i]);
        stream->traps[i] = NULL;
        stream->is_trap_used[i] = false;
    }
    if (stream->lines) api->clReleaseMemObject(stream->lines);
    if (stream->queue) api->clReleaseCommandQueue(stream->queue);
    stream->lines = NULL;
    stream->queue = NULL;
}

bool ocl_stream_ready(OpenclStream *stream, DiagList *diags)
{
    if (!stream->is_own || (stream->queue && !opencl_site_is_lost(&stream->site))) return true;
    opencl_stream_close(stream);
    return opencl_site(stream->site.system, stream->site.number, &stream->site, diags) &&
           open_own_queue(stream, diags);
}

// ---- buffers

static bool is_idle(const OpenclStream *stream, const PooledBuffer *pooled)
{
    return pooled->buffer && pooled->used != stream->launch;
}

void ocl_stream_trim(OpenclStream *stream)
{
    for (uint32_t i = 0; i < POOL_MAX; i++) {
        PooledBuffer *pooled = &stream->pool[i];
        if (pooled->buffer && stream->launch - pooled->used >= KEPT_LAUNCHES) drop(stream, pooled);
    }
}

// The smallest that is large enough and not twice as large.
static PooledBuffer *find_idle(OpenclStream *stream, int64_t bytes)
{
    PooledBuffer *best = NULL;
    for (uint32_t i = 0; i < POOL_MAX; i++) {
        PooledBuffer *pooled = &stream->pool[i];
        if (!is_idle(stream, pooled) || pooled->bytes < bytes || pooled->bytes / 2 >= bytes)
            continue;
        if (!best || pooled->bytes < best->bytes) best = pooled;
    }
    return best;
}

static PooledBuffer *find_place(OpenclStream *stream)
{
    PooledBuffer *oldest = NULL;
    for (uint32_t i = 0; i < POOL_MAX; i++) {
        PooledBuffer *pooled = &stream->pool[i];
        if (!pooled->buffer) return pooled;
        if (is_idle(stream, pooled) && (!oldest || pooled->used < oldest->used)) oldest = pooled;
    }
    if (oldest) drop(stream, oldest);
    return oldest;
}

cl_mem ocl_stream_buffer(OpenclStream *stream, int64_t bytes, DiagList *diags)
{
    const OpenclSite *site = &stream->site;
    PooledBuffer *pooled = find_idle(stream, bytes);
    if (!pooled && (pooled = find_place(stream))) {
        cl_int status = CL_SUCCESS;
        for (int attempt = 0; attempt < 2 && !pooled->buffer; attempt++) {
            for (uint32_t i = 0; attempt && i < POOL_MAX; i++) // what is idle may be in the way
                if (is_idle(stream, &stream->pool[i])) drop(stream, &stream->pool[i]);
            pooled->buffer = site->api->clCreateBuffer(site->context, CL_MEM_READ_WRITE,
                                                       (size_t)bytes, NULL, &status);
        }
        if (!opencl_site_ok(&stream->site, diags, status, "clCreateBuffer")) return NULL;
        pooled->bytes = bytes;
    }
    if (!pooled) {
        diag_add(diags, DIAG_OPENCL_LIMIT, (Span){0},
                 "a launch may have %d buffers that are not on the device already", POOL_MAX);
        return NULL;
    }
    pooled->used = stream->launch;
    return pooled->buffer;
}

cl_mem ocl_stream_trap(OpenclStream *stream, uint32_t number, DiagList *diags)
{
    const OpenclSite *site = &stream->site;
    cl_mem *trap = &stream->traps[number];
    if (!*trap) {
        DeviceTrap none = {0};
        cl_int status = CL_SUCCESS;
        *trap = site->api->clCreateBuffer(site->context, CL_MEM_READ_WRITE | CL_MEM_COPY_HOST_PTR,
                                          sizeof none, &none, &status);
        if (!opencl_site_ok(&stream->site, diags, status, "clCreateBuffer")) return NULL;
    }
    stream->is_trap_used[number] = true;
    return *trap;
}

bool ocl_stream_order(OpenclStream *stream, DiagList *diags)
{
    if (stream->is_ordered) return true;
    return opencl_site_ok(
        &stream->site, diags,
        stream->site.api->clEnqueueBarrierWithWaitList(stream->queue, 0, NULL, NULL),
        "clEnqueueBarrierWithWaitList");
}

// ---- copies that wait

bool opencl_stream_read(OpenclStream *stream, void *buffer, int64_t offset, int64_t bytes, void *to,
                        DiagList *diags)
{
    if (!ocl_stream_order(stream, diags)) return false;
    return opencl_site_ok(&stream->site, diags,
                          stream->site.api->clEnqueueReadBuffer(stream->queue, buffer, CL_TRUE,
                                                                (size_t)offset, (size_t)bytes, to,
                                                                0, NULL, NULL),
                          "clEnqueueReadBuffer");
}

bool opencl_stream_write(OpenclStream *stream, void *buffer, int64_t offset, int64_t bytes,
                         const void *from, DiagList *diags)
{
    if (!ocl_stream_order(stream, diags)) return false;
    return opencl_site_ok(&stream->site, diags,
                          stream->site.api->clEnqueueWriteBuffer(stream->queue, buffer, CL_TRUE,
                                                                 (size_t)offset, (size_t)bytes,
                                                                 from, 0, NULL, NULL),
                          "clEnqueueWriteBuffer");
}

// ---- waiting

static bool read_traps(OpenclStream *stream, DeviceTrap *traps, DiagList *diags)
{
    const OpenclApi *api = stream->site.api;
    for (uint32_t i = 0; i < OPENCL_TRAPS_MAX; i++) {
        if (!stream->is_trap_used[i]) continue;
        cl_int status = api->clEnqueueReadBuffer(stream->queue, stream->traps[i], CL_FALSE, 0,
                                                 sizeof traps[i], &traps[i], 0, NULL, NULL);
        if (!opencl_site_ok(&stream->site, diags, status, "clEnqueueReadBuffer")) return false;
    }
    return true;
}

bool opencl_stream_wait(OpenclStream *stream, Trap *trap, uint32_t *number, DiagList *diags)
{
    const OpenclApi *api = stream->site.api;
    DeviceTrap traps[OPENCL_TRAPS_MAX] = {{0}};
    *trap = (Trap){0};
    bool ok = ocl_stream_order(stream, diags) && read_traps(stream, traps, diags);
    ok = opencl_site_ok(&stream->site, diags, api->clFinish(stream->queue), "clFinish") && ok;
    for (uint32_t i = 0; i < OPENCL_TRAPS_MAX; i++) {
        const DeviceTrap *t = &traps[i], none = {0};
        stream->is_trap_used[i] = false;
        if (!t->state) continue;
        if (!trap->state) {
            *trap = (Trap){.state = 2, .site = t->site, .index = t->index, .bound = t->bound};
            *number = i;
        }
        ok = opencl_stream_write(stream, stream->traps[i], 0, sizeof none, &none, diags) && ok;
    }
    return ok;
}
