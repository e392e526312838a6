// Scans: running combinations along one whole axis, floats in f64 and rounded where they are given
// out.
//
//   scan.sum[n] (x): y[n] = x[0] + ... + x[n]; exclusive: without x[n]; reverse: from the end
#include "backends/interp/state.h"

#include <math.h>

typedef union Running { // of floats, of integers
    double real;
    uint64_t bits;
} Running;

static Running combine(ReduceKind kind, DType t, Running a, uint64_t bits)
{
    if (!dtype_is_float(t)) return (Running){.bits = reduce_combine(kind, t, a.bits, bits)};
    double x = scalar_to_double(t, bits);
    if (kind == REDUCE_SUM) return (Running){.real = a.real + x};
    if (kind == REDUCE_PROD) return (Running){.real = a.real * x};
    bool takes = isnan(x) || (kind == REDUCE_MAX ? x > a.real : x < a.real);
    return (Running){.real = takes && !isnan(a.real) ? x : a.real};
}

static Running start(ReduceKind kind, DType t)
{
    uint64_t identity = reduce_identity(kind, t);
    if (!dtype_is_float(t)) return (Running){.bits = identity};
    return (Running){.real = scalar_to_double(t, identity)};
}

static uint64_t give_out(DType t, Running a)
{
    return dtype_is_float(t) ? scalar_from_double(t, a.real) : a.bits;
}

// One line of `size` elements, `step` apart, from `at` on (backwards: from the last).
static void scan_line(const Inst *in, DType t, const uint64_t *value, const uint64_t *mask,
                      uint64_t *result, size_t at, int64_t step, int64_t size)
{
    ReduceKind kind = (ReduceKind)in->attr.kind;
    Running acc = start(kind, t);
    for (int64_t k = 0; k < size; k++) {
        int64_t place = (in->flags & INST_REVERSE) ? size - 1 - k : k;
        size_t i = at + (size_t)(place * step);
        Running next = mask && !mask[i] ? acc : combine(kind, t, acc, value[i]);
        result[i] = give_out(t, (in->flags & INST_EXCLUSIVE) ? acc : next);
        acc = next;
    }
}

// The elements of `box` out of those over `whole`, which differs from it along axis a only.
static const uint64_t *cut(Interp *it, const Box *whole, const Box *box, AxisSet set, unsigned a,
                           const uint64_t *data)
{
    if (whole->size[a] == box->size[a]) return data;
    int64_t from[AXES_MAX], to[AXES_MAX];
    size_t count = box_count(box, set);
    uint64_t *result = stack_words(&it->stack, count);
    box_strides(whole, set, from);
    box_strides(box, set, to);
    for (size_t i = 0; i < count; i++) {
        int64_t at = (box->lo[a] - whole->lo[a]) * from[a];
        for (unsigned x = 1; x < AXES_MAX; x++) {
            if (set >> x & 1) at += (int64_t)i / to[x] % box->size[x] * from[x];
        }
        result[i] = data[at];
    }
    return result;
}

const uint64_t *scan_compute(Interp *it, const Box *box, const Inst *in)
{
    unsigned a = (unsigned)__builtin_ctzll(in->attr.bits);
    AxisSet set = value_axes(it->f, inst_result(in, 0));
    DType t = value_dtype(it->f, inst_result(in, 0));
    Value mask = inst_mask(it->f, in);
    Box whole = *box;
    whole.lo[a] = it->full.lo[a];
    whole.size[a] = it->full.size[a];
    if (whole.size[a] != box->size[a]) whole.memo = NULL;
    size_t count = box_count(&whole, set);
    const uint64_t *value = value_spread(it, &whole, inst_arg(it->f, in, 0), set);
    const uint64_t *lanes = mask.i ? value_spread(it, &whole, mask, set) : NULL;
    uint64_t *result = stack_words(&it->stack, count);
    int64_t strides[AXES_MAX];
    box_strides(&whole, set, strides);
    for (size_t i = 0; i < count; i++) {
        if ((int64_t)i / strides[a] % whole.size[a] != 0) continue;
        scan_line(in, t, value, lanes, result, i, strides[a], whole.size[a]);
    }
    return cut(it, &whole, box, set, a, result);
}
