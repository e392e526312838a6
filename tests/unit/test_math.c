// Largest errors of mathematical functions on the CPU, in units in the last place (ULP) of the
// exact result.
//
// f32: every STEP-th bit pattern of all floats against libm in double. f64: random arguments
// against libm in long double. Sampled as `make check-unit` runs it; HAKO_SWEEP=1 (about an hour)
// takes every f32 and prints the table of docs/math.md, HAKO_SWEEP=1000 every thousandth.
// HAKO_CYCLES=1 prints the other table: cycles for 16 elements in the first cache.
#include <math.h>
#include <string.h>
#include <time.h>

#include "tests/unit/loop_kernel.h"
#include "tests/unit/suite.h"

enum { BATCH = 1 << 14, LANES = 8, STEP = 7919, F64_SAMPLES = 1 << 18 };

typedef long double Exact(long double x, long double y);

#define EXACT1(name, expr)                                                                         \
    static long double name(long double x, long double y)                                          \
    {                                                                                              \
        return (void)y, (expr);                                                                    \
    }
EXACT1(exact_rcp, 1 / x)
EXACT1(exact_rsqrt, 1 / sqrtl(x))
EXACT1(exact_exp, expl(x))
EXACT1(exact_exp2, exp2l(x))
EXACT1(exact_expm1, expm1l(x))
EXACT1(exact_log, logl(x))
EXACT1(exact_log2, log2l(x))
EXACT1(exact_log10, log10l(x))
EXACT1(exact_log1p, log1pl(x))
EXACT1(exact_sin, sinl(x))
EXACT1(exact_cos, cosl(x))
EXACT1(exact_tan, tanl(x))
EXACT1(exact_asin, asinl(x))
EXACT1(exact_acos, acosl(x))
EXACT1(exact_atan, atanl(x))
EXACT1(exact_sinh, sinhl(x))
EXACT1(exact_cosh, coshl(x))
EXACT1(exact_tanh, tanhl(x))
EXACT1(exact_erf, erfl(x))

static long double exact_atan2(long double x, long double y)
{
    return atan2l(x, y);
}
static long double exact_pow(long double x, long double y)
{
    return powl(x, y);
}

// One Newton step on erf or erfc from the interpreter's value.
static long double exact_erfinv(long double x, long double y)
{
    uint64_t bits = scalar_from_double(DTYPE_F64, (double)x), result;
    eval_op(OP_ERFINV, DTYPE_F64, DTYPE_F64, 0, &bits, 1, &result);
    y = scalar_to_double(DTYPE_F64, result);
    if (!isfinite(y) || x == 0) return y;
    long double a = fabsl(x), b = fabsl(y);
    long double error = a < 0.5L ? erfl(b) - a : (1 - a) - erfcl(b);
    b -= error / (2 / sqrtl(3.14159265358979323846L) * expl(-b * b));
    return copysignl(b, x);
}

typedef struct MathCase {
    Op op;
    unsigned arity;
    Exact *exact;
    double bound_f32, bound_f64; // ULP
    const char *how_f32, *how_f64;
} MathCase;

