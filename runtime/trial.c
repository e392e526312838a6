// Trials: one kernel and its arguments, on which Configs are compiled, checked and timed.
//
// A candidate is checked on copies of the tensors in guarded memory, so that what it reads or
// writes beside them is seen, and timed on the tensors themselves.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "ir/eval.h"
#include "passes/tune/compare.h"
#include "runtime/fault.h"
#include "runtime/guard.h"
#include "runtime/launch.h"
#include "runtime/order.h"
#include "runtime/sense.h"
#include "runtime/trial.h"
#include "runtime/verify.h"
#include "runtime/warm.h"

// A sample is a batch of runs that is long enough for the clock; a first impression is a few
// samples.
enum { RUNS_FIRST = 7, RUNS_LEAST = 3, AGAIN_MOST = 3, BATCH_MAX = 4096 };
static const double WARM_SECONDS = 1e-3, AGAIN_WARM_SECONDS = 2e-4, SAMPLE_SECONDS = 50e-6,
                    ENOUGH_SECONDS = 0.03, SLOW_SECONDS = 0.02, SLOW_FACTOR = 2.0,
                    RESTED_SECONDS = 0.02, // since the last turn: threads sleep, caches are others'
    AGREEMENT = 1.02, REFERENCE_SECONDS = 0.5,
                    TOLERANCE_FACTOR = 2; // both sides of the comparison are rounded

// Copies of the tensors take at most this share of the machine's memory; else there are none.
static const double GUARDED_SHARE = 0.125;

