// Execs: what was asked for, the cache of what was compiled, and what an exec tells of itself.
#include "runtime/internal.h"
#include "runtime/warm.h"

enum { CACHED_MAX = 64 }; // execs of one kernel; unused ones beyond that are dropped, oldest first

// ---- requests

static void key_slot(Buf *key, const hk_kernel *kernel, size_t index, const Slot *slot)
{
    const TensorView *view = &slot->view;
    if (!slot->given) return;
    if (kernel->params[index].kind == HK_PARAM_SCALAR) { // whether it is there, if it may be absent
        const Node *type = ast_kid(kernel->node, 1)->kids[index]->kids[0];
        if (type->flags & NODE_FLAG_OPTIONAL) buf_printf(key, "|%zu", index);
        return;
    }
    buf_printf(key, "|%zu:%d@%d", index, (int)view->dtype, (int)place_of_slot(slot));
    bool compact = view->given && view_is_compact(view);
    for (uint32_t p = 0; p < view->rank; p++) {
        buf_printf(key, ",%lld%s", (long long)view->shape[p],
                   compact                 ? ""
                   : view->strides[p] == 1 ? "u"
                                           : "s");
    }
}

static Str request_key(Arena *arena, const hk_kernel *kernel, const Request *request)
{
    Buf key = {.arena = arena};
    buf_printf(&key, "%d,%u,%u,%d,%d", (int)request->target, request->device, request->threads,
               (int)request->stage, (int)request->args_known);
    for (size_t i = 0; i < request->slot_count; i++) key_slot(&key, kernel, i, &request->slots[i]);
    for (size_t i = 0; i < request->define_count; i++) {
        buf_printf(&key, "|D%s=%s", request->defines[i].name, request->defines[i].value);
    }
    for (size_t i = 0; i < request->dim_count; i++) {
        buf_printf(&key, "|d%s=%lld", request->dims[i].name, (long long)request->dims[i].value);
    }
    for (size_t i = 0; i < request->free_dim_count; i++)
        buf_printf(&key, "|f%s", request->free_dims[i]);
    buf_printf(&key, "|%d%.*s|%.*s|%.*s|%.*s|%.*s", request->has_config, STR_ARG(request->config),
               STR_ARG(request->tuned), STR_ARG(request->dump), STR_ARG(request->stop_after),
               STR_ARG(request->disabled));
    return buf_view(&key);
}

static Request request_copy(Arena *arena, const Request *from)
{
    Request to = *from;
    to.defines = arena_array(arena, hk_define, from->define_count + 1);
    for (size_t i = 0; i < from->define_count; i++) {
        to.defines[i] = (hk_define){str_copy(arena, str_of(from->defines[i].name)).data,
                                    str_copy(arena, str_of(from->defines[i].value)).data};
    }
    to.dims = arena_array(arena, hk_dim, from->dim_count + 1);
    for (size_t i = 0; i < from->dim_count; i++) {
        to.dims[i] =
            (hk_dim){str_copy(arena, str_of(from->dims[i].name)).data, from->dims[i].value};
    }
    to.free_dims = arena_array(arena, const char *, from->free_dim_count + 1);
    for (size_t i = 0; i < from->free_dim_count; i++)
        to.free_dims[i] = str_copy(arena, str_of(from->free_dims[i])).data;
    to.slots = arena_copy(arena, from->slots, sizeof(Slot) * from->slot_count);
    to.config = str_copy(arena, from->config);
    to.tuned = str_copy(arena, from->tuned);
    to.dump = str_copy(arena, from->dump);
    to.stop_after = str_copy(arena, from->stop_after);
    to.disabled = str_copy(arena, from->disabled);
    return to;
}

// ---- the cache

// Scalars are not part of the key, but for those that some size depends on.
static bool same_sizes(const hk_exec *exec, const Request *request)
{
    for (uint32_t a = 0; a < exec->tile->args.count; a++) {
        uint32_t slot = exec->slot_of_arg[a];
        if (!exec->sizes_arg[a] || slot >= request->slot_count) continue;
        const Slot *x = &exec->request.slots[slot], *y = &request->slots[slot];
        bool same = x->given == y->given && x->scalar.kind == y->scalar.kind &&
                    x->scalar.integer == y->scalar.integer && x->scalar.number == y->scalar.number;
        if (!same) return false;
    }
    return true;
}

