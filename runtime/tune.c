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
#include "runtime/crew.h"
#include "runtime/points.h"
#include "runtime/store.h"

enum {
    FINALISTS = 5,
    ROUNDS_LEAST = 8,
    ROUNDS_MOST = 40,
    ROUND_RUNS = 3,
    POINTS_FEW = 256,
    MODEL_POINTS = 16,
    ASKED_MOST = 100000
};
static const double SEARCH_SHARE = 0.7, RANK_SHARE = 0.15, FINAL_SHARE = 0.95, GAIN_LEAST = 1.005,
                    SPREAD_MOST = 1; // what is noisy but not that, intervals tell apart

typedef struct Finalist {
    Str config;
    double times[ROUNDS_MOST];
    Gain gain;
} Finalist;

typedef struct Tried {
    Str config;
    double seconds;
} Tried;

// What a Loop IR came to: another Config that leads to the same one is not tried.
typedef struct Known {
    uint64_t code;
    hk_evaluation evaluation;
} Known;

typedef struct Tuner {
    Arena arena;
    const hk_kernel *kernel;
    hk_specialize_options specialise;
    hk_tune_options options;
    hk_tune_result *result;
    hk_error **error;
    hk_status status;
    hk_exec *exec; // its knobs are the space
    Crew crew;
    uint32_t jobs; // candidates that are built at once
    StoreRun record;
    Problem problem;
    Points points;
    Search *search;
    SearchKind kind;
    VEC(Tried) tried;
    VEC(Known) known;
    Str best_config;
    double begin, best;
    bool stopped, fatal;
    bool dry; // options.measure has no more
} Tuner;

static double elapsed(const Tuner *t)
{
    return clock_seconds() - t->begin;
}

