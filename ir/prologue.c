// The prologue: scalars that a launch computes before any phase runs.
#include "ir/eval.h"

static bool eval_plain(const Func *f, const Inst *in, uint64_t *values)
{
    uint64_t args[3] = {0};
    if (in->result_count != 1 || in->arg_count < 1 || in->arg_count > 3) return false;
    for (unsigned k = 0; k < in->arg_count; k++) args[k] = values[inst_arg(f, in, k).i];
    DType from = value_dtype(f, inst_arg(f, in, in->arg_count - 1u));
    DType to = value_dtype(f, inst_result(in, 0));
    return eval_op((Op)in->op, from, to, in->attr.kind, args, in->arg_count, &values[in->results]);
}

static bool eval_arg(const Func *f, const Inst *in, const uint64_t *args, const bool *given,
                     uint64_t *values)
{
    uint32_t arg = in->attr.ref;
    if (given[arg])
        values[in->results] = args[arg];
    else if (in->arg_count)
        values[in->results] = values[inst_arg(f, in, 0).i];
    else
        return false;
    return true;
}

static uint64_t eval_extent(const Func *f, const Inst *in, const uint64_t *values)
{
    InstId decl = mem_at(f, (Mem){in->attr.ref})->decl;
    if (!decl.i || in->attr.bits >= inst_at(f, decl)->arg_count) return 0;
    return values[inst_arg(f, inst_at(f, decl), (unsigned)in->attr.bits).i];
}

bool prologue_eval(const Func *f, const int64_t *dims, const uint64_t *args, const bool *arg_given,
                   uint64_t *values, uint32_t *missing)
{
    for_each_inst(f, f->body, id) {
        const Inst *in = inst_at(f, id);
        if (in->op == OP_PHASE) break;
        if (in->op == OP_CONST) {
            values[in->results] = in->attr.bits;
        } else if (in->op == OP_DIM) {
            values[in->results] = (uint64_t)dims[in->attr.ref];
        } else if (in->op == OP_EXTENT) {
            values[in->results] = eval_extent(f, in, values);
        } else if (in->op == OP_ARG) {
            if (eval_arg(f, in, args, arg_given, values)) continue;
            *missing = in->attr.ref;
            return false;
        } else {
            eval_plain(f, in, values);
        }
    }
    return true;
}
