// The model of time on loops whose work and bytes are known.
#include <check.h>
#include <stdlib.h>

#include "backends/opencl/opencl_backend.h"
#include "passes/tune/model.h"
#include "tests/unit/suite.h"

static Arena arena;
static const double VECTORS = 1e9; // multiply-adds a second
static const Machine machine = {.vector_bytes = 64,
                                .vector_registers = 32,
                                .l1_bytes = 32 << 10,
                                .l2_bytes = 1 << 20,
                                .l3_bytes = 8 << 20,
                                .cores = 4,
                                .fma_rate = 1e9,
                                .l1_rate = 64e9,
                                .l2_rate = 32e9,
                                .l3_rate = 16e9,
                                .memory_rate = 8e9,
                                .launch_seconds = 1e-6};

static void set_up(void)
{
    arena_init(&arena, NULL);
}

static void tear_down(void)
{
    arena_free(&arena);
}

static Estimate estimate(const char *text, uint32_t threads)
{
    DiagList diags = {.arena = &arena};
    Func *f = func_parse(&arena, str_of(text), &diags, 0);
    ck_assert_msg(f != NULL, "%s", diags.diags.count ? diags.diags.data[0]->message.data : text);
    ck_assert(func_verify(f, &diags));
    return model_estimate(&arena, f, &machine, threads);
}

// Eight units of 1000 turns with four chains of multiply-adds.
START_TEST(arithmetic_is_trips_times_work)
{
    const char *text =
        "hako loop @f \"\"\nmem y: f32[1] out\n{\n  %0 = const 64 : i64\n  tensor y (%0)\n"
        "  %1 = const 0 : i64\n  %2 = const 1 : i64\n  %3 = const 1000 : i64\n"
        "  %5 = const 8 : i64\n  phase grid (%5) { (%7 : i64)\n"
        "    %4 = const 0x0 : f32x16\n    %6 = const 0x3f800000 : f32x16\n"
        "    %8, %9, %10, %11 = for serial (%1, %3, %2, %4, %4, %4, %4) : f32x16, f32x16, f32x16, "
        "f32x16 { (%12 : i64, %13 : f32x16, %14 : f32x16, %15 : f32x16, %16 : f32x16)\n"
        "      %17 = fma (%6, %6, %13) : f32x16\n      %18 = fma (%6, %6, %14) : f32x16\n"
        "      %19 = fma (%6, %6, %15) : f32x16\n      %20 = fma (%6, %6, %16) : f32x16\n"
        "      yield (%17, %18, %19, %20)\n    }\n"
        "    store y (%8, %1)\n  }\n}\n";
    Estimate one = estimate(text, 1), two = estimate(text, 2), three = estimate(text, 3);
    ck_assert_double_eq_tol(one.terms[MODEL_ARITHMETIC], 8 * 4000 / VECTORS, 1e-9);
    ck_assert_double_eq_tol(two.terms[MODEL_ARITHMETIC], 4 * 4000 / VECTORS, 1e-9);
    // Four chains do not hide how long a multiply-add takes.
    ck_assert_double_ge(one.terms[MODEL_LATENCY], 8 * 8000 / VECTORS);
    ck_assert_int_eq(model_bound(&one), MODEL_LATENCY);
    // Of three threads one has two units while the others have three.
    ck_assert_double_gt(three.idle, 0);
    ck_assert_double_eq(two.idle, 0);
    ck_assert(one.exact);
}
END_TEST

// `passes` times over `bytes` bytes.
static Estimate passes_over(int64_t bytes, int passes)
{
    Buf text = {.arena = &arena};
    buf_printf(
        &text,
        "hako loop @f \"\"\nmem x: f32[1] in\nmem y: f32[1] out\n{\n"
        "  %%0 = const %lld : i64\n  tensor x (%%0)\n  tensor y (%%0)\n"
        "  %%1 = const 0 : i64\n  %%2 = const 1 : i64\n  %%3 = const %d : i64\n"
        "  %%4 = const 16 : i64\n"
        "  phase grid (%%2) { (%%6 : i64)\n    %%5 = const 0x0 : f32x16\n    for serial (%%1, %%3, "
        "%%2) { (%%7 : i64)\n"
        "      %%8 = for serial (%%1, %%0, %%4, %%5) : f32x16 { (%%9 : i64, %%10 : f32x16)\n"
        "        %%11 = load x (%%9) : f32x16\n        %%12 = add (%%10, %%11) : f32x16\n"
        "        yield (%%12)\n      }\n      store y (%%8, %%1)\n      yield\n    }\n  }\n}\n",
        (long long)bytes / 4, passes);
    return estimate(buf_view(&text).data, 1);
}

