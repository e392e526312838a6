// Contexts: the allocator, the threads and the machine that everything else uses.
#include "runtime/internal.h"

#include <stdio.h>

#include <llvm/Config/llvm-config.h>

#include "runtime/sources.h"
#include "runtime/threads.h"

enum { THREADS_MAX = 256 };

typedef struct ContextJob {
    Arena arena;
    const hk_context_options *options;
    DiagList diags;
    hk_context *context;
} ContextJob;

static void create(void *self)
{
    ContextJob *job = self;
    hk_context *context = arena_new(&job->arena, hk_context);
    const hk_context_options *o = job->options;
    context->allocator = job->arena.allocator;
    context->log = o->log;
    context->log_self = o->log_self;
    context->parallel_for = o->parallel_for;
    context->parallel_for_self = o->parallel_for_self;
    LlvmTarget *target = &context->target;
    if (o->cpu && o->cpu[0]) target->cpu = str_copy(&job->arena, str_of(o->cpu)).data;
    if (o->triple && o->triple[0]) target->triple = str_copy(&job->arena, str_of(o->triple)).data;
    context->has_target = target->cpu || target->triple;
    context->no_tuned_files = o->no_tuned_files;
    if (o->code_cache && o->code_cache[0])
        context->code_cache = str_copy(&job->arena, str_of(o->code_cache)).data;
    context->opencl = opencl_system_new(&job->arena);
    job->context = context;
    job->diags.arena = &job->arena;
    if (machine_detect(&context->machine, context->has_target ? target : NULL, &job->diags) &&
        o->opencl_context)
        opencl_system_adopt(context->opencl, o->opencl_context, &job->diags);
}

hk_status hk_context_create(const hk_context_options *options, hk_context **context,
                            hk_error **error)
{
    if (error) *error = NULL;
    if (!context) return fail_usage(error, "hk_context_create: `context` is NULL");
    *context = NULL;
    hk_context_options zero = {.struct_size = sizeof zero};
    if (!options) options = &zero;
    if (options->struct_size != sizeof zero) {
        return fail_usage(
            error, "hk_context_create: options.struct_size is not the size of hk_context_options");
    }
    ContextJob job = {.options = options};
    Allocator allocator = {options->allocator.resize, options->allocator.self};
    arena_init(&job.arena, &allocator);
    if (!guarded(&job.arena, create, &job)) {
        arena_free(&job.arena);
        return fail(NULL, error, HK_ERROR_MEMORY, DIAG_MEMORY, "out of memory");
    }
    if (job.diags.error_count) {
        DiagCode code = job.diags.diags.data[0]->code;
        bool opencl = code == DIAG_DEVICE || code == DIAG_OPENCL_FAILED;
        hk_status status =
            fail_with(&job.arena.allocator, error,
                      opencl ? HK_ERROR_ENVIRONMENT : HK_ERROR_DIAGNOSTICS, &job.diags);
        opencl_system_close(job.context->opencl);
        arena_free(&job.arena);
        return status;
    }
    hk_context *made = job.context;
    made->arena = job.arena;
    if (options->rates && !made->has_target) machine_measured(&made->machine, options->rates);
    made->threads = options->threads ? options->threads : made->machine.cores;
    if (made->threads > THREADS_MAX) made->threads = THREADS_MAX;
    atomic_init(&made->references, 1);
    pthread_mutex_init(&made->lock, NULL);
    *context = made;
    return HK_OK;
}

void context_retain(hk_context *context)
{
    atomic_fetch_add(&context->references, 1);
}

void context_release(hk_context *context)
{
    if (atomic_fetch_sub(&context->references, 1) != 1) return;
    if (context->pool) pool_free(context->pool);
    streams_free(context);
    opencl_system_close(context->opencl);
    pthread_mutex_destroy(&context->lock);
    Arena arena = context->arena;
    arena_free(&arena);
}

Pool *context_pool(hk_context *context)
{
    pthread_mutex_lock(&context->lock);
    // With a host's parallel_for the pool only keeps scratch.
    if (!context->pool)
        context->pool = pool_new(context->parallel_for ? 1 : context->threads, &context->allocator);
    Pool *pool = context->pool;
    pthread_mutex_unlock(&context->lock);
    return pool;
}

void context_rest(hk_context *context)
{
    if (context->pool) pool_free(context->pool);
    context->pool = NULL;
}

void hk_context_free(hk_context *context)
{
    if (context) context_release(context);
}

uint32_t hk_context_threads(const hk_context *context)
{
    return context ? context->threads : 0;
}

void json_text(Buf *out, const char *s)
{
    buf_char(out, '"');
    for (; *s; s++) {
        if (*s == '"' || *s == '\\')
            buf_printf(out, "\\%c", *s);
        else if ((unsigned char)*s < 0x20)
            buf_printf(out, "\\u%04x", (unsigned char)*s);
        else
            buf_char(out, *s);
    }
    buf_char(out, '"');
}

enum { DEVICES_MAX = 16 };

