// The interpreter on small programs in Tile IR text: each test says what it shows.
#include "backends/interp/interp.h"

#include <check.h>
#include <math.h>
#include <stdlib.h>

enum { MEMS = 8 };

// One program and what it is run on.
typedef struct Run {
    Arena arena;
    Func *f;
    Config *config;
    int64_t dims[4];
    uint64_t args[4];
    void *mems[MEMS];
    int64_t strides[MEMS * RANK_MAX];
    Trap trap;
    InterpResult result;
    double seconds_max, first_seconds;
} Run;

static Run *run_new(const char *text)
{
    Run *run = calloc(1, sizeof *run);
    arena_init(&run->arena, NULL);
    DiagList diags = {.arena = &run->arena};
    run->f = func_parse(&run->arena, str_of(text), &diags, 0);
    ck_assert_msg(run->f != NULL, "%s", diags.diags.count ? diags.diags.data[0]->message.data : "");
    bool ok = func_verify(run->f, &diags);
    ck_assert_msg(ok, "%s", diags.diags.count ? diags.diags.data[0]->message.data : "");
    run->config = config_new(&run->arena);
    return run;
}

static void run_free(Run *run)
{
    arena_free(&run->arena);
    free(run);
}

// The tensor number `mem` (from 1) lies compactly at `data`; sizes up to the first 0.
static void run_tensor(Run *run, unsigned mem, void *data, int64_t d0, int64_t d1, int64_t d2)
{
    int64_t sizes[3] = {d0, d1, d2}, stride = 1;
    run->mems[mem] = data;
    for (unsigned p = mem_at(run->f, (Mem){mem})->rank; p-- > 0;) {
        run->strides[mem * RANK_MAX + p] = stride;
        stride *= sizes[p];
    }
}

static bool run_do(Run *run)
{
    Frame frame = {run->mems, run->dims, run->strides, run->args, &run->trap, NULL};
    InterpOptions options = {.config = run->config,
                             .seconds_max = run->seconds_max,
                             .sample_seed = 1,
                             .first_seconds = run->first_seconds};
    return interp_run(&run->arena, run->f, &frame, &options, &run->result);
}

static float *randoms(size_t count)
{
    static const uint32_t factor = 2654435761u;
    float *x = malloc(count * sizeof *x + 1);
    for (size_t i = 0; i < count; i++) {
        x[i] = (float)((uint32_t)(i + 7) * factor >> 8) / (float)(1 << 23) - 1;
    }
    return x;
}

static const char softmax_text[] = "hako tile @softmax \"softmax.hk\"\n"
                                   "mem x: f32[2] in\n"
                                   "mem y: f32[2] out\n"
                                   "dim N = x[0]\n"
                                   "dim M = x[1]\n"
                                   "axis m: grid\n"
                                   "axis n: whole\n"
                                   "{\n"
                                   "  %0 = const 0x0 : i64\n"
                                   "  %1 = dim N : i64\n"
                                   "  %2 = dim M : i64\n"
                                   "  tensor x(%1, %2)\n"
                                   "  tensor y(%1, %2)\n"
                                   "  phase grid {\n"
                                   "    grid m (%0, %1) {\n"
                                   "      axis n (%0, %2)\n"
                                   "      %3 = index m : i64{m}\n"
                                   "      %4 = index n : i64{n}\n"
                                   "      %5 = tload x(%3, %4) : f32{m,n}\n"
                                   "      %6 = reduce.max[n] (%5) : f32{m}\n"
                                   "      %7 = sub (%5, %6) : f32{m,n}\n"
                                   "      %8 = exp (%7) : f32{m,n}\n"
                                   "      %9 = reduce.sum[n] (%8) : f32{m}\n"
                                   "      %10 = div (%8, %9) : f32{m,n}\n"
                                   "      tstore y(%10, %3, %4)\n"
                                   "    }\n"
                                   "  }\n"
                                   "}\n";

static void softmax_case(int64_t n, int64_t m, int64_t tile)
{
    Run *run = run_new(softmax_text);
    size_t count = (size_t)(n * m);
    float *x = randoms(count), *y = calloc(count + 1, sizeof *y);
    run->dims[0] = n;
    run->dims[1] = m;
    config_set(run->config, STR("tile_m"), tile);
    run_tensor(run, 1, x, n, m, 0);
    run_tensor(run, 2, y, n, m, 0);
    ck_assert(run_do(run));
    for (int64_t i = 0; i < n; i++) {
        double sum = 0;
        for (int64_t k = 0; k < m; k++) sum += exp(x[i * m + k]);
        for (int64_t k = 0; k < m; k++) {
            ck_assert_double_eq_tol(y[i * m + k], exp(x[i * m + k]) / sum, 1e-6 / (double)m);
        }
    }
    free(x);
    free(y);
    run_free(run);
}

