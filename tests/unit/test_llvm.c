// The CPU backend beyond single operations: control flow, memory, masks, reductions, traps,
// targets.
#include <math.h>
#include <pthread.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/unit/loop_kernel.h"
#include "tests/unit/suite.h"

enum { MEMS = 8 };

// A kernel in text form and what it runs on.
typedef struct Run {
    Compiled *k;
    void *mems[MEMS];
    int64_t dims[4], strides[MEMS * RANK_MAX];
    uint64_t args[8];
    Trap trap;
    void *scratch;
} Run;

static Run run_new(const char *text)
{
    Run run = {.k = calloc(1, sizeof *run.k)};
    arena_init(&run.k->arena, NULL);
    DiagList diags = {.arena = &run.k->arena};
    run.k->f = func_parse(&run.k->arena, str_of(text), &diags, 0);
    if (run.k->f) func_verify(run.k->f, &diags);
    ck_assert_msg(!diags.error_count, "%s",
                  diags.error_count ? diags.diags.data[0]->message.data : "");
    kernel_compile(run.k, NULL);
    run.scratch = aligned_alloc(64, (size_t)llvm_code_scratch_bytes(run.k->code) + 64);
    return run;
}

static void run_units(Run *run, uint32_t phase, int64_t begin, int64_t end)
{
    Frame frame = {run->mems, run->dims, run->strides, run->args, &run->trap, NULL};
    llvm_code_phase(run->k->code, phase)(&frame, begin, end, run->scratch);
}

static void run_free(Run *run)
{
    free(run->scratch);
    kernel_free(run->k);
}

// ---- control flow

START_TEST(loops_carry_and_tails_are_masked)
{
    // y[u] = sum of x[0 .. N]^2 in 8 lanes, plus u; scratch holds the sum on its way.
    Run run = run_new(
        "hako loop @sum \"t\"\n"
        "mem x: f32[1] in\nmem y: f32[1] out\nmem t: f32[1] scratch\nmem s: f32[1] scratch\n"
        "dim N = x[0]\n{\n"
        "%0 = dim N : i64\ntensor x (%0)\ntensor y (%0)\nscratch t[3]\nscratch s[40]\n"
        "%1 = const 0 : i64\n%2 = const 8 : i64\n%21 = const 17 : i64\n"
        "phase grid (%0) { (%3 : i64)\n"
        "%5 = const 0x0 : f32x8\n%6 = iota : i64x8\n%7 = splat (%0) : i64x8\n"
        "%8 = for serial (%1, %0, %2, %5) : f32x8 { (%9 : i64, %10 : f32x8)\n"
        "%11 = splat (%9) : i64x8\n%12 = add (%11, %6) : i64x8\n%13 = lt (%12, %7) : boolx8\n"
        "%14 = load x (%9, mask %13) : f32x8\n%15 = fma (%14, %14, %10) : f32x8\nyield (%15)\n}\n"
        "%16 = vreduce.sum (%8) : f32\nstore s (%16, %21)\n%17 = load s (%21) : f32\n"
        "%18 = cast (%3) : f32\n%19 = add (%17, %18) : f32\nstore y (%19, %3)\n}\n}\n");
    ck_assert_int_eq(llvm_code_scratch_bytes(run.k->code), 64 + 192);
    for (int64_t n = 0; n < 40; n++) {
        float *x = malloc((size_t)n * 4 + 1), y[40], sum = 0;
        for (int64_t i = 0; i < n; i++) {
            x[i] = (float)(i - 3);
            sum += x[i] * x[i];
        }
        run.dims[0] = n;
        run.mems[1] = x;
        run.mems[2] = y;
        run_units(&run, 0, 0, n);
        for (int64_t i = 0; i < n; i++) ck_assert(y[i] == sum + (float)i);
        free(x);
    }
    run_free(&run);
}
END_TEST