static hk_exec *cache_find(const hk_kernel *kernel, const Request *request, Str key)
{
    for (hk_exec *exec = kernel->execs; exec; exec = exec->next) {
        if (str_equal(exec->key, key) && same_sizes(exec, request)) return exec;
    }
    return NULL;
}

// Drops the oldest exec that nobody holds, if there are too many.
static void cache_trim(hk_kernel *kernel)
{
    if (kernel->exec_count <= CACHED_MAX) return;
    hk_exec **oldest = NULL;
    for (hk_exec **at = &kernel->execs; *at; at = &(*at)->next) {
        if (at != &kernel->execs && atomic_load(&(*at)->references) == 0) oldest = at;
    }
    if (!oldest) return;
    hk_exec *exec = *oldest;
    *oldest = exec->next;
    kernel->exec_count--;
    exec_destroy(exec);
}

void exec_destroy(hk_exec *exec)
{
    warm_free_all(exec);
    if (exec->llvm) llvm_code_free(exec->llvm);
    if (exec->opencl) opencl_code_free(exec->opencl);
    Arena arena = exec->arena;
    arena_free(&arena);
}

// The caller holds the module's lock, or the exec already.
void exec_retain(const hk_exec *const_exec)
{
    hk_exec *exec = (hk_exec *)const_exec; // who holds it is not part of its meaning
    atomic_fetch_add(&exec->references, 1);
    atomic_fetch_add(&exec->kernel->module->references, 1);
}

void hk_exec_free(hk_exec *exec)
{
    if (!exec) return;
    hk_module *module = exec->kernel->module;
    atomic_fetch_sub(&exec->references, 1);
    module_release(module);
}

typedef struct KeyJob {
    Arena arena;
    const hk_kernel *kernel;
    const Request *request;
    Str key;
} KeyJob;

static void make_key(void *self)
{
    KeyJob *job = self;
    job->key = request_key(&job->arena, job->kernel, job->request);
}

typedef struct ObtainJob {
    Arena arena;
    const hk_kernel *kernel;
    const Request *request;
    DiagList diags;
    hk_exec *exec;
} ObtainJob;

static void make_exec(void *self)
{
    ObtainJob *job = self;
    hk_exec *exec = arena_new(&job->arena, hk_exec);
    exec->arena = job->arena; // from here on the object owns the arena
    job->exec = exec;
    Arena *arena = &exec->arena;
    const hk_module *module = job->kernel->module;
    exec->kernel = job->kernel;
    exec->request = request_copy(arena, job->request);
    exec->key = request_key(arena, job->kernel, &exec->request);
    exec->threads = exec->request.threads ? exec->request.threads : module->context->threads;
    exec->sources = module->sources;
    exec->sources.arena = arena;
    exec->sources.sources.capacity = exec->sources.sources.count; // so that adding copies
    job->diags.arena = arena;
    job->diags.sources = &exec->sources;
    compile(exec, exec->request.slots, &job->diags);
}

static hk_status compile_status(ObtainJob *job, bool enough_memory, hk_error **error)
{
    const Allocator *allocator = &job->kernel->module->context->allocator;
    if (!enough_memory)
        return fail(allocator, error, HK_ERROR_MEMORY, DIAG_MEMORY, "out of memory");
    if (!job->diags.error_count) return HK_OK;
    hk_status status = HK_ERROR_DIAGNOSTICS;
    for (uint32_t i = 0; i < job->diags.diags.count; i++) {
        DiagCode code = job->diags.diags.data[i]->code;
        if (code == DIAG_INTERNAL || code == DIAG_IR_INVALID) status = HK_ERROR_INTERNAL;
        bool is_opencl = code >= DIAG_OPENCL_FAILED && code <= DIAG_OPENCL_LIMIT;
        if (code == DIAG_DEVICE || is_opencl) status = HK_ERROR_ENVIRONMENT;
    }
    return fail_with(allocator, error, status, &job->diags);
}

