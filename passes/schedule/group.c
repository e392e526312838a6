// What is different where a group of work-items shares a unit (OpenCL on GPUs, docs/opencl.md):
// loops are dealt to work-items, so each of them holds one block of registers, and
//
// - all loops over an axis along which products are blocked bind as many of its indices at once as
//   those do. The same work-item then initialises, updates and stores an accumulator;
// - operands of products are packed by loops of their own, all work-items together, so that what
//   one iteration of the blocked loops reads of them is consecutive: [k][m] and [k][n].
#include "passes/schedule/sched.h"

enum { GROUP_ROWS = 4, PACK_LEAST = 8, PAD = 4 };

bool group_shares(const Sched *s)
{
    return s->context->machine->is_gpu_style;
}

// How many vectors of `each` indices of a products' axis are bound at once, in loops over all of
// `bound` at least; 0: it is not one, or no group shares.
unsigned group_count(const Sched *s, Axis a, unsigned each, AxisSet bound)
{
    if (!group_shares(s)) return 0;
    for (uint32_t i = 0; i < s->roots.count; i++) {
        const Root *root = s->roots.data[i];
        if (!root->contraction || root->column.i) continue;
        if (root->axes & ~root->reduced & ~bound) continue;
        bool row = root->row.i == a.i, lanes = root->vector.i == a.i;
        if (!row && !lanes) continue;
        const Str name = axis_at(s->tile, a)->name;
        int64_t count = config_get_axis(s->context->config, row ? "unroll" : "vectors", name,
                                        row ? GROUP_ROWS : 1);
        int64_t size = s->axes[a.i].size_max;
        if (row) count = (count + each - 1) / each;
        if (size > 0 && count > (size + each - 1) / each) count = (size + each - 1) / each;
        return count < 1 ? 1 : (unsigned)count;
    }
    return 0;
}

// Packs the operand x of a contraction, which varies along the axis (rows or columns) and along k.
// False if it is read where it is.
bool group_pack(Sched *s, const Root *root, Value x, Axis axis, Axis other)
{
    AxisSet axes = value_axes(s->tile, x);
    const Inst *in = value_def(s->tile, x);
    if (!axis.i || !other.i || !(axes & axis_bit(axis)) || (axes & axis_bit(other))) return false;
    if (!(axes & root->reduced) || is_boundary(s, x) || !keep_fits(s, axes) || !in ||
        !s->segment_at[value_at(s->tile, x)->def.i])
        return false;
    int64_t size = s->axes[other.i].size_max;
    // Columns, if each element is used often; rows are broadcast, which pays for a block of k only.
    AxisSet k = axes & root->reduced;
    bool blocked = axis_at(s->tile, (Axis){(uint32_t)__builtin_ctzll(k)})->kind == AXIS_LOOP;
    bool pack = (size < 0 || size >= PACK_LEAST) && (axis.i == root->vector.i || blocked);
    if (in->op == OP_LOAD_TILE) {
        Str name = mem_at(s->tile, (Mem){in->attr.ref})->name;
        pack = config_get_axis(s->context->config, "pack", name, pack) != 0;
    }
    if (!pack) return false;
    Root *keep = keep_value(s, x);
    bool along = in->op == OP_LOAD_TILE && lane_coefficient(s, in, 0, axis) == LANE_UNIT;
    keep->packs = true;
    keep->vector = along ? axis : (Axis){0};
    keep->row = axis;
    keep->slot->pad = along ? 0 : PAD; // stores of neighbours go to different banks
    AxisSet last = along ? axis_bit(axis) : axes & root->reduced;
    order_append(s, keep, axes & ~last);
    order_append(s, keep, last);
    return true;
}
