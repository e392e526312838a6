// Trials: one kernel and its arguments, on which Configs are compiled, checked and timed.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "ir/eval.h"
#include "passes/tune/compare.h"
#include "runtime/launch.h"
#include "runtime/order.h"
#include "runtime/trial.h"
#include "runtime/verify.h"

// A sample is a batch of runs that is long enough for the clock; a first impression is a few
// samples.
enum { RUNS_FIRST = 7, RUNS_LEAST = 3, BATCH_MAX = 4096 };
static const double SAMPLE_SECONDS = 50e-6, ENOUGH_SECONDS = 0.03, SLOW_FACTOR = 2.0,
                    REFERENCE_SECONDS = 2.0,
                    TOLERANCE_FACTOR = 2; // both sides of the comparison are rounded

struct hk_trial {
    Arena arena;
    const hk_kernel *kernel;
    hk_specialize_options options;
    hk_exec *exec;        // of the default Config
    TensorView *views;    // by argument: outputs and inout tensors
    TensorView *wanted;   // what they should become
    TensorView *initial;  // what inout tensors were
    Tolerance *tolerance; // by argument
    double *largest;
    bool batches; // without inout tensors, runs may follow each other
};

// ---- preparing

static hk_param_kind kind_of(const hk_exec *exec, const char *name)
{
    for (size_t k = 0; k < exec->param_count; k++)
        if (strcmp(exec->params[k].name, name) == 0) return exec->params[k].kind;
    return HK_PARAM_SCALAR;
}

static uint32_t mem_of(const hk_exec *exec, const char *name)
{
    uint32_t m = 1;
    while (m < exec->tile->mems.count && !str_is(mem_at(exec->tile, (Mem){m})->name, name)) m++;
    return m < exec->tile->mems.count ? m : 0;
}

static void put(const TensorView *to, const TensorView *from)
{
    int64_t index[RANK_MAX] = {0};
    if (view_is_compact(to) && dtype_info[to->dtype].bits >= 8) {
        memcpy(to->data, from->data, (size_t)from->high);
        return;
    }
    if (view_is_empty(to)) return;
    do {
        storage_store(to->dtype, to->data, view_offset(to, index),
                      storage_load(from->dtype, from->data, view_offset(from, index)));
    } while (view_next(to, index));
}

static void restore(const hk_trial *trial)
{
    for (size_t k = 0; k < trial->options.arg_count; k++)
        if (trial->initial[k].given) put(&trial->views[k], &trial->initial[k]);
}

// So that what a candidate leaves unwritten is not right by chance.
static void poison(const hk_trial *trial)
{
    for (size_t k = 0; k < trial->options.arg_count; k++) {
        const TensorView *view = &trial->views[k];
        if (!view->given || trial->initial[k].given || !view_is_compact(view)) continue;
        memset(view->data, 0xa5, (size_t)view->high);
    }
}

typedef struct CreateJob {
    hk_trial *trial;
    bool ok;
} CreateJob;

static void find_views(void *self)
{
    CreateJob *job = self;
    hk_trial *trial = job->trial;
    Arena *arena = &trial->arena;
    size_t count = trial->options.arg_count;
    trial->views = arena_array(arena, TensorView, count + 1);
    trial->wanted = arena_array(arena, TensorView, count + 1);
    trial->initial = arena_array(arena, TensorView, count + 1);
    trial->tolerance = arena_array(arena, Tolerance, count + 1);
    trial->largest = arena_array(arena, double, count + 1);
    trial->batches = true;
    for (size_t k = 0; k < count; k++) {
        const hk_arg *arg = &trial->options.args[k];
        const char *name = arg->name;
        DiagCode code;
        char why[WHY_MOST];
        if (arg->kind != HK_ARG_TENSOR || !arg->tensor || !name) continue;
        hk_param_kind kind = kind_of(trial->exec, name);
        if (kind != HK_PARAM_OUT && kind != HK_PARAM_INOUT) continue;
        if (!tensor_view(arg->tensor, &trial->views[k], &code, why)) continue;
        if (kind == HK_PARAM_OUT) continue;
        trial->initial[k] = view_copy(arena, &trial->views[k]);
        trial->batches = false;
    }
    job->ok = true;
}

