// Values that depend on the lanes' index only through its upper bits, such as a generator of random
// numbers that makes four at a time: computed once for so many neighbours, then spread.
//
//   f(n >> 2), n in 4 vectors of 16   ->   c = f(n0 / 4 + iota); spread c from lane 0, 4, 8, 12
//
// It takes indices that begin at a multiple of the group, which is so where the range and its tiles
// do.
#include "passes/schedule/sched.h"

enum { SHIFT_MOST = 4, NO_LIMIT = 63, COST_MIN = 24, SHIFT_BITS = 8 };

static bool is_multiple(const Sched *s, Value v, unsigned shift, int depth)
{
    int64_t x, group = (int64_t)1 << shift;
    if (value_const_int(s->tile, v, &x)) return x % group == 0;
    const Inst *in = value_def(s->tile, v);
    if (!in || !depth) return false;
    bool product = in->op == OP_MUL;
    if (!product && in->op != OP_ADD && in->op != OP_SUB) return false;
    bool a = is_multiple(s, inst_arg(s->tile, in, 0), shift, depth - 1);
    if (a && product) return true;
    if (!a && !product) return false;
    return is_multiple(s, inst_arg(s->tile, in, 1), shift, depth - 1);
}

// v = the axis's index + something that lacks the axis and is a multiple of the group.
static bool is_index(const Sched *s, Value v, Axis a, unsigned shift)
{
    enum { DEPTH = 8 };
    const Inst *in = value_def(s->tile, v);
    if (!in) return false;
    if (in->op == OP_INDEX) return in->attr.ref == a.i;
    if (in->op == OP_CAST)
        return value_dtype(s->tile, v) == DTYPE_I64 &&
               is_index(s, inst_arg(s->tile, in, 0), a, shift);
    if (in->op != OP_ADD) return false;
    Value x = inst_arg(s->tile, in, 0), y = inst_arg(s->tile, in, 1);
    if (value_axes(s->tile, x) & value_axes(s->tile, y) & axis_bit(a)) return false;
    if (value_axes(s->tile, y) & axis_bit(a))
        return is_index(s, y, a, shift) && is_multiple(s, x, shift, DEPTH);
    return is_index(s, x, a, shift) && is_multiple(s, y, shift, DEPTH);
}

// How many low bits of the index v does not see.
static unsigned shift_of(Sched *s, Value v, Axis a)
{
    ValueState *state = &s->values[v.i];
    if (!(value_axes(s->tile, v) & axis_bit(a))) return NO_LIMIT;
    if (state->coarse_axis == a.i) return state->coarse;
    const Inst *in = value_def(s->tile, v);
    unsigned shift = 0;
    int64_t by;
    if (in && !is_boundary(s, v) && in->op == OP_SHR &&
        value_const_int(s->tile, inst_arg(s->tile, in, 1), &by) && by > 0 && by <= SHIFT_MOST &&
        is_index(s, inst_arg(s->tile, in, 0), a, (unsigned)by)) {
        shift = (unsigned)by;
    } else if (in && !is_boundary(s, v) && in->op >= OP_ADD && in->op <= OP_BITCAST) {
        shift = NO_LIMIT;
        for_each_arg(s->tile, in, k, arg) {
            unsigned own = shift_of(s, arg, a);
            if (own < shift) shift = own;
        }
    }
    state->coarse_axis = a.i;
    state->coarse = (uint8_t)shift;
    return shift;
}

static unsigned coarse_shift(Sched *s, Value v, Axis a)
{
    unsigned shift = shift_of(s, v, a);
    return shift <= SHIFT_MOST && value_cost(s, v) >= COST_MIN ? shift : 0;
}

static unsigned group_in(Sched *s, Value v, Axis a)
{
    ValueState *state = &s->values[v.i];
    const Inst *in = value_def(s->tile, v);
    if (state->mark == s->mark || !in || is_boundary(s, v) || in->region_count) return 1;
    state->mark = s->mark;
    unsigned most = 1u << coarse_shift(s, v, a);
    for_each_arg(s->tile, in, k, arg) {
        unsigned own = most > 1 ? 1 : group_in(s, arg, a);
        if (own > most) most = own;
    }
    return most;
}

unsigned coarse_group(Sched *s, Value v, Axis a)
{
    s->mark++;
    return group_in(s, v, a);
}

typedef struct Coarse {
    Axis axis;
    unsigned shift, count; // of vectors
    int level;
    Value **memo; // by tile value
} Coarse;

