// The tuner's side of processes that try Configs; worker.c is theirs, and has the protocol. A
// candidate that crashes, hangs or eats memory costs its process and nothing else; since a process
// is a fork of one that is ready, that is some milliseconds.
#include "runtime/crew.h"

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

extern char **environ;

enum { LINE_BYTES = 65536, START_SECONDS = 120 };
static const double ANSWER_SECONDS = 30; // of the process that forks, which does nothing long
static const double MEMORY_SHARE = 0.8;  // of its limit: who dies having used that died of it

// ---- lines

static bool send_line(int socket, const char *text, int passed)
{
    union {
        char bytes[CMSG_SPACE(sizeof(int))];
        struct cmsghdr aligned;
    } control = {{0}};
    size_t length = strlen(text);
    struct iovec part = {(char *)text, length};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    if (passed >= 0) {
        message.msg_control = control.bytes;
        message.msg_controllen = sizeof control;
        struct cmsghdr *header = CMSG_FIRSTHDR(&message);
        *header = (struct cmsghdr){
            .cmsg_len = CMSG_LEN(sizeof passed), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS};
        memcpy(CMSG_DATA(header), &passed, sizeof passed);
    }
    while (part.iov_len > 0) {
        ssize_t n = sendmsg(socket, &message, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return false;
        part.iov_base = (char *)part.iov_base + n;
        part.iov_len -= (size_t)n;
        message.msg_control = NULL;
        message.msg_controllen = 0;
    }
    return true;
}

// The process's next line, without its end. False if it died or did not answer by the deadline.
static bool read_line(Crew *crew, const Process *p, double deadline)
{
    if (!crew->line) crew->line = malloc(LINE_BYTES);
    for (size_t n = 0; p->pid && crew->line && n + 1 < LINE_BYTES;) {
        double left = fmax(0, deadline - clock_seconds()); // what has come is read at any time
        struct pollfd ready = {.fd = p->socket, .events = POLLIN};
        int polled = poll(&ready, 1, (int)ceil(left * 1000));
        if (polled < 0 && errno == EINTR) continue;
        if (polled <= 0) return false;
        ssize_t got = read(p->socket, crew->line + n, LINE_BYTES - 1 - n);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) return false;
        n += (size_t)got;
        if (crew->line[n - 1] != '\n') continue; // one answer at a time: nothing follows a line
        crew->line[n - 1] = 0;
        return true;
    }
    return false;
}

// ---- processes

static double bytes_of(pid_t pid, int column) // 0: address space, 1: in memory
{
    char path[64];
    double pages[2] = {0, 0};
    snprintf(path, sizeof path, "/proc/%d/statm", (int)pid);
    FILE *file = fopen(path, "r");
    bool known = file && fscanf(file, "%lf %lf", &pages[0], &pages[1]) == 2;
    if (file) fclose(file);
    return known ? pages[column] * (double)sysconf(_SC_PAGESIZE) : 0;
}

static void limit_process(const Crew *crew, Process *p)
{
    struct rlimit no_core = {0, 0};
    prlimit(p->pid, RLIMIT_CORE, &no_core, NULL);
    double space = bytes_of(p->pid, 0);
    p->bytes = bytes_of(p->pid, 1);
    if (!crew->bytes_max || space <= 0) return;
    rlim_t most = (rlim_t)space + crew->bytes_max;
    struct rlimit bytes = {most, most};
    prlimit(p->pid, RLIMIT_AS, &bytes, NULL);
}

static void reap_started(Process *p, int *status, long *most_kib)
{
    struct rusage usage = {0};
    pid_t ended = wait4(p->pid, status, WNOHANG, &usage);
    if (ended == 0) kill(-p->pid, SIGKILL); // with all that it started
    while (ended == 0 && (ended = wait4(p->pid, status, 0, &usage)) < 0 && errno == EINTR)
        ended = 0;
    *most_kib = usage.ru_maxrss;
}

static bool start(Crew *crew, Process *p)
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
    int failed = posix_spawnp(&p->pid, crew->argv[0], &actions, &attributes,
                              (char *const *)crew->argv, environ);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    close(ends[1]);
    p->socket = ends[0];
    if (failed) {
        close(p->socket);
        p->pid = 0;
        crew->code = HK_ERROR_ENVIRONMENT;
        return false;
    }
    double deadline = clock_seconds() + START_SECONDS;
    bool ready = read_line(crew, p, deadline);
    crew->forks = ready && strcmp(crew->line, "ready forks") == 0;
    if (crew->forks || (ready && strcmp(crew->line, "ready") == 0)) return true;
    int status = 0;
    long most;
    if (!ready && clock_seconds() < deadline) // it closed its side: let it say why it ends
        while (waitpid(p->pid, &status, 0) < 0 && errno == EINTR) continue;
    else
        reap_started(p, &status, &most);
    close(p->socket);
    *p = (Process){0};
    crew->code = WIFEXITED(status) && WEXITSTATUS(status) ? WEXITSTATUS(status) : HK_ERROR_INTERNAL;
    return false;
}

