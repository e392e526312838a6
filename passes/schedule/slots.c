// Scratch for tile values: layout, addresses, loads and stores. A slot covers the whole tile along
// its own axes, but for those that its producer and consumers share as an open loop: there only the
// instances.
#include "passes/schedule/sched.h"

static int64_t round_up(int64_t x, int64_t to)
{
    return (x + to - 1) / to * to;
}

static int64_t slot_extent(const Sched *s, const Slot *slot, unsigned a)
{
    if (slot->shared >> a & 1)
        return slot->stride[a]; // keep_place left the number of instances here
    int64_t size = s->axes[a].size_max;
    return size < 1 ? 1 : size;
}

Mem scratch_new(Sched *s, DType dtype, int64_t elements)
{
    Buf name = {.arena = s->arena};
    buf_printf(&name, "s%u", s->f->mems.count);
    Mem mem = func_mem(
        s->f, (MemInfo){.name = buf_view(&name), .dtype = dtype, .kind = MEM_SCRATCH, .rank = 1});
    RegionInfo *body = region_at(s->f, s->f->body);
    InstId first = body->first;
    Builder b = {s->f, s->f->body, first, {0}};
    InstId decl =
        build_inst(&b, OP_SCRATCH, (BuildSpec){.attr = {.bits = (uint64_t)elements, .ref = mem.i}});
    mem_at(s->f, mem)->decl = decl;
    return mem;
}

static void lacks_size(Sched *s, Axis a)
{
    const AxisInfo *axis = axis_at(s->tile, a);
    if (!s->failed && !ask_for_bound(s, a)) {
        Diag *diag = diag_add(s->context->diags, DIAG_NOT_SUPPORTED, axis->span,
                              "a value over axis '%.*s', whose size is not known when compiling, "
                              "must be kept",
                              STR_ARG(axis->name));
        diag_hint(s->context->diags, diag,
                  "use a `tile` loop over it, bound the range by a dimension, or make its size a "
                  "constant: `<N: i64 = 64>` and -D instead of an argument");
    }
    s->failed = true;
}

void slot_place(Sched *s, Slot *slot, Axis inner)
{
    int64_t lanes = s->lanes > 1 ? s->lanes : 1, next = 1;
    unsigned count = inner.i ? group_count(s, inner, (unsigned)lanes, ~(AxisSet)0) : 0;
    int64_t extents[AXES_MAX] = {0};
    for (unsigned a = 1; a < AXES_MAX; a++)
        if (slot->axes >> a & 1) {
            extents[a] = slot_extent(s, slot, a);
            if (s->axes[a].size_max < 0 && !(slot->shared >> a & 1)) lacks_size(s, (Axis){a});
        }
    slot->inner = inner;
    slot->whole = count ? count * lanes : lanes;
    if (slot->panel_axis.i) {
        unsigned p = slot->panel_axis.i;
        next = slot->panel; // of groups: [k / group][lane][group], so a group is a step of its size
        for (unsigned a = AXES_MAX - 1; a > 0; a--) {
            if (!(slot->axes >> a & 1) || a == p) continue;
            slot->stride[a] = next;
            next *= slot->group ? round_up(extents[a], slot->depth) : extents[a];
        }
        slot->panel_stride = next;
        slot->stride[p] = slot->group ? slot->group : 1;
        next *= round_up(extents[p], slot->panel) / slot->panel;
    } else {
        if (inner.i) {
            slot->stride[inner.i] = 1;
            next = round_up(extents[inner.i], slot->whole) + slot->pad;
        }
        for (unsigned a = AXES_MAX - 1; a > 0; a--) {
            if (!(slot->axes >> a & 1) || a == inner.i) continue;
            slot->stride[a] = next;
            next *= extents[a];
            if (slot->stride[a] == 1) next = round_up(next, slot->whole);
        }
    }
    if (next > ((int64_t)1 << 30)) s->failed = true;
    slot->mem = scratch_new(s, slot->dtype, next + slot->whole);
    slot->placed = true;
}

