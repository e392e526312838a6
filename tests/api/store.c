// The tuning database: look-ups, many processes writing one file, a writer that is killed, bad
// files.
#include <check.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/api/common.h"

static char folder[] = "/tmp/hako-store-XXXXXX", path[64];

static void make_folder(void)
{
    ck_assert(mkdtemp(folder) != NULL);
    snprintf(path, sizeof path, "%s/tune.db", folder);
}

static void remove_folder(void)
{
    char command[96];
    snprintf(command, sizeof command, "rm -rf %s", folder);
    ck_assert_int_eq(system(command), 0);
}

static const char *const scale_text =
    "kernel scale(x: f32[N]) -> (y: f32[N]) { tile n in N { y[n] = 2 * x[n]; } }";

static hk_store *open_store(hk_context *context, const char *at)
{
    hk_store *store;
    hk_error *error;
    ck_ok(hk_store_open(context, at, true, &store, &error), &error);
    return store;
}

static size_t lines_of(hk_store *store, hk_store_rows rows)
{
    hk_text *text;
    hk_error *error;
    ck_ok(hk_store_list(store, rows, NULL, &text, &error), &error);
    size_t count = 0;
    for (const char *at = hk_text_data(text); *at; at++) count += *at == '\n';
    hk_text_free(text);
    return count;
}

START_TEST(tuned_and_looked_up)
{
    Fixture f = fixture(scale_text);
    hk_store *store = open_store(f.context, path);
    float x[1000] = {0}, y[1000];
    int64_t shape[1] = {1000};
    DLTensor tx = tensor_of(x, 1, shape), ty = tensor_of(y, 1, shape);
    hk_arg args[] = {hk_tensor("x", &tx), hk_tensor("y", &ty)};
    hk_specialize_options options = {.struct_size = sizeof options, .args = args, .arg_count = 2};
    hk_exec *exec;
    hk_text *config;
    ck_ok(hk_kernel_specialize(f.kernel, &options, &exec, &f.error), &f.error);
    ck_ok(hk_store_lookup(store, exec, &config, &f.error), &f.error);
    ck_assert(config == NULL);
    hk_tune_options tune = {.struct_size = sizeof tune, .budget_seconds = 0.5, .store = store};
    hk_tune_result result = {0};
    do { // a busy machine may leave nothing decided, and then nothing is recorded
        hk_text_free(result.config);
        result = (hk_tune_result){.struct_size = sizeof result};
        ck_ok(hk_tune(f.kernel, &options, &tune, &result, &f.error), &f.error);
        tune.budget_seconds *= 2;
    } while ((result.hopeless || isinf(result.gain_high)) && tune.budget_seconds < 60);
    ck_ok(hk_store_lookup(store, exec, &config, &f.error), &f.error);
    ck_assert_str_eq(hk_text_data(config), hk_text_data(result.config));
    ck_assert(lines_of(store, HK_STORE_EVALUATIONS) >= result.evaluations);
    ck_assert_uint_eq(lines_of(store, HK_STORE_BEST), 1);
    hk_text_free(config);
    hk_text_free(result.config);

    // A second run knows all of it.
    tune.resume = true;
    result = (hk_tune_result){.struct_size = sizeof result};
    ck_ok(hk_tune(f.kernel, &options, &tune, &result, &f.error), &f.error);
    ck_assert(result.resumed > 0);
    hk_text_free(result.config);

    // Comments do not matter, code does.
    static const char *const others[] = {
        "// a comment\nkernel scale(x: f32[N]) -> (y: f32[N]) {\n tile n in N {\n\n y[n] = 2 * "
        "x[n]; } }",
        "kernel scale(x: f32[N]) -> (y: f32[N]) { tile n in N { y[n] = 3 * x[n]; } }"};
    for (int k = 0; k < 2; k++) {
        hk_module *module;
        hk_exec *other;
        ck_ok(
            hk_module_load_text(f.context, "other.hk", others[k], HK_TERMINATED, &module, &f.error),
            &f.error);
        ck_ok(hk_kernel_specialize(hk_module_kernel(module, 0), &options, &other, &f.error),
              &f.error);
        ck_ok(hk_store_lookup(store, other, &config, &f.error), &f.error);
        ck_assert_msg((config != NULL) == (k == 0), "text %d", k);
        hk_text_free(config);
        hk_exec_free(other);
        hk_module_free(module);
    }
    hk_exec_free(exec);
    hk_store_free(store);
    fixture_free(&f);
}
END_TEST

static hk_exec *exec_for(Fixture *f, hk_module *module, int64_t n)
{
    const hk_dim dims[] = {{"N", n}};
    hk_specialize_options options = {
        .struct_size = sizeof options, .dims = dims, .dim_count = 1, .stage = HK_STAGE_TILE};
    hk_exec *exec;
    ck_ok(hk_kernel_specialize(hk_module_kernel(module, 0), &options, &exec, &f->error), &f->error);
    return exec;
}

