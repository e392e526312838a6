// The scalar meaning of operations: known values, wrapping, signed zeros, NaN, conversions,
// reductions.
#include "ir/eval.h"
#include "tests/unit/suite.h"

#include <math.h>

static uint64_t eval(Op op, DType t, unsigned count, const uint64_t *args)
{
    uint64_t result = 0xdead;
    ck_assert_msg(eval_op(op, t, t, 0, args, count, &result), "%s is not elementwise",
                  op_info[op].mnemonic);
    return result;
}

static double f32_op(Op op, double a, double b)
{
    uint64_t args[2] = {scalar_from_double(DTYPE_F32, a), scalar_from_double(DTYPE_F32, b)};
    return scalar_to_double(DTYPE_F32, eval(op, DTYPE_F32, op_info[op].arity, args));
}

static double f64_op(Op op, double a)
{
    uint64_t arg = scalar_from_double(DTYPE_F64, a);
    return scalar_to_double(DTYPE_F64, eval(op, DTYPE_F64, 1, &arg));
}

static int64_t int_op(Op op, DType t, int64_t a, int64_t b)
{
    uint64_t args[2] = {(uint64_t)a, (uint64_t)b};
    return (int64_t)eval(op, t, op_info[op].arity, args);
}

static uint64_t convert(Op op, DType from, DType to, DType kind, uint64_t bits)
{
    uint64_t result;
    ck_assert(eval_op(op, from, to, kind, &bits, 1, &result));
    return result;
}

START_TEST(f32_arithmetic_is_that_of_float)
{
    const float values[] = {0.1f, 1.0f / 3, -7.25f, 1e30f, 3e-39f, 16777217.0f, 0x1.fffffep127f};
    for (unsigned i = 0; i < 7; i++) {
        for (unsigned j = 0; j < 7; j++) {
            float a = values[i], b = values[j];
            ck_assert(f32_op(OP_ADD, a, b) == (double)(a + b));
            ck_assert(f32_op(OP_SUB, a, b) == (double)(a - b) || isnan(a - b));
            ck_assert(f32_op(OP_MUL, a, b) == (double)(a * b));
            ck_assert(f32_op(OP_DIV, a, b) == (double)(a / b));
            ck_assert(f32_op(OP_REM, a, b) == (double)fmodf(a, b));
        }
        ck_assert(f32_op(OP_EXP, values[i], 0) == (double)(float)exp((double)values[i]));
    }
}
END_TEST

START_TEST(fma_rounds_once)
{
    uint64_t args[3] = {scalar_from_double(DTYPE_F32, 1 + 0x1p-12),
                        scalar_from_double(DTYPE_F32, 1 - 0x1p-12),
                        scalar_from_double(DTYPE_F32, -1)};
    ck_assert(scalar_to_double(DTYPE_F32, eval(OP_FMA, DTYPE_F32, 3, args)) == -0x1p-24);
}
END_TEST

START_TEST(min_and_max_order_zeros_and_keep_nan)
{
    ck_assert(signbit(f32_op(OP_MIN, 0.0, -0.0)) && signbit(f32_op(OP_MIN, -0.0, 0.0)));
    ck_assert(!signbit(f32_op(OP_MAX, 0.0, -0.0)) && !signbit(f32_op(OP_MAX, -0.0, 0.0)));
    ck_assert(isnan(f32_op(OP_MIN, NAN, 1)) && isnan(f32_op(OP_MAX, 1, NAN)));
    ck_assert(f32_op(OP_FMIN, NAN, 1) == 1 && f32_op(OP_FMAX, 1, NAN) == 1);
    ck_assert(isnan(f32_op(OP_FMAX, NAN, NAN)));
}
END_TEST

START_TEST(sign_and_round)
{
    ck_assert(f32_op(OP_SIGN, -3, 0) == -1 && isnan(f32_op(OP_SIGN, NAN, 0)));
    ck_assert(signbit(f32_op(OP_SIGN, -0.0, 0)));
    ck_assert(f32_op(OP_ROUND, 2.5, 0) == 2 && f32_op(OP_ROUND, 3.5, 0) == 4 &&
              f32_op(OP_ROUND, -0.5, 0) == 0);
    ck_assert(f32_op(OP_TRUNC, -1.7, 0) == -1 && f32_op(OP_FLOOR, -1.2, 0) == -2 &&
              f32_op(OP_CEIL, 1.2, 0) == 2);
}
END_TEST

START_TEST(transcendental_values)
{
    ck_assert(fabs(f64_op(OP_ERFINV, 0.5) - 0.47693627620446987) < 1e-15);
    ck_assert(f64_op(OP_ERFINV, -1) == -(double)INFINITY && isnan(f64_op(OP_ERFINV, 1.5)));
    ck_assert(fabs(erf(f64_op(OP_ERFINV, 1e-5)) / 1e-5 - 1) < 1e-14);
    ck_assert(f64_op(OP_EXP2, 10) == 1024 && f64_op(OP_LOG2, 8) == 3 && f64_op(OP_RSQRT, 4) == 0.5);
    ck_assert(f64_op(OP_TANH, 100) == 1 && f64_op(OP_LOG, 0) == -(double)INFINITY &&
              isnan(f64_op(OP_SQRT, -1)));
}
END_TEST