// The cached exec of that request, retained; NULL if there is none. False if memory ran out.
static bool cache_get(hk_kernel *kernel, const Request *request, hk_exec **exec)
{
    hk_module *module = kernel->module;
    KeyJob job = {.kernel = kernel, .request = request};
    arena_init(&job.arena, &module->context->allocator);
    bool enough = guarded(&job.arena, make_key, &job);
    *exec = NULL;
    if (enough) {
        pthread_mutex_lock(&module->lock);
        *exec = cache_find(kernel, request, job.key);
        if (*exec) exec_retain(*exec);
        pthread_mutex_unlock(&module->lock);
    }
    arena_free(&job.arena);
    return enough;
}

// Nothing but arguments was asked for.
static bool is_plain(const Request *r)
{
    return r->args_known && r->target == HK_TARGET_CPU && r->stage == HK_STAGE_RUN && !r->threads &&
           !r->has_config && !r->define_count && !r->dim_count && !r->free_dim_count &&
           !r->tuned.length &&
           !r->dump.length && !r->stop_after.length && !r->disabled.length;
}

hk_exec *exec_known(const hk_kernel *kernel, const hk_arg *args, size_t count)
{
    pthread_mutex_lock(&kernel->module->lock);
    hk_exec *exec = kernel->execs;
    while (exec && !(is_plain(&exec->request) && warm_fits(exec, args, count))) exec = exec->next;
    if (exec) exec_retain(exec);
    pthread_mutex_unlock(&kernel->module->lock);
    return exec;
}

static void cache_put(hk_kernel *kernel, hk_exec *exec)
{
    pthread_mutex_lock(&kernel->module->lock);
    exec->next = kernel->execs;
    kernel->execs = exec;
    kernel->exec_count++;
    exec_retain(exec);
    cache_trim(kernel);
    pthread_mutex_unlock(&kernel->module->lock);
}

// Tells the host's log of warnings, which no status carries, and of the time that compiling took.
static void log_outcome(void *self)
{
    ObtainJob *job = self;
    const hk_context *context = job->kernel->module->context;
    Buf out = {.arena = &job->exec->arena};
    if (job->diags.diags.count) {
        diag_render_text(&out, &job->diags, false);
        context->log(context->log_self, HK_WARNING, out.data);
    }
    double ms = 0;
    for (uint32_t i = 0; i < job->exec->timing.count; i++) ms += job->exec->timing.data[i].ms;
    Str text = str_format(out.arena, "compiled kernel %s in %.1f ms", job->kernel->name, ms);
    context->log(context->log_self, HK_NOTE, text.data);
}

hk_status exec_make(const hk_kernel *kernel, const Request *request, hk_exec **exec,
                    hk_error **error)
{
    ObtainJob job = {.kernel = kernel, .request = request};
    arena_init(&job.arena, &kernel->module->context->allocator);
    bool enough = guarded(&job.arena, make_exec, &job);
    hk_status status = compile_status(&job, enough, error);
    if (status != HK_OK) {
        if (job.exec)
            exec_destroy(job.exec);
        else
            arena_free(&job.arena);
        return status;
    }
    if (kernel->module->context->log) guarded(&job.exec->arena, log_outcome, &job);
    job.exec->arena.out_of_memory = NULL;
    *exec = job.exec;
    return HK_OK;
}

// Compiling holds no lock: two threads may compile the same thing, and both results are kept, being
// equal.
hk_status exec_obtain(const hk_kernel *const_kernel, const Request *request, hk_exec **exec,
                      hk_error **error)
{
    hk_kernel *kernel = (hk_kernel *)const_kernel; // the cache is not part of its meaning
    const Allocator *allocator = &kernel->module->context->allocator;
    if (!cache_get(kernel, request, exec))
        return fail(allocator, error, HK_ERROR_MEMORY, DIAG_MEMORY, "out of memory");
    if (*exec) return HK_OK;
    hk_status status = exec_make(kernel, request, exec, error);
    if (status == HK_OK) cache_put(kernel, *exec);
    return status;
}

