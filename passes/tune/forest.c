// A surrogate for measuring: extremely randomised trees (Geurts, Ernst, Wehenkel 2006) predict the
// logarithm of a point's cost from the indices of its choices, which are ordered. Of many points
// near the good ones, and some far away, the one with the lowest optimistic prediction (mean less
// half the trees' deviation) is asked for. One ask in eight is random, so that no region is given
// up unseen.
#include "passes/tune/search_internal.h"

#include <math.h>
#include <string.h>

enum {
    TREES = 24,
    LEAF = 3,          // points in a leaf at least
    WARM_UP = 8,       // points told before the first forest
    RETRAIN = 4,       // new points between two forests
    SAMPLES_MAX = 512, // the newest
    DEPTH_MAX = 12,
    NEAR = 160,
    FAR = 40,
    STARTS = 6
};

typedef struct TreeNode {
    uint8_t knob, split;  // at[knob] < split goes left
    uint16_t left, right; // 0: a leaf
    float value;
} TreeNode;

struct Forest {
    TreeNode nodes[TREES][2 * SAMPLES_MAX];
    uint32_t trained; // told when it was grown
};

typedef struct Growing {
    Search *search;
    const Trial *samples[SAMPLES_MAX];
    float costs[SAMPLES_MAX]; // logarithms
    uint16_t order[SAMPLES_MAX], scratch[SAMPLES_MAX];
    TreeNode *nodes;
    uint32_t count; // of nodes
} Growing;

static float mean_of(const Growing *g, uint32_t lo, uint32_t hi)
{
    float sum = 0;
    for (uint32_t k = lo; k < hi; k++) sum += g->costs[g->order[k]];
    return sum / (float)(hi - lo);
}

// Sum of squared distances from the means of both sides.
static float impurity(const Growing *g, uint32_t lo, uint32_t hi, uint8_t knob, uint8_t split)
{
    float n[2] = {0}, sum[2] = {0}, squares = 0;
    for (uint32_t k = lo; k < hi; k++) {
        unsigned side = g->samples[g->order[k]]->point.at[knob] >= split;
        float cost = g->costs[g->order[k]];
        n[side]++;
        sum[side] += cost;
        squares += cost * cost;
    }
    if (n[0] == 0 || n[1] == 0) return INFINITY;
    return squares - sum[0] * sum[0] / n[0] - sum[1] * sum[1] / n[1];
}

static uint32_t divide(Growing *g, uint32_t lo, uint32_t hi, uint8_t knob, uint8_t split)
{
    uint32_t left = lo, kept = 0;
    for (uint32_t k = lo; k < hi; k++) {
        uint16_t sample = g->order[k];
        if (g->samples[sample]->point.at[knob] < split)
            g->order[left++] = sample;
        else
            g->scratch[kept++] = sample;
    }
    memcpy(&g->order[left], g->scratch, kept * sizeof *g->scratch);
    return left;
}

// A split at random for every knob; the best of these.
static uint16_t grow_tree(Growing *g, uint32_t lo, uint32_t hi, unsigned depth)
{
    uint16_t at = (uint16_t)g->count++;
    TreeNode node = {.value = mean_of(g, lo, hi)};
    float least = INFINITY;
    for (uint8_t k = 0; hi - lo >= 2 * LEAF && depth < DEPTH_MAX && k < g->search->knob_count;
         k++) {
        uint8_t low = UINT8_MAX, high = 0;
        for (uint32_t s = lo; s < hi; s++) {
            uint8_t value = g->samples[g->order[s]]->point.at[k];
            low = value < low ? value : low;
            high = value > high ? value : high;
        }
        if (low >= high) continue;
        uint8_t split = (uint8_t)(low + 1 + search_below(g->search, (uint32_t)(high - low)));
        float now = impurity(g, lo, hi, k, split);
        if (now >= least) continue;
        least = now;
        node.knob = k;
        node.split = split;
    }
    if (isfinite(least)) {
        uint32_t middle = divide(g, lo, hi, node.knob, node.split);
        node.left = grow_tree(g, lo, middle, depth + 1);
        node.right = grow_tree(g, middle, hi, depth + 1);
    }
    g->nodes[at] = node;
    return at;
}

// What failed counts as twice the slowest that ran.
static uint32_t gather(Growing *g)
{
    Search *s = g->search;
    double slowest = 0;
    uint32_t count = 0;
    for (uint32_t k = 0; k < s->trials.count; k++)
        if (isfinite(s->trials.data[k].cost)) slowest = fmax(slowest, s->trials.data[k].cost);
    for (uint32_t k = s->trials.count; k > 0 && count < SAMPLES_MAX; k--) {
        const Trial *t = &s->trials.data[k - 1];
        if (isnan(t->cost)) continue;
        g->samples[count] = t;
        g->costs[count++] =
            (float)log(isfinite(t->cost) ? fmax(t->cost, 1e-12) : 2 * slowest + 1e-12);
    }
    return count;
}

static void train(Search *s)
{
    Growing g = {.search = s};
    uint32_t count = gather(&g);
    for (unsigned t = 0; t < TREES; t++) {
        g.nodes = s->forest->nodes[t];
        g.count = 0;
        for (uint32_t k = 0; k < count; k++) g.order[k] = (uint16_t)k;
        grow_tree(&g, 0, count, 0);
    }
    s->forest->trained = s->told;
}

static float predict(const Forest *forest, const Point *p)
{
    float sum = 0, squares = 0;
    for (unsigned t = 0; t < TREES; t++) {
        const TreeNode *node = forest->nodes[t];
        const TreeNode *tree = node;
        while (node->left) node = &tree[p->at[node->knob] < node->split ? node->left : node->right];
        sum += node->value;
        squares += node->value * node->value;
    }
    float mean = sum / TREES, variance = squares / TREES - mean * mean;
    return mean - 0.5f * sqrtf(variance > 0 ? variance : 0);
}

static Point candidate(Search *s, const Trial *const *starts, uint32_t count, uint32_t n)
{
    Point p = {{0}};
    if (n >= NEAR) {
        for (uint32_t k = 0; k < s->knob_count; k++)
            p.at[k] = (uint8_t)search_below(s, s->levels[k]);
        return p;
    }
    p = starts[n % count]->point;
    uint32_t moves = 1 + search_below(s, 3);
    for (uint32_t m = 0; m < moves; m++) search_move(s, &p);
    return p;
}

bool forest_ask(Search *s, Point *best)
{
    if (s->told < WARM_UP || search_below(s, 8) == 0) return false;
    const Trial *starts[STARTS];
    uint32_t count = search_best(s, STARTS, starts);
    if (!count) return false;
    if (!s->forest) s->forest = arena_new(s->arena, Forest);
    if (!s->forest->trained || s->told >= s->forest->trained + RETRAIN) train(s);
    float least = INFINITY;
    for (uint32_t n = 0; n < NEAR + FAR; n++) {
        Point p = candidate(s, starts, count, n);
        if (search_seen(s, &p)) continue;
        float predicted = predict(s->forest, &p);
        if (predicted >= least) continue;
        least = predicted;
        *best = p;
    }
    return isfinite(least);
}
