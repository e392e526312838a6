// A process that tries Configs: the worker's side; crew.c is the other.
//
// The worker says "ready forks" or "ready", or exits. Where it forks, it answers on its first
// socket:
//
//   fork, with a socket   PID of a child that serves it
//   end PID               the wait status and the most KiB of the child, which is ended if need be
//
// Who serves candidates answers, with an evaluation "OUTCOME COMPILE ERROR COUNT SECONDS... REASON"
// at once where one ends:
//
//   try CONFIG            scheduled HASH
//   build                 built
//   time LIMIT            an evaluation
//   again RUNS CONFIG     the same of what was checked before, without a check
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runtime/trial.h"

enum { LINE_BYTES = 65536 };

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

static bool say(int fd, const char *text)
{
    return write_all(fd, text, strlen(text));
}

// ---- candidates

typedef struct Candidate {
    hk_trial *trial;
    char *config;
    hk_exec *exec;
    hk_evaluation evaluation;
} Candidate;

static void print_evaluation(const hk_evaluation *e, char *line)
{
    int n = snprintf(line, LINE_BYTES, "%s %.9g %.9g %zu", hk_outcome_text(e->outcome),
                     e->compile_seconds, e->error_ratio, e->count);
    for (size_t k = 0; k < e->count; k++)
        n += snprintf(line + n, (size_t)(LINE_BYTES - n), " %.9g", e->seconds[k]);
    snprintf(line + n, (size_t)(LINE_BYTES - n), " %s\n", e->reason);
}

// The answer takes the place of the request.
static void step(Candidate *c, char *line)
{
    uint64_t code;
    bool goes_on = false;
    if (strncmp(line, "try ", 4) == 0) {
        free(c->config);
        hk_exec_free(c->exec);
        c->exec = NULL;
        c->config = strdup(line + 4);
        goes_on = c->config && trial_schedule(c->trial, c->config, &code, &c->evaluation);
        if (goes_on) snprintf(line, LINE_BYTES, "scheduled %llx\n", (unsigned long long)code);
    } else if (strcmp(line, "build") == 0 && c->config) {
        goes_on = trial_build(c->trial, c->config, &c->exec, &c->evaluation);
        if (goes_on) snprintf(line, LINE_BYTES, "built\n");
    } else if (strncmp(line, "time ", 5) == 0 && c->exec) {
        c->evaluation.count = 0;
        trial_time(c->trial, c->exec, c->config, strtod(line + 5, NULL), 0, &c->evaluation);
    } else if (strncmp(line, "again ", 6) == 0) {
        char *config;
        uint32_t runs = (uint32_t)strtoul(line + 6, &config, 10);
        trial_again(c->trial, config + (*config == ' '), runs, &c->evaluation);
    }
    if (!goes_on) print_evaluation(&c->evaluation, line);
}

static void serve_candidates(hk_trial *trial, int in, int out)
{
    Candidate c = {.trial = trial};
    char *line = malloc(LINE_BYTES);
    FILE *requests = line ? fdopen(dup(in), "r") : NULL;
    bool said = requests;
    while (said && fgets(line, LINE_BYTES, requests)) {
        line[strcspn(line, "\n")] = 0;
        step(&c, line);
        said = say(out, line);
    }
    if (requests) fclose(requests);
    hk_exec_free(c.exec);
    free(c.config);
    free(line);
}

// ---- forks

// A request and the socket that came with it, -1 without. False at the end.
static bool receive(int from, char *line, size_t bytes, int *passed)
{
    union {
        char bytes[CMSG_SPACE(sizeof(int))];
        struct cmsghdr aligned;
    } control;
    struct iovec text = {line, bytes - 1};
    struct msghdr message = {.msg_iov = &text,
                             .msg_iovlen = 1,
                             .msg_control = control.bytes,
                             .msg_controllen = sizeof control};
    ssize_t n;
    do {
        n = recvmsg(from, &message, MSG_CMSG_CLOEXEC);
    } while (n < 0 && errno == EINTR);
    if (n <= 0) return false;
    line[n] = 0;
    line[strcspn(line, "\n")] = 0;
    const struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    *passed = -1;
    if (header && header->cmsg_type == SCM_RIGHTS)
        memcpy(passed, CMSG_DATA(header), sizeof *passed);
    return true;
}

static void fork_child(hk_trial *trial, int in, int out, int served)
{
    char line[32];
    pid_t parent = getpid(), pid = fork();
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL); // what hangs must not outlive the tuner
        if (getppid() != parent || setpgid(0, 0) != 0) _exit(0);
        close(in);
        if (out != in) close(out);
        trial_forked(trial);
        serve_candidates(trial, served, served);
        _exit(0);
    }
    snprintf(line, sizeof line, "%d\n", (int)pid);
    say(out, line);
}

static void end_child(int out, pid_t pid)
{
    int status = 0;
    struct rusage usage = {0};
    char line[64];
    if (pid > 0) {
        kill(-pid, SIGKILL); // with all that it started; of one that has ended the status stays
        kill(pid, SIGKILL);
        while (wait4(pid, &status, 0, &usage) < 0 && errno == EINTR) continue;
    }
    snprintf(line, sizeof line, "%d %ld\n", status, usage.ru_maxrss);
    say(out, line);
}

static void serve_forks(hk_trial *trial, int in, int out)
{
    char line[64];
    for (int passed; receive(in, line, sizeof line, &passed);) {
        if (strcmp(line, "fork") == 0 && passed >= 0)
            fork_child(trial, in, out, passed);
        else if (strncmp(line, "end ", 4) == 0)
            end_child(out, (pid_t)strtol(line + 4, NULL, 10));
        if (passed >= 0) close(passed);
    }
}

hk_status hk_trial_serve(hk_trial *trial, int in, int out, hk_error **error)
{
    if (error) *error = NULL;
    if (!trial) return fail_usage(error, "hk_trial_serve: the trial is NULL");
    bool forks = trial_may_fork(trial);
    if (forks) trial_rest(trial);
    if (!say(out, forks ? "ready forks\n" : "ready\n")) return HK_OK;
    if (forks)
        serve_forks(trial, in, out);
    else
        serve_candidates(trial, in, out);
    return HK_OK;
}