START_TEST(test_softmax)
{
    softmax_case(5, 7, 1);
    softmax_case(5, 7, 3);
    softmax_case(5, 7, 100);
    softmax_case(1, 1, 4);
    softmax_case(0, 7, 4);
    softmax_case(7, 0, 4);
}
END_TEST

// Rows too large to store are evaluated again for each use.
START_TEST(test_long_rows)
{
    softmax_case(3, 150001, 2);
    softmax_case(1, 600000, 2);
}
END_TEST

static const char matmul_text[] = "hako tile @matmul \"matmul.hk\"\n"
                                  "mem a: f32[2] in\n"
                                  "mem b: f32[2] in\n"
                                  "mem c: f32[2] out\n"
                                  "dim M = a[0]\n"
                                  "dim N = b[1]\n"
                                  "dim K = a[1]\n"
                                  "axis m: grid\n"
                                  "axis n: grid\n"
                                  "axis k: whole\n"
                                  "{\n"
                                  "  %0 = const 0x0 : i64\n"
                                  "  %1 = dim M : i64\n"
                                  "  %2 = dim N : i64\n"
                                  "  %3 = dim K : i64\n"
                                  "  tensor a(%1, %3)\n"
                                  "  tensor b(%3, %2)\n"
                                  "  tensor c(%1, %2)\n"
                                  "  phase grid {\n"
                                  "    grid m (%0, %1) {\n"
                                  "      grid n (%0, %2) {\n"
                                  "        axis k (%0, %3)\n"
                                  "        %4 = index m : i64{m}\n"
                                  "        %5 = index n : i64{n}\n"
                                  "        %6 = index k : i64{k}\n"
                                  "        %7 = tload a(%4, %6) : f32{m,k}\n"
                                  "        %8 = tload b(%6, %5) : f32{n,k}\n"
                                  "        %9 = mul (%7, %8) : f32{m,n,k}\n"
                                  "        %10 = reduce.sum[k] (%9) : f32{m,n}\n"
                                  "        tstore c(%10, %4, %5)\n"
                                  "      }\n"
                                  "    }\n"
                                  "  }\n"
                                  "}\n";

static void matmul_check(const Run *run, const float *a, const float *b, const float *c, int64_t m,
                         int64_t n, int64_t k)
{
    for (int64_t i = 0; i < m * n; i++) {
        double sum = 0;
        for (int64_t l = 0; l < k; l++) {
            sum += (double)(a[i / n * k + l] * b[l * n + i % n]);
        }
        bool done = !run->result.written || run->result.written[3][i];
        ck_assert_double_eq_tol(c[i], done ? sum : 0, 1e-5 * sqrt((double)k + 1));
    }
}

static void matmul_case(int64_t m, int64_t n, int64_t k, int64_t tile, double seconds_max)
{
    Run *run = run_new(matmul_text);
    float *a = randoms((size_t)(m * k)), *b = randoms((size_t)(k * n));
    float *c = calloc((size_t)(m * n + 1), sizeof *c);
    memcpy(run->dims, (int64_t[]){m, n, k}, 3 * sizeof *run->dims);
    config_set(run->config, STR("tile_m"), tile);
    config_set(run->config, STR("tile_n"), tile + 2);
    run->seconds_max = seconds_max;
    run_tensor(run, 1, a, m, k, 0);
    run_tensor(run, 2, b, k, n, 0);
    run_tensor(run, 3, c, m, n, 0);
    ck_assert(run_do(run));
    int64_t tiles = ((m + tile - 1) / tile) * ((n + tile + 1) / (tile + 2));
    ck_assert_int_eq(run->result.tiles_total, tiles);
    matmul_check(run, a, b, c, m, n, k);
    free(a);
    free(b);
    free(c);
    run_free(run);
}

START_TEST(test_matmul)
{
    matmul_case(33, 17, 41, 8, 0);
    matmul_case(33, 17, 41, 64, 0);
    matmul_case(1, 1, 1, 3, 0);
    matmul_case(3, 2, 0, 2, 0);
    matmul_case(64, 64, 1500, 40, 0); // the product of a tile would be too large to store
}
END_TEST

