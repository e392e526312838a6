// The prover: what follows from facts about sizes and lanes, and what does not.
#include "ir/prove.h"

#include <check.h>

enum { N = 1, M, K, E, A, a, b, c, x, y, q };

typedef struct Fixture {
    Arena arena;
    Prover prover;
} Fixture;

static void start(Fixture *f)
{
    arena_init(&f->arena, NULL);
    prover_init(&f->prover, &f->arena);
    for (AtomId size = N; size <= A; size++) prover_fact(&f->prover, poly_atom(&f->arena, size));
}

static Poly atom(Fixture *f, AtomId id)
{
    return poly_atom(&f->arena, id);
}

// k + i1 * x1 + i2 * x2.
static Poly sum(Fixture *f, int64_t k, int i1, AtomId x1, int i2, AtomId x2)
{
    Poly p = poly_const(&f->arena, k);
    if (i1) p = poly_add(&f->arena, p, poly_scale(&f->arena, atom(f, x1), i1));
    if (i2) p = poly_add(&f->arena, p, poly_scale(&f->arena, atom(f, x2), i2));
    return p;
}

static Poly product(Fixture *f, AtomId i, AtomId j)
{
    return poly_mul(&f->arena, atom(f, i), atom(f, j));
}

// 0 <= lane < size
static void lane(Fixture *f, AtomId id, AtomId size)
{
    prover_fact(&f->prover, atom(f, id));
    prover_fact(&f->prover, sum(f, -1, 1, size, -1, id));
}

START_TEST(test_ranges)
{
    Fixture f;
    start(&f);
    lane(&f, a, N);
    ck_assert(prover_nonneg(&f.prover, sum(&f, -1, 1, N, -1, a)));
    ck_assert(prover_nonneg(&f.prover, sum(&f, -1, 1, N, 0, 0))); // a exists, so N is at least 1
    ck_assert(!prover_nonneg(&f.prover, sum(&f, -2, 1, N, -1, a)));
    ck_assert(!prover_nonneg(&f.prover, sum(&f, -1, 1, M, -1, a)));
    // 2 a + 1 < 2 N
    ck_assert(prover_nonneg(&f.prover, sum(&f, -2, 2, N, -2, a)));
    arena_free(&f.arena);
}
END_TEST

START_TEST(test_integers)
{
    Fixture f;
    start(&f);
    // 2 x >= 1 and 2 x <= 1 has no integer solution, nor has 2 x == 1.
    prover_fact(&f.prover, sum(&f, -1, 2, x, 0, 0));
    ck_assert(!prover_refute(&f.prover));
    ck_assert(prover_nonneg(&f.prover, sum(&f, -1, 1, x, 0, 0)));
    prover_fact(&f.prover, sum(&f, 1, -2, x, 0, 0));
    ck_assert(prover_refute(&f.prover));
    prover_reset(&f.prover);
    prover_equal(&f.prover, sum(&f, -1, 2, x, 0, 0));
    ck_assert(prover_refute(&f.prover));
    arena_free(&f.arena);
}
END_TEST

START_TEST(test_mixed_radix)
{
    Fixture f;
    start(&f);
    lane(&f, a, A);
    lane(&f, b, E);
    // a E + b < A E
    Poly index = poly_add(&f.arena, product(&f, a, E), atom(&f, b));
    Poly room = poly_offset(&f.arena, poly_sub(&f.arena, product(&f, A, E), index), -1);
    ck_assert(prover_nonneg(&f.prover, index));
    ck_assert(prover_nonneg(&f.prover, room));
    ck_assert(!prover_nonneg(&f.prover, poly_offset(&f.arena, room, -1)));
    // a E + b == x E + y with y in 0 .. E: a == x
    lane(&f, y, E);
    prover_equal(&f.prover,
                 poly_sub(&f.arena, index, poly_add(&f.arena, product(&f, x, E), atom(&f, y))));
    ck_assert(prover_nonneg(&f.prover, sum(&f, 0, 1, a, -1, x)));
    ck_assert(prover_nonneg(&f.prover, sum(&f, 0, -1, a, 1, x)));
    arena_free(&f.arena);
}
END_TEST