struct hk_trial {
    Arena arena;
    const hk_kernel *kernel;
    hk_specialize_options options;
    hk_exec *exec;       // of the default Config
    TensorView *tensors; // by argument: all tensors
    TensorView *views;   // outputs and inout tensors among them
    TensorView *wanted;  // what they should become
    TensorView *initial; // what inout tensors were
    hk_arg *guarded;     // the arguments, compact tensors in guarded memory
    DLTensor *copies;    // of these
    TensorView *results; // outputs and inout tensors among `guarded`
    Guard *guards;
    Tolerance *tolerance; // by argument
    double *largest;
    const float **allowed; // by element; NULL: as the tolerance says
    Narrow *narrow;        // by argument
    bool batches;          // without inout tensors, runs may follow each other
    double again;          // when trial_again last ended, on the clock
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

static void restore(const hk_trial *trial, const TensorView *views)
{
    for (size_t k = 0; k < trial->options.arg_count; k++)
        if (trial->initial[k].given) put(&views[k], &trial->initial[k]);
}

// So that what a candidate leaves unwritten is not right by chance: a NaN is near to nothing.
static void poison(const hk_trial *trial)
{
    for (size_t k = 0; k < trial->options.arg_count; k++) {
        const TensorView *view = &trial->results[k];
        if (!view->given || trial->initial[k].given || !view_is_compact(view)) continue;
        memset(view->data, dtype_is_float(view->dtype) ? 0xff : 0xa5, (size_t)view->high);
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
    trial->tensors = arena_array(arena, TensorView, count + 1);
    trial->views = arena_array(arena, TensorView, count + 1);
    trial->wanted = arena_array(arena, TensorView, count + 1);
    trial->initial = arena_array(arena, TensorView, count + 1);
    trial->results = arena_array(arena, TensorView, count + 1);
    trial->guards = arena_array(arena, Guard, count + 1);
    trial->copies = arena_array(arena, DLTensor, count + 1);
    trial->guarded = arena_copy(arena, trial->options.args, sizeof(hk_arg) * count);
    trial->tolerance = arena_array(arena, Tolerance, count + 1);
    trial->largest = arena_array(arena, double, count + 1);
    trial->allowed = arena_array(arena, const float *, count + 1);
    trial->narrow = arena_array(arena, Narrow, count + 1);
    trial->batches = true;
    for (size_t k = 0; k < count; k++) {
        const hk_arg *arg = &trial->options.args[k];
        const char *name = arg->name;
        DiagCode code;
        char why[WHY_MOST];
        if (arg->kind != HK_ARG_TENSOR || !arg->tensor || !name) continue;
        if (!tensor_view(arg->tensor, &trial->tensors[k], &code, why) || !trial->tensors[k].data)
            continue; // the first launch will say so
        hk_param_kind kind = kind_of(trial->exec, name);
        if (kind != HK_PARAM_OUT && kind != HK_PARAM_INOUT) continue;
        trial->views[k] = trial->results[k] = trial->tensors[k];
        if (kind == HK_PARAM_OUT) continue;
        trial->initial[k] = view_copy(arena, &trial->views[k]);
        trial->batches = false;
    }
    job->ok = true;
}

// A copy of the tensor in guarded memory takes its place among the checked arguments.
static bool guard_tensor(hk_trial *trial, size_t k)
{
    const TensorView *view = &trial->tensors[k];
    if (!view->given || view->low < 0 || view_is_empty(view)) return true;
    uint32_t bits = dtype_info[view->dtype].bits;
    Guard *guard = &trial->guards[k];
    if (!guard_new(guard, (size_t)view->high, bits > 8 ? bits / 8 : 1)) return false;
    memcpy(guard->data, view->data, (size_t)view->high);
    trial->copies[k] = *trial->options.args[k].tensor;
    trial->copies[k].data = guard->data;
    trial->copies[k].byte_offset = 0;
    trial->guarded[k].tensor = &trial->copies[k];
    if (trial->results[k].given) trial->results[k].data = guard->data;
    return true;
}

static bool guard_all(hk_trial *trial)
{
    double bytes = 0,
           most = GUARDED_SHARE * (double)sysconf(_SC_PHYS_PAGES) * (double)sysconf(_SC_PAGESIZE);
    if (trial->options.target != HK_TARGET_CPU) return true; // devices have memory of their own
    for (size_t k = 0; k < trial->options.arg_count; k++) bytes += (double)trial->tensors[k].high;
    for (size_t k = 0; bytes <= most && k < trial->options.arg_count; k++)
        if (!guard_tensor(trial, k)) return false;
    return true;
}

// What each element may be off by, where the tensors could be copied.
static void sense_outputs(hk_trial *trial, const Cost *cost)
{
    Sense sense = {.arena = &trial->arena,
                   .cost = cost,
                   .args = trial->guarded,
                   .count = trial->options.arg_count,
                   .tensors = trial->tensors,
                   .guards = trial->guards,
                   .results = trial->results,
                   .wanted = trial->wanted,
                   .general = trial->tolerance};
    hk_specialize_options alone = trial->options;
    alone.threads = 1;
    hk_exec *exec = NULL;
    if (trial->options.target != HK_TARGET_CPU ||
        hk_kernel_specialize(trial->kernel, &alone, &exec, NULL) != HK_OK)
        return;
    sense.exec = exec;
    sense_find(&sense, trial->allowed, trial->narrow);
    hk_exec_free(exec);
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
        Comparison c = {.got = &trial->views[k], .want = &trial->wanted[k]};
        trial->largest[k] = verify_largest(&c);
        Tolerance t = verify_tolerance(&cost, trial->views[k].dtype, trial->largest[k], &own);
        trial->tolerance[k] =
            (Tolerance){TOLERANCE_FACTOR * t.relative, TOLERANCE_FACTOR * t.absolute};
    }
    restore(trial, trial->views);
    job->ok = guard_all(trial);
    if (job->ok) sense_outputs(trial, &cost);
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
    status = verify_exec(trial->exec, args, count, &options, true, &result, error);
    if (status != HK_OK) return status;
    restore(trial, trial->views);
    status = hk_exec_run(trial->exec, args, count, error);
    if (status != HK_OK) return status;
    job.ok = false;
    if (!guarded(&trial->arena, keep_outputs, &job) || !job.ok)
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
    if (options->free_dim_count)
        return fail_usage(error, "hk_trial_create: a trial is of certain sizes, without free_dims");
    hk_status status =
        args_want_host(kernel, options->args, options->arg_count, "hk_trial_create", error);
    if (status != HK_OK) return status;
    const Allocator *allocator = &kernel->module->context->allocator;
    hk_trial *made = allocator->resize(allocator->self, NULL, 0, sizeof *made);
    if (!made) return fail(allocator, error, HK_ERROR_MEMORY, DIAG_MEMORY, "out of memory");
    *made = (hk_trial){.kernel = kernel, .options = *options};
    made->options.stage = HK_STAGE_RUN;
    arena_init(&made->arena, allocator);
    status = prepare(made, error);
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
    for (size_t k = 0; trial->guards && k < trial->options.arg_count; k++)
        guard_free(&trial->guards[k]);
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

// verify_compare of what most tensors are, ten times as fast.
static double error_ratio_f32(const TensorView *got, const TensorView *want, const float *allowed)
{
    const float *x = (const float *)got->data, *y = (const float *)want->data;
    double worst = 0;
    for (int64_t at = 0; at < want->high / 4; at++) {
        if (x[at] == y[at] || (isnan(x[at]) && isnan(y[at]))) continue;
        double error = fabs((double)x[at] - y[at]), ratio = error / allowed[at];
        if (!(isfinite(x[at]) && isfinite(y[at]) && allowed[at] > 0)) return INFINITY;
        worst = ratio > worst ? ratio : worst;
    }
    return worst;
}

// The largest error of any output, divided by what is allowed there; above 1 it is wrong.
static double error_ratio(const hk_trial *trial, const TensorView *views)
{
    double worst = 0;
    for (size_t k = 0; k < trial->options.arg_count; k++) {
        if (!guard_whole(&trial->guards[k])) return INFINITY;
        if (!trial->wanted[k].given || same_bytes(&views[k], &trial->wanted[k])) continue;
        if (trial->allowed[k] && views[k].dtype == DTYPE_F32 && view_is_compact(&views[k])) {
            worst = fmax(worst, error_ratio_f32(&views[k], &trial->wanted[k], trial->allowed[k]));
            continue;
        }
        Comparison c = {.got = &views[k], .want = &trial->wanted[k], .allowed = trial->allowed[k]};
        hk_verify_output out = {0};
        worst = fmax(worst, verify_compare(&c, trial->tolerance[k], trial->largest[k], &out));
        Narrow narrow = trial->narrow[k];
        if (narrow.mean > 0)
            worst = fmax(worst, sense_narrow_ratio(&views[k], &trial->wanted[k], narrow));
    }
    return worst;
}

static hk_status one_run(const hk_trial *trial, const hk_exec *exec, double *seconds)
{
    restore(trial, trial->views);
    return hk_exec_run_timed(exec, trial->options.args, trial->options.arg_count, seconds, NULL);
}

// `batch` runs, one of them `first` seconds long at a guess.
static hk_status sample(const hk_trial *trial, const hk_exec *exec, double first, double *seconds)
{
    if (!trial->batches || first >= SAMPLE_SECONDS || trial->options.target == HK_TARGET_OPENCL)
        return one_run(trial, exec, seconds);
    int batch = first > 0 ? (int)fmin(BATCH_MAX, ceil(SAMPLE_SECONDS / first)) : BATCH_MAX;
    double start = clock_seconds();
    for (int k = 0; k < batch; k++) {
        hk_status status = hk_exec_run(exec, trial->options.args, trial->options.arg_count, NULL);
        if (status != HK_OK) return status;
    }
    *seconds = (clock_seconds() - start) / batch;
    return HK_OK;
}

// Runs until caches are warm and threads awake, which takes longer than a short kernel. The fastest
// says how long a batch is.
static hk_status warm_up(const hk_trial *trial, const hk_exec *exec, double enough, double *first)
{
    double begin = clock_seconds(), seconds;
    hk_status status = one_run(trial, exec, first);
    while (status == HK_OK && clock_seconds() - begin < enough) {
        status = one_run(trial, exec, &seconds);
        *first = fmin(*first, seconds);
    }
    return status;
}

static hk_outcome time_exec(const hk_trial *trial, const hk_exec *exec, double limit, uint32_t runs,
                            hk_evaluation *e)
{
    double first = 0, begin = clock_seconds();
    hk_status status = warm_up(trial, exec, WARM_SECONDS, &first);
    uint32_t most = runs ? runs : RUNS_FIRST;
    // Something else may have run meanwhile, for as long as a time slice: what is cheap gets more
    // chances.
    while (status == HK_OK && limit > 0 && first > SLOW_FACTOR * limit &&
           clock_seconds() - begin < SLOW_SECONDS) {
        double again = INFINITY;
        status = one_run(trial, exec, &again);
        first = fmin(first, again);
    }
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

// The first line of what the error says.
static void note_reason(hk_evaluation *e, hk_error *error)
{
    if (!error) return;
    const char *text = hk_error_text(error, false);
    size_t length = strcspn(text, "\n");
    if (length >= sizeof e->reason) length = sizeof e->reason - 1;
    while (length > 0 && (text[length - 1] & 0x80)) length--; // no part of a character
    snprintf(e->reason, sizeof e->reason, "%.*s", (int)length, text);
    hk_error_free(error);
}

// The Config's text, with which a call for the same candidate finds what is compiled.
static hk_status specialise(const hk_trial *trial, const char *config, hk_stage stage,
                            hk_exec **exec, hk_evaluation *e)
{
    hk_specialize_options options = trial->options;
    hk_error *error = NULL;
    options.config = config;
    options.stage = stage;
    hk_status status = hk_kernel_specialize(trial->kernel, &options, exec, &error);
    note_reason(e, error);
    return status;
}

static void note_wrong(hk_evaluation *e)
{
    if (isfinite(e->error_ratio))
        snprintf(e->reason, sizeof e->reason, "an error %.3g times what is allowed",
                 e->error_ratio);
    else
        snprintf(e->reason, sizeof e->reason,
                 "elements left out, or memory beside a tensor written");
}

typedef struct HashJob {
    Arena arena;
    const Func *loop;
    uint64_t hash;
} HashJob;

static void hash_loop(void *self)
{
    HashJob *job = self;
    Buf text = {.arena = &job->arena};
    func_print(&text, job->loop);
    job->hash = str_hash(buf_view(&text));
}

bool trial_schedule(hk_trial *trial, const char *config, uint64_t *code, hk_evaluation *e)
{
    *e = (hk_evaluation){.struct_size = sizeof *e, .median = INFINITY};
    hk_exec *exec = NULL;
    double start = clock_seconds();
    hk_status status = specialise(trial, config, HK_STAGE_LOOP, &exec, e);
    e->compile_seconds = clock_seconds() - start;
    e->outcome = outcome_of(status);
    *code = 0;
    if (status == HK_OK && exec->loop) {
        HashJob job = {.loop = exec->loop};
        arena_init(&job.arena, &trial->kernel->module->context->allocator);
        if (guarded(&job.arena, hash_loop, &job)) *code = job.hash + exec->team;
        arena_free(&job.arena);
    }
    hk_exec_free(exec);
    return status == HK_OK;
}

bool trial_build(hk_trial *trial, const char *config, hk_exec **exec, hk_evaluation *e)
{
    *exec = NULL;
    fault_candidate(config);
    double start = clock_seconds();
    hk_status status = specialise(trial, config, HK_STAGE_RUN, exec, e);
    e->compile_seconds += clock_seconds() - start;
    if (status == HK_OK) {
        restore(trial, trial->results);
        poison(trial);
        hk_error *error = NULL;
        status = hk_exec_run(*exec, trial->guarded, trial->options.arg_count, &error);
        note_reason(e, error);
    }
    if (status == HK_OK) {
        fault_results(config, trial->results, trial->options.arg_count);
        e->error_ratio = error_ratio(trial, trial->results);
        if (e->error_ratio <= 1) return true;
        note_wrong(e);
    }
    e->outcome = status == HK_OK ? HK_OUTCOME_WRONG : outcome_of(status);
    hk_exec_free(*exec);
    *exec = NULL;
    return false;
}

void trial_time(hk_trial *trial, const hk_exec *exec, const char *config, double limit,
                uint32_t runs, hk_evaluation *e)
{
    if (fault_times(config, runs, e)) return;
    e->outcome = time_exec(trial, exec, limit, runs, e);
    if (e->outcome != HK_OUTCOME_OK) return;
    // What the last run left: some faults do not show in each.
    e->error_ratio = fmax(e->error_ratio, error_ratio(trial, trial->views));
    if (e->error_ratio <= 1) return;
    e->outcome = HK_OUTCOME_WRONG;
    note_wrong(e);
}

// Whether the two least are nearly equal: then nothing is likely to have disturbed them.
static bool agree(const double *seconds, size_t count)
{
    double least = INFINITY, next = INFINITY;
    for (size_t k = 0; k < count; k++) {
        next = fmin(next, fmax(seconds[k], least));
        least = fmin(least, seconds[k]);
    }
    return next <= AGREEMENT * least;
}

// `runs` at least, and some more where these do not agree.
void trial_again(hk_trial *trial, const char *config, uint32_t runs, hk_evaluation *e)
{
    *e = (hk_evaluation){.struct_size = sizeof *e, .median = INFINITY};
    hk_exec *exec = NULL;
    double first, begin = clock_seconds();
    bool rested = begin - trial->again > RESTED_SECONDS;
    hk_status status = specialise(trial, config, HK_STAGE_RUN, &exec, e);
    if (status == HK_OK && !fault_times(config, runs, e)) {
        status = warm_up(trial, exec, rested ? WARM_SECONDS : AGAIN_WARM_SECONDS, &first);
        while (status == HK_OK && e->count < HK_SAMPLES_MAX && e->count < AGAIN_MOST * runs) {
            bool enough = e->count >= runs &&
                          (agree(e->seconds, e->count) || clock_seconds() - begin > ENOUGH_SECONDS);
            if (enough) break;
            status = sample(trial, exec, first, &e->seconds[e->count]);
            if (status == HK_OK) e->count++;
        }
        e->median = median_of(e->seconds, (uint32_t)e->count);
    }
    e->outcome = status == HK_OK ? HK_OUTCOME_OK : outcome_of(status);
    trial->again = clock_seconds();
    hk_exec_free(exec);
}

// Fresh pages, large ones where there are such, for outputs that a fork left shared.
void trial_forked(hk_trial *trial)
{
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    for (size_t k = 0; k < trial->options.arg_count; k++) {
        const TensorView *view = &trial->views[k];
        if (!view->given || !view_is_compact(view)) continue;
        uintptr_t from = ((uintptr_t)view->data + page - 1) / page * page,
                  to = ((uintptr_t)view->data + (uintptr_t)view->high) / page * page;
        if (from < to) (void)madvise((void *)from, to - from, MADV_DONTNEED);
    }
}

void trial_rest(hk_trial *trial)
{
    warm_free_all(trial->exec);
    context_rest(trial->kernel->module->context);
}

bool trial_may_fork(const hk_trial *trial)
{
    return trial->options.target != HK_TARGET_OPENCL;
}

hk_status hk_trial_measure(hk_trial *trial, const char *config, double seconds_limit, uint32_t runs,
                           hk_evaluation *evaluation)
{
    if (!trial || !evaluation || evaluation->struct_size != sizeof *evaluation)
        return HK_ERROR_USAGE;
    hk_exec *exec = NULL;
    uint64_t code;
    if (trial_schedule(trial, config, &code, evaluation) &&
        trial_build(trial, config, &exec, evaluation))
        trial_time(trial, exec, config, seconds_limit, runs, evaluation);
    hk_exec_free(exec);
    return HK_OK;
}