static void keep_outputs(void *self)
{
    CreateJob *job = self;
    hk_trial *trial = job->trial;
    Cost cost = cost_estimate(&trial->arena, trial->exec->tile, trial->exec->values);
    const bool *unordered = order_dependent(&trial->arena, trial->exec->tile);
    hk_verify_options own = {.struct_size = sizeof own};
    for (size_t k = 0; k < trial->options.arg_count; k++) {
        if (!trial->views[k].given || unordered[mem_of(trial->exec, trial->options.args[k].name)])
            continue;
        trial->wanted[k] = view_copy(&trial->arena, &trial->views[k]);
        Comparison c = {&trial->views[k], &trial->wanted[k], NULL};
        trial->largest[k] = verify_largest(&c);
        Tolerance t = verify_tolerance(&cost, trial->views[k].dtype, trial->largest[k], &own);
        trial->tolerance[k] =
            (Tolerance){TOLERANCE_FACTOR * t.relative, TOLERANCE_FACTOR * t.absolute};
    }
    job->ok = true;
}

static hk_status prepare(hk_trial *trial, hk_error **error)
{
    hk_status status = hk_kernel_specialize(trial->kernel, &trial->options, &trial->exec, error);
    if (status != HK_OK) return status;
    const Allocator *allocator = &trial->kernel->module->context->allocator;
    CreateJob job = {.trial = trial};
    if (!guarded(&trial->arena, find_views, &job))
        return fail(allocator, error, HK_ERROR_MEMORY, DIAG_MEMORY, "out of memory");
    const hk_arg *args = trial->options.args;
    size_t count = trial->options.arg_count;
    hk_verify_options options = {.struct_size = sizeof options, .seconds_max = REFERENCE_SECONDS};
    hk_verify_result result = {.struct_size = sizeof result};
    status = hk_exec_verify(trial->exec, args, count, &options, &result, error);
    if (status != HK_OK) return status;
    restore(trial);
    status = hk_exec_run(trial->exec, args, count, error);
    if (status != HK_OK) return status;
    if (!guarded(&trial->arena, keep_outputs, &job))
        return fail(allocator, error, HK_ERROR_MEMORY, DIAG_MEMORY, "out of memory");
    return HK_OK;
}

hk_status hk_trial_create(const hk_kernel *kernel, const hk_specialize_options *options,
                          hk_trial **trial, hk_error **error)
{
    if (error) *error = NULL;
    if (trial) *trial = NULL;
    if (!kernel || !options || !trial || !options->args)
        return fail_usage(error, "hk_trial_create: an argument is NULL");
    const Allocator *allocator = &kernel->module->context->allocator;
    hk_trial *made = allocator->resize(allocator->self, NULL, 0, sizeof *made);
    if (!made) return fail(allocator, error, HK_ERROR_MEMORY, DIAG_MEMORY, "out of memory");
    *made = (hk_trial){.kernel = kernel, .options = *options};
    made->options.stage = HK_STAGE_RUN;
    arena_init(&made->arena, allocator);
    hk_status status = prepare(made, error);
    if (status == HK_OK)
        *trial = made;
    else
        hk_trial_free(made);
    return status;
}

void hk_trial_free(hk_trial *trial)
{
    if (!trial) return;
    hk_exec_free(trial->exec);
    arena_free(&trial->arena);
    const Allocator *allocator = &trial->kernel->module->context->allocator;
    allocator->resize(allocator->self, trial, sizeof *trial, 0);
}

// ---- measuring

static hk_outcome outcome_of(hk_status status)
{
    return status == HK_ERROR_TRAP     ? HK_OUTCOME_TRAP
           : status == HK_ERROR_MEMORY ? HK_OUTCOME_MEMORY
                                       : HK_OUTCOME_REFUSED;
}

static bool same_bytes(const TensorView *a, const TensorView *b)
{
    return view_is_compact(a) && memcmp(a->data, b->data, (size_t)b->high) == 0;
}