START_TEST(test_splits)
{
    Fixture f;
    start(&f);
    // q is x or y; both are below N
    prover_fact(&f.prover, sum(&f, -1, 1, N, -1, x));
    prover_fact(&f.prover, sum(&f, -1, 1, N, -1, y));
    Split split = {.branch_count = 2, .counts = {1, 1}};
    split.facts[0][0] = sum(&f, 0, 1, x, -1, q);
    split.facts[1][0] = sum(&f, 0, 1, y, -1, q);
    vec_push(&f.arena, &f.prover.splits, split);
    ck_assert(prover_nonneg(&f.prover, sum(&f, -1, 1, N, -1, q)));
    ck_assert(!prover_nonneg(&f.prover, sum(&f, -2, 1, N, -1, q)));
    arena_free(&f.arena);
}
END_TEST

START_TEST(test_implications)
{
    Fixture f;
    start(&f);
    // a < b implies x <= y
    Implication rule = {.premise = sum(&f, -1, 1, b, -1, a), .count = 1};
    rule.conclusions[0] = sum(&f, 0, 1, y, -1, x);
    vec_push(&f.arena, &f.prover.implications, rule);
    ck_assert(!prover_nonneg(&f.prover, sum(&f, 0, 1, y, -1, x)));
    prover_fact(&f.prover, sum(&f, -1, 1, b, -1, a));
    ck_assert(prover_nonneg(&f.prover, sum(&f, 0, 1, y, -1, x)));
    arena_free(&f.arena);
}
END_TEST

START_TEST(test_limits)
{
    Fixture f;
    start(&f);
    Poly big = poly_scale(&f.arena, atom(&f, N), INT64_MAX);
    ck_assert(poly_add(&f.arena, big, big).bad);
    ck_assert(!prover_nonneg(&f.prover, poly_bad()));
    Poly p = atom(&f, N);
    for (int i = 0; i < MONO_DEGREE_MAX; i++) p = poly_mul(&f.arena, p, atom(&f, M));
    ck_assert(p.bad);
    // More facts than there is room for: fewer proofs, no fault.
    for (AtomId i = 100; i < 1000; i++) prover_fact(&f.prover, sum(&f, 1, 1, i, -1, i + 1));
    ck_assert(!prover_nonneg(&f.prover, sum(&f, -1, 1, x, 0, 0)));
    ck_assert(prover_nonneg(&f.prover, sum(&f, 1, 1, 999, -1, 1000)));
    arena_free(&f.arena);
}
END_TEST

START_TEST(test_poly)
{
    Fixture f;
    start(&f);
    // (a + 2)(a - 2) = a a - 4; with a = b + 1 that is b b + 2 b - 3
    Poly p = poly_mul(&f.arena, sum(&f, 2, 1, a, 0, 0), sum(&f, -2, 1, a, 0, 0));
    ck_assert(poly_equal(p, poly_offset(&f.arena, product(&f, a, a), -4)));
    Poly r = poly_substitute(&f.arena, p, a, sum(&f, 1, 1, b, 0, 0));
    ck_assert(poly_equal(r, poly_add(&f.arena, product(&f, b, b), sum(&f, -3, 2, b, 0, 0))));
    Poly factor, rest;
    ck_assert(!poly_split(&f.arena, p, a, &factor, &rest));
    ck_assert(poly_split(&f.arena, poly_add(&f.arena, product(&f, a, E), atom(&f, b)), a, &factor,
                         &rest));
    ck_assert(poly_equal(factor, atom(&f, E)) && poly_equal(rest, atom(&f, b)));
    arena_free(&f.arena);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("prove");
    TCase *all = tcase_create("all");
    tcase_add_test(all, test_ranges);
    tcase_add_test(all, test_integers);
    tcase_add_test(all, test_mixed_radix);
    tcase_add_test(all, test_splits);
    tcase_add_test(all, test_implications);
    tcase_add_test(all, test_limits);
    tcase_add_test(all, test_poly);
    suite_add_tcase(suite, all);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
