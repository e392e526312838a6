// Mean errors of narrow results: chance is told from a sum that is a little off.
#include <math.h>

#include "ir/eval.h"
#include "runtime/sense.h"
// After those: it has a macro `fail`.
#include "tests/unit/suite.h"

enum { N = 8192 };
static uint16_t want_data[N], got_data[N];
static bool firm[N];

// A bf16 of either sign, its next neighbour in the one element of `every` where it is off.
static double ratio(int every, double allowed_share, bool equal)
{
    TensorView want = {.given = true, .dtype = DTYPE_BF16, .rank = 1, .shape = {N}};
    TensorView got = want;
    want.data = (void *)want_data;
    got.data = (void *)got_data;
    double mean = 0;
    uint64_t random = 1;
    for (int k = 0; k < N; k++) {
        random = random * 6364136223846793005u + 1442695040888963407u;
        double x = equal ? 3.25 : ldexp((double)(random >> 40), -22) - 2;
        storage_store(DTYPE_BF16, want.data, k, scalar_from_double(DTYPE_F32, x));
        got_data[k] = (uint16_t)(want_data[k] + (every && k % every == 0));
        mean += fabs(x) * epsilon_of(DTYPE_BF16) / N;
    }
    return sense_narrow_ratio(&got, &want, (Narrow){allowed_share * mean, firm});
}

START_TEST(more_than_chance)
{
    // Roundings on the way are a thousandth of the last bit.
    ck_assert_double_eq(ratio(0, 1e-3, false), 0);
    ck_assert_double_lt(ratio(1000, 1e-3, false), 1);
    ck_assert_double_gt(ratio(50, 1e-3, false), 1);
    ck_assert_double_gt(ratio(1, 1e-3, false), 10);
    // ... or as large as that.
    ck_assert_double_lt(ratio(1, 1, false), 1);
}
END_TEST

// One result, written to all places: one chance, not thousands.
START_TEST(one_result_everywhere)
{
    ck_assert_double_eq(ratio(1, 1e-3, true), 0);
}
END_TEST

// Elements that no rounding changes may not be another number, but for one or two.
START_TEST(firm_elements)
{
    for (int k = 0; k < N; k++) firm[k] = true;
    ck_assert_double_lt(ratio(N, 1e-3, false), 1);
    ck_assert_double_gt(ratio(1000, 1e-3, false), 1);
    for (int k = 0; k < N; k++) firm[k] = k % 1000 != 0;
    ck_assert_double_lt(ratio(1000, 1e-3, false), 1);
}
END_TEST

int main(void)
{
    TCase *tests = tcase_create("sense");
    tcase_add_test(tests, more_than_chance);
    tcase_add_test(tests, one_result_everywhere);
    tcase_add_test(tests, firm_elements);
    return run_cases("sense", tests);
}
