// Tensors that are on an OpenCL device: a cl_mem and an offset in it. They are used where they are,
// so all that could go wrong there is looked at before the launch.
#include "runtime/internal.h"

#include <stdio.h>

// As a tensor of host memory without data, and its place apart.
bool slot_on_device(const DLTensor *tensor, Slot *slot, DiagCode *code, char why[WHY_MOST])
{
    DLTensor nowhere = *tensor;
    nowhere.device.device_type = kDLCPU;
    nowhere.data = NULL;
    if (!tensor_view(&nowhere, &slot->view, code, why)) return false;
    const uint64_t element = (dtype_info[slot->view.dtype].bits + 7u) / 8;
    slot->on = (OnDevice){.given = true,
                          .device = (uint32_t)tensor->device.device_id,
                          .buffer = tensor->data,
                          .root = tensor->data,
                          .offset = (int64_t)tensor->byte_offset,
                          .root_offset = (int64_t)tensor->byte_offset};
    if (tensor->byte_offset % element == 0 && tensor->byte_offset <= INT64_MAX / 2) return true;
    *code = DIAG_ARG_STRIDE;
    snprintf(why, WHY_MOST, "begins at byte %llu of its buffer, which is not at an element",
             (unsigned long long)tensor->byte_offset);
    return false;
}

OpenclPlace place_of_slot(const Slot *slot)
{
    if (!slot->on.given || !slot->on.offset) return OPENCL_AT_START;
    return slot->on.offset % 16 ? OPENCL_ANYWHERE : OPENCL_AT_MULTIPLE;
}

typedef struct Check {
    const hk_exec *exec;
    size_t param;
    Slot *slot;
    DiagList *diags;
} Check;

static bool complain(const Check *c, DiagCode code, const char *hint, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

static bool complain(const Check *c, DiagCode code, const char *hint, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    Str text = str_vformat(c->diags->arena, format, args);
    va_end(args);
    const hk_kernel *kernel = c->exec->kernel;
    Diag *diag =
        diag_add(c->diags, code, kernel->param_spans[c->param], "kernel %s: argument %s %.*s",
                 kernel->name, kernel->params[c->param].name, STR_ARG(text));
    if (hint) diag_hint(c->diags, diag, "%s", hint);
    return false;
}

static bool check_device(const Check *c)
{
    const Request *request = &c->exec->request;
    if (request->target != HK_TARGET_OPENCL)
        return complain(c, DIAG_ARG_DEVICE, "specialise the kernel for HK_TARGET_OPENCL",
                        "is on an OpenCL device, but the kernel runs on the CPU");
    if (c->slot->on.device != request->device)
        return complain(c, DIAG_ARG_DEVICE, NULL, "is on OpenCL device %u; the kernel runs on %u",
                        c->slot->on.device, request->device);
    return true;
}

// Elements narrower than a word that are updated by comparing and swapping the word.
static bool swaps_words(const hk_exec *exec, uint32_t slot)
{
    const Func *f = exec->tile;
    for (uint32_t i = 1; i < f->insts.count; i++) {
        const Inst *in = inst_at(f, (InstId){i});
        if (in->op == OP_ATOMIC && exec->slot_of_mem[in->attr.ref] == slot) return true;
    }
    return false;
}

static bool check_room(const Check *c, const OpenclBuffer *buffer)
{
    const TensorView *view = &c->slot->view;
    const unsigned bits = dtype_info[view->dtype].bits;
    const int64_t offset = c->slot->on.offset;
    const bool writes = c->exec->kernel->params[c->param].kind != HK_PARAM_IN;
    int64_t end = offset + view->high;
    if (view->low == view->high) return true;
    if (offset + view->low < 0)
        return complain(c, DIAG_ARG_STRIDE, NULL, "reaches %lld bytes before its buffer",
                        (long long)-(offset + view->low));
    if (end > buffer->bytes)
        return complain(c, DIAG_ARG_SHAPE, NULL,
                        "ends at byte %lld of its buffer, which has %lld bytes", (long long)end,
                        (long long)buffer->bytes);
    bool words = writes && (bits < 8 || (bits < 32 && swaps_words(c->exec, (uint32_t)c->param)));
    if (words && (end + 3) / 4 * 4 > buffer->bytes)
        return complain(c, DIAG_ARG_SHAPE, "make it larger by up to 3 bytes",
                        "is written in whole words of 32 bits, of which the last is only partly in "
                        "its buffer of %lld bytes",
                        (long long)buffer->bytes);
    return true;
}

static bool check_buffer(const Check *c)
{
    OpenclBuffer buffer;
    OnDevice *on = &c->slot->on;
    const hk_param_kind kind = c->exec->kernel->params[c->param].kind;
    const char *failure = opencl_buffer_describe(c->exec->opencl, on->buffer, &buffer);
    if (failure)
        return complain(c, DIAG_ARG_DEVICE, NULL, "is not a buffer of OpenCL, a cl_mem (%s)",
                        failure);
    if (!buffer.is_buffer)
        return complain(c, DIAG_ARG_DEVICE, NULL, "is an image of OpenCL, not a buffer");
    if (!buffer.is_ours)
        return complain(c, DIAG_ARG_DEVICE,
                        "give the buffer's context to hk_context_create as `opencl_context`",
                        "is a buffer of another OpenCL context");
    if (buffer.is_read_only && kind != HK_PARAM_IN)
        return complain(c, DIAG_ARG_DEVICE, NULL, "is an output in a buffer with CL_MEM_READ_ONLY");
    if (buffer.is_write_only && kind != HK_PARAM_OUT)
        return complain(c, DIAG_ARG_DEVICE, NULL, "is an input in a buffer with CL_MEM_WRITE_ONLY");
    if (buffer.is_unaligned)
        return complain(c, DIAG_ARG_STRIDE, NULL,
                        "is a buffer of host memory that is not aligned to 16 bytes");
    on->root = buffer.root;
    on->root_offset = on->offset + buffer.root_offset;
    return check_room(c, &buffer);
}

bool devices_check(const hk_exec *exec, Slot *slots, DiagList *diags)
{
    bool ok = true;
    for (size_t i = 0; i < exec->kernel->param_count; i++) {
        const Check c = {.exec = exec, .param = i, .slot = &slots[i], .diags = diags};
        if (!slots[i].on.given) continue;
        ok = check_device(&c) && (!slots[i].on.buffer || check_buffer(&c)) && ok;
    }
    return ok;
}

bool args_on_device(const hk_arg *args, size_t count, uint32_t *device)
{
    for (size_t i = 0; i < count; i++) {
        const DLTensor *tensor = args[i].kind == HK_ARG_TENSOR ? args[i].tensor : NULL;
        if (!tensor || tensor->device.device_type != kDLOpenCL) continue;
        *device = (uint32_t)tensor->device.device_id;
        return true;
    }
    return false;
}

hk_status args_want_host(const hk_kernel *kernel, const hk_arg *args, size_t count,
                         const char *what, hk_error **error)
{
    uint32_t device;
    if (!args || !args_on_device(args, count, &device)) return HK_OK;
    return fail(&kernel->module->context->allocator, error, HK_ERROR_DIAGNOSTICS, DIAG_ARG_DEVICE,
                "kernel %s: %s wants tensors in host memory", kernel->name, what);
}
