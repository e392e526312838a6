// Whether one way is faster than another, from times that were taken in turns on a noisy machine.
#ifndef HK_PASSES_TUNE_COMPARE_H
#define HK_PASSES_TUNE_COMPARE_H

#include <stdint.h>

typedef struct Gain {
    double ratio;     // how many times as fast as the base, at a guess
    double low, high; // an interval
} Gain;

enum { COMPARE_ROUNDS_MAX = 128, COMPARE_ROUNDS_LEAST = 11 };
// Half of an interval's width in standard deviations of the normal distribution: 99 % for two dozen
// comparisons together, and 90 % for one.
#define COMPARE_SURE   3.5
#define COMPARE_LIKELY 1.645

// base[k] and other[k] were measured in the same round. The guess is the median of all means of two
// rounds' logarithms of ratios, the interval that of the signed-rank test (Hodges, Lehmann 1963).
// Rounds in which one failed are infinite and do not count. Fewer than the least: 0 .. infinity.
Gain gain_of(const double *base, const double *other, uint32_t rounds, double deviations);
double median_of(const double *values, uint32_t count); // of the finite ones; INFINITY without

#endif
