// hako opt FILE.tile: IR in, passes, IR out.
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"

static int read_dims(const Options *options, hk_dim **dims)
{
    *dims = must_alloc(sizeof(hk_dim) * (options->shapes.count + 1));
    for (size_t i = 0; i < options->shapes.count; i++) {
        Scalar value;
        const Pair *pair = &options->shapes.data[i];
        if (!scalar_parse(pair->value, &value) || !value.whole) {
            return usage_error("--shapes: %s = %s is not a whole number", pair->name, pair->value);
        }
        (*dims)[i] = (hk_dim){pair->name, value.integer};
    }
    return 0;
}

static int optimise(const Options *options, hk_context *context, const char *text, size_t length,
                    char *config)
{
    hk_dim *dims = NULL;
    int code = read_dims(options, &dims);
    if (code != 0) return code;
    hk_opt_options opt = {.struct_size = sizeof opt,
                          .passes = options->passes,
                          .stop_after = options->stop_after,
                          .dump = options->dump,
                          .config = config,
                          .dims = dims,
                          .dim_count = options->shapes.count};
    hk_text *out, *dump;
    hk_error *error;
    hk_status status =
        hk_ir_opt(context, options->files[0], text, length, &opt, &out, &dump, &error);
    free(dims);
    if (status != HK_OK) return report(options, status, error);
    fputs(hk_text_data(dump), stderr);
    code = write_whole(options->output, hk_text_data(out), hk_text_length(out));
    hk_text_free(out);
    hk_text_free(dump);
    return code;
}

int command_opt(Options *options)
{
    if (options->file_count != 1) return usage_error("hako opt wants one file of IR text");
    size_t length, config_length;
    char *config = NULL, *text = read_whole(options->files[0], &length);
    if (!text) return EXIT_ENVIRONMENT;
    if (options->config && *options->config == '@') {
        config = read_whole(options->config + 1, &config_length);
        if (!config) return EXIT_ENVIRONMENT;
    } else if (options->config) {
        config = must_format("%s", options->config);
    }
    hk_context *context;
    hk_error *error;
    hk_status status = hk_context_create(NULL, &context, &error);
    int code = status == HK_OK ? optimise(options, context, text, length, config)
                               : report(options, status, error);
    hk_context_free(context);
    free(text);
    free(config);
    return code;
}
