// Splits a sequential loop over a triangular range in two. For `tile n in 0 .. m + 1` the tiles
// that end below the bound of every lane of m need no mask; only those on the diagonal do. Tiles
// past all bounds are never visited: the hull ends there.
//
//   loop n (0, max m + 1) { mask = n < m + 1 ... }   ->   loop n (0, whole) { mask = true }  loop n
//   (whole, ..) { mask }
#include "passes/schedule/sched.h"

static bool outside(const Sched *s, Value v, Region body)
{
    const Inst *in = value_def(s->tile, v);
    Region region = in ? in->parent : value_at(s->tile, v)->region;
    return region.i != body.i;
}

static bool is_index(const Sched *s, Value v, Axis a)
{
    const Inst *in = value_def(s->tile, v);
    return in && in->op == OP_INDEX && in->attr.ref == a.i;
}

static bool is_info(const Sched *s, Value v, Axis a, TileInfo kind)
{
    const Inst *in = value_def(s->tile, v);
    return in && in->op == OP_TILEINFO && in->attr.ref == a.i && in->attr.kind == kind;
}

// The bound h of a mask `index n < h`.
static Value bound_of_mask(const Sched *s, const Inst *in, Axis n, Region body)
{
    if (in->op != OP_LT || !is_index(s, inst_arg(s->tile, in, 0), n)) return (Value){0};
    Value h = inst_arg(s->tile, in, 1);
    return value_axes(s->tile, h) && outside(s, h, body) ? h : (Value){0};
}

// Whether a lane has any index in the tile: begin < min(end, h).
static bool is_live(const Sched *s, const Inst *in, Axis n, Value h)
{
    if (in->op != OP_LT || !is_info(s, inst_arg(s->tile, in, 0), n, INFO_BEGIN)) return false;
    const Inst *end = value_def(s->tile, inst_arg(s->tile, in, 1));
    if (!end || end->op != OP_MIN) return false;
    Value a = inst_arg(s->tile, end, 0), b = inst_arg(s->tile, end, 1);
    return (is_info(s, a, n, INFO_END) && b.i == h.i) || (is_info(s, b, n, INFO_END) && a.i == h.i);
}

Value split_bound(const Sched *s, const Inst *loop)
{
    Axis n = {loop->attr.ref};
    Region body = inst_region(loop, 0);
    if ((loop->flags & INST_REVERSE) || axis_at(s->tile, n)->scalar) return (Value){0};
    for_each_inst(s->tile, body, id) {
        Value h = bound_of_mask(s, inst_at(s->tile, id), n, body);
        if (h.i) return h;
    }
    return (Value){0};
}

// The least value over the current tiles of an expression that does not fall along any axis. {0}:
// unknown.
Value split_least(Sched *s, Value v)
{
    if (!value_axes(s->tile, v)) return emit_value(s, v)[0];
    const Inst *in = value_def(s->tile, v);
    if (!in) return (Value){0};
    if (in->op == OP_INDEX)
        return s->axes[in->attr.ref].level < 0 ? s->axes[in->attr.ref].begin : (Value){0};
    bool rises = in->op == OP_ADD || in->op == OP_MIN || in->op == OP_MAX;
    bool shifts = in->op == OP_SUB && !value_axes(s->tile, inst_arg(s->tile, in, 1));
    if (!rises && !shifts) return (Value){0};
    Value a = split_least(s, inst_arg(s->tile, in, 0)),
          b = split_least(s, inst_arg(s->tile, in, 1));
    if (!a.i || !b.i) return (Value){0};
    Builder at = sched_at(s, s->top);
    return build_op2(&at, (Op)in->op, a, b);
}

void split_assume(Sched *s, const Inst *loop, Value h, bool all)
{
    Axis n = {loop->attr.ref};
    Region body = inst_region(loop, 0);
    Builder b = sched_at(s, 0);
    Value truth = all ? build_bits(&b, type_scalar(DTYPE_BOOL), 1) : (Value){0};
    for_each_inst(s->tile, body, id) {
        const Inst *in = inst_at(s->tile, id);
        bool mask = bound_of_mask(s, in, n, body).i == h.i;
        if (mask || is_live(s, in, n, h)) s->values[inst_result(in, 0).i].global = truth;
    }
}
