// hako tune FILE[:KERNEL]: searches the Configs of a kernel for a faster one, within a budget, and
// writes it beside the kernel.
#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/tune.h"
#include "cli/tune_log.h"

enum { QUICK_SECONDS = 10, FULL_SECONDS = 300 };
static const double SHARE_LEAST = 0.1, SHARE_USEFUL = 5;

static volatile sig_atomic_t interrupted; // by Ctrl-C: the best so far is kept

static void on_interrupt(int signal)
{
    (void)signal;
    interrupted = 1;
}

typedef struct Watch {
    bool terminal;
    double printed; // when, in seconds of the tuner
    TuneLog *log;
} Watch;

// One kernel with one row of sizes.
typedef struct Problem {
    char *file; // FILE:KERNEL
    Pairs shapes;
} Problem;

typedef struct Sweep {
    const Options *options;
    Problem *problems;
    size_t count;
    double begin; // of the problem in hand, on the clock
    TuneLog *logs;
    size_t log_count;
    Replay *replay;
    FILE *log;
} Sweep;

static void print_event(const Watch *w, const hk_tune_event *e)
{
    fprintf(stderr,
            "%sbest %.4g ms (%.2fx the default); %llu tried:", w->terminal ? "\r\033[K" : "",
            e->best_seconds * 1e3, e->default_seconds / e->best_seconds,
            (unsigned long long)e->evaluations);
    for (int k = 0; k < HK_OUTCOME_COUNT; k++)
        if (e->outcomes[k])
            fprintf(stderr, " %zu %s", e->outcomes[k], hk_outcome_text((hk_outcome)k));
    if (e->duplicates) fprintf(stderr, ", %llu alike", (unsigned long long)e->duplicates);
    if (e->resumed) fprintf(stderr, ", %llu known", (unsigned long long)e->resumed);
    double left = e->budget_seconds - e->elapsed_seconds;
    fprintf(stderr, "; %s%.1f s left%s", strncmp(e->origin, "final", 5) == 0 ? "finals, " : "",
            left > 0 ? left : 0, w->terminal ? "" : "\n");
}

// On a terminal one line that changes; elsewhere a line every five seconds.
static bool on_event(void *self, const hk_tune_event *e)
{
    Watch *w = self;
    log_add(w->log, e);
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
    argv[n++] = must_format("--device=%u", o->device);
    argv[n++] = must_format("--threads=%u", o->threads);
    argv[n++] = must_format("--seed=%llu", (unsigned long long)o->seed);
    return argv;
}

// What a candidate may need beside the tensors: compiling takes some hundred MiB, workspaces as
// much as the tensors. All of them leave the machine half of its memory.
static uint64_t bytes_for_each(const TuneLog *log)
{
    static const double LEAST = 512e6, COMPILING = 512e6, TENSORS = 4;
    double share = (double)sysconf(_SC_PHYS_PAGES) * (double)sysconf(_SC_PAGESIZE) / 2 / log->jobs,
           enough = COMPILING + TENSORS * log->cost.bytes;
    double bytes = enough < share ? enough : share;
    return (uint64_t)(bytes > LEAST ? bytes : LEAST);
}

// Whether there was time for finals.
static bool is_decided(const hk_tune_result *r)
{
    return isfinite(r->gain_high);
}

