// hako build FILE[:KERNEL]... -o FOLDER: libraries of kernels for programs in C.
#include <errno.h>
#include <jansson.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/cli.h"

extern char **environ;

static const char *const kinds[] = {"lib",  "shared", "header", "obj",   "runtime",
                                    "deps", "llvm",   "asm",    "opencl"};

typedef struct Plan {
    const Options *options;
    hk_context *context;
    hk_module **modules; // by file word
    char **paths;
    hk_build_kernel *kernels;
    const char **files; // of which each kernel is
    size_t kernel_count;
    const char *folder;
    char *name;
    hk_store *store; // NULL: it is not asked
    hk_build *build;

} Plan;

// ---- which kernels, and what for

static bool wants(const Options *o, const char *kind)
{
    const char *list = o->emit ? o->emit : "lib,header";
    size_t length = strlen(kind);
    for (const char *at = list; *at;) {
        size_t n = strcspn(at, ",");
        if (n == length && strncmp(at, kind, n) == 0) return true;
        at += n + (at[n] == ',');
    }
    return false;
}

static int check_kinds(const Options *o)
{
    for (const char *at = o->emit ? o->emit : ""; *at;) {
        size_t n = strcspn(at, ",");
        bool known = false;
        for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++)
            known |= strlen(kinds[k]) == n && strncmp(kinds[k], at, n) == 0;
        if (!known)
            return usage_error("--emit: '%.*s' is none of: lib shared header obj runtime deps llvm "
                               "asm opencl",
                               (int)n, at);
        at += n + (at[n] == ',');
    }
    return 0;
}

static int open_file(Plan *plan, size_t index)
{
    const Options *o = plan->options;
    char *name;
    hk_error *error;
    split_kernel(o->files[index], &plan->paths[index], &name);
    const char *path = plan->paths[index];
    hk_status status = hk_module_load_file(plan->context, path, &plan->modules[index], &error);
    if (status != HK_OK) return report(o, status, error);
    const hk_module *module = plan->modules[index];
    size_t count = name ? 1 : hk_module_kernel_count(module);
    if (!count || (name && !hk_module_kernel_named(module, name)))
        return no_kernel(module, path, name);
    plan->kernels = must_grow(plan->kernels, sizeof *plan->kernels * (plan->kernel_count + count));
    plan->files = must_grow(plan->files, sizeof *plan->files * (plan->kernel_count + count));
    for (size_t k = 0; k < count; k++) {
        const hk_kernel *kernel =
            name ? hk_module_kernel_named(module, name) : hk_module_kernel(module, k);
        plan->files[plan->kernel_count] = path;
        plan->kernels[plan->kernel_count++] = (hk_build_kernel){.kernel = kernel};
    }
    free(name);
    return 0;
}

static bool has_tunable(const hk_kernel *kernel, const char *name)
{
    hk_tunable tunable = {.struct_size = sizeof tunable};
    for (size_t k = 0; hk_kernel_tunable(kernel, k, &tunable) == HK_OK; k++)
        if (strcmp(tunable.name, name) == 0) return true;
    return false;
}

// Each -D must be of some kernel; a kernel gets those that it has.
static int give_defines(Plan *plan)
{
    const Pairs *defines = &plan->options->defines;
    for (size_t d = 0; d < defines->count; d++) {
        bool used = false;
        for (size_t k = 0; k < plan->kernel_count; k++) {
            hk_build_kernel *kernel = &plan->kernels[k];
            const char *name = defines->data[d].name;
            if (!is_template(kernel->kernel, name) && !has_tunable(kernel->kernel, name)) continue;
            hk_define *list =
                must_grow((hk_define *)kernel->defines, sizeof *list * (kernel->define_count + 1));
            list[kernel->define_count++] = (hk_define){name, defines->data[d].value};
            kernel->defines = list;
            used = true;
        }
        if (!used)
            return usage_error("-D: no kernel here has a compile-time parameter or tunable '%s'",
                               defines->data[d].name);
    }
    return 0;
}

