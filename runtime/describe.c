// What an exec tells of itself: parameters, dimensions, times and its forms as text.
#include "runtime/internal.h"

static hk_param_kind kind_of_mem(const MemInfo *mem)
{
    return mem->kind == MEM_IN ? HK_PARAM_IN : mem->kind == MEM_OUT ? HK_PARAM_OUT : HK_PARAM_INOUT;
}

static void describe_mem(hk_exec *exec, Mem m)
{
    const Func *f = exec->tile;
    const MemInfo *mem = mem_at(f, m);
    hk_exec_param_info *info = &exec->params[exec->param_count++];
    *info = (hk_exec_param_info){.struct_size = sizeof *info,
                                 .kind = kind_of_mem(mem),
                                 .name = exec->kernel->params[exec->slot_of_mem[m.i]].name,
                                 .dtype = dtype_to_dlpack(mem->dtype),
                                 .dtype_name = dtype_info[mem->dtype].name,
                                 .ndim = mem->rank};
    if (!exec->shapes_known) return;
    int64_t *shape = arena_array(&exec->arena, int64_t, mem->rank + 1), bytes;
    for (uint32_t p = 0; p < mem->rank; p++) shape[p] = mem_size(f, m, p, exec->values);
    info->shape = shape;
    info->bytes = compact_bytes(mem->dtype, mem->rank, shape, &bytes) ? (size_t)bytes : 0;
}

static void describe_promises(hk_exec *exec)
{
    static const hk_promise promises[REFINE_KINDS] = {[REFINE_RANGE] = HK_PROMISE_RANGE,
                                                      [REFINE_PARTITION] = HK_PROMISE_PARTITION,
                                                      [REFINE_PERMUTATION] = HK_PROMISE_PERMUTATION,
                                                      [REFINE_DISTINCT] = HK_PROMISE_DISTINCT};
    const Func *f = exec->tile;
    for_each_inst(f, f->body, id) {
        const Inst *in = inst_at(f, id);
        if (in->op != OP_REFINE || exec->slot_of_mem[in->attr.ref] == UINT32_MAX) continue;
        const char *name = exec->kernel->params[exec->slot_of_mem[in->attr.ref]].name;
        for (size_t i = 0; i < exec->param_count; i++) {
            hk_exec_param_info *info = &exec->params[i];
            if (strcmp(info->name, name) != 0) continue;
            bool range = in->attr.kind == REFINE_RANGE;
            info->promise = promises[in->attr.kind];
            if (!exec->shapes_known) continue;
            info->low = range ? (int64_t)exec->values[inst_arg(f, in, 0).i] : 0;
            info->high = (int64_t)exec->values[inst_arg(f, in, range ? 1 : 0).i];
        }
    }
}

static void describe_arg(hk_exec *exec, uint32_t a)
{
    hk_exec_param_info *info = &exec->params[exec->param_count++];
    DType dtype = exec->tile->args.data[a].dtype;
    const hk_param *param = &exec->kernel->params[exec->slot_of_arg[a]];
    *info = (hk_exec_param_info){.struct_size = sizeof *info,
                                 .kind = HK_PARAM_SCALAR,
                                 .name = param->name,
                                 .dtype = dtype_to_dlpack(dtype),
                                 .dtype_name = dtype_info[dtype].name,
                                 .has_default = param->optional};
}

void exec_describe_params(hk_exec *exec)
{
    const Func *f = exec->tile;
    exec->params = arena_array(&exec->arena, hk_exec_param_info, f->mems.count + f->args.count + 1);
    exec->param_count = 0;
    for (size_t i = 0; i < exec->kernel->param_count; i++) {
        for (uint32_t m = 1; m < f->mems.count; m++) {
            if (exec->slot_of_mem[m] == i) describe_mem(exec, (Mem){m});
        }
        for (uint32_t a = 0; a < f->args.count; a++) {
            if (exec->slot_of_arg[a] == i) describe_arg(exec, a);
        }
    }
    describe_promises(exec);
}

size_t hk_exec_param_count(const hk_exec *exec)
{
    return exec ? exec->param_count : 0;
}

