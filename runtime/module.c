// Modules: source text, its files and its kernels; and the checking of a whole file.
#include "runtime/internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

enum { FILE_BYTES_MAX = 64 << 20 };

typedef struct ReadJob {
    Arena *arena;
    FILE *file;
    Buf out;
    bool ok;
} ReadJob;

static void read_all(void *self)
{
    ReadJob *job = self;
    job->out.arena = job->arena;
    buf_add(&job->out, "", 0);
    char chunk[16384];
    size_t n;
    while ((n = fread(chunk, 1, sizeof chunk, job->file)) > 0 && job->out.length <= FILE_BYTES_MAX)
        buf_add(&job->out, chunk, n);
    job->ok = !ferror(job->file) && job->out.length <= FILE_BYTES_MAX;
}

static void end_read(void *self)
{
    fclose(((ReadJob *)self)->file);
}

// Reads a file into the arena. On failure data is NULL and *why says why.
static Str read_file(Arena *arena, const char *path, const char **why)
{
    Str none = {NULL, 0};
    struct stat info;
    if (stat(path, &info) != 0) {
        *why = str_copy(arena, str_of(strerror(errno))).data;
        return none;
    }
    if (S_ISDIR(info.st_mode)) {
        *why = "it is a directory";
        return none;
    }
    ReadJob job = {.arena = arena, .file = fopen(path, "rb")};
    if (!job.file) {
        *why = str_copy(arena, str_of(strerror(errno))).data;
        return none;
    }
    arena_finally(arena, read_all, end_read, &job);
    if (job.ok) return buf_view(&job.out);
    *why = job.out.length > FILE_BYTES_MAX ? "it is larger than 64 MiB" : "it cannot be read";
    return none;
}

static Str read_import(void *self, Arena *arena, Str path)
{
    (void)self;
    const char *why;
    return read_file(arena, str_copy(arena, path).data, &why);
}

typedef struct LoadJob {
    Arena arena;
    hk_context *context;
    const char *name, *text, *unreadable;
    size_t length;
    bool check; // go on after syntax errors and instantiate every kernel
    DiagList diags;
    hk_module *module;
} LoadJob;

// Without each of what may be absent.
static void check_absent(LoadJob *job, const Node *kernel)
{
    hk_module *module = job->module;
    for (unsigned part = 1; part <= 2; part++) {
        const Node *list = ast_kid(kernel, part);
        for (uint32_t k = 0; list && k < list->kid_count; k++) {
            const Node *param = list->kids[k];
            InstanceSpec spec = {.absent = param->text};
            DiagList found = {.arena = &module->arena, .sources = &module->sources};
            if (!(param->kids[0]->flags & NODE_FLAG_OPTIONAL) || ast_kid(param, 2)) continue;
            kernel_instantiate(module->parsed, kernel->text, &spec, &found);
            if (found.error_count)
                kernel_instantiate(module->parsed, kernel->text, &spec, &job->diags);
        }
    }
}

// Passes that check are run on each kernel with its parameters unbound.
static void check_kernels(LoadJob *job)
{
    hk_module *module = job->module;
    const InstanceSpec unbound = {0};
    bool well_formed = job->diags.error_count == 0; // else kernels may be missing
    for (uint32_t i = 0; i < module_kernel_count(module->parsed); i++) {
        const Node *node = module_kernel(module->parsed, i);
        Func *f = kernel_instantiate(module->parsed, node->text, &unbound, &job->diags);
        if (!f) continue;
        check_absent(job, node);
        PassContext passes = {
            .arena = &module->arena, .diags = &job->diags, .machine = &job->context->machine};
        passes_run(f, passes_check, passes_check_count, &passes);
    }
    if (well_formed) module_check_blocks(module->parsed, &job->diags);
}

// Configs that tuning found lie beside the kernels in x.hkt: only `config` blocks, which win over
// the file's own.
static void load_tuned(LoadJob *job)
{
    hk_module *module = job->module;
    Arena *arena = &module->arena;
    Str path = str_format(arena, "%st", job->name);
    const char *why = NULL;
    Str text = read_file(arena, path.data, &why);
    if (!text.data) return;
    uint32_t source = source_add(&module->sources, path, text);
    Node *file = parse_source(arena, &module->sources, source, &job->diags);
    if (!file) return;
    for (uint32_t k = 0; k < file->kid_count; k++) {
        if (file->kids[k]->kind == NODE_CONFIG) continue;
        diag_add(&job->diags, DIAG_CONFIG_SYNTAX, file->kids[k]->span,
                 "a .hkt file holds `config` blocks only");
    }
    vec_push(arena, &module->parsed->files, file);
}

static void load(void *self)
{
    LoadJob *job = self;
    hk_module *module = arena_new(&job->arena, hk_module);
    module->arena = job->arena; // from here on the object owns the arena
    job->module = module;
    Arena *arena = &module->arena;
    module->context = job->context;
    module->sources.arena = arena;
    job->diags.arena = arena;
    job->diags.sources = &module->sources;
    Str text = {job->text, job->length};
    if (!job->text) {
        text = read_file(arena, job->name, &job->unreadable);
        if (!text.data) return;
        job->unreadable = NULL;
    }
    double start = clock_ms();
    module->parsed = module_parse(arena, &module->sources, str_of(job->name), text, read_import,
                                  NULL, &job->diags);
    module->parse_ms = clock_ms() - start;
    if (!module->parsed) return;
    bool tuned = !job->text && !job->context->no_tuned_files;
    if (tuned && !job->diags.error_count) load_tuned(job);
    if (job->check) {
        check_kernels(job);
    } else if (!job->diags.error_count) {
        kernels_reflect(module);
        tests_reflect(module);
    }
}

