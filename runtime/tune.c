// hk_tune: searches the Configs of a kernel. One loop asks the search for a point, has it measured,
// here or by a worker, and tells the search; then finals decide.
//
// Finals: the default, the default once more, and the best few are timed in turns, in an order that
// is drawn anew for each round. The default beside itself shows the noise. A finalist wins only if
// the lower end of its gain's interval is above 0.5 % and above the noise, so that a tie leaves all
// as it was.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "passes/tune/compare.h"
#include "passes/tune/search.h"
#include "runtime/store.h"
#include "runtime/trial.h"

enum { FINALISTS = 5, ROUNDS_LEAST = 8, ROUNDS_MOST = 40, ROUND_RUNS = 3, POINTS_FEW = 256 };
static const double SEARCH_SHARE = 0.7, FINAL_SHARE = 0.95, GAIN_LEAST = 1.005;

typedef struct Finalist {
    Str config;
    double times[ROUNDS_MOST];
    Gain gain;
} Finalist;

typedef struct Tried {
    Str config;
    double seconds;
} Tried;

typedef struct Tuner {
    Arena arena;
    const hk_kernel *kernel;
    hk_specialize_options specialise;
    hk_tune_options options;
    hk_tune_result *result;
    hk_error **error;
    hk_status status;
    hk_exec *exec; // its knobs are the space
    hk_trial *trial;
    Worker worker;
    StoreRun record;
    Problem problem;
    Search *search;
    SearchKind kind;
    VEC(Tried) tried;
    Str best_config;
    double begin, best;
    bool stopped, fatal;
    bool dry; // options.measure has no more
} Tuner;

static double elapsed(const Tuner *t)
{
    return clock_seconds() - t->begin;
}

// ---- points and Configs

// A choice beyond the last leaves the knob to the scheduler, where the default Config does so.
static uint8_t levels_of(const hk_tunable *knob)
{
    return (uint8_t)(knob->choice_count + (knob->initial == 0));
}

static Str config_of(Tuner *t, const Point *p)
{
    Buf out = {.arena = &t->arena};
    buf_add(&out, "", 0);
    for (uint32_t k = 0; k < t->exec->knob_count && k < SEARCH_KNOBS_MAX; k++) {
        const hk_tunable *knob = &t->exec->knobs[k];
        if (p->at[k] >= knob->choice_count) continue;
        buf_printf(&out, "%s%s = %lld", out.length ? ", " : "", knob->name,
                   (long long)knob->choices[p->at[k]]);
    }
    return buf_view(&out);
}

// The point that a Config of this space was made from. False: it is of another space.
static bool point_of(const Tuner *t, const char *config, Point *p)
{
    for (size_t k = 0; k < t->exec->knob_count && k < SEARCH_KNOBS_MAX; k++) {
        const hk_tunable *knob = &t->exec->knobs[k];
        p->at[k] = (uint8_t)knob->choice_count; // left to the scheduler
        for (size_t c = 0; c < knob->choice_count; c++) {
            char text[128];
            int n =
                snprintf(text, sizeof text, "%s = %lld", knob->name, (long long)knob->choices[c]);
            const char *at = strstr(config, text);
            bool whole = at && (at == config || at[-1] == ' ') && (!at[n] || at[n] == ',');
            if (whole) p->at[k] = (uint8_t)c;
        }
        if (p->at[k] >= levels_of(knob)) return false;
    }
    return true;
}

static void make_search(Tuner *t)
{
    uint8_t levels[SEARCH_KNOBS_MAX];
    Point initial = {{0}};
    uint32_t count = (uint32_t)t->exec->knob_count;
    if (count > SEARCH_KNOBS_MAX) count = SEARCH_KNOBS_MAX;
    double points = 1;
    for (uint32_t k = 0; k < count; k++) {
        const hk_tunable *knob = &t->exec->knobs[k];
        levels[k] = levels_of(knob);
        points *= levels[k];
        initial.at[k] = (uint8_t)(knob->initial == 0 ? knob->choice_count : 0);
        for (size_t c = 0; c < knob->choice_count; c++)
            if (knob->initial != 0 && knob->choices[c] == knob->initial) initial.at[k] = (uint8_t)c;
    }
    if (!t->options.search) t->kind = points <= POINTS_FEW ? SEARCH_RANDOM : SEARCH_FOREST;
    t->search = search_new(&t->arena, t->kind, levels, count, &initial, t->options.seed);
    t->result->points = points;
}