// With no time at all one tile runs, and the marks say which elements it gave.
START_TEST(test_sample)
{
    matmul_case(33, 17, 41, 8, 1e-9);
    matmul_case(33, 17, 41, 8, 100); // with enough time all of them do
}
END_TEST

// sum[n in 0 .. m + 1](x[n]) in a loop over tiles of n: the hull of the bounds, and a mask.
static const char triangle_text[] = "hako tile @triangle \"\"\n"
                                    "mem x: i32[1] in\n"
                                    "mem y: i32[1] out\n"
                                    "dim N = x[0]\n"
                                    "axis m: grid\n"
                                    "axis n: loop\n"
                                    "{\n"
                                    "  %0 = const 0x0 : i64\n"
                                    "  %1 = const 0x1 : i64\n"
                                    "  %2 = dim N : i64\n"
                                    "  %3 = const 0x0 : i32\n"
                                    "  tensor x(%2)\n"
                                    "  tensor y(%2)\n"
                                    "  phase grid {\n"
                                    "    grid m (%0, %2) {\n"
                                    "      %4 = index m : i64{m}\n"
                                    "      %5 = add (%4, %1) : i64{m}\n"
                                    "      %6 = reduce.max[m] (%5) : i64\n"
                                    "      %7 = loop n (%0, %6, %0, %3) : i32{m} { (%8: i32{m})\n"
                                    "        %9 = index n : i64{n}\n"
                                    "        %10 = lt (%9, %5) : bool{m,n}\n"
                                    "        %11 = tload x(%9) : i32{n}\n"
                                    "        %12 = reduce.sum[n] (%11, mask %10) : i32{m}\n"
                                    "        %13 = add (%8, %12) : i32{m}\n"
                                    "        yield (%13)\n"
                                    "      }\n"
                                    "      tstore y(%7, %4)\n"
                                    "    }\n"
                                    "  }\n"
                                    "}\n";

static void triangle_case(int64_t n, int64_t tile_m, int64_t tile_n)
{
    Run *run = run_new(triangle_text);
    int32_t x[50], y[50], sum = 0;
    for (int32_t i = 0; i < 50; i++) {
        x[i] = i * 1000003;
    }
    run->dims[0] = n;
    config_set(run->config, STR("tile_m"), tile_m);
    config_set(run->config, STR("tile_n"), tile_n);
    run_tensor(run, 1, x, n, 0, 0);
    run_tensor(run, 2, y, n, 0, 0);
    ck_assert(run_do(run));
    for (int64_t i = 0; i < n; i++) {
        sum = (int32_t)((uint32_t)sum + (uint32_t)x[i]);
        ck_assert_int_eq(y[i], sum);
    }
    run_free(run);
}

START_TEST(test_triangle)
{
    triangle_case(50, 7, 3);
    triangle_case(50, 3, 7);
    triangle_case(49, 64, 64);
    triangle_case(1, 1, 1);
    triangle_case(0, 1, 1);
}
END_TEST

// fold into one element and into one for each residue, which a gather of the index names.
static const char fold_text[] = "hako tile @fold \"\"\n"
                                "mem x: f32[1] in\n"
                                "mem id: i32[1] in\n"
                                "mem s: f32[0] out\n"
                                "mem top: f32[1] out\n"
                                "dim N = x[0]\n"
                                "axis n: grid\n"
                                "site 0 bounds of top[0]\n"
                                "{\n"
                                "  %0 = const 0x0 : i64\n"
                                "  %1 = const 0x3 : i64\n"
                                "  %2 = dim N : i64\n"
                                "  tensor x(%2)\n"
                                "  tensor id(%2)\n"
                                "  tensor s\n"
                                "  tensor top(%1)\n"
                                "  phase grid {\n"
                                "    grid n (%0, %2) {\n"
                                "      %3 = index n : i64{n}\n"
                                "      %4 = tload x(%3) : f32{n}\n"
                                "      %5 = reduce.sum[n] (%4) : f32\n"
                                "      fold.sum s(%5)\n"
                                "      %6 = tload id(%3) : i32{n}\n"
                                "      %7 = cast (%6) : i64{n}\n"
                                "      fold.max top(%4, %7)\n"
                                "    }\n"
                                "  }\n"
                                "}\n";

static Run *fold_run(float *x, int32_t *id, float *s, float *top, int64_t n)
{
    Run *run = run_new(fold_text);
    run->dims[0] = n;
    config_set(run->config, STR("tile_n"), 7);
    run_tensor(run, 1, x, n, 0, 0);
    run_tensor(run, 2, id, n, 0, 0);
    run_tensor(run, 3, s, 0, 0, 0);
    run_tensor(run, 4, top, 3, 0, 0);
    return run;
}

