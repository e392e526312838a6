// A kernel with its arguments, as the command line describes them.
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"

hk_target target_named(const char *name)
{
    return strcmp(name, "opencl") == 0   ? HK_TARGET_OPENCL
           : strcmp(name, "interp") == 0 ? HK_TARGET_INTERP
                                         : HK_TARGET_CPU;
}

// ---- FILE[:KERNEL]

static bool file_exists(const char *path)
{
    FILE *file = fopen(path, "rb");
    if (file) fclose(file);
    return file != NULL;
}

void split_kernel(const char *word, char **path, char **kernel)
{
    const char *colon = strrchr(word, ':');
    bool plain = !colon || colon == word || strchr(colon, '/') || file_exists(word);
    *path = plain ? must_format("%s", word) : must_format("%.*s", (int)(colon - word), word);
    *kernel = plain ? NULL : must_format("%s", colon + 1);
}

int no_kernel(const hk_module *module, const char *path, const char *name)
{
    size_t count = hk_module_kernel_count(module);
    if (name)
        fprintf(stderr, "hako: error[HK0716]: there is no kernel '%s' in %s", name, path);
    else
        fprintf(stderr, "hako: error[HK0716]: there is no kernel in %s", path);
    for (size_t i = 0; i < count; i++) {
        fprintf(stderr, "%s%s",
                i ? ", " : "; it has: ", hk_kernel_name(hk_module_kernel(module, i)));
    }
    fputc('\n', stderr);
    return EXIT_DIAGNOSTICS;
}

static bool is_tunable(const hk_kernel *kernel, const char *name)
{
    hk_tunable tunable = {.struct_size = sizeof tunable};
    for (size_t i = 0; hk_kernel_tunable(kernel, i, &tunable) == HK_OK; i++) {
        if (strcmp(tunable.name, name) == 0) return true;
    }
    return false;
}

bool is_template(const hk_kernel *kernel, const char *name)
{
    hk_template template = {.struct_size = sizeof template};
    for (size_t i = 0; hk_kernel_template(kernel, i, &template) == HK_OK; i++) {
        if (strcmp(template.name, name) == 0) return true;
    }
    return false;
}

static bool find_param(const hk_kernel *kernel, const char *name, hk_param *param)
{
    *param = (hk_param){.struct_size = sizeof *param};
    for (size_t i = 0; hk_kernel_param(kernel, i, param) == HK_OK; i++) {
        if (strcmp(param->name, name) == 0) return true;
    }
    return false;
}

static void add_define(Session *s, const char *name, const char *value)
{
    s->defines = must_grow(s->defines, sizeof(hk_define) * (s->define_count + 1));
    s->defines[s->define_count++] = (hk_define){name, value};
}

static int read_config(Session *s)
{
    const char *text = s->options->config;
    if (text && *text == '@') {
        size_t length;
        s->config = read_whole(text + 1, &length);
        if (!s->config) return EXIT_ENVIRONMENT;
    } else if (text) {
        s->config = must_format("%s", text);
    }
    for (size_t i = 0; i < s->options->defines.count; i++) { // tunables are knobs
        const Pair *pair = &s->options->defines.data[i];
        if (!is_tunable(s->kernel, pair->name)) {
            add_define(s, pair->name, pair->value);
            continue;
        }
        char *longer = must_format("%s%s%s = %s", s->config ? s->config : "", s->config ? "\n" : "",
                                   pair->name, pair->value);
        free(s->config);
        s->config = longer;
    }
    return 0;
}

void show_warnings(void *self, hk_severity severity, const char *message)
{
    (void)self;
    if (severity == HK_WARNING) fputs(message, stderr);
    if (severity == HK_PRINTED) fprintf(stderr, "%s\n", message);
}