// ---- measuring

// What cannot be recorded is told once, and tuning goes on.
static void recorded(Tuner *t, bool ok)
{
    hk_context *context = t->kernel->module->context;
    if (ok || !t->record.store) return;
    Str text = str_format(&t->arena, "warning: tuning database: %s; going on without it\n",
                          store_message(t->record.store));
    if (context->log) context->log(context->log_self, HK_WARNING, text.data);
    t->record.store = NULL;
}

static void run_candidate(Tuner *t, const char *config, const char *origin, double limit,
                          uint32_t runs, hk_evaluation *e)
{
    if (t->options.measure) {
        *e = (hk_evaluation){.struct_size = sizeof *e, .median = INFINITY};
        t->dry = !t->options.measure(t->options.measure_self, config, origin, e);
        return;
    }
    if (t->trial) {
        hk_trial_measure(t->trial, config, limit, runs, e);
        return;
    }
    double most = t->options.candidate_seconds_max, left = t->options.budget_seconds - elapsed(t);
    if (limit > 0 && left < most) most = left > 0.1 ? left : 0.1;
    if (worker_measure(&t->worker, config, limit, runs, most, e)) return;
    t->fatal = t->stopped = true;
}

static void measure(Tuner *t, const char *config, const char *origin, double limit, uint32_t runs,
                    hk_evaluation *e)
{
    recorded(t, store_started(&t->record, config, origin));
    run_candidate(t, config, origin, limit, runs, e);
    recorded(t, store_measured(&t->record, e));
}

static void tell_host(Tuner *t, const char *config, const char *origin, const hk_evaluation *e)
{
    if (!t->options.progress || t->fatal) return;
    hk_tune_event event = {.struct_size = sizeof event,
                           .config = config,
                           .origin = origin,
                           .evaluation = e,
                           .evaluations = t->result->evaluations,
                           .elapsed_seconds = elapsed(t),
                           .budget_seconds = t->options.budget_seconds,
                           .default_seconds = t->result->default_seconds,
                           .best_seconds = t->best,
                           .best_config = t->best_config.data};
    memcpy(event.outcomes, t->result->outcomes, sizeof event.outcomes);
    if (t->options.progress(t->options.progress_self, &event)) return;
    t->stopped = t->result->interrupted = true;
}

// Returns what it cost; INFINITY if it failed or was given up.
static double evaluate(Tuner *t, Str config, const char *origin, double limit)
{
    hk_evaluation e = {.struct_size = sizeof e};
    measure(t, config.data, origin, limit, 0, &e);
    if (t->fatal || t->dry) return INFINITY;
    double seconds =
        e.outcome == HK_OUTCOME_OK || e.outcome == HK_OUTCOME_SLOW ? e.median : INFINITY;
    t->result->outcomes[e.outcome]++;
    t->result->evaluations++;
    if (e.outcome == HK_OUTCOME_OK) {
        vec_push(&t->arena, &t->tried, ((Tried){config, seconds}));
        if (seconds < t->best) {
            t->best = seconds;
            t->best_config = config;
        }
    }
    tell_host(t, config.data, origin, &e);
    return seconds;
}

static bool in_time(const Tuner *t, double share)
{
    uint64_t most = t->options.evaluations_max;
    return !t->stopped && !t->dry && elapsed(t) < share * t->options.budget_seconds &&
           (!most || t->result->evaluations < most);
}

// What an earlier run of this problem measured. What it started and never finished may have taken
// the machine down: it is not tried again.
static void tell_past(void *self, const char *config, int outcome, double median)
{
    Tuner *t = self;
    Point p = {{0}};
    if (!point_of(t, config, &p)) return;
    bool timed = outcome == HK_OUTCOME_OK || outcome == HK_OUTCOME_SLOW;
    search_tell(t->search, &p, timed ? median : INFINITY);
    t->result->resumed++;
    if (outcome != HK_OUTCOME_OK) return;
    Str kept = str_copy(&t->arena, str_of(config));
    vec_push(&t->arena, &t->tried, ((Tried){kept, median}));
    if (median >= t->best) return;
    t->best = median;
    t->best_config = kept;
}