static bool fork_root(Crew *crew, Process *p)
{
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) return false;
    bool answered = send_line(crew->root.socket, "fork\n", ends[1]) &&
                    read_line(crew, &crew->root, clock_seconds() + ANSWER_SECONDS);
    close(ends[1]);
    long pid = answered ? strtol(crew->line, NULL, 10) : 0;
    if (pid <= 0) {
        close(ends[0]);
        return false;
    }
    *p = (Process){.pid = (pid_t)pid, .socket = ends[0]};
    return true;
}

static void stop(Crew *crew, Process *p, int *status, long *most_kib)
{
    char text[32];
    *status = 0;
    *most_kib = 0;
    if (!p->pid) return;
    if (!crew->forks || p == &crew->root) {
        reap_started(p, status, most_kib);
    } else {
        snprintf(text, sizeof text, "end %d\n", (int)p->pid);
        if (!send_line(crew->root.socket, text, -1) ||
            !read_line(crew, &crew->root, clock_seconds() + ANSWER_SECONDS) ||
            sscanf(crew->line, "%d %ld", status, most_kib) != 2)
            *status = SIGKILL; // it died with the process that forked it
    }
    close(p->socket);
    *p = (Process){0};
}

static bool is_alive(const Process *p)
{
    struct pollfd ready = {.fd = p->socket, .events = POLLIN};
    return p->pid && poll(&ready, 1, 0) == 0; // an end of file is an event
}

// A process that waits for a candidate; one that did others is good enough if `stay`.
static bool renew(Crew *crew, Process *p, bool stay)
{
    int status;
    long most;
    if ((stay || !crew->forks) && is_alive(p)) return true;
    stop(crew, p, &status, &most);
    for (int attempt = 0; attempt < 2; attempt++) {
        if (!is_alive(&crew->root)) {
            // Its forks end with it; without forks the others have nothing to do with it.
            for (size_t k = 0; crew->forks && k < CREW_MAX; k++)
                stop(crew, &crew->places[k], &status, &most);
            stop(crew, &crew->root, &status, &most);
            if (!start(crew, &crew->root)) break;
        }
        if (!crew->forks) { // the process is itself of use
            *p = crew->root;
            crew->root = (Process){0};
            limit_process(crew, p);
            return true;
        }
        if (fork_root(crew, p)) {
            limit_process(crew, p);
            return true;
        }
        stop(crew, &crew->root, &status, &most);
    }
    crew->gave_up = true;
    return false;
}

// ---- candidates

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
    snprintf(e->reason, sizeof e->reason, "%s", line + n + (line[n] == ' '));
    e->median = median_of(sorted, (uint32_t)count);
    for (int k = 0; k < HK_OUTCOME_COUNT; k++) {
        if (strcmp(word, hk_outcome_text((hk_outcome)k)) != 0) continue;
        e->outcome = (hk_outcome)k;
        return true;
    }
    return false;
}

static void ask(const Crew *crew, Process *p, Attempt *a, const char *request)
{
    a->deadline = clock_seconds() + crew->seconds_max;
    (void)send_line(p->socket, request, -1); // who cannot hear does not answer either
}

// True if the answer is `word`; else the attempt is over.
static bool hear(Crew *crew, Process *p, Attempt *a, const char *word)
{
    bool answered = read_line(crew, p, a->deadline);
    if (answered && word && strncmp(crew->line, word, strlen(word)) == 0) return true;
    a->over = true;
    if (answered && parse(crew->line, &a->evaluation)) return false;
    int status = 0;
    long most_kib = 0;
    double before = p->bytes;
    bool late = !answered && clock_seconds() >= a->deadline;
    stop(crew, p, &status, &most_kib);
    bool full = crew->bytes_max &&
                (double)most_kib * 1024 - before > MEMORY_SHARE * (double)crew->bytes_max;
    a->evaluation = (hk_evaluation){.struct_size = sizeof a->evaluation,
                                    .outcome = full   ? HK_OUTCOME_MEMORY
                                               : late ? HK_OUTCOME_HANG
                                                      : HK_OUTCOME_CRASH,
                                    .median = INFINITY};
    if (full)
        snprintf(a->evaluation.reason, HK_REASON_MAX, "%ld MiB", most_kib / 1024);
    else if (late)
        snprintf(a->evaluation.reason, HK_REASON_MAX, "no answer within %.3g s", crew->seconds_max);
    else if (WIFSIGNALED(status))
        snprintf(a->evaluation.reason, HK_REASON_MAX, "SIG%s",
                 sigabbrev_np(WTERMSIG(status)) ? sigabbrev_np(WTERMSIG(status)) : "?");
    else
        snprintf(a->evaluation.reason, HK_REASON_MAX, "exit code %d", WEXITSTATUS(status));
    return false;
}