START_TEST(test_fold)
{
    float x[30], s = 99, top[3] = {99, 99, 99};
    int32_t id[30];
    for (int i = 0; i < 30; i++) {
        x[i] = (float)i - 100;
        id[i] = i < 15 ? 0 : 2;
    }
    Run *run = fold_run(x, id, &s, top, 30);
    ck_assert(run_do(run));
    ck_assert_float_eq(s, 435 - 3000);
    ck_assert_float_eq(top[0], -86);
    ck_assert(isinf(top[1]) && top[1] < 0); // the identity where nothing is folded
    ck_assert_float_eq(top[2], -71);
    run_free(run);
    run = fold_run(x, id, &s, top, 0);
    ck_assert(run_do(run));
    ck_assert_float_eq(s, 0);
    run_free(run);
}
END_TEST

// A bad gathered index traps with its tensor's site, its value and the bound; the target stays as
// it was.
START_TEST(test_trap)
{
    float x[30] = {0}, s = 99, top[3] = {99, 99, 99};
    int32_t id[30] = {0};
    id[17] = 3;
    Run *run = fold_run(x, id, &s, top, 30);
    ck_assert(!run_do(run));
    ck_assert_int_eq(run->trap.state, 2);
    ck_assert_int_eq(run->trap.site, 0);
    ck_assert_int_eq(run->trap.index, 3);
    ck_assert_int_eq(run->trap.bound, 3);
    ck_assert_float_eq(top[0], 99);
    run_free(run);
}
END_TEST

static const char argmax_text[] = "hako tile @argmax \"\"\n"
                                  "mem x: f32[2] in\n"
                                  "mem hi: i64[1] out\n"
                                  "mem lo: i64[1] out\n"
                                  "dim N = x[0]\n"
                                  "dim M = x[1]\n"
                                  "axis m: grid\n"
                                  "axis n: whole\n"
                                  "{\n"
                                  "  %0 = const 0x0 : i64\n"
                                  "  %1 = dim N : i64\n"
                                  "  %2 = dim M : i64\n"
                                  "  tensor x(%1, %2)\n"
                                  "  tensor hi(%1)\n"
                                  "  tensor lo(%1)\n"
                                  "  phase grid {\n"
                                  "    grid m (%0, %1) {\n"
                                  "      axis n (%0, %2)\n"
                                  "      %3 = index m : i64{m}\n"
                                  "      %4 = index n : i64{n}\n"
                                  "      %5 = tload x(%3, %4) : f32{m,n}\n"
                                  "      %6 = reduce.argmax[n] (%5) : i64{m}\n"
                                  "      %7 = reduce.argmin[n] (%5) : i64{m}\n"
                                  "      tstore hi(%6, %3)\n"
                                  "      tstore lo(%7, %3)\n"
                                  "    }\n"
                                  "  }\n"
                                  "}\n";

START_TEST(test_argmax)
{
    float x[] = {1,   5,  2,         5,         1,         3,         NAN,      9,
                 NAN, -7, -INFINITY, -INFINITY, -INFINITY, -INFINITY, -INFINITY};
    int64_t hi[3], lo[3];
    Run *run = run_new(argmax_text);
    run->dims[0] = 3;
    run->dims[1] = 5;
    run_tensor(run, 1, x, 3, 5, 0);
    run_tensor(run, 2, hi, 3, 0, 0);
    run_tensor(run, 3, lo, 3, 0, 0);
    ck_assert(run_do(run));
    ck_assert(hi[0] == 1 && hi[1] == 1 && hi[2] == 0);
    ck_assert(lo[0] == 0 && lo[1] == 1 && lo[2] == 0);
    run->dims[1] = 0;
    ck_assert(run_do(run));
    ck_assert(hi[0] == -1 && lo[2] == -1);
    run_free(run);
}
END_TEST

