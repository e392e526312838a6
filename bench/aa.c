// Whether tuning claims gains that are none, and decides alike when it is done twice. Searches and
// finals run as ever, on times that are made of known ones and of noise that was recorded.
//
//     aa LOG...        logs of `hako tune --log`: their finals are the noise, in order of time
//
// First all Configs are equally fast: each "faster than the default" is false. Then Configs differ,
// and each search is done twice with the same seed and other noise: winners must be the same, or
// within TIED of each other.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "include/hako.h"

enum { RUNS = 100, CONFIGS = 24, LINE = 1 << 16, TRIES = 20 };
static const double TIED = 0.01;

static const char *const kernel_text = "kernel shift(x: f32[M, N]) -> (y: f32[M, N]) { tile m in "
                                       "M, n in N { y[m, n] = x[m, n] + 1; } }";

typedef struct Noise { // shares of the median, one call of three samples after the other
    double (*calls)[3];
    size_t count;
} Noise;

typedef struct Machine {
    const Noise *noise;
    size_t at;
    double differences; // how far apart Configs are: 0 for none
} Machine;

static double true_seconds(const Machine *m, const char *config)
{
    uint64_t h = 14695981039346656037u;
    for (; *config; config++) h = (h ^ (unsigned char)*config) * 1099511628211u;
    h ^= h >> 29;
    return 1e-3 * (1 + m->differences * (double)(h % 1000) / 1000);
}

static bool measure(void *self, const char *config, const char *origin, hk_evaluation *e)
{
    Machine *m = self;
    (void)origin;
    m->at = (m->at + 1) % m->noise->count;
    e->count = 3;
    for (size_t k = 0; k < 3; k++)
        e->seconds[k] = true_seconds(m, config) * m->noise->calls[m->at][k];
    double low = fmin(e->seconds[0], e->seconds[1]), high = fmax(e->seconds[0], e->seconds[1]);
    e->median = fmax(low, fmin(high, e->seconds[2]));
    e->outcome = HK_OUTCOME_OK;
    return true;
}

// ---- noise from logs

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

typedef struct Row {
    char config[512];
    double seconds[3];
} Row;

static void add_noise(Noise *noise, const Row *rows, size_t count)
{
    double *own = malloc(sizeof *own * (count + 1));
    for (size_t k = 0; k < count; k++) {
        size_t n = 0;
        for (size_t j = 0; j < count; j++)
            if (strcmp(rows[j].config, rows[k].config) == 0)
                own[n++] = fmin(rows[j].seconds[0], fmin(rows[j].seconds[1], rows[j].seconds[2]));
        qsort(own, n, sizeof *own, by_value);
        noise->calls = realloc(noise->calls, sizeof *noise->calls * (noise->count + 1));
        for (size_t s = 0; s < 3; s++)
            noise->calls[noise->count][s] = rows[k].seconds[s] / own[n / 2];
        noise->count++;
    }
    free(own);
}

static void read_log(Noise *noise, const char *path)
{
    static char line[LINE];
    FILE *file = fopen(path, "r");
    Row *rows = NULL;
    size_t count = 0;
    while (file && fgets(line, sizeof line, file)) {
        const char *config = strstr(line, "\"config\":\""),
                   *seconds = strstr(line, "\"seconds\":[");
        if (!strstr(line, "\"origin\":\"final\"") || !config || !seconds) continue;
        rows = realloc(rows, sizeof *rows * (count + 1));
        Row *row = &rows[count];
        if (sscanf(config + 10, "%511[^\"]", row->config) == 1 &&
            sscanf(seconds + 11, "%lf,%lf,%lf", &row->seconds[0], &row->seconds[1],
                   &row->seconds[2]) == 3)
            count++;
    }
    if (file) fclose(file);
    add_noise(noise, rows, count);
    free(rows);
}

// ---- tunings

static bool tune(const hk_kernel *kernel, Machine *m, uint64_t seed, hk_tune_result *result)
{
    static const hk_dim dims[] = {{"M", 512}, {"N", 512}};
    hk_specialize_options options = {.struct_size = sizeof options, .dims = dims, .dim_count = 2};
    hk_tune_options tuning = {.struct_size = sizeof tuning,
                              .budget_seconds = 1e9,
                              .seed = seed,
                              .evaluations_max = CONFIGS,
                              .search = "random",
                              .measure = measure,
                              .measure_self = m};
    *result = (hk_tune_result){.struct_size = sizeof *result};
    return hk_tune(kernel, &options, &tuning, result, NULL) == HK_OK;
}

int main(int argc, char **argv)
{
    Noise noise = {0};
    for (int k = 1; k < argc; k++) read_log(&noise, argv[k]);
    if (noise.count < 100) {
        fprintf(stderr, "usage: aa LOG..., logs of `hako tune` with at least 100 final times\n");
        return 2;
    }
    hk_context *context;
    hk_module *module;
    if (hk_context_create(NULL, &context, NULL) != HK_OK ||
        hk_module_load_text(context, "aa.hk", kernel_text, HK_TERMINATED, &module, NULL) != HK_OK)
        return 70;
    const hk_kernel *kernel = hk_module_kernel(module, 0);
    hk_tune_result result, again;
    int claimed = 0, done = 0, alike = 0, same = 0, pairs = 0;
    for (uint64_t n = 0; n < RUNS; n++) {
        Machine m = {.noise = &noise, .at = n * 7919 % noise.count};
        if (!tune(kernel, &m, n, &result)) return 70;
        claimed += result.improved;
        done++;
        hk_text_free(result.config);
    }
    printf("equal Configs: %d of %d tunings claim a gain (%.2f%%)\n", claimed, done,
           100.0 * claimed / done);
    fflush(stdout);
    for (uint64_t n = 0; n < RUNS / 2; n++) {
        Machine m = {&noise, n * 7919 % noise.count, 0.3},
                other = {&noise, (n * 104729 + noise.count / 2) % noise.count, 0.3};
        if (!tune(kernel, &m, n % TRIES, &result) || !tune(kernel, &other, n % TRIES, &again))
            return 70;
        double one = true_seconds(&m, hk_text_data(result.config)),
               two = true_seconds(&m, hk_text_data(again.config));
        same += one == two;
        alike += fabs(log(one / two)) <= TIED;
        pairs++;
        hk_text_free(result.config);
        hk_text_free(again.config);
    }
    printf("tuned twice: %d of %d pairs have the same winner, %d the same or one within %.0f%% "
           "(%.1f of 20)\n",
           same, pairs, alike, 100 * TIED, 20.0 * alike / pairs);
    hk_module_free(module);
    hk_context_free(context);
    return claimed > 0.01 * done || alike < 0.95 * pairs;
}
