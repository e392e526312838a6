// Loop IR as OpenCL C: control flow, memory, phases, traps and launches. Each program says what it
// shows. Without an OpenCL device the tests pass without having shown anything.
#include "backends/opencl/opencl_backend.h"
#include "ir/eval.h"

#include <check.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

enum { MEMS = 8 };

typedef struct Program {
    Arena arena;
    DiagList diags;
    OpenclSystem *system;
    OpenclStream *stream;
    Func *f;
    OpenclCode *code;
    void *mems[MEMS];
    int64_t bytes[MEMS], front[MEMS], dims[4], strides[MEMS * RANK_MAX];
    uint64_t args[4];
    Trap trap;
} Program;

static const Machine alone = {.group = 1}; // each work-item has units of its own

static bool has_device(void)
{
    char reason[256];
    Arena arena;
    arena_init(&arena, NULL);
    OpenclSystem *system = opencl_system_new(&arena);
    bool has = opencl_devices(system, NULL, 0, reason, sizeof reason) > 0;
    opencl_system_close(system);
    arena_free(&arena);
    return has;
}

static void show(DiagList *diags)
{
    Buf buf = {.arena = diags->arena};
    diag_render_text(&buf, diags, false);
    if (buf.length) fprintf(stderr, "%s\n", buf.data);
}

static Program *program_new(const char *text)
{
    Program *p = calloc(1, sizeof *p);
    arena_init(&p->arena, NULL);
    p->diags.arena = &p->arena;
    p->f = func_parse(&p->arena, str_of(text), &p->diags, 0);
    if (p->f) func_verify(p->f, &p->diags);
    show(&p->diags);
    ck_assert(p->f && !p->diags.error_count);
    p->system = opencl_system_new(&p->arena);
    p->code = opencl_compile(p->system, 0, p->f, &alone, NULL, NULL, &p->diags);
    show(&p->diags);
    ck_assert_ptr_nonnull(p->code);
    p->stream = opencl_stream_open(&p->arena, p->system, 0, NULL, &p->diags);
    ck_assert_ptr_nonnull(p->stream);
    return p;
}

static void program_mem(Program *p, unsigned mem, void *data, size_t bytes, size_t front)
{
    p->mems[mem] = data;
    p->bytes[mem] = (int64_t)bytes;
    p->front[mem] = (int64_t)front;
}

static void program_run(Program *p)
{
    Frame frame = {.mems = p->mems, .dims = p->dims, .strides = p->strides, .args = p->args};
    OpenclLaunch launch = {
        .loop = p->f, .frame = &frame, .bytes = p->bytes, .front = p->front, .trap = 3};
    uint32_t number = 3;
    bool ok = opencl_run(p->stream, p->code, &launch, &p->diags) &&
              opencl_stream_wait(p->stream, &p->trap, &number, &p->diags);
    show(&p->diags);
    ck_assert(ok);
    ck_assert_uint_eq(number, 3); // of the error buffer
}

static void program_free(Program *p)
{
    opencl_code_free(p->code);
    opencl_stream_close(p->stream);
    opencl_system_close(p->system);
    arena_free(&p->arena);
    free(p);
}

// Carried values are assigned at once; sums wrap; `if` gives values; the trip count depends on the
// unit.
static const char fibonacci[] =
    "hako loop @fibonacci \"t.hk\"\n"
    "mem y: i32[1] out\n"
    "{\n"
    "  %0 = const 60 : i64\n"
    "  tensor y (%0)\n"
    "  %1 = const 0 : i64\n"
    "  %2 = const 1 : i64\n"
    "  phase grid (%0) { (%3 : i64)\n"
    "    %4 = const 0 : i32\n"
    "    %5 = const 1 : i32\n"
    "    %6, %7 = for serial (%1, %3, %2, %4, %5) : i32, i32 { (%8 : i64, %9 : i32, %10 : i32)\n"
    "      %11 = add (%9, %10) : i32\n"
    "      yield (%10, %11)\n"
    "    }\n"
    "    %12 = const 50 : i64\n"
    "    %13 = lt (%12, %3) : bool\n"
    "    %14 = if (%13) : i32 {\n"
    "      %15 = neg (%6) : i32\n"
    "      yield (%15)\n"
    "    } else {\n"
    "      yield (%6)\n"
    "    }\n"
    "    store y (%14, %3)\n"
    "  }\n"
    "}\n";

