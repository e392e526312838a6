// hako test [PATH...]: tries the tests of .hk files on several targets.
//
// Each file is tried in a process of its own (test_worker.c), several at a time. When a process
// dies or does not answer, the case that it was at has failed and another process goes on behind
// it.
#include <errno.h>
#include <poll.h>
#include <regex.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/test_driver.h"

extern char **environ;

enum { PATIENCE_SECONDS = 300, PATIENCE_FULL_SECONDS = 1800, EXIT_INTERRUPTED = 130 };

typedef struct Driver {
    const Options *options;
    uint32_t device;
    Targets targets;
    const char *target_list, *python;
    char *scratch;
    FileRun *files;
    size_t file_count, shown;
    Tally sum;
    json_t *rows;
    double patience;
} Driver;

static volatile sig_atomic_t interrupted;

static void on_interrupt(int number)
{
    (void)number;
    interrupted = 1;
}

// ---- what a worker says

static Row *row_of(FileRun *file, const char *kernel)
{
    for (size_t i = 0; i < file->row_count; i++) {
        if (strcmp(file->rows[i].kernel, kernel) == 0) return &file->rows[i];
    }
    file->rows = must_grow(file->rows, sizeof(Row) * (file->row_count + 1));
    file->rows[file->row_count] = (Row){.kernel = must_format("%s", kernel)};
    return &file->rows[file->row_count++];
}

static void add_problem(Row *row, int number, const char *target, const char *config,
                        const char *text, bool skipped)
{
    row->problems = must_grow(row->problems, sizeof(Problem) * (row->problem_count + 1));
    row->problems[row->problem_count++] =
        (Problem){number, must_format("%s", target), must_format("%s", config),
                  must_format("%s", text), skipped};
}

static void add_shape(Row *row, const char *shape)
{
    for (size_t i = 0; i < row->shape_count; i++) {
        if (strcmp(row->shapes[i], shape) == 0) return;
    }
    if (!*shape) return;
    row->shapes = must_grow(row->shapes, sizeof(char *) * (row->shape_count + 1));
    row->shapes[row->shape_count++] = must_format("%s", shape);
}

static Tally *tally_of(const Driver *d, Row *row, const char *target)
{
    size_t i = 0;
    while (i + 1 < d->targets.count && strcmp(d->targets.names[i], target) != 0) i++;
    return &row->tallies[i];
}

static void take_outcome(const Driver *d, FileRun *file, const char *outcome, const json_t *end,
                         const char *text)
{
    const json_t *start = file->trying;
    Row *row = row_of(file, text_of(start, "kernel"));
    const char *target = text_of(start, "target");
    int number = (int)json_integer_value(json_object_get(start, "case"));
    double ratio = json_number_value(json_object_get(end, "ratio"));
    Tally *tally = tally_of(d, row, target);
    bool failed = strcmp(outcome, "failed") == 0, skipped = strcmp(outcome, "skipped") == 0;
    bool reference = strcmp(outcome, "reference") == 0;
    tally->failed += failed;
    tally->skipped += skipped;
    tally->reference += reference;
    tally->passed += !failed && !skipped && !reference;
    if (ratio > row->ratio) row->ratio = ratio;
    row->seconds += json_number_value(json_object_get(end, "ms")) * 1e-3;
    if (number != row->last_case) row->cases++;
    row->last_case = number;
    add_shape(row, text_of(end, "shape"));
    if (failed || skipped)
        add_problem(row, number, target, text_of(start, "config"), text, skipped);
    file->next = (long)json_integer_value(json_object_get(start, "n"));
    json_decref(file->trying);
    file->trying = NULL;
}

static void take_line(const Driver *d, FileRun *file, const char *text)
{
    json_t *line = json_loads(text, 0, NULL);
    if (!line) return;
    if (json_object_get(line, "none")) {
        row_of(file, text_of(line, "none"))->why = must_format("%s", text_of(line, "why"));
    } else if (json_object_get(line, "outcome") && file->trying) {
        take_outcome(d, file, text_of(line, "outcome"), line, text_of(line, "text"));
    } else if (json_object_get(line, "kernel")) {
        json_decref(file->trying);
        file->trying = json_incref(line);
    }
    json_decref(line);
}

// False at the end of what the worker has to say.
static bool listen_to(const Driver *d, FileRun *file)
{
    if (file->used + 8192 > file->capacity)
        file->line = must_grow(file->line, file->capacity = 2 * file->capacity + 16384);
    ssize_t n = read(file->from, file->line + file->used, file->capacity - file->used - 1);
    if (n < 0) return errno == EINTR || errno == EAGAIN;
    if (n == 0) return false;
    file->heard = now_seconds();
    file->used += (size_t)n;
    char *at = file->line, *end = file->line + file->used;
    for (char *newline; (newline = memchr(at, '\n', (size_t)(end - at))); at = newline + 1) {
        *newline = 0;
        take_line(d, file, at);
    }
    file->used = (size_t)(end - at);
    memmove(file->line, at, file->used);
    return true;
}

// ---- processes

