// Search over the points of a space; see search.h. The regression forest is in forest.c.
#include "passes/tune/search_internal.h"

#include <math.h>
#include <string.h>

const char *const search_names[SEARCH_KINDS] = {"exhaustive", "random", "pattern", "evolution",
                                                "forest"};

enum { PARENTS = 12, ATTEMPTS = 200 };

uint64_t search_random(Search *s)
{
    uint64_t z = (s->random += 0x9e3779b97f4a7c15u); // SplitMix64 (Steele, Lea, Flood 2014)
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

uint32_t search_below(Search *s, uint32_t n)
{
    return n ? (uint32_t)(search_random(s) % n) : 0;
}

// ---- which points were asked for: a table with open addressing

static uint64_t hash_of(const Search *s, const Point *p)
{
    uint64_t h = 14695981039346656037u;
    for (uint32_t k = 0; k < s->knob_count; k++) h = (h ^ p->at[k]) * 1099511628211u;
    return h ^ (h >> 29);
}

static bool same(const Search *s, const Point *a, const Point *b)
{
    return memcmp(a->at, b->at, s->knob_count) == 0;
}

static uint32_t *find(const Search *s, const Point *p)
{
    uint32_t at = (uint32_t)hash_of(s, p) & (s->table_size - 1);
    while (s->table[at] && !same(s, &s->trials.data[s->table[at] - 1].point, p))
        at = (at + 1) & (s->table_size - 1);
    return &s->table[at];
}

static void grow(Search *s)
{
    s->table_size = s->table_size ? 2 * s->table_size : 1024;
    s->table = arena_array(s->arena, uint32_t, s->table_size);
    for (uint32_t k = 0; k < s->trials.count; k++) *find(s, &s->trials.data[k].point) = k + 1;
}

bool search_seen(const Search *s, const Point *p)
{
    return *find(s, p) != 0;
}

static Trial *trial_of(Search *s, const Point *p)
{
    if (2 * (s->trials.count + 1) > s->table_size) grow(s);
    uint32_t *slot = find(s, p);
    if (!*slot) {
        vec_push(s->arena, &s->trials, ((Trial){.point = *p, .cost = NAN}));
        *slot = s->trials.count;
    }
    return &s->trials.data[*slot - 1];
}

// ---- moves

static Point random_point(Search *s)
{
    Point p = {{0}};
    for (uint32_t k = 0; k < s->knob_count; k++) p.at[k] = (uint8_t)search_below(s, s->levels[k]);
    return p;
}

// One knob a step up or down, or, one time in four, anywhere.
void search_move(Search *s, Point *p)
{
    uint32_t k = search_below(s, s->knob_count), levels = s->levels[k];
    if (levels < 2) return;
    if (search_below(s, 4) == 0) {
        p->at[k] = (uint8_t)search_below(s, levels);
    } else if (p->at[k] + 1u == levels || (p->at[k] > 0 && search_below(s, 2))) {
        p->at[k]--;
    } else {
        p->at[k]++;
    }
}

// The best trials that ran, best first; how many.
uint32_t search_best(const Search *s, uint32_t most, const Trial **best)
{
    uint32_t count = 0;
    for (uint32_t k = 0; k < s->trials.count; k++) {
        const Trial *t = &s->trials.data[k];
        if (!isfinite(t->cost)) continue;
        uint32_t at = count < most ? count++ : most;
        while (at > 0 && t->cost < best[at - 1]->cost) {
            if (at < most) best[at] = best[at - 1];
            at--;
        }
        if (at < most) best[at] = t;
    }
    return count;
}

// ---- the kinds

static bool ask_exhaustive(Search *s, Point *p)
{
    while (!s->finished) {
        *p = s->next;
        uint32_t k = 0;
        while (k < s->knob_count && ++s->next.at[k] == s->levels[k]) s->next.at[k++] = 0;
        s->finished = k == s->knob_count;
        if (!search_seen(s, p)) return true;
    }
    return false;
}

static bool ask_random(Search *s, Point *p)
{
    for (int tries = 0; tries < ATTEMPTS; tries++) {
        *p = random_point(s);
        if (!search_seen(s, p)) return true;
    }
    return ask_exhaustive(s, p); // few are left
}

// Unseen neighbours of the best, in an order that changes from step to step.
static bool ask_pattern(Search *s, Point *p)
{
    const Trial *best[1];
    if (search_best(s, 1, best)) {
        uint32_t first = search_below(s, s->knob_count);
        for (uint32_t n = 0; n < 2 * s->knob_count; n++) {
            uint32_t k = (first + n / 2) % s->knob_count;
            *p = best[0]->point;
            if (n % 2 ? p->at[k] + 1u >= s->levels[k] : p->at[k] == 0) continue;
            p->at[k] = (uint8_t)(n % 2 ? p->at[k] + 1 : p->at[k] - 1);
            if (!search_seen(s, p)) return true;
        }
        for (int tries = 0; tries < ATTEMPTS / 4; tries++) {
            *p = best[0]->point;
            search_move(s, p);
            search_move(s, p);
            if (!search_seen(s, p)) return true;
        }
    }
    return ask_random(s, p);
}

static bool ask_evolution(Search *s, Point *p)
{
    const Trial *parents[PARENTS];
    uint32_t count = search_best(s, PARENTS, parents);
    for (int tries = 0; count >= 2 && tries < ATTEMPTS; tries++) {
        // Two draws, the better counts: good parents are taken more often.
        uint32_t a = search_below(s, count), b = search_below(s, count), c = search_below(s, count);
        const Point *left = &parents[a < b ? a : b]->point, *right = &parents[c]->point;
        for (uint32_t k = 0; k < s->knob_count; k++)
            p->at[k] = search_below(s, 2) ? left->at[k] : right->at[k];
        uint32_t moves = search_below(s, 3);
        for (uint32_t m = 0; m < moves; m++) search_move(s, p);
        if (!search_seen(s, p)) return true;
    }
    if (count == 1) return ask_pattern(s, p);
    return ask_random(s, p);
}

// ---- the interface

Search *search_new(Arena *arena, SearchKind kind, const uint8_t *levels, uint32_t knob_count,
                   const Point *initial, uint64_t seed)
{
    Search *s = arena_new(arena, Search);
    *s = (Search){.arena = arena, .kind = kind, .knob_count = knob_count, .random = seed};
    s->levels = arena_array(arena, uint8_t, knob_count + 1);
    memcpy(s->levels, levels, knob_count);
    s->initial = *initial;
    grow(s);
    return s;
}

bool search_ask(Search *s, Point *p)
{
    bool found = false;
    if (s->trials.count == 0) {
        *p = s->initial;
        found = true;
    } else {
        switch (s->kind) {
        case SEARCH_EXHAUSTIVE: found = ask_exhaustive(s, p); break;
        case SEARCH_RANDOM: found = ask_random(s, p); break;
        case SEARCH_PATTERN: found = ask_pattern(s, p); break;
        case SEARCH_EVOLUTION: found = ask_evolution(s, p); break;
        case SEARCH_FOREST: found = forest_ask(s, p) || ask_evolution(s, p); break;
        case SEARCH_KINDS: break;
        }
    }
    if (found) trial_of(s, p);
    return found;
}

void search_switch(Search *s, SearchKind kind)
{
    s->kind = kind;
}

void search_tell(Search *s, const Point *p, double cost)
{
    trial_of(s, p)->cost = cost;
    s->told++;
}
