// Promises on the values of integer tensors: lines that are looked at all at once, and the element
// that fails wherever it stands.
#include "runtime/scan.h"
#include "tests/unit/suite.h"

enum { COUNT = 600 }; // two blocks and a rest

static TensorView line_of(DType dtype, void *data, int64_t count, int64_t stride)
{
    TensorView v = {.given = true, .dtype = dtype, .rank = 1, .data = data};
    v.shape[0] = count;
    v.strides[0] = stride;
    return v;
}

static bool holds(const TensorView *v, Refine kind, int64_t low, int64_t high, int64_t *position)
{
    char text[SCAN_TEXT_MOST], hint[SCAN_TEXT_MOST];
    Scan scan = {.view = v, .kind = kind, .low = low, .high = high};
    bool ok = scan_run(&scan, "x", text, hint);
    *position = scan.position;
    return ok;
}

START_TEST(ranges_are_checked_to_the_element)
{
    static int64_t wide[COUNT];
    static int32_t narrow[COUNT];
    int64_t at;
    for (int k = 0; k < COUNT; k++) wide[k] = narrow[k] = k % 7;
    for (int k = 0; k < COUNT; k += 37) {
        TensorView a = line_of(DTYPE_I64, wide, COUNT, 1), b = line_of(DTYPE_I32, narrow, COUNT, 1);
        TensorView c = line_of(DTYPE_I32, narrow, COUNT / 2, 2);
        ck_assert(holds(&a, REFINE_RANGE, 0, 7, &at) && at == COUNT);
        ck_assert(holds(&b, REFINE_RANGE, -((int64_t)1 << 40), (int64_t)1 << 40, &at));
        ck_assert(holds(&c, REFINE_RANGE, 0, 7, &at) && at == COUNT / 2);
        ck_assert(!holds(&b, REFINE_RANGE, (int64_t)1 << 40, (int64_t)1 << 41, &at) && at == 0);
        ck_assert(!holds(&b, REFINE_RANGE, 3, 3, &at) && at == 0);
        int64_t was = wide[k];
        wide[k] = narrow[k] = k % 2 ? 7 : -1;
        ck_assert(!holds(&a, REFINE_RANGE, 0, 7, &at) && at == k);
        ck_assert(!holds(&b, REFINE_RANGE, 0, 7, &at) && at == k);
        if (k % 2 == 0) ck_assert(!holds(&c, REFINE_RANGE, 0, 7, &at) && at == k / 2);
        wide[k] = narrow[k] = (int32_t)was;
    }
}
END_TEST

START_TEST(partitions_are_checked_to_the_element)
{
    static int64_t wide[COUNT];
    static int32_t narrow[COUNT];
    int64_t at;
    for (int k = 0; k < COUNT; k++) wide[k] = narrow[k] = k / 2 * 3;
    int64_t end = wide[COUNT - 1];
    TensorView a = line_of(DTYPE_I64, wide, COUNT, 1), b = line_of(DTYPE_I32, narrow, COUNT, 1);
    ck_assert(holds(&a, REFINE_PARTITION, 0, end, &at) && at == COUNT);
    ck_assert(holds(&b, REFINE_PARTITION, 0, end, &at) && at == COUNT);
    ck_assert(!holds(&a, REFINE_PARTITION, 0, end + 1, &at)); // ends too early
    ck_assert(!holds(&a, REFINE_PARTITION, 0, end - 1, &at) && at == COUNT - 2);
    for (int k = 2; k < COUNT; k += 1 + k % 5) {
        int64_t was = wide[k];
        wide[k] = narrow[k] = narrow[k - 1] - 1;
        ck_assert(!holds(&a, REFINE_PARTITION, 0, end, &at) && at == k);
        ck_assert(!holds(&b, REFINE_PARTITION, 0, end, &at) && at == k);
        wide[k] = narrow[k] = (int32_t)was;
    }
    wide[0] = narrow[0] = -1;
    ck_assert(!holds(&a, REFINE_PARTITION, 0, end, &at) && at == 0);
    ck_assert(!holds(&b, REFINE_PARTITION, 0, end, &at) && at == 0);
}
END_TEST

// A promise on a tensor of two dimensions speaks of its lines one after the other.
START_TEST(lines_follow_each_other)
{
    static int32_t x[4 * 300];
    int64_t at;
    TensorView v = {.given = true, .dtype = DTYPE_I32, .rank = 2, .data = (char *)x};
    v.shape[0] = 4, v.shape[1] = 290, v.strides[0] = 300, v.strides[1] = 1;
    for (int k = 0; k < 4 * 300; k++) x[k] = k % 300 < 290 ? k / 300 * 290 + k % 300 : -5;
    ck_assert(holds(&v, REFINE_RANGE, 0, 4 * 290, &at) && at == 4 * 290);
    ck_assert(holds(&v, REFINE_PARTITION, 0, 4 * 290 - 1, &at));
    x[2 * 300] = 3; // less than the end of the line before
    ck_assert(holds(&v, REFINE_RANGE, 0, 4 * 290, &at));
    ck_assert(!holds(&v, REFINE_PARTITION, 0, 4 * 290 - 1, &at) && at == 2 * 290);
}
END_TEST

int main(void)
{
    TCase *tests = tcase_create("scan");
    tcase_add_test(tests, ranges_are_checked_to_the_element);
    tcase_add_test(tests, partitions_are_checked_to_the_element);
    tcase_add_test(tests, lines_follow_each_other);
    return run_cases("scan", tests);
}
