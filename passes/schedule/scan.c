// Scans: a loop along the scanned axis that carries the running value and keeps it in scratch at
// each index; the other axes may be lanes.
#include "ir/eval.h"
#include "passes/schedule/sched.h"

static AxisSet others(const Sched *s, const Root *root)
{
    return value_axes(s->tile, root->value) & ~root->reduced;
}

void scan_begin(Sched *s, Root *root)
{
    const Inst *in = inst_at(s->tile, root->inst);
    AxisSet axes = others(s, root);
    DType dtype = value_dtype(s->tile, root->value);
    Builder b = sched_at(s, s->top);
    root->acc_count = instances_of(s, axes);
    root->acc_copies = 1;
    root->acc_index = NULL;
    root->acc = arena_array(s->arena, Value, root->acc_count);
    for (unsigned k = 0; k < root->acc_count; k++)
        root->acc[k] = build_bits(&b, type_vector(dtype, value_lanes(s, axes)),
                                  reduce_identity((ReduceKind)in->attr.kind, dtype));
}

void scan_step(Sched *s, Root *root)
{
    const Inst *in = inst_at(s->tile, root->inst);
    AxisSet axes = value_axes(s->tile, root->value);
    Value tile = inst_arg(s->tile, in, 0), own = inst_mask(s->tile, in);
    Value *values = emit_value(s, tile), *masks = own.i ? emit_value(s, own) : NULL;
    unsigned count = instances_of(s, axes);
    Value *results = arena_array(s->arena, Value, count);
    Builder b = sched_at(s, s->top);
    for (unsigned i = 0; i < count; i++) {
        unsigned at = instance_project(s, axes, i, others(s, root));
        Value v = values[instance_project(s, axes, i, value_axes(s->tile, tile))],
              before = root->acc[at];
        Value next = reduce_build(&b, (ReduceKind)in->attr.kind, before, v);
        if (masks)
            next = build_op3(&b, OP_SELECT,
                             masks[instance_project(s, axes, i, value_axes(s->tile, own))], next,
                             before);
        results[i] = in->flags & INST_EXCLUSIVE ? before : next;
        root->acc[at] = next;
    }
    slot_store(s, root->slot, axes, results);
}