// x[n] = x[N - 1 - n] in one tile: everything is read before anything is stored, even where the
// values are too many to be kept; and a scalar condition chooses between two regions.
static const char reverse_text[] = "hako tile @reverse \"\"\n"
                                   "mem x: i32[1] inout\n"
                                   "dim N = x[0]\n"
                                   "arg flip: i64\n"
                                   "axis n: whole\n"
                                   "{\n"
                                   "  %0 = const 0x0 : i64\n"
                                   "  %1 = const 0x1 : i64\n"
                                   "  %2 = dim N : i64\n"
                                   "  %3 = arg flip : i64\n"
                                   "  %4 = sub (%2, %1) : i64\n"
                                   "  tensor x(%2)\n"
                                   "  phase serial {\n"
                                   "    axis n (%0, %2)\n"
                                   "    %5 = index n : i64{n}\n"
                                   "    %6 = sub (%4, %5) : i64{n}\n"
                                   "    %7 = eq (%3, %1) : bool\n"
                                   "    %8 = if (%7) : i32{n} {\n"
                                   "      %9 = tload x(%6) : i32{n}\n"
                                   "      yield (%9)\n"
                                   "    } else {\n"
                                   "      %10 = tload x(%5) : i32{n}\n"
                                   "      yield (%10)\n"
                                   "    }\n"
                                   "    tstore x(%8, %5)\n"
                                   "  }\n"
                                   "}\n";

START_TEST(test_order)
{
    enum { N = 1000001 };
    int32_t *x = malloc(N * sizeof *x);
    for (int32_t i = 0; i < N; i++) {
        x[i] = i;
    }
    Run *run = run_new(reverse_text);
    run->dims[0] = N;
    run->args[0] = 1;
    run_tensor(run, 1, x, N, 0, 0);
    ck_assert(run_do(run));
    for (int32_t i = 0; i < N; i++) {
        ck_assert_int_eq(x[i], N - 1 - i);
    }
    run->args[0] = 0;
    ck_assert(run_do(run));
    ck_assert_int_eq(x[0], N - 1);
    run_free(run);
    free(x);
}
END_TEST

// Two phases; the second reads what the first wrote, reversed. z is stored as bf16.
static const char phases_text[] = "hako tile @phases \"\"\n"
                                  "mem x: f32[1] in\n"
                                  "mem w: f32[1] workspace\n"
                                  "mem y: f32[1] out\n"
                                  "mem z: bf16[1] out\n"
                                  "dim N = x[0]\n"
                                  "axis n: grid\n"
                                  "axis k: loop scalar\n"
                                  "axis r: loop by\n"
                                  "{\n"
                                  "  %0 = const 0x0 : i64\n"
                                  "  %1 = const 0x1 : i64\n"
                                  "  %2 = const 0x5 : i64\n"
                                  "  %3 = dim N : i64\n"
                                  "  %4 = sub (%3, %1) : i64\n"
                                  "  tensor x(%3)\n"
                                  "  tensor w(%3)\n"
                                  "  tensor y(%3)\n"
                                  "  tensor z(%3)\n"
                                  "  phase grid {\n"
                                  "    grid n (%0, %3) {\n"
                                  "      %5 = index n : i64{n}\n"
                                  "      %6 = tload x(%5) : f32{n}\n"
                                  "      %7 = add (%6, %6) : f32{n}\n"
                                  "      tstore w(%7, %5)\n"
                                  "    }\n"
                                  "  }\n"
                                  "  phase grid {\n"
                                  "    loop k (%0, %3, %1) {\n"
                                  "      %8 = index k : i64\n"
                                  "      %9 = sub (%4, %8) : i64\n"
                                  "      %10 = tload w(%9) : f32\n"
                                  "      tstore y(%10, %8)\n"
                                  "    }\n"
                                  "  }\n"
                                  "  phase grid {\n"
                                  "    %11 = loop !reverse r (%0, %3, %2, %0) : i64 { (%12: i64)\n"
                                  "      %13 = tileinfo r.id : i64\n"
                                  "      %14 = tileinfo r.size : i64\n"
                                  "      %15 = mul (%13, %14) : i64\n"
                                  "      %16 = sub (%15, %12) : i64\n"
                                  "      %17 = index r : i64{r}\n"
                                  "      %18 = cast (%16) : f32\n"
                                  "      tstore z(%18, %17)\n"
                                  "      yield (%16)\n"
                                  "    }\n"
                                  "  }\n"
                                  "}\n";

enum { PHASES_N = 13 };

static Run *phases_run(const float *x, float *w, float *y, uint16_t *z)
{
    Run *run = run_new(phases_text);
    run->dims[0] = PHASES_N;
    config_set(run->config, STR("tile_n"), 4);
    run_tensor(run, 1, (void *)(x + PHASES_N - 1), PHASES_N, 0, 0);
    run->strides[1 * RANK_MAX] = -1; // x is given backwards
    run_tensor(run, 2, w, PHASES_N, 0, 0);
    run_tensor(run, 3, y, PHASES_N, 0, 0);
    run_tensor(run, 4, z, PHASES_N, 0, 0);
    return run;
}