START_TEST(loops_run_the_right_indices)
{
    // Appends each index: y[count++] = i over a loop with runtime bounds, forward and in reverse.
    static const char *const flags[] = {"", "!reverse "};
    for (unsigned reverse = 0; reverse < 2; reverse++) {
        char text[1000];
        snprintf(text, sizeof text,
                 "hako loop @f \"t\"\nmem y: i64[1] out\ndim A\ndim B\ndim C\n{\n"
                 "%%0 = dim A : i64\n%%1 = dim B : i64\n%%2 = dim C : i64\n%%3 = const 0 : i64\n"
                 "%%4 = const 1 : i64\ntensor y (%%0)\n"
                 "phase serial (%%4) { (%%5 : i64)\n"
                 "%%6 = for %sserial (%%0, %%1, %%2, %%3) : i64 { (%%7 : i64, %%8 : i64)\n"
                 "store y (%%7, %%8)\n%%9 = add (%%8, %%4) : i64\nyield (%%9)\n}\n"
                 "store y (%%6, %%6)\n}\n}\n",
                 flags[reverse]);
        Run run = run_new(text);
        int64_t y[64];
        run.mems[1] = y;
        for (int64_t lo = -2; lo < 3; lo++) {
            for (int64_t hi = -3; hi < 20; hi++) {
                for (int64_t step = 1; step < 8; step++) {
                    run.dims[0] = lo;
                    run.dims[1] = hi;
                    run.dims[2] = step;
                    run_units(&run, 0, 0, 1);
                    int64_t count = hi > lo ? (hi - lo + step - 1) / step : 0;
                    for (int64_t i = 0; i < count; i++) {
                        ck_assert_int_eq(y[i], lo + (reverse ? count - 1 - i : i) * step);
                    }
                    ck_assert_int_eq(y[count], count);
                }
            }
        }
        run_free(&run);
    }
}
END_TEST

START_TEST(conditions_nest_and_yield)
{
    // y[u] = u < 3 ? (u < 1 ? 10 : 20) + u : swap twice through a loop that exchanges its carried
    // values.
    Run run = run_new("hako loop @f \"t\"\nmem y: i64[1] out\n{\n"
                      "%0 = const 8 : i64\ntensor y (%0)\n%1 = const 3 : i64\n%2 = const 1 : i64\n"
                      "%3 = const 10 : i64\n%4 = const 20 : i64\n%20 = const 0 : i64\n"
                      "phase grid (%0) { (%5 : i64)\n%6 = lt (%5, %1) : bool\n"
                      "%7 = if (%6) : i64 {\n%8 = lt (%5, %2) : bool\n"
                      "%9 = if (%8) : i64 {\nyield (%3)\n} else {\nyield (%4)\n}\n"
                      "%10 = add (%9, %5) : i64\nyield (%10)\n} else {\n"
                      "%11, %12 = for serial (%20, %5, %2, %3, %4) : i64, i64 { (%13 : i64, %14 : "
                      "i64, %15 : i64)\n"
                      "yield (%15, %14)\n}\nyield (%11)\n}\n"
                      "if (%6) {\nstore y (%7, %5)\n} else {\n%16 = neg (%7) : i64\nstore y (%16, "
                      "%5)\n}\n}\n}\n");
    int64_t y[8];
    const int64_t want[] = {10, 21, 22, -20, -10, -20, -10, -20};
    run.mems[1] = y;
    run_units(&run, 0, 0, 8);
    for (unsigned i = 0; i < 8; i++) ck_assert_int_eq(y[i], want[i]);
    run_free(&run);
}
END_TEST

START_TEST(prologue_reaches_phases)
{
    Run run = run_new(
        "hako loop @f \"t\"\nmem x: f32[2] in\nmem y: f64[1] out\ndim N = x[0]\n"
        "arg a: f32\narg b: f64\narg c: i32\narg d: i64\narg e: bool\n{\n"
        "%0 = dim N : i64\n%1 = const 5 : i64\n%2 = extent x[1] : i64\n%3 = mul (%0, %1) : i64\n"
        "tensor x (%0, %3)\ntensor y (%1)\n%4 = arg a : f32\n%5 = arg b : f64\n%6 = arg c : i32\n"
        "%7 = arg d : i64\n%8 = arg e : bool\n%9 = const 1 : i64\n"
        "phase grid (%9) { (%10 : i64)\n%11 = stride x[1] : i64\n%12 = cast (%4) : f64\n"
        "%13 = add (%12, %5) : f64\n%14 = cast (%6) : i64\n%15 = add (%14, %7) : i64\n"
        "%16 = add (%15, %2) : i64\n%17 = add (%16, %11) : i64\n%18 = cast (%17) : f64\n"
        "%19 = select (%8, %18, %13) : f64\n%20 = add (%19, %13) : f64\nstore y (%20, %10)\n}\n"
        "phase serial (%9) { (%21 : i64)\n%22 = cast (%2) : f64\nstore y (%22, %21)\n}\n}\n");
    double y[1];
    run.mems[2] = y;
    run.dims[0] = 7;
    run.strides[1 * RANK_MAX + 1] = 1000;
    run.args[0] = scalar_from_double(DTYPE_F32, 1.5);
    run.args[1] = scalar_from_double(DTYPE_F64, 0.25);
    run.args[2] = (uint64_t)(int64_t)-3;
    run.args[3] = (uint64_t)(int64_t)-100000000000;
    for (unsigned e = 0; e < 2; e++) {
        run.args[4] = e;
        run_units(&run, 0, 0, 1);
        ck_assert(y[0] == (e ? -3 - 100000000000.0 + 35 + 1000 : 1.75) + 1.75);
    }
    ck_assert_uint_eq(llvm_code_phase_count(run.k->code), 2);
    run_units(&run, 1, 0, 1);
    ck_assert(y[0] == 35);
    run_units(&run, 1, 0, 0); // no units: nothing happens
    run_free(&run);
}
END_TEST