int session_open(Session *s, const Options *options)
{
    *s = (Session){.options = options};
    for (size_t i = 0; i < options->file_count; i++) {
        const char *word = options->files[i];
        if (strchr(word, '=') && !file_exists(word))
            return usage_error("hako %s: for an argument write -i %s", options->command, word);
    }
    if (options->file_count != 1) {
        return usage_error("hako %s wants one FILE[:KERNEL], not %zu", options->command,
                           options->file_count);
    }
    // Tuning starts from what an untuned kernel would use, and leaves no code of candidates behind.
    bool tunes = strncmp(options->command, "tune", 4) == 0;
    hk_rates rates;
    bool measured = rates_load(&rates);
    hk_context_options context = {.struct_size = sizeof context,
                                  .threads = options->threads,
                                  .log = show_warnings,
                                  .code_cache = tunes ? NULL : code_cache_folder(),
                                  .cpu = options->cpu,
                                  .triple = options->triple,
                                  .no_tuned_files = tunes,
                                  .rates = measured ? &rates : NULL};
    hk_error *error;
    hk_status status = hk_context_create(&context, &s->context, &error);
    if (status != HK_OK) return report(options, status, error);
    char *path, *name;
    split_kernel(options->files[0], &path, &name);
    status = hk_module_load_file(s->context, path, &s->module, &error);
    int code = 0;
    if (status != HK_OK) {
        code = report(options, status, error);
    } else {
        s->kernel = hk_module_kernel_named(s->module, name);
        code = s->kernel ? read_config(s) : no_kernel(s->module, path, name);
    }
    s->path = path;
    free(name);
    return code;
}

int session_attach(Session *s, const Options *options, hk_context *context, hk_module *module,
                   const hk_kernel *kernel)
{
    *s = (Session){.options = options,
                   .context = context,
                   .module = module,
                   .kernel = kernel,
                   .borrowed = true};
    return read_config(s);
}

void session_close(Session *s)
{
    free(s->path);
    for (size_t i = 0; i < s->arg_count; i++) array_free(&s->arrays[i]);
    free(s->args);
    free(s->arrays);
    free(s->defines);
    free(s->dims);
    free(s->config);
    hk_exec_free(s->exec);
    if (s->borrowed) return;
    hk_module_free(s->module);
    hk_context_free(s->context);
}

// ---- arguments

size_t session_find(const Session *s, const char *name)
{
    size_t i = 0;
    while (i < s->arg_count && strcmp(s->args[i].name, name) != 0) i++;
    return i;
}

// Room for everything that may come, so that pointers to arrays stay good.
static void reserve_args(Session *s)
{
    const Options *o = s->options;
    size_t capacity = o->inputs.count + o->outputs.count + o->expects.count + o->scalars.count +
                      o->shapes.count + hk_kernel_param_count(s->kernel) + 1;
    s->args = must_alloc(sizeof(hk_arg) * capacity);
    s->arrays = must_alloc(sizeof(Array) * capacity);
}

static Array *add_tensor(Session *s, const char *name)
{
    Array *array = &s->arrays[s->arg_count];
    s->args[s->arg_count++] = hk_tensor(name, &array->tensor);
    return array;
}

static void add_scalar(Session *s, const char *name, const Scalar *scalar)
{
    s->args[s->arg_count++] =
        scalar->whole ? hk_int(name, scalar->integer) : hk_float(name, scalar->number);
}

// A bare number for a tensor parameter is an array without dimensions; its dtype must be one by
// name.
static int add_number_tensor(Session *s, const char *name, const hk_param *param,
                             const Scalar *scalar)
{
    DLDataType dtype;
    if (!hk_dtype_named(param->type, &dtype)) hk_dtype_named("f32", &dtype);
    Array *array = add_tensor(s, name);
    if (!array_init(array, dtype, 0, NULL)) return io_error("out of memory");
    int64_t index[8] = {0};
    array_set(array, index, scalar->number);
    array_tensor(array);
    return 0;
}

static int add_input(Session *s, const Pair *pair)
{
    Array array;
    Scalar scalar;
    int code = spec_parse(pair->name, pair->value, &array, &scalar);
    if (code != 0) return code;
    hk_param param;
    bool known = find_param(s->kernel, pair->name, &param);
    if (scalar.given) {
        if (known && param.kind != HK_PARAM_SCALAR)
            return add_number_tensor(s, pair->name, &param, &scalar);
        add_scalar(s, pair->name, &scalar);
        return 0;
    }
    Array *slot = add_tensor(s, pair->name);
    *slot = array;
    array_tensor(slot);
    return 0;
}

static int add_given_scalar(Session *s, const Pair *pair)
{
    Scalar scalar;
    if (!scalar_parse(pair->value, &scalar)) {
        return usage_error("--arg %s: '%s' is not a number, true or false", pair->name,
                           pair->value);
    }
    add_scalar(s, pair->name, &scalar);
    return 0;
}