// The value at the first lane of the first instance.
static Value first_of(Sched *s, const Coarse *c, Value v)
{
    const Inst *in = value_def(s->tile, v);
    if (!(value_axes(s->tile, v) & axis_bit(c->axis))) return emit_value(s, v)[0];
    if (in->op == OP_INDEX) return s->axes[c->axis.i].base;
    Value x = first_of(s, c, inst_arg(s->tile, in, 0));
    Builder b = sched_at(s, c->level);
    if (in->op == OP_CAST) return build_cast(&b, x, DTYPE_I64);
    Value y = first_of(s, c, inst_arg(s->tile, in, 1));
    b = sched_at(s, c->level);
    return build_op2(&b, OP_ADD, x, y);
}

// index >> by, which is at least the group's shift.
static void emit_groups(Sched *s, const Coarse *c, Value index, int64_t by, Value *out)
{
    Value first = first_of(s, c, index);
    Builder b = sched_at(s, c->level);
    first = build_op2(&b, OP_SHR, build_cast(&b, first, DTYPE_I64), build_i64(&b, c->shift));
    for (unsigned k = 0; k < c->count; k++) {
        Value iota = build_iota(&b, DTYPE_I64, s->lanes);
        Value at = build_op2(&b, OP_ADD, first, build_i64(&b, (int64_t)k * s->lanes));
        at = build_op2(&b, OP_ADD, at, iota);
        out[k] = build_op2(&b, OP_SHR, at, build_i64(&b, by - c->shift));
    }
}

static Value *emit_coarse(Sched *s, const Coarse *c, Value v)
{
    if (c->memo[v.i]) return c->memo[v.i];
    Value *out = c->memo[v.i] = arena_array(s->arena, Value, c->count), *args[3] = {0};
    const Inst *in = value_def(s->tile, v);
    if (!(value_axes(s->tile, v) & axis_bit(c->axis))) {
        for (unsigned k = 0; k < c->count; k++) out[k] = emit_value(s, v)[0];
        return out;
    }
    int64_t by;
    if (in->op == OP_SHR && value_const_int(s->tile, inst_arg(s->tile, in, 1), &by) &&
        by >= c->shift && is_index(s, inst_arg(s->tile, in, 0), c->axis, c->shift)) {
        emit_groups(s, c, inst_arg(s->tile, in, 0), by, out);
        return out;
    }
    for (unsigned k = 0; k < in->arg_count; k++)
        args[k] = emit_coarse(s, c, inst_arg(s->tile, in, k));
    Builder b = sched_at(s, c->level);
    Type type = type_vector(value_dtype(s->tile, v), s->lanes);
    for (unsigned k = 0; k < c->count; k++) {
        Value operands[3] = {{0}};
        for (unsigned i = 0; i < in->arg_count; i++) operands[i] = args[i][k];
        out[k] = emit_elementwise(&b, in, operands, type);
    }
    return out;
}

static Axis lane_axis(const Sched *s, AxisSet axes)
{
    for (unsigned a = 1; a < AXES_MAX; a++)
        if ((axes >> a & 1) && s->axes[a].level >= 0 && s->axes[a].lanes) return (Axis){a};
    return (Axis){0};
}

static bool begins_at_multiple(const Sched *s, const AxisState *axis, unsigned shift)
{
    int64_t lo, group = (int64_t)1 << shift;
    return value_const_int(s->f, axis->lo, &lo) && lo % group == 0 && axis->block % group == 0 &&
           axis->first == 0;
}

bool emit_spread(Sched *s, Value v, AxisSet axes, unsigned count, Value *out, int level)
{
    Axis a = lane_axis(s, axes);
    if (!a.i || s->axes[a.i].lanes != s->lanes || s->lanes & (s->lanes - 1) ||
        s->axes[a.i].count != count)
        return false;
    unsigned shift = coarse_shift(s, v, a);
    if (!shift || 1u << shift > s->lanes || !begins_at_multiple(s, &s->axes[a.i], shift))
        return false;
    Coarse c = {.axis = a, .shift = shift, .level = level};
    c.count = (count + (1u << shift) - 1) >> shift;
    c.memo = arena_array(s->arena, Value *, s->tile->values.count);
    Value *groups = emit_coarse(s, &c, v);
    Builder b = sched_at(s, level);
    Type type = type_vector(value_dtype(s->tile, v), s->lanes);
    for (unsigned k = 0; k < count; k++) {
        unsigned first = k * s->lanes >> shift;
        uint64_t from = first % s->lanes * SHIFT_BITS + shift;
        out[k] = inst_result(inst_at(s->f, build_inst(&b, OP_SPREAD,
                                                      (BuildSpec){.args = &groups[first / s->lanes],
                                                                  .arg_count = 1,
                                                                  .results = &type,
                                                                  .result_count = 1,
                                                                  .attr = {.bits = from}})),
                             0);
    }
    return true;
}