START_TEST(integers_wrap)
{
    ck_assert_int_eq(int_op(OP_ADD, DTYPE_I32, INT32_MAX, 1), INT32_MIN);
    ck_assert_int_eq(int_op(OP_MUL, DTYPE_I32, 65536, 65536), 0);
    ck_assert_int_eq(int_op(OP_ADD, DTYPE_I64, INT64_MAX, 1), INT64_MIN);
    ck_assert_int_eq(int_op(OP_NEG, DTYPE_I32, INT32_MIN, 0), INT32_MIN);
    ck_assert_int_eq(int_op(OP_ABS, DTYPE_I64, INT64_MIN, 0), INT64_MIN);
    ck_assert_int_eq(int_op(OP_DIV, DTYPE_I32, INT32_MIN, -1), INT32_MIN);
    ck_assert_int_eq(int_op(OP_DIV, DTYPE_I64, -7, 2), -3);
    ck_assert_int_eq(int_op(OP_REM, DTYPE_I64, -7, 2), -1);
    ck_assert_int_eq(int_op(OP_DIV, DTYPE_I64, 5, 0), 0);
    ck_assert_int_eq(int_op(OP_REM, DTYPE_I64, INT64_MIN, -1), 0);
    ck_assert_int_eq(int_op(OP_POW, DTYPE_I32, 3, 4), 81);
    ck_assert_int_eq(int_op(OP_POW, DTYPE_I64, -1, -3), -1);
}
END_TEST

START_TEST(shifts_and_bits)
{
    ck_assert_int_eq(int_op(OP_SHL, DTYPE_I32, 1, 31), INT32_MIN);
    ck_assert_int_eq(int_op(OP_SHL, DTYPE_I32, 1, 32), 0);
    ck_assert_int_eq(int_op(OP_SHL, DTYPE_I64, 1, -1), 0);
    ck_assert_int_eq(int_op(OP_SHR, DTYPE_I32, -8, 1), -4);
    ck_assert_int_eq(int_op(OP_SHR, DTYPE_I32, -8, 40), -1);
    ck_assert_int_eq(int_op(OP_SHR, DTYPE_I64, 8, -1), 0);
    ck_assert_int_eq(int_op(OP_POPCOUNT, DTYPE_I32, -1, 0), 32);
    ck_assert_int_eq(int_op(OP_CLZ, DTYPE_I32, 1, 0), 31);
    ck_assert_int_eq(int_op(OP_CLZ, DTYPE_I64, 0, 0), 64);
    ck_assert_int_eq(int_op(OP_NOT, DTYPE_BOOL, 1, 0), 0);
    ck_assert_int_eq(int_op(OP_NOT, DTYPE_I32, 0, 0), -1);
}
END_TEST

START_TEST(casts_saturate_and_wrap)
{
    ck_assert_int_eq(
        (int64_t)convert(OP_CAST, DTYPE_F32, DTYPE_I32, 0, scalar_from_double(DTYPE_F32, 3e9)),
        INT32_MAX);
    ck_assert_int_eq(
        (int64_t)convert(OP_CAST, DTYPE_F32, DTYPE_I64, 0, scalar_from_double(DTYPE_F32, -1e30)),
        INT64_MIN);
    ck_assert_int_eq(
        (int64_t)convert(OP_CAST, DTYPE_F64, DTYPE_I32, 0, scalar_from_double(DTYPE_F64, NAN)), 0);
    ck_assert_int_eq(
        (int64_t)convert(OP_CAST, DTYPE_F64, DTYPE_I32, 0, scalar_from_double(DTYPE_F64, -2.9)),
        -2);
    ck_assert_int_eq((int64_t)convert(OP_CAST, DTYPE_I64, DTYPE_I32, 0, (uint64_t)1 << 31),
                     INT32_MIN);
    ck_assert_uint_eq(convert(OP_CAST, DTYPE_I64, DTYPE_F32, 0, ((uint64_t)1 << 25) + 1),
                      scalar_from_double(DTYPE_F32, 0x1p25));
    // Through double this would round twice: 2^60 + 2^36 + 1 is above the middle of two floats.
    ck_assert_uint_eq(
        convert(OP_CAST, DTYPE_I64, DTYPE_F32, 0, ((uint64_t)1 << 60) + ((uint64_t)1 << 36) + 1),
        scalar_from_double(DTYPE_F32, 0x1p60 + 0x1p37));
    ck_assert_uint_eq(
        convert(OP_CAST, DTYPE_F32, DTYPE_BOOL, 0, scalar_from_double(DTYPE_F32, 0.5)), 1);
    ck_assert_uint_eq(convert(OP_BITCAST, DTYPE_I32, DTYPE_F32, 0, (uint64_t)-1), 0xffffffff);
    ck_assert_int_eq((int64_t)convert(OP_BITCAST, DTYPE_F32, DTYPE_I32, 0, 0x80000000), INT32_MIN);
}
END_TEST