START_TEST(test_phases)
{
    float *x = randoms(PHASES_N), w[PHASES_N], y[PHASES_N];
    uint16_t z[PHASES_N];
    Run *run = phases_run(x, w, y, z);
    ck_assert(run_do(run));
    for (int i = 0; i < PHASES_N; i++) {
        ck_assert_float_eq(y[i], 2 * x[i]);
        // Tiles 2, 1, 0 of 3, 5, 5 elements: 6, 5 - 6, 0 - -1.
        ck_assert_uint_eq(z[i], i < 5 ? 0x3f80 : i < 10 ? 0xbf80 : 0x40c0);
    }
    run_free(run);
    free(x);
}
END_TEST

// Where the first phase is cut short, the second, which reads what it wrote, does not run; the
// third does.
START_TEST(test_phases_sampled)
{
    float *x = randoms(PHASES_N), w[PHASES_N], y[PHASES_N] = {0};
    uint16_t z[PHASES_N] = {0};
    Run *run = phases_run(x, w, y, z);
    run->seconds_max = 1e-9;
    ck_assert(run_do(run));
    ck_assert(run->result.written != NULL && run->result.tiles_run < run->result.tiles_total);
    int known = 0;
    for (int i = 0; i < PHASES_N; i++) {
        known += run->result.written[2][i];
        ck_assert_uint_eq(run->result.written[3][i], 0);
        ck_assert_uint_eq(run->result.written[4][i], 1);
        ck_assert_float_eq(y[i], 0);
        ck_assert(!run->result.written[2][i] || w[i] == 2 * x[PHASES_N - 1 - i]);
    }
    ck_assert(known == 4 || known == 1); // one tile
    run_free(run);
    free(x);
}
END_TEST

// A first tile that takes too long is given up, and then nothing is known of what it writes.
START_TEST(test_given_up)
{
    enum { N = 3, K = 200 };
    float *x = randoms(N * K), y[N] = {0};
    Run *run = run_new("hako tile @f \"f.hk\"\nmem x: f32[2] in\nmem y: f32[1] out\n"
                       "dim N = x[0]\ndim K = x[1]\naxis n: grid\naxis k: loop\n{\n"
                       "  %0 = dim N : i64\n  %1 = dim K : i64\n  tensor x (%0, %1)\n"
                       "  tensor y (%0)\n  phase grid {\n    %2 = const 0 : i64\n"
                       "    grid n (%2, %0) {\n      %3 = const 0x0 : f32\n"
                       "      %4 = loop k (%2, %1, %2, %3) : f32{n} { (%5 : f32{n})\n"
                       "        %6 = index n : i64{n}\n        %7 = index k : i64{k}\n"
                       "        %8 = tload x (%6, %7) : f32{n,k}\n"
                       "        %9 = reduce.sum[k] (%8) : f32{n}\n"
                       "        %10 = add (%5, %9) : f32{n}\n        yield (%10)\n      }\n"
                       "      %11 = index n : i64{n}\n      tstore y (%4, %11)\n    }\n  }\n}\n");
    run->dims[0] = N;
    run->dims[1] = K;
    run_tensor(run, 1, x, N, K, 0);
    run_tensor(run, 2, y, N, 0, 0);
    run->seconds_max = run->first_seconds = 1e-9;
    ck_assert(run_do(run));
    ck_assert(run->result.tiles_run == 0 && run->result.tiles_total > 0);
    ck_assert(run->result.written != NULL);
    for (int i = 0; i < N; i++) ck_assert_uint_eq(run->result.written[2][i], 0);
    run->first_seconds = 1000;
    ck_assert(run_do(run));
    ck_assert(run->result.tiles_run > 0);
    run_free(run);
    free(x);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("interp");
    TCase *all = tcase_create("all");
    tcase_set_timeout(all, 60);
    tcase_add_test(all, test_softmax);
    tcase_add_test(all, test_given_up);
    tcase_add_test(all, test_long_rows);
    tcase_add_test(all, test_matmul);
    tcase_add_test(all, test_sample);
    tcase_add_test(all, test_triangle);
    tcase_add_test(all, test_fold);
    tcase_add_test(all, test_trap);
    tcase_add_test(all, test_argmax);
    tcase_add_test(all, test_order);
    tcase_add_test(all, test_phases);
    tcase_add_test(all, test_phases_sampled);
    suite_add_tcase(suite, all);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
