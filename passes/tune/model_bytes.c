// How many bytes move between the caches in a launch; see model.h.
//
// From the innermost loops outwards: what a turn of a loop touches is a set of groups, each of
// equal blocks. If all of it fits into a cache, the loop brings there what its turns touch
// together; else each turn brings its own again. Between "fits" and "does not" lies a slope, not a
// step.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "passes/tune/model_internal.h"

// A cache keeps all of it up to the first share of its size, nothing of it from the second on.
static const double FULL = 0.6, OVER = 1.2;
// What starting a run costs, in lines: those that no prefetcher foresaw.
static const double RUN_LINES = 1.5, RUN_LINES_ASKED = 0.5, WRITTEN = 2;

typedef struct Group {
    const Access *like; // one of its accesses: the memory and the slopes of the loops outside
    double blocks, width, low, span; // bytes; span: from the first block to the end of the last
    double run;                      // bytes that are walked in one go
    double fetch[CACHES], weighed[CACHES];
} Group;

typedef VEC(Group) Groups;

typedef struct Counting {
    Model *m;
    bool own; // what a single thread does, for the caches that are its own
    double capacity[CACHES];
    double unit; // bytes of a unit
} Counting;

static double lines_of(double bytes)
{
    return ceil(bytes / CACHE_LINE) * CACHE_LINE;
}

static double bytes_of(const Group *g)
{
    return g->blocks * lines_of(g->width);
}

// ---- what one body reads and writes itself

static int by_place(const void *left, const void *right)
{
    const Access *a = *(const Access *const *)left, *b = *(const Access *const *)right;
    if (a->mem.i != b->mem.i) return a->mem.i < b->mem.i ? -1 : 1;
    if (a->stream != b->stream) return a->stream ? 1 : -1;
    int order = memcmp(a->slopes, b->slopes, sizeof a->slopes);
    if (order) return order;
    return a->base < b->base ? -1 : a->base > b->base;
}

static bool same_walk(const Access *a, const Access *b, unsigned depth)
{
    if (a->mem.i != b->mem.i || a->stream != b->stream) return false;
    for (unsigned d = 1; d <= depth; d++)
        if (a->slopes[d] != b->slopes[d]) return false;
    return true;
}

static Group group_of(const Access *a)
{
    Group g = {.like = a, .blocks = a->weight, .width = a->width, .low = a->base, .span = a->width};
    double stride = fabs(a->lane_stride);
    if (a->lanes > 1 && stride <= CACHE_LINE) {
        g.width = g.span = stride * (a->lanes - 1) + a->element;
    } else if (a->lanes > 1) {
        g.blocks *= a->lanes;
        g.span = isnan(stride) ? INFINITY : stride * (a->lanes - 1) + a->element;
    }
    if (isnan(g.low)) g.low = 0;
    return g;
}

// Accesses side by side make one block; equal ones, one access.
static void add_own(Counting *c, const Node *node, Groups *groups)
{
    Arena *arena = c->m->arena;
    uint32_t count = node->accesses.count;
    const Access **order = arena_array(arena, const Access *, count + 1);
    for (uint32_t k = 0; k < count; k++) order[k] = &node->accesses.data[k];
    qsort(order, count, sizeof *order, by_place);
    double end = 0; // of the last block
    for (uint32_t k = 0; k < count; k++) {
        Group *last = groups->count ? &groups->data[groups->count - 1] : NULL;
        Group next = group_of(order[k]);
        bool joins = last && same_walk(last->like, order[k], node->depth) &&
                     last->like->lanes == order[k]->lanes;
        if (!joins) {
            vec_push(arena, groups, next);
            end = next.low + next.span;
            continue;
        }
        double reach = next.low + next.span;
        if (next.low > end + CACHE_LINE / 2.0) {
            last->blocks += next.blocks;
        } else if (reach > end) {
            last->width += (reach - end) / last->blocks; // the mean of the blocks
        }
        if (reach > end) end = reach;
        last->span = end - last->low;
    }
    for (uint32_t k = 0; k < groups->count; k++) {
        Group *g = &groups->data[k];
        g->run = g->width;
        for (int level = 0; level < CACHES; level++) g->fetch[level] = bytes_of(g);
    }
}

// ---- joining what several loops of a body touch

static double overlap(const Group *a, const Group *b)
{
    double low = fmax(a->low, b->low), high = fmin(a->low + a->span, b->low + b->span);
    double least = fmin(a->span, b->span);
    return high > low && least > 0 && isfinite(least) ? (high - low) / least : 0;
}

static void join(Group *into, const Group *from)
{
    double high = fmax(into->low + into->span, from->low + from->span), low;
    bool shared = overlap(into, from) > 0.5;
    if (!shared) into->blocks += from->blocks * lines_of(from->width) / lines_of(into->width);
    if (shared && bytes_of(from) > bytes_of(into)) {
        into->blocks = from->blocks;
        into->width = from->width;
    }
    low = fmin(into->low, from->low);
    into->low = low;
    into->span = high - low;
    into->run = fmin(into->run, from->run);
    for (int level = 0; level < CACHES; level++) {
        into->fetch[level] += from->fetch[level];
        into->weighed[level] += from->weighed[level];
    }
}