typedef struct DescribeJob {
    Arena arena;
    const hk_context *context;
    Buf out;
} DescribeJob;

// What each source says, and of which one each cache's size is taken.
static void describe_sources(Buf *out)
{
    MachineSource sources[SOURCES_MAX];
    uint32_t count = sources_ask(sources, true);
    buf_printf(out, ", \"sources\": [");
    for (uint32_t k = 0; k < count; k++) {
        const MachineSource *s = &sources[k];
        buf_printf(out, "%s{\"name\": \"%s\", \"cpus\": %u", k ? ", " : "", s->name, s->cpus);
        for (int c = 0; c < CACHE_LEVELS; c++)
            buf_printf(out, ", \"l%d_bytes\": %lld", c + 1, (long long)s->cache[c]);
        buf_printf(out, "}");
    }
    buf_printf(out, "], \"from\": [");
    for (int c = 0; c < CACHE_LEVELS; c++) {
        const char *from;
        sources_cache(sources, count, c + 1, &from);
        buf_printf(out, "%s\"%s\"", c ? ", " : "", from ? from : "assumed");
    }
    buf_printf(out, "]");
}

static void describe(void *self)
{
    DescribeJob *job = self;
    const Machine *m = &job->context->machine;
    Buf *out = &job->out;
    out->arena = &job->arena;
    buf_printf(out, "{\"version\": \"%s\", \"llvm\": \"%s\", \"cpu\": ", hk_version_text(),
               hk_llvm_version_text());
    json_text(out, llvm_host_cpu(out->arena).data);
    buf_printf(
        out,
        ", \"threads\": %u, \"vector_bytes\": %u, \"vector_registers\": %u, \"l1_bytes\": %lld, "
        "\"l2_bytes\": %lld, \"l3_bytes\": %lld",
        job->context->threads, m->vector_bytes, m->vector_registers, (long long)m->l1_bytes,
        (long long)m->l2_bytes, (long long)m->l3_bytes);
    describe_sources(out);
    buf_printf(out, ", \"opencl\": [");
    OpenclDevice *devices = arena_array(&job->arena, OpenclDevice, DEVICES_MAX);
    char reason[256] = "";
    uint32_t count =
        opencl_devices(job->context->opencl, devices, DEVICES_MAX, reason, sizeof reason);
    for (uint32_t i = 0; i < count && i < DEVICES_MAX; i++) {
        buf_printf(out, "%s{\"name\": ", i ? ", " : "");
        json_text(out, devices[i].name);
        buf_printf(out, ", \"platform\": ");
        json_text(out, devices[i].platform);
        buf_printf(out, ", \"driver\": ");
        json_text(out, devices[i].driver);
        buf_printf(out,
                   ", \"compute_units\": %u, \"work_group_max\": %u, \"global_bytes\": %lld, "
                   "\"allocation_bytes_max\": %lld, "
                   "\"local_bytes\": %lld, \"fp16\": %s, \"fp64\": %s, \"int64_atomics\": %s, "
                   "\"subgroups\": %s, \"clock_mhz\": %u, \"cache_bytes\": %lld, \"is_cpu\": %s}",
                   devices[i].compute_units, devices[i].work_group_max,
                   (long long)devices[i].global_bytes, (long long)devices[i].allocation_bytes_max,
                   (long long)devices[i].local_bytes, devices[i].fp16 ? "true" : "false",
                   devices[i].fp64 ? "true" : "false", devices[i].int64_atomics ? "true" : "false",
                   devices[i].subgroups ? "true" : "false", devices[i].clock_mhz,
                   (long long)devices[i].cache_bytes, devices[i].is_cpu ? "true" : "false");
    }
    buf_printf(out, "]");
    if (!count) {
        buf_printf(out, ", \"opencl_reason\": ");
        json_text(out, reason);
    }
    buf_printf(out, "}");
}

hk_status hk_context_describe(hk_context *context, hk_text **json, hk_error **error)
{
    if (error) *error = NULL;
    if (json) *json = NULL;
    if (!context || !json) return fail_usage(error, "hk_context_describe: an argument is NULL");
    DescribeJob job = {.context = context};
    arena_init(&job.arena, &context->allocator);
    hk_status status = guarded(&job.arena, describe, &job)
                           ? text_new(&context->allocator, buf_view(&job.out), json, error)
                           : fail(NULL, error, HK_ERROR_MEMORY, DIAG_MEMORY, "out of memory");
    arena_free(&job.arena);
    return status;
}

uint32_t hk_version(void)
{
    return HK_VERSION;
}

#define TEXT_OF_(x) #x
#define TEXT_OF(x)  TEXT_OF_(x)

const char *hk_version_text(void)
{
    return TEXT_OF(HK_VERSION_MAJOR) "." TEXT_OF(HK_VERSION_MINOR) "." TEXT_OF(HK_VERSION_PATCH);
}

const char *hk_llvm_version_text(void)
{
    return LLVM_VERSION_STRING;
}