START_TEST(what_fits_a_cache_comes_once)
{
    Estimate e = passes_over(16 << 10, 10); // in L1
    ck_assert_double_lt(e.bytes[0] + e.bytes[1] + e.bytes[2], 1);
    e = passes_over(256 << 10, 10); // in L2: each pass reads it from there again
    ck_assert_double_eq_tol(e.bytes[0], 10.0 * (256 << 10), 1e4);
    ck_assert_double_lt(e.bytes[1] + e.bytes[2], 1);
    e = passes_over(4 << 20, 10); // in L3
    ck_assert_double_eq_tol(e.bytes[1], 10.0 * (4 << 20), 1e5);
    ck_assert_double_lt(e.bytes[2], 1);
    e = passes_over(64 << 20, 10);
    ck_assert_double_eq_tol(e.bytes[2], 10.0 * (64 << 20), 1e6);
    ck_assert_int_eq(model_bound(&e), MODEL_MEMORY);
}
END_TEST

// Columns of a matrix in row-major order: a line for each element, unless the tile's rows are wide.
static Estimate columns(int width)
{
    Buf text = {.arena = &arena};
    buf_printf(&text,
               "hako loop @f \"\"\nmem x: f32[2] in\nmem y: f32[1] out\n{\n"
               "  %%0 = const 4096 : i64\n  tensor x (%%0, %%0)\n  tensor y (%%0)\n"
               "  %%1 = const 0 : i64\n  %%2 = const 1 : i64\n  %%3 = const %d : i64\n"
               "  %%4 = const %d : i64\n  phase grid (%%3) { (%%5 : i64)\n"
               "    %%6 = mul (%%5, %%4) : i64\n"
               "    for serial (%%1, %%0, %%2) { (%%7 : i64)\n      %%8 = mul (%%7, %%0) : i64\n"
               "      %%9 = add (%%8, %%6) : i64\n"
               "      for serial (%%1, %%4, %%2) { (%%10 : i64)\n"
               "        %%11 = add (%%9, %%10) : i64\n        %%12 = load x (%%11) : f32\n"
               "        store y (%%12, %%10)\n        yield\n      }\n      yield\n    }\n  }\n}\n",
               4096 / width, width);
    return estimate(buf_view(&text).data, 1);
}

START_TEST(lines_are_read_whole)
{
    double all = 4.0 * 4096 * 4096;
    ck_assert_double_eq_tol(columns(64).bytes[2], all, all / 50);
    ck_assert_double_eq_tol(columns(1).bytes[0], 16 * all, all);
}
END_TEST

// The index of a unit taken apart: two rows of tiles read the same columns.
START_TEST(units_have_digits)
{
    const char *text =
        "hako loop @f \"\"\nmem x: f32[1] in\nmem y: f32[1] out\n{\n"
        "  %0 = const 8388608 : i64\n  tensor x (%0)\n  tensor y (%0)\n  %1 = const 0 : i64\n"
        "  %2 = const 4 : i64\n  %3 = const 8 : i64\n  %4 = const 2097152 : i64\n"
        "  %5 = const 16 : i64\n  phase grid (%3) { (%6 : i64)\n"
        "    %7 = rem (%6, %2) : i64\n    %8 = div (%6, %2) : i64\n"
        "    %9 = mul (%7, %4) : i64\n    for serial (%1, %4, %5) { (%10 : i64)\n"
        "      %11 = add (%9, %10) : i64\n      %12 = load x (%11) : f32x16\n"
        "      store y (%12, %8)\n      yield\n    }\n  }\n}\n";
    Estimate e = estimate(text, 1);
    ck_assert_double_eq_tol(e.bytes[2], 2 * 4.0 * 8388608, 1e6);
    ck_assert_double_eq(e.units, 8);
}
END_TEST

START_TEST(sequences_have_their_mean_length)
{
    const char *text =
        "hako loop @f \"\"\nmem off: i64[1] in\nmem y: f32[1] out\n{\n"
        "  %0 = const 101 : i64\n  %1 = const 5000 : i64\n  tensor off (%0)\n  tensor y (%1)\n"
        "  refine off partition (%1)\n  %2 = const 100 : i64\n  %3 = const 1 : i64\n"
        "  phase grid (%2) { (%5 : i64)\n    %4 = const 0x3f800000 : f32x16\n    %6 = load off "
        "(%5) : i64\n    %7 = add (%5, %3) : i64\n    %8 = load off (%7) : i64\n"
        "    for serial (%6, %8, %3) { (%9 : i64)\n      %10 = mul (%4, %4) : f32x16\n"
        "      store y (%10, %9)\n      yield\n    }\n  }\n}\n";
    Estimate e = estimate(text, 1);
    ck_assert_double_eq_tol(e.terms[MODEL_ARITHMETIC], 5000 / VECTORS, 1e-9);
    ck_assert(!e.exact);
}
END_TEST