// One kernel becomes a function for each type of a list.
static void multiply(Plan *plan, size_t index, const Pair *types)
{
    hk_build_kernel from = plan->kernels[index];
    const char *base = from.symbol ? from.symbol : hk_kernel_name(from.kernel);
    bool several = strchr(types->value, ',') != NULL;
    for (const char *at = types->value; *at;) {
        size_t n = strcspn(at, ",");
        const char *type = must_format("%.*s", (int)n, at);
        hk_build_kernel to = from;
        hk_define *list = must_alloc(sizeof *list * (from.define_count + 1));
        for (size_t k = 0; k < from.define_count; k++) list[k] = from.defines[k];
        list[to.define_count++] = (hk_define){types->name, type};
        to.defines = list;
        if (several) to.symbol = must_format("%s_%s", base, type);
        if (at == types->value) {
            plan->kernels[index] = to;
        } else {
            plan->kernels =
                must_grow(plan->kernels, sizeof *plan->kernels * (plan->kernel_count + 1));
            plan->files = must_grow(plan->files, sizeof *plan->files * (plan->kernel_count + 1));
            plan->files[plan->kernel_count] = plan->files[index];
            plan->kernels[plan->kernel_count++] = to;
        }
        at += n + (at[n] == ',');
    }
}

static int give_types(Plan *plan)
{
    const Options *o = plan->options;
    for (size_t t = 0; t < o->types.count; t++) {
        size_t count = plan->kernel_count;
        bool used = false;
        for (size_t k = 0; k < count; k++) {
            if (!is_template(plan->kernels[k].kernel, o->types.data[t].name)) continue;
            multiply(plan, k, &o->types.data[t]);
            used = true;
        }
        if (!used)
            return usage_error("--types: no kernel here has a type parameter '%s'",
                               o->types.data[t].name);
    }
    for (size_t k = 0; k < plan->kernel_count && o->prefix; k++) {
        hk_build_kernel *kernel = &plan->kernels[k];
        const char *name = kernel->symbol ? kernel->symbol : hk_kernel_name(kernel->kernel);
        kernel->symbol = must_format("%s%s", o->prefix, name);
    }
    return 0;
}

// ---- variants

static int config_text(const char *option, const char **config)
{
    size_t length;
    *config = option;
    if (!option || *option != '@') return 0;
    *config = read_whole(option + 1, &length);
    return *config ? 0 : EXIT_ENVIRONMENT;
}

static bool exec_has_dim(const hk_exec *exec, const char *name)
{
    for (size_t d = 0; d < hk_exec_dim_count(exec); d++)
        if (strcmp(hk_exec_dim(exec, d).name, name) == 0) return true;
    return false;
}

// The sizes of a --shapes that the kernel has.
static int variant_dims(const BuildFor *asked, const hk_exec *exec, bool *used,
                        hk_build_variant *variant)
{
    hk_dim *dims = must_alloc(sizeof *dims * (asked->shapes.count + 1));
    for (size_t k = 0; k < asked->shapes.count; k++) {
        const Pair *pair = &asked->shapes.data[k];
        Scalar value;
        if (!scalar_parse(pair->value, &value) || !value.whole || value.integer < 0)
            return usage_error("--shapes: %s = %s is no size", pair->name, pair->value);
        if (!exec_has_dim(exec, pair->name)) continue;
        used[k] = true;
        dims[variant->dim_count++] = (hk_dim){pair->name, value.integer};
    }
    variant->dims = dims;
    return 0;
}

// "P = 64, N = 64" of a row of the database. False: its tensors had other strides, or the sizes are
// of another kernel of that name.
static bool row_dims(const char *sizes, const hk_exec *exec, hk_build_variant *variant)
{
    Pairs pairs = {0};
    if (strstr(sizes, " strided ") || pairs_from_list("database", sizes, &pairs) != 0) return false;
    hk_dim *dims = must_alloc(sizeof *dims * (pairs.count + 1));
    bool fits = pairs.count == hk_exec_dim_count(exec);
    for (size_t k = 0; fits && k < pairs.count; k++) {
        Scalar value;
        fits = scalar_parse(pairs.data[k].value, &value) && value.whole &&
               exec_has_dim(exec, pairs.data[k].name);
        if (fits) dims[variant->dim_count++] = (hk_dim){pairs.data[k].name, value.integer};
    }
    variant->dims = dims;
    return fits;
}

