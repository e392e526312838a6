// The default Config, looked over by the model of time: where a single knob's other value should
// take much less time, it is taken, and looked over again.
//
// Laws: the same kernel, sizes and machine give the same Config. Kernels of some microseconds are
// left as they are, since nothing is won that compiling does not cost; what is predicted to win
// little, too, since the model errs by more.
#include <math.h>
#include <string.h>

#include "runtime/internal.h"

enum { ROUNDS = 3, TRIES_LEAST = 16, TRIES_MOST = 64, TRIED_INSTS = 10000, NEAR = 4 };
static const double WORTH_SECONDS = 50e-6, GAIN = 0.5;

typedef struct Refiner {
    hk_exec *exec;
    int64_t *values; // of the space's knobs
    double best;
    uint32_t best_knob, tries;
    int64_t best_value;
} Refiner;

static void try_value(Refiner *r, uint32_t k, int64_t value)
{
    const hk_exec *exec = r->exec;
    Arena *arena = &r->exec->arena;
    int64_t kept = r->values[k];
    if (value == kept || r->tries == 0) return;
    r->values[k] = value;
    bool allowed = space_allows(exec->space, r->values);
    r->values[k] = kept;
    if (!allowed) return;
    Config *config = config_clone(arena, exec->config);
    config_set(config, exec->space->knobs.data[k].name, value);
    bool exact;
    double seconds = estimate_config(exec, config_print(arena, config), &exact);
    r->tries--;
    if (!exact || !(seconds < r->best)) return;
    r->best = seconds;
    r->best_knob = k;
    r->best_value = value;
}

// The nearest values, and some further; of a knob without a value in the Config, all.
static void try_knob(Refiner *r, uint32_t k)
{
    static const int steps[] = {-1, 1, -2, 2, -NEAR, NEAR};
    const SpaceKnob *knob = &r->exec->space->knobs.data[k];
    if (knob->scheduled) {
        for (uint32_t c = 0; c < knob->choice_count; c++) try_value(r, k, knob->choices[c]);
        return;
    }
    int at = 0;
    while (at + 1 < (int)knob->choice_count && knob->choices[at] < r->values[k]) at++;
    for (size_t s = 0; s < sizeof steps / sizeof *steps; s++)
        if (at + steps[s] >= 0 && at + steps[s] < (int)knob->choice_count)
            try_value(r, k, knob->choices[at + steps[s]]);
}

static bool has_prefix(Str name, const char *prefix)
{
    return name.length >= strlen(prefix) && memcmp(name.data, prefix, strlen(prefix)) == 0;
}

// What the model judges best first; how many rows and threads is best left to the scheduler.
static void try_all(Refiner *r)
{
    static const char *const kinds[] = {"tile_",   "block_", "chunks",  "order_",
                                        "stream_", "grid_",  "vectors_"};
    const Space *space = r->exec->space;
    for (size_t n = 0; n < sizeof kinds / sizeof *kinds; n++)
        for (uint32_t k = 0; k < space->knobs.count; k++)
            if (has_prefix(space->knobs.data[k].name, kinds[n])) try_knob(r, k);
}

void config_refine(hk_exec *exec)
{
    Arena *arena = &exec->arena;
    uint32_t insts = exec->tile->insts.count + 1, tries = TRIED_INSTS / insts;
    bool exact;
    double now = estimate_config(exec, config_print(arena, exec->config), &exact);
    for (int round = 0; round < ROUNDS && now > WORTH_SECONDS && exact; round++) {
        Refiner r = {.exec = exec, .best = now};
        r.tries = tries < TRIES_LEAST ? TRIES_LEAST : tries > TRIES_MOST ? TRIES_MOST : tries;
        r.values = arena_array(arena, int64_t, exec->space->knobs.count + 1);
        for (uint32_t k = 0; k < exec->space->knobs.count; k++) {
            r.values[k] = SPACE_SCHEDULED;
            config_get(exec->config, exec->space->knobs.data[k].name, &r.values[k]);
        }
        try_all(&r);
        if (!(r.best < GAIN * now)) return;
        config_set(exec->config, exec->space->knobs.data[r.best_knob].name, r.best_value);
        now = r.best;
    }
}