static void search_all(Tuner *t)
{
    Point p;
    for (size_t k = 0; k < t->options.seed_count && in_time(t, SEARCH_SHARE); k++)
        evaluate(t, str_copy(&t->arena, str_of(t->options.seeds[k])), "seed", t->best);
    while (in_time(t, SEARCH_SHARE) && search_ask(t->search, &p)) {
        double seconds = evaluate(t, config_of(t, &p), search_names[t->kind], t->best);
        search_tell(t->search, &p, seconds);
    }
}

// ---- finals

static int by_seconds(const void *a, const void *b)
{
    double x = ((const Tried *)a)->seconds, y = ((const Tried *)b)->seconds;
    return x < y ? -1 : x > y;
}

static uint32_t choose_finalists(Tuner *t, Str initial, Finalist *list)
{
    uint32_t count = 2;
    list[0].config = list[1].config = initial;
    qsort(t->tried.data, t->tried.count, sizeof *t->tried.data, by_seconds);
    for (uint32_t k = 0; k < t->tried.count && count < FINALISTS + 2; k++)
        if (!str_equal(t->tried.data[k].config, initial))
            list[count++].config = t->tried.data[k].config;
    return count;
}

static void shuffle(uint32_t *order, uint32_t count, uint64_t *random)
{
    for (uint32_t k = 0; k < count; k++) order[k] = k;
    for (uint32_t k = count; k > 1; k--) {
        *random = *random * 6364136223846793005u + 1442695040888963407u;
        uint32_t other = (uint32_t)(*random >> 33) % k, kept = order[k - 1];
        order[k - 1] = order[other];
        order[other] = kept;
    }
}

static void decide(Tuner *t, Finalist *list, uint32_t count, uint32_t rounds)
{
    hk_tune_result *r = t->result;
    r->default_seconds = median_of(list[0].times, rounds);
    Gain self = gain_of(list[0].times, list[1].times, rounds);
    r->noise = fabs(self.ratio - 1);
    Finalist *best = &list[0];
    best->gain = (Gain){1, 1, 1};
    for (uint32_t k = 2; k < count; k++) {
        list[k].gain = gain_of(list[0].times, list[k].times, rounds);
        bool sure = list[k].gain.low > fmax(GAIN_LEAST, 1 + r->noise);
        if (sure && list[k].gain.ratio > best->gain.ratio) best = &list[k];
    }
    r->improved = best != &list[0];
    r->gain = best->gain.ratio;
    r->gain_low = best->gain.low;
    r->gain_high = best->gain.high;
    r->best_seconds = median_of(best->times, rounds);
    t->best_config = best->config;
}

static void finals(Tuner *t, Str initial)
{
    Finalist list[FINALISTS + 2];
    uint32_t count = choose_finalists(t, initial, list), order[FINALISTS + 2], rounds = 0;
    uint64_t random = t->options.seed + 1;
    double share =
        t->stopped ? 1e9 : FINAL_SHARE; // interrupted: a few rounds, whatever time is left
    uint32_t most = t->stopped ? ROUNDS_LEAST : ROUNDS_MOST;
    t->dry = false;
    for (; rounds < most && !t->fatal; rounds++) {
        if (rounds >= ROUNDS_LEAST && elapsed(t) > share * t->options.budget_seconds) break;
        if (rounds > 0 && elapsed(t) > 1.1 * t->options.budget_seconds && !t->stopped) break;
        shuffle(order, count, &random);
        for (uint32_t k = 0; k < count && !t->fatal && !t->dry; k++) {
            Finalist *f = &list[order[k]];
            hk_evaluation e = {.struct_size = sizeof e};
            measure(t, f->config.data, "final", 0, ROUND_RUNS, &e);
            double least = INFINITY; // of a round: what disturbs only ever adds
            for (size_t s = 0; s < e.count; s++) least = fmin(least, e.seconds[s]);
            f->times[rounds] = e.outcome == HK_OUTCOME_OK ? least : INFINITY;
            if (!t->dry) tell_host(t, f->config.data, "final", &e);
        }
        if (t->dry) break;
    }
    decide(t, list, count, rounds);
}

