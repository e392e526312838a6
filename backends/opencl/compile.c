// From Loop IR to a program built for one device.
#include "backends/opencl/code.h"

bool opencl_ok(DiagList *diags, cl_int status, const char *call)
{
    if (status == CL_SUCCESS) return true;
    Diag *diag = diag_add(diags, DIAG_OPENCL_FAILED, (Span){0}, "%s failed: %s (%d)", call,
                          opencl_error_name(status), (int)status);
    if (opencl_error_meaning(status)[0]) diag_hint(diags, diag, "%s", opencl_error_meaning(status));
    return false;
}

bool opencl_emit_text(Buf *out, const Func *loop, const Machine *machine, const OpenclPlace *places,
                      DiagList *diags)
{
    Program program = {.places = places};
    if (!ocl_program_emit(&program, out->arena, loop, machine, diags)) return false;
    buf_str(out, program.text);
    return true;
}

static bool check_features(const OpenclCode *code, DiagList *diags)
{
    if (code->program.needs_int64_atomics && !code->site.device.int64_atomics) {
        Diag *diag = diag_add(diags, DIAG_OPENCL_FEATURE, (Span){0},
                              "the kernel updates 64-bit elements atomically, which '%s' cannot "
                              "(no cl_khr_int64_base_atomics)",
                              code->site.device.name);
        diag_hint(diags, diag, "use i32 or f32, another device, or --target=cpu");
        return false;
    }
    if (!code->program.needs_fp64 || code->site.device.fp64) return true;
    Diag *diag = diag_add(diags, DIAG_OPENCL_FEATURE, (Span){0},
                          "the kernel computes in f64, which '%s' cannot (no cl_khr_fp64)",
                          code->site.device.name);
    diag_hint(diags, diag, "use f32, another device, or --target=cpu");
    return false;
}

static int64_t param_bytes(const Func *f, const Param *p)
{
    return p->kind == PARAM_ARG ? dtype_info[f->args.data[p->index].dtype].bits / 8 : 8;
}

static bool check_limits(const OpenclCode *code, const Func *f, DiagList *diags)
{
    const OpenclDevice *device = &code->site.device;
    for (uint32_t i = 0; i < code->program.kernels.count; i++) {
        const Kernel *kernel = &code->program.kernels.data[i];
        const Deal *deal = kernel->deal;
        const Span at = inst_at(f, kernel->phase)->span;
        int64_t bytes = 0, local = deal ? deal->local_bytes + deal->reduce_bytes : 0;
        for (uint32_t k = 0; k < kernel->params.count; k++) {
            bytes += param_bytes(f, &kernel->params.data[k]);
        }
        if (bytes > device->parameter_bytes_max) {
            diag_add(diags, DIAG_OPENCL_LIMIT, at,
                     "kernel %.*s takes %lld bytes of arguments; '%s' allows %u",
                     STR_ARG(kernel->name), (long long)bytes, device->name,
                     device->parameter_bytes_max);
        } else if (kernel_group(kernel) > device->work_group_max) {
            Diag *diag = diag_add(diags, DIAG_OPENCL_LIMIT, at,
                                  "kernel %.*s runs in work-groups of %u; '%s' allows %u",
                                  STR_ARG(kernel->name), kernel_group(kernel), device->name,
                                  device->work_group_max);
            diag_hint(diags, diag, "choose a smaller `group` in the Config");
        } else if (local > device->local_bytes) {
            Diag *diag = diag_add(diags, DIAG_OPENCL_LIMIT, at,
                                  "kernel %.*s needs %lld bytes of local memory; '%s' has %lld",
                                  STR_ARG(kernel->name), (long long)local, device->name,
                                  (long long)device->local_bytes);
            diag_hint(diags, diag, "choose smaller tiles or a smaller `group` in the Config");
        } else {
            continue;
        }
        return false;
    }
    return true;
}

typedef struct CompileJob {
    OpenclSystem *system;
    const Func *loop;
    const Machine *machine;
    const OpenclPlace *places;
    uint32_t device;
    const OpenclKeep *keep;
    DiagList *diags;
    OpenclCode *code;
    bool ok;
} CompileJob;

static void compile(void *self)
{
    CompileJob *job = self;
    DiagList *diags = job->diags;
    Arena arena;
    arena_init(&arena, &diags->arena->allocator);
    arena.out_of_memory = diags->arena->out_of_memory;
    OpenclCode *code = arena_new(&arena, OpenclCode);
    code->arena = arena;
    pthread_mutex_init(&code->lock, NULL);
    code->program.places = job->places;
    job->code = code;
    job->ok = ocl_program_emit(&code->program, &code->arena, job->loop, job->machine, diags) &&
              opencl_site(job->system, job->device, &code->site, diags) &&
              check_features(code, diags) && check_limits(code, job->loop, diags) &&
              opencl_build(code, job->keep, diags);
}

static void end_compile(void *self)
{
    CompileJob *job = self;
    if (job->code) job->code->arena.out_of_memory = NULL;
    if (!job->ok) opencl_code_free(job->code);
}

OpenclCode *opencl_compile(OpenclSystem *system, uint32_t device, const Func *loop,
                           const Machine *machine, const OpenclPlace *places,
                           const OpenclKeep *keep, DiagList *diags)
{
    CompileJob job = {.system = system,
                      .loop = loop,
                      .machine = machine,
                      .places = places,
                      .device = device,
                      .keep = keep,
                      .diags = diags};
    arena_finally(diags->arena, compile, end_compile, &job);
    return job.ok ? job.code : NULL;
}

bool opencl_code_was_kept(const OpenclCode *code)
{
    return code->was_kept;
}

void opencl_code_free(OpenclCode *code)
{
    if (!code) return;
    const OpenclApi *api = code->site.api;
    for (uint32_t i = 0; code->kernels && i < code->program.kernels.count; i++) {
        if (code->kernels[i]) api->clReleaseKernel(code->kernels[i]);
    }
    if (code->built) api->clReleaseProgram(code->built);
    pthread_mutex_destroy(&code->lock);
    Arena arena = code->arena;
    arena_free(&arena);
}