static bool start_worker(const Driver *d, FileRun *file)
{
    const Options *o = d->options;
    int up[2];
    if (pipe(up) != 0) return false;
    const char *words[16] = {"hako", "test-worker", file->path, file->scratch};
    int n = 4;
    words[n++] = must_format("%ld", file->next);
    words[n++] = d->python ? d->python : "";
    words[n++] = must_format("--target=%s", d->target_list);
    words[n++] = must_format("--threads=%u", o->threads);
    words[n++] = must_format("--seed=%llu", (unsigned long long)o->seed);
    words[n++] = must_format("--device=%u", d->device);
    if (o->filter) words[n++] = must_format("--filter=%s", o->filter);
    if (o->full) words[n++] = "--full";
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, up[1], 1);
    posix_spawn_file_actions_addclose(&actions, up[0]);
    pid_t pid = 0;
    int failed = posix_spawn(&pid, "/proc/self/exe", &actions, NULL, (char *const *)words, environ);
    posix_spawn_file_actions_destroy(&actions);
    close(up[1]);
    if (failed) close(up[0]);
    file->pid = failed ? 0 : (int)pid;
    file->from = up[0];
    file->used = 0;
    file->started = true;
    file->heard = now_seconds();
    return !failed;
}

static char *messages_of(const FileRun *file)
{
    char *path = must_format("%s/messages", file->scratch);
    FILE *messages = fopen(path, "rb");
    char *text = must_alloc(4001);
    size_t n = messages ? fread(text, 1, 4000, messages) : 0;
    text[n] = 0;
    if (messages) fclose(messages);
    free(path);
    return text;
}

static void fail_file(FileRun *file, const char *text)
{
    Row *row = row_of(file, "(file)");
    row->tallies[0].failed++;
    add_problem(row, 0, "", "", text, false);
    file->done = true;
}

// Behind the last line of a worker: all went well, or it died and another one goes on.
static void end_worker(const Driver *d, FileRun *file, const char *killed_for)
{
    int status = 0;
    if (killed_for) kill(file->pid, SIGKILL);
    close(file->from);
    while (waitpid(file->pid, &status, 0) < 0 && errno == EINTR) continue;
    file->pid = 0;
    char *messages = messages_of(file), *why;
    if (killed_for)
        why = must_format("%s", killed_for);
    else if (WIFSIGNALED(status))
        why = must_format("the process died: %s", strsignal(WTERMSIG(status)));
    else
        why = must_format("exit code %d", WEXITSTATUS(status));
    bool died = killed_for || WIFSIGNALED(status) || WEXITSTATUS(status) != 0;
    char *text = must_format("%s%s%s", died && file->trying ? why : messages,
                             died && file->trying && *messages ? "\n" : "",
                             died && file->trying ? messages : "");
    if (died && file->trying) {
        long tried = (long)json_integer_value(json_object_get(file->trying, "n"));
        take_outcome(d, file, "failed", NULL, text);
        file->next = tried;
        if (!start_worker(d, file)) fail_file(file, "cannot start another process");
    } else if (died) {
        fail_file(file, *messages ? text : why);
    }
    file->done = file->done || !died;
    free(text);
    free(why);
    free(messages);
}

static void show_finished(Driver *d)
{
    while (d->shown < d->file_count && d->files[d->shown].done) {
        FileRun *file = &d->files[d->shown++];
        for (size_t i = 0; i < file->row_count; i++) {
            tally_add(&d->sum, &file->rows[i]);
            if (d->options->json)
                json_array_append_new(d->rows, row_json(file, &file->rows[i], &d->targets));
            else
                row_print(file, &file->rows[i], &d->targets);
        }
        folder_remove(file->scratch);
    }
}

static size_t start_more(Driver *d, size_t running, size_t jobs)
{
    for (size_t i = 0; i < d->file_count && running < jobs; i++) {
        FileRun *file = &d->files[i];
        if (file->started) continue;
        bool ok = mkdir(file->scratch, 0700) == 0 && start_worker(d, file);
        if (!ok) {
            file->started = true;
            fail_file(file, "cannot start a process with a folder for its files");
        }
        running += ok;
    }
    return running;
}

static void serve_workers(Driver *d)
{
    struct pollfd *ready = must_alloc(sizeof(struct pollfd) * (d->file_count + 1));
    FileRun **whose = must_alloc(sizeof(FileRun *) * (d->file_count + 1));
    while (!interrupted) {
        nfds_t running = 0;
        for (size_t i = 0; i < d->file_count; i++) {
            if (!d->files[i].pid) continue;
            whose[running] = &d->files[i];
            ready[running++] = (struct pollfd){.fd = d->files[i].from, .events = POLLIN};
        }
        if (start_more(d, running, d->options->jobs) > running) continue;
        show_finished(d);
        if (running == 0) break;
        if (poll(ready, running, 1000) < 0) continue;
        for (nfds_t i = 0; i < running; i++) {
            FileRun *file = whose[i];
            bool silent = now_seconds() - file->heard > d->patience;
            if (ready[i].revents && !listen_to(d, file)) {
                end_worker(d, file, NULL);
            } else if (silent) {
                char *why = must_format("no result after %.0f s (--timeout)", d->patience);
                end_worker(d, file, why);
                free(why);
            }
        }
    }
    for (size_t i = 0; i < d->file_count; i++) {
        if (!d->files[i].pid) continue;
        kill(d->files[i].pid, SIGKILL);
        waitpid(d->files[i].pid, NULL, 0);
    }
    free(ready);
    free(whose);
}

