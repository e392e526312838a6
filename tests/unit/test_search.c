// The tuner's searches on costs that are computed, and its comparing of noisy times.
#include <check.h>
#include <math.h>
#include <stdlib.h>

#include "passes/tune/compare.h"
#include "passes/tune/search.h"
#include "runtime/finals.h"

enum { KNOBS = 7 };
static const uint8_t levels[KNOBS] = {6, 5, 8, 3, 4, 2, 7};

// A valley with interactions, walls where nothing runs, and one best point.
static double cost_of(const Point *p)
{
    double a = p->at[0] - 3, b = p->at[1] - 1, c = p->at[2] - 5, d = p->at[4] - 2, e = p->at[6] - 4;
    if (p->at[3] == 2 && p->at[2] > 6) return INFINITY;
    return 1 + 0.2 * a * a + 0.1 * (b - 0.5 * c) * (b - 0.5 * c) + 0.1 * c * c + 0.05 * d * d +
           0.02 * e * e + 0.3 * p->at[5] + 0.1 * (p->at[3] != 1) + 0.02 * b * b;
}

static double best_after(SearchKind kind, uint64_t seed, int asks)
{
    Arena arena;
    arena_init(&arena, NULL);
    Point p = {{0}};
    Search *s = search_new(&arena, kind, levels, KNOBS, &p, seed);
    double best = INFINITY;
    for (int k = 0; k < asks && search_ask(s, &p); k++) {
        double cost = cost_of(&p);
        search_tell(s, &p, cost);
        best = fmin(best, cost);
    }
    arena_free(&arena);
    return best;
}

START_TEST(each_point_once)
{
    static const uint8_t few[3] = {3, 4, 5};
    for (int kind = 0; kind < SEARCH_KINDS; kind++) {
        Arena arena;
        arena_init(&arena, NULL);
        bool seen[60] = {false};
        Point p = {{1, 2, 3}};
        Search *s = search_new(&arena, (SearchKind)kind, few, 3, &p, 5);
        int count = 0;
        while (search_ask(s, &p)) {
            int at = p.at[0] + 3 * p.at[1] + 12 * p.at[2];
            if (count == 0) ck_assert_int_eq(at, 1 + 6 + 36);
            ck_assert_msg(!seen[at], "%s asks twice", search_names[kind]);
            seen[at] = true;
            count++;
            search_tell(s, &p, at % 7 == 3 ? INFINITY : 1.0 + at);
        }
        ck_assert_msg(count == 60, "%s asked for %d of 60", search_names[kind], count);
        arena_free(&arena);
    }
}
END_TEST

START_TEST(same_seed_same_points)
{
    for (int kind = 0; kind < SEARCH_KINDS; kind++)
        ck_assert(best_after((SearchKind)kind, 9, 60) == best_after((SearchKind)kind, 9, 60));
}
END_TEST

// Of 40,320 points the guided searches find one within 5 % of the best in 150, on average over
// seeds, and are better than drawing at random.
START_TEST(guided_searches_find_good_points)
{
    double mean[SEARCH_KINDS] = {0};
    for (int kind = SEARCH_RANDOM; kind < SEARCH_KINDS; kind++)
        for (uint64_t seed = 1; seed <= 20; seed++)
            mean[kind] += best_after((SearchKind)kind, seed, 150) / 20;
    for (int kind = SEARCH_PATTERN; kind < SEARCH_KINDS; kind++) {
        ck_assert_msg(mean[kind] < 1.06, "%s: %g", search_names[kind], mean[kind]);
        ck_assert_msg(mean[kind] < mean[SEARCH_RANDOM], "%s: %g, random: %g", search_names[kind],
                      mean[kind], mean[SEARCH_RANDOM]);
    }
}
END_TEST

static double uniform(uint64_t *state)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return (double)(*state >> 11) * 0x1p-53;
}

