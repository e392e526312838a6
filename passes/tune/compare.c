// Comparing times; see compare.h.
#include "passes/tune/compare.h"

#include <math.h>
#include <stdlib.h>

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

double median_of(const double *values, uint32_t count)
{
    double sorted[COMPARE_ROUNDS_MAX];
    uint32_t n = 0;
    for (uint32_t k = 0; k < count && n < COMPARE_ROUNDS_MAX; k++)
        if (isfinite(values[k])) sorted[n++] = values[k];
    if (n == 0) return INFINITY;
    qsort(sorted, n, sizeof *sorted, by_value);
    return n % 2 ? sorted[n / 2] : (sorted[n / 2 - 1] + sorted[n / 2]) / 2;
}

// Number of rounds' signed-rank sums: the normal approximation of a point of the distribution, and
// never beyond the ends, which few rounds reach.
static uint32_t rank_cut(uint32_t n, double deviations)
{
    double mean = n * (n + 1) / 4.0, deviation = sqrt(n * (n + 1) * (2.0 * n + 1) / 24);
    double cut = floor(mean - deviations * deviation);
    return cut > 0 ? (uint32_t)cut : 0;
}

Gain gain_of(const double *base, const double *other, uint32_t rounds, double deviations)
{
    double ratios[COMPARE_ROUNDS_MAX];
    double averages[COMPARE_ROUNDS_MAX * (COMPARE_ROUNDS_MAX + 1) / 2];
    uint32_t n = 0, count = 0;
    for (uint32_t k = 0; k < rounds && n < COMPARE_ROUNDS_MAX; k++)
        if (isfinite(base[k]) && isfinite(other[k]) && base[k] > 0 && other[k] > 0)
            ratios[n++] = log(base[k] / other[k]);
    if (n == 0) return (Gain){1, 0, INFINITY};
    for (uint32_t i = 0; i < n; i++)
        for (uint32_t j = i; j < n; j++) averages[count++] = (ratios[i] + ratios[j]) / 2;
    qsort(averages, count, sizeof *averages, by_value);
    double middle =
        count % 2 ? averages[count / 2] : (averages[count / 2 - 1] + averages[count / 2]) / 2;
    if (n < COMPARE_ROUNDS_LEAST) return (Gain){exp(middle), 0, INFINITY};
    uint32_t cut = rank_cut(n, deviations);
    return (Gain){exp(middle), exp(averages[cut]), exp(averages[count - 1 - cut])};
}