static void add_best(Fixture *f, hk_store *store, const hk_exec *exec, const char *config,
                     bool improved)
{
    char line[2048];
    hk_text *problem;
    uint64_t added;
    ck_ok(hk_exec_problem(exec, &problem, &f->error), &f->error);
    // The key is the values of the problem's fields.
    char values[5][256], key[1400];
    const char *at = hk_text_data(problem);
    for (int k = 0; k < 5; k++) {
        ck_assert(sscanf(strstr(at, "\": \"") + 4, "%255[^\"]", values[k]) == 1);
        at = strstr(at, "\": \"") + 4;
    }
    snprintf(key, sizeof key, "%s|%s|%s|%s|%s", values[0], values[1], values[2], values[3],
             values[4]);
    snprintf(line, sizeof line,
             "%.*s, \"type\": \"best\", \"key\": \"%s\", \"config\": \"%s\", \"improved\": %d, "
             "\"gain\": 1.5, \"at\": %d}",
             (int)hk_text_length(problem) - 1, hk_text_data(problem), key, config, improved,
             (int)hk_text_length(problem));
    ck_ok(hk_store_import(store, line, HK_TERMINATED, &added, &f->error), &f->error);
    ck_assert_uint_eq(added, 1);
    hk_text_free(problem);
}

// A Config of near sizes is taken where it is legal; of far ones never; and a default that won
// nearby is a default here.
START_TEST(near_sizes)
{
    Fixture f = fixture(scale_text);
    hk_store *store = open_store(f.context, path);
    static const struct {
        int64_t n;
        const char *config;
        bool improved;
    } known[] = {{1000, "tile_n = 16", true},
                 {3000, "tile_n = 8", false},
                 {20, "tile_n = 99999, nonsense = 3", true}};
    for (size_t k = 0; k < sizeof known / sizeof *known; k++) {
        hk_exec *exec = exec_for(&f, f.module, known[k].n);
        add_best(&f, store, exec, known[k].config, known[k].improved);
        hk_exec_free(exec);
    }
    static const struct {
        int64_t n;
        const char *rule, *config, *reason;
    } asked[] = {{1000, "exact", "tile_n = 16", "these sizes"},
                 {900, "near", "tile_n = 16", "nearest sizes"},
                 {500, "near", "tile_n = 16", "nearest sizes"},
                 {450, "none", NULL, "nothing near"},
                 {2600, "none", NULL, "keep their default"},
                 {6001, "none", NULL, "nothing near"},
                 {21, "none", NULL, "not legal here"}};
    for (size_t k = 0; k < sizeof asked / sizeof *asked; k++) {
        hk_exec *exec = exec_for(&f, f.module, asked[k].n);
        hk_text *config, *json;
        ck_ok(hk_store_lookup(store, exec, &config, &f.error), &f.error);
        ck_assert_msg((config != NULL) == (asked[k].config != NULL), "N = %d", (int)asked[k].n);
        if (config) ck_assert_str_eq(hk_text_data(config), asked[k].config);
        ck_ok(hk_store_explain(store, exec, &json, &f.error), &f.error);
        ck_assert_msg(strstr(hk_text_data(json), asked[k].rule) &&
                          strstr(hk_text_data(json), asked[k].reason),
                      "N = %d: %s", (int)asked[k].n, hk_text_data(json));
        hk_text_free(config);
        hk_text_free(json);
        hk_exec_free(exec);
    }
    hk_store_free(store);
    fixture_free(&f);
}
END_TEST

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
static const bool sanitized = true;
#else
static const bool sanitized = false;
#endif

static double now_seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static double median_us(double *seconds, int count)
{
    qsort(seconds, (size_t)count, sizeof *seconds, by_size);
    return 1e6 * seconds[count / 2];
}

static double look_up_seconds(Fixture *f, hk_store *store, const hk_exec *exec)
{
    hk_text *config;
    double start = now_seconds();
    ck_ok(hk_store_lookup(store, exec, &config, &f->error), &f->error);
    double seconds = now_seconds() - start;
    ck_assert(config != NULL);
    hk_text_free(config);
    return seconds;
}

// Among many problems: the first look-up of an exec, which makes its key, and those that follow.
START_TEST(exact_is_quick)
{
    enum { PROBLEMS = 300, AGAIN = 2000 };
    static const double MOST_US = 50;
    static double first[PROBLEMS], again[AGAIN];
    Fixture f = fixture(scale_text);
    hk_store *store = open_store(f.context, path);
    for (int pass = 0; pass < 2; pass++) {
        for (int k = 0; k < PROBLEMS; k++) {
            hk_exec *exec = exec_for(&f, f.module, 1000 + 7 * k);
            if (pass == 0) add_best(&f, store, exec, "tile_n = 16", true);
            if (pass == 1) first[k] = look_up_seconds(&f, store, exec);
            for (int n = 0; pass == 1 && k == 0 && n < AGAIN; n++)
                again[n] = look_up_seconds(&f, store, exec);
            hk_exec_free(exec);
        }
    }
    double us = median_us(again, AGAIN);
    printf("exact look-up among %d problems: %.1f us, the first of an exec %.1f us\n", PROBLEMS, us,
           median_us(first, PROBLEMS));
    // The least, for others may use the machine.
    if (!sanitized) ck_assert_msg(1e6 * again[0] <= MOST_US, "%.1f us", 1e6 * again[0]);
    hk_store_free(store);
    fixture_free(&f);
}
END_TEST

