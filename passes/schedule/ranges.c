// Tests of a dependent range that hold for all indices of a tile, which they do where the tile has
// one index of each axis that the range depends on:
//
//   axis j (min[b] lo{b}, max[b] hi{b}) { lo{b} <= j and j < hi{b} }   ->   true,  by tile_b = 1
//
// Sums over the sequences of jagged tensors, and over triangles row by row, then have no masks.
#include "passes/schedule/sched.h"

// Whether each tile has one index of all of these.
static bool one_each(const Sched *s, AxisSet axes)
{
    for (; axes; axes &= axes - 1)
        if (s->axes[__builtin_ctzll(axes)].size_const != 1) return false;
    return true;
}

// Whether `end` is the least or largest v of a tile that has no other.
static bool is_only(const Sched *s, Value end, ReduceKind kind, Value v)
{
    const Inst *in = value_def(s->tile, end);
    return in && in->op == OP_REDUCE && in->attr.kind == kind && !inst_mask(s->tile, in).i &&
           inst_arg(s->tile, in, 0).i == v.i && one_each(s, in->attr.bits);
}

static bool in_range(const Sched *s, const Inst *in)
{
    bool below = in->op == OP_LT;
    const Inst *index = value_def(s->tile, inst_arg(s->tile, in, below ? 0 : 1));
    Value bound = inst_arg(s->tile, in, below ? 1 : 0);
    if (!index || index->op != OP_INDEX) return false;
    const Inst *decl = inst_at(s->tile, axis_at(s->tile, (Axis){index->attr.ref})->decl);
    if (decl->arg_count < 2) return false;
    return below ? is_only(s, inst_arg(s->tile, decl, 1), REDUCE_MAX, bound)
                 : is_only(s, inst_arg(s->tile, decl, 0), REDUCE_MIN, bound);
}

static bool is_known(const Sched *s, const Inst *in, unsigned k)
{
    return s->values[inst_arg(s->tile, in, k).i].global.i == s->truth.i;
}

static bool holds(const Sched *s, const Inst *in)
{
    if (in->op == OP_LT || in->op == OP_LE) return in_range(s, in);
    if (in->op == OP_AND) return is_known(s, in, 0) && is_known(s, in, 1);
    return in->op == OP_REDUCE && in->attr.kind == REDUCE_ANY && is_known(s, in, 0) &&
           one_each(s, in->attr.bits);
}

static void assume(Sched *s, Region r)
{
    for_each_inst(s->tile, r, id) {
        const Inst *in = inst_at(s->tile, id);
        if (in->result_count && holds(s, in)) s->values[inst_result(in, 0).i].global = s->truth;
        for (unsigned k = 0; k < in->region_count; k++) assume(s, inst_region(in, k));
    }
}

void ranges_assume(Sched *s, Region phase)
{
    Builder b = sched_at(s, 0);
    if (!s->truth.i) s->truth = build_bits(&b, type_scalar(DTYPE_BOOL), 1);
    assume(s, phase);
}