static void add_group(Counting *c, Groups *groups, const Group *g, unsigned depth)
{
    for (uint32_t k = 0; k < groups->count; k++) {
        if (!same_walk(groups->data[k].like, g->like, depth)) continue;
        join(&groups->data[k], g);
        return;
    }
    vec_push(c->m->arena, groups, *g);
}

// Memory that is walked in two ways counts once where the ways meet.
static double footprint(const Groups *groups)
{
    double bytes = 0;
    for (uint32_t k = 0; k < groups->count; k++) {
        const Group *g = &groups->data[k];
        double own = bytes_of(g);
        for (uint32_t other = 0; other < k && own > 0; other++) {
            const Group *h = &groups->data[other];
            if (h->like->mem.i == g->like->mem.i && overlap(h, g) > 0.5)
                own = fmax(0, own - bytes_of(h));
        }
        if (!g->like->stream) bytes += own;
    }
    return bytes;
}

// ---- a loop

// 0: a cache of that capacity keeps all; 1: nothing.
static double loss(double bytes, double capacity)
{
    double x = (bytes / capacity - FULL) / (OVER - FULL);
    return x < 0 ? 0 : x > 1 ? 1 : x;
}

static void extend(Group *g, double slope, double trips)
{
    double by = fabs(slope);
    if (trips <= 1 || slope == 0) return;
    if (isnan(slope)) {
        g->blocks *= trips;
        g->span = INFINITY;
        return;
    }
    bool alone = g->blocks <= 1;
    if (by <= g->width + CACHE_LINE)
        g->width += by * (trips - 1);
    else
        g->blocks *= trips;
    if (alone && g->blocks <= 1) g->run = g->width;
    g->low -= by * floor((trips - 1) / 2);
    g->span += by * (trips - 1);
    if (g->blocks <= 1 || bytes_of(g) < g->span) return;
    g->blocks = 1;
    g->width = g->span;
}

static double weigh(const Model *m, const Group *g, double bytes)
{
    double starts = m->asked[g->like->mem.i] ? RUN_LINES_ASKED : RUN_LINES;
    bool back = g->like->writes && !g->like->stream;
    return bytes * (1 + starts * CACHE_LINE / lines_of(g->run)) * (back ? WRITTEN : 1);
}

static double turns(const Counting *c, const Node *node)
{
    return c->own && node->units ? fmax(node->trips / c->m->threads, 1) : node->trips;
}

static void close_loop(Counting *c, const Node *node, Groups *groups)
{
    double bytes = footprint(groups), trips = turns(c, node);
    if (node->units && c->own) c->unit = bytes;
    for (uint32_t k = 0; k < groups->count; k++) {
        Group *g = &groups->data[k], turn = *g;
        extend(g, node->depth ? g->like->slopes[node->depth] : 0, trips);
        for (int level = 0; level < CACHES; level++) {
            double lost = g->like->stream ? 1 : loss(bytes, c->capacity[level]);
            double all = trips * (turn.fetch[level] * lost + bytes_of(&turn) * (1 - lost));
            double weighed =
                trips * (turn.weighed[level] * lost + weigh(c->m, g, bytes_of(&turn)) * (1 - lost));
            double once = fmin(bytes_of(g), all), once_weighed = weigh(c->m, g, once);
            g->fetch[level] = all * lost + once * (1 - lost);
            g->weighed[level] = weighed * lost + fmin(once_weighed, weighed) * (1 - lost);
            g->fetch[level] *= node->weight;
            g->weighed[level] *= node->weight;
        }
    }
}

static Groups collect(Counting *c, const Node *node)
{
    Groups groups = {0};
    add_own(c, node, &groups);
    for (uint32_t k = 0; k < groups.count; k++)
        for (int level = 0; level < CACHES; level++)
            groups.data[k].weighed[level] =
                weigh(c->m, &groups.data[k], groups.data[k].fetch[level]);
    for (const Node *child = node->child; child; child = child->next) {
        Groups inner = collect(c, child);
        for (uint32_t k = 0; k < inner.count; k++)
            add_group(c, &groups, &inner.data[k], node->depth);
    }
    close_loop(c, node, &groups);
    return groups;
}

Traffic model_traffic(Model *m, Node *root)
{
    const Machine *machine = m->machine;
    Traffic t = {0};
    for (int own = 1; own >= 0; own--) {
        Counting c = {
            m,
            own,
            {(double)machine->l1_bytes, (double)machine->l2_bytes, (double)machine->l3_bytes},
            0};
        Groups groups = collect(&c, root);
        double bytes = footprint(&groups), times = own ? m->threads : 1;
        for (uint32_t k = 0; k < groups.count; k++) {
            const Group *g = &groups.data[k];
            for (int level = 0; level < CACHES; level++) {
                bool stream = g->like->stream;
                if ((level < 2) != own) continue; // the last cache belongs to all
                if (stream && level + 1 < CACHES) continue;
                // What fits is still there from the launch before.
                double lost = stream ? times : times * loss(bytes, c.capacity[level]);
                t.bytes[level] += g->fetch[level] * lost;
                t.weighed[level] += g->weighed[level] * lost;
            }
        }
        if (own) t.footprint = c.unit;
    }
    return t;
}
