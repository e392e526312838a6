// Whether one way is faster than another, from times that were taken in turns on a noisy machine.
#ifndef HK_PASSES_TUNE_COMPARE_H
#define HK_PASSES_TUNE_COMPARE_H

#include <stdint.h>

typedef struct Gain {
    double ratio;     // how many times as fast as the base, at a guess
    double low, high; // with 99 % confidence, were the rounds independent
} Gain;

enum { COMPARE_ROUNDS_MAX = 256 };

// base[k] and other[k] were measured in the same round. The guess is the median of all means of two
// rounds' logarithms of ratios, the interval that of the signed-rank test (Hodges, Lehmann 1963).
// Rounds in which one failed are infinite and do not count. Without a round: 0 .. infinity.
Gain gain_of(const double *base, const double *other, uint32_t rounds);
double median_of(const double *values, uint32_t count); // of the finite ones; INFINITY without

#endif
