// hako check FILE...: all diagnostics of whole files.
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"

// Several files give one JSON array.
static void append_json(json_t *all, const char *text)
{
    json_t *part = json_loads(text, 0, NULL);
    if (part) json_array_extend(all, part);
    json_decref(part);
}

int command_check(Options *options)
{
    if (options->file_count == 0) return usage_error("hako check wants one or more files");
    bool json = strcmp(options->diagnostics, "json") == 0;
    json_t *all = json_array();
    hk_context *context;
    hk_error *error;
    hk_status status = hk_context_create(NULL, &context, &error);
    if (status != HK_OK) return report(options, status, error);
    int worst = 0;
    for (size_t i = 0; i < options->file_count; i++) {
        status = hk_check(context, options->files[i], NULL, 0, options->max_errors, &error);
        if (json) append_json(all, hk_error_json(error));
        int code = json ? exit_code(status) : report(options, status, error);
        if (json) hk_error_free(error);
        if (code > worst) worst = code;
    }
    if (json) {
        json_dumpf(all, stdout, JSON_INDENT(2) | JSON_PRESERVE_ORDER);
        putchar('\n');
    }
    json_decref(all);
    hk_context_free(context);
    return worst;
}