// The largest error of any output, divided by what is allowed there; above 1 it is wrong.
static double error_ratio(const hk_trial *trial)
{
    double worst = 0;
    for (size_t k = 0; k < trial->options.arg_count; k++) {
        if (!trial->wanted[k].given || same_bytes(&trial->views[k], &trial->wanted[k])) continue;
        Comparison c = {&trial->views[k], &trial->wanted[k], NULL};
        hk_verify_output out = {0};
        verify_compare(&c, trial->tolerance[k], trial->largest[k], &out);
        double allowed = out.tolerance > 0 ? out.tolerance : 1;
        double ratio =
            out.mismatched ? fmax(1.01, out.error_max / allowed) : fmin(1, out.error_max / allowed);
        worst = fmax(worst, ratio);
    }
    return worst;
}

static hk_status one_run(const hk_trial *trial, const hk_exec *exec, double *seconds)
{
    restore(trial);
    double start = clock_seconds();
    hk_status status = hk_exec_run(exec, trial->options.args, trial->options.arg_count, NULL);
    *seconds = clock_seconds() - start;
    return status;
}

// `batch` runs, one of them `first` seconds long at a guess.
static hk_status sample(const hk_trial *trial, const hk_exec *exec, double first, double *seconds)
{
    if (!trial->batches || first >= SAMPLE_SECONDS) return one_run(trial, exec, seconds);
    int batch = first > 0 ? (int)fmin(BATCH_MAX, ceil(SAMPLE_SECONDS / first)) : BATCH_MAX;
    double start = clock_seconds();
    for (int k = 0; k < batch; k++) {
        hk_status status = hk_exec_run(exec, trial->options.args, trial->options.arg_count, NULL);
        if (status != HK_OK) return status;
    }
    *seconds = (clock_seconds() - start) / batch;
    return HK_OK;
}

static hk_outcome time_exec(const hk_trial *trial, const hk_exec *exec, double limit, uint32_t runs,
                            hk_evaluation *e)
{
    double first = 0, begin = clock_seconds();
    hk_status status = one_run(trial, exec, &first); // warms caches, and says how long a batch is
    uint32_t most = runs ? runs : RUNS_FIRST;
    if (status == HK_OK && limit > 0 && first > 4 * SLOW_FACTOR * limit) {
        e->seconds[e->count++] = e->median = first;
        return HK_OUTCOME_SLOW;
    }
    while (status == HK_OK && e->count < most && e->count < HK_SAMPLES_MAX) {
        status = sample(trial, exec, first, &e->seconds[e->count]);
        if (status != HK_OK) break;
        double last = e->seconds[e->count++];
        if (last < first) first = last;
        e->median = median_of(e->seconds, (uint32_t)e->count);
        if (limit > 0 && e->count == 2 && first > SLOW_FACTOR * limit) return HK_OUTCOME_SLOW;
        if (!runs && e->count >= RUNS_LEAST && clock_seconds() - begin > ENOUGH_SECONDS) break;
    }
    return status == HK_OK ? HK_OUTCOME_OK : outcome_of(status);
}

static hk_outcome try_config(hk_trial *trial, const char *config, double limit, uint32_t runs,
                             hk_evaluation *e)
{
    hk_specialize_options options = trial->options;
    options.config = config;
    hk_exec *exec = NULL;
    double start = clock_seconds(), ignored;
    hk_status status = hk_kernel_specialize(trial->kernel, &options, &exec, NULL);
    e->compile_seconds = clock_seconds() - start;
    hk_outcome outcome = outcome_of(status);
    if (status == HK_OK) {
        poison(trial);
        status = one_run(trial, exec, &ignored);
        outcome = outcome_of(status);
    }
    if (status == HK_OK) {
        e->error_ratio = error_ratio(trial);
        outcome = e->error_ratio > 1 ? HK_OUTCOME_WRONG : time_exec(trial, exec, limit, runs, e);
    }
    hk_exec_free(exec);
    return outcome;
}

hk_status hk_trial_measure(hk_trial *trial, const char *config, double seconds_limit, uint32_t runs,
                           hk_evaluation *evaluation)
{
    if (!trial || !evaluation || evaluation->struct_size != sizeof *evaluation)
        return HK_ERROR_USAGE;
    *evaluation = (hk_evaluation){.struct_size = sizeof *evaluation, .median = INFINITY};
    evaluation->outcome = try_config(trial, config, seconds_limit, runs, evaluation);
    return HK_OK;
}
