// Points of a search as Configs; see points.h.
//
// Ranking is a search of its own, evolution with the model of time in the place of a clock: a point
// takes as long as scheduling the kernel, some tenths of a millisecond.
#include "runtime/points.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { RANKED_LEAST = 64, RANKED_MOST = 512, RANKED_INSTS = 200000, ASKED_MOST = 20000 };
// Each point chosen already that differs in one knob makes a point that much less welcome.
static const double ALIKE = 0.1;

Points points_of(const hk_exec *exec)
{
    Points points = {.space = exec->space, .knobs = exec->knobs, .size = 1};
    points.count =
        exec->knob_count < SEARCH_KNOBS_MAX ? (uint32_t)exec->knob_count : SEARCH_KNOBS_MAX;
    for (uint32_t k = 0; k < points.count; k++) {
        const hk_tunable *knob = &points.knobs[k];
        bool scheduled = k < exec->space->knobs.count && exec->space->knobs.data[k].scheduled;
        points.levels[k] = (uint8_t)(knob->choice_count + scheduled);
        points.size *= points.levels[k];
        points.initial.at[k] = (uint8_t)(scheduled ? knob->choice_count : 0);
        for (size_t c = 0; c < knob->choice_count && !scheduled; c++)
            if (knob->choices[c] == knob->initial) points.initial.at[k] = (uint8_t)c;
    }
    return points;
}

Str points_config(const Points *points, Arena *arena, const Point *p)
{
    Buf out = {.arena = arena};
    buf_add(&out, "", 0);
    for (uint32_t k = 0; k < points->count; k++) {
        const hk_tunable *knob = &points->knobs[k];
        if (p->at[k] >= knob->choice_count) continue;
        buf_printf(&out, "%s%s = %lld", out.length ? ", " : "", knob->name,
                   (long long)knob->choices[p->at[k]]);
    }
    return buf_view(&out);
}

bool points_allows(const Points *points, const Point *p)
{
    int64_t values[SEARCH_KNOBS_MAX];
    uint32_t count = points->space->knobs.count;
    if (count > points->count) return true; // more than a search knows
    for (uint32_t k = 0; k < count; k++) {
        const SpaceKnob *knob = &points->space->knobs.data[k];
        values[k] = p->at[k] < knob->choice_count ? knob->choices[p->at[k]] : SPACE_SCHEDULED;
    }
    return space_allows(points->space, values);
}

bool points_find(const Points *points, const char *config, Point *p)
{
    for (uint32_t k = 0; k < points->count; k++) {
        const hk_tunable *knob = &points->knobs[k];
        p->at[k] = (uint8_t)knob->choice_count; // left to the scheduler
        for (size_t c = 0; c < knob->choice_count; c++) {
            char text[128];
            int n =
                snprintf(text, sizeof text, "%s = %lld", knob->name, (long long)knob->choices[c]);
            const char *at = strstr(config, text);
            bool whole = at && (at == config || at[-1] == ' ') && (!at[n] || at[n] == ',');
            if (whole) p->at[k] = (uint8_t)c;
        }
        if (p->at[k] >= points->levels[k]) return false;
    }
    return true;
}

// ---- ranking

typedef struct Ranked {
    Point point;
    double seconds;
    bool taken;
} Ranked;

static uint32_t difference(const Points *points, const Point *a, const Point *b)
{
    uint32_t n = 0;
    for (uint32_t k = 0; k < points->count; k++) n += a->at[k] != b->at[k];
    return n;
}

// The least time, counting what is like a chosen one as longer; and no time twice, which is most
// likely the same code.
static Ranked *next_of(const Points *points, Ranked *all, uint32_t count, const Point *best,
                       uint32_t chosen, double known)
{
    Ranked *least = NULL;
    double least_seconds = INFINITY;
    for (uint32_t k = 0; k < count; k++) {
        double seconds = all[k].seconds;
        if (all[k].taken || seconds == known) continue;
        for (uint32_t c = 0; c < chosen; c++)
            if (difference(points, &all[k].point, &best[c]) == 1) seconds *= 1 + ALIKE;
        if (seconds >= least_seconds) continue;
        least = &all[k];
        least_seconds = seconds;
    }
    return least;
}

typedef struct RankJob {
    Arena arena;
    const Points *points;
    const hk_exec *exec;
    uint64_t seed;
    double end; // on the clock
    uint32_t most, chosen;
    Point *best;
} RankJob;

static void rank(void *self)
{
    RankJob *job = self;
    const Points *points = job->points;
    uint32_t insts = job->exec->loop->insts.count + 1, asks = RANKED_INSTS / insts, count = 0;
    asks = asks < RANKED_LEAST ? RANKED_LEAST : asks > RANKED_MOST ? RANKED_MOST : asks;
    Search *search = search_new(&job->arena, SEARCH_EVOLUTION, points->levels, points->count,
                                &points->initial, job->seed);
    Ranked *all = arena_array(&job->arena, Ranked, asks + 1);
    double initial = NAN;
    uint32_t asked = 0;
    for (Point p; count < asks && asked < ASKED_MOST && search_ask(search, &p); asked++) {
        if (clock_seconds() > job->end) break;
        if (asked > 0 && !points_allows(points, &p)) {
            search_tell(search, &p, INFINITY);
            continue;
        }
        bool exact;
        double seconds = estimate_config(job->exec, points_config(points, &job->arena, &p), &exact);
        if (isnan(seconds)) seconds = INFINITY;
        search_tell(search, &p, seconds);
        all[count++] = (Ranked){p, seconds, !isfinite(seconds)};
        if (count == 1) initial = seconds;
    }
    for (Ranked *next; job->chosen < job->most &&
                       (next = next_of(points, all, count, job->best, job->chosen, initial));) {
        for (uint32_t k = 0; k < count; k++) all[k].taken |= all[k].seconds == next->seconds;
        job->best[job->chosen++] = next->point;
    }
}

uint32_t points_rank(const Points *points, const hk_exec *exec, uint64_t seed, double seconds_max,
                     uint32_t most, Point *best)
{
    RankJob job = {.points = points, .exec = exec, .seed = seed, .most = most, .best = best};
    job.end = clock_seconds() + seconds_max;
    if (exec->request.target == HK_TARGET_INTERP || !exec->loop || points->size <= 1) return 0;
    arena_init(&job.arena, &exec->kernel->module->context->allocator);
    guarded(&job.arena, rank, &job);
    arena_free(&job.arena);
    return job.chosen;
}