// What the database decided for these sizes of this very code, on this machine.
static int tuned_config(const Plan *plan, const hk_build_kernel *kernel, hk_build_variant *variant)
{
    hk_specialize_options options = {.struct_size = sizeof options,
                                     .defines = kernel->defines,
                                     .define_count = kernel->define_count,
                                     .dims = variant->dims,
                                     .dim_count = variant->dim_count,
                                     .stage = HK_STAGE_TILE};
    hk_exec *exec = NULL;
    hk_text *config = NULL;
    hk_error *error = NULL;
    hk_status status = hk_kernel_specialize(kernel->kernel, &options, &exec, &error);
    if (status == HK_OK) status = hk_store_lookup(plan->store, exec, &config, &error);
    if (config) variant->tuned = must_format("%s", hk_text_data(config));
    hk_text_free(config);
    hk_exec_free(exec);
    return report(plan->options, status, error);
}

// A variant for each size that the database knows of the kernel.
static int add_tuned(const Plan *plan, hk_build_kernel *kernel, const hk_exec *exec,
                     hk_build_variant **list)
{
    hk_text *rows = NULL;
    hk_error *error;
    hk_status status =
        hk_store_list(plan->store, HK_STORE_BEST, hk_kernel_name(kernel->kernel), &rows, &error);
    int code = report(plan->options, status, error);
    for (const char *at = hk_text_data(rows); code == 0 && *at;) {
        size_t length = strcspn(at, "\n");
        json_t *row = json_loadb(at, length, 0, NULL);
        hk_build_variant variant = {.optional = true};
        if (strcmp(text_of(row, "target"), "cpu") == 0 &&
            row_dims(text_of(row, "sizes"), exec, &variant))
            code = tuned_config(plan, kernel, &variant);
        if (variant.tuned) {
            *list = must_grow(*list, sizeof **list * (kernel->variant_count + 2));
            (*list)[kernel->variant_count++] = variant;
        }
        json_decref(row);
        at += length + (at[length] == '\n');
    }
    hk_text_free(rows);
    return code;
}

static int give_variants(Plan *plan, hk_build_kernel *kernel, bool **used)
{
    const Options *o = plan->options;
    hk_specialize_options options = {.struct_size = sizeof options,
                                     .defines = kernel->defines,
                                     .define_count = kernel->define_count,
                                     .stage = HK_STAGE_TILE};
    hk_exec *exec = NULL;
    hk_error *error;
    hk_status status = hk_kernel_specialize(kernel->kernel, &options, &exec, &error);
    if (status != HK_OK) return report(o, status, error);
    hk_build_variant *list = must_alloc(sizeof *list * (o->variant_count + 2));
    int code = 0;
    for (size_t v = 0; code == 0 && v < o->variant_count; v++) {
        hk_build_variant variant = {0};
        code = variant_dims(&o->variants[v], exec, used[v], &variant);
        if (code == 0) code = config_text(o->variants[v].config, &variant.config);
        if (variant.dim_count) list[kernel->variant_count++] = variant;
    }
    if (code == 0 && plan->store) code = add_tuned(plan, kernel, exec, &list);
    bool any = !o->exact || !kernel->variant_count;
    if (code == 0 && any) {
        hk_build_variant variant = {.optional = kernel->variant_count > 0};
        code = config_text(o->config, &variant.config);
        list[kernel->variant_count++] = variant;
    }
    kernel->variants = list;
    hk_exec_free(exec);
    return code;
}

static int give_all_variants(Plan *plan)
{
    const Options *o = plan->options;
    bool single = o->config || o->given_count;
    bool **used = must_alloc(sizeof *used * (o->variant_count + 1));
    for (size_t v = 0; v < o->variant_count; v++) {
        used[v] = must_alloc(sizeof **used * (o->variants[v].shapes.count + 1));
        single |= o->variants[v].config != NULL;
    }
    if (o->exact && !o->variant_count && !o->tuned)
        return usage_error("--exact wants --shapes that say for which sizes");
    for (size_t k = 1; k < plan->kernel_count && single; k++) {
        if (plan->kernels[k].kernel != plan->kernels[0].kernel)
            return usage_error("--%s is about one kernel; there are %zu: name it, FILE:KERNEL",
                               o->given_count ? "given" : "config", plan->kernel_count);
    }
    for (size_t k = 0; k < plan->kernel_count; k++) {
        plan->kernels[k].choices = o->givens;
        plan->kernels[k].choice_count = o->given_count;
    }
    int code = 0;
    for (size_t k = 0; code == 0 && k < plan->kernel_count; k++)
        code = give_variants(plan, &plan->kernels[k], used);
    for (size_t v = 0; code == 0 && v < o->variant_count; v++) {
        for (size_t k = 0; code == 0 && k < o->variants[v].shapes.count; k++)
            if (!used[v][k])
                code = usage_error("--shapes: no kernel here has a dimension '%s'",
                                   o->variants[v].shapes.data[k].name);
    }
    for (size_t v = 0; v < o->variant_count; v++) free(used[v]);
    free(used);
    return code;
}

