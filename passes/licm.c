// Moves what a loop does not change out of it. Inner loops first, so that a value may climb out of
// several.
//
// Only instructions without effect or trap move, so a loop that never runs costs time at most.
#include "passes/pass.h"

static bool is_invariant(const Func *f, const Inst *in, Region r)
{
    if (!(op_info[in->op].traits & TRAIT_PURE) || in->region_count) return false;
    for_each_arg(f, in, k, v) {
        if (value_inside(f, v, r)) return false;
    }
    return true;
}

static bool hoist(Func *f, InstId loop)
{
    bool changed = false;
    Region body = inst_region(inst_at(f, loop), 0);
    for (InstId id = region_at(f, body)->first, next; id.i; id = next) {
        next = inst_at(f, id)->next;
        if (!is_invariant(f, inst_at(f, id), body)) continue;
        inst_move(f, id, inst_at(f, loop)->parent, loop);
        changed = true;
    }
    return changed;
}

static bool licm_region(Func *f, Region r)
{
    bool changed = false;
    for_each_inst(f, r, id) {
        for (unsigned k = 0; k < inst_at(f, id)->region_count; k++) {
            changed |= licm_region(f, inst_region(inst_at(f, id), k));
        }
        if (inst_at(f, id)->op == OP_FOR) changed |= hoist(f, id);
    }
    return changed;
}

bool pass_licm(Func *f, const PassContext *context)
{
    (void)context;
    return licm_region(f, f->body);
}
