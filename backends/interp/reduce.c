// Reductions: floats accumulate in f64 and are rounded once, integers wrap. The value is evaluated
// in chunks of the reduced axes, which lie outermost, so that a contraction never stores its
// product:
//
//   reduce.sum[k] over {m,n}: for each chunk of k: sums[m, n] += value[k, m, n]
#include "backends/interp/state.h"

#include <math.h>

typedef struct Reduction {
    ReduceKind kind;
    DType type;     // of the value
    size_t row;     // elements of the result
    uint64_t *sums; // [row]: f64 for floats, else of `type`; best values for argmax, argmin
    int64_t *where; // [row]: index of the best value, -1 if there is none; else NULL
} Reduction;

static double f32_of(uint64_t bits)
{
    uint32_t low = (uint32_t)bits;
    float x;
    memcpy(&x, &low, sizeof x);
    return (double)x;
}

static double f64_of(uint64_t bits)
{
    double x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

static uint64_t f64_bits(double x)
{
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

// Runs `combine` (of `sums[i]` and `value[i]`) over one row for each index of the reduced axes.
#define EACH_ROW(combine)                                                                          \
    for (size_t r = 0; r < rows; r++, value += red->row, mask = mask ? mask + red->row : NULL) {   \
        for (size_t i = 0; i < red->row; i++) {                                                    \
            if (!mask || mask[i]) combine;                                                         \
        }                                                                                          \
    }                                                                                              \
    return

// NaN stays, and 0 is above -0.
static bool float_above(double a, double b)
{
    return a > b || a != a || (a == b && signbit(b));
}

static void rows_float(const Reduction *red, const uint64_t *value, const uint64_t *mask,
                       size_t rows)
{
    bool narrow = red->type == DTYPE_F32;
    uint64_t *sums = red->sums;
#define SUM f64_of(sums[i])
#define X   (narrow ? f32_of(value[i]) : f64_of(value[i]))
    switch (red->kind) {
    case REDUCE_SUM: EACH_ROW(sums[i] = f64_bits(SUM + X));
    case REDUCE_PROD: EACH_ROW(sums[i] = f64_bits(SUM * X));
    case REDUCE_MAX: EACH_ROW(sums[i] = float_above(X, SUM) ? f64_bits(X) : sums[i]);
    case REDUCE_MIN: EACH_ROW(sums[i] = float_above(-X, -SUM) ? f64_bits(X) : sums[i]);
    case REDUCE_ANY:
    case REDUCE_ALL:
    case REDUCE_ARGMAX:
    case REDUCE_ARGMIN:
    case REDUCE_AND:
    case REDUCE_OR:
    case REDUCE_XOR:
    case REDUCE_COUNT: return; // not of floats
    }
#undef SUM
#undef X
}

// Integers and bool. Sums and products are taken modulo 2^64; reduction_end cuts them to their
// width.
static void rows_int(const Reduction *red, const uint64_t *value, const uint64_t *mask, size_t rows)
{
    uint64_t *sums = red->sums;
    switch (red->kind) {
    case REDUCE_SUM: EACH_ROW(sums[i] += value[i]);
    case REDUCE_PROD: EACH_ROW(sums[i] *= value[i]);
    case REDUCE_MAX: EACH_ROW(sums[i] = (int64_t)value[i] > (int64_t)sums[i] ? value[i] : sums[i]);
    case REDUCE_MIN: EACH_ROW(sums[i] = (int64_t)value[i] < (int64_t)sums[i] ? value[i] : sums[i]);
    case REDUCE_ANY:
    case REDUCE_OR: EACH_ROW(sums[i] |= value[i]);
    case REDUCE_ALL:
    case REDUCE_AND: EACH_ROW(sums[i] &= value[i]);
    case REDUCE_XOR: EACH_ROW(sums[i] ^= value[i]);
    case REDUCE_ARGMAX:
    case REDUCE_ARGMIN:
    case REDUCE_COUNT: return; // rows_arg
    }
}

// Whether a beats b: strictly, so that the smallest index wins; a NaN beats all but another NaN.
static bool arg_beats(ReduceKind kind, DType t, uint64_t a, uint64_t b)
{
    if (dtype_is_float(t)) {
        double x = scalar_to_double(t, a), y = scalar_to_double(t, b);
        if (x != x || y != y) return x != x && y == y;
        return kind == REDUCE_ARGMAX ? x > y : x < y;
    }
    return kind == REDUCE_ARGMAX ? (int64_t)a > (int64_t)b : (int64_t)a < (int64_t)b;
}

static void rows_arg(Reduction *red, const uint64_t *value, const uint64_t *mask, size_t rows,
                     int64_t lo)
{
    for (size_t r = 0; r < rows; r++) {
        for (size_t i = 0; i < red->row; i++) {
            size_t at = r * red->row + i;
            if (mask && !mask[at]) continue;
            if (red->where[i] >= 0 && !arg_beats(red->kind, red->type, value[at], red->sums[i]))
                continue;
            red->sums[i] = value[at];
            red->where[i] = lo + (int64_t)r;
        }
    }
}

// sums += a * b, each read in its own layout: what a sum of products does, without spreading the
// factors.
typedef struct Products {
    unsigned rank;
    int64_t size[AXES_MAX], a[AXES_MAX], b[AXES_MAX], sum[AXES_MAX]; // strides, outermost first
} Products;

static void products_line(uint64_t *sums, const uint64_t *a, const uint64_t *b, int64_t size,
                          int64_t sum_step, int64_t a_step, int64_t b_step)
{
    if (sum_step == 0) {
        double sum = f64_of(*sums);
        for (int64_t i = 0; i < size; i++) {
            sum += (double)((float)f32_of(a[i * a_step]) * (float)f32_of(b[i * b_step]));
        }
        *sums = f64_bits(sum);
        return;
    }
    for (int64_t i = 0; i < size; i++) {
        float product = (float)f32_of(a[i * a_step]) * (float)f32_of(b[i * b_step]);
        sums[i * sum_step] = f64_bits(f64_of(sums[i * sum_step]) + (double)product);
    }
}

static void products_add(const Products *p, unsigned k, uint64_t *sums, const uint64_t *a,
                         const uint64_t *b)
{
    if (k + 1 == p->rank) {
        products_line(sums, a, b, p->size[k], p->sum[k], p->a[k], p->b[k]);
        return;
    }
    for (int64_t i = 0; i < p->size[k]; i++) {
        products_add(p, k + 1, sums + i * p->sum[k], a + i * p->a[k], b + i * p->b[k]);
    }
}

static void product_combine(Interp *it, Reduction *red, const Box *box, AxisSet over,
                            AxisSet result, const Inst *product)
{
    Value a = inst_arg(it->f, product, 0), b = inst_arg(it->f, product, 1);
    int64_t a_strides[AXES_MAX], b_strides[AXES_MAX], sum_strides[AXES_MAX];
    box_strides(box, value_axes(it->f, a), a_strides);
    box_strides(box, value_axes(it->f, b), b_strides);
    box_strides(box, result, sum_strides);
    Products p;
    p.rank = 0;
    for (unsigned k = 0; k < box->count; k++) {
        unsigned axis = box->order[k];
        if (!((over | result) >> axis & 1) || (box->size[axis] == 1 && k + 1 < box->count))
            continue;
        p.size[p.rank] = box->size[axis];
        p.a[p.rank] = a_strides[axis];
        p.b[p.rank] = b_strides[axis];
        p.sum[p.rank++] = sum_strides[axis];
    }
    if (p.rank == 0) { // every axis has one index
        p.size[0] = 1;
        p.a[0] = p.b[0] = p.sum[0] = 0;
        p.rank = 1;
    }
    products_add(&p, 0, red->sums, value_fetch(it, box, a), value_fetch(it, box, b));
}

// The product of f32 that a plain sum reduces and that is not stored, else NULL.
static const Inst *reduce_product(const Interp *it, const Inst *in, const Reduction *red)
{
    Value v = inst_arg(it->f, in, 0);
    const Inst *def = value_def(it->f, v);
    bool plain = red->kind == REDUCE_SUM && red->type == DTYPE_F32 && !(in->flags & INST_MASKED);
    return plain && !it->values[v.i] && def->op == OP_MUL ? def : NULL;
}

static void reduction_begin(Interp *it, Reduction *red)
{
    bool arg = red->kind == REDUCE_ARGMAX || red->kind == REDUCE_ARGMIN;
    uint64_t identity =
        arg ? 0 : reduce_identity(red->kind, dtype_is_float(red->type) ? DTYPE_F64 : red->type);
    red->sums = stack_words(&it->stack, red->row);
    red->where = arg ? (int64_t *)stack_words(&it->stack, red->row) : NULL;
    for (size_t i = 0; i < red->row; i++) {
        red->sums[i] = identity;
        if (arg) {
            red->where[i] = -1;
        }
    }
}

static const uint64_t *reduction_end(Reduction *red)
{
    if (red->where) return (const uint64_t *)red->where;
    bool narrow = red->type == DTYPE_F32, whole = dtype_is_int(red->type);
    for (size_t i = 0; i < red->row && (narrow || whole); i++) {
        red->sums[i] = narrow ? scalar_from_double(red->type, f64_of(red->sums[i]))
                              : scalar_from_int(red->type, (int64_t)red->sums[i]);
    }
    return red->sums;
}

void reduce_box(const Interp *it, const Box *box, AxisSet over, AxisSet result, Box *inner)
{
    inner->count = 0;
    inner->memo = NULL;
    for (unsigned k = 0; k < it->full.count; k++) {
        unsigned a = it->full.order[k];
        if (!(over >> a & 1)) continue;
        inner->order[inner->count++] = (uint8_t)a;
        inner->lo[a] = it->full.lo[a];
        inner->size[a] = it->full.size[a];
    }
    for (unsigned k = 0; k < box->count; k++) {
        unsigned a = box->order[k];
        if (!(result >> a & 1)) continue;
        inner->order[inner->count++] = (uint8_t)a;
        inner->lo[a] = box->lo[a];
        inner->size[a] = box->size[a];
    }
}

const uint64_t *reduce_compute(Interp *it, const Box *box, const Inst *in)
{
    AxisSet over = in->attr.bits, result = value_axes(it->f, inst_result(in, 0));
    Value value = inst_arg(it->f, in, 0), mask = inst_mask(it->f, in);
    Box all;
    reduce_box(it, box, over, result, &all);
    Reduction red = {.kind = (ReduceKind)in->attr.kind,
                     .type = value_dtype(it->f, value),
                     .row = box_count(&all, result)};
    reduction_begin(it, &red);
    const Inst *product = reduce_product(it, in, &red);
    int64_t elements = red.row < CHUNK_MAX ? CHUNK_MAX / (int64_t)(red.row ? red.row : 1) : 1;
    Chunks chunks;
    for (bool more = red.row && chunks_first(&chunks, &all, over, elements); more;
         more = chunks_next(&chunks)) {
        StackMark mark = stack_mark(&it->stack);
        chunks.box.memo = box_memo(it);
        if (product) {
            product_combine(it, &red, &chunks.box, over, result, product);
        } else {
            const uint64_t *x = value_spread(it, &chunks.box, value, over | result);
            const uint64_t *m = mask.i ? value_spread(it, &chunks.box, mask, over | result) : NULL;
            size_t rows = box_count(&chunks.box, over);
            if (red.where) {
                rows_arg(&red, x, m, rows, chunks.box.lo[__builtin_ctzll(over)]);
            } else {
                (dtype_is_float(red.type) ? rows_float : rows_int)(&red, x, m, rows);
            }
        }
        stack_release(&it->stack, mark);
        if (it->trapped) break;
    }
    return reduction_end(&red);
}