// ---- files

static char *file_in(const Plan *plan, const char *format, const char *name)
{
    char *file = must_format(format, name), *path = must_format("%s/%s", plan->folder, file);
    free(file);
    return path;
}

static int make_folder(const char *folder)
{
    char *copy = must_format("%s", folder);
    for (char *at = copy + 1;; at++) {
        if (*at != '/' && *at) continue;
        char saved = *at;
        *at = 0;
        int failed = mkdir(copy, 0777);
        *at = saved;
        if (failed && errno != EEXIST) break;
        if (!saved) {
            struct stat info;
            bool is_folder = stat(copy, &info) == 0 && S_ISDIR(info.st_mode);
            free(copy);
            return is_folder ? 0 : io_error("%s is not a folder", folder);
        }
    }
    int code = io_error("cannot make the folder %s: %s", folder, strerror(errno));
    free(copy);
    return code;
}

static int artifact(const Plan *plan, hk_artifact kind, hk_text **text)
{
    hk_error *error;
    hk_status status = hk_build_artifact(plan->build, kind, text, &error);
    return report(plan->options, status, error);
}

static int write_artifact(const Plan *plan, hk_artifact kind, const char *format)
{
    hk_text *text;
    int code = artifact(plan, kind, &text);
    char *path = file_in(plan, format, plan->name);
    if (code == 0) code = write_whole(path, hk_text_data(text), hk_text_length(text));
    hk_text_free(text);
    free(path);
    return code;
}

// ---- the C compiler

static const char *compiler_of(const Plan *plan)
{
    const Options *o = plan->options;
    if (o->compiler) return o->compiler;
    return o->triple ? must_format("%s-gcc", o->triple) : "cc";
}

// The shell splits the compiler's words; the other words are files and options as they are.
static int compile(const Plan *plan, const char *what, const char *const *words)
{
    const char *compiler = compiler_of(plan);
    char *line = must_format("%s \"$@\"", compiler);
    const char *all[16] = {"sh", "-c", line, "sh"};
    size_t count = 4;
    for (size_t k = 0; words[k] && count < 15; k++) all[count++] = words[k];
    pid_t pid;
    int status = -1;
    fflush(stdout);
    if (posix_spawnp(&pid, "sh", NULL, NULL, (char *const *)all, environ) == 0)
        while (waitpid(pid, &status, 0) < 0 && errno == EINTR) continue;
    free(line);
    if (status == 0) return 0;
    return io_error("'%s' could not %s; --cc names another C compiler", compiler, what);
}

// The runtime's object: of the program's own for this architecture, else by the C compiler.
static int runtime_object(Plan *plan, hk_text **text, char **data, size_t *length)
{
    hk_error *error;
    *data = NULL;
    if (hk_build_artifact(plan->build, HK_ARTIFACT_RUNTIME_OBJECT, text, &error) == HK_OK) {
        *length = hk_text_length(*text);
        return 0;
    }
    hk_error_free(error);
    char *source = must_format("%s/%s.%ld.c", plan->folder, plan->name, (long)getpid());
    char *object = must_format("%s/%s.%ld.o", plan->folder, plan->name, (long)getpid());
    int code = artifact(plan, HK_ARTIFACT_RUNTIME_SOURCE, text);
    if (code == 0) code = write_whole(source, hk_text_data(*text), hk_text_length(*text));
    hk_text_free(*text);
    *text = NULL;
    const char *words[] = {"-std=gnu11", "-O2", "-fPIC", "-c", "-o", object, source, NULL};
    if (code == 0) code = compile(plan, "compile the runtime", words);
    if (code == 0 && !(*data = read_whole(object, length))) code = EXIT_ENVIRONMENT;
    remove(source);
    remove(object);
    free(source);
    free(object);
    return code;
}