static void print_result(const hk_tune_result *r)
{
    printf("default %.4g ms; best %.4g ms", r->default_seconds * 1e3, r->best_seconds * 1e3);
    if (!is_decided(r))
        printf(": there was no time to compare others with the default");
    else if (r->improved)
        printf(", %.3fx as fast (%.3f to %.3f)", r->gain, r->gain_low, r->gain_high);
    else
        printf(": no Config is surely faster than the default");
    printf("; noise %.1f%%\n", r->noise * 100);
    printf("%llu of %.4g points tried:", (unsigned long long)r->evaluations, r->points);
    for (int k = 0; k < HK_OUTCOME_COUNT; k++)
        if (r->outcomes[k]) printf(" %zu %s", r->outcomes[k], hk_outcome_text((hk_outcome)k));
    if (r->duplicates) printf("; %llu the same code as others", (unsigned long long)r->duplicates);
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

// Of the problem's budget; preparing took some.
static double seconds_left(const Sweep *sweep, double budget)
{
    double left = budget - (now_seconds() - sweep->begin);
    return left > SHARE_LEAST ? left : SHARE_LEAST;
}

// Searches, prints, writes beside the kernel; the measurements go into the log.
static int tune_session(Sweep *sweep, Session *s, TuneLog *log)
{
    const Options *o = s->options;
    Watch watch = {.terminal = isatty(STDERR_FILENO), .log = log};
    hk_store *store = NULL;
    int code = sweep->replay ? 0 : db_open(o, s->context, true, &store);
    if (code != 0) return code;
    hk_specialize_options options = session_options(s, HK_STAGE_RUN);
    hk_tune_options tune_options = {.struct_size = sizeof tune_options,
                                    .budget_seconds = seconds_left(sweep, o->budget),
                                    .seed = log->seed,
                                    .search = log->search,
                                    .worker = worker_words(o),
                                    .progress = on_event,
                                    .progress_self = &watch,
                                    .store = store,
                                    .resume = o->resume,
                                    .evaluations_max = log->candidates,
                                    .candidate_seconds_max = o->timeout,
                                    .jobs = log->jobs};
    tune_options.worker_bytes_max = bytes_for_each(log);
    if (sweep->replay) {
        tune_options.measure = replay_measure;
        tune_options.measure_self = sweep->replay;
        tune_options.seeds = replay_seeds(sweep->replay, &tune_options.seed_count);
        tune_options.no_model = true;      // it may know more of the machine by now
        tune_options.budget_seconds = 1e9; // the log says when it was over
    }
    hk_error *error;
    log->result = (hk_tune_result){.struct_size = sizeof log->result};
    hk_status status = hk_tune(s->kernel, &options, &tune_options, &log->result, &error);
    if (watch.terminal) fputs("\r\033[K", stderr);
    code = report(o, status, error);
    if (code == 0) {
        log->config = must_format("%s", hk_text_data(log->result.config));
        print_result(&log->result);
    }
    if (code == 0 && sweep->replay)
        code = replay_agrees(sweep->replay, &log->result) ? 0 : EXIT_DIAGNOSTICS;
    if (code == 0 && !sweep->replay && !is_decided(&log->result)) {
        fprintf(stderr,
                "hako: warning: a budget of %.3g s is too small here: nothing was decided or "
                "written\n",
                o->budget);
    } else if (code == 0 && !sweep->replay && log->result.hopeless) {
        code = io_error("timing is hopeless on this machine now: by 128 rounds the default Config "
                        "beside itself would be known to %.0f%%; nothing was decided or written",
                        log->result.resolution * 100);
    } else if (code == 0 && !sweep->replay) {
        code = keep(s, &log->result);
    }
    hk_text_free(log->result.config);
    free((void *)tune_options.seeds);
    log->result.config = NULL;
    hk_store_free(store);
    return code;
}

static void measure_limits(TuneLog *log, uint32_t threads)
{
    enum { ROUNDS = 3 };
    log->limits.flops = flops_measure(threads);
    Bandwidth *bandwidth = bandwidth_open(threads, log->cost.bytes);
    for (int k = 0; bandwidth && k < ROUNDS; k++) bandwidth_round(bandwidth);
    if (bandwidth) bandwidth_close(bandwidth, &log->limits);
}

// For the report, beside what was measured. A moment is enough for a plot.
static void ask_model(TuneLog *log, const Session *s)
{
    static const double SECONDS = 1;
    double begin = now_seconds();
    for (size_t k = 0; k < log->count && now_seconds() - begin < SECONDS; k++) {
        LogRow *row = &log->rows[k];
        if (row->evaluation.outcome == HK_OUTCOME_OK)
            row->model_seconds = model_seconds(s, true, row->config);
    }
}

// What is used without tuning.
static int print_config(const Session *s)
{
    hk_text *text;
    hk_error *error;
    hk_status status = hk_exec_text(s->exec, HK_FORM_CONFIG, &text, &error);
    if (status == HK_OK) printf("config %s", hk_text_data(text));
    hk_text_free(text);
    return report(s->options, status, error);
}

static int tune_prepared(Sweep *sweep, Session *s)
{
    const Options *o = s->options;
    if (hk_exec_knob_count(s->exec) == 0) {
        printf("nothing to tune: the kernel has no free tile\n");
        return 0;
    }
    if (o->space) return tune_space(s);
    if (o->effort && strcmp(o->effort, "none") == 0) return print_config(s);
    TuneLog *log = &sweep->logs[sweep->log_count++];
    int code = log_begin(log, s);
    log->jobs = o->jobs ? o->jobs : hk_context_threads(s->context);
    if (code == 0 && sweep->replay && !replay_next(sweep->replay, log)) code = EXIT_DIAGNOSTICS;
    if (code == 0 && o->report_path) measure_limits(log, hk_exec_threads(s->exec));
    if (code == 0) code = tune_session(sweep, s, log);
    if (code == 0 && o->report_path) ask_model(log, s);
    int written = sweep->log && log->count ? log_write(sweep->log, log) : 0;
    return code ? code : written;
}

// ---- what to tune

static void add_problem(Sweep *sweep, const char *file, const Pairs *shapes)
{
    sweep->problems = must_grow(sweep->problems, sizeof(Problem) * (sweep->count + 1));
    sweep->problems[sweep->count++] = (Problem){must_format("%s", file), *shapes};
}

// All kernels of the session's file, or the one that was named, at all their rows of sizes that are
// not tests.
static int add_file(Sweep *sweep, const char *word)
{
    Options one = *sweep->options;
    one.files = &word;
    one.file_count = 1;
    Session s;
    int code = session_open(&s, &one);
    bool named = code == 0 && strcmp(s.path, word) != 0; // FILE:KERNEL
    for (size_t k = 0; code == 0 && k < hk_module_kernel_count(s.module); k++) {
        const hk_kernel *kernel = hk_module_kernel(s.module, k);
        if (named && kernel != s.kernel) continue;
        char *file = must_format("%s:%s", s.path, hk_kernel_name(kernel));
        for (size_t r = 0; code == 0 && r < hk_kernel_shape_count(kernel); r++) {
            bool test;
            Pairs shapes = {0};
            const char *row = hk_kernel_shape(kernel, r, &test);
            if (!test) code = pairs_from_list("shapes", row, &shapes);
            if (!test && code == 0) add_problem(sweep, file, &shapes);
        }
        free(file);
    }
    session_close(&s);
    return code;
}

// One kernel where sizes or arguments are given, as run and bench take them; else all that the
// files have.
static int find_problems(Sweep *sweep)
{
    const Options *o = sweep->options;
    if (o->file_count == 0) return usage_error("hako tune wants FILE[:KERNEL]...");
    bool given = o->shapes.count || o->inputs.count;
    if (given && o->file_count > 1)
        return usage_error("--shapes and -i are of one kernel: name one FILE:KERNEL");
    if (given) {
        add_problem(sweep, o->files[0], &o->shapes);
        return 0;
    }
    int code = 0;
    for (size_t k = 0; code == 0 && k < o->file_count; k++) code = add_file(sweep, o->files[k]);
    if (code == 0 && sweep->count == 0)
        return usage_error(
            "no kernel of these files has a row of `shapes` to tune for; give --shapes");
    return code;
}

// Problem k of a sweep of which this process does the part --shard i/n.
static bool is_mine(const Options *o, size_t k)
{
    return o->shard_count < 2 || k % o->shard_count == o->shard - 1;
}

static void print_problem(const Problem *problem)
{
    printf("%s:", problem->file);
    for (size_t k = 0; k < problem->shapes.count; k++)
        printf(" %s=%s", problem->shapes.data[k].name, problem->shapes.data[k].value);
    printf("\n");
    fflush(stdout);
}

static int tune_problem(Sweep *sweep, const Problem *problem, double budget)
{
    Options one = *sweep->options;
    const char *file = problem->file;
    one.files = &file;
    one.file_count = 1;
    one.shapes = problem->shapes;
    one.budget = budget;
    if (sweep->count > 1 && !sweep->options->json) {
        printf("== ");
        print_problem(problem);
    }
    Session session;
    int code = session_open(&session, &one);
    if (code == 0) code = tune_prepare(&session);
    if (code == 0) code = tune_prepared(sweep, &session);
    session_close(&session);
    return code;
}

// What is left of the budget is shared evenly by what is left to tune; but less than some seconds
// is of little use to anyone.
static int tune_all(Sweep *sweep)
{
    const Options *o = sweep->options;
    double begin = now_seconds(), budget = o->budget;
    size_t left = 0;
    int worst = 0;
    for (size_t k = 0; k < sweep->count; k++) left += is_mine(o, k);
    if (o->effort)
        budget = (double)left * (strcmp(o->effort, "full") == 0 ? FULL_SECONDS : QUICK_SECONDS);
    bool spent = false; // the first gets what there is
    for (size_t k = 0; k < sweep->count && !interrupted; k++) {
        if (!is_mine(o, k)) continue;
        sweep->begin = now_seconds();
        double rest = budget - (sweep->begin - begin), share = rest / (double)left;
        if (spent && rest < SHARE_LEAST) break;
        if (share < SHARE_USEFUL) share = rest < SHARE_USEFUL ? rest : SHARE_USEFUL;
        int code = tune_problem(sweep, &sweep->problems[k], share);
        if (code > worst) worst = code;
        spent = true;
        left--;
    }
    if (left && !interrupted)
        fprintf(stderr, "hako: warning: the budget of %.3g s is spent; %zu of %zu are left out\n",
                budget, left, sweep->count);
    return worst;
}

int command_tune(Options *options)
{
    Sweep sweep = {.options = options};
    int code = find_problems(&sweep);
    if (code != 0) return code;
    for (size_t k = 0; options->list && k < sweep.count; k++) print_problem(&sweep.problems[k]);
    if (options->list) return 0;
    sweep.logs = must_alloc(sizeof(TuneLog) * (sweep.count + 1));
    if (options->replay && !(sweep.replay = replay_open(options->replay))) return EXIT_ENVIRONMENT;
    if (options->log && !(sweep.log = fopen(options->log, "w")))
        return io_error("cannot write %s", options->log);
    signal(SIGINT, on_interrupt);
    code = tune_all(&sweep);
    signal(SIGINT, SIG_DFL);
    if (options->report_path) {
        int written = report_write(options->report_path, sweep.logs, sweep.log_count);
        code = code ? code : written;
    }
    if (sweep.log) fclose(sweep.log);
    replay_close(sweep.replay);
    for (size_t k = 0; k < sweep.log_count; k++) log_free(&sweep.logs[k]);
    free(sweep.logs);
    free(sweep.problems);
    return code;
}