// ---- memory

// `bytes` usable bytes that end at a page nobody may touch.
static char *guarded_new(size_t bytes)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE), span = (bytes + page - 1) / page * page;
    char *base =
        mmap(NULL, span + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    ck_assert(base != MAP_FAILED);
    ck_assert_int_eq(mprotect(base + span, page, PROT_NONE), 0);
    return base + span - bytes;
}

static void guarded_free(char *p, size_t bytes)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE), span = (bytes + page - 1) / page * page;
    munmap(p + bytes - span, span + page);
}

// y[i] = x[i] for i < n through masked accesses (or gather and scatter), one unit of `lanes` lanes.
static Compiled *copy_kernel(DType t, unsigned lanes, bool indexed)
{
    Builder b;
    Compiled *k = kernel_begin(&b);
    vec_push(b.f->arena, &b.f->dims, (DimInfo){.name = STR("N")});
    Type offsets = type_vector(DTYPE_I64, lanes), bools = type_vector(DTYPE_BOOL, lanes);
    InstId dim = build_inst(
        &b, OP_DIM, (BuildSpec){.results = (Type[]){type_scalar(DTYPE_I64)}, .result_count = 1});
    Value n = inst_result(inst_at(b.f, dim), 0), one = const_i64(&b, 1);
    Mem x = kernel_mem(&b, "x", t, MEM_IN, n), y = kernel_mem(&b, "y", t, MEM_OUT, n);
    Value u = kernel_phase(&b, one), at = u;
    if (lanes) {
        InstId iota = build_inst(&b, OP_IOTA, (BuildSpec){.results = &offsets, .result_count = 1});
        at = build_op2(&b, OP_ADD, inst_result(inst_at(b.f, iota), 0), u);
    }
    Value active = build_op2(&b, OP_LT, at, n);
    ck_assert(type_equal(value_type(b.f, active), bools));
    Value load[] = {indexed ? at : u, active};
    Type type = type_vector(t, lanes);
    InstId id = build_inst(&b, indexed ? OP_GATHER : OP_LOAD,
                           (BuildSpec){.args = load,
                                       .arg_count = 2,
                                       .results = &type,
                                       .result_count = 1,
                                       .attr = {.ref = x.i},
                                       .flags = INST_MASKED});
    Value store[] = {inst_result(inst_at(b.f, id), 0), indexed ? at : u, active};
    build_inst(
        &b, indexed ? OP_SCATTER : OP_STORE,
        (BuildSpec){.args = store, .arg_count = 3, .attr = {.ref = y.i}, .flags = INST_MASKED});
    build_inst(&b, OP_YIELD, (BuildSpec){0});
    kernel_compile(k, NULL);
    return k;
}