static int write_static(const Plan *plan, const Member *members)
{
    char *data, *path = file_in(plan, "lib%s.a", plan->name);
    size_t length;
    int code = archive_make(members, 2, &data, &length)
                   ? write_whole(path, data, length)
                   : io_error("the C compiler made no ELF object");
    free(path);
    return code;
}

static int write_shared(const Plan *plan, const Member *members)
{
    char *path = file_in(plan, "lib%s.so", plan->name);
    char *made = must_format("%s.%ld.tmp", path, (long)getpid());
    char *objects[2], *soname = must_format("-Wl,-soname,lib%s.so", plan->name);
    int code = 0;
    for (int k = 0; k < 2; k++) {
        objects[k] = must_format("%s.%d.o", made, k);
        if (code == 0) code = write_whole(objects[k], members[k].data, members[k].length);
    }
    // Its threads may outlive a dlclose.
    const char *words[] = {"-shared",  "-o",       made,  soname,      "-Wl,-z,nodelete",
                           objects[0], objects[1], "-lm", "-lpthread", NULL};
    if (code == 0) code = compile(plan, "link the library", words);
    if (code == 0 && rename(made, path) != 0)
        code = io_error("cannot write %s: %s", path, strerror(errno));
    remove(made);
    for (int k = 0; k < 2; k++) remove(objects[k]);
    free(path);
    free(made);
    free(soname);
    return code;
}

static int write_objects(Plan *plan)
{
    const Options *o = plan->options;
    hk_text *object = NULL, *runtime = NULL;
    char *data;
    size_t length = 0;
    int code = artifact(plan, HK_ARTIFACT_OBJECT, &object);
    if (code == 0) code = runtime_object(plan, &runtime, &data, &length);
    if (code == 0) {
        Member members[] = {{"kernels.o", hk_text_data(object), hk_text_length(object)},
                            {"runtime.o", data ? data : hk_text_data(runtime), length}};
        if (wants(o, "lib")) code = write_static(plan, members);
        if (code == 0 && wants(o, "shared")) code = write_shared(plan, members);
        char *path = file_in(plan, "%s_runtime.o", plan->name);
        if (code == 0 && wants(o, "obj")) code = write_artifact(plan, HK_ARTIFACT_OBJECT, "%s.o");
        if (code == 0 && wants(o, "obj")) code = write_whole(path, members[1].data, length);
        free(path);
        free(data);
    }
    hk_text_free(object);
    hk_text_free(runtime);
    return code;
}

// ---- the rest

// As make reads it; each source is also a target without anything to do, lest its removal stop
// make.
static int write_deps(const Plan *plan)
{
    char *path = file_in(plan, "%s.d", plan->name), *text = NULL;
    size_t length = 0;
    FILE *out = open_memstream(&text, &length);
    if (!out) return io_error("out of memory");
    static const struct {
        const char *kind, *format;
    } made[] = {{"lib", "lib%s.a"}, {"shared", "lib%s.so"}, {"header", "%s.h"}, {"obj", "%s.o"}};
    for (size_t k = 0; k < sizeof made / sizeof *made; k++) {
        if (!wants(plan->options, made[k].kind)) continue;
        char *target = file_in(plan, made[k].format, plan->name);
        fprintf(out, "%s ", target);
        free(target);
    }
    fprintf(out, "%s:", path);
    for (int phony = 0; phony < 2; phony++) {
        for (size_t m = 0; m < plan->options->file_count; m++) {
            const char *file;
            for (size_t k = 0; (file = hk_module_file(plan->modules[m], k)); k++)
                fprintf(out, phony ? "\n%s:" : " %s", file);
        }
    }
    fputc('\n', out);
    fclose(out);
    int code = write_whole(path, text, length);
    free(text);
    free(path);
    return code;
}