// Times as on a shared machine: a few per cent of jitter, now and then much more, and slow drift.
static double noisy(uint64_t *state, double seconds, double drift)
{
    double jitter =
        0.02 * -log(1 - uniform(state)) + (uniform(state) < 0.1 ? 0.5 * uniform(state) : 0);
    return seconds * (1 + jitter) * drift;
}

START_TEST(gains)
{
    uint64_t state = 3;
    int claims = 0, found = 0;
    enum { TRIALS = 2000, ROUNDS = 40 };
    for (int trial = 0; trial < TRIALS; trial++) {
        double base[ROUNDS], same[ROUNDS], faster[ROUNDS], drift = 1;
        for (int r = 0; r < ROUNDS; r++) {
            drift *= 0.95 + 0.1 * uniform(&state);
            base[r] = noisy(&state, 1e-3, drift);
            same[r] = noisy(&state, 1e-3, drift);
            faster[r] = noisy(&state, 0.9e-3, drift);
        }
        claims += gain_of(base, same, ROUNDS, COMPARE_SURE).low > 1.005;
        found += gain_of(base, faster, ROUNDS, COMPARE_SURE).low > 1.005;
    }
    ck_assert_msg(claims <= TRIALS / 100, "%d false claims of %d", claims, TRIALS);
    ck_assert_msg(found > TRIALS * 8 / 10, "%d of %d true gains found", found, TRIALS);
}
END_TEST

START_TEST(gains_of_few_or_failed_rounds)
{
    double base[3] = {1, 1, 1}, other[3] = {0.5, INFINITY, 0.5};
    ck_assert(gain_of(base, other, 0, COMPARE_SURE).low == 0);
    ck_assert(fabs(gain_of(base, other, 3, COMPARE_SURE).ratio - 2) < 1e-9);
    ck_assert(gain_of(base, other, 3, COMPARE_SURE).low == 0 &&
              isinf(gain_of(base, other, 3, COMPARE_SURE).high));
    ck_assert(isinf(median_of(other + 1, 1)));
    ck_assert(median_of(other, 3) == 0.5);
}
END_TEST

// ---- finals

typedef struct Track {
    uint64_t state;
    uint32_t turns[4]; // of each Config; the last one fails in its fifth turn
} Track;

static double run_turn(void *self, const Finalist *finalist)
{
    static const double seconds[] = {1e-3, 0.97e-3, 2e-3, 0.5e-3};
    Track *track = self;
    int k = finalist->config.data[0] - 'a';
    if (++track->turns[k] == 5 && k == 3) return INFINITY;
    return noisy(&track->state, seconds[k], 1);
}

static bool always(void *self, uint32_t rounds)
{
    (void)self, (void)rounds;
    return true;
}

// The one that is 3 % faster wins, the slow one leaves early, the one that fails can win nothing.
START_TEST(finals)
{
    Track track = {.state = 5};
    static Finals f;
    f = (Finals){.count = 5, .random = 3, .time = run_turn, .goes_on = always, .self = &track};
    const char *configs[] = {"a", "a", "b", "c", "d"};
    for (uint32_t k = 0; k < f.count; k++) f.list[k].config = str_of(configs[k]);
    finals_race(&f);
    ck_assert_uint_eq(f.rounds, FINAL_ROUNDS_MOST);
    ck_assert_uint_eq(finals_decide(&f), 2);
    ck_assert(f.list[2].gain.low > 1.005 && f.list[2].gain.high < 1.06);
    ck_assert(f.list[3].out && track.turns[2] == FINAL_ROUNDS_LEAST);
    ck_assert(f.list[4].out && track.turns[3] == 5);
    ck_assert(f.noise < 0.01 && f.resolution < 0.05);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("search");
    TCase *tests = tcase_create("search");
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, each_point_once);
    tcase_add_test(tests, same_seed_same_points);
    tcase_add_test(tests, guided_searches_find_good_points);
    tcase_add_test(tests, gains);
    tcase_add_test(tests, gains_of_few_or_failed_rounds);
    tcase_add_test(tests, finals);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
