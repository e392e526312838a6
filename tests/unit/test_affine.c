// Sums of products: what they are read as, and arithmetic on them.
#include "ir/affine.h"
#include "tests/unit/suite.h"

static const char text[] =
    "hako tile @f \"\"\nmem x: f32[2] in\ndim N\ndim K\naxis m: grid\naxis n: whole\n{\n"
    "  %0 = dim N : i64\n  %1 = dim K : i64\n  %2 = const 0 : i64\n  %3 = const 4 : i64\n  tensor "
    "x (%0, %1)\n"
    "  phase grid {\n    grid m (%2, %0) {\n      axis n (%2, %1)\n"
    "      %4 = index m : i64{m}\n      %5 = index n : i64{n}\n"
    "      %6.row = mul (%4, %1) : i64{m}\n      %7.at = add (%6, %5) : i64{m,n}\n"
    "      %8.four = mul (%7, %3) : i64{m,n}\n      %9.back = div (%8, %3) : i64{m,n}\n"
    "      %10.rest = rem (%8, %3) : i64{m,n}\n      %11.q = div (%5, %3) : i64{n}\n"
    "      %12.q2 = div (%5, %3) : i64{n}\n      %13.same = sub (%11, %12) : i64{n}\n"
    "      %14.width = extent x[1] : i64\n      %15.product = mul (%4, %5) : i64{m,n}\n"
    "      %16.rows = div (%6, %14) : i64{m}\n    }\n  }\n}\n";

static Arena arena;
static Func *f;

static Value named(const char *name)
{
    for (uint32_t i = 1; i < f->values.count; i++) {
        if (str_is(f->values.data[i].name, name)) return (Value){i};
    }
    ck_abort_msg("no value %s", name);
    return (Value){0};
}

static Affine decode(const char *name)
{
    Affine a;
    ck_assert(affine_decode(f, named(name), &a));
    return a;
}

static void setup(void)
{
    arena_init(&arena, NULL);
    DiagList diags = {.arena = &arena};
    f = func_parse(&arena, str_of(text), &diags, 0);
    ck_assert_msg(f != NULL, "%s", diags.diags.count ? diags.diags.data[0]->message.data : "");
}

static void teardown(void)
{
    arena_free(&arena);
}

static const Axis m = {1}, n = {2};

START_TEST(sums_are_read)
{
    Affine at = decode("at"), c = affine_coefficient(&at, n), row = affine_coefficient(&at, m);
    int64_t x;
    ck_assert(affine_is_constant(&c, &x) && x == 1);
    ck_assert_uint_eq(row.count, 1);
    ck_assert_uint_eq(value_def(f, row.terms[0].symbols[0])->op, OP_DIM);
    Affine rest = affine_without(&at, m);
    rest = affine_without(&rest, n);
    ck_assert(affine_is_constant(&rest, &x) && x == 0);
    ck_assert_uint_eq(affine_axes(f, &at), axis_bit(m) | axis_bit(n));
}
END_TEST

START_TEST(exact_quotients_vanish)
{
    Affine at = decode("at"), back = decode("back"), rest = decode("rest"), rows = decode("rows"),
           index = affine_axis(m);
    int64_t x;
    ck_assert(affine_equal(f, &at, &back));
    ck_assert(affine_is_constant(&rest, &x) && x == 0);
    ck_assert(affine_equal(f, &rows, &index)); // (m * K) / extent(x, 1), which is K
}
END_TEST

START_TEST(what_is_no_sum_is_a_symbol)
{
    Affine q = decode("q"), same = decode("same"), product = decode("product");
    int64_t x;
    ck_assert(q.count == 1 && q.terms[0].symbols[0].i == named("q").i);
    ck_assert(affine_is_constant(&same, &x) && x == 0); // computed alike
    ck_assert(product.count == 1 && product.terms[0].symbols[0].i == named("product").i);
}
END_TEST

START_TEST(overflow_is_refused)
{
    Affine a = affine_constant(INT64_MAX), one = affine_constant(1), out;
    ck_assert(!affine_add(f, &a, &one, &out));
    ck_assert(!affine_scale(&a, 2, &out));
    ck_assert(!affine_mul(f, &a, &a, &out));
}
END_TEST

int main(void)
{
    TCase *cases = tcase_create("affine");
    tcase_add_checked_fixture(cases, setup, teardown);
    tcase_add_test(cases, sums_are_read);
    tcase_add_test(cases, exact_quotients_vanish);
    tcase_add_test(cases, what_is_no_sum_is_a_symbol);
    tcase_add_test(cases, overflow_is_refused);
    return run_cases("affine", cases);
}
