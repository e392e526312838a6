// A process that tries Configs, and the tuner's side of talking to it: a candidate that crashes,
// hangs or eats memory costs that process and nothing else.
//
// The worker says "ready" or exits. For every line "LIMIT RUNS CONFIG" (seconds, a number, a Config
// of one line) it answers "OUTCOME COMPILE ERROR COUNT SECONDS...".
#include <errno.h>
#include <math.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "passes/tune/compare.h"
#include "runtime/trial.h"

extern char **environ;

enum { LINE_BYTES = 65536, NUMBER_BYTES = 32, START_SECONDS = 120 };

static const char *const outcome_texts[HK_OUTCOME_COUNT] = {"ok",    "slow",   "refused", "trap",
                                                            "wrong", "memory", "crash",   "hang"};

const char *hk_outcome_text(hk_outcome outcome)
{
    return (unsigned)outcome < HK_OUTCOME_COUNT ? outcome_texts[outcome] : "?";
}

static bool write_all(int fd, const char *text, size_t length)
{
    while (length > 0) {
        ssize_t n = write(fd, text, length);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return false;
        text += n;
        length -= (size_t)n;
    }
    return true;
}

// ---- the worker's side

static void answer(const hk_evaluation *e, char *line)
{
    int n = snprintf(line, LINE_BYTES, "%s %.9g %.9g %zu", hk_outcome_text(e->outcome),
                     e->compile_seconds, e->error_ratio, e->count);
    for (size_t k = 0; k < e->count; k++)
        n += snprintf(line + n, (size_t)(LINE_BYTES - n), " %.9g", e->seconds[k]);
    snprintf(line + n, (size_t)(LINE_BYTES - n), "\n");
}

hk_status hk_trial_serve(hk_trial *trial, int in, int out, hk_error **error)
{
    if (error) *error = NULL;
    if (!trial) return fail_usage(error, "hk_trial_serve: the trial is NULL");
    char *line = malloc(LINE_BYTES);
    FILE *requests = line ? fdopen(dup(in), "r") : NULL;
    bool said = requests && write_all(out, "ready\n", 6);
    while (said && fgets(line, LINE_BYTES, requests)) {
        char *rest;
        double limit = strtod(line, &rest);
        uint32_t runs = (uint32_t)strtoul(rest, &rest, 10);
        rest[strcspn(rest, "\n")] = 0;
        hk_evaluation e = {.struct_size = sizeof e};
        hk_trial_measure(trial, rest, limit, runs, &e);
        answer(&e, line);
        said = write_all(out, line, strlen(line));
    }
    if (requests) fclose(requests);
    free(line);
    return HK_OK;
}

// ---- the tuner's side

static void reap(Worker *w, bool by_force)
{
    int status = 0;
    if (!w->pid) return;
    if (by_force) kill(-w->pid, SIGKILL); // with all that it started
    close(w->socket);
    while (waitpid(w->pid, &status, 0) < 0 && errno == EINTR) continue;
    w->code = WIFEXITED(status) ? WEXITSTATUS(status) : HK_ERROR_INTERNAL;
    w->pid = 0;
}

void worker_stop(Worker *w)
{
    reap(w, true);
    free(w->line);
    w->line = NULL;
}

static bool send_all(int fd, const char *text, size_t length)
{
    while (length > 0) {
        ssize_t n = send(fd, text, length, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return false;
        text += n;
        length -= (size_t)n;
    }
    return true;
}

// The worker's next line, without its end. False if it died or did not answer by the deadline.
static bool read_line(Worker *w, double deadline)
{
    if (!w->line) w->line = malloc(LINE_BYTES);
    for (size_t n = 0; w->line && n + 1 < LINE_BYTES;) {
        double left = deadline - clock_seconds();
        struct pollfd ready = {.fd = w->socket, .events = POLLIN};
        if (left <= 0) return false;
        int polled = poll(&ready, 1, (int)(left * 1000) + 1);
        if (polled < 0 && errno == EINTR) continue;
        if (polled <= 0) return false;
        ssize_t got = read(w->socket, w->line + n, LINE_BYTES - 1 - n);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) return false;
        n += (size_t)got;
        if (w->line[n - 1] != '\n') continue; // one answer at a time: nothing follows a line
        w->line[n - 1] = 0;
        return true;
    }
    return false;
}

static bool start(Worker *w)
{
    int ends[2]; // a socket, since writing to a pipe whose reader died raises a signal
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) return false;
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, ends[1], 0);
    posix_spawn_file_actions_adddup2(&actions, ends[1], 1);
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP); // a group of its own
    int failed =
        posix_spawnp(&w->pid, w->argv[0], &actions, &attributes, (char *const *)w->argv, environ);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    close(ends[1]);
    w->socket = ends[0];
    if (failed) {
        close(w->socket);
        w->pid = 0;
        w->code = HK_ERROR_ENVIRONMENT;
        return false;
    }
    struct rlimit no_core = {0, 0}, bytes = {w->bytes_max, w->bytes_max};
    prlimit(w->pid, RLIMIT_CORE, &no_core, NULL);
    if (w->bytes_max) prlimit(w->pid, RLIMIT_AS, &bytes, NULL);
    double deadline = clock_seconds() + START_SECONDS;
    if (read_line(w, deadline) && strcmp(w->line, "ready") == 0) return true;
    reap(w, clock_seconds() >= deadline);
    if (w->code == 0) w->code = HK_ERROR_INTERNAL;
    return false;
}

static bool parse(const char *line, hk_evaluation *e)
{
    char word[16];
    int n = 0;
    size_t count;
    if (sscanf(line, "%15s %lf %lf %zu%n", word, &e->compile_seconds, &e->error_ratio, &count,
               &n) != 4 ||
        count > HK_SAMPLES_MAX)
        return false;
    double sorted[HK_SAMPLES_MAX];
    for (size_t k = 0; k < count; k++) {
        char *end;
        e->seconds[k] = sorted[k] = strtod(line + n, &end);
        if (end == line + n) return false;
        n = (int)(end - line);
    }
    e->count = count;
    e->median = median_of(sorted, (uint32_t)count);
    for (int k = 0; k < HK_OUTCOME_COUNT; k++) {
        if (strcmp(word, outcome_texts[k]) != 0) continue;
        e->outcome = (hk_outcome)k;
        return true;
    }
    return false;
}

bool worker_measure(Worker *w, const char *config, double limit, uint32_t runs, double seconds_max,
                    hk_evaluation *e)
{
    *e = (hk_evaluation){.struct_size = sizeof *e, .outcome = HK_OUTCOME_CRASH, .median = INFINITY};
    if (w->gave_up) return false;
    if (!w->pid && !start(w)) {
        w->gave_up = true;
        return false;
    }
    size_t bytes = strlen(config) + 3 * NUMBER_BYTES;
    char *request = malloc(bytes);
    if (!request) return true;
    int length = snprintf(request, bytes, "%.9g %u %s\n", limit, runs, config);
    double deadline = clock_seconds() + seconds_max;
    bool sent = send_all(w->socket, request, (size_t)length);
    free(request);
    if (sent && read_line(w, deadline) && parse(w->line, e)) return true;
    *e =
        (hk_evaluation){.struct_size = sizeof *e,
                        .outcome = clock_seconds() >= deadline ? HK_OUTCOME_HANG : HK_OUTCOME_CRASH,
                        .median = INFINITY};
    reap(w, true);
    return true;
}