static void make_search(Tuner *t)
{
    t->points = points_of(t->exec);
    if (!t->options.search) t->kind = t->points.size <= POINTS_FEW ? SEARCH_RANDOM : SEARCH_FOREST;
    t->search = search_new(&t->arena, t->kind, t->points.levels, t->points.count,
                           &t->points.initial, t->options.seed);
    t->result->points = t->points.size;
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

static const Known *known_code(const Tuner *t, uint64_t code)
{
    for (uint32_t k = 0; code && k < t->known.count; k++)
        if (t->known.data[k].code == code) return &t->known.data[k];
    return NULL;
}

// Of those that lead to equal code only the first is built: the others get what it comes to.
static size_t first_alike(const Attempt *attempts, size_t k)
{
    size_t first = 0;
    while (first < k && (!attempts[k].code || attempts[first].code != attempts[k].code)) first++;
    return first;
}

static void keep_known(Tuner *t, const Attempt *a)
{
    hk_outcome outcome = a->evaluation.outcome;
    bool lasting = outcome == HK_OUTCOME_OK || outcome == HK_OUTCOME_SLOW ||
                   outcome == HK_OUTCOME_WRONG || outcome == HK_OUTCOME_TRAP;
    if (a->code && lasting && !known_code(t, a->code))
        vec_push(&t->arena, &t->known, ((Known){a->code, a->evaluation}));
}

static void copy_evaluation(Tuner *t, Attempt *to, const hk_evaluation *from)
{
    double compile_seconds = to->evaluation.compile_seconds;
    to->evaluation = *from;
    to->evaluation.compile_seconds = compile_seconds;
    to->over = true;
    t->result->duplicates++;
}

static void search_attempts(Tuner *t, Attempt *attempts, size_t count, double limit)
{
    bool waits[CREW_MAX] = {false}; // for the first alike
    crew_schedule(&t->crew, attempts, count, false);
    for (size_t k = 0; k < count; k++) {
        if (attempts[k].over) continue;
        const Known *known = known_code(t, attempts[k].code);
        waits[k] = !known && first_alike(attempts, k) < k;
        if (known) copy_evaluation(t, &attempts[k], &known->evaluation);
        if (waits[k]) attempts[k].over = true;
    }
    crew_build(&t->crew, attempts, count);
    for (size_t k = 0; k < count; k++) {
        if (waits[k]) {
            copy_evaluation(t, &attempts[k], &attempts[first_alike(attempts, k)].evaluation);
            continue;
        }
        crew_time(&t->crew, attempts, k, limit, 0);
        keep_known(t, &attempts[k]);
    }
}

// The default Config has more time: without it there is nothing to compare with.
static double seconds_for_one(const Tuner *t, double limit)
{
    static const double PATIENCE = 10, LEAST = 0.1;
    double most = t->options.candidate_seconds_max, left = t->options.budget_seconds - elapsed(t);
    if (limit <= 0) return fmax(most, PATIENCE);
    return left < most ? fmax(left, LEAST) : most;
}

// `runs` > 0: a round of the finals.
static void try_all(Tuner *t, Attempt *attempts, size_t count, const char *origin, double limit,
                    uint32_t runs)
{
    if (t->options.measure) {
        for (size_t k = 0; k < count; k++) {
            hk_evaluation *e = &attempts[k].evaluation;
            *e = (hk_evaluation){.struct_size = sizeof *e, .median = INFINITY};
            attempts[k].over = !t->dry && t->options.measure(t->options.measure_self,
                                                             attempts[k].config, origin, e);
            t->dry = !attempts[k].over;
        }
        return;
    }
    t->crew.seconds_max = seconds_for_one(t, limit);
    if (runs) {
        crew_schedule(&t->crew, attempts, count, true);
        crew_build(&t->crew, attempts, count);
        for (size_t k = 0; k < count; k++) crew_time(&t->crew, attempts, k, 0, runs);
    } else {
        search_attempts(t, attempts, count, limit);
    }
    if (t->crew.gave_up) t->fatal = t->stopped = true;
}

static void measure(Tuner *t, Attempt *attempts, size_t count, const char *origin, double limit,
                    uint32_t runs)
{
    int64_t first = t->record.sequence + 1;
    for (size_t k = 0; k < count; k++)
        recorded(t, store_started(&t->record, attempts[k].config, origin));
    try_all(t, attempts, count, origin, limit, runs);
    for (size_t k = 0; k < count && !t->fatal; k++)
        if (attempts[k].over)
            recorded(t, store_measured(&t->record, first + (int64_t)k, &attempts[k].evaluation));
}

static void tell_host(Tuner *t, const char *config, const char *origin, const hk_evaluation *e)
{
    if (!t->options.progress || t->fatal) return;
    hk_tune_event event = {.struct_size = sizeof event,
                           .config = config,
                           .origin = origin,
                           .evaluation = e,
                           .evaluations = t->result->evaluations,
                           .duplicates = t->result->duplicates,
                           .resumed = t->result->resumed,
                           .elapsed_seconds = elapsed(t),
                           .budget_seconds = t->options.budget_seconds,
                           .default_seconds = t->result->default_seconds,
                           .best_seconds = t->best,
                           .best_config = t->best_config.data};
    memcpy(event.outcomes, t->result->outcomes, sizeof event.outcomes);
    if (t->options.progress(t->options.progress_self, &event)) return;
    t->stopped = t->result->interrupted = true;
}

// What it cost, the least of its runs, since what disturbs only adds; INFINITY if it failed.
static double count_attempt(Tuner *t, const Attempt *a, const char *origin)
{
    const hk_evaluation *e = &a->evaluation;
    double seconds = INFINITY;
    bool ran = e->outcome == HK_OUTCOME_OK || e->outcome == HK_OUTCOME_SLOW;
    for (size_t k = 0; ran && k < e->count; k++) seconds = fmin(seconds, e->seconds[k]);
    t->result->outcomes[e->outcome]++;
    t->result->evaluations++;
    if (e->outcome == HK_OUTCOME_OK) {
        Str config = str_of(a->config);
        vec_push(&t->arena, &t->tried, ((Tried){config, seconds}));
        if (seconds < t->best) {
            t->best = seconds;
            t->best_config = config;
        }
    }
    tell_host(t, a->config, origin, e);
    return seconds;
}

// Several at once; costs[k] is INFINITY for those that failed.
static void evaluate(Tuner *t, Attempt *attempts, size_t count, const char *origin, double limit,
                     double *costs)
{
    measure(t, attempts, count, origin, limit, 0);
    for (size_t k = 0; k < count; k++)
        costs[k] =
            t->fatal || !attempts[k].over ? INFINITY : count_attempt(t, &attempts[k], origin);
}

// How many more may be tried.
static uint64_t left_to_try(const Tuner *t)
{
    uint64_t most = t->options.evaluations_max, tried = t->result->evaluations + t->result->resumed;
    return most == 0 ? UINT64_MAX : tried < most ? most - tried : 0;
}

static bool in_time(const Tuner *t, double share)
{
    return !t->stopped && !t->dry && elapsed(t) < share * t->options.budget_seconds &&
           left_to_try(t) > 0;
}

// What an earlier run of this problem measured. What it started and never finished may have taken
// the machine down: it is not tried again.
static void tell_past(void *self, const char *config, int outcome, double median)
{
    Tuner *t = self;
    Point p = {{0}};
    if (!points_find(&t->points, config, &p)) return;
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

static size_t batch_of(const Tuner *t, size_t most)
{
    uint64_t left = left_to_try(t);
    if (most > t->jobs) most = t->jobs;
    return most < left ? most : (size_t)left;
}

// Configs that do not come from the search are told to it as well, if they are points of the space.
static void try_configs(Tuner *t, const char *const *configs, size_t config_count,
                        const char *origin)
{
    Attempt attempts[CREW_MAX] = {0};
    double costs[CREW_MAX];
    for (size_t k = 0; k < config_count && in_time(t, SEARCH_SHARE);) {
        size_t count = batch_of(t, config_count - k);
        Point p = {{0}};
        for (size_t n = 0; n < count; n++)
            attempts[n].config = str_copy(&t->arena, str_of(configs[k++])).data;
        evaluate(t, attempts, count, origin, t->best, costs);
        for (size_t n = 0; n < count; n++)
            if (points_find(&t->points, attempts[n].config, &p))
                search_tell(t->search, &p, costs[n]);
    }
}

// What the model of time likes best is measured first.
static void try_model(Tuner *t)
{
    Point best[MODEL_POINTS];
    const char *configs[MODEL_POINTS];
    uint32_t most = t->options.model_points_max ? t->options.model_points_max : MODEL_POINTS;
    if (most > MODEL_POINTS) most = MODEL_POINTS;
    double seconds = RANK_SHARE * t->options.budget_seconds;
    uint32_t count = points_rank(&t->points, t->exec, t->options.seed, seconds, most, best),
             new = 0;
    for (uint32_t k = 0; k < count; k++)
        if (!search_seen(t->search, &best[k]))
            configs[new ++] = points_config(&t->points, &t->arena, &best[k]).data;
    try_configs(t, configs, new, "model");
}

// The search's next point that keeps the rules of the space; what breaks them counts as failed.
static bool ask(Tuner *t, Point *p)
{
    for (int k = 0; k < ASKED_MOST && search_ask(t->search, p); k++) {
        if (points_allows(&t->points, p)) return true;
        search_tell(t->search, p, INFINITY);
    }
    return false;
}

static void search_all(Tuner *t)
{
    Attempt attempts[CREW_MAX] = {0};
    Point points[CREW_MAX];
    double costs[CREW_MAX];
    try_configs(t, t->options.seeds, t->options.seed_count, "seed");
    if (!t->options.no_model) try_model(t);
    while (in_time(t, SEARCH_SHARE)) {
        size_t count = 0, most = batch_of(t, CREW_MAX);
        for (; count < most && ask(t, &points[count]); count++)
            attempts[count].config = points_config(&t->points, &t->arena, &points[count]).data;
        if (count == 0) break;
        evaluate(t, attempts, count, search_names[t->kind], t->best, costs);
        for (size_t n = 0; n < count; n++) search_tell(t->search, &points[n], costs[n]);
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
    double last = 0; // of equal code equal times were told: one of them is enough
    for (uint32_t k = 0; k < t->tried.count && count < FINALISTS + 2; k++) {
        if (str_equal(t->tried.data[k].config, initial) || t->tried.data[k].seconds == last)
            continue;
        list[count++].config = t->tried.data[k].config;
        last = t->tried.data[k].seconds;
    }
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

// How far two times of one Config typically are from each other.
static double spread_between(const double *one, const double *other, uint32_t rounds)
{
    double apart[ROUNDS_MOST];
    for (uint32_t k = 0; k < rounds; k++)
        apart[k] = isfinite(one[k]) && isfinite(other[k]) ? fabs(log(one[k] / other[k])) : INFINITY;
    return rounds ? expm1(median_of(apart, rounds)) : 0;
}

static void decide(Tuner *t, Finalist *list, uint32_t count, uint32_t rounds)
{
    hk_tune_result *r = t->result;
    r->default_seconds = median_of(list[0].times, rounds);
    Gain self = gain_of(list[0].times, list[1].times, rounds);
    r->noise = fabs(self.ratio - 1);
    r->spread = spread_between(list[0].times, list[1].times, rounds);
    r->hopeless = r->spread > SPREAD_MOST;
    Finalist *best = &list[0];
    best->gain = (Gain){1, 1, 1};
    for (uint32_t k = 2; k < count; k++) {
        list[k].gain = gain_of(list[0].times, list[k].times, rounds);
        bool sure = list[k].gain.low > fmax(GAIN_LEAST, 1 + r->noise);
        if (sure && list[k].gain.ratio > best->gain.ratio) best = &list[k];
    }
    if (r->hopeless) best = &list[0];
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
            Attempt a = {.config = f->config.data};
            const hk_evaluation *e = &a.evaluation;
            measure(t, &a, 1, "final", 0, ROUND_RUNS);
            double least = INFINITY; // of a round: what disturbs only ever adds
            for (size_t s = 0; s < e->count; s++) least = fmin(least, e->seconds[s]);
            f->times[rounds] = e->outcome == HK_OUTCOME_OK ? least : INFINITY;
            if (!t->dry) tell_host(t, f->config.data, "final", e);
        }
        if (t->dry) break;
    }
    decide(t, list, count, rounds);
}

// ---- the call

static hk_status crew_status(const Crew *crew)
{
    bool known = crew->code > 0 && crew->code <= HK_ERROR_MEMORY;
    return known ? (hk_status)crew->code : HK_ERROR_INTERNAL;
}

static void tune(void *self)
{
    Tuner *t = self;
    make_search(t);
    Point p;
    if (!search_ask(t->search, &p)) return;
    Str initial = points_config(&t->points, &t->arena, &p);
    t->record.store = t->options.store;
    if (t->record.store) t->problem = problem_of(&t->arena, t->exec);
    recorded(t, store_begin(&t->record, &t->problem, &t->options, search_names[t->kind]));
    t->best = INFINITY;
    t->best_config = initial;
    Attempt first = {.config = initial.data};
    double seconds;
    evaluate(t, &first, 1, "default", 0, &seconds);
    if (t->record.store && t->options.resume)
        recorded(t, store_past(&t->record, &t->problem, tell_past, t));
    search_tell(t->search, &p, seconds);
    t->result->default_seconds = seconds;
    const Allocator *allocator = &t->kernel->module->context->allocator;
    if (t->fatal) {
        hk_status why = crew_status(&t->crew);
        t->status = fail(allocator, t->error, why, DIAG_TUNE,
                         why == HK_ERROR_TRAP
                             ? "kernel %s traps with the default Config: nothing can be tuned"
                         : why == HK_ERROR_DIAGNOSTICS
                             ? "kernel %s: the default Config is refused: there is nothing to "
                               "compare others with"
                             : "kernel %s: the process that tries Configs could not start",
                         t->kernel->name);
        return;
    }
    if (!isfinite(seconds)) {
        t->status = fail(
            allocator, t->error, HK_ERROR_DIAGNOSTICS, DIAG_TUNE,
            "kernel %s: the default Config does not run (%s), so there is nothing to compare with",
            t->kernel->name, hk_outcome_text(first.evaluation.outcome));
        return;
    }
    search_all(t);
    finals(t, initial);
    t->status = text_new(allocator, t->best_config, &t->result->config, t->error);
    if (t->status == HK_OK && !t->result->hopeless)
        recorded(t, store_finish(&t->record, t->result));
}

static bool options_fit(Tuner *t, const hk_tune_options *options)
{
    t->options = *options;
    if (t->options.budget_seconds <= 0) t->options.budget_seconds = 10;
    if (t->options.candidate_seconds_max <= 0) t->options.candidate_seconds_max = 5;
    t->jobs = options->jobs ? options->jobs : 1;
    if (t->jobs > CREW_MAX) t->jobs = CREW_MAX;
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
        status = hk_trial_create(t->kernel, &t->specialise, &t->crew.trial, error);
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
    t.crew.argv = t.options.worker;
    t.crew.bytes_max = t.options.worker_bytes_max;
    t.begin = clock_seconds();
    arena_init(&t.arena, allocator);
    hk_status status = open_space(&t, error);
    if (status == HK_OK) {
        status = guarded(&t.arena, tune, &t)
                     ? t.status
                     : fail(allocator, error, HK_ERROR_MEMORY, DIAG_MEMORY, "out of memory");
    }
    crew_free(&t.crew);
    hk_trial_free(t.crew.trial);
    hk_exec_free(t.exec);
    arena_free(&t.arena);
    return status;
}
