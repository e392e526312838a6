// The value of pure instructions in a box, from stored operands or, for lazy ones, evaluated on the
// way.
#include "backends/interp/state.h"

const uint64_t *value_fetch(Interp *it, const Box *box, Value v)
{
    if (box->memo && box->memo[v.i]) return box->memo[v.i];
    const uint64_t *data;
    if (it->values[v.i]) {
        data = box_slice(it, box, value_axes(it->f, v), it->values[v.i]);
    } else {
        data = inst_compute(it, box, value_def(it->f, v));
    }
    if (box->memo) {
        box->memo[v.i] = data;
    }
    return data;
}

const uint64_t *value_spread(Interp *it, const Box *box, Value v, AxisSet to)
{
    return box_expand(it, box, value_axes(it->f, v), value_fetch(it, box, v), to);
}

const uint64_t *value_force(Interp *it, Value v, AxisSet to)
{
    if (it->values[v.i]) return value_spread(it, &it->full, v, to);
    Box box = it->full;
    box.memo = box_memo(it);
    return value_spread(it, &box, v, to);
}

int64_t value_scalar(Interp *it, Value v)
{
    return (int64_t)*value_fetch(it, &it->full, v);
}

static int64_t tile_info(const Interp *it, const Inst *in)
{
    const Lanes *lanes = &it->lanes[in->attr.ref];
    int64_t range = lanes->range_hi > lanes->range_lo ? lanes->range_hi - lanes->range_lo : 0;
    switch ((TileInfo)in->attr.kind) {
    case INFO_BEGIN: return lanes->begin;
    case INFO_END: return lanes->end;
    case INFO_SIZE: return lanes->end - lanes->begin;
    case INFO_ID: return (lanes->begin - lanes->range_lo) / lanes->block;
    case INFO_BLOCK: return lanes->block;
    case INFO_COUNT: return range / lanes->block + (range % lanes->block != 0);
    case INFO_KINDS: break;
    }
    return 0;
}

// The scalar that the instruction gives, if it is one of those without operands.
static bool inst_scalar(const Interp *it, const Inst *in, uint64_t *bits)
{
    switch (in->op) {
    case OP_CONST: *bits = in->attr.bits; return true;
    case OP_DIM: *bits = (uint64_t)it->frame->dims[in->attr.ref]; return true;
    case OP_ARG: *bits = it->frame->args[in->attr.ref]; return true;
    case OP_EXTENT:
        *bits = (uint64_t)it->extents[in->attr.ref * RANK_MAX + in->attr.bits];
        return true;
    case OP_TILEINFO: *bits = (uint64_t)tile_info(it, in); return true;
    }
    return false;
}

// The global indices of an axis; a scalar axis has just the one where it stands.
static const uint64_t *index_compute(Interp *it, const Box *box, const Inst *in)
{
    unsigned a = in->attr.ref;
    AxisSet set = value_axes(it->f, inst_result(in, 0));
    size_t count = box_count(box, set);
    int64_t lo = set ? box->lo[a] : it->lanes[a].begin;
    uint64_t *result = stack_words(&it->stack, count);
    for (size_t i = 0; i < count; i++) {
        result[i] = (uint64_t)lo + i;
    }
    return result;
}

static const uint64_t *elementwise_compute(Interp *it, const Box *box, const Inst *in)
{
    enum { ARGS_MAX = 3 }; // no elementwise operation has more
    Type type = value_type(it->f, inst_result(in, 0));
    size_t count = box_count(box, type.axes);
    const uint64_t *args[ARGS_MAX];
    unsigned arg_count = in->arg_count < ARGS_MAX ? in->arg_count : ARGS_MAX;
    for (unsigned k = 0; k < arg_count; k++) {
        args[k] = value_spread(it, box, inst_arg(it->f, in, k), type.axes);
    }
    // A select is of the dtype it selects, everything else of that of its first operand.
    DType from = value_dtype(it->f, inst_arg(it->f, in, in->op == OP_SELECT ? 1 : 0));
    uint64_t *result = stack_words(&it->stack, count);
    if (!eval_array((Op)in->op, from, (DType)type.dtype, in->attr.kind, args, arg_count, result,
                    count)) {
        trap_set(it, -1, 0, 0); // an operation that has no meaning here: the verifier lets none by
        memset(result, 0, count * sizeof *result);
    }
    return result;
}

const uint64_t *inst_compute(Interp *it, const Box *box, const Inst *in)
{
    uint64_t bits;
    if (inst_scalar(it, in, &bits)) {
        size_t count = box_count(box, value_axes(it->f, inst_result(in, 0)));
        uint64_t *result = stack_words(&it->stack, count);
        for (size_t i = 0; i < count; i++) {
            result[i] = bits;
        }
        return result;
    }
    switch (in->op) {
    case OP_INDEX: return index_compute(it, box, in);
    case OP_LOAD_TILE: return load_compute(it, box, in);
    case OP_REDUCE: return reduce_compute(it, box, in);
    case OP_TAKE: return take_compute(it, box, in);
    }
    return elementwise_compute(it, box, in);
}
