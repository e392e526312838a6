// bench --compare: several Configs of a kernel, timed in turns, so that what the machine does to
// one it does to all. Of a round's runs the least counts, since what disturbs only adds; of the
// rounds' ratios to the first Config, the median.
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"

enum { ROUNDS_LEAST = 5, ROUNDS_MOST = 400, TRIES = 3, BATCH_MOST = 4096 };
static const double BATCH_SECONDS = 50e-6;

typedef struct Rival {
    char *config;
    hk_exec *exec;
    int batch;
    double *times, *ratios; // of each round; to the first rival's
    Spread time, ratio;
} Rival;

static hk_status run_batch(const Session *s, Rival *r, double *seconds)
{
    double sum = 0, each = 0;
    hk_status status = HK_OK;
    for (int k = 0; k < r->batch && status == HK_OK; k++, sum += each)
        status = hk_exec_run_timed(r->exec, s->args, s->arg_count, &each, NULL);
    *seconds = sum / r->batch;
    return status;
}

static int compile_rival(const Session *s, const char *config, Rival *r)
{
    Session own = *s;
    hk_error *error;
    double seconds = 0;
    size_t length;
    own.tuned = NULL;
    own.config = *config == '@' ? read_whole(config + 1, &length) : must_format("%s", config);
    if (!own.config) return EXIT_ENVIRONMENT;
    *r = (Rival){.config = own.config, .batch = 1};
    r->times = must_alloc(sizeof(double) * ROUNDS_MOST);
    r->ratios = must_alloc(sizeof(double) * ROUNDS_MOST);
    hk_specialize_options options = session_options(&own, HK_STAGE_RUN);
    hk_status status = hk_kernel_specialize(s->kernel, &options, &r->exec, &error);
    if (status != HK_OK) return report(s->options, status, error);
    for (int k = 0; k < TRIES && status == HK_OK; k++) status = run_batch(s, r, &seconds);
    if (seconds < BATCH_SECONDS) {
        double wanted = BATCH_SECONDS / (seconds > 1e-9 ? seconds : 1e-9);
        r->batch = wanted < BATCH_MOST ? (int)wanted + 1 : BATCH_MOST;
    }
    if (status == HK_OK) return 0;
    fprintf(stderr, "hako: error: %s: the kernel failed\n", config);
    return exit_code(status);
}

static void one_round(const Session *s, Rival *rivals, size_t count, size_t round, uint64_t *random)
{
    size_t first = (*random = *random * 6364136223846793005u + 1442695040888963407u) >> 33;
    bool back = (*random >> 32) & 1;
    for (size_t k = 0; k < count; k++) {
        Rival *r = &rivals[(first + (back ? count - k : k)) % count];
        double best = 1e30, seconds;
        for (int n = 0; n < TRIES; n++) {
            run_batch(s, r, &seconds);
            if (seconds < best) best = seconds;
        }
        r->times[round] = best;
    }
    for (size_t k = 0; k < count; k++)
        rivals[k].ratios[round] = rivals[k].times[round] / rivals[0].times[round];
}

static void print_rivals(const Session *s, const Rival *rivals, size_t count)
{
    json_t *all = json_array();
    for (size_t k = 0; k < count; k++) {
        const Rival *r = &rivals[k];
        if (s->options->json)
            json_array_append_new(all, json_pack("{s:s, s:f, s:f, s:f, s:f, s:f, s:i}", "config",
                                                 r->config, "median_ms", r->time.median * 1e3,
                                                 "fastest_ms", r->time.fastest * 1e3, "ratio",
                                                 r->ratio.median, "ratio_low", r->ratio.low,
                                                 "ratio_high", r->ratio.high, "rounds",
                                                 (int)r->time.runs));
        else
            printf("%10.4g ms  %6.3fx (%.3f to %.3f)  %s\n", r->time.median * 1e3, r->ratio.median,
                   r->ratio.low, r->ratio.high, r->config[0] ? r->config : "(the default)");
    }
    if (s->options->json) {
        json_dumpf(all, stdout, JSON_INDENT(2) | JSON_PRESERVE_ORDER);
        putchar('\n');
    }
    json_decref(all);
}

int compare_configs(Session *s)
{
    const Options *o = s->options;
    size_t count = o->compare_count + 1;
    Rival *rivals = must_alloc(sizeof(Rival) * count);
    int code = compile_rival(s, s->config ? s->config : "", &rivals[0]);
    for (size_t k = 1; k < count && code == 0; k++)
        code = compile_rival(s, o->compares[k - 1], &rivals[k]);
    double begin = now_seconds(), most = o->min_time * (double)count;
    uint64_t random = o->seed;
    size_t rounds = 0;
    for (; code == 0 && rounds < ROUNDS_MOST; rounds++) {
        if (rounds >= ROUNDS_LEAST && now_seconds() - begin > most) break;
        one_round(s, rivals, count, rounds, &random);
    }
    for (size_t k = 0; k < count && code == 0; k++) {
        rivals[k].time = spread_of(rivals[k].times, rounds);
        rivals[k].ratio = spread_of(rivals[k].ratios, rounds);
    }
    if (code == 0) print_rivals(s, rivals, count);
    for (size_t k = 0; k < count; k++) {
        hk_exec_free(rivals[k].exec);
        free(rivals[k].config);
        free(rivals[k].times);
        free(rivals[k].ratios);
    }
    free(rivals);
    return code;
}