// The bounds are what docs/math.md promises.
static const MathCase cases[] = {
    {OP_RCP, 1, exact_rcp, 0.5, 0.5, "division", "division"},
    {OP_RSQRT, 1, exact_rsqrt, 1.5, 1.5, "root, division", "root, division"},
    {OP_EXP, 1, exact_exp, 1.1, 1.0, "inline", "SLEEF"},
    {OP_EXP2, 1, exact_exp2, 1.0, 1.0, "inline", "SLEEF"},
    {OP_EXPM1, 1, exact_expm1, 1.5, 1.0, "inline", "SLEEF"},
    {OP_LOG, 1, exact_log, 1.0, 1.0, "inline", "SLEEF"},
    {OP_LOG2, 1, exact_log2, 1.5, 1.0, "inline", "SLEEF"},
    {OP_LOG10, 1, exact_log10, 1.5, 1.0, "inline", "SLEEF"},
    {OP_LOG1P, 1, exact_log1p, 1.5, 1.5, "inline", "SLEEF"},
    {OP_SIN, 1, exact_sin, 1.6, 1.0, "inline", "SLEEF"},
    {OP_COS, 1, exact_cos, 1.6, 1.0, "inline", "SLEEF"},
    {OP_TAN, 1, exact_tan, 1.0, 1.0, "SLEEF", "SLEEF"},
    {OP_ASIN, 1, exact_asin, 1.0, 1.0, "SLEEF", "SLEEF"},
    {OP_ACOS, 1, exact_acos, 1.0, 1.0, "SLEEF", "SLEEF"},
    {OP_ATAN, 1, exact_atan, 1.0, 1.0, "SLEEF", "SLEEF"},
    {OP_SINH, 1, exact_sinh, 2.0, 2.0, "inline", "SLEEF"},
    {OP_COSH, 1, exact_cosh, 1.5, 2.0, "inline", "SLEEF"},
    {OP_TANH, 1, exact_tanh, 1.6, 1.5, "inline", "SLEEF"},
    {OP_ERF, 1, exact_erf, 1.5, 1.0, "inline", "SLEEF"},
    {OP_ERFINV, 1, exact_erfinv, 0.6, 6.0, "in f64", "rational"},
    {OP_ATAN2, 2, exact_atan2, 1.0, 1.0, "SLEEF", "SLEEF"},
    {OP_POW, 2, exact_pow, 1.0, 1.0, "SLEEF", "SLEEF"},
};

enum { CASES = sizeof cases / sizeof cases[0] };

typedef struct Worst {
    double error, x, y, got;
} Worst;

// |got - exact| in units of the spacing at exact; 0 where specials agree, infinite where they do
// not.
static double error_ulp(DType t, double got, long double exact)
{
    double rounded = t == DTYPE_F32 ? (double)(float)exact : (double)exact;
    if (isnan(rounded)) return isnan(got) ? 0 : INFINITY;
    if (got == rounded) return signbit(got) == signbit(rounded) ? 0.0 : INFINITY;
    bool infinite = isinf(got) || isinf(rounded);
    int digits = t == DTYPE_F32 ? 23 : 52, least = t == DTYPE_F32 ? -126 : -1022;
    if (infinite) {
        double top = float_largest(t); // one step between the largest number and infinity
        return fabs(isinf(got) ? rounded : got) == top && signbit(got) == signbit(rounded)
                   ? 1
                   : INFINITY;
    }
    int exponent = exact == 0 ? least : ilogbl(exact);
    if (exponent < least) exponent = least;
    return (double)(fabsl((long double)got - exact) / scalbnl(1, exponent - digits));
}

static void measure(const MathCase *m, DType t, const Compiled *k, OpCase c, const uint64_t *x,
                    const uint64_t *y, Worst *worst)
{
    static _Thread_local double memory[3][BATCH];
    for (unsigned i = 0; i < BATCH; i++) {
        storage_store(t, memory[0], i, x[i]);
        storage_store(t, memory[1], i, y[i]);
    }
    op_run(k, c, (void *[]){memory[0], memory[1]}, memory[2], BATCH);
    for (unsigned i = 0; i < BATCH; i++) {
        double a = scalar_to_double(t, x[i]), b = scalar_to_double(t, y[i]);
        double got = scalar_to_double(t, storage_load(t, memory[2], i));
        double error = error_ulp(t, got, m->exact(a, b));
        if (!(error <= worst->error)) *worst = (Worst){error, a, b, got};
    }
}

static uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

// Random bits, and every other time a number of the size that programs have.
static uint64_t random_operand(DType t, uint64_t *state)
{
    uint64_t bits = next_random(state);
    if (bits & 1) return t == DTYPE_F64 ? next_random(state) : next_random(state) & 0xffffffff;
    return scalar_from_double(t, ((double)(int64_t)bits) * 0x1p-63 *
                                     (bits & 2   ? 1.1
                                      : bits & 4 ? 20
                                                 : 800));
}

