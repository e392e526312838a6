// Finals; see finals.h.
//
// After 3, 6, 12 ... rounds the slower half leaves, and who is surely slower than another: what
// matters is that the best is told from the default, not all from each other.
// (Halving: Jamieson and Talwalkar 2016.) Only finalists leave, so that the default's place is as
// safe as before.
#include "runtime/finals.h"

#include <math.h>

enum { HALVING_FIRST = 3 }; // rounds
static const double GAIN_LEAST = 1.005;

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

// False if time was over within the round, which does not count then.
static bool run_round(Finals *f)
{
    uint32_t order[FINALISTS + 2];
    shuffle(order, f->count, &f->random);
    for (uint32_t k = 0; k < f->count; k++) {
        Finalist *finalist = &f->list[order[k]];
        double seconds = finalist->out ? INFINITY : f->time(f->self, finalist);
        if (isnan(seconds)) return false;
        finalist->times[f->rounds] = seconds;
        if (!isfinite(seconds) && order[k] > 1) finalist->out = true;
    }
    f->rounds++;
    return true;
}

static uint32_t leader(Finals *f)
{
    uint32_t lead = 0;
    double ratio = 1;
    for (uint32_t k = 2; k < f->count; k++) {
        if (f->list[k].out) continue;
        f->list[k].gain = gain_of(f->list[0].times, f->list[k].times, f->rounds, COMPARE_SURE);
        if (f->list[k].gain.ratio <= ratio) continue;
        lead = k;
        ratio = f->list[k].gain.ratio;
    }
    return lead;
}

// The least of those who are left beside the default; 0: nobody is. *left: how many.
static uint32_t last_of(const Finals *f, uint32_t *left)
{
    uint32_t last = 0;
    *left = 0;
    for (uint32_t k = 2; k < f->count; k++) {
        if (f->list[k].out) continue;
        if (!last || f->list[k].gain.ratio < f->list[last].gain.ratio) last = k;
        ++*left;
    }
    return last;
}

// False: nobody is left beside the default.
static bool thin_out(Finals *f, uint32_t most)
{
    uint32_t lead = leader(f), left;
    for (uint32_t k = 2; k < f->count; k++) {
        Finalist *finalist = &f->list[k];
        if (finalist->out || k == lead) continue;
        finalist->out =
            gain_of(finalist->times, f->list[lead].times, f->rounds, COMPARE_SURE).low > 1;
    }
    for (uint32_t last = last_of(f, &left); left > most; last = last_of(f, &left))
        f->list[last].out = true;
    return left > 0;
}

void finals_race(Finals *f)
{
    uint32_t next = HALVING_FIRST, most = FINALISTS / 2;
    while (f->rounds < FINAL_ROUNDS_MOST && f->goes_on(f->self, f->rounds) && run_round(f)) {
        if (f->rounds < next) continue;
        if (!thin_out(f, most)) break;
        if (f->moves) f->moves(f->self, f);
        next *= 2;
        most = most > 3 ? most / 2 : 2;
    }
}

uint32_t finals_decide(Finals *f)
{
    Gain self = gain_of(f->list[0].times, f->list[1].times, f->rounds, COMPARE_SURE);
    f->noise = fabs(self.ratio - 1);
    self = gain_of(f->list[0].times, f->list[1].times, f->rounds, COMPARE_LIKELY);
    f->resolution =
        expm1(log(self.high / self.low) / 2 * sqrt((double)f->rounds / FINAL_ROUNDS_MOST));
    f->list[0].gain = (Gain){1, 1, 1};
    uint32_t best = 0;
    for (uint32_t k = 2; k < f->count; k++) {
        Finalist *finalist = &f->list[k];
        if (finalist->out) continue;
        finalist->gain = gain_of(f->list[0].times, finalist->times, f->rounds, COMPARE_SURE);
        bool sure = finalist->gain.low > fmax(GAIN_LEAST, 1 + f->noise);
        if (sure && finalist->gain.ratio > f->list[best].gain.ratio) best = k;
    }
    return best;
}