// ---- what to do

static bool has_opencl(void)
{
    hk_context *context;
    hk_text *text;
    if (hk_context_create(NULL, &context, NULL) != HK_OK) return false;
    bool has = false;
    if (hk_context_describe(context, &text, NULL) == HK_OK) {
        json_t *about = json_loads(hk_text_data(text), 0, NULL);
        has = json_array_size(json_object_get(about, "opencl")) > 0;
        json_decref(about);
        hk_text_free(text);
    }
    hk_context_free(context);
    return has;
}

// "all" leaves out OpenCL where there is no device, and the interpreter at full sizes.
static int choose_targets(Driver *d)
{
    const char *list = d->options->target;
    bool all = strcmp(list, "all") == 0;
    static const char *const known[] = {"cpu", "interp", "opencl"};
    if (all) list = d->options->full ? "cpu,opencl" : "cpu,interp,opencl";
    char *chosen = must_format("%s", "");
    for (const char *at = list; *at;) {
        size_t length = strcspn(at, ","), whole = length, k = 0;
        if (strncmp(at, "opencl:", 7) == 0) {
            char *device = must_format("%.*s", (int)length - 7, at + 7);
            int code = device_select(device, &d->device);
            free(device);
            if (code != 0) return code;
            length = 6;
        }
        while (k < 3 && (strlen(known[k]) != length || strncmp(known[k], at, length) != 0)) k++;
        if (k == 3)
            return usage_error("--target: '%.*s' is none of: cpu interp opencl all", (int)length,
                               at);
        bool twice = strstr(chosen, known[k]) != NULL;
        if (!twice && !(all && k == 2 && !has_opencl())) {
            char *longer = must_format("%s%s%s", chosen, *chosen ? "," : "", known[k]);
            free(chosen);
            chosen = longer;
            d->targets.names[d->targets.count++] = known[k];
        }
        at += whole + (at[whole] == ',');
    }
    d->target_list = chosen;
    return d->targets.count ? 0 : usage_error("--target names no target");
}

static int choose_files(Driver *d)
{
    const Options *o = d->options;
    Paths paths = {0};
    int code = 0;
    const char *standard = access("samples", X_OK) == 0 ? "samples" : ".";
    if (o->file_count == 0) code = paths_collect(standard, &paths);
    for (size_t i = 0; code == 0 && i < o->file_count; i++)
        code = paths_collect(o->files[i], &paths);
    d->files = must_alloc(sizeof(FileRun) * (paths.count + 1));
    for (size_t i = 0; code == 0 && i < paths.count; i++) {
        char *scratch = must_format("%s/%zu", d->scratch, i);
        d->files[d->file_count++] =
            (FileRun){.path = paths.data[i], .scratch = scratch, .full = o->full};
    }
    free(paths.data);
    return code;
}

static int check_filter(const char *filter)
{
    regex_t compiled;
    if (!filter) return 0;
    if (regcomp(&compiled, filter, REG_EXTENDED | REG_NOSUB) != 0)
        return usage_error("--filter: '%s' is no regular expression", filter);
    regfree(&compiled);
    return 0;
}

static int make_scratch(Driver *d)
{
    const char *base = getenv("TMPDIR");
    d->scratch = must_format("%s/hako-test-XXXXXX", base && *base ? base : "/tmp");
    return mkdtemp(d->scratch) ? 0 : io_error("cannot make a folder %s", d->scratch);
}

int command_test(Options *options)
{
    Driver d = {.options = options, .device = options->device, .rows = json_array()};
    d.patience = options->timeout > 0 ? options->timeout
                 : options->full      ? PATIENCE_FULL_SECONDS
                                      : PATIENCE_SECONDS;
    if (options->jobs == 0) options->jobs = (uint32_t)sysconf(_SC_NPROCESSORS_ONLN);
    struct sigaction action = {.sa_handler = on_interrupt};
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    int code = choose_targets(&d);
    if (code == 0) code = check_filter(options->filter);
    if (code == 0) code = make_scratch(&d);
    if (code != 0) return code;
    code = choose_files(&d);
    if (code == 0) {
        d.python = python_find();
        serve_workers(&d);
        if (options->json)
            json_print(d.rows, &d.sum);
        else
            tally_print(&d.sum);
        bool nothing = options->filter && d.sum.passed + d.sum.failed + d.sum.skipped == 0;
        code = interrupted    ? EXIT_INTERRUPTED
               : d.sum.failed ? EXIT_DIAGNOSTICS
               : nothing      ? usage_error("no case matches --filter '%s'", options->filter)
                              : 0;
    }
    folder_remove(d.scratch);
    json_decref(d.rows);
    return code;
}
