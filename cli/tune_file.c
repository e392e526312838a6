// FILE.hkt beside FILE.hk: Configs that tuning found, as `config` blocks that one can read, review
// and merge.
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "cli/tune.h"

static char *condition(const Session *s)
{
    char *text = must_format("%s", "");
    for (size_t k = 0; k < hk_exec_dim_count(s->exec); k++) {
        hk_dim dim = hk_exec_dim(s->exec, k);
        char *longer = must_format("%s%s%s == %lld", text, k ? " && " : " when ", dim.name,
                                   (long long)dim.value);
        free(text);
        text = longer;
    }
    return text;
}

// The text without the block that begins with `head`.
static char *without_block(const char *text, const char *head)
{
    const char *at = strstr(text, head);
    if (!at) return must_format("%s", text);
    const char *end = strchr(at, '}');
    if (!end) return must_format("%s", text);
    end++;
    while (*end == '\n') end++;
    return must_format("%.*s%s", (int)(at - text), text, end);
}

int tune_file_write(const Session *s, const char *config, const char *remark, char **path)
{
    char *when = condition(s);
    char *head =
        must_format("config %s on \"%s\"%s {", hk_kernel_name(s->kernel), s->options->target, when);
    *path = must_format("%st", s->path);
    // Parts of a sweep write the same file in turn; the kernel's own, which they only read, is the
    // lock.
    int lock = open(s->path, O_RDONLY | O_CLOEXEC);
    if (lock >= 0) flock(lock, LOCK_EX);
    char *old = NULL;
    FILE *probe = fopen(*path, "rb");
    if (probe) {
        size_t length;
        fclose(probe);
        old = read_whole(*path, &length);
        if (!old) {
            close(lock);
            return EXIT_ENVIRONMENT;
        }
    }
    char *kept = without_block(
        old ? old : "// Configs found by `hako tune`; they win over those in the .hk file.\n\n",
        head);
    char *text = must_format("%s%s\n    // %s\n    %s;\n}\n\n", kept, head, remark, config);
    int code = write_whole(*path, text, strlen(text));
    if (lock >= 0) close(lock);
    free(text);
    free(kept);
    free(old);
    free(head);
    free(when);
    return code;
}
