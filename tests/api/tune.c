// Tuning from C: trials, searches in this process, progress, stopping, wrong calls.
#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tests/api/common.h"

enum { M = 37, N = 300 };

static const char *const scale_text = "kernel scale(x: f32[M, N], inout total: f32[M])"
                                      " -> (y: f32[M, N]) {"
                                      "  tile m in M { axis n in N; y[m, n] = 3 * x[m, n];"
                                      "    total[m] = total[m] + sum[n](x[m, n]); } }";

typedef struct Case {
    Fixture f;
    float x[M * N], y[M * N], total[M];
    int64_t matrix[2], row[1];
    DLTensor tensors[3];
    hk_arg args[3];
    hk_specialize_options options;
} Case;

static Case *case_new(void)
{
    Case *c = calloc(1, sizeof *c);
    c->f = fixture(scale_text);
    for (int k = 0; k < M * N; k++) c->x[k] = (float)(k % 17) - 8;
    for (int k = 0; k < M; k++) c->total[k] = 5;
    c->matrix[0] = M, c->matrix[1] = N, c->row[0] = M;
    c->tensors[0] = tensor_of(c->x, 2, c->matrix);
    c->tensors[1] = tensor_of(c->total, 1, c->row);
    c->tensors[2] = tensor_of(c->y, 2, c->matrix);
    c->args[0] = hk_tensor("x", &c->tensors[0]);
    c->args[1] = hk_tensor("total", &c->tensors[1]);
    c->args[2] = hk_tensor("y", &c->tensors[2]);
    c->options =
        (hk_specialize_options){.struct_size = sizeof c->options, .args = c->args, .arg_count = 3};
    return c;
}

static void case_free(Case *c)
{
    fixture_free(&c->f);
    free(c);
}

START_TEST(trials)
{
    Case *c = case_new();
    hk_trial *trial;
    ck_ok(hk_trial_create(c->f.kernel, &c->options, &trial, &c->f.error), &c->f.error);
    hk_evaluation e = {.struct_size = sizeof e};
    ck_assert_int_eq(hk_trial_measure(trial, "tile_m = 3", 0, 0, &e), HK_OK);
    ck_assert_int_eq(e.outcome, HK_OUTCOME_OK);
    ck_assert(e.count >= 3 && e.median > 0 && e.median < 1 && e.error_ratio <= 1);
    for (int k = 0; k < M * N; k++) ck_assert_float_eq(c->y[k], 3 * c->x[k]);
    ck_assert_int_eq(hk_trial_measure(trial, "tile_m = 3", 0, 12, &e), HK_OK);
    ck_assert_int_eq(e.count, 12);
    ck_assert_int_eq(hk_trial_measure(trial, "nonsense = 3", 0, 0, &e), HK_OK);
    ck_assert_int_eq(e.outcome, HK_OUTCOME_REFUSED);
    ck_assert(isinf(e.median));
    ck_assert_int_eq(hk_trial_measure(trial, "tile_m = 1", 1e-9, 0, &e), HK_OK);
    ck_assert_int_eq(e.outcome, HK_OUTCOME_SLOW);
    hk_trial_free(trial);
    case_free(c);
}
END_TEST

// Inputs that change behind the trial's back make what candidates compute wrong: the check is real.
START_TEST(wrong_results_are_found)
{
    Case *c = case_new();
    hk_trial *trial;
    ck_ok(hk_trial_create(c->f.kernel, &c->options, &trial, &c->f.error), &c->f.error);
    for (int at = 0; at < M * N; at += 1111) {
        hk_evaluation e = {.struct_size = sizeof e};
        float kept = c->x[at];
        c->x[at] += 0.01f;
        ck_assert_int_eq(hk_trial_measure(trial, "tile_m = 4", 0, 0, &e), HK_OK);
        ck_assert_int_eq(e.outcome, HK_OUTCOME_WRONG);
        ck_assert(e.error_ratio > 1);
        c->x[at] = kept;
        ck_assert_int_eq(hk_trial_measure(trial, "tile_m = 4", 0, 0, &e), HK_OK);
        ck_assert_int_eq(e.outcome, HK_OUTCOME_OK);
    }
    hk_trial_free(trial);
    case_free(c);
}
END_TEST

typedef struct Seen {
    uint64_t searched, finals, most;
    double last;
} Seen;

static bool watch(void *self, const hk_tune_event *event)
{
    Seen *seen = self;
    bool final = strncmp(event->origin, "final", 5) == 0;
    seen->finals += final;
    seen->searched += !final;
    ck_assert(event->elapsed_seconds >= seen->last);
    seen->last = event->elapsed_seconds;
    ck_assert(event->config && event->best_config && event->best_seconds > 0);
    return !seen->most || seen->searched < seen->most;
}

