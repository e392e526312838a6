// Local values at other indices: the value is evaluated over the whole tile along the axes that are
// replaced, then its elements are picked.
//
//   take[n] (x, i): x with i in place of n; 0 where the mask is false
#include "backends/interp/state.h"

// sum += (index - begin) * stride over the axes `set`; lanes whose index is outside are turned off.
static void add_index(Interp *it, const Box *box, const Box *whole, Value index, unsigned a,
                      int64_t stride, AxisSet set, uint64_t *sum, uint64_t *on)
{
    const uint64_t *at = value_spread(it, box, index, set);
    for (size_t i = 0, count = box_count(box, set); i < count; i++) {
        uint64_t relative = at[i] - (uint64_t)whole->lo[a];
        bool inside = relative < (uint64_t)whole->size[a];
        sum[i] += inside ? relative * (uint64_t)stride : 0;
        on[i] = on[i] && inside;
    }
}

// The same for an axis that stays.
static void add_lanes(Interp *it, const Box *box, unsigned a, int64_t stride, AxisSet set,
                      uint64_t *sum)
{
    size_t count = (size_t)box->size[a];
    uint64_t *steps = stack_words(&it->stack, count);
    for (size_t i = 0; i < count; i++) {
        steps[i] = i * (uint64_t)stride;
    }
    box_add_expanded(box, (AxisSet)1 << a, steps, set, sum);
}

static bool box_has(const Box *box, unsigned a)
{
    for (unsigned k = 0; k < box->count; k++) {
        if (box->order[k] == a) return true;
    }
    return false;
}

// The box with the whole tile along these axes, which may be none of its own.
static Box box_whole(const Interp *it, const Box *box, AxisSet axes)
{
    Box whole = *box;
    for (; axes; axes &= axes - 1) {
        unsigned a = (unsigned)__builtin_ctzll(axes);
        bool has = box_has(box, a);
        if (!has) whole.order[whole.count++] = (uint8_t)a;
        if (!has || whole.lo[a] != it->full.lo[a] || whole.size[a] != it->full.size[a])
            whole.memo = NULL;
        whole.lo[a] = it->full.lo[a];
        whole.size[a] = it->full.size[a];
    }
    return whole;
}

const uint64_t *take_compute(Interp *it, const Box *box, const Inst *in)
{
    Value v = inst_arg(it->f, in, 0), mask = inst_mask(it->f, in);
    AxisSet own = value_axes(it->f, v), set = value_axes(it->f, inst_result(in, 0));
    Box whole = box_whole(it, box, in->attr.bits);
    const uint64_t *value = value_fetch(it, &whole, v);
    size_t count = box_count(box, set);
    uint64_t *sum = stack_words(&it->stack, count), *on = stack_words(&it->stack, count);
    const uint64_t *given = mask.i ? value_spread(it, box, mask, set) : NULL;
    for (size_t i = 0; i < count; i++) {
        sum[i] = 0;
        on[i] = !given || given[i];
    }
    int64_t strides[AXES_MAX];
    box_strides(&whole, own, strides);
    unsigned next = 1;
    for (AxisSet rest = own; rest; rest &= rest - 1) {
        unsigned a = (unsigned)__builtin_ctzll(rest);
        if (in->attr.bits >> a & 1)
            add_index(it, box, &whole, inst_arg(it->f, in, next++), a, strides[a], set, sum, on);
        else
            add_lanes(it, box, a, strides[a], set, sum);
    }
    for (size_t i = 0; i < count; i++) {
        sum[i] = on[i] ? value[sum[i]] : 0; // each element replaces its place
    }
    return sum;
}