START_TEST(test_control)
{
    if (!has_device()) return;
    int32_t y[60];
    Program *p = program_new(fibonacci);
    program_mem(p, 1, y, sizeof y, 0);
    program_run(p);
    uint32_t a = 0, b = 1;
    for (int i = 0; i < 60; i++) {
        ck_assert_int_eq(y[i], (int32_t)(i > 50 ? 0 - a : a));
        uint32_t c = a + b;
        a = b;
        b = c;
    }
    program_free(p);
}
END_TEST

// A failed check is reported once with its index and bound, and its access does not happen.
static const char gather[] = "hako loop @gather \"t.hk\"\n"
                             "mem w: f32[1] in\n"
                             "mem ids: i32[1] in\n"
                             "mem y: f32[1] out\n"
                             "site 0 assert \"never\"\n"
                             "site 1 bounds of w[0]\n"
                             "{\n"
                             "  %0 = const 100 : i64\n"
                             "  %1 = const 10 : i64\n"
                             "  tensor w (%1)\n"
                             "  tensor ids (%0)\n"
                             "  tensor y (%0)\n"
                             "  phase grid (%0) { (%2 : i64)\n"
                             "    %3 = load ids (%2) : i32\n"
                             "    %4 = cast (%3) : i64\n"
                             "    %5 = const 0 : i64\n"
                             "    %6 = le (%5, %4) : bool\n"
                             "    %7 = lt (%4, %1) : bool\n"
                             "    %8 = and (%6, %7) : bool\n"
                             "    check #1 (%8, %4, %1)\n"
                             "    %9 = load w (%4, mask %8) : f32\n"
                             "    store y (%9, %2)\n"
                             "  }\n"
                             "}\n";

START_TEST(test_trap)
{
    if (!has_device()) return;
    float w[10], y[100];
    int32_t ids[100];
    for (int i = 0; i < 100; i++) ids[i] = i % 10;
    for (int i = 0; i < 10; i++) w[i] = (float)i * 0.5f;
    Program *p = program_new(gather);
    program_mem(p, 1, w, sizeof w, 0);
    program_mem(p, 2, ids, sizeof ids, 0);
    program_mem(p, 3, y, sizeof y, 0);
    program_run(p);
    ck_assert_int_eq(p->trap.state, 0);
    for (int i = 0; i < 100; i++) ck_assert(y[i] == w[i % 10]);
    ids[77] = -7;
    program_run(p);
    ck_assert_int_eq(p->trap.state, 2);
    ck_assert_int_eq(p->trap.site, 1);
    ck_assert_int_eq(p->trap.index, -7);
    ck_assert_int_eq(p->trap.bound, 10);
    ck_assert(y[77] == 0 && y[78] == w[8]);
    program_free(p);
}
END_TEST

// Strides, dimensions and arguments are parameters; a negative stride reaches in front of element
// 0.
static const char reverse[] = "hako loop @reverse \"t.hk\"\n"
                              "mem x: f32[1] in\n"
                              "mem y: f32[1] out\n"
                              "dim N = x[0]\n"
                              "arg half: f32\n"
                              "{\n"
                              "  %0 = dim N : i64\n"
                              "  tensor x (%0)\n"
                              "  tensor y (%0)\n"
                              "  %1 = arg half : f32\n"
                              "  %2 = stride x[0] : i64\n"
                              "  phase grid (%0) { (%3 : i64)\n"
                              "    %4 = mul (%3, %2) : i64\n"
                              "    %5 = load x (%4) : f32\n"
                              "    %6 = mul (%5, %1) : f32\n"
                              "    store y (%6, %3)\n"
                              "  }\n"
                              "}\n";

static void check_reverse(Program *p, int n)
{
    float *x = calloc((size_t)n * 2 + 1, sizeof *x), *y = calloc((size_t)n + 1, sizeof *y);
    for (int i = 0; i < 2 * n; i++) x[i] = (float)i;
    float half = 0.5f;
    memcpy(&p->args[0], &half, sizeof half);
    p->dims[0] = n;
    p->strides[1 * RANK_MAX] = -2;
    program_mem(p, 1, n ? x + 2 * (n - 1) : x, n ? 4 : 0, n ? (size_t)(n - 1) * 8 : 0);
    program_mem(p, 2, y, (size_t)n * 4, 0);
    program_run(p);
    for (int i = 0; i < n; i++) ck_assert(y[i] == (float)(n - 1 - i));
    free(x);
    free(y);
}

START_TEST(test_parameters)
{
    if (!has_device()) return;
    Program *p = program_new(reverse);
    check_reverse(p, 0);
    check_reverse(p, 1);
    check_reverse(p, 64);
    check_reverse(p, 1000);
    program_free(p);
}
END_TEST

