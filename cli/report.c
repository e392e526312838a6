// Messages, exit codes, files and memory of the program.
#include <errno.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "cli/cli.h"

static bool use_colour(void)
{
    const char *no = getenv("NO_COLOR");
    return isatty(STDERR_FILENO) && (!no || !*no);
}

static void print_message(const char *format, va_list args)
{
    fflush(stdout);
    fputs(use_colour() ? "\033[1mhako: \033[31merror:\033[0m " : "hako: error: ", stderr);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
}

int usage_error(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    print_message(format, args);
    va_end(args);
    return EXIT_USAGE;
}

int io_error(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    print_message(format, args);
    va_end(args);
    return EXIT_ENVIRONMENT;
}

int exit_code(hk_status status)
{
    switch (status) {
    case HK_OK: return 0;
    case HK_ERROR_DIAGNOSTICS:
    case HK_ERROR_MISMATCH: return EXIT_DIAGNOSTICS;
    case HK_ERROR_ENVIRONMENT:
    case HK_ERROR_MEMORY: return EXIT_ENVIRONMENT;
    case HK_ERROR_TRAP: return EXIT_TRAP;
    case HK_ERROR_USAGE:
    case HK_ERROR_INTERNAL: return EXIT_INTERNAL;
    }
    return EXIT_INTERNAL;
}

int report(const Options *options, hk_status status, hk_error *error)
{
    if (status == HK_OK && !error) return 0;
    bool json = options && strcmp(options->diagnostics, "json") == 0;
    fflush(stdout);
    if (json)
        printf("%s\n", error ? hk_error_json(error) : "[]");
    else if (hk_error_diag_count(error))
        fputs(hk_error_text(error, use_colour()), stderr);
    else
        fprintf(stderr, "hako: error: %s\n", hk_status_text(status));
    hk_error_free(error);
    return exit_code(status);
}

void *must_grow(void *p, size_t bytes)
{
    void *grown = realloc(p, bytes ? bytes : 1);
    if (grown) return grown;
    fputs("hako: error: out of memory\n", stderr);
    exit(EXIT_ENVIRONMENT);
}

void *must_alloc(size_t bytes)
{
    void *p = must_grow(NULL, bytes);
    return memset(p, 0, bytes);
}

char *must_format(const char *format, ...)
{
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int length = vsnprintf(NULL, 0, format, again);
    va_end(again);
    char *text = must_alloc((size_t)(length < 0 ? 0 : length) + 1);
    if (length > 0) vsnprintf(text, (size_t)length + 1, format, args);
    va_end(args);
    return text;
}

const char *code_cache_folder(void)
{
    const char *own = getenv("HAKO_CACHE_DIR"), *shared = getenv("XDG_CACHE_HOME"),
               *home = getenv("HOME");
    if (own) return own[0] && strcmp(own, "off") != 0 ? own : NULL;
    static char path[4096];
    bool is_shared = shared && shared[0] == '/';
    if (!is_shared && (!home || home[0] != '/')) return NULL;
    int length = is_shared ? snprintf(path, sizeof path, "%s/hako/code", shared)
                           : snprintf(path, sizeof path, "%s/.cache/hako/code", home);
    return length < (int)sizeof path ? path : NULL;
}

double now_seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

char *read_whole(const char *path, size_t *length)
{
    struct stat info;
    FILE *file = NULL;
    if (stat(path, &info) != 0 || (!S_ISDIR(info.st_mode) && !(file = fopen(path, "rb")))) {
        io_error("cannot read %s: %s", path, strerror(errno));
        return NULL;
    }
    if (!file) {
        io_error("cannot read %s: it is a directory", path);
        return NULL;
    }
    char *data = NULL;
    size_t used = 0, capacity = 0, n = 0;
    do {
        used += n;
        if (capacity - used < 65536) data = must_grow(data, capacity = capacity * 2 + 131072);
        n = fread(data + used, 1, capacity - used - 1, file);
    } while (n > 0);
    bool ok = !ferror(file);
    fclose(file);
    if (!ok) {
        io_error("cannot read %s: %s", path, strerror(errno));
        free(data);
        return NULL;
    }
    data[used] = 0;
    *length = used;
    return data;
}

int write_whole(const char *path, const char *data, size_t length)
{
    if (!path || strcmp(path, "-") == 0) {
        return fwrite(data, 1, length, stdout) == length
                   ? 0
                   : io_error("cannot write: %s", strerror(errno));
    }
    struct stat info; // a device or a pipe is written to, not replaced
    bool direct = stat(path, &info) == 0 && !S_ISREG(info.st_mode);
    char *temporary = must_format("%s.%ld.tmp", path, (long)getpid());
    FILE *file = fopen(direct ? path : temporary, "wb");
    bool ok = file && fwrite(data, 1, length, file) == length;
    if (file && fclose(file) != 0) ok = false;
    if (ok && (direct || rename(temporary, path) == 0)) {
        free(temporary);
        return 0;
    }
    int code = io_error("cannot write %s: %s", path, strerror(errno));
    if (file && !direct) remove(temporary);
    free(temporary);
    return code;
}

const char *text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : "";
}
