// hk_exec_estimate: the model of time, asked for a compiled kernel.
#include <math.h>

#include "passes/tune/model.h"
#include "runtime/internal.h"

typedef struct EstimateJob {
    Arena arena;
    const hk_exec *exec;
    Estimate estimate;
} EstimateJob;

static void run_estimate(void *self)
{
    EstimateJob *job = self;
    const hk_exec *exec = job->exec;
    const Machine *machine = &exec->kernel->module->context->machine;
    uint32_t threads = exec->team ? exec->team : exec->threads;
    job->estimate = model_estimate(&job->arena, exec->loop, machine, threads);
}

typedef struct AgainJob {
    Arena arena;
    hk_exec *copy;
    Str config;
    double seconds;
    bool exact;
} AgainJob;

static void run_again(void *self)
{
    AgainJob *job = self;
    hk_exec *copy = job->copy;
    copy->arena = job->arena;
    job->arena = (Arena){.allocator = copy->arena.allocator};
    DiagList diags = {.arena = &copy->arena};
    if (!compile_again(copy, job->config, &diags)) return;
    const Machine *machine = &copy->kernel->module->context->machine;
    Estimate e = model_estimate(&copy->arena, copy->loop, machine, copy->team);
    job->exact = e.exact;
    job->seconds = e.seconds;
}

double estimate_config(const hk_exec *exec, Str config, bool *exact)
{
    hk_exec copy = *exec;
    AgainJob job = {.copy = &copy, .config = config, .seconds = NAN};
    *exact = false;
    if (exec->request.target != HK_TARGET_CPU) return NAN;
    arena_init(&job.arena, &exec->kernel->module->context->allocator);
    copy.arena = job.arena;
    guarded(&job.arena, run_again, &job);
    arena_free(&copy.arena);
    *exact = job.exact;
    return job.seconds;
}

hk_status hk_exec_estimate(const hk_exec *exec, hk_estimate *out)
{
    if (!exec || !out || out->struct_size != sizeof *out || !exec->loop ||
        exec->request.target != HK_TARGET_CPU)
        return HK_ERROR_USAGE;
    EstimateJob job = {.exec = exec};
    arena_init(&job.arena, &exec->kernel->module->context->allocator);
    bool enough = guarded(&job.arena, run_estimate, &job);
    arena_free(&job.arena);
    if (!enough) return HK_ERROR_MEMORY;
    const Estimate *e = &job.estimate;
    *out = (hk_estimate){.struct_size = sizeof *out,
                         .seconds = e->seconds,
                         .bound = model_bound(e),
                         .core_seconds = e->core,
                         .idle_seconds = e->idle,
                         .start_seconds = e->start,
                         .units = e->units,
                         .unit_bytes = e->unit_bytes,
                         .exact = e->exact};
    for (int k = 0; k < MODEL_TERMS; k++) {
        double bytes = k >= MODEL_L2 ? e->bytes[k - MODEL_L2] : 0;
        out->limits[k] = (hk_limit){model_terms[k], e->terms[k], bytes};
    }
    return HK_OK;
}
