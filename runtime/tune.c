// hk_tune: searches the Configs of a kernel. One loop asks the search for a point, has it measured,
// here or by a worker, and tells the search; then finals decide.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "passes/tune/compare.h"
#include "passes/tune/search.h"
#include "runtime/crew.h"
#include "runtime/finals.h"
#include "runtime/points.h"
#include "runtime/store.h"

enum {
    ROUND_RUNS = 3,
    POINTS_FEW = 256,
    MODEL_POINTS = 16,
    ASKED_MOST = 100000,
    PATIENCE_LEAST = 256, // candidates that may bring nothing, beside as many as brought the best
    PATIENCE_NEAR = 48,   // the same of the best's neighbours, at the end
    WATCH_EVERY = 16,     // candidates
    WATCH_RUNS = 5,
    WATCH_LAST = 3,
    STOPPED_FINALISTS = 3
};
// The finals have a share of the budget, but not more than they need; half of that to build.
static const double FINALS_SHARE = 0.3, FINALS_SECONDS = 15, ENTRY_SHARE = 0.5, REST_SHARE = 0.2,
                    MOVE_SHARE = 0.25, HALVING = 0.6, RANK_SHARE = 0.15,
                    PROGRESS = 0.99, // of the best time: less is more likely noise
    DRIFT_LEAST = 0.05,              // of the default's time: less is noise
    HOPELESS = 0.25;                 // then gains below that are not seen

typedef struct Tried {
    Str config;
    double seconds, measured; // without drift, and with it
} Tried;

typedef struct Timed {
    double seconds, measured;
} Timed;

// The default Config, which is timed again and again: how fast is the machine now?
typedef struct Sentinel {
    double first, last[WATCH_LAST];
    uint32_t count;
    uint64_t next; // after so many candidates
    bool off;
} Sentinel;

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
    VEC(Timed) timed; // each code once
    VEC(Known) known;
    Str initial, best_config;
    double begin, best;
    double progress;      // the best time when the search last came on, ...
    uint64_t progress_at; // ... after so much effort
    Sentinel sentinel;
    double drift; // times are so many times what they were when the tuning began
    bool stopped, fatal;
    bool dry;             // options.measure has no more
    double round_seconds; // of one round of the finals, as far as those who entered tell
    double entry_seconds; // of one finalist, on average
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
    crew_schedule(&t->crew, attempts, count);
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
        crew_time(&t->crew, attempts, k, limit);
        keep_known(t, &attempts[k]);
    }
}

static double seconds_left(const Tuner *t)
{
    return t->options.budget_seconds - elapsed(t);
}

static double finals_seconds(const Tuner *t)
{
    return fmin(FINALS_SHARE * t->options.budget_seconds, FINALS_SECONDS);
}

// The default Config has more time: without it there is nothing to compare with. A candidate leaves
// the finals half of theirs.
static double seconds_for_one(const Tuner *t, bool finals)
{
    static const double PATIENCE = 10, LEAST = 0.1;
    double most = t->options.candidate_seconds_max;
    double left = seconds_left(t) - (finals ? 0 : finals_seconds(t) / 2);
    if (t->result->evaluations == 0) return fmax(most, PATIENCE);
    return left < most ? fmax(left, LEAST) : most;
}

// What the host knows in the place of a trial.
static void ask_host(Tuner *t, Attempt *a, const char *origin)
{
    hk_evaluation *e = &a->evaluation;
    *e = (hk_evaluation){.struct_size = sizeof *e, .median = INFINITY};
    a->over = !t->dry && t->options.measure(t->options.measure_self, a->config, origin, e);
    t->dry = !a->over;
}

static void measure(Tuner *t, Attempt *attempts, size_t count, const char *origin, double limit)
{
    int64_t first = t->record.sequence + 1;
    for (size_t k = 0; k < count; k++)
        recorded(t, store_started(&t->record, attempts[k].config, origin));
    t->crew.seconds_max = seconds_for_one(t, false);
    if (t->options.measure)
        for (size_t k = 0; k < count; k++) ask_host(t, &attempts[k], origin);
    else
        search_attempts(t, attempts, count, limit);
    if (t->crew.gave_up) t->fatal = t->stopped = true;
    bool cut = t->crew.seconds_max < t->options.candidate_seconds_max; // by the budget
    for (size_t k = 0; k < count && !t->fatal; k++) {
        const hk_evaluation *e = &attempts[k].evaluation;
        if (attempts[k].over && !(cut && e->outcome == HK_OUTCOME_HANG)) // may be tried again
            recorded(t, store_measured(&t->record, first + (int64_t)k, e));
    }
}

