// NumPy beside the samples. The oracle is a Python process: for each line that it reads it writes
// the next case's arrays into the scratch folder and answers with one line of JSON
// (tests/oracle/case.py says what is in it), {"end": true} after the last.
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/test.h"

extern char **environ;

// ---- finding

static bool readable(const char *path)
{
    return access(path, R_OK) == 0;
}

// `folder` ends with a slash, or is empty; `rest` is the sample's path from there.
static char *oracle_at(const char *folder, const char *rest)
{
    size_t stem = strlen(rest) - strlen(".hk");
    char *path = must_format("%stests/oracle/%.*s.py", folder, (int)stem, rest);
    if (readable(path)) return path;
    free(path);
    const char *slash = strchr(rest, '/');
    if (!slash) return NULL;
    stem -= (size_t)(slash + 1 - rest);
    path = must_format("%stests/oracle/%.*s.py", folder, (int)stem, slash + 1);
    if (readable(path)) return path;
    free(path);
    return NULL;
}

char *oracle_find(const char *source, char **folder)
{
    *folder = NULL;
    char *whole = realpath(source, NULL), *found = NULL;
    size_t length = whole ? strlen(whole) : 0;
    if (length < 4 || strcmp(whole + length - 3, ".hk") != 0) length = 0;
    for (size_t at = length; at-- > 0 && !*folder;) {
        if (whole[at] != '/') continue;
        char *above = must_format("%.*s", (int)at + 1, whole);
        char *tests = must_format("%stests/oracle", above);
        if (access(tests, X_OK) == 0) {
            *folder = tests;
            found = oracle_at(above, whole + at + 1);
        } else {
            free(tests);
        }
        free(above);
    }
    free(whole);
    return found;
}

// ---- the process

static bool spawn_with(const char *const *words, int in, int out, int *pid)
{
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    if (in >= 0) posix_spawn_file_actions_adddup2(&actions, in, 0);
    if (out >= 0)
        posix_spawn_file_actions_adddup2(&actions, out, 1);
    else
        posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
    if (out < 0) posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0);
    pid_t child = 0;
    bool ok = posix_spawnp(&child, words[0], &actions, NULL, (char *const *)words, environ) == 0;
    posix_spawn_file_actions_destroy(&actions);
    *pid = (int)child;
    return ok;
}

const char *python_find(void)
{
    const char *own = getenv("HAKO_PYTHON");
    const char *candidates[] = {own && *own ? own : "python3",
                                own && *own ? NULL : "/usr/bin/python3"};
    for (size_t i = 0; i < 2 && candidates[i]; i++) {
        const char *words[] = {candidates[i], "-c", "import numpy", NULL};
        int pid, status = 1;
        if (!spawn_with(words, -1, -1, &pid)) continue;
        while (waitpid(pid, &status, 0) < 0 && errno == EINTR) continue;
        if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return candidates[i];
    }
    return NULL;
}

bool oracle_start(Oracle *oracle, const char *python, const char *folder, const char *path,
                  const char *scratch, bool full)
{
    int down[2], up[2];
    *oracle = (Oracle){0};
    if (pipe2(down, O_CLOEXEC) != 0) return false;
    if (pipe2(up, O_CLOEXEC) != 0) {
        close(down[0]);
        close(down[1]);
        return false;
    }
    char *driver = must_format("%s/case.py", folder);
    const char *words[] = {python, "-B", driver, path, scratch, full ? "--full" : NULL, NULL};
    bool ok = spawn_with(words, down[0], up[1], &oracle->pid);
    free(driver);
    close(down[0]);
    close(up[1]);
    oracle->to = down[1];
    oracle->from = up[0];
    if (!ok) oracle->pid = 0;
    return ok;
}

json_t *oracle_next(Oracle *oracle, bool *failed)
{
    *failed = true;
    if (write(oracle->to, "\n", 1) != 1) return NULL;
    char *line = NULL;
    size_t used = 0, capacity = 0;
    for (bool whole = false; !whole;) {
        if (used + 4096 > capacity) line = must_grow(line, capacity = 2 * capacity + 8192);
        ssize_t n = read(oracle->from, line + used, capacity - used - 1);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) break;
        used += (size_t)n;
        whole = line[used - 1] == '\n';
    }
    if (line) line[used] = 0;
    json_t *answer = line ? json_loads(line, 0, NULL) : NULL;
    free(line);
    if (!answer) return NULL;
    *failed = false;
    if (!json_is_true(json_object_get(answer, "end"))) return answer;
    json_decref(answer);
    return NULL;
}

void oracle_stop(Oracle *oracle)
{
    if (!oracle->pid) return;
    close(oracle->to);
    close(oracle->from);
    kill(oracle->pid, SIGTERM);
    while (waitpid(oracle->pid, NULL, 0) < 0 && errno == EINTR) continue;
    oracle->pid = 0;
}