// An optional output is made only if it is asked for; others always.
static int want_outputs(Session *s, const Pairs *pairs)
{
    for (size_t i = 0; i < pairs->count; i++) {
        const char *name = pairs->data[i].name;
        hk_param param;
        bool known = find_param(s->kernel, name, &param);
        if (known && param.kind != HK_PARAM_OUT && param.kind != HK_PARAM_INOUT) {
            return usage_error("%s is not an output of kernel %s", name, hk_kernel_name(s->kernel));
        }
        if (session_find(s, name) < s->arg_count || (known && param.kind == HK_PARAM_INOUT))
            continue;
        s->args[s->arg_count++] = hk_tensor(name, NULL);
    }
    return 0;
}

int session_arguments(Session *s)
{
    const Options *o = s->options;
    if (!s->args) reserve_args(s);
    for (size_t i = 0; i < o->inputs.count; i++) {
        int code = add_input(s, &o->inputs.data[i]);
        if (code != 0) return code;
    }
    for (size_t i = 0; i < o->scalars.count; i++) {
        int code = add_given_scalar(s, &o->scalars.data[i]);
        if (code != 0) return code;
    }
    int code = want_outputs(s, &o->outputs);
    return code ? code : want_outputs(s, &o->expects);
}

// ---- shapes

static void add_dim(Session *s, const char *name, int64_t value)
{
    s->dims = must_grow(s->dims, sizeof(hk_dim) * (s->dim_count + 1));
    s->dims[s->dim_count++] = (hk_dim){name, value};
}

static int add_setting(Session *s, const Pair *pair)
{
    if (is_template(s->kernel, pair->name)) {
        for (size_t i = 0; i < s->define_count; i++) { // -D is the stronger
            if (strcmp(s->defines[i].name, pair->name) == 0) return 0;
        }
        add_define(s, pair->name, pair->value);
        return 0;
    }
    hk_param param;
    if (find_param(s->kernel, pair->name, &param)) {
        if (param.kind == HK_PARAM_SCALAR && session_find(s, pair->name) == s->arg_count)
            return add_given_scalar(s, pair);
        if (param.kind == HK_PARAM_SCALAR) return 0;
        s->generators.data =
            must_grow(s->generators.data, sizeof(Pair) * (s->generators.count + 1));
        s->generators.data[s->generators.count++] = *pair;
        return 0;
    }
    Scalar value;
    if (!scalar_parse(pair->value, &value) || !value.whole) {
        return usage_error("shapes: %s = %s is not a whole number", pair->name, pair->value);
    }
    add_dim(s, pair->name, value.integer);
    return 0;
}

// The first row that is meant for measuring, else the first.
static const char *best_row(const hk_kernel *kernel)
{
    bool test;
    for (size_t i = 0; i < hk_kernel_shape_count(kernel); i++) {
        const char *row = hk_kernel_shape(kernel, i, &test);
        if (!test) return row;
    }
    return hk_kernel_shape(kernel, 0, &test);
}

int session_settings(Session *s, const Pairs *settings)
{
    if (!s->args) reserve_args(s);
    int code = 0;
    for (size_t i = 0; code == 0 && i < settings->count; i++)
        code = add_setting(s, &settings->data[i]);
    return code;
}

int session_shapes(Session *s)
{
    Pairs settings = s->options->shapes;
    const char *row = settings.count ? NULL : best_row(s->kernel);
    int code = row ? pairs_from_list("shapes", row, &settings) : 0;
    return code ? code : session_settings(s, &settings);
}

// ---- compiling and memory

// Scalars may size tensors that are not there yet.
static size_t scalars_of(const Session *s, hk_arg *scalars)
{
    size_t count = 0;
    for (size_t i = 0; i < s->arg_count; i++)
        if (s->args[i].kind != HK_ARG_TENSOR) scalars[count++] = s->args[i];
    return count;
}

hk_specialize_options session_options(const Session *s, hk_stage stage)
{
    const Options *o = s->options;
    static const hk_arg none;
    return (hk_specialize_options){.struct_size = sizeof(hk_specialize_options),
                                   .defines = s->defines,
                                   .define_count = s->define_count,
                                   .args = s->arg_count ? s->args : &none,
                                   .arg_count = s->arg_count,
                                   .dims = s->dims,
                                   .dim_count = s->dim_count,
                                   .config = s->config,
                                   .tuned = s->tuned ? hk_text_data(s->tuned) : NULL,
                                   .target = target_named(o->target),
                                   .device = o->device,
                                   .threads = o->threads,
                                   .stage = stage,
                                   .dump = o->dump,
                                   .stop_after = o->stop_after,
                                   .disabled_passes = o->disable};
}