// A row of an export, of run `run`.
static int line_of(char *line, size_t bytes, int run, int seq)
{
    return snprintf(
        line, bytes,
        "{\"type\":\"evaluation\",\"key\":\"k%d\",\"kernel\":\"k\",\"code\":\"c\",\"sizes\":\"\","
        "\"target\":\"cpu\",\"machine\":\"m\",\"run\":\"r%d\",\"started\":1.0,\"seed\":0,"
        "\"search\":\"s\",\"budget\":1.0,\"version\":\"v\",\"seq\":%d,\"config\":\"a = %d\","
        "\"origin\":\"random\",\"outcome\":\"ok\",\"median\":0.5,\"error\":0,\"compile\":0,"
        "\"samples\":\"[0.5]\"}\n",
        run % 3, run, seq, seq);
}

static void write_rows(int process, int rows)
{
    hk_context *context = NULL;
    hk_store *store = NULL;
    if (hk_context_create(NULL, &context, NULL) != HK_OK) _exit(1);
    if (hk_store_open(context, path, true, &store, NULL) != HK_OK) _exit(2);
    for (int k = 0; k < rows; k++) {
        char line[1024];
        int length = line_of(line, sizeof line, process, k);
        if (hk_store_import(store, line, (size_t)length, NULL, NULL) != HK_OK) _exit(3);
    }
    hk_store_free(store);
    hk_context_free(context);
    _exit(0);
}

enum { PROCESSES = 32, ROWS = 20 };

START_TEST(many_processes)
{
    pid_t pids[PROCESSES];
    for (int k = 0; k < PROCESSES; k++) {
        pids[k] = fork();
        if (pids[k] == 0) write_rows(k, ROWS);
    }
    for (int k = 0; k < PROCESSES; k++) {
        int status;
        waitpid(pids[k], &status, 0);
        ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0, "process %d: %d", k, status);
    }
    Fixture f = fixture(scale_text);
    hk_store *store = open_store(f.context, path);
    ck_assert_uint_eq(lines_of(store, HK_STORE_EVALUATIONS), PROCESSES * ROWS);
    hk_store_free(store);
    fixture_free(&f);
}
END_TEST

// A writer that is killed takes at most its last row with it.
START_TEST(killed)
{
    for (int round = 0; round < 5; round++) {
        pid_t pid = fork();
        if (pid == 0) write_rows(100 + round, 1000000);
        usleep(30000);
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
    }
    Fixture f = fixture(scale_text);
    hk_store *store = open_store(f.context, path);
    size_t rows = lines_of(store, HK_STORE_EVALUATIONS);
    char line[1024];
    uint64_t added;
    line_of(line, sizeof line, 999, 1);
    ck_ok(hk_store_import(store, line, HK_TERMINATED, &added, &f.error), &f.error);
    ck_assert_uint_eq(added, 1);
    ck_assert_uint_eq(lines_of(store, HK_STORE_EVALUATIONS), rows + 1);
    ck_ok(hk_store_prune(store, NULL, 0, &added, &f.error), &f.error);
    ck_assert_uint_eq(added, rows + 1);
    hk_store_free(store);
    fixture_free(&f);
}
END_TEST

START_TEST(bad_files)
{
    Fixture f = fixture(scale_text);
    hk_store *store;
    FILE *file = fopen(path, "w");
    fputs("this is no database, but long enough to look like one ........................", file);
    fclose(file);
    ck_assert_int_eq(hk_store_open(f.context, path, true, &store, &f.error), HK_ERROR_ENVIRONMENT);
    expect_message(&f, "not a database");
    ck_assert(store == NULL);
    ck_assert_int_eq(hk_store_open(f.context, "/nonexistent/x", true, &store, NULL),
                     HK_ERROR_ENVIRONMENT);
    ck_assert_int_eq(hk_store_open(f.context, NULL, true, &store, NULL), HK_ERROR_USAGE);
    remove(path);
    store = open_store(f.context, path);
    ck_assert_int_eq(hk_store_import(store, "{\"type\"", HK_TERMINATED, NULL, &f.error),
                     HK_ERROR_ENVIRONMENT);
    expect_message(&f, "line 1");
    hk_store_free(store);
    hk_store_free(NULL);
    fixture_free(&f);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("store");
    TCase *tests = tcase_create("store");
    tcase_set_timeout(tests, 120);
    tcase_add_checked_fixture(tests, make_folder, remove_folder);
    tcase_add_test(tests, tuned_and_looked_up);
    tcase_add_test(tests, near_sizes);
    tcase_add_test(tests, exact_is_quick);
    tcase_add_test(tests, many_processes);
    tcase_add_test(tests, killed);
    tcase_add_test(tests, bad_files);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