START_TEST(masks_keep_memory_untouched)
{
    const unsigned lane_counts[] = {0, 1, 3, 8, 16, 32};
    DType t = (DType)_i;
    for (unsigned l = 0; l < 6; l++) {
        unsigned lanes = lane_counts[l], count = lanes ? lanes : 1;
        for (unsigned indexed = 0; indexed < 2; indexed++) {
            Compiled *k = copy_kernel(t, lanes, indexed);
            for (unsigned n = 0; n <= count; n++) {
                size_t bytes = (size_t)dtype_bytes(t, n);
                char *x = guarded_new(bytes + 1) + 1, *y = guarded_new(bytes + 1) + 1;
                for (size_t i = 0; i < bytes; i++)
                    x[i] = t == DTYPE_BOOL ? (i % 3 != 0) : (char)(i * 37 + 1);
                memset(y - 1, 0x5a, bytes + 1);
                Trap trap = {0};
                Frame frame = {(void *[]){NULL, x, y}, (int64_t[]){n}, NULL, NULL, &trap, NULL};
                llvm_code_phase(k->code, 0)(&frame, 0, 1, NULL);
                if (dtype_info[t].bits == 4 && n % 2) {
                    ck_assert_int_eq(y[bytes - 1] & 15, x[bytes - 1] & 15);
                    ck_assert_int_eq((unsigned char)y[bytes - 1] >> 4, 5); // the other half stays
                    y[bytes - 1] = x[bytes - 1];
                }
                ck_assert(memcmp(x, y, bytes) == 0);
                ck_assert_int_eq(y[-1], 0x5a);
                guarded_free(x - 1, bytes + 1);
                guarded_free(y - 1, bytes + 1);
            }
            kernel_free(k);
        }
    }
}
END_TEST

START_TEST(half_bytes_begin_anywhere)
{
    // y[o + i] = x[o + i] over 6 and 7 lanes from any offset: neighbours keep their halves.
    for (unsigned lanes = 6; lanes < 8; lanes++) {
        char text[700];
        snprintf(text, sizeof text,
                 "hako loop @f \"t\"\nmem x: u4[1] in\nmem y: u4[1] out\ndim O\n{\n"
                 "%%0 = dim O : i64\ntensor x (%%0)\ntensor y (%%0)\n%%1 = const 1 : i64\n"
                 "phase grid (%%1) { (%%2 : i64)\n%%3 = load x (%%0) : u4x%u\nstore y (%%3, "
                 "%%0)\n}\n}\n",
                 lanes);
        Run run = run_new(text);
        for (int64_t o = 0; o < 5; o++) {
            unsigned char x[6] = {0x21, 0x43, 0x65, 0x87, 0xa9, 0xcb}, y[6] = {0};
            run.mems[1] = x;
            run.mems[2] = y;
            run.dims[0] = o;
            run_units(&run, 0, 0, 1);
            for (int64_t i = 0; i < 12; i++) {
                uint64_t want = i >= o && i < o + lanes ? storage_load(DTYPE_U4, x, i) : 0;
                ck_assert_uint_eq(storage_load(DTYPE_U4, y, i), want);
            }
        }
        run_free(&run);
    }
}
END_TEST

START_TEST(streams_and_aligned_accesses)
{
    Run run = run_new("hako loop @f \"t\"\nmem x: f32[1] in\nmem y: f32[1] out\n{\n"
                      "%0 = const 64 : i64\ntensor x (%0)\ntensor y (%0)\n%1 = const 4 : i64\n%2 = "
                      "const 16 : i64\n"
                      "phase grid (%1) { (%3 : i64)\n%4 = mul (%3, %2) : i64\n%5 = load x align 64 "
                      "(%4) : f32x16\n"
                      "%6 = add (%5, %5) : f32x16\nstore !stream y (%6, %4)\n}\n}\n");
    _Alignas(64) float x[64], y[80];
    for (unsigned i = 0; i < 64; i++) x[i] = (float)i;
    run.mems[1] = x;
    for (unsigned shift = 0; shift < 16; shift++) { // only the first can be streamed to
        run.mems[2] = y + shift;
        memset(y, 0, sizeof y);
        run_units(&run, 0, 0, 4);
        for (unsigned i = 0; i < 64; i++) ck_assert(y[shift + i] == (float)(2 * i));
    }
    Buf text = {.arena = &run.k->arena};
    DiagList diags = {.arena = &run.k->arena};
    LlvmTarget v3 = {.triple = "x86_64-pc-linux-gnu", .cpu = "x86-64-v3"};
    ck_assert(llvm_emit(&text, run.k->f, &v3, LLVM_FORM_ASM, &diags));
    ck_assert(strstr(text.data, "vmovntps") && strstr(text.data, "sfence"));
    run_free(&run);
}
END_TEST