static int write_opencl(const Plan *plan)
{
    int code = 0;
    for (size_t k = 0; code == 0 && k < plan->kernel_count; k++) {
        const hk_build_kernel *kernel = &plan->kernels[k];
        const char *symbol = kernel->symbol ? kernel->symbol : hk_kernel_name(kernel->kernel);
        char *word = must_format("%s:%s", plan->files[k], hk_kernel_name(kernel->kernel));
        Options options = *plan->options;
        const char *files[] = {word};
        options.command = "emit";
        options.as = options.target = "opencl";
        options.triple = options.cpu = NULL;
        options.files = files;
        options.file_count = 1;
        options.output = file_in(plan, "%s.cl", symbol);
        options.defines = (Pairs){0};
        Pair *defines = must_alloc(sizeof *defines * (kernel->define_count + 1));
        for (size_t d = 0; d < kernel->define_count; d++)
            defines[d] = (Pair){kernel->defines[d].name, kernel->defines[d].value};
        options.defines = (Pairs){defines, kernel->define_count};
        if (options.variant_count) options.shapes = options.variants[0].shapes;
        code = command_emit(&options);
        free(defines);
        free((char *)options.output);
        free(word);
    }
    return code;
}

static char *stem_of(const char *path)
{
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    const char *point = strrchr(name, '.');
    char *stem = must_format("%.*s", (int)(point ? (size_t)(point - name) : strlen(name)), name);
    for (char *at = stem; *at; at++)
        if (*at == '-' || *at == '.' || *at == ' ') *at = '_';
    return stem;
}

static int make_build(Plan *plan)
{
    const Options *o = plan->options;
    plan->name = o->name ? must_format("%s", o->name) : stem_of(plan->paths[0]);
    hk_build_options options = {.struct_size = sizeof options,
                                .name = plan->name,
                                .triple = o->triple,
                                .cpus = o->cpu,
                                .kernels = plan->kernels,
                                .kernel_count = plan->kernel_count};
    hk_error *error;
    hk_status status = hk_build_create(plan->context, &options, &plan->build, &error);
    return report(o, status, error);
}

static int write_all(Plan *plan)
{
    const Options *o = plan->options;
    int code = make_folder(plan->folder);
    bool objects = wants(o, "lib") || wants(o, "shared") || wants(o, "obj");
    if (code == 0 && objects) code = write_objects(plan);
    if (code == 0 && wants(o, "header")) code = write_artifact(plan, HK_ARTIFACT_HEADER, "%s.h");
    if (code == 0 && wants(o, "runtime"))
        code = write_artifact(plan, HK_ARTIFACT_RUNTIME_SOURCE, "%s_runtime.c");
    if (code == 0 && wants(o, "llvm")) code = write_artifact(plan, HK_ARTIFACT_LLVM, "%s.ll");
    if (code == 0 && wants(o, "asm")) code = write_artifact(plan, HK_ARTIFACT_ASM, "%s.s");
    if (code == 0 && wants(o, "deps")) code = write_deps(plan);
    if (code == 0 && wants(o, "opencl")) code = write_opencl(plan);
    return code;
}

int command_build(Options *options)
{
    Plan plan = {.options = options, .folder = options->output ? options->output : "."};
    if (!options->file_count) return usage_error("hako build wants FILE[:KERNEL]...");
    int code = check_kinds(options);
    if (code != 0) return code;
    hk_context_options context = {.struct_size = sizeof context, .log = show_warnings};
    hk_error *error;
    hk_status status = hk_context_create(&context, &plan.context, &error);
    if (status != HK_OK) return report(options, status, error);
    plan.modules = must_alloc(sizeof *plan.modules * options->file_count);
    plan.paths = must_alloc(sizeof *plan.paths * options->file_count);
    for (size_t k = 0; code == 0 && k < options->file_count; k++) code = open_file(&plan, k);
    if (code == 0) code = give_defines(&plan);
    if (code == 0) code = give_types(&plan);
    if (code == 0 && options->tuned) code = db_open(options, plan.context, false, &plan.store);
    if (code == 0) code = give_all_variants(&plan);
    if (code == 0) code = make_build(&plan);
    if (code == 0) code = write_all(&plan);
    hk_build_free(plan.build);
    hk_store_free(plan.store);
    for (size_t k = 0; k < options->file_count; k++) hk_module_free(plan.modules[k]);
    hk_context_free(plan.context);
    return code;
}