// Asks the process of place k, which is made anew unless it may `stay`.
static void request(Crew *crew, size_t k, Attempt *a, bool stay, const char *verb)
{
    size_t bytes = strlen(a->config) + strlen(verb) + 3;
    char *text = malloc(bytes);
    a->over = crew->gave_up || !text || !renew(crew, &crew->places[k], stay);
    if (!a->over) {
        snprintf(text, bytes, "%s %s\n", verb, a->config);
        ask(crew, &crew->places[k], a, text);
    }
    free(text);
}

static void begin(Attempt *a)
{
    *a = (Attempt){.config = a->config,
                   .evaluation = {.struct_size = sizeof a->evaluation,
                                  .outcome = HK_OUTCOME_CRASH,
                                  .median = INFINITY}};
}

static void schedule_all(Crew *crew, size_t first, Attempt *attempts, size_t count, bool stay)
{
    for (size_t k = 0; k < count; k++) {
        Attempt *a = &attempts[k];
        begin(a);
        if (crew->trial)
            a->over = !trial_schedule(crew->trial, a->config, &a->code, &a->evaluation);
        else
            request(crew, first + k, a, stay, "try");
    }
    for (size_t k = 0; k < count && !crew->trial; k++) {
        Attempt *a = &attempts[k];
        if (!a->over && hear(crew, &crew->places[first + k], a, "scheduled "))
            a->code = strtoull(crew->line + strlen("scheduled "), NULL, 16);
    }
}

static void build_all(Crew *crew, size_t first, Attempt *attempts, size_t count)
{
    for (size_t k = 0; k < count; k++) {
        Attempt *a = &attempts[k];
        if (a->over) continue;
        if (crew->trial)
            a->over = !trial_build(crew->trial, a->config, &a->exec, &a->evaluation);
        else
            ask(crew, &crew->places[first + k], a, "build\n");
    }
    for (size_t k = 0; k < count && !crew->trial; k++)
        if (!attempts[k].over) hear(crew, &crew->places[first + k], &attempts[k], "built");
}

void crew_schedule(Crew *crew, Attempt *attempts, size_t count)
{
    schedule_all(crew, 0, attempts, count, false);
}

void crew_build(Crew *crew, Attempt *attempts, size_t count)
{
    build_all(crew, 0, attempts, count);
}

void crew_time(Crew *crew, Attempt *attempts, size_t k, double limit)
{
    Attempt *a = &attempts[k];
    char text[64];
    if (a->over) return;
    if (crew->trial) {
        trial_time(crew->trial, a->exec, a->config, limit, 0, &a->evaluation);
        hk_exec_free(a->exec);
        a->exec = NULL;
        a->over = true;
        return;
    }
    snprintf(text, sizeof text, "time %.9g\n", limit);
    ask(crew, &crew->places[k], a, text);
    hear(crew, &crew->places[k], a, NULL);
}

void crew_enter(Crew *crew, size_t place, Attempt *attempt)
{
    schedule_all(crew, place, attempt, 1, true);
    build_all(crew, place, attempt, 1);
    if (crew->trial && !attempt->over) {
        hk_exec_free(attempt->exec); // the kernel keeps it
        attempt->exec = NULL;
    }
}

void crew_renew(Crew *crew, size_t place)
{
    if (crew->forks && crew->places[place].pid) (void)renew(crew, &crew->places[place], false);
}

void crew_again(Crew *crew, size_t place, Attempt *attempt, uint32_t runs)
{
    char verb[32];
    if (attempt->over) return;
    begin(attempt);
    if (crew->trial) {
        trial_again(crew->trial, attempt->config, runs, &attempt->evaluation);
        attempt->over = true;
        return;
    }
    snprintf(verb, sizeof verb, "again %u", runs);
    request(crew, place, attempt, true, verb);
    if (!attempt->over) hear(crew, &crew->places[place], attempt, NULL);
}

void crew_free(Crew *crew)
{
    int status;
    long most;
    for (size_t k = 0; k < CREW_MAX; k++) stop(crew, &crew->places[k], &status, &most);
    stop(crew, &crew->root, &status, &most);
    free(crew->line);
    crew->line = NULL;
}
