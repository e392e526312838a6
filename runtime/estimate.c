// hk_exec_estimate: the model of time, asked for a compiled kernel.
#include <math.h>

#include "passes/tune/model.h"
#include "runtime/internal.h"

typedef struct EstimateJob {
    Arena arena;
    const hk_exec *exec;
    Estimate estimate;
} EstimateJob;

// An OpenCL device that is a CPU is taken for this one: its compute units are threads, its vectors
// those of the Config.
static Machine cpu_of(const hk_exec *exec)
{
    const double START_SECONDS = 20e-6; // of a kernel by way of a queue
    const Machine *host = &exec->kernel->module->context->machine;
    Machine machine = *host;
    if (exec->request.target != HK_TARGET_OPENCL) return machine;
    machine.launch_seconds = START_SECONDS;
    if (exec->machine->vector_bytes >= host->vector_bytes) return machine;
    machine.vector_bytes = exec->machine->vector_bytes;
    machine.l1_rate *= (double)machine.vector_bytes / host->vector_bytes;
    return machine;
}

// NAN seconds where there is no model, or no such launch.
static Estimate estimate_of(Arena *arena, const hk_exec *exec, uint32_t threads)
{
    OpenclSystem *system = exec->kernel->module->context->opencl;
    const uint32_t number = exec->request.device;
    if (exec->request.target != HK_TARGET_OPENCL || !exec->machine->is_gpu_style) {
        Machine machine = cpu_of(exec);
        if (exec->request.target == HK_TARGET_OPENCL) threads = exec->machine->cores;
        return model_estimate(arena, exec->loop, &machine, threads);
    }
    GroupDevice device;
    GroupPlan plan;
    Estimate none = {.seconds = NAN};
    opencl_group_device(system, number, &device);
    if (!opencl_group_plan(arena, exec->loop, exec->machine, &plan)) return none;
    for (uint32_t i = 0; i < plan.phases.count; i++)
        if (plan.phases.data[i].local_bytes > device.local_bytes) return none;
    return model_groups(arena, exec->loop, exec->machine, &device, &plan);
}

static void run_estimate(void *self)
{
    EstimateJob *job = self;
    const hk_exec *exec = job->exec;
    job->estimate = estimate_of(&job->arena, exec, exec->team ? exec->team : exec->threads);
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
    Estimate e = estimate_of(&copy->arena, copy, copy->team);
    job->exact = e.exact;
    job->seconds = e.seconds;
}

double estimate_config(const hk_exec *exec, Str config, bool *exact)
{
    hk_exec copy = *exec;
    AgainJob job = {.copy = &copy, .config = config, .seconds = NAN};
    *exact = false;
    if (exec->request.target == HK_TARGET_INTERP) return NAN;
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
        exec->request.target == HK_TARGET_INTERP)
        return HK_ERROR_USAGE;
    EstimateJob job = {.exec = exec};
    arena_init(&job.arena, &exec->kernel->module->context->allocator);
    bool enough = guarded(&job.arena, run_estimate, &job);
    arena_free(&job.arena);
    if (!enough) return HK_ERROR_MEMORY;
    const Estimate *e = &job.estimate;
    if (isnan(e->seconds)) return HK_ERROR_USAGE;
    *out = (hk_estimate){.struct_size = sizeof *out,
                         .seconds = e->seconds,
                         .bound = model_bound(e),
                         .core_seconds = e->core,
                         .idle_seconds = e->idle,
                         .start_seconds = e->start,
                         .units = e->units,
                         .unit_bytes = e->unit_bytes,
                         .exact = e->exact,
                         .group = e->group,
                         .groups_at_once = e->resident,
                         .registers = e->registers,
                         .groups_limit = e->resident_by};
    const char *const *names = e->group ? model_group_terms : model_terms;
    for (int k = 0; k < MODEL_TERMS; k++) {
        double bytes = k >= MODEL_L2 ? e->bytes[k - MODEL_L2] : 0;
        out->limits[k] = (hk_limit){names[k], e->terms[k], bytes};
    }
    return HK_OK;
}