START_TEST(searches)
{
    static const char *const names[] = {NULL,      "exhaustive", "random",
                                        "pattern", "evolution",  "forest"};
    for (size_t k = 0; k < sizeof names / sizeof *names; k++) {
        Case *c = case_new();
        Seen seen = {0};
        hk_tune_options options = {.struct_size = sizeof options,
                                   .budget_seconds = 4,
                                   .seed = k,
                                   .search = names[k],
                                   .evaluations_max = 10,
                                   .progress = watch,
                                   .progress_self = &seen};
        hk_tune_result result = {.struct_size = sizeof result};
        ck_ok(hk_tune(c->f.kernel, &c->options, &options, &result, &c->f.error), &c->f.error);
        ck_assert(result.evaluations >= 2 && result.evaluations <= 10);
        ck_assert_uint_eq(seen.searched, result.evaluations);
        ck_assert(seen.finals > 0 && result.points >= (double)result.evaluations);
        ck_assert(strstr(hk_text_data(result.config), "tile_m = ") != NULL);
        ck_assert(result.improved == (result.gain > 1));
        hk_text_free(result.config);
        case_free(c);
    }
}
END_TEST

typedef struct Origins {
    char text[64]; // a letter for each Config
    size_t count;
} Origins;

static bool note_origin(void *self, const hk_tune_event *event)
{
    Origins *o = self;
    if (o->count + 1 < sizeof o->text) o->text[o->count++] = event->origin[0];
    return true;
}

// After the default and the caller's own Configs come those that the model of time likes, as many
// as are wanted, and then what the search asks for. None is tried twice.
START_TEST(the_model_goes_first)
{
    static const struct {
        uint32_t most;
        bool none;
        const char *origins;
    } cases[] = {{1, false, "dsmpp"}, {0, true, "dspppp"}};
    const char *seed = "tile_m = 2";
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        Case *c = case_new();
        Origins seen = {0};
        hk_tune_options options = {.struct_size = sizeof options,
                                   .budget_seconds = 60,
                                   .search = "pattern",
                                   .evaluations_max = strlen(cases[k].origins),
                                   .seeds = &seed,
                                   .seed_count = 1,
                                   .model_points_max = cases[k].most,
                                   .no_model = cases[k].none,
                                   .progress = note_origin,
                                   .progress_self = &seen};
        hk_tune_result result = {.struct_size = sizeof result};
        ck_ok(hk_tune(c->f.kernel, &c->options, &options, &result, &c->f.error), &c->f.error);
        seen.text[strcspn(seen.text, "f")] = 0; // the finals
        ck_assert_str_eq(seen.text, cases[k].origins);
        hk_text_free(result.config);
        case_free(c);
    }
}
END_TEST

START_TEST(stopping)
{
    Case *c = case_new();
    Seen seen = {.most = 3};
    hk_tune_options options = {.struct_size = sizeof options,
                               .budget_seconds = 60,
                               .progress = watch,
                               .progress_self = &seen};
    hk_tune_result result = {.struct_size = sizeof result};
    ck_ok(hk_tune(c->f.kernel, &c->options, &options, &result, &c->f.error), &c->f.error);
    ck_assert(result.interrupted);
    ck_assert_uint_eq(result.evaluations, 3);
    ck_assert(hk_text_length(result.config) > 0);
    hk_text_free(result.config);
    case_free(c);
}
END_TEST

// A worker that dies at once, hangs, or talks nonsense ends with a status, not with this process.
START_TEST(bad_workers)
{
    static const char *const dies[] = {"false", NULL}, *const absent[] = {"/nonexistent", NULL},
                             *const babbles[] = {"echo", "hello", NULL};
    const char *const *workers[] = {dies, absent, babbles};
    for (size_t k = 0; k < 3; k++) {
        Case *c = case_new();
        hk_tune_options options = {
            .struct_size = sizeof options, .budget_seconds = 1, .worker = workers[k]};
        hk_tune_result result = {.struct_size = sizeof result};
        ck_assert_int_ne(hk_tune(c->f.kernel, &c->options, &options, &result, &c->f.error), HK_OK);
        ck_assert(result.config == NULL);
        case_free(c);
    }
}
END_TEST

START_TEST(wrong_calls)
{
    Case *c = case_new();
    hk_tune_options options = {.struct_size = sizeof options, .search = "guess"};
    hk_tune_result result = {.struct_size = sizeof result};
    ck_assert_int_eq(hk_tune(NULL, &c->options, &options, &result, NULL), HK_ERROR_USAGE);
    ck_assert_int_eq(hk_tune(c->f.kernel, &c->options, &options, &result, &c->f.error),
                     HK_ERROR_USAGE);
    expect_message(&c->f, "forest");
    options.struct_size = 3;
    ck_assert_int_eq(hk_tune(c->f.kernel, &c->options, &options, &result, NULL), HK_ERROR_USAGE);
    hk_trial *trial;
    ck_assert_int_eq(hk_trial_create(c->f.kernel, NULL, &trial, NULL), HK_ERROR_USAGE);
    ck_assert(trial == NULL);
    hk_trial_free(NULL);
    case_free(c);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("tune");
    TCase *tests = tcase_create("tune");
    tcase_set_timeout(tests, 300);
    tcase_add_test(tests, trials);
    tcase_add_test(tests, wrong_results_are_found);
    tcase_add_test(tests, searches);
    tcase_add_test(tests, the_model_goes_first);
    tcase_add_test(tests, stopping);
    tcase_add_test(tests, bad_workers);
    tcase_add_test(tests, wrong_calls);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
