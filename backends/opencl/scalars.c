// What the host computes of a program before its kernels run: the scalars of the function's body,
// units, the sizes of scratch, arguments.
#include "backends/opencl/program.h"
#include "ir/eval.h"

bool ocl_prints(const Program *program)
{
    for (uint32_t k = 0; k < program->kernels.count; k++) {
        const Kernel *kernel = &program->kernels.data[k];
        for (uint32_t i = 0; i < kernel->params.count; i++)
            if (kernel->params.data[i].kind == PARAM_PRINT) return true;
    }
    return false;
}

static void eval_inst(const Func *f, const Frame *frame, const Inst *in, uint64_t *values)
{
    const uint32_t result = in->results;
    uint64_t args[3] = {0};
    if (in->op == OP_CONST) {
        values[result] = in->attr.bits;
    } else if (in->op == OP_DIM) {
        values[result] = (uint64_t)frame->dims[in->attr.ref];
    } else if (in->op == OP_ARG) {
        values[result] = frame->args[in->attr.ref];
    } else if (in->op == OP_STRIDE) {
        values[result] = (uint64_t)frame->strides[in->attr.ref * RANK_MAX + in->attr.bits];
    } else if (in->op == OP_EXTENT) {
        const MemInfo *mem = mem_at(f, (Mem){in->attr.ref});
        const Inst *decl = mem->decl.i ? inst_at(f, mem->decl) : NULL;
        if (decl && in->attr.bits < decl->arg_count)
            values[result] = values[inst_arg(f, decl, (unsigned)in->attr.bits).i];
    } else if (in->result_count == 1 && in->arg_count >= 1 && in->arg_count <= 3) {
        for (unsigned k = 0; k < in->arg_count; k++) args[k] = values[inst_arg(f, in, k).i];
        DType from = value_dtype(f, inst_arg(f, in, in->arg_count - 1u));
        eval_op((Op)in->op, from, value_dtype(f, inst_result(in, 0)), in->attr.kind, args,
                in->arg_count, &values[result]);
    }
}

void ocl_evaluate_body(const Func *f, const Frame *frame, uint64_t *values)
{
    for_each_inst(f, f->body, id) eval_inst(f, frame, inst_at(f, id), values);
}

int64_t ocl_units(const Func *f, const uint64_t *values, const Kernel *kernel)
{
    int64_t units = (int64_t)values[inst_arg(f, inst_at(f, kernel->phase), 0).i];
    return units > 0 ? units : 0;
}

int64_t ocl_scratch_bytes(const Func *f, Mem m)
{
    const MemInfo *mem = mem_at(f, m);
    int64_t elements = (int64_t)inst_at(f, mem->decl)->attr.bits;
    if (dtype_info[mem->dtype].bits == 4) return (elements + 15) / 16 * 8;
    return dtype_bytes(mem->dtype, elements);
}

uint64_t ocl_scalar(const Func *f, const Frame *frame, const int64_t *front, const Param *p,
                    size_t *bytes)
{
    *bytes = sizeof(int64_t);
    if (p->kind == PARAM_DIM) return (uint64_t)frame->dims[p->index];
    if (p->kind == PARAM_STRIDE) return (uint64_t)frame->strides[p->mem.i * RANK_MAX + p->index];
    if (p->kind == PARAM_FIRST)
        return (uint64_t)(front[p->mem.i] * 8 / dtype_info[mem_at(f, p->mem)->dtype].bits);
    *bytes = dtype_info[f->args.data[p->index].dtype].bits / 8; // little-endian: the low ones
    return frame->args[p->index];
}