static void *run_reverse(void *program)
{
    for (int n = 1; n < 40; n += 3) {
        float x[80], y[40], half = 0.5f;
        const Program *p = program;
        for (int i = 0; i < 2 * n; i++) x[i] = (float)i;
        uint64_t args[1] = {0};
        memcpy(args, &half, sizeof half);
        int64_t dims[1] = {n}, strides[MEMS * RANK_MAX] = {0}, bytes[MEMS] = {0, 4, n * 4},
                front[MEMS] = {0, (n - 1) * 8};
        strides[1 * RANK_MAX] = -2;
        void *mems[MEMS] = {NULL, x + 2 * (n - 1), y};
        Trap trap = {0};
        uint32_t number;
        Frame frame = {.mems = mems, .dims = dims, .strides = strides, .args = args};
        OpenclLaunch launch = {.loop = p->f, .frame = &frame, .bytes = bytes, .front = front};
        Arena arena;
        arena_init(&arena, NULL);
        DiagList diags = {.arena = &arena};
        OpenclStream *stream = opencl_stream_open(&arena, p->system, 0, NULL, &diags);
        if (!stream || !opencl_run(stream, p->code, &launch, &diags) ||
            !opencl_stream_wait(stream, &trap, &number, &diags))
            return "run failed";
        opencl_stream_close(stream);
        arena_free(&arena);
        for (int i = 0; i < n; i++) {
            if (y[i] != (float)(n - 1 - i)) return "wrong result";
        }
    }
    return NULL;
}

// One program launched from several threads at once.
START_TEST(test_threads)
{
    if (!has_device()) return;
    Program *p = program_new(reverse);
    pthread_t threads[4];
    for (int i = 0; i < 4; i++) pthread_create(&threads[i], NULL, run_reverse, p);
    for (int i = 0; i < 4; i++) {
        void *complaint = NULL;
        pthread_join(threads[i], &complaint);
        ck_assert_msg(!complaint, "%s", (const char *)complaint);
    }
    program_free(p);
}
END_TEST

// Scratch: small ones are private, large ones slices of a buffer; neither is shared between units.
static const char scratch[] =
    "hako loop @scratch \"t.hk\"\n"
    "mem y: f32[1] out\n"
    "mem small: f16[1] scratch\n"
    "mem large: f32[1] scratch\n"
    "mem packed: i4[1] scratch\n"
    "{\n"
    "  %0 = const 500 : i64\n"
    "  tensor y (%0)\n"
    "  scratch small[8]\n"
    "  scratch large[5000]\n"
    "  scratch packed[33333]\n"
    "  %1 = const 0 : i64\n"
    "  %2 = const 1 : i64\n"
    "  %3 = const 100 : i64\n"
    "  %4 = const 8 : i64\n"
    "  phase grid (%0) { (%5 : i64)\n"
    "    for serial (%1, %3, %2) { (%6 : i64)\n"
    "      %7 = add (%5, %6) : i64\n"
    "      %8 = cast (%7) : f32\n"
    "      store large (%8, %6)\n"
    "      %9 = rem (%6, %4) : i64\n"
    "      %10 = cast (%8) : f16\n"
    "      store small (%10, %9)\n"
    "      %11 = cast (%7) : i32\n"
    "      %12 = cast (%11) : i4\n"
    "      store packed (%12, %6)\n"
    "      yield\n"
    "    }\n"
    "    %13 = const 0x0 : f32\n"
    "    %14 = for serial (%1, %3, %2, %13) : f32 { (%15 : i64, %16 : f32)\n"
    "      %17 = load large (%15) : f32\n"
    "      %18 = add (%16, %17) : f32\n"
    "      %19 = load packed (%15) : i4\n"
    "      %20 = cast (%19) : f32\n"
    "      %21 = add (%18, %20) : f32\n"
    "      yield (%21)\n"
    "    }\n"
    "    %22 = load small (%1) : f16\n"
    "    %23 = cast (%22) : f32\n"
    "    %24 = add (%14, %23) : f32\n"
    "    store y (%24, %5)\n"
    "  }\n"
    "}\n";

START_TEST(test_scratch)
{
    if (!has_device()) return;
    float y[500];
    Program *p = program_new(scratch);
    program_mem(p, 1, y, sizeof y, 0);
    program_run(p);
    for (int u = 0; u < 500; u++) {
        double sum = u + 96; // the last index that is a multiple of 8
        for (int i = 0; i < 100; i++) sum += u + i + (((u + i) & 15) ^ 8) - 8;
        ck_assert_msg(y[u] == (float)sum, "unit %d: %g instead of %g", u, (double)y[u], sum);
    }
    program_free(p);
}
END_TEST