static void tell_host(Tuner *t, const char *config, const char *origin, const hk_evaluation *e)
{
    if (!t->options.progress || t->fatal) return;
    hk_tune_event event = {
        .struct_size = sizeof event,
        .config = config,
        .origin = origin,
        .evaluation = e,
        .evaluations = t->result->evaluations,
        .duplicates = t->result->duplicates,
        .resumed = t->result->resumed,
        .elapsed_seconds = elapsed(t),
        .budget_seconds = t->options.budget_seconds,
        .default_seconds = t->result->default_seconds > 0 ? t->result->default_seconds : t->best,
        .best_seconds = t->best,
        .best_config = t->best_config.data};
    memcpy(event.outcomes, t->result->outcomes, sizeof event.outcomes);
    if (t->options.progress(t->options.progress_self, &event)) return;
    t->stopped = t->result->interrupted = true;
}

// The least of its runs, since what disturbs only adds.
static double least_of(const hk_evaluation *e)
{
    double seconds = INFINITY;
    for (size_t k = 0; k < e->count; k++) seconds = fmin(seconds, e->seconds[k]);
    return seconds;
}

// Without drift. Equal times are of equal code, which was not timed anew, nor counts as tried.
static double without_drift(Tuner *t, double measured)
{
    for (uint32_t k = 0; k < t->timed.count && isfinite(measured); k++)
        if (t->timed.data[k].measured == measured) return t->timed.data[k].seconds;
    Timed timed = {measured / t->drift, measured};
    vec_push(&t->arena, &t->timed, timed);
    return timed.seconds;
}