// ---- the public call

typedef struct SpecializeJob {
    Arena arena;
    const hk_kernel *kernel;
    const hk_specialize_options *options;
    DiagList diags;
    Request request;
} SpecializeJob;

// Scalars alone, with dimensions or for Tile IR, say nothing about which tensors are there.
static bool tells_tensors(const hk_specialize_options *o)
{
    for (size_t i = 0; i < o->arg_count; i++)
        if (o->args[i].kind == HK_ARG_TENSOR) return true;
    return o->args && !(o->arg_count && (o->dim_count || o->stage == HK_STAGE_TILE));
}

static void make_request(void *self)
{
    SpecializeJob *job = self;
    const hk_specialize_options *o = job->options;
    job->diags.arena = &job->arena;
    job->diags.sources = &job->kernel->module->sources;
    Slot *slots = arena_array(&job->arena, Slot, job->kernel->param_count + 1);
    slots_fill(job->kernel, o->args, o->arg_count, slots, &job->diags);
    job->request = (Request){.defines = (hk_define *)o->defines,
                             .define_count = o->define_count,
                             .args_known = tells_tensors(o),
                             .slots = slots,
                             .slot_count = job->kernel->param_count,
                             .dims = (hk_dim *)o->dims,
                             .dim_count = o->dim_count,
                             .free_dims = (const char **)o->free_dims,
                             .free_dim_count = o->free_dim_count,
                             .config = str_of(o->config),
                             .has_config = o->config != NULL,
                             .tuned = str_of(o->tuned),
                             .target = o->target,
                             .device = o->device,
                             .threads = o->threads,
                             .stage = o->stage,
                             .dump = str_of(o->dump),
                             .stop_after = str_of(o->stop_after),
                             .disabled = str_of(o->disabled_passes)};
}

static bool options_fit(const hk_specialize_options *o)
{
    return o->struct_size == sizeof *o && (!o->define_count || o->defines) &&
           (!o->arg_count || o->args) && (!o->dim_count || o->dims) &&
           (!o->free_dim_count || (o->free_dims && o->target != HK_TARGET_OPENCL)) &&
           (unsigned)o->target <= HK_TARGET_INTERP && (unsigned)o->stage <= HK_STAGE_LOOP;
}

hk_status hk_kernel_specialize(const hk_kernel *kernel, const hk_specialize_options *options,
                               hk_exec **exec, hk_error **error)
{
    if (error) *error = NULL;
    if (exec) *exec = NULL;
    if (!kernel || !exec) return fail_usage(error, "hk_kernel_specialize: an argument is NULL");
    hk_specialize_options zero = {.struct_size = sizeof zero};
    if (!options) options = &zero;
    if (!options_fit(options))
        return fail_usage(error, "hk_kernel_specialize: malformed options (struct_size, a NULL "
                                 "array with a count, an unknown target or stage, or free_dims "
                                 "for OpenCL)");
    const Allocator *allocator = &kernel->module->context->allocator;
    SpecializeJob job = {.kernel = kernel, .options = options};
    arena_init(&job.arena, allocator);
    hk_status status = HK_OK;
    if (!guarded(&job.arena, make_request, &job)) {
        status = fail(allocator, error, HK_ERROR_MEMORY, DIAG_MEMORY, "out of memory");
    } else if (job.diags.error_count) {
        status = fail_with(allocator, error, HK_ERROR_DIAGNOSTICS, &job.diags);
    } else {
        status = exec_obtain(kernel, &job.request, exec, error);
    }
    arena_free(&job.arena);
    return status;
}

size_t hk_exec_knob_count(const hk_exec *exec)
{
    return exec ? exec->knob_count : 0;
}

hk_status hk_exec_knob(const hk_exec *exec, size_t index, hk_tunable *knob)
{
    if (!knob || knob->struct_size != sizeof *knob || index >= hk_exec_knob_count(exec))
        return HK_ERROR_USAGE;
    *knob = exec->knobs[index];
    return HK_OK;
}