// Neighbouring work-items store the two halves of each byte.
static const char packed[] = "hako loop @packed \"t.hk\"\n"
                             "mem x: i32[1] in\n"
                             "mem y: u4[1] out\n"
                             "{\n"
                             "  %0 = const 4001 : i64\n"
                             "  tensor x (%0)\n"
                             "  tensor y (%0)\n"
                             "  phase grid (%0) { (%1 : i64)\n"
                             "    %2 = load x (%1) : i32\n"
                             "    %3 = cast (%2) : u4\n"
                             "    store y (%3, %1)\n"
                             "  }\n"
                             "}\n";

START_TEST(test_packed)
{
    if (!has_device()) return;
    enum { N = 4001 };
    static int32_t x[N];
    static unsigned char y[(N + 1) / 2];
    for (int i = 0; i < N; i++) x[i] = i * 7 + i / 16;
    memset(y, 0xff, sizeof y);
    Program *p = program_new(packed);
    program_mem(p, 1, x, sizeof x, 0);
    program_mem(p, 2, y, sizeof y, 0);
    program_run(p);
    for (int i = 0; i < N; i++) ck_assert_int_eq((y[i / 2] >> (i % 2 * 4)) & 15, x[i] & 15);
    ck_assert_int_eq(y[N / 2] >> 4, 15);
    program_free(p);
}
END_TEST

// Vectors: masked and gathered lanes, reductions over lanes, scatters, bool lanes.
static const char vectors[] = "hako loop @vectors \"t.hk\"\n"
                              "mem x: f32[1] in\n"
                              "mem f: bool[1] in\n"
                              "mem y: f32[1] out\n"
                              "mem s: f32[1] out\n"
                              "mem g: bool[1] out\n"
                              "mem h: f16[1] out\n"
                              "{\n"
                              "  %0 = const 8 : i64\n"
                              "  %1 = const 61 : i64\n"
                              "  tensor x (%1)\n"
                              "  tensor f (%1)\n"
                              "  tensor y (%1)\n"
                              "  tensor s (%0)\n"
                              "  tensor g (%0)\n"
                              "  tensor h (%1)\n"
                              "  phase grid (%0) { (%2 : i64)\n"
                              "    %3 = mul (%2, %0) : i64\n"
                              "    %4 = iota : i64x8\n"
                              "    %5 = splat (%3) : i64x8\n"
                              "    %6 = add (%5, %4) : i64x8\n"
                              "    %7 = splat (%1) : i64x8\n"
                              "    %8 = lt (%6, %7) : boolx8\n"
                              "    %9 = load x (%3, mask %8) : f32x8\n"
                              "    %10 = load f (%3, mask %8) : boolx8\n"
                              "    %11 = const 60 : i64x8\n"
                              "    %12 = sub (%11, %6) : i64x8\n"
                              "    %24 = cast (%12) : i32x8\n"
                              "    %13 = gather x (%24, mask %8) : f32x8\n"
                              "    %14 = add (%9, %13) : f32x8\n"
                              "    %15 = neg (%9) : f32x8\n"
                              "    %16 = select (%10, %14, %15) : f32x8\n"
                              "    scatter y (%16, %12, mask %8)\n"
                              "    %17 = vreduce.sum (%9) : f32\n"
                              "    %18 = vreduce.max (%9) : f32\n"
                              "    %19 = add (%17, %18) : f32\n"
                              "    %20 = extract 3 (%9) : f32\n"
                              "    %21 = add (%19, %20) : f32\n"
                              "    store s (%21, %2)\n"
                              "    %22 = vreduce.any (%10) : bool\n"
                              "    store g (%22, %2)\n"
                              "    %23 = cast (%16) : f16x8\n"
                              "    store h (%23, %3, mask %8)\n"
                              "  }\n"
                              "}\n";