// Where a vector is divided by one number there is a way of its own: to the bit what C gives.
START_TEST(division_by_one_number_is_correctly_rounded)
{
    Run run =
        run_new("hako loop @f \"t\"\nmem x: f32[1] in\nmem d: f32[1] in\nmem y: f32[1] out\n{\n"
                "%0 = const 4096 : i64\n%1 = const 1 : i64\ntensor x (%0)\ntensor d (%1)\n"
                "tensor y (%0)\n%2 = const 256 : i64\n%3 = const 16 : i64\n%4 = const 0 : i64\n"
                "phase grid (%2) { (%5 : i64)\n%6 = mul (%5, %3) : i64\n%7 = load x (%6) : f32x16\n"
                "%8 = load d (%4) : f32\n%9 = splat (%8) : f32x16\n"
                "%10 = div (%7, %9) : f32x16\nstore y (%10, %6)\n}\n}\n");
    static const float special[] = {
        0,        -0.0f, INFINITY,  -INFINITY,       NAN, 0x1p-149f,    -0x1p-130f,
        0x1p127f, 3,     0x1p-126f, 0x1.fffffep127f, -1,  0x1.fffffep0f};
    enum { N = 4096, SPECIAL = sizeof special / sizeof special[0] };
    _Alignas(64) static float x[N], y[N];
    uint32_t state = 12345;
    for (unsigned turn = 0; turn < 400; turn++) {
        float d = turn < SPECIAL ? special[turn] : 0;
        for (unsigned i = 0; i < N + (turn >= SPECIAL); i++) {
            state = state * 1664525u + 1013904223u;
            uint32_t bits = state ^ state >> 15;
            if (turn % 3 == 0) bits = (bits & 0x807fffffu) | (0x3f000000u + (bits & 0x01800000u));
            memcpy(i < N ? &x[i] : &d, &bits, 4);
            if (i < SPECIAL) x[i] = special[i];
        }
        run.mems[1] = x, run.mems[2] = &d, run.mems[3] = y;
        run_units(&run, 0, 0, N / 16);
        for (unsigned i = 0; i < N; i++) {
            float want = x[i] / d;
            bool same = memcmp(&want, &y[i], 4) == 0 || (want != want && y[i] != y[i]);
            ck_assert_msg(same, "%a / %a = %a, not %a", x[i], d, want, y[i]);
        }
    }
    run_free(&run);
}
END_TEST

START_TEST(scatter_keeps_the_last_lane)
{
    Run run =
        run_new("hako loop @f \"t\"\nmem y: i32[1] out\n{\n%0 = const 4 : i64\ntensor y (%0)\n"
                "phase serial (%0) { (%1 : i64)\n%2 = iota : i32x8\n%3 = const 2 : i32x8\n"
                "%4 = div (%2, %3) : i32x8\nscatter y (%2, %4)\n}\n}\n");
    int32_t y[4];
    run.mems[1] = y;
    run_units(&run, 0, 0, 1);
    for (int i = 0; i < 4; i++) ck_assert_int_eq(y[i], 2 * i + 1);
    run_free(&run);
}
END_TEST

// ---- reductions

static uint64_t tree(ReduceKind kind, DType t, uint64_t *x, unsigned n)
{
    while (n > 1) {
        unsigned half = (n + 1) / 2;
        for (unsigned i = 0; i + half < n; i++) x[i] = reduce_combine(kind, t, x[i], x[i + half]);
        n = half;
    }
    return x[0];
}

static void check_vreduce(ReduceKind kind, DType t, unsigned lanes)
{
    OpCase c = {.op = OP_VREDUCE,
                .t = t,
                .to = t,
                .kind = kind,
                .arity = 1,
                .lanes = lanes,
                .scalar_result = true};
    Compiled *k = op_compile(c);
    double specials[] = {0, -0.0, 1, -2, 3.5, INFINITY, NAN, 1e8, -7};
    for (unsigned round = 0; round < 20; round++) {
        uint64_t bits[32], y = 0;
        char x[32 * 8];
        for (unsigned i = 0; i < lanes; i++) {
            unsigned pick = (round * 7 + i * (round + 3)) % (round < 10 ? 5 : 9);
            bits[i] = scalar_from_double(t, specials[pick] == 3.5 ? (double)(i * round) * 0.37
                                                                  : specials[pick]);
            storage_store(t, x, i, bits[i]);
        }
        op_run(k, c, (void *[]){x}, &y, lanes);
        uint64_t want = tree(kind, t, bits, lanes), got = storage_load(t, &y, 0);
        bool both_nan = dtype_is_float(t) && isnan(scalar_to_double(t, got)) &&
                        isnan(scalar_to_double(t, want));
        ck_assert_msg(both_nan || got == want, "vreduce.%s of %s x %u: %llx, want %llx",
                      reduce_name[kind], dtype_info[t].name, lanes, (unsigned long long)got,
                      (unsigned long long)want);
    }
    kernel_free(k);
}