static Worst sweep(const MathCase *m, DType t, uint64_t step)
{
    OpCase c = {.op = m->op, .t = t, .to = t, .arity = m->arity, .lanes = LANES};
    Compiled *k = op_compile(c);
    Worst worst = {0};
    uint64_t x[BATCH], y[BATCH], state = 88172645463325252u, count = 0;
    bool by_step = t == DTYPE_F32 && m->arity == 1;
    uint64_t total = by_step ? ((uint64_t)1 << 32) / step : F64_SAMPLES;
    while (count < total) {
        for (unsigned i = 0; i < BATCH; i++, count++) {
            x[i] = by_step ? count * step & 0xffffffff : random_operand(t, &state);
            y[i] = random_operand(t, &state);
        }
        measure(m, t, k, c, x, y, &worst);
    }
    kernel_free(k);
    return worst;
}

START_TEST(errors_stay_below_the_documented_bounds)
{
    const MathCase *m = &cases[_i / 2];
    DType t = _i % 2 ? DTYPE_F64 : DTYPE_F32;
    const char *step = getenv("HAKO_SWEEP");
    Worst w = sweep(m, t, step ? strtoull(step, NULL, 10) : STEP);
    double bound = t == DTYPE_F32 ? m->bound_f32 : m->bound_f64;
    if (step) {
        printf("| %s | %s | %s | %.3g | %.3f at %a |\n", op_info[m->op].mnemonic,
               dtype_info[t].name, t == DTYPE_F32 ? m->how_f32 : m->how_f64, bound, w.error, w.x);
        fflush(stdout);
    }
    ck_assert_msg(w.error <= bound, "%s of %s: %.3f ULP, promised %.3g, at (%a, %a): %a",
                  op_info[m->op].mnemonic, dtype_info[t].name, w.error, bound, w.x, w.y, w.got);
}
END_TEST

// ---- throughput

static double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

// A chain of additions takes a cycle for each, whatever clock the CPU runs at.
static double second_of_cycle(void)
{
    enum { ADDITIONS = 1 << 22 };
    double best = 1;
    for (int turn = 0; turn < 20; turn++) {
        double start = seconds();
        uint64_t x = 1;
        for (int i = 0; i < ADDITIONS; i++) __asm__ volatile("add %0, %0" : "+r"(x));
        double taken = (seconds() - start) / ADDITIONS;
        if (taken < best) best = taken;
    }
    return best;
}

static double cycles_for_16(const MathCase *m, DType t)
{
    enum { ELEMENTS = 2048, TURNS = 400, REPEATS = 8, VECTOR = 64 };
    static _Alignas(64) double memory[3][ELEMENTS];
    OpCase c = {.op = m->op, .t = t, .to = t, .arity = m->arity};
    c.lanes = VECTOR / (t == DTYPE_F64 ? 8 : 4);
    Compiled *k = op_compile(c);
    for (unsigned i = 0; i < ELEMENTS; i++) {
        double x = 0.1 + 0.8 * (double)(i * 977 % ELEMENTS) / ELEMENTS;
        storage_store(t, memory[0], i, scalar_from_double(t, x));
        storage_store(t, memory[1], i, scalar_from_double(t, 2 - x));
    }
    double best = INFINITY;
    for (int turn = 0; turn < TURNS; turn++) {
        double start = seconds();
        for (int r = 0; r < REPEATS; r++)
            op_run(k, c, (void *[]){memory[0], memory[1]}, memory[2], ELEMENTS);
        best = fmin(best, seconds() - start);
    }
    kernel_free(k);
    return best * 16 / (ELEMENTS * (double)REPEATS);
}

static int print_cycles(void)
{
    double cycle = second_of_cycle();
    printf("| function | f32 | f64 |\n|---|---|---|\n");
    for (unsigned i = 0; i < CASES; i++)
        printf("| `%s` | %.1f | %.1f |\n", op_info[cases[i].op].mnemonic,
               cycles_for_16(&cases[i], DTYPE_F32) / cycle,
               cycles_for_16(&cases[i], DTYPE_F64) / cycle);
    return 0;
}

int main(void)
{
    if (getenv("HAKO_CYCLES")) return print_cycles();
    TCase *tests = tcase_create("math");
    tcase_set_timeout(tests, 7200);
    tcase_add_loop_test(tests, errors_stay_below_the_documented_bounds, 0, 2 * CASES);
    return run_cases("math", tests);
}