hk_status hk_exec_param(const hk_exec *exec, size_t index, hk_exec_param_info *info)
{
    if (!exec || !info || info->struct_size != sizeof *info || index >= exec->param_count)
        return HK_ERROR_USAGE;
    *info = exec->params[index];
    return HK_OK;
}

const char *hk_exec_kernel_name(const hk_exec *exec)
{
    return exec ? exec->kernel->name : NULL;
}

size_t hk_exec_dim_count(const hk_exec *exec)
{
    return exec ? exec->tile->dims.count : 0;
}

hk_dim hk_exec_dim(const hk_exec *exec, size_t index)
{
    if (!exec || index >= exec->tile->dims.count) return (hk_dim){NULL, 0};
    return (hk_dim){exec->dim_names[index], exec->dims[index]};
}

uint32_t hk_exec_threads(const hk_exec *exec)
{
    return exec ? exec->threads : 0;
}

const char *hk_exec_timing(const hk_exec *exec, size_t index, double *ms)
{
    if (!exec || index >= exec->timing.count) return NULL;
    if (ms) *ms = exec->timing.data[index].ms;
    return exec->timing.data[index].name;
}

// ---- forms

typedef struct FormJob {
    Arena arena;
    const hk_exec *exec;
    hk_form form;
    DiagList diags;
    Buf out;
} FormJob;

static bool needs_loop(FormJob *job)
{
    if (job->exec->loop) return true;
    diag_add(&job->diags, DIAG_USAGE, (Span){0}, "the exec was not compiled that far");
    return false;
}

static void print_form(void *self)
{
    FormJob *job = self;
    const hk_exec *exec = job->exec;
    Buf *out = &job->out;
    out->arena = job->diags.arena = &job->arena;
    buf_add(out, "", 0);
    switch (job->form) {
    case HK_FORM_TILE: func_print(out, exec->tile); break;
    case HK_FORM_LOOP:
        if (needs_loop(job)) func_print(out, exec->loop);
        break;
    case HK_FORM_LLVM:
    case HK_FORM_ASM:
    case HK_FORM_OBJECT:
        if (needs_loop(job)) {
            const hk_context *context = exec->kernel->module->context;
            LlvmForm form = job->form == HK_FORM_ASM    ? LLVM_FORM_ASM
                            : job->form == HK_FORM_LLVM ? LLVM_FORM_IR
                                                        : LLVM_FORM_OBJECT;
            llvm_emit(out, exec->loop, context->has_target ? &context->target : NULL, form,
                      &job->diags);
        }
        break;
    case HK_FORM_OPENCL:
        if (exec->request.target != HK_TARGET_OPENCL)
            diag_add(&job->diags, DIAG_USAGE, (Span){0},
                     "the exec is not for OpenCL: its loops are another target's");
        else if (needs_loop(job))
            opencl_emit_text(out, exec->loop, exec->machine, exec->places, &job->diags);
        break;
    case HK_FORM_CONFIG:
        if (exec->config) buf_str(out, config_print(&job->arena, exec->config));
        buf_char(out, '\n');
        break;
    case HK_FORM_DUMP: buf_str(out, buf_view(&exec->dump)); break;
    }
}

hk_status hk_exec_text(const hk_exec *exec, hk_form form, hk_text **text, hk_error **error)
{
    if (error) *error = NULL;
    if (text) *text = NULL;
    if (!exec || !text) return fail_usage(error, "hk_exec_text: an argument is NULL");
    const Allocator *allocator = &exec->kernel->module->context->allocator;
    FormJob job = {.exec = exec, .form = form};
    arena_init(&job.arena, allocator);
    hk_status status;
    if (!guarded(&job.arena, print_form, &job)) {
        status = fail(allocator, error, HK_ERROR_MEMORY, DIAG_MEMORY, "out of memory");
    } else if (job.diags.error_count) {
        status = fail_with(allocator, error, HK_ERROR_DIAGNOSTICS, &job.diags);
    } else {
        status = text_new(allocator, buf_view(&job.out), text, error);
    }
    arena_free(&job.arena);
    return status;
}
