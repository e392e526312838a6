// Measured tolerances. The error of an element comes from the roundings on the way to it, which are
// relative to the terms that it is made of, not to the output's largest element: where x[i] is a
// million times x[j], so are their errors. Two experiments show these terms without knowing the
// kernel:
//
//   the same code with all roundings upward, then all downward: no order of the same sums, and no
//   constant, escapes that interval by much;
//   inputs changed by a little, each in a direction of its own: results change as the square root
//   of the sum of the squares of the terms, which is how roundings add up.
//
// allowed = relative * |want| + ROUNDED * |up - down| + noise * (change / how little + |want|)
//
// A result of 16 bits or fewer may be off by its own last bit, which hides much. But rounding keeps
// differences on average: two sums that differ by a thousandth of the last bit round to different
// results in one of a thousand elements. So the mean error is held to what is allowed without that
// last bit. And where all roundings upward and all downward give the same narrow result, which is
// in most elements, no order of the sums reaches another: two such elements that differ are too
// many.
#include "runtime/sense.h"

#include <fenv.h>
#include <math.h>
#include <string.h>

#include "ir/eval.h"

enum { CHANGES = 6 };
static const double ROUNDED = 2;

enum { FEW = 6 };                   // results that differ by chance, at most
static const double FIRM_FEW = 1.5; // ... of those of which all roundings give the same

// ---- elements

static double value_at_element(const TensorView *v, int64_t at)
{
    if (v->dtype == DTYPE_F32) return (double)((const float *)v->data)[at];
    return scalar_to_double(dtype_info[v->dtype].arith, storage_load(v->dtype, v->data, at));
}

static int64_t elements_of(const TensorView *v)
{
    int64_t n = 1;
    for (uint32_t p = 0; p < v->rank; p++) n *= v->shape[p];
    return n;
}

static bool is_sensed(const Sense *s, size_t k)
{
    const TensorView *r = &s->results[k];
    return s->wanted[k].given && s->guards[k].map && dtype_is_float(r->dtype) &&
           dtype_info[r->dtype].bits >= 8 && view_is_compact(r);
}

// ---- running on changed copies

static bool changes(const TensorView *v)
{
    return v->given && dtype_is_float(v->dtype) && dtype_info[v->dtype].bits >= 16 &&
           view_is_compact(v);
}

// As little as all inputs can be changed by.
static double little(const Sense *s)
{
    double least = 0x1p-16;
    for (size_t k = 0; k < s->count; k++)
        if (changes(&s->tensors[k]) && s->guards[k].map)
            least = fmax(least, epsilon_of(s->tensors[k].dtype));
    return least;
}

static void restore(const Sense *s)
{
    for (size_t k = 0; k < s->count; k++)
        if (s->guards[k].map)
            memcpy(s->guards[k].data, s->tensors[k].data, (size_t)s->tensors[k].high);
}

static void change(const Sense *s, double by, uint64_t seed)
{
    for (size_t k = 0; k < s->count; k++) {
        const TensorView *v = &s->tensors[k];
        if (!s->guards[k].map || !changes(v)) continue;
        DType arith = dtype_info[v->dtype].arith;
        for (int64_t at = 0, n = elements_of(v); at < n; at++) {
            seed = seed * 6364136223846793005u + 1442695040888963407u;
            double x = value_at_element(v, at) * (1 + (seed >> 63 ? by : -by));
            storage_store(v->dtype, s->guards[k].data, at, scalar_from_double(arith, x));
        }
    }
}

// False: the kernel traps on such data.
static bool run(const Sense *s)
{
    return hk_exec_run(s->exec, s->args, s->count, NULL) == HK_OK;
}

// In this thread, whose roundings are directed.
static bool run_rounding(const Sense *s, int direction)
{
    int kept = fegetround();
    restore(s);
    bool ok = fesetround(direction) == 0 && run(s);
    fesetround(kept);
    return ok;
}

// ---- the experiments

typedef struct Spread { // of one output, by element
    float *up, *squares;
} Spread;

static double noise_of(const Cost *cost, DType dtype)
{
    bool wide = dtype == DTYPE_F64 && !cost->single;
    double noise = epsilon_of(wide ? DTYPE_F64 : DTYPE_F32) * (4 + sqrt(cost->reduction));
    for (int t = 0; t < DTYPE_COUNT; t++)
        if (cost->rounds[t] && dtype_is_float((DType)t)) noise = fmax(noise, epsilon_of((DType)t));
    if (cost->updates > 0) noise = fmax(noise, epsilon_of(dtype) * (2 + sqrt(cost->updates)));
    return noise;
}