START_TEST(reductions_use_a_fixed_tree)
{
    const unsigned lane_counts[] = {1, 2, 3, 5, 8, 12, 16, 32};
    ReduceKind kind = (ReduceKind)_i;
    bool logical = kind == REDUCE_ANY || kind == REDUCE_ALL, bitwise = kind >= REDUCE_AND;
    if (kind == REDUCE_ARGMAX || kind == REDUCE_ARGMIN) return;
    for (DType t = DTYPE_BOOL; t <= DTYPE_F64; t++) {
        if ((logical || bitwise) && dtype_is_float(t)) continue;
        if (logical != (t == DTYPE_BOOL) && !bitwise) continue;
        for (unsigned l = 0; l < 8; l++) check_vreduce(kind, t, lane_counts[l]);
    }
}
END_TEST

// ---- traps

START_TEST(the_first_failing_lane_traps)
{
    Run run =
        run_new("hako loop @f \"t\"\nmem x: i32[1] in\nmem y: i32[1] out\n"
                "site 0 assert\nsite 1 bounds of x[0]\n{\n%0 = const 8 : i64\ntensor x "
                "(%0)\ntensor y (%0)\n"
                "phase grid (%0) { (%1 : i64)\n%2 = load x (%1) : i32x8\n%3 = const 100 : i32x8\n"
                "%4 = lt (%2, %3) : boolx8\n%5 = iota : i64x8\n%6 = const 6 : i64x8\n%7 = lt (%5, "
                "%6) : boolx8\n"
                "check #1 (%4, %5, %0, mask %7)\n}\n"
                "phase serial (%0) { (%8 : i64)\n%9 = const 2 : i64\n%10 = lt (%8, %9) : bool\n"
                "check #0 (%10, %8, %9)\n}\n}\n");
    int32_t x[16] = {0};
    run.mems[1] = x;
    run_units(&run, 0, 0, 1);
    ck_assert_int_eq(run.trap.state, 0);
    x[6] = x[7] = 500; // masked lanes
    run_units(&run, 0, 0, 1);
    ck_assert_int_eq(run.trap.state, 0);
    x[3] = x[5] = 100;
    run_units(&run, 0, 0, 1);
    ck_assert_int_eq(run.trap.state, 2);
    ck_assert_int_eq(run.trap.site, 1);
    ck_assert_int_eq(run.trap.index, 3);
    ck_assert_int_eq(run.trap.bound, 8);
    run_units(&run, 1, 0, 8); // later failures are ignored
    ck_assert_int_eq(run.trap.site, 1);
    run.trap = (Trap){0};
    run_units(&run, 1, 0, 8);
    ck_assert_int_eq(run.trap.site, 0);
    ck_assert_int_eq(run.trap.index, 2);
    ck_assert_int_eq(run.trap.bound, 2);
    run_free(&run);
}
END_TEST

START_TEST(unsupported_is_a_diagnostic)
{
    Builder b;
    Compiled *k = kernel_begin(&b);
    op_kernel(k, &b,
              (OpCase){.op = OP_VREDUCE,
                       .t = DTYPE_F32,
                       .to = DTYPE_F32,
                       .kind = REDUCE_ARGMAX,
                       .arity = 1,
                       .lanes = 8,
                       .scalar_result = true});
    DiagList diags = {.arena = &k->arena};
    ck_assert_ptr_null(llvm_compile(k->f, NULL, &diags));
    ck_assert_uint_eq(diags.error_count, 1);
    ck_assert_int_eq(diags.diags.data[0]->code, DIAG_NOT_SUPPORTED);
    LlvmTarget nowhere = {.triple = "pdp11-unknown-none"};
    ck_assert_ptr_null(llvm_compile(k->f, &nowhere, &diags));
    ck_assert_uint_eq(diags.error_count, 2);
    kernel_free(k);
}
END_TEST

START_TEST(only_code_for_this_machine_is_run)
{
    Builder b;
    Compiled *k = kernel_begin(&b);
    op_kernel(k, &b, (OpCase){.op = OP_NEG, .t = DTYPE_F32, .to = DTYPE_F32, .arity = 1});
    DiagList diags = {.arena = &k->arena};
    LlvmTarget native = {.cpu = llvm_host_cpu(&k->arena).data};
    LlvmTarget foreign = {.triple = "aarch64-linux-gnu"};
#if defined(__aarch64__)
    foreign.triple = "x86_64-linux-gnu";
#endif
    k->code = llvm_compile(k->f, &native, &diags);
    ck_assert_ptr_nonnull(k->code);
    ck_assert_ptr_null(llvm_compile(k->f, &foreign, &diags));
    ck_assert_int_eq(diags.diags.data[0]->code, DIAG_NOT_SUPPORTED);
    kernel_free(k);
}
END_TEST