// What it cost; INFINITY if it failed.
static double count_attempt(Tuner *t, const Attempt *a, const char *origin)
{
    const hk_evaluation *e = &a->evaluation;
    bool ran = e->outcome == HK_OUTCOME_OK || e->outcome == HK_OUTCOME_SLOW;
    double measured = ran ? least_of(e) : INFINITY, seconds = without_drift(t, measured);
    t->result->outcomes[e->outcome]++;
    t->result->evaluations++;
    if (e->outcome == HK_OUTCOME_OK) {
        Str config = str_of(a->config);
        vec_push(&t->arena, &t->tried, ((Tried){config, seconds, measured}));
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
    measure(t, attempts, count, origin, limit);
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

static bool in_time(const Tuner *t)
{
    return !t->stopped && !t->dry && seconds_left(t) > finals_seconds(t) && left_to_try(t) > 0;
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
    vec_push(&t->arena, &t->tried, ((Tried){kept, median, median}));
    if (median >= t->best) return;
    t->best = median;
    t->best_config = kept;
}

// Seconds of a Config in the process of a place, INFINITY if it fails; NAN: there is no more time.
// `enters`: built and checked there first.
static double time_again(Tuner *t, size_t place, const char *config, const char *origin,
                         bool enters, uint32_t runs)
{
    Attempt a = {.config = config};
    t->crew.seconds_max = seconds_for_one(t, place != CREW_WATCH);
    if (t->options.measure) {
        ask_host(t, &a, origin);
    } else {
        if (enters) crew_enter(&t->crew, place, &a);
        double start = clock_seconds();
        crew_again(&t->crew, place, &a, runs);
        if (enters) t->round_seconds += clock_seconds() - start;
    }
    if (t->crew.gave_up) t->fatal = t->stopped = true;
    if (t->fatal || t->dry) return NAN;
    tell_host(t, config, origin, &a.evaluation);
    return a.evaluation.outcome == HK_OUTCOME_OK ? least_of(&a.evaluation) : INFINITY;
}

// The machine may be faster or slower than when the tuning began, since others use it too: what the
// default Config takes now says how much, and costs are told without that. Where each process is
// started anew one more would cost too much.
static void watch(Tuner *t)
{
    Sentinel *s = &t->sentinel;
    bool cheap = t->options.measure || t->crew.trial || t->crew.forks;
    if (s->off || !cheap || t->result->evaluations < s->next || !in_time(t)) return;
    do {
        double seconds =
            time_again(t, CREW_WATCH, t->initial.data, "sentinel", !s->count, WATCH_RUNS);
        s->off = !isfinite(seconds);
        t->dry = false; // a log without sentinels is good enough
        if (s->off) return;
        s->last[s->count++ % WATCH_LAST] = seconds;
    } while (s->count < WATCH_LAST);
    double now = INFINITY;
    for (int k = 0; k < WATCH_LAST; k++) now = fmin(now, s->last[k]);
    if (s->count == WATCH_LAST) s->first = now;
    bool drifts = fabs(log(now / s->first)) > DRIFT_LEAST;
    t->drift = drifts ? now / s->first : 1;
    s->next = t->result->evaluations + WATCH_EVERY;
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
    for (size_t k = 0; k < config_count && in_time(t);) {
        size_t count = batch_of(t, config_count - k);
        Point p = {{0}};
        for (size_t n = 0; n < count; n++)
            attempts[n].config = str_copy(&t->arena, str_of(configs[k++])).data;
        evaluate(t, attempts, count, origin, t->best * t->drift, costs);
        for (size_t n = 0; n < count; n++)
            if (points_find(&t->points, attempts[n].config, &p))
                search_tell(t->search, &p, costs[n]);
        watch(t);
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

// The host chose how, or how long.
static bool is_patient(const Tuner *t)
{
    return t->options.search || t->options.evaluations_max;
}

// Candidates so far; those of known code cost little and count an eighth.
static uint64_t effort_so_far(const Tuner *t)
{
    return t->timed.count + (t->result->evaluations - t->timed.count) / 8;
}

static uint64_t in_vain(Tuner *t, uint64_t since)
{
    uint64_t now = effort_so_far(t);
    if (t->best < PROGRESS * t->progress) {
        t->progress = t->best;
        t->progress_at = now;
    }
    return now - (t->progress_at > since ? t->progress_at : since);
}

static void search_until(Tuner *t, uint64_t since, uint64_t least, uint64_t factor)
{
    Attempt attempts[CREW_MAX] = {0};
    Point points[CREW_MAX];
    double costs[CREW_MAX];
    while (in_time(t) && (in_vain(t, since) < least + factor * t->progress_at || is_patient(t))) {
        size_t count = 0, most = batch_of(t, CREW_MAX);
        for (; count < most && ask(t, &points[count]); count++)
            attempts[count].config = points_config(&t->points, &t->arena, &points[count]).data;
        if (count == 0) break;
        evaluate(t, attempts, count, search_names[t->kind], t->best * t->drift, costs);
        for (size_t n = 0; n < count; n++) search_tell(t->search, &points[n], costs[n]);
        watch(t);
    }
}

// Where much was tried in vain, the best's neighbours are looked at, and that is all.
static void search_all(Tuner *t)
{
    try_configs(t, t->options.seeds, t->options.seed_count, "seed");
    if (!t->options.no_model) try_model(t);
    search_until(t, 0, PATIENCE_LEAST, 1);
    if (is_patient(t)) return;
    t->kind = SEARCH_PATTERN;
    search_switch(t->search, t->kind);
    search_until(t, effort_so_far(t), PATIENCE_NEAR, 0);
}

// ---- finals

static int by_seconds(const void *a, const void *b)
{
    double x = ((const Tried *)a)->seconds, y = ((const Tried *)b)->seconds;
    return x < y ? -1 : x > y;
}

static double time_finalist(void *self, const Finalist *finalist)
{
    return time_again(self, 0, finalist->config.data, "final", false, ROUND_RUNS);
}

static bool finals_go_on(void *self, uint32_t rounds)
{
    const Tuner *t = self;
    double rest = rounds < FINAL_ROUNDS_LEAST ? 0 : REST_SHARE * finals_seconds(t);
    if (t->fatal || t->dry) return false;
    if (t->result->interrupted) return rounds < FINAL_ROUNDS_LEAST; // whatever time is left
    return seconds_left(t) > rest;
}

// To another process, since where in memory tensors happen to lie makes some Configs faster than
// others by several per cent: who wins should do so in more than one place.
static void move_finalists(void *self, const Finals *f)
{
    Tuner *t = self;
    double left = 0;
    for (uint32_t k = 1; k < f->count; k++) left += !f->list[k].out;
    if (!t->crew.forks || t->options.measure || t->result->interrupted) return;
    if (left * t->entry_seconds > MOVE_SHARE * seconds_left(t)) return;
    crew_renew(&t->crew, 0);
    for (uint32_t k = 1; k < f->count; k++) {
        Attempt a = {.config = f->list[k].config.data};
        if (!f->list[k].out) crew_enter(&t->crew, 0, &a); // who fails has no time in the next round
    }
}

// Whether another finalist would leave too little time for rounds.
static bool entry_is_over(const Tuner *t)
{
    double finals = finals_seconds(t), left = seconds_left(t);
    double rounds = HALVING * FINAL_ROUNDS_LEAST * t->round_seconds + REST_SHARE * finals;
    return !t->result->interrupted && left < fmax(ENTRY_SHARE * finals, rounds);
}

// The default, twice, and the fastest few that can be built once more in time.
static void enter_finalists(Tuner *t, Str initial, Finals *f)
{
    uint32_t most = t->result->interrupted ? STOPPED_FINALISTS : FINALISTS;
    f->list[0].config = f->list[1].config = initial;
    f->count = 2;
    t->round_seconds = 0; // of the sentinel until now
    double begin = elapsed(t);
    if (!isfinite(time_again(t, 0, initial.data, "finalist", true, ROUND_RUNS))) return;
    t->round_seconds *= 2;
    qsort(t->tried.data, t->tried.count, sizeof *t->tried.data, by_seconds);
    double last = 0; // of equal code equal times were told: one of them is enough
    for (uint32_t k = 0; k < t->tried.count && f->count < most + 2; k++) {
        const Tried *tried = &t->tried.data[k];
        if (str_equal(tried->config, initial) || tried->measured == last) continue;
        if (last > 0 && entry_is_over(t)) break;
        double seconds = time_again(t, 0, tried->config.data, "finalist", true, ROUND_RUNS);
        if (isnan(seconds)) break;
        if (isfinite(seconds)) f->list[f->count++].config = tried->config;
        last = tried->measured;
    }
    t->entry_seconds = (elapsed(t) - begin) / f->count;
}

// One row for each: what it took in all rounds.
static void record_finals(Tuner *t, const Finals *f)
{
    for (uint32_t k = 0; k < f->count && f->rounds && k != 1; k++) {
        hk_evaluation e = {.struct_size = sizeof e, .count = f->rounds};
        if (e.count > HK_SAMPLES_MAX) e.count = HK_SAMPLES_MAX;
        for (size_t s = 0; s < e.count; s++) e.seconds[s] = f->list[k].times[s];
        e.median = median_of(f->list[k].times, f->rounds);
        recorded(t, store_started(&t->record, f->list[k].config.data, "final"));
        recorded(t, store_measured(&t->record, t->record.sequence, &e));
    }
}

static void finals(Tuner *t, Str initial)
{
    hk_tune_result *r = t->result;
    Finals *f = arena_new(&t->arena, Finals);
    *f = (Finals){.random = t->options.seed + 1,
                  .time = time_finalist,
                  .goes_on = finals_go_on,
                  .moves = move_finalists,
                  .self = t};
    t->dry = false;
    enter_finalists(t, initial, f);
    t->dry = false;
    finals_race(f);
    record_finals(t, f);
    const Finalist *best = &f->list[finals_decide(f)];
    r->gain_high = INFINITY;
    r->resolution = INFINITY;
    r->best_seconds = r->default_seconds;
    t->best_config = initial;
    if (!isfinite(median_of(f->list[0].times, f->rounds))) return; // no time: nothing is known
    r->improved = best != &f->list[0];
    r->noise = f->noise;
    r->resolution = f->resolution;
    r->hopeless = !r->improved && f->rounds >= FINAL_ROUNDS_LEAST && f->resolution > HOPELESS;
    r->default_seconds = median_of(f->list[0].times, f->rounds);
    r->gain = best->gain.ratio;
    r->gain_low = best->gain.low;
    r->gain_high = best->gain.high;
    r->best_seconds = median_of(best->times, f->rounds);
    t->best_config = best->config;
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
    t->best = t->progress = INFINITY;
    t->drift = 1;
    t->sentinel.next = WATCH_EVERY;
    t->initial = t->best_config = initial;
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
    if (t->status == HK_OK && !t->result->hopeless && isfinite(t->result->gain_high))
        recorded(t, store_finish(&t->record, t->result));
}

static bool options_fit(Tuner *t, const hk_tune_options *options)
{
    t->options = *options;
    if (t->options.budget_seconds <= 0) t->options.budget_seconds = 10;
    if (t->options.candidate_seconds_max <= 0) t->options.candidate_seconds_max = 5;
    t->jobs = options->jobs ? options->jobs : 1;
    if (t->jobs > CREW_WATCH) t->jobs = CREW_WATCH;
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
    if (options->free_dim_count)
        return fail_usage(error, "hk_tune: tuning is for certain sizes, without free_dims");
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