int session_specialize(Session *s, hk_stage stage, bool with_args)
{
    hk_specialize_options options = session_options(s, stage);
    hk_arg *scalars = must_alloc(sizeof(hk_arg) * (s->arg_count + 1));
    if (!with_args) {
        options.arg_count = s->dim_count || stage == HK_STAGE_TILE ? scalars_of(s, scalars) : 0;
        options.args = options.arg_count ? scalars : NULL;
    }
    bool asks = stage != HK_STAGE_TILE && !s->config && !s->tuned;
    int code = asks ? db_lookup(s, options) : 0;
    options.tuned = s->tuned ? hk_text_data(s->tuned) : NULL;
    hk_exec_free(s->exec);
    s->exec = NULL;
    hk_error *error = NULL;
    if (code == 0) {
        hk_status status = hk_kernel_specialize(s->kernel, &options, &s->exec, &error);
        code = report(s->options, status, error);
    }
    free(scalars);
    return code;
}

static const char *generator_of(const Session *s, const hk_exec_param_info *info, size_t seed)
{
    for (size_t i = 0; i < s->generators.count; i++) {
        if (strcmp(s->generators.data[i].name, info->name) == 0) return s->generators.data[i].value;
    }
    unsigned long long n = (unsigned long long)(s->options->seed + seed);
    if (info->promise == HK_PROMISE_RANGE) {
        return must_format("randint(%lld, %lld, seed=%llu)", (long long)info->low,
                           (long long)info->high, n);
    }
    if (info->promise == HK_PROMISE_PARTITION)
        return must_format("partition(0, %lld, seed=%llu)", (long long)info->high, n);
    if (info->promise != HK_PROMISE_NONE) return must_format("permutation(seed=%llu)", n);
    if (dtype_is_float(info->dtype)) return must_format("randn(seed=%llu)", n);
    return must_format("randint(0, 2, seed=%llu)", n);
}

static int allocate_one(Session *s, const hk_exec_param_info *info, size_t seed)
{
    size_t i = session_find(s, info->name);
    Array *array = i < s->arg_count ? &s->arrays[i] : add_tensor(s, info->name);
    char shape[160];
    if (!info->shape) {
        fprintf(stderr, "hako: error: the sizes of %s are not known; give its dimensions\n",
                info->name);
        return EXIT_DIAGNOSTICS;
    }
    shape_print(shape, sizeof shape, info->ndim, info->shape);
    if (!array_init(array, info->dtype, info->ndim, info->shape)) {
        return io_error("%s: an array of %sx%s does not fit in memory", info->name, shape,
                        info->dtype_name);
    }
    s->args[array - s->arrays].tensor = array_tensor(array);
    if (info->kind == HK_PARAM_OUT) return 0;
    return array_generate(info->name, generator_of(s, info, seed), s->dims, s->dim_count, array);
}

int session_allocate(Session *s, bool make_inputs)
{
    hk_exec_param_info info = {.struct_size = sizeof info};
    for (size_t p = 0; hk_exec_param(s->exec, p, &info) == HK_OK; p++) {
        size_t i = session_find(s, info.name);
        bool given = i < s->arg_count && s->args[i].tensor;
        if (given || info.kind == HK_PARAM_SCALAR || (info.kind != HK_PARAM_OUT && !make_inputs))
            continue;
        int code = allocate_one(s, &info, p + 1);
        if (code != 0) return code;
    }
    return 0;
}

int session_generate(Session *s)
{
    hk_exec_param_info info = {.struct_size = sizeof info};
    int code = 0;
    for (size_t p = 0; code == 0 && hk_exec_param(s->exec, p, &info) == HK_OK; p++) {
        bool described = false;
        for (size_t i = 0; i < s->generators.count; i++)
            described |= strcmp(s->generators.data[i].name, info.name) == 0;
        if (described && session_find(s, info.name) == s->arg_count)
            code = allocate_one(s, &info, p + 1);
    }
    return code;
}