// Relative index of the first instance that the loop binds, along a non-shared axis.
static Value relative(Sched *s, unsigned a, int level)
{
    const AxisState *axis = &s->axes[a];
    Builder b = sched_at(s, level);
    if (axis->level < 0) return build_i64(&b, 0);
    Value index = build_op2(&b, OP_SUB, axis->base, axis->begin);
    int64_t first = (int64_t)axis->first * (axis->lanes ? axis->lanes : 1);
    return build_op2(&b, OP_SUB, index, build_i64(&b, first));
}

static Value panel_offset(Sched *s, const Slot *slot, Value index, int level)
{
    Builder b = sched_at(s, level);
    Value panel = build_op2(&b, OP_DIV, index, build_i64(&b, slot->panel));
    Value within = build_op2(&b, OP_REM, index, build_i64(&b, slot->panel));
    within = build_op2(&b, OP_MUL, within, build_i64(&b, slot->stride[slot->panel_axis.i]));
    panel = build_op2(&b, OP_MUL, panel, build_i64(&b, slot->panel_stride));
    return build_op2(&b, OP_ADD, panel, within);
}

// Whether the instances bound now may lie in several panels, or not at the beginning of one: then
// each finds its own.
static bool crosses_panels(const Sched *s, const Slot *slot, unsigned a)
{
    if (a != slot->panel_axis.i || (slot->shared >> a & 1) || s->axes[a].level < 0) return false;
    return s->axes[a].step != slot->panel;
}

Value slot_base(Sched *s, const Slot *slot, AxisSet skip, int level)
{
    AxisSet axes = slot->axes & ~slot->shared & ~skip;
    Value sum = {0};
    for (int at = 0; at <= level; at++)
        for (unsigned a = 1; a < AXES_MAX; a++) {
            if (!(axes >> a & 1) || s->axes[a].level != at) continue;
            Value v = relative(s, a, at);
            Builder b = sched_at(s, at);
            if (crosses_panels(s, slot, a)) continue;
            int64_t scale =
                a == slot->panel_axis.i ? slot->panel_stride / slot->panel : slot->stride[a];
            v = build_op2(&b, OP_MUL, v, build_i64(&b, scale));
            b = sched_at(s, at);
            sum = sum.i ? build_op2(&b, OP_ADD, sum, v) : v;
        }
    Builder b = sched_at(s, level);
    return sum.i ? sum : build_i64(&b, 0);
}

// Offset of one instance, or of its first lane.
Value slot_offset(Sched *s, const Slot *slot, AxisSet skip, AxisSet axes, unsigned index,
                  Value base, int level)
{
    int64_t constant = 0;
    Value offset = base;
    for (unsigned a = 1; a < AXES_MAX; a++) {
        if (!((slot->axes & ~skip) >> a & 1) || s->axes[a].level < 0) continue;
        int64_t step = ((int64_t)s->axes[a].first + instance_of_axis(s, axes, index, (Axis){a})) *
                       (s->axes[a].lanes ? s->axes[a].lanes : 1);
        Builder b = sched_at(s, level);
        if (!crosses_panels(s, slot, a)) { // the first instance begins a panel, the last may not
            bool panels = a == slot->panel_axis.i && !(slot->shared >> a & 1);
            int64_t within = step % (panels ? slot->panel : INT64_MAX) * slot->stride[a];
            constant += within + (panels ? step / slot->panel * slot->panel_stride : 0);
            continue;
        }
        Value at = build_op2(&b, OP_ADD, relative(s, a, level), build_i64(&b, step));
        at = panel_offset(s, slot, at, level);
        b = sched_at(s, level);
        offset = build_op2(&b, OP_ADD, offset, at);
    }
    Builder b = sched_at(s, level);
    return build_op2(&b, OP_ADD, offset, build_i64(&b, constant));
}

Value slot_row(Sched *s, const Slot *slot, AxisSet axes, unsigned index)
{
    return slot_offset(s, slot, 0, axes, index, slot_base(s, slot, 0, s->top), s->top);
}

