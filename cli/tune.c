// hako tune FILE[:KERNEL]: searches the Configs of a kernel for a faster one, within a budget, and
// writes it beside the kernel.
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/tune.h"

static volatile sig_atomic_t interrupted; // by Ctrl-C: the best so far is kept

static void on_interrupt(int signal)
{
    (void)signal;
    interrupted = 1;
}

typedef struct Watch {
    bool terminal;
    double printed; // when, in seconds of the tuner
} Watch;

static void print_event(const Watch *w, const hk_tune_event *e)
{
    fprintf(stderr,
            "%sbest %.4g ms (%.2fx the default); %llu tried:", w->terminal ? "\r\033[K" : "",
            e->best_seconds * 1e3, e->default_seconds / e->best_seconds,
            (unsigned long long)e->evaluations);
    for (int k = 0; k < HK_OUTCOME_COUNT; k++)
        if (e->outcomes[k])
            fprintf(stderr, " %zu %s", e->outcomes[k], hk_outcome_text((hk_outcome)k));
    double left = e->budget_seconds - e->elapsed_seconds;
    fprintf(stderr, "; %s%.1f s left%s", strcmp(e->origin, "final") == 0 ? "finals, " : "",
            left > 0 ? left : 0, w->terminal ? "" : "\n");
}

// On a terminal one line that changes; elsewhere a line every five seconds.
static bool on_event(void *self, const hk_tune_event *e)
{
    Watch *w = self;
    if (w->terminal || e->elapsed_seconds > w->printed + 5) {
        print_event(w, e);
        w->printed = e->elapsed_seconds;
    }
    return !interrupted;
}

static void add_pairs(const char **argv, int *argc, const char *option, const Pairs *pairs)
{
    for (size_t k = 0; k < pairs->count; k++) {
        argv[(*argc)++] = option;
        argv[(*argc)++] = must_format("%s=%s", pairs->data[k].name, pairs->data[k].value);
    }
}

static const char *const *worker_words(const Options *o)
{
    size_t most = 16 + 2 * (o->inputs.count + o->scalars.count + o->defines.count +
                            o->shapes.count + o->outputs.count);
    const char **argv = must_alloc(sizeof(char *) * most);
    int n = 0;
    argv[n++] = "/proc/self/exe";
    argv[n++] = "tune-worker";
    argv[n++] = o->files[0];
    add_pairs(argv, &n, "-i", &o->inputs);
    add_pairs(argv, &n, "--arg", &o->scalars);
    add_pairs(argv, &n, "-D", &o->defines);
    add_pairs(argv, &n, "--shapes", &o->shapes);
    argv[n++] = "--target";
    argv[n++] = o->target;
    argv[n++] = must_format("--threads=%u", o->threads);
    argv[n++] = must_format("--seed=%llu", (unsigned long long)o->seed);
    return argv;
}

static void print_result(const hk_tune_result *r)
{
    printf("default %.4g ms; best %.4g ms", r->default_seconds * 1e3, r->best_seconds * 1e3);
    if (r->improved)
        printf(", %.3fx as fast (%.3f to %.3f)", r->gain, r->gain_low, r->gain_high);
    else
        printf(": no Config is surely faster than the default");
    printf("; noise %.1f%%\n", r->noise * 100);
    printf("%llu of %.4g points tried:", (unsigned long long)r->evaluations, r->points);
    for (int k = 0; k < HK_OUTCOME_COUNT; k++)
        if (r->outcomes[k]) printf(" %zu %s", r->outcomes[k], hk_outcome_text((hk_outcome)k));
    if (r->resumed) printf("; %llu known before", (unsigned long long)r->resumed);
    printf("%s\nconfig %s\n", r->interrupted ? "; interrupted" : "", hk_text_data(r->config));
}

static int keep(const Session *s, const hk_tune_result *r)
{
    char remark[160], *path;
    snprintf(remark, sizeof remark, "%.4g ms, %.2fx the default; %llu candidates",
             r->best_seconds * 1e3, r->gain, (unsigned long long)r->evaluations);
    if (hk_text_length(r->config) == 0) return 0;
    int code = tune_file_write(s, hk_text_data(r->config), remark, &path);
    if (code == 0) printf("written to %s\n", path);
    free(path);
    return code;
}

static int tune(Session *s)
{
    const Options *o = s->options;
    int code = tune_prepare(s);
    if (code != 0) return code;
    if (hk_exec_knob_count(s->exec) == 0) {
        printf("nothing to tune: the kernel has no free tile\n");
        return 0;
    }
    Watch watch = {.terminal = isatty(STDERR_FILENO)};
    hk_store *store;
    code = db_open(o, s->context, true, &store);
    if (code != 0 && o->db) return code; // one that was named must serve
    hk_specialize_options options = session_options(s, HK_STAGE_RUN);
    hk_tune_options tune_options = {.struct_size = sizeof tune_options,
                                    .budget_seconds = o->budget,
                                    .seed = o->seed,
                                    .search = o->search,
                                    .worker = worker_words(o),
                                    .progress = on_event,
                                    .progress_self = &watch,
                                    .store = store,
                                    .resume = o->resume};
    hk_tune_result result = {.struct_size = sizeof result};
    hk_error *error;
    signal(SIGINT, on_interrupt);
    hk_status status = hk_tune(s->kernel, &options, &tune_options, &result, &error);
    signal(SIGINT, SIG_DFL);
    if (watch.terminal) fputs("\r\033[K", stderr);
    code = report(o, status, error);
    if (code == 0) print_result(&result);
    if (code == 0) code = keep(s, &result);
    hk_text_free(result.config);
    hk_store_free(store);
    return code;
}

int command_tune(Options *options)
{
    Session session;
    int code = session_open(&session, options);
    if (code == 0) code = tune(&session);
    session_close(&session);
    return code;
}