static void load_discard(LoadJob *job)
{
    Arena arena = job->module ? job->module->arena : job->arena;
    arena_free(&arena);
}

// Status of a finished job; *error is set after a failure.
static hk_status load_status(LoadJob *job, bool enough_memory, hk_error **error)
{
    const Allocator *allocator = &job->context->allocator;
    if (!enough_memory)
        return fail(allocator, error, HK_ERROR_MEMORY, DIAG_MEMORY, "out of memory");
    if (job->unreadable) {
        return fail(allocator, error, HK_ERROR_ENVIRONMENT, DIAG_FILE, "cannot read %s: %s",
                    job->name, job->unreadable);
    }
    if (job->diags.error_count)
        return fail_with(allocator, error, HK_ERROR_DIAGNOSTICS, &job->diags);
    return HK_OK;
}

static hk_status module_load(LoadJob *job, hk_module **module, hk_error **error)
{
    arena_init(&job->arena, &job->context->allocator);
    bool enough = guarded(&job->arena, load, job);
    hk_status status = load_status(job, enough, error);
    if (status != HK_OK) {
        load_discard(job);
        return status;
    }
    job->module->arena.out_of_memory = NULL;
    atomic_init(&job->module->references, 1);
    pthread_mutex_init(&job->module->lock, NULL);
    context_retain(job->context);
    *module = job->module;
    return HK_OK;
}

hk_status hk_module_load_text(hk_context *context, const char *name, const char *text,
                              size_t length, hk_module **module, hk_error **error)
{
    if (error) *error = NULL;
    if (module) *module = NULL;
    if (!context || !text || !module)
        return fail_usage(error, "hk_module_load_text: an argument is NULL");
    LoadJob job = {.context = context,
                   .name = name ? name : "<text>",
                   .text = text,
                   .length = length == HK_TERMINATED ? strlen(text) : length};
    return module_load(&job, module, error);
}

hk_status hk_module_load_file(hk_context *context, const char *path, hk_module **module,
                              hk_error **error)
{
    if (error) *error = NULL;
    if (module) *module = NULL;
    if (!context || !path || !module)
        return fail_usage(error, "hk_module_load_file: an argument is NULL");
    LoadJob job = {.context = context, .name = path};
    return module_load(&job, module, error);
}

hk_status hk_check(hk_context *context, const char *name, const char *text, size_t length,
                   uint32_t max_errors, hk_error **error)
{
    if (error) *error = NULL;
    if (!context || (!name && !text)) return fail_usage(error, "hk_check: an argument is NULL");
    LoadJob job = {.context = context,
                   .name = name ? name : "<text>",
                   .text = text,
                   .check = true,
                   .length = text && length == HK_TERMINATED ? strlen(text) : length};
    job.diags.limit = max_errors;
    arena_init(&job.arena, &context->allocator);
    bool enough = guarded(&job.arena, load, &job);
    hk_status status = load_status(&job, enough, error);
    if (status == HK_OK && job.diags.diags.count)
        status = fail_with(&context->allocator, error, HK_OK, &job.diags);
    load_discard(&job);
    return status;
}

static void free_execs(hk_kernel *kernel)
{
    for (hk_exec *exec = kernel->execs; exec;) {
        hk_exec *next = exec->next;
        exec_destroy(exec);
        exec = next;
    }
}

void module_release(hk_module *module)
{
    if (atomic_fetch_sub(&module->references, 1) != 1) return;
    for (size_t i = 0; i < module->kernel_count; i++) free_execs(&module->kernels[i]);
    hk_context *context = module->context;
    pthread_mutex_destroy(&module->lock);
    Arena arena = module->arena;
    arena_free(&arena);
    context_release(context);
}

void hk_module_free(hk_module *module)
{
    if (module) module_release(module);
}

const char *hk_module_file(const hk_module *module, size_t index)
{
    if (!module) return NULL;
    for (uint32_t k = 0; k < module->sources.sources.count; k++) {
        Str name = module->sources.sources.data[k].name;
        bool inside = name.length && name.data[0] == '<'; // "<std>" is no file
        if (!inside && index-- == 0) return name.data;
    }
    return NULL;
}

typedef struct AstJob {
    Arena arena;
    const hk_module *module;
    Buf out;
} AstJob;

static void print_ast(void *self)
{
    AstJob *job = self;
    job->out.arena = &job->arena;
    ast_print(&job->out, job->module->parsed->files.data[0]);
}

hk_status hk_module_ast(const hk_module *module, hk_text **text, hk_error **error)
{
    if (error) *error = NULL;
    if (text) *text = NULL;
    if (!module || !text) return fail_usage(error, "hk_module_ast: an argument is NULL");
    const Allocator *allocator = &module->context->allocator;
    AstJob job = {.module = module};
    arena_init(&job.arena, allocator);
    hk_status status = guarded(&job.arena, print_ast, &job)
                           ? text_new(allocator, buf_view(&job.out), text, error)
                           : fail(NULL, error, HK_ERROR_MEMORY, DIAG_MEMORY, "out of memory");
    arena_free(&job.arena);
    return status;
}