// 128 units of 6400 elements that groups share.
static const char shared_units[] =
    "hako loop @f \"\"\nmem x: f32[1] in\nmem y: f32[1] out\n{\n"
    "  %0 = const 819200 : i64\n  tensor x (%0)\n  tensor y (%0)\n  %1 = const 0 : i64\n"
    "  %2 = const 1 : i64\n  %3 = const 128 : i64\n  %4 = const 6400 : i64\n"
    "  phase grid (%3) { (%5 : i64)\n    %6 = mul (%5, %4) : i64\n"
    "    for grid (%1, %4, %2) { (%7 : i64)\n      %8 = add (%6, %7) : i64\n"
    "      %9 = load x (%8) : f32\n      %10 = fma (%9, %9, %9) : f32\n"
    "      %11 = fma (%10, %9, %9) : f32\n      %12 = fma (%11, %9, %9) : f32\n"
    "      %13 = fma (%12, %9, %9) : f32\n      store y (%13, %8)\n      yield\n    }\n  }\n}\n";

static Estimate estimate_groups(const char *text, uint32_t group, double units)
{
    DiagList diags = {.arena = &arena};
    Func *f = func_parse(&arena, str_of(text), &diags, 0);
    const Machine gpu = {
        .vector_bytes = 16, .group = group, .is_gpu_style = true, .local_bytes = 32 << 10};
    const GroupDevice device = {.units = units,
                                .clock = 1e9,
                                .lanes = 128,
                                .items = 1024,
                                .groups = 16,
                                .registers = 65536,
                                .local_bytes = 64 << 10,
                                .l2_bytes = 1 << 20,
                                .l2_rate = 1e12,
                                .memory_rate = 1e11,
                                .local_rate = 1e11,
                                .memory_cycles = 500,
                                .local_cycles = 30,
                                .barrier_cycles = 40};
    GroupPlan plan;
    ck_assert(f && func_verify(f, &diags));
    ck_assert(opencl_group_plan(&arena, f, &gpu, &plan));
    return model_groups(&arena, f, &gpu, &device, &plan);
}

// Two units to each compute unit: 25 rounds of four multiply-adds by 256 work-items each.
START_TEST(groups_share_units)
{
    Estimate e = estimate_groups(shared_units, 256, 64);
    ck_assert_double_eq_tol(e.terms[MODEL_ARITHMETIC], 2 * 25 * 4 * 256 / 128 / 1e9, 1e-12);
    ck_assert_double_eq_tol(e.bytes[2], 2 * 4 * 819200, 4 * 8192);
    ck_assert_double_eq_tol(e.terms[MODEL_MEMORY], e.bytes[2] / 1e11, 1e-9);
    ck_assert_int_eq(model_bound(&e), MODEL_MEMORY);
    ck_assert_int_eq(e.group, 256);
    ck_assert_double_eq(e.resident, 2); // there are no more
    ck_assert(e.exact);
}
END_TEST

// What waits for memory is hidden by other groups, as many as there is room for. 96 compute units
// have 128 units no sooner than 64 have.
START_TEST(groups_hide_what_each_waits_for)
{
    Estimate many = estimate_groups(shared_units, 256, 8),
             few = estimate_groups(shared_units, 1024, 8);
    ck_assert_double_eq(many.resident, 4);
    ck_assert_str_eq(many.resident_by, "work-items of a compute unit");
    ck_assert_double_eq(few.resident, 1);
    // 7 rounds for 6400 elements by 1024, 25 by 256.
    ck_assert_double_gt(few.terms[MODEL_LATENCY], 7 * 500 * 16 / 1e9);
    ck_assert_double_gt(many.terms[MODEL_LATENCY], 25 * 500 * 16 / 4 / 1e9);
    ck_assert_double_lt(many.terms[MODEL_LATENCY], few.terms[MODEL_LATENCY]);
    Estimate odd = estimate_groups(shared_units, 256, 96),
             even = estimate_groups(shared_units, 256, 64);
    ck_assert_double_eq(odd.terms[MODEL_ARITHMETIC], even.terms[MODEL_ARITHMETIC]);
    ck_assert_double_gt(odd.idle, 0);
    ck_assert_double_eq(even.idle, 0);
}
END_TEST

int main(void)
{
    TCase *tests = tcase_create("model");
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_test(tests, arithmetic_is_trips_times_work);
    tcase_add_test(tests, what_fits_a_cache_comes_once);
    tcase_add_test(tests, lines_are_read_whole);
    tcase_add_test(tests, units_have_digits);
    tcase_add_test(tests, sequences_have_their_mean_length);
    tcase_add_test(tests, groups_share_units);
    tcase_add_test(tests, groups_hide_what_each_waits_for);
    return run_cases("model", tests);
}