static void add_squares(const Sense *s, const Spread *spreads, double by)
{
    for (size_t k = 0; k < s->count; k++) {
        if (!spreads[k].squares) continue;
        for (int64_t at = 0, n = elements_of(&s->wanted[k]); at < n; at++) {
            double moved =
                (value_at_element(&s->results[k], at) - value_at_element(&s->wanted[k], at)) / by;
            spreads[k].squares[at] += (float)(moved * moved / CHANGES);
        }
    }
}

static void keep_results(const Sense *s, const Spread *spreads)
{
    for (size_t k = 0; k < s->count; k++)
        for (int64_t at = 0, n = spreads[k].up ? elements_of(&s->wanted[k]) : 0; at < n; at++)
            spreads[k].up[at] = (float)value_at_element(&s->results[k], at);
}

static Narrow conclude(const Sense *s, const Spread *spread, size_t k)
{
    const TensorView *want = &s->wanted[k];
    bool wide = want->dtype == DTYPE_F64 && !s->cost->single;
    double last = 2 * epsilon_of(want->dtype), noise = noise_of(s->cost, want->dtype), sum = 0;
    double relative = 16 * epsilon_of(wide ? DTYPE_F64 : DTYPE_F32);
    int64_t n = elements_of(want);
    bool narrow = dtype_info[want->dtype].bits <= 16 && n > 0,
         *firm = narrow ? arena_array(s->arena, bool, (size_t)n) : NULL;
    for (int64_t at = 0; at < n; at++) {
        double x = fabs(value_at_element(want, at)), down = value_at_element(&s->results[k], at),
               spans = fabs(spread->up[at] - down), change_of = sqrt((double)spread->squares[at]);
        double allowed = relative * x + ROUNDED * spans + noise * (change_of + x),
               most = s->general[k].relative * x + s->general[k].absolute;
        if (isfinite(x) && isfinite(allowed)) sum += fmin(allowed, most);
        if (narrow) firm[at] = spans == 0 && fabs(down) == x;
        allowed += last * x;
        // fmin takes the number where the other is none: data on which an experiment overflows.
        spread->up[at] = isfinite(x) ? (float)fmin(allowed, most) : 0;
    }
    return narrow ? (Narrow){sum / (double)n, firm} : (Narrow){0};
}

// Equal results may be one that is written to many places: it counts once.
static void count_distinct(double x, double *seen, size_t *distinct)
{
    size_t k = 0;
    while (k < *distinct && seen[k] != x) k++;
    if (k == *distinct && *distinct < FEW) seen[(*distinct)++] = x;
}

double sense_narrow_ratio(const TensorView *got, const TensorView *want, Narrow narrow)
{
    static const double CHANCES = 4; // standard deviations
    double error = 0, size = 0, seen[FEW], seen_firm[FEW];
    int64_t n = elements_of(want);
    size_t distinct = 0, distinct_firm = 0;
    for (int64_t at = 0; at < n; at++) {
        double x = value_at_element(want, at), y = value_at_element(got, at);
        if (!isfinite(x) || !isfinite(y)) continue;
        size += fabs(x);
        if (x == y) continue;
        error += fabs(x - y);
        count_distinct(x, seen, &distinct);
        if (narrow.firm[at]) count_distinct(x, seen_firm, &distinct_firm);
    }
    double firm = distinct_firm > 1 ? (double)distinct_firm / FIRM_FEW : 0;
    if (distinct < FEW) return firm;
    double last = epsilon_of(want->dtype) * size; // both are sums here, over all elements
    double most = narrow.mean * (double)n;
    return fmax(firm, error / (most + CHANCES * sqrt(most * last / (double)n)));
}

void sense_find(const Sense *s, const float **allowed, Narrow *narrow)
{
    Spread *spreads = arena_array(s->arena, Spread, s->count + 1);
    double by = little(s);
    bool any = false, ok = true;
    for (size_t k = 0; k < s->count; k++) {
        if (!is_sensed(s, k)) continue;
        size_t n = (size_t)elements_of(&s->wanted[k]);
        spreads[k] =
            (Spread){arena_array(s->arena, float, n + 1), arena_array(s->arena, float, n + 1)};
        any = true;
    }
    for (uint64_t n = 1; any && ok && n <= CHANGES; n++) {
        restore(s);
        change(s, by, n);
        ok = run(s);
        if (ok) add_squares(s, spreads, by);
    }
    if (any && ok) ok = run_rounding(s, FE_UPWARD);
    if (any && ok) keep_results(s, spreads);
    if (any && ok) ok = run_rounding(s, FE_DOWNWARD);
    for (size_t k = 0; any && ok && k < s->count; k++) {
        if (!spreads[k].up) continue;
        narrow[k] = conclude(s, &spreads[k], k);
        allowed[k] = spreads[k].up;
    }
    restore(s);
}