static Value lane_steps(Sched *s, const Slot *slot, AxisSet axes, Value offset, int level)
{
    for (unsigned a = 1; a < AXES_MAX; a++) {
        if (!(slot->axes & axes) || !(slot->axes >> a & 1) || s->axes[a].level < 0 ||
            !s->axes[a].lanes)
            continue;
        if (slot->stride[a] == 1) return (Value){0};
        Builder b = sched_at(s, level);
        Value iota = build_iota(&b, DTYPE_I64, s->axes[a].lanes);
        return build_op2(&b, OP_ADD, build_op2(&b, OP_MUL, iota, build_i64(&b, slot->stride[a])),
                         offset);
    }
    return (Value){0};
}

// Padding lets whole vectors be moved at the end of the innermost axis; elsewhere tails are masked.
// Loops that are dealt to a group have no tails of their own, so that of several vectors the last
// may begin after the line.
static Value slot_mask(const Sched *s, const Slot *slot, AxisSet axes, unsigned index,
                       bool consecutive)
{
    bool fits = true;
    for (unsigned a = 1; a < AXES_MAX && group_shares(s); a++) {
        if (!((axes & slot->axes) >> a & 1) || s->axes[a].level < 0 || !s->axes[a].lanes) continue;
        fits = instance_of_axis(s, axes, index, (Axis){a}) == 0 ||
               slot->whole % ((int64_t)s->axes[a].count * s->axes[a].lanes) == 0;
    }
    return consecutive && fits ? (Value){0} : tail_mask(s, axes, index);
}

void slot_load(Sched *s, const Slot *slot, AxisSet axes, int level, Value *out)
{
    Value base = slot_base(s, slot, 0, level);
    unsigned lanes = value_lanes(s, slot->axes & axes);
    for (unsigned i = 0; i < instances_of(s, axes); i++) {
        Value offset = slot_offset(s, slot, 0, axes, i, base, level);
        Value offsets = lanes ? lane_steps(s, slot, axes, offset, level) : (Value){0};
        Value mask = lanes ? slot_mask(s, slot, axes, i, !offsets.i) : (Value){0};
        Type type = type_vector(slot->dtype, lanes);
        Builder b = sched_at(s, level);
        out[i] = build_load(&b, slot->mem, type, offsets.i ? offsets : offset, mask);
    }
}

// `in` holds the instances over `axes`; the slot may have more axes, over which they are repeated.
void slot_store(Sched *s, const Slot *slot, AxisSet axes, const Value *in)
{
    int level = s->top;
    Value base = slot_base(s, slot, 0, level);
    unsigned lanes = value_lanes(s, slot->axes);
    for (unsigned i = 0; i < instances_of(s, slot->axes); i++) {
        Builder b = sched_at(s, level);
        Value v = in[instance_project(s, slot->axes, i, axes)];
        if (lanes && !value_type(s->f, v).lanes) {
            Type type = type_vector(value_dtype(s->f, v), lanes);
            v = inst_result(inst_at(s->f, build_inst(&b, OP_SPLAT,
                                                     (BuildSpec){.args = &v,
                                                                 .arg_count = 1,
                                                                 .results = &type,
                                                                 .result_count = 1})),
                            0);
        }
        Value offset = slot_offset(s, slot, 0, slot->axes, i, base, level);
        Value offsets = lanes ? lane_steps(s, slot, slot->axes, offset, level) : (Value){0};
        Value mask = lanes ? slot_mask(s, slot, slot->axes, i, !offsets.i) : (Value){0};
        b = sched_at(s, level);
        Value args[3] = {v, offsets.i ? offsets : offset, mask};
        build_inst(&b, offsets.i ? OP_SCATTER : OP_STORE,
                   (BuildSpec){.args = args,
                               .arg_count = mask.i ? 3 : 2,
                               .attr = {.ref = slot->mem.i},
                               .flags = mask.i ? INST_MASKED : 0});
    }
}