// Code goes to another process as bytes; damaged ones give no code, or code that is not run here.
START_TEST(code_is_saved_and_loaded)
{
    Run run = run_new("hako loop @f \"t\"\nmem x: f32[1] in\nmem y: f32[1] out\n{\n"
                      "%0 = const 16 : i64\ntensor x (%0)\ntensor y (%0)\n%1 = const 1 : i64\n"
                      "%2 = const 0 : i64\nphase grid (%1) { (%3 : i64)\n"
                      "%4 = load x (%2) : f32x16\n%5 = atan (%4) : f32x16\n"
                      "%6 = exp (%5) : f32x16\nstore y (%6, %2)\n}\n}\n");
    Str saved = llvm_code_save(run.k->code, &run.k->arena);
    if (llvm_code_key(&run.k->arena).length) ck_assert_uint_gt(saved.length, 0);
    if (!saved.length) return;
    float x[16], y[16], again[16];
    for (int i = 0; i < 16; i++) x[i] = (float)i;
    run.mems[1] = x, run.mems[2] = y;
    run_units(&run, 0, 0, 1);
    LlvmCode *first = run.k->code;
    run.k->code = llvm_code_load(saved, &run.k->arena);
    ck_assert_ptr_nonnull(run.k->code);
    run.mems[2] = again;
    run_units(&run, 0, 0, 1);
    ck_assert_mem_eq(y, again, sizeof y);
    llvm_code_free(first);
    for (size_t length = 0; length < saved.length; length += 1 + saved.length / 40)
        ck_assert_ptr_null(llvm_code_load((Str){saved.data, length}, &run.k->arena));
    char *damaged = malloc(saved.length);
    for (size_t at = 0; at < saved.length; at++) {
        memcpy(damaged, saved.data, saved.length);
        damaged[at] ^= (char)(1 << at % 8);
        llvm_code_free(llvm_code_load((Str){damaged, saved.length}, &run.k->arena));
        damaged[at] = -1;
        llvm_code_free(llvm_code_load((Str){damaged, saved.length}, &run.k->arena));
    }
    free(damaged);
    run_free(&run);
}
END_TEST

START_TEST(no_memory_is_writable_and_executable)
{
    Compiled *k = op_compile((OpCase){.op = OP_EXP, .t = DTYPE_F32, .to = DTYPE_F32, .arity = 1});
    char line[512];
    FILE *maps = fopen("/proc/self/maps", "r");
    ck_assert_ptr_nonnull(maps);
    while (fgets(line, sizeof line, maps)) ck_assert_msg(!strstr(line, " rwx"), "%s", line);
    fclose(maps);
    kernel_free(k);
}
END_TEST

// ---- several at once, other machines

static void *compile_often(void *argument)
{
    for (unsigned i = 0; i < 20; i++) {
        OpCase c = {.op = OP_TANH,
                    .t = DTYPE_F32,
                    .to = DTYPE_F32,
                    .arity = 1,
                    .lanes = 1 + (unsigned)i % 16};
        Compiled *k = op_compile(c);
        float x[16], y[16];
        for (unsigned l = 0; l < c.lanes; l++) x[l] = (float)l - 3;
        op_run(k, c, (void *[]){x}, y, c.lanes);
        for (unsigned l = 0; l < c.lanes; l++) {
            if (fabsf(y[l] - tanhf(x[l])) > 1e-6f) *(bool *)argument = false;
        }
        kernel_free(k);
    }
    return NULL;
}

START_TEST(two_threads_compile_at_once)
{
    bool ok[2] = {true, true};
    pthread_t threads[2];
    for (unsigned i = 0; i < 2; i++) pthread_create(&threads[i], NULL, compile_often, &ok[i]);
    for (unsigned i = 0; i < 2; i++) pthread_join(threads[i], NULL);
    ck_assert(ok[0] && ok[1]);
}
END_TEST

