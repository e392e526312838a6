// hako tune FILE[:KERNEL]: searches the Configs of a kernel for a faster one, within a budget.
// Seeds with the default Config, then changes the best so far knob by knob, with some random
// points; the finalists are timed again in turns against the default, which wins ties.
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/tune.h"

enum { KNOBS_MAX = 64, FINALISTS = 4, ROUNDS = 7, CONFIG_BYTES = 4096 };
static const double SEARCH_SHARE = 0.72, FINAL_SHARE = 0.92, CANDIDATE_SECONDS = 5,
                    GAIN_LEAST = 0.98, RANDOM_SHARE = 0.2;

typedef struct Point {
    uint8_t at[KNOBS_MAX]; // choice of each knob
    double ns;
} Point;

typedef struct Tuner {
    Session session;
    Worker worker;
    hk_tunable knobs[KNOBS_MAX];
    size_t knob_count;
    Point *seen;
    size_t seen_count, seen_capacity;
    size_t outcomes[OUTCOME_COUNT];
    Point initial, best;
    double begin, budget;
    uint64_t random;
} Tuner;

static uint64_t next_random(Tuner *t)
{
    uint64_t z = (t->random += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static double elapsed(const Tuner *t)
{
    return now_seconds() - t->begin;
}

static void config_text(const Tuner *t, const Point *p, char *text)
{
    size_t n = 0;
    text[0] = 0;
    for (size_t k = 0; k < t->knob_count && n < CONFIG_BYTES; k++) {
        const hk_tunable *knob = &t->knobs[k];
        if (p->at[k] >= knob->choice_count) continue; // left to the scheduler
        n += (size_t)snprintf(text + n, CONFIG_BYTES - n, "%s%s = %lld", n ? ", " : "", knob->name,
                              (long long)knob->choices[p->at[k]]);
    }
}

// Choices of a knob that the default Config leaves to the scheduler include leaving it so: one past
// the last.
static size_t choice_count(const hk_tunable *knob)
{
    return knob->choice_count + (knob->initial == 0);
}

static size_t initial_choice(const hk_tunable *knob)
{
    for (size_t c = 0; c < knob->choice_count; c++)
        if (knob->choices[c] == knob->initial && knob->initial != 0) return c;
    return knob->initial == 0 ? knob->choice_count : 0;
}

static bool was_seen(const Tuner *t, const Point *p)
{
    for (size_t k = 0; k < t->seen_count; k++)
        if (memcmp(t->seen[k].at, p->at, sizeof p->at) == 0) return true;
    return false;
}

static void remember(Tuner *t, const Point *p)
{
    if (t->seen_count == t->seen_capacity) {
        t->seen_capacity = t->seen_capacity ? 2 * t->seen_capacity : 256;
        t->seen = must_grow(t->seen, sizeof(Point) * t->seen_capacity);
    }
    t->seen[t->seen_count++] = *p;
}

static void print_progress(const Tuner *t, bool last)
{
    if (!isatty(STDERR_FILENO) && !last) return;
    double left = t->budget - elapsed(t);
    fprintf(stderr,
            "%sbest %.4g ms (%.2fx the default); %zu tried: %zu ok, %zu slow, %zu refused, %zu "
            "wrong, %zu crashed; %.1f s left%s",
            isatty(STDERR_FILENO) ? "\r\033[K" : "", t->best.ns * 1e-6, t->initial.ns / t->best.ns,
            t->seen_count, t->outcomes[OUTCOME_OK], t->outcomes[OUTCOME_SLOW],
            t->outcomes[OUTCOME_REFUSED], t->outcomes[OUTCOME_WRONG], t->outcomes[OUTCOME_CRASHED],
            left > 0 ? left : 0, last ? "\n" : "");
}

static Outcome measure(Tuner *t, Point *p, double limit)
{
    char config[CONFIG_BYTES];
    config_text(t, p, config);
    double left = t->budget - elapsed(t),
           deadline = left < CANDIDATE_SECONDS && limit > 0 ? left : CANDIDATE_SECONDS;
    if (deadline < 0.05) deadline = 0.05;
    return worker_measure(&t->worker, config, limit, deadline, &p->ns);
}

static void change(Tuner *t, Point *p, size_t knob)
{
    size_t count = choice_count(&t->knobs[knob]);
    if (next_random(t) % 2) {
        p->at[knob] = (uint8_t)(next_random(t) % count);
    } else {
        bool up = next_random(t) % 2;
        if (up && p->at[knob] + 1u < count)
            p->at[knob]++;
        else if (!up && p->at[knob] > 0)
            p->at[knob]--;
    }
}

static Point propose(Tuner *t)
{
    Point p = t->best;
    bool anywhere = (double)(next_random(t) >> 11) * 0x1p-53 < RANDOM_SHARE;
    size_t changes = anywhere ? t->knob_count : 1 + next_random(t) % 3;
    for (size_t k = 0; k < changes; k++)
        change(t, &p, anywhere ? k : next_random(t) % t->knob_count);
    return p;
}

static void search(Tuner *t)
{
    for (size_t fruitless = 0;
         fruitless < 2000 && elapsed(t) < SEARCH_SHARE * t->budget && !t->worker.gave_up;) {
        Point p = propose(t);
        if (was_seen(t, &p)) {
            fruitless++;
            continue;
        }
        fruitless = 0;
        Outcome outcome = measure(t, &p, t->best.ns);
        t->outcomes[outcome]++;
        if (outcome != OUTCOME_OK) p.ns = INFINITY;
        remember(t, &p);
        if (p.ns < t->best.ns) t->best = p;
        print_progress(t, false);
    }
}

static int by_time(const void *a, const void *b)
{
    double x = ((const Point *)a)->ns, y = ((const Point *)b)->ns;
    return x < y ? -1 : x > y;
}

// The fastest few and the default in turns; the default keeps its place unless another is surely
// faster.
static void finals(Tuner *t)
{
    Point finalists[FINALISTS + 1];
    double times[FINALISTS + 1][ROUNDS];
    size_t count = 1, rounds = 0;
    finalists[0] = t->initial;
    qsort(t->seen, t->seen_count, sizeof *t->seen, by_time);
    for (size_t k = 0; k < t->seen_count && count <= FINALISTS; k++) {
        bool is_default = memcmp(t->seen[k].at, t->initial.at, sizeof t->initial.at) == 0;
        if (!is_default && isfinite(t->seen[k].ns)) finalists[count++] = t->seen[k];
    }
    for (; rounds < ROUNDS && (rounds < 2 || elapsed(t) < FINAL_SHARE * t->budget); rounds++) {
        for (size_t k = 0; k < count; k++) {
            Point p = finalists[k];
            times[k][rounds] = measure(t, &p, 0) == OUTCOME_OK ? p.ns : INFINITY;
        }
    }
    for (size_t k = 0; k < count; k++) finalists[k].ns = spread_of(times[k], rounds).median;
    t->initial = t->best = finalists[0];
    for (size_t k = 1; k < count; k++)
        if (finalists[k].ns < t->best.ns && finalists[k].ns < GAIN_LEAST * t->initial.ns)
            t->best = finalists[k];
}

static int find_space(Tuner *t)
{
    Session *s = &t->session;
    const Options *o = s->options;
    bool made_up = o->shapes.count || !o->inputs.count;
    int code = session_arguments(s);
    if (code == 0 && made_up) code = session_shapes(s);
    if (code == 0 && made_up) code = session_specialize(s, HK_STAGE_TILE, false);
    if (code == 0 && made_up) code = session_allocate(s, true);
    if (code == 0) code = session_specialize(s, HK_STAGE_LOOP, true);
    for (size_t k = 0; code == 0 && k < hk_exec_knob_count(s->exec) && t->knob_count < KNOBS_MAX;
         k++) {
        hk_tunable knob = {.struct_size = sizeof knob};
        if (hk_exec_knob(s->exec, k, &knob) != HK_OK) continue;
        t->initial.at[t->knob_count] = (uint8_t)initial_choice(&knob);
        t->knobs[t->knob_count++] = knob;
    }
    return code;
}

static int finish(Tuner *t)
{
    char config[CONFIG_BYTES], remark[160], *path;
    config_text(t, &t->best, config);
    double gain = t->initial.ns / t->best.ns;
    print_progress(t, true);
    printf("config %s\n", config);
    snprintf(remark, sizeof remark, "%.4g ms, %.2fx the default; %zu candidates", t->best.ns * 1e-6,
             gain, t->seen_count);
    if (!*config) return 0;
    int code = tune_file_write(&t->session, config, remark, &path);
    if (code == 0) printf("written to %s\n", path);
    free(path);
    return code;
}

static int tune(Tuner *t)
{
    int code = find_space(t);
    if (code != 0) return code;
    if (t->knob_count == 0) {
        printf("nothing to tune: the kernel has no free tile\n");
        return 0;
    }
    Outcome outcome = measure(t, &t->initial, 0);
    if (t->worker.gave_up) return t->worker.code;
    if (outcome != OUTCOME_OK) {
        fprintf(stderr, "hako: error: the default Config does not run; `hako run` says why\n");
        return EXIT_DIAGNOSTICS;
    }
    t->outcomes[OUTCOME_OK]++;
    t->best = t->initial;
    remember(t, &t->initial);
    search(t);
    finals(t);
    return finish(t);
}

int command_tune(Options *options)
{
    Tuner *t = must_alloc(sizeof *t);
    t->begin = now_seconds();
    t->budget = options->budget;
    t->random = options->seed;
    t->worker.options = options;
    int code = session_open(&t->session, options);
    if (code == 0) code = tune(t);
    worker_stop(&t->worker);
    session_close(&t->session);
    free(t->seen);
    free(t);
    return code;
}
