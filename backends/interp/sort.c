// Sorting along an axis, line by line: a stable merge sort of indices. And searching in what is
// sorted.
//
//   sort[n] n: x = 3 NaN 1 -> values 1 3 NaN, indices 2 0 1
#include "backends/interp/state.h"

typedef struct Line {
    const uint64_t *x;
    DType type;
    bool descending;
    int64_t step; // from one element to the next
    int64_t *order, *room;
    int64_t count;
} Line;

// A NaN is above all numbers and equal to itself; -0 equals 0.
static bool is_below(DType t, uint64_t a, uint64_t b)
{
    if (!dtype_is_float(t)) return (int64_t)a < (int64_t)b;
    double x = scalar_to_double(t, a), y = scalar_to_double(t, b);
    return x != x ? false : y != y ? true : x < y;
}

static bool goes_first(const Line *line, int64_t a, int64_t b)
{
    uint64_t x = line->x[a * line->step], y = line->x[b * line->step];
    return line->descending ? is_below(line->type, y, x) : is_below(line->type, x, y);
}

static void merge(const Line *line, int64_t lo, int64_t middle, int64_t hi)
{
    int64_t a = lo, b = middle;
    for (int64_t k = lo; k < hi; k++) {
        bool left = a < middle && (b >= hi || !goes_first(line, line->order[b], line->order[a]));
        line->room[k] = line->order[left ? a++ : b++];
    }
    memcpy(line->order + lo, line->room + lo, (size_t)(hi - lo) * sizeof *line->order);
}

static int64_t min64(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

// Leaves the places of the elements that take part in line->order, sorted.
static void line_sort(Line *line, const uint64_t *mask, int64_t size)
{
    line->count = 0;
    for (int64_t i = 0; i < size; i++)
        if (!mask || mask[i * line->step]) line->order[line->count++] = i;
    for (int64_t width = 1; width < line->count; width *= 2)
        for (int64_t lo = 0; lo + width < line->count; lo += 2 * width)
            merge(line, lo, lo + width, min64(lo + 2 * width, line->count));
}

typedef struct Target {
    uint64_t *values, *indices;
    int64_t step, size; // along the axis of the results
} Target;

static void put(const Line *line, const Target *to, int64_t at, int64_t place, int64_t first)
{
    to->values[at * to->step] = line->x[place * line->step];
    to->indices[at * to->step] = (uint64_t)(first + place);
}

// Sorted within the places that take part; or the first of the order and what stands for none.
static void line_put(const Line *line, const Target *to, bool same, const uint64_t *mask,
                     int64_t first)
{
    uint64_t none = reduce_identity(line->descending ? REDUCE_MAX : REDUCE_MIN, line->type);
    int64_t next = 0;
    for (int64_t i = 0; i < to->size; i++) {
        bool takes = same ? !mask || mask[i * line->step] : i < line->count;
        if (takes) {
            put(line, to, i, line->order[next++], first);
            continue;
        }
        to->values[i * to->step] = none;
        to->indices[i * to->step] = (uint64_t)-1;
    }
}

void sort_exec(Interp *it, const Inst *in)
{
    const Func *f = it->f;
    const Box *box = &it->full;
    unsigned n = (unsigned)__builtin_ctzll(in->attr.bits), j = in->attr.ref;
    Value own = inst_mask(f, in), value = inst_arg(f, in, 0);
    AxisSet to_set = value_axes(f, inst_result(in, 0));
    AxisSet from_set = (to_set & ~((AxisSet)1 << j)) | in->attr.bits;
    const uint64_t *x = value_force(it, value, from_set);
    const uint64_t *mask = own.i ? value_force(it, own, from_set) : NULL;
    int64_t from[AXES_MAX], steps[AXES_MAX], size = box->size[n];
    size_t count = box_count(box, to_set);
    box_strides(box, from_set, from);
    box_strides(box, to_set, steps);
    uint64_t *values = stack_words(&it->stack, count), *indices = stack_words(&it->stack, count);
    Line line = {.type = value_dtype(f, value), .descending = in->flags & INST_REVERSE};
    line.step = from[n];
    line.order = (int64_t *)stack_words(&it->stack, (size_t)size);
    line.room = (int64_t *)stack_words(&it->stack, (size_t)size);
    for (size_t i = 0; i < count; i++) {
        if ((int64_t)i / steps[j] % box->size[j] != 0) continue;
        int64_t at = 0;
        for (AxisSet rest = to_set & from_set & ~in->attr.bits; rest; rest &= rest - 1) {
            unsigned a = (unsigned)__builtin_ctzll(rest);
            at += (int64_t)i / steps[a] % box->size[a] * from[a];
        }
        line.x = x + at;
        line_sort(&line, mask ? mask + at : NULL, size);
        Target to = {values + i, indices + i, steps[j], box->size[j]};
        line_put(&line, &to, n == j, mask ? mask + at : NULL, box->lo[n]);
    }
    it->values[inst_result(in, 0).i] = values;
    it->values[inst_result(in, 1).i] = indices;
}

static bool is_less(DType t, uint64_t a, uint64_t b)
{
    if (!dtype_is_float(t)) return (int64_t)a < (int64_t)b;
    return scalar_to_double(t, a) < scalar_to_double(t, b);
}

// By halves, as all targets do it: so they agree even where the values do not ascend.
void search_exec(Interp *it, const Inst *in)
{
    const Func *f = it->f;
    const Box *box = &it->full;
    unsigned n = in->attr.ref;
    Value value = inst_arg(f, in, 0), result = inst_result(in, 0);
    AxisSet left = value_axes(f, result), own = left | axis_bit((Axis){n});
    DType t = value_dtype(f, value);
    const uint64_t *operands[4];
    for (unsigned k = 0; k < 4; k++)
        operands[k] = value_force(it, inst_arg(f, in, k), k ? left : own);
    int64_t from[AXES_MAX], steps[AXES_MAX];
    size_t count = box_count(box, left);
    box_strides(box, own, from);
    box_strides(box, left, steps);
    uint64_t *out = stack_words(&it->stack, count);
    for (size_t i = 0; i < count; i++) {
        int64_t at = 0, lo = (int64_t)operands[2][i], hi = (int64_t)operands[3][i];
        for (AxisSet rest = left; rest; rest &= rest - 1) {
            unsigned a = (unsigned)__builtin_ctzll(rest);
            at += (int64_t)i / steps[a] % box->size[a] * from[a];
        }
        while (lo < hi) {
            int64_t middle = lo + (hi - lo) / 2;
            uint64_t v = operands[0][at + (middle - box->lo[n]) * from[n]];
            if (is_less(t, v, operands[1][i]))
                lo = middle + 1;
            else
                hi = middle;
        }
        out[i] = (uint64_t)lo;
    }
    it->values[result.i] = out;
}
