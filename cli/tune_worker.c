// The process that compiles and runs candidates of `hako tune`, and the driver's side of talking to
// it. Protocol: the worker says "ready" (or exits), then for every line "LIMIT_NS CONFIG" answers
// "ok NS", "slow NS", "wrong 0" or "refused 0".
#include <errno.h>
#include <math.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/tune.h"

extern char **environ;

enum { LINE_MAX_BYTES = 16384, RUNS_MOST = 25, RUNS_LEAST = 3 };
static const double ENOUGH_SECONDS = 0.03, SLOW_FACTOR = 2.0, REFERENCE_SECONDS = 2.0;
static const char *const words[OUTCOME_COUNT] = {"ok", "wrong", "refused", "crashed", "slow"};

// ---- the worker

typedef struct Reference { // results of the default Config, which the interpreter has confirmed
    Array *outputs; // by argument; without memory: not an output
    Array *initial; // of inout tensors, by argument
    size_t count;
} Reference;

static bool is_result(const Session *s, size_t arg)
{
    hk_exec_param_info info = {.struct_size = sizeof info};
    for (size_t k = 0; hk_exec_param(s->exec, k, &info) == HK_OK; k++) {
        if (strcmp(info.name, s->args[arg].name) == 0)
            return info.kind == HK_PARAM_OUT || info.kind == HK_PARAM_INOUT;
    }
    return false;
}

static int take_reference(Session *s, Reference *reference)
{
    hk_verify_options options = {.struct_size = sizeof options, .seconds_max = REFERENCE_SECONDS};
    hk_verify_result result = {.struct_size = sizeof result};
    hk_error *error;
    reference->count = s->arg_count;
    reference->outputs = must_alloc(sizeof(Array) * (s->arg_count + 1));
    int code = inout_keep(s, &reference->initial);
    if (code != 0) return code;
    hk_status status = hk_exec_verify(s->exec, s->args, s->arg_count, &options, &result, &error);
    if (status != HK_OK) return report(s->options, status, error);
    inout_restore(s, reference->initial);
    status = hk_exec_run(s->exec, s->args, s->arg_count, &error);
    if (status != HK_OK) return report(s->options, status, error);
    for (size_t k = 0; k < s->arg_count; k++) {
        if (!is_result(s, k)) continue;
        if (!array_copy(&reference->outputs[k], &s->arrays[k]))
            return io_error("no memory for a copy of the outputs");
    }
    return 0;
}

// Both were computed in different orders from the same inputs: they may differ by rounding, which
// grows with the size of the values summed, not with that of the result.
static bool agrees(const Array *want, const Array *got)
{
    int64_t index[8] = {0};
    double scale = 0, sum = 0, worst = 0;
    if (array_elements(want) == 0) return true;
    do {
        double w = array_get(want, index), g = array_get(got, index);
        if (isnan(w) != isnan(g) || (isinf(w) && w != g)) return false;
        if (isnan(w) || isinf(w)) continue;
        sum += w * w;
        if (fabs(w - g) > worst) worst = fabs(w - g);
    } while (array_next(want, index));
    scale = sqrt(sum / (double)array_elements(want));
    int bits = want->tensor.dtype.bits;
    bool floats = want->tensor.dtype.code != kDLInt && want->tensor.dtype.code != kDLUInt;
    double step = !floats ? 0 : bits >= 64 ? 1e-12 : bits == 32 ? 2e-4 : bits == 16 ? 3e-2 : 0.3;
    return worst <= step * scale + (floats ? 1e-30 : 0.5);
}

static Outcome time_config(Session *s, const Reference *reference, double limit_ns, double *ns)
{
    double seconds[RUNS_MOST], begin = now_seconds();
    size_t count = 0;
    while (count < RUNS_MOST) {
        inout_restore(s, reference->initial);
        double start = now_seconds();
        hk_status status = hk_exec_run(s->exec, s->args, s->arg_count, NULL);
        double end = now_seconds();
        if (status != HK_OK) return OUTCOME_REFUSED;
        seconds[count++] = end - start;
        *ns = (end - start) * 1e9;
        if (limit_ns > 0 && count == 2 && *ns > SLOW_FACTOR * limit_ns) return OUTCOME_SLOW;
        if (count >= RUNS_LEAST && end - begin > ENOUGH_SECONDS) break;
    }
    *ns = spread_of(seconds, count).median * 1e9;
    return OUTCOME_OK;
}

static Outcome try_config(Session *s, const Reference *reference, const char *config,
                          double limit_ns, double *ns)
{
    *ns = 0;
    free(s->config);
    s->config = must_format("%s", config);
    hk_specialize_options options = {.struct_size = sizeof options,
                                     .defines = s->defines,
                                     .define_count = s->define_count,
                                     .args = s->args,
                                     .arg_count = s->arg_count,
                                     .dims = s->dims,
                                     .dim_count = s->dim_count,
                                     .config = s->config,
                                     .target = target_named(s->options->target),
                                     .device = s->options->device,
                                     .threads = s->options->threads};
    hk_exec_free(s->exec);
    s->exec = NULL;
    if (hk_kernel_specialize(s->kernel, &options, &s->exec, NULL) != HK_OK) return OUTCOME_REFUSED;
    inout_restore(s, reference->initial);
    if (hk_exec_run(s->exec, s->args, s->arg_count, NULL) != HK_OK) return OUTCOME_REFUSED;
    for (size_t k = 0; k < reference->count; k++)
        if (reference->outputs[k].memory && !agrees(&reference->outputs[k], &s->arrays[k]))
            return OUTCOME_WRONG;
    return time_config(s, reference, limit_ns, ns);
}