START_TEST(quant_and_nearest)
{
    uint64_t x = scalar_from_double(DTYPE_F32, 1000), nan = scalar_from_double(DTYPE_F32, NAN);
    ck_assert(scalar_to_double(DTYPE_F32,
                               convert(OP_QUANT, DTYPE_F32, DTYPE_F32, DTYPE_F8E4M3, x)) == 448);
    ck_assert(scalar_to_double(DTYPE_F32, convert(OP_QUANT, DTYPE_F32, DTYPE_F32, DTYPE_BF16, x)) ==
              1000);
    ck_assert_int_eq((int64_t)convert(OP_QUANT, DTYPE_I32, DTYPE_I32, DTYPE_I8, 200), -56);
    ck_assert_int_eq((int64_t)convert(OP_NEAREST, DTYPE_F32, DTYPE_I32, DTYPE_I8, x), 127);
    ck_assert_int_eq((int64_t)convert(OP_NEAREST, DTYPE_F32, DTYPE_I32, DTYPE_I8,
                                      scalar_from_double(DTYPE_F32, 2.5)),
                     2);
    ck_assert_int_eq((int64_t)convert(OP_NEAREST, DTYPE_F32, DTYPE_I32, DTYPE_U4,
                                      scalar_from_double(DTYPE_F32, -3)),
                     0);
    ck_assert_int_eq((int64_t)convert(OP_NEAREST, DTYPE_F32, DTYPE_I32, DTYPE_I8, nan), 0);
    ck_assert(scalar_to_double(DTYPE_F32, convert(OP_NEAREST, DTYPE_F32, DTYPE_F32, DTYPE_F16,
                                                  scalar_from_double(DTYPE_F32, 1e6))) == 65504);
}
END_TEST

START_TEST(reductions_start_from_their_identity)
{
    const DType types[] = {DTYPE_F32, DTYPE_F64, DTYPE_I32, DTYPE_I64};
    for (unsigned k = 0; k < 4; k++) {
        for (unsigned kind = 0; kind < REDUCE_COUNT; kind++) {
            bool bits = kind == REDUCE_ANY || kind == REDUCE_ALL || kind >= REDUCE_AND;
            if (bits && (dtype_is_float(types[k]) || kind == REDUCE_ANY || kind == REDUCE_ALL))
                continue;
            uint64_t x = scalar_from_int(types[k], -5),
                     identity = reduce_identity((ReduceKind)kind, types[k]);
            ck_assert_uint_eq(reduce_combine((ReduceKind)kind, types[k], identity, x), x);
        }
    }
    ck_assert_uint_eq(
        reduce_combine(REDUCE_ANY, DTYPE_BOOL, reduce_identity(REDUCE_ANY, DTYPE_BOOL), 1), 1);
    ck_assert_uint_eq(
        reduce_combine(REDUCE_ALL, DTYPE_BOOL, reduce_identity(REDUCE_ALL, DTYPE_BOOL), 1), 1);
    ck_assert_int_eq((int64_t)reduce_identity(REDUCE_MAX, DTYPE_I32), INT32_MIN);
    ck_assert_int_eq((int64_t)reduce_identity(REDUCE_MIN, DTYPE_I64), INT64_MAX);
}
END_TEST

START_TEST(arrays_equal_single_elements)
{
    enum { N = 7 };
    for (unsigned op = OP_ADD; op <= OP_CLZ; op++) {
        uint64_t a[N], b[N], c[N], out[N], one;
        for (unsigned i = 0; i < N; i++) {
            a[i] = scalar_from_double(DTYPE_F32, 0.1 * i);
            b[i] = scalar_from_double(DTYPE_F32, 0.7 - i);
            c[i] = scalar_from_double(DTYPE_F32, i);
        }
        const uint64_t *args[3] = {a, b, c};
        if (!eval_array((Op)op, DTYPE_F32, DTYPE_F32, 0, args, op_info[op].arity, out, N)) continue;
        for (unsigned i = 0; i < N; i++) {
            eval_op((Op)op, DTYPE_F32, DTYPE_F32, 0, (uint64_t[]){a[i], b[i], c[i]},
                    op_info[op].arity, &one);
            ck_assert_uint_eq(out[i], one);
        }
    }
}
END_TEST

int main(void)
{
    TCase *cases = tcase_create("eval");
    tcase_add_test(cases, f32_arithmetic_is_that_of_float);
    tcase_add_test(cases, fma_rounds_once);
    tcase_add_test(cases, min_and_max_order_zeros_and_keep_nan);
    tcase_add_test(cases, sign_and_round);
    tcase_add_test(cases, transcendental_values);
    tcase_add_test(cases, integers_wrap);
    tcase_add_test(cases, shifts_and_bits);
    tcase_add_test(cases, casts_saturate_and_wrap);
    tcase_add_test(cases, quant_and_nearest);
    tcase_add_test(cases, reductions_start_from_their_identity);
    tcase_add_test(cases, arrays_equal_single_elements);
    return run_cases("eval", cases);
}
