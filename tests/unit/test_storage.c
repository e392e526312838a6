// Storage types: every code of every small float against an independent reading of the format,
// ties, and packed elements of memory.
#include "ir/eval.h"
#include "tests/unit/suite.h"

#include <math.h>

typedef struct Format {
    DType t;
    unsigned mantissa, exponent, bias;
    bool has_infinity, has_nan;
} Format;

static const Format formats[] = {
    {DTYPE_F16, 10, 5, 15, true, true},    {DTYPE_BF16, 7, 8, 127, true, true},
    {DTYPE_F8E4M3, 3, 4, 7, false, true},  {DTYPE_F8E5M2, 2, 5, 15, true, true},
    {DTYPE_F4E2M1, 1, 2, 1, false, false},
};
enum { FORMATS = sizeof formats / sizeof *formats };

// From the definition: sign, exponent with bias, mantissa; computed with pow, unlike the code under
// test.
static double reading(const Format *f, unsigned code)
{
    unsigned mantissa = code & ((1u << f->mantissa) - 1),
             exponent = code >> f->mantissa & ((1u << f->exponent) - 1);
    double sign = code >> (f->mantissa + f->exponent) ? -1 : 1;
    unsigned top = (1u << f->exponent) - 1;
    if (f->has_infinity && exponent == top) return mantissa ? (double)NAN : sign * (double)INFINITY;
    if (f->has_nan && !f->has_infinity && exponent == top && mantissa == (1u << f->mantissa) - 1)
        return (double)NAN;
    double fraction = mantissa / pow(2, f->mantissa);
    if (exponent == 0) return sign * fraction * pow(2, 1.0 - f->bias);
    return sign * (1 + fraction) * pow(2, (double)exponent - f->bias);
}

static bool same(double a, double b)
{
    return (isnan(a) && isnan(b)) || (a == b && !signbit(a) == !signbit(b));
}

START_TEST(every_code_round_trips)
{
    for (unsigned k = 0; k < FORMATS; k++) {
        const Format *f = &formats[k];
        for (unsigned code = 0; code < 1u << dtype_info[f->t].bits; code++) {
            double x = storage_decode(f->t, code);
            ck_assert_msg(same(x, reading(f, code)), "%s code %#x is %g", dtype_info[f->t].name,
                          code, x);
            uint32_t line = code;
            double loaded = scalar_to_double(DTYPE_F32, storage_load(f->t, &line, 0));
            ck_assert_msg(same(x, loaded), "%s code %#x is loaded as %g", dtype_info[f->t].name,
                          code, loaded);
            unsigned again = storage_encode(f->t, x);
            ck_assert_msg(isnan(x) ? isnan(storage_decode(f->t, again)) : again == code,
                          "%s code %#x gives %#x", dtype_info[f->t].name, code, again);
        }
    }
}
END_TEST

START_TEST(between_two_codes_the_nearest_wins)
{
    for (unsigned k = 0; k < FORMATS; k++) {
        const Format *f = &formats[k];
        for (unsigned code = 0; code < 1u << (dtype_info[f->t].bits - 1); code++) {
            double low = reading(f, code), high = reading(f, code + 1), middle = (low + high) / 2;
            if (!isfinite(low) || !isfinite(high) || high <= low) continue;
            unsigned even = code & 1 ? code + 1 : code, sign = 1u << (dtype_info[f->t].bits - 1);
            ck_assert_uint_eq(storage_encode(f->t, middle), even);
            ck_assert_uint_eq(storage_encode(f->t, -middle), even | sign);
            ck_assert_uint_eq(storage_encode(f->t, nextafter(middle, low)), code);
            ck_assert_uint_eq(storage_encode(f->t, nextafter(middle, high)), code + 1);
        }
    }
}
END_TEST

START_TEST(overflow)
{
    ck_assert(isinf(storage_decode(DTYPE_F16, storage_encode(DTYPE_F16, 65520))));
    ck_assert(storage_decode(DTYPE_F16, storage_encode(DTYPE_F16, 65519.99)) == 65504);
    ck_assert(isinf(storage_decode(DTYPE_BF16, storage_encode(DTYPE_BF16, -1e39))));
    ck_assert(isinf(storage_decode(DTYPE_F8E5M2, storage_encode(DTYPE_F8E5M2, 1e300))));
    ck_assert(storage_decode(DTYPE_F8E4M3, storage_encode(DTYPE_F8E4M3, (double)INFINITY)) == 448);
    ck_assert(storage_decode(DTYPE_F8E4M3, storage_encode(DTYPE_F8E4M3, -1e300)) == -448);
    ck_assert(storage_decode(DTYPE_F4E2M1, storage_encode(DTYPE_F4E2M1, (double)NAN)) == 6);
    ck_assert(storage_decode(DTYPE_F4E2M1, storage_encode(DTYPE_F4E2M1, -100)) == -6);
    ck_assert_uint_eq(storage_encode(DTYPE_F16, 0x1p-1074), 0);
    ck_assert_uint_eq(storage_encode(DTYPE_BF16, -0.0), 0x8000);
}
END_TEST

START_TEST(memory_holds_what_was_stored)
{
    for (unsigned t = DTYPE_NONE + 1; t < DTYPE_COUNT; t++) {
        unsigned char line[64];
        memset(line, 0xa5, sizeof line);
        DType arith = dtype_info[t].arith;
        for (int64_t i = 0; i < 5; i++)
            storage_store((DType)t, line, i, scalar_from_int(arith, i & (t == DTYPE_BOOL ? 1 : 3)));
        for (int64_t i = 0; i < 5; i++) {
            ck_assert_uint_eq(storage_load((DType)t, line, i),
                              scalar_from_int(arith, i & (t == DTYPE_BOOL ? 1 : 3)));
        }
        ck_assert_uint_eq(line[dtype_bytes((DType)t, 5)], 0xa5);
    }
}
END_TEST

START_TEST(integers_wrap_in_memory)
{
    unsigned char line[16] = {0};
    storage_store(DTYPE_I4, line, 1, (uint64_t)-1);
    ck_assert_uint_eq(line[0], 0xf0);
    ck_assert_int_eq((int64_t)storage_load(DTYPE_I4, line, 1), -1);
    storage_store(DTYPE_I4, line, 0, 8);
    ck_assert_int_eq((int64_t)storage_load(DTYPE_I4, line, 0), -8);
    storage_store(DTYPE_U4, line, 2, 19);
    ck_assert_int_eq((int64_t)storage_load(DTYPE_U4, line, 2), 3);
    storage_store(DTYPE_I8, line, 3, 200);
    ck_assert_int_eq((int64_t)storage_load(DTYPE_I8, line, 3), -56);
    storage_store(DTYPE_U32, line, 1, (uint64_t)-1);
    ck_assert_int_eq((int64_t)storage_load(DTYPE_U32, line, 1), 4294967295);
    line[0] = 7; // any other byte is true as well
    ck_assert_uint_eq(storage_load(DTYPE_BOOL, line, 0), 1);
}
END_TEST

int main(void)
{
    TCase *cases = tcase_create("storage");
    tcase_add_test(cases, every_code_round_trips);
    tcase_add_test(cases, between_two_codes_the_nearest_wins);
    tcase_add_test(cases, overflow);
    tcase_add_test(cases, memory_holds_what_was_stored);
    tcase_add_test(cases, integers_wrap_in_memory);
    return run_cases("storage", cases);
}