static int serve(Session *s)
{
    Reference reference = {0};
    int code = session_arguments(s);
    bool made_up = s->options->shapes.count || !s->options->inputs.count;
    if (code == 0 && made_up) code = session_shapes(s);
    if (code == 0 && made_up) code = session_specialize(s, HK_STAGE_TILE, false);
    if (code == 0 && made_up) code = session_allocate(s, true);
    if (code == 0) code = session_specialize(s, HK_STAGE_RUN, true);
    if (code == 0) code = session_allocate(s, false);
    if (code == 0) code = take_reference(s, &reference);
    if (code != 0) return code;
    printf("ready\n");
    fflush(stdout);
    char line[LINE_MAX_BYTES];
    while (fgets(line, sizeof line, stdin)) {
        char *config;
        double limit = strtod(line, &config), ns = 0;
        config[strcspn(config, "\n")] = 0;
        Outcome outcome = try_config(s, &reference, config, limit, &ns);
        printf("%s %.0f\n", words[outcome], ns);
        fflush(stdout);
    }
    for (size_t k = 0; k < reference.count; k++) array_free(&reference.outputs[k]);
    free(reference.outputs);
    inout_free(s, reference.initial);
    return 0;
}

int command_tune_worker(Options *options)
{
    Session session;
    int code = session_open(&session, options);
    if (code == 0) code = serve(&session);
    session_close(&session);
    return code;
}

// ---- the driver's side

static void reap(Worker *w, bool by_force)
{
    int status = 0;
    if (!w->pid) return;
    close(w->to);
    if (by_force) kill(w->pid, SIGKILL);
    close(w->from);
    while (waitpid(w->pid, &status, 0) < 0 && errno == EINTR) continue;
    w->code = WIFEXITED(status) ? WEXITSTATUS(status) : EXIT_INTERNAL;
    w->pid = 0;
}

void worker_stop(Worker *worker)
{
    reap(worker, true);
}

// One line of the worker's answers. False if it died or did not answer in time.
static bool read_line(const Worker *w, char *line, size_t bytes, double deadline)
{
    for (size_t n = 0; n + 1 < bytes;) {
        double left = deadline - now_seconds();
        struct pollfd ready = {.fd = w->from, .events = POLLIN};
        if (left <= 0 || poll(&ready, 1, (int)(left * 1000) + 1) <= 0) return false;
        if (read(w->from, line + n, 1) != 1) return false;
        if (line[n] == '\n') {
            line[n] = 0;
            return true;
        }
        n++;
    }
    return false;
}

static void add_pairs(char **argv, int *argc, const char *option, const Pairs *pairs)
{
    for (size_t k = 0; k < pairs->count; k++) {
        argv[(*argc)++] = (char *)option;
        argv[(*argc)++] = must_format("%s=%s", pairs->data[k].name, pairs->data[k].value);
    }
}

static char **worker_words(const Options *o)
{
    size_t most = 16 + 2 * (o->inputs.count + o->scalars.count + o->defines.count +
                            o->shapes.count + o->outputs.count);
    char **argv = must_alloc(sizeof(char *) * most);
    int n = 0;
    argv[n++] = (char *)"hako";
    argv[n++] = (char *)"tune-worker";
    argv[n++] = (char *)o->files[0];
    add_pairs(argv, &n, "-i", &o->inputs);
    add_pairs(argv, &n, "--arg", &o->scalars);
    add_pairs(argv, &n, "-D", &o->defines);
    add_pairs(argv, &n, "--shapes", &o->shapes);
    argv[n++] = (char *)"--target";
    argv[n++] = (char *)o->target;
    argv[n++] = must_format("--threads=%u", o->threads);
    argv[n++] = must_format("--seed=%llu", (unsigned long long)o->seed);
    return argv;
}

static bool start(Worker *w, double deadline)
{
    int down[2], up[2];
    if (pipe(down) != 0) return false;
    if (pipe(up) != 0) {
        close(down[0]);
        close(down[1]);
        return false;
    }
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, down[0], 0);
    posix_spawn_file_actions_adddup2(&actions, up[1], 1);
    posix_spawn_file_actions_addclose(&actions, down[1]);
    posix_spawn_file_actions_addclose(&actions, up[0]);
    char **argv = worker_words(w->options);
    int failed = posix_spawn(&w->pid, "/proc/self/exe", &actions, NULL, argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    free(argv);
    close(down[0]);
    close(up[1]);
    w->to = down[1];
    w->from = up[0];
    char line[64];
    if (failed) w->pid = 0;
    if (!failed && read_line(w, line, sizeof line, deadline) && strcmp(line, "ready") == 0)
        return true;
    bool in_time = now_seconds() < deadline;
    if (!failed) reap(w, !in_time);
    w->gave_up = true;
    if (w->code == 0) w->code = EXIT_INTERNAL;
    return false;
}

Outcome worker_measure(Worker *w, const char *config, double limit_ns, double deadline_seconds,
                       double *ns)
{
    enum { START_SECONDS = 60 };
    *ns = 0;
    if (!w->pid && !start(w, now_seconds() + START_SECONDS)) return OUTCOME_CRASHED;
    char *line = must_format("%.0f %s\n", limit_ns, config), answer[128], status[32];
    size_t length = strlen(line);
    bool sent = write(w->to, line, length) == (ssize_t)length;
    free(line);
    bool answered = sent && read_line(w, answer, sizeof answer, now_seconds() + deadline_seconds);
    if (!answered || sscanf(answer, "%31s %lf", status, ns) != 2) {
        reap(w, true);
        return OUTCOME_CRASHED;
    }
    for (int k = 0; k < OUTCOME_COUNT; k++)
        if (strcmp(status, words[k]) == 0) return (Outcome)k;
    return OUTCOME_CRASHED;
}