typedef struct TargetCase {
    LlvmTarget target;
    uint32_t vector_bytes, registers;
    const char *expected; // in the assembly of exp over 16 lanes
    uint16_t elf_machine;
} TargetCase;

static const TargetCase target_cases[] = {
    {{"x86_64-pc-linux-gnu", "x86-64-v2", NULL}, 16, 16, "%xmm", 62},
    {{"x86_64-pc-linux-gnu", "x86-64-v3", NULL}, 32, 16, "vfmadd", 62},
    {{"x86_64-pc-linux-gnu", "x86-64-v4", NULL}, 64, 32, "%zmm", 62},
    {{"x86_64-pc-linux-gnu", "skylake-avx512", NULL}, 64, 32, "%zmm", 62},
    {{"x86_64-pc-linux-gnu", "znver5", NULL}, 64, 32, "%zmm", 62},
    {{"aarch64-linux-gnu", NULL, NULL}, 16, 32, "fmla", 183},
    {{"aarch64-linux-gnu", "neoverse-n1", NULL}, 16, 32, "fmla", 183},
};

START_TEST(other_targets)
{
    const TargetCase *c = &target_cases[_i];
    Machine machine = {0};
    Arena arena;
    arena_init(&arena, NULL);
    ck_assert(llvm_machine(&c->target, &machine, &(DiagList){.arena = &arena}));
    arena_free(&arena);
    ck_assert_uint_eq(machine.vector_bytes, c->vector_bytes);
    ck_assert_uint_eq(machine.vector_registers, c->registers);
    const Op ops[] = {OP_EXP, OP_TAN, OP_SIN, OP_ERFINV};
    for (unsigned i = 0; i < 4; i++) {
        Builder b;
        Compiled *k = kernel_begin(&b);
        op_kernel(k, &b,
                  (OpCase){.op = ops[i],
                           .t = DTYPE_F32,
                           .to = DTYPE_BF16,
                           .arity = 1,
                           .lanes = 16,
                           .cast_result = true});
        DiagList diags = {.arena = &k->arena};
        Buf assembly = {.arena = &k->arena}, object = {.arena = &k->arena},
            ir = {.arena = &k->arena};
        ck_assert(llvm_emit(&assembly, k->f, &c->target, LLVM_FORM_ASM, &diags));
        if (ops[i] == OP_EXP) ck_assert(strstr(assembly.data, c->expected) != NULL);
        ck_assert(llvm_emit(&ir, k->f, &c->target, LLVM_FORM_IR, &diags));
        ck_assert(strstr(ir.data, "define void @test_phase0") != NULL);
        ck_assert(llvm_emit(&object, k->f, &c->target, LLVM_FORM_OBJECT, &diags));
        ck_assert(memcmp(object.data, "\177ELF", 4) == 0);
        uint16_t machine_code;
        memcpy(&machine_code, object.data + 18, 2);
        ck_assert_uint_eq(machine_code, c->elf_machine);
        ck_assert(memmem(object.data, object.length, "test_phase0", 11) != NULL);
        kernel_free(k);
    }
}
END_TEST

int main(void)
{
    TCase *tests = tcase_create("llvm");
    tcase_set_timeout(tests, 300);
    tcase_add_test(tests, loops_carry_and_tails_are_masked);
    tcase_add_test(tests, loops_run_the_right_indices);
    tcase_add_test(tests, conditions_nest_and_yield);
    tcase_add_test(tests, prologue_reaches_phases);
    tcase_add_loop_test(tests, masks_keep_memory_untouched, DTYPE_BOOL, DTYPE_COUNT);
    tcase_add_test(tests, half_bytes_begin_anywhere);
    tcase_add_test(tests, streams_and_aligned_accesses);
    tcase_add_test(tests, division_by_one_number_is_correctly_rounded);
    tcase_add_test(tests, scatter_keeps_the_last_lane);
    tcase_add_loop_test(tests, reductions_use_a_fixed_tree, 0, REDUCE_COUNT);
    tcase_add_test(tests, the_first_failing_lane_traps);
    tcase_add_test(tests, unsupported_is_a_diagnostic);
    tcase_add_test(tests, only_code_for_this_machine_is_run);
    tcase_add_test(tests, code_is_saved_and_loaded);
    tcase_add_test(tests, no_memory_is_writable_and_executable);
    tcase_add_test(tests, two_threads_compile_at_once);
    tcase_add_loop_test(tests, other_targets, 0, sizeof target_cases / sizeof target_cases[0]);
    return run_cases("llvm", tests);
}
