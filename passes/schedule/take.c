// Local values at other indices: reads of scratch that holds the value whole along the axes that
// are replaced.
//
//   take[j] (p{i, j}, index l)   ->   load p[i, l - begin of j]
//
// Lanes along the index are one vector load where the value lies along j, else a gather.
#include "passes/schedule/sched.h"

typedef struct Place {
    Value offset; // of all lanes, or of the first
    bool vector;  // all lanes
} Place;

static Axis open_lane(const Sched *s, AxisSet axes)
{
    for (unsigned a = 1; a < AXES_MAX; a++)
        if ((axes >> a & 1) && s->axes[a].level >= 0 && s->axes[a].lanes) return (Axis){a};
    return (Axis){0};
}

static Value first_lane(Builder *b, Value v)
{
    Type type = type_scalar(value_dtype(b->f, v));
    InstId id =
        build_inst(b, OP_EXTRACT,
                   (BuildSpec){.args = &v, .arg_count = 1, .results = &type, .result_count = 1});
    return inst_result(inst_at(b->f, id), 0);
}

static Value lane_steps(Builder *b, unsigned lanes, int64_t stride)
{
    return build_op2(b, OP_MUL, build_iota(b, DTYPE_I64, lanes), build_i64(b, stride));
}

static Place place_of(Sched *s, const Inst *in, const Slot *slot, AxisSet axes, unsigned instance,
                      Value base, int level)
{
    Axis lane = open_lane(s, axes);
    AxisSet bits = in->attr.bits, kept = slot->axes & ~bits;
    Place place = {slot_offset(s, slot, bits, axes, instance, base, level), false};
    unsigned next = 1, varying = 0;
    bool unit = false, along = lane.i && (kept & axis_bit(lane));
    for (AxisSet rest = bits; rest; rest &= rest - 1, next++) {
        unsigned a = (unsigned)__builtin_ctzll(rest);
        Value index = inst_arg(s->tile, in, next);
        AxisSet own = value_axes(s->tile, index);
        bool varies = lane.i && (own & axis_bit(lane));
        varying += varies;
        unit |= varies && slot->stride[a] == 1 && unit_lanes(s, index, lane);
    }
    bool consecutive = varying + along == 1 && (along ? slot->stride[lane.i] == 1 : unit);
    next = 1;
    for (AxisSet rest = bits; rest; rest &= rest - 1, next++) {
        unsigned a = (unsigned)__builtin_ctzll(rest);
        Value index = inst_arg(s->tile, in, next);
        Value v =
            emit_value(s, index)[instance_project(s, axes, instance, value_axes(s->tile, index))];
        Builder b = sched_at(s, level);
        v = build_cast(&b, v, DTYPE_I64);
        bool vector = value_type(s->f, v).lanes;
        if (vector && consecutive) v = first_lane(&b, v);
        place.vector |= vector && !consecutive;
        v = build_op2(&b, OP_SUB, v, s->axes[a].begin);
        v = build_op2(&b, OP_MUL, v, build_i64(&b, slot->stride[a]));
        place.offset = build_op2(&b, OP_ADD, place.offset, v);
    }
    if (!along || consecutive) return place;
    Builder b = sched_at(s, level);
    Value steps = lane_steps(&b, s->axes[lane.i].lanes, slot->stride[lane.i]);
    return (Place){build_op2(&b, OP_ADD, place.offset, steps), true};
}

void emit_take(Sched *s, const Inst *in, Value *out, int level, AxisSet axes)
{
    const Slot *slot = s->values[inst_arg(s->tile, in, 0).i].slot;
    Value base = slot_base(s, slot, in->attr.bits, level);
    // A value whose lanes are none of these: one element for all.
    AxisSet varying = slot->axes & ~in->attr.bits;
    for (unsigned k = 1; k < inst_plain_args(in); k++)
        varying |= value_axes(s->tile, inst_arg(s->tile, in, k));
    unsigned lanes = value_lanes(s, axes);
    for (unsigned i = 0; i < instances_of(s, axes); i++) {
        Place place = place_of(s, in, slot, axes, i, base, level);
        bool gathers = lanes && (place.vector || !value_lanes(s, varying));
        Value mask =
            (in->flags & INST_MASKED) || gathers ? access_mask(s, in, axes, i, level) : (Value){0};
        Builder b = sched_at(s, level);
        if (gathers && !value_type(s->f, place.offset).lanes)
            place.offset = build_op2(&b, OP_ADD, lane_steps(&b, lanes, 0), place.offset);
        mask = fit_mask(&b, mask, lanes);
        out[i] = build_load(&b, slot->mem, type_vector(slot->dtype, lanes), place.offset, mask);
    }
}
