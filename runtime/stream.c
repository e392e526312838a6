// Streams: launches in one OpenCL queue, in order, without waiting for each other. hk_exec_run
// takes one that is idle, so that it need not make its own.
#include "runtime/stream.h"

#include "runtime/launch.h"

struct hk_stream {
    Arena arena;
    hk_context *context;
    OpenclStream *opencl;
    uint32_t device;
    bool is_users; // and holds the context
    hk_stream *next;
    pthread_mutex_t lock;                  // guards what follows, and the queue
    const hk_exec *held[OPENCL_TRAPS_MAX]; // launched since the last wait, by error buffer
    uint32_t held_count;
};

typedef struct OpenJob {
    Arena arena;
    hk_context *context;
    uint32_t device;
    void *queue;
    DiagList diags;
    hk_stream *stream;
} OpenJob;

static void open_stream(void *self)
{
    OpenJob *job = self;
    job->diags.arena = &job->arena;
    hk_stream *stream = arena_new(&job->arena, hk_stream);
    stream->context = job->context;
    stream->device = job->device;
    stream->opencl =
        opencl_stream_open(&job->arena, job->context->opencl, job->device, job->queue, &job->diags);
    if (stream->opencl) job->stream = stream;
}

static hk_status stream_new(hk_context *context, uint32_t device, void *queue, hk_stream **stream,
                            hk_error **error)
{
    OpenJob job = {.context = context, .device = device, .queue = queue};
    arena_init(&job.arena, &context->allocator);
    bool enough = guarded(&job.arena, open_stream, &job);
    hk_status status = HK_OK;
    if (!enough)
        status = fail(&context->allocator, error, HK_ERROR_MEMORY, DIAG_MEMORY, "out of memory");
    else if (!job.stream)
        status = fail_with(&context->allocator, error, HK_ERROR_ENVIRONMENT, &job.diags);
    if (status != HK_OK) {
        arena_free(&job.arena);
        return status;
    }
    job.stream->arena = job.arena;
    pthread_mutex_init(&job.stream->lock, NULL);
    *stream = job.stream;
    return HK_OK;
}

static void let_go(hk_stream *stream)
{
    for (uint32_t i = 0; i < stream->held_count; i++) hk_exec_free((hk_exec *)stream->held[i]);
    stream->held_count = 0;
}

static void stream_free(hk_stream *stream)
{
    let_go(stream);
    opencl_stream_close(stream->opencl);
    pthread_mutex_destroy(&stream->lock);
    Arena arena = stream->arena;
    arena_free(&arena);
}

// ---- idle ones

hk_status stream_take(hk_context *context, uint32_t device, hk_stream **stream, hk_error **error)
{
    pthread_mutex_lock(&context->lock);
    hk_stream **at = &context->idle;
    while (*at && (*at)->device != device) at = &(*at)->next;
    *stream = *at;
    if (*at) *at = (*at)->next;
    pthread_mutex_unlock(&context->lock);
    return *stream ? HK_OK : stream_new(context, device, NULL, stream, error);
}

void stream_give(hk_stream *stream)
{
    hk_context *context = stream->context;
    pthread_mutex_lock(&context->lock);
    stream->next = context->idle;
    context->idle = stream;
    pthread_mutex_unlock(&context->lock);
}

void streams_free(hk_context *context)
{
    for (hk_stream *stream = context->idle, *next; stream; stream = next) {
        next = stream->next;
        stream_free(stream);
    }
}

// ---- launches

OpenclStream *stream_lock(hk_stream *stream)
{
    pthread_mutex_lock(&stream->lock);
    return stream->opencl;
}

void stream_unlock(hk_stream *stream)
{
    pthread_mutex_unlock(&stream->lock);
}

OpenclStream *stream_opencl(const hk_stream *stream)
{
    return stream->opencl;
}

typedef struct WaitJob {
    Arena arena;
    hk_stream *stream;
    DiagList diags;
    Trap trap;
    uint32_t number;
    bool ok;
} WaitJob;

static void wait_for_all(void *self)
{
    WaitJob *job = self;
    job->diags.arena = &job->arena;
    job->ok = opencl_stream_wait(job->stream->opencl, &job->trap, &job->number, &job->diags);
}

hk_status stream_wait(hk_stream *stream, hk_error **error)
{
    const Allocator *allocator = &stream->context->allocator;
    WaitJob job = {.stream = stream};
    hk_status status = HK_OK;
    arena_init(&job.arena, allocator);
    if (!guarded(&job.arena, wait_for_all, &job))
        status = fail(allocator, error, HK_ERROR_MEMORY, DIAG_MEMORY, "out of memory");
    else if (!job.ok)
        status = fail_with(allocator, error, HK_ERROR_ENVIRONMENT, &job.diags);
    else if (job.trap.state)
        status = launch_trapped(stream->held[job.number], &job.trap, error);
    arena_free(&job.arena);
    let_go(stream);
    return status;
}

uint32_t stream_hold(hk_stream *stream, const hk_exec *exec)
{
    uint32_t i = 0;
    while (i < stream->held_count && stream->held[i] != exec) i++;
    if (i == stream->held_count) {
        exec_retain(exec);
        stream->held[stream->held_count++] = exec;
    }
    return i;
}

bool stream_is_full(const hk_stream *stream)
{
    return stream->held_count == OPENCL_TRAPS_MAX;
}

// ---- the public calls

hk_status hk_stream_create(hk_context *context, const hk_stream_options *options,
                           hk_stream **stream, hk_error **error)
{
    if (error) *error = NULL;
    if (stream) *stream = NULL;
    hk_stream_options zero = {.struct_size = sizeof zero};
    if (!options) options = &zero;
    if (!context || !stream) return fail_usage(error, "hk_stream_create: an argument is NULL");
    if (options->struct_size != sizeof zero)
        return fail_usage(error, "hk_stream_create: wrong struct_size");
    hk_status status = stream_new(context, options->device, options->queue, stream, error);
    if (status != HK_OK) return status;
    (*stream)->is_users = true;
    context_retain(context);
    return HK_OK;
}

void hk_stream_free(hk_stream *stream)
{
    if (!stream) return;
    hk_context *context = stream->context;
    stream_free(stream);
    context_release(context);
}

void *hk_stream_queue(const hk_stream *stream)
{
    return stream ? opencl_stream_queue(stream->opencl) : NULL;
}

hk_status hk_stream_run(hk_stream *stream, const hk_exec *exec, const hk_arg *args,
                        size_t arg_count, hk_error **error)
{
    if (error) *error = NULL;
    if (!stream || !exec || (!args && arg_count))
        return fail_usage(error, "hk_stream_run: an argument is NULL");
    if (exec->kernel->module->context != stream->context)
        return fail_usage(error, "hk_stream_run: the stream is of another hk_context");
    if (exec->request.target != HK_TARGET_OPENCL || exec->request.device != stream->device)
        return fail_usage(error, "hk_stream_run: the exec is not for the stream's OpenCL device");
    Launch launch;
    hk_status status = launch_open_in(&launch, stream, exec, args, arg_count, error);
    if (status == HK_OK) status = launch_run(&launch, NULL, NULL, error);
    launch_close(&launch);
    return status;
}

hk_status hk_stream_wait(hk_stream *stream, hk_error **error)
{
    if (error) *error = NULL;
    if (!stream) return fail_usage(error, "hk_stream_wait: the stream is NULL");
    stream_lock(stream);
    hk_status status = stream_wait(stream, error);
    stream_unlock(stream);
    return status;
}
