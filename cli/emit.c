// hako emit FILE[:KERNEL] --as=FORM
#include <string.h>

#include "cli/cli.h"

enum { SIZE_WITHOUT_SHAPES = 256, HOST_SECONDS = 10 /* that the interpreter may take */ };

static int write_text(const Options *options, hk_status status, hk_text *text, hk_error *error)
{
    if (status != HK_OK) return report(options, status, error);
    int code = write_whole(options->output, hk_text_data(text), hk_text_length(text));
    hk_text_free(text);
    return code;
}

static int emit_ast(const Options *options)
{
    hk_context *context;
    hk_module *module = NULL;
    hk_text *text = NULL;
    hk_error *error;
    hk_status status = hk_context_create(NULL, &context, &error);
    if (status == HK_OK) status = hk_module_load_file(context, options->files[0], &module, &error);
    if (status == HK_OK) status = hk_module_ast(module, &text, &error);
    int code = write_text(options, status, text, error);
    hk_module_free(module);
    hk_context_free(context);
    return code;
}

// Sizes that neither arguments nor shapes give are made up: a form to read needs some.
static int fill_unknown_dims(Session *s)
{
    int code = session_specialize(s, HK_STAGE_TILE, false);
    if (code != 0) return code;
    size_t known = s->dim_count;
    for (size_t i = 0; i < hk_exec_dim_count(s->exec); i++) {
        hk_dim dim = hk_exec_dim(s->exec, i);
        bool given = dim.value >= 0;
        for (size_t k = 0; k < known; k++) given |= strcmp(s->dims[k].name, dim.name) == 0;
        if (given) continue;
        s->dims = must_grow(s->dims, sizeof(hk_dim) * (s->dim_count + 1));
        s->dims[s->dim_count++] = (hk_dim){must_format("%s", dim.name), SIZE_WITHOUT_SHAPES};
    }
    return 0;
}

static int emit(Session *s, const Options *options, hk_form form)
{
    bool with_args = options->inputs.count > 0;
    hk_stage stage = form == HK_FORM_TILE ? HK_STAGE_TILE : HK_STAGE_LOOP;
    int code = 0;
    if (with_args) code = session_arguments(s);
    if (code == 0 && (options->shapes.count || (!with_args && stage != HK_STAGE_TILE)))
        code = session_shapes(s);
    if (code == 0 && !with_args && stage != HK_STAGE_TILE) code = fill_unknown_dims(s);
    if (code == 0) code = session_specialize(s, stage, with_args);
    if (code != 0) return code;
    if (options->time_passes) print_time_passes(stderr, s->exec);
    hk_text *text = NULL;
    hk_error *error;
    if (options->dump && hk_exec_text(s->exec, HK_FORM_DUMP, &text, &error) == HK_OK) {
        fputs(hk_text_data(text), stderr);
        hk_text_free(text);
    }
    hk_status status = hk_exec_text(s->exec, form, &text, &error);
    code = write_text(options, status, text, error);
    if (code == 0 && options->explain) code = model_explain(s, with_args);
    return code;
}

// A program that holds a launch: inputs that are given, or that a row of shapes describes, are
// written into it; it makes up the others itself.
static int emit_host(Session *s, const Options *options)
{
    bool with_args = options->inputs.count > 0;
    int code = session_arguments(s);
    if (code == 0 && (options->shapes.count || !with_args)) code = session_shapes(s);
    if (code == 0 && !with_args) code = fill_unknown_dims(s);
    if (code == 0) code = session_specialize(s, HK_STAGE_LOOP, with_args);
    if (code == 0) code = session_generate(s);
    if (code != 0) return code;
    hk_verify_options verify = {.struct_size = sizeof verify,
                                .seconds_max = HOST_SECONDS,
                                .seed = options->seed,
                                .rtol = options->rtol,
                                .atol = options->atol};
    hk_text *text = NULL;
    hk_error *error;
    hk_status status =
        hk_exec_host_program(s->exec, s->args, s->arg_count, &verify, &text, &error);
    return write_text(options, status, text, error);
}

int command_emit(Options *options)
{
    static const struct {
        const char *name;
        hk_form form;
    } forms[] = {{"tile", HK_FORM_TILE}, {"loop", HK_FORM_LOOP},     {"llvm", HK_FORM_LLVM},
                 {"asm", HK_FORM_ASM},   {"opencl", HK_FORM_OPENCL}, {"config", HK_FORM_CONFIG},
                 {"obj", HK_FORM_OBJECT}};
    if (!options->as)
        return usage_error("hako emit wants --as=ast|tile|loop|llvm|asm|obj|opencl|opencl-host|"
                           "config");
    if (options->file_count != 1) return usage_error("hako emit wants one FILE[:KERNEL]");
    if (options->explain && (strcmp(options->as, "config") != 0 || options->output))
        return usage_error("--explain goes with --as=config, to standard output");
    if (strcmp(options->as, "ast") == 0) return emit_ast(options);
    if (strncmp(options->as, "opencl", 6) == 0 && strcmp(options->target, "opencl") != 0) {
        options->target = "opencl";
        options->device = HK_DEVICE_NONE;
    }
    Session session;
    int code = session_open(&session, options);
    if (code == 0 && strcmp(options->as, "opencl-host") == 0) code = emit_host(&session, options);
    for (size_t i = 0; code == 0 && i < sizeof forms / sizeof *forms; i++) {
        if (strcmp(options->as, forms[i].name) == 0) code = emit(&session, options, forms[i].form);
    }
    session_close(&session);
    return code;
}