// ---- the call

static hk_status worker_status(const Worker *w)
{
    return w->code > 0 && w->code <= HK_ERROR_MEMORY ? (hk_status)w->code : HK_ERROR_INTERNAL;
}

static void tune(void *self)
{
    Tuner *t = self;
    make_search(t);
    Point p;
    if (!search_ask(t->search, &p)) return;
    Str initial = config_of(t, &p);
    t->record.store = t->options.store;
    if (t->record.store) t->problem = problem_of(&t->arena, t->exec);
    recorded(t, store_begin(&t->record, &t->problem, &t->options, search_names[t->kind]));
    t->best = INFINITY;
    t->best_config = initial;
    double seconds = evaluate(t, initial, "default", 0);
    if (t->record.store && t->options.resume)
        recorded(t, store_past(t->record.store, &t->problem, tell_past, t));
    search_tell(t->search, &p, seconds);
    t->result->default_seconds = seconds;
    const Allocator *allocator = &t->kernel->module->context->allocator;
    if (t->fatal) {
        t->status = fail(allocator, t->error, worker_status(&t->worker), DIAG_TUNE,
                         "the worker that tries Configs could not start");
        return;
    }
    if (!isfinite(seconds)) {
        t->status =
            fail(allocator, t->error, HK_ERROR_DIAGNOSTICS, DIAG_TUNE,
                 "kernel %s: the default Config does not run, so there is nothing to compare with",
                 t->kernel->name);
        return;
    }
    search_all(t);
    finals(t, initial);
    t->status = text_new(allocator, t->best_config, &t->result->config, t->error);
    if (t->status == HK_OK) recorded(t, store_finish(&t->record, t->result));
}

static bool options_fit(Tuner *t, const hk_tune_options *options)
{
    t->options = *options;
    if (t->options.budget_seconds <= 0) t->options.budget_seconds = 10;
    if (t->options.candidate_seconds_max <= 0) t->options.candidate_seconds_max = 5;
    bool known = !options->search;
    for (int k = 0; options->search && k < SEARCH_KINDS; k++) {
        if (strcmp(search_names[k], options->search) != 0) continue;
        t->kind = (SearchKind)k;
        known = true;
    }
    return known;
}

static hk_status open_space(Tuner *t, hk_error **error)
{
    hk_specialize_options options = t->specialise;
    options.stage = HK_STAGE_LOOP;
    hk_status status = hk_kernel_specialize(t->kernel, &options, &t->exec, error);
    if (status == HK_OK && !t->options.worker && !t->options.measure)
        status = hk_trial_create(t->kernel, &t->specialise, &t->trial, error);
    return status;
}

hk_status hk_tune(const hk_kernel *kernel, const hk_specialize_options *options,
                  const hk_tune_options *tune_options, hk_tune_result *result, hk_error **error)
{
    if (error) *error = NULL;
    if (!kernel || !options || !tune_options || !result)
        return fail_usage(error, "hk_tune: an argument is NULL");
    if (tune_options->struct_size != sizeof *tune_options || result->struct_size != sizeof *result)
        return fail_usage(error, "hk_tune: wrong struct_size");
    *result =
        (hk_tune_result){.struct_size = sizeof *result, .gain = 1, .gain_low = 1, .gain_high = 1};
    Tuner t = {.kernel = kernel, .specialise = *options, .result = result, .error = error};
    if (!options_fit(&t, tune_options)) {
        return fail_usage(error,
                          "hk_tune: search is exhaustive, random, pattern, evolution or forest");
    }
    const Allocator *allocator = &kernel->module->context->allocator;
    t.worker.argv = t.options.worker;
    t.worker.bytes_max = t.options.worker_bytes_max;
    t.begin = clock_seconds();
    arena_init(&t.arena, allocator);
    hk_status status = open_space(&t, error);
    if (status == HK_OK) {
        status = guarded(&t.arena, tune, &t)
                     ? t.status
                     : fail(allocator, error, HK_ERROR_MEMORY, DIAG_MEMORY, "out of memory");
    }
    worker_stop(&t.worker);
    hk_trial_free(t.trial);
    hk_exec_free(t.exec);
    arena_free(&t.arena);
    return status;
}