START_TEST(test_vectors)
{
    if (!has_device()) return;
    enum { N = 61 };
    float x[N], y[N], s[8];
    bool f[N], g[8];
    uint16_t h[N];
    for (int i = 0; i < N; i++) {
        x[i] = (float)(i * 37 % 29);
        f[i] = i % 3 == 0 && i > 16;
    }
    Program *p = program_new(vectors);
    program_mem(p, 1, x, sizeof x, 0);
    program_mem(p, 2, f, sizeof f, 0);
    program_mem(p, 3, y, sizeof y, 0);
    program_mem(p, 4, s, sizeof s, 0);
    program_mem(p, 5, g, sizeof g, 0);
    program_mem(p, 6, h, sizeof h, 0);
    program_run(p);
    for (int u = 0; u < 8; u++) {
        float sum = 0, most = -INFINITY;
        bool any = false;
        for (int i = u * 8; i < u * 8 + 8; i++) {
            float v = i < N ? x[i] : 0;
            sum += v;
            most = fmaxf(most, v);
            any |= i < N && f[i];
            if (i >= N) continue;
            float want = f[i] ? x[i] + x[N - 1 - i] : -x[i];
            ck_assert(y[N - 1 - i] == want);
            ck_assert(storage_decode(DTYPE_F16, h[i]) == (double)want);
        }
        ck_assert(s[u] == sum + most + x[u * 8 + 3]);
        ck_assert_int_eq(g[u], any);
    }
    program_free(p);
}
END_TEST

// Phases run in order and hand a workspace on; a serial phase is one work-item.
static const char phases[] = "hako loop @phases \"t.hk\"\n"
                             "mem x: i64[1] in\n"
                             "mem y: i64[1] inout\n"
                             "mem w: i64[1] workspace = 0x0\n"
                             "{\n"
                             "  %0 = const 100 : i64\n"
                             "  %1 = const 1 : i64\n"
                             "  tensor x (%0)\n"
                             "  tensor y (%1)\n"
                             "  tensor w (%0)\n"
                             "  phase grid (%0) { (%2 : i64)\n"
                             "    %3 = load x (%2) : i64\n"
                             "    %4 = mul (%3, %3) : i64\n"
                             "    store w (%4, %2)\n"
                             "  }\n"
                             "  phase serial (%0) { (%5 : i64)\n"
                             "    %6 = load w (%5) : i64\n"
                             "    %7 = const 0 : i64\n"
                             "    %8 = load y (%7) : i64\n"
                             "    %9 = add (%6, %8) : i64\n"
                             "    store y (%9, %7)\n"
                             "  }\n"
                             "}\n";

START_TEST(test_phases)
{
    if (!has_device()) return;
    int64_t x[100], y[1] = {5}, w[100], want = 5;
    for (int i = 0; i < 100; i++) {
        x[i] = i * (int64_t)123456789 - 777;
        want = (int64_t)((uint64_t)want + (uint64_t)x[i] * (uint64_t)x[i]);
    }
    Program *p = program_new(phases);
    program_mem(p, 1, x, sizeof x, 0);
    program_mem(p, 2, y, sizeof y, 0);
    program_mem(p, 3, w, sizeof w, 0);
    program_run(p);
    ck_assert_int_eq(y[0], want);
    program_free(p);
}
END_TEST

// What cannot be emitted is named; no device with that number is an error.
START_TEST(test_refusals)
{
    if (!has_device()) return;
    Program *p = program_new(fibonacci);
    ck_assert_ptr_null(opencl_compile(p->system, 9999, p->f, &alone, NULL, NULL, &p->diags));
    ck_assert_int_eq(p->diags.diags.data[0]->code, DIAG_DEVICE);
    static const char odd[] =
        "hako loop @odd \"t.hk\"\nmem y: f32[1] out\n{\n  %0 = const 6 : i64\n  tensor y (%0)\n"
        "  phase grid (%0) { (%1 : i64)\n    %2 = const 0x0 : f32x6\n    store y (%2, %1)\n  "
        "}\n}\n";
    Func *f = func_parse(&p->arena, str_of(odd), &p->diags, 0);
    ck_assert_ptr_nonnull(f);
    ck_assert_ptr_null(opencl_compile(p->system, 0, f, &alone, NULL, NULL, &p->diags));
    ck_assert_int_eq(p->diags.diags.data[1]->code, DIAG_NOT_SUPPORTED);
    program_free(p);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("opencl_loop");
    TCase *all = tcase_create("all");
    tcase_set_timeout(all, 300);
    tcase_add_test(all, test_control);
    tcase_add_test(all, test_trap);
    tcase_add_test(all, test_parameters);
    tcase_add_test(all, test_scratch);
    tcase_add_test(all, test_packed);
    tcase_add_test(all, test_phases);
    tcase_add_test(all, test_refusals);
    suite_add_tcase(suite, all);
    TCase *rest = tcase_create("rest"); // apart, since Oclgrind fails on them by its own faults
    tcase_set_timeout(rest, 300);
    tcase_add_test(rest, test_vectors);
    tcase_add_test(rest, test_threads);
    suite_add_tcase(suite, rest);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
