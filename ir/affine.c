// Sums of products of axes and symbols; see affine.h.
#include "ir/affine.h"

// A budget, not a depth: x + x repeated doubles the tree at each level.
enum { ALIKE_DEPTH = 8, DECODE_BUDGET = 2000 };

// ---- equality of values

static bool alike(const Func *f, Value a, Value b, unsigned depth)
{
    if (a.i == b.i) return true;
    const Inst *x = value_def(f, a), *y = value_def(f, b);
    if (!x || !y || depth == 0 || x->op != y->op || x->arg_count != y->arg_count) return false;
    if (!(op_info[x->op].traits & TRAIT_PURE) || x->flags != y->flags) return false;
    if (!type_equal(value_type(f, a), value_type(f, b))) return false;
    if (x->attr.bits != y->attr.bits || x->attr.ref != y->attr.ref || x->attr.kind != y->attr.kind)
        return false;
    for (unsigned k = 0; k < x->arg_count; k++) {
        if (!alike(f, inst_arg(f, x, k), inst_arg(f, y, k), depth - 1)) return false;
    }
    return true;
}

bool value_alike(const Func *f, Value a, Value b)
{
    return alike(f, a, b, ALIKE_DEPTH);
}

// ---- sums

Affine affine_constant(int64_t x)
{
    return (Affine){.constant = x};
}

Affine affine_axis(Axis a)
{
    return (Affine){.count = 1, .terms = {{.scale = 1, .axis = a}}};
}

Affine affine_symbol(Value v)
{
    return (Affine){.count = 1, .terms = {{.scale = 1, .symbols = {v}}}};
}

static unsigned symbol_count(const AffineTerm *t)
{
    unsigned n = 0;
    while (n < AFFINE_SYMBOLS && t->symbols[n].i) n++;
    return n;
}

static bool has_symbol(const Func *f, const AffineTerm *t, Value v, unsigned *at)
{
    for (unsigned k = 0; k < symbol_count(t); k++) {
        if (!value_alike(f, t->symbols[k], v)) continue;
        *at = k;
        return true;
    }
    return false;
}

static void remove_symbol(AffineTerm *t, unsigned at)
{
    for (unsigned k = at; k + 1 < AFFINE_SYMBOLS; k++) t->symbols[k] = t->symbols[k + 1];
    t->symbols[AFFINE_SYMBOLS - 1] = (Value){0};
}

static bool same_factors(const Func *f, const AffineTerm *a, const AffineTerm *b)
{
    AffineTerm rest = *b;
    if (a->axis.i != b->axis.i || symbol_count(a) != symbol_count(b)) return false;
    for (unsigned k = 0; k < symbol_count(a); k++) {
        unsigned at;
        if (!has_symbol(f, &rest, a->symbols[k], &at)) return false;
        remove_symbol(&rest, at);
    }
    return true;
}

// Adds one term, or its constant if it has no factor.
static bool add_term(const Func *f, Affine *sum, AffineTerm t)
{
    if (!t.axis.i && !t.symbols[0].i)
        return !__builtin_add_overflow(sum->constant, t.scale, &sum->constant);
    for (uint32_t i = 0; i < sum->count; i++) {
        AffineTerm *have = &sum->terms[i];
        if (!same_factors(f, have, &t)) continue;
        if (__builtin_add_overflow(have->scale, t.scale, &have->scale)) return false;
        if (have->scale == 0) *have = sum->terms[--sum->count];
        return true;
    }
    if (t.scale == 0) return true;
    if (sum->count == AFFINE_TERMS) return false;
    sum->terms[sum->count++] = t;
    return true;
}

bool affine_add(const Func *f, const Affine *a, const Affine *b, Affine *out)
{
    Affine sum = *a;
    if (__builtin_add_overflow(sum.constant, b->constant, &sum.constant)) return false;
    for (uint32_t i = 0; i < b->count; i++) {
        if (!add_term(f, &sum, b->terms[i])) return false;
    }
    *out = sum;
    return true;
}

bool affine_sub(const Func *f, const Affine *a, const Affine *b, Affine *out)
{
    Affine negative;
    return affine_scale(b, -1, &negative) && affine_add(f, a, &negative, out);
}

bool affine_scale(const Affine *a, int64_t by, Affine *out)
{
    Affine scaled = *a;
    if (by == 0) scaled.count = 0;
    if (__builtin_mul_overflow(scaled.constant, by, &scaled.constant)) return false;
    for (uint32_t i = 0; i < scaled.count; i++) {
        if (__builtin_mul_overflow(scaled.terms[i].scale, by, &scaled.terms[i].scale)) return false;
    }
    *out = scaled;
    return true;
}

static bool multiply_terms(const AffineTerm *a, const AffineTerm *b, AffineTerm *out)
{
    unsigned na = symbol_count(a), nb = symbol_count(b);
    if ((a->axis.i && b->axis.i) || na + nb > AFFINE_SYMBOLS) return false;
    AffineTerm t = {.axis = a->axis.i ? a->axis : b->axis};
    if (__builtin_mul_overflow(a->scale, b->scale, &t.scale)) return false;
    for (unsigned i = 0, j = 0; i + j < na + nb;) {
        bool first = j == nb || (i < na && a->symbols[i].i <= b->symbols[j].i);
        t.symbols[i + j] = first ? a->symbols[i] : b->symbols[j];
        if (first)
            i++;
        else
            j++;
    }
    *out = t;
    return true;
}

bool affine_mul(const Func *f, const Affine *a, const Affine *b, Affine *out)
{
    Affine product = {0};
    AffineTerm unit_a = {.scale = a->constant}, unit_b = {.scale = b->constant};
    for (uint32_t i = 0; i <= a->count; i++) {
        for (uint32_t j = 0; j <= b->count; j++) {
            AffineTerm t;
            const AffineTerm *x = i < a->count ? &a->terms[i] : &unit_a;
            const AffineTerm *y = j < b->count ? &b->terms[j] : &unit_b;
            if (x->scale == 0 || y->scale == 0) continue;
            if (!multiply_terms(x, y, &t) || !add_term(f, &product, t)) return false;
        }
    }
    *out = product;
    return true;
}

// t / by for a divisor of one term.
static bool divide_term(const Func *f, AffineTerm t, const AffineTerm *by, AffineTerm *out)
{
    if (t.scale % by->scale != 0) return false;
    t.scale /= by->scale;
    for (unsigned k = 0; k < symbol_count(by); k++) {
        unsigned at;
        if (!has_symbol(f, &t, by->symbols[k], &at)) return false;
        remove_symbol(&t, at);
    }
    *out = t;
    return true;
}

bool affine_divide(const Func *f, const Affine *a, const Affine *by, Affine *out)
{
    AffineTerm divisor = {.scale = by->constant};
    if (by->count > 1 || (by->count == 1 && by->constant != 0)) return false;
    if (by->count == 1) divisor = by->terms[0];
    // x / -1 may overflow; x / 0 is no division.
    if (divisor.scale <= 0 || divisor.axis.i) return false;
    Affine quotient = {0};
    AffineTerm constant = {.scale = a->constant};
    for (uint32_t i = 0; i <= a->count; i++) {
        AffineTerm t = i < a->count ? a->terms[i] : constant;
        if (t.scale == 0) continue;
        if (!divide_term(f, t, &divisor, &t) || !add_term(f, &quotient, t)) return false;
    }
    *out = quotient;
    return true;
}

// ---- questions

bool affine_is_constant(const Affine *a, int64_t *x)
{
    *x = a->constant;
    return a->count == 0;
}

bool affine_equal(const Func *f, const Affine *a, const Affine *b)
{
    Affine difference;
    int64_t x;
    return affine_sub(f, a, b, &difference) && affine_is_constant(&difference, &x) && x == 0;
}

Affine affine_coefficient(const Affine *a, Axis axis)
{
    Affine c = {0};
    for (uint32_t i = 0; i < a->count; i++) {
        AffineTerm t = a->terms[i];
        if (t.axis.i != axis.i) continue;
        t.axis = (Axis){0};
        if (t.symbols[0].i)
            c.terms[c.count++] = t;
        else
            c.constant = t.scale; // terms are distinct, so there is one at most
    }
    return c;
}

Affine affine_without(const Affine *a, Axis axis)
{
    Affine rest = {.constant = a->constant};
    for (uint32_t i = 0; i < a->count; i++) {
        if (a->terms[i].axis.i != axis.i) rest.terms[rest.count++] = a->terms[i];
    }
    return rest;
}

AxisSet affine_axes(const Func *f, const Affine *a)
{
    AxisSet axes = 0;
    for (uint32_t i = 0; i < a->count; i++) {
        const AffineTerm *t = &a->terms[i];
        if (t->axis.i) axes |= axis_bit(t->axis);
        for (unsigned k = 0; k < symbol_count(t); k++) axes |= value_axes(f, t->symbols[k]);
    }
    return axes;
}

// ---- decoding

static bool decode(const Func *f, Value v, unsigned *budget, Affine *out);

// Operand k, as one symbol if it is too much of a sum.
static Affine operand(const Func *f, const Inst *in, unsigned k, unsigned *budget)
{
    Affine a;
    Value v = inst_arg(f, in, k);
    return decode(f, v, budget, &a) ? a : affine_symbol(v);
}

static bool decode_extent(const Func *f, const Inst *in, unsigned *budget, Affine *out)
{
    InstId decl = mem_at(f, (Mem){in->attr.ref})->decl;
    if (!decl.i || in->attr.bits >= inst_at(f, decl)->arg_count) return false;
    *out = operand(f, inst_at(f, decl), (unsigned)in->attr.bits, budget);
    return true;
}

static bool decode_shift(const Func *f, const Inst *in, unsigned *budget, Affine *out)
{
    int64_t by;
    if (!value_const_int(f, inst_arg(f, in, 1), &by) || by < 0 || by > 62) return false;
    Affine a = operand(f, in, 0, budget);
    return affine_scale(&a, (int64_t)1 << by, out);
}

static bool decode_inst(const Func *f, const Inst *in, unsigned *budget, Affine *out)
{
    if (in->op == OP_CONST) return *out = affine_constant((int64_t)in->attr.bits), true;
    if (in->op == OP_INDEX) return *out = affine_axis((Axis){in->attr.ref}), true;
    if (in->op == OP_EXTENT) return decode_extent(f, in, budget, out);
    if (in->op == OP_SHL) return decode_shift(f, in, budget, out);
    bool sum = in->op == OP_ADD || in->op == OP_SUB || in->op == OP_MUL || in->op == OP_NEG ||
               in->op == OP_DIV || in->op == OP_REM || in->op == OP_FMA;
    if (!sum) return false;
    Affine a = operand(f, in, 0, budget);
    if (in->op == OP_NEG) return affine_scale(&a, -1, out);
    Affine b = operand(f, in, 1, budget);
    if (in->op == OP_ADD) return affine_add(f, &a, &b, out);
    if (in->op == OP_SUB) return affine_sub(f, &a, &b, out);
    if (in->op == OP_MUL) return affine_mul(f, &a, &b, out);
    if (in->op == OP_DIV) return affine_divide(f, &a, &b, out);
    if (in->op == OP_FMA) {
        Affine c = operand(f, in, 2, budget), product;
        return affine_mul(f, &a, &b, &product) && affine_add(f, &product, &c, out);
    }
    Affine quotient;
    *out = affine_constant(0);
    return affine_divide(f, &a, &b, &quotient); // no remainder
}

static bool decode(const Func *f, Value v, unsigned *budget, Affine *out)
{
    if (value_dtype(f, v) != DTYPE_I64) return false;
    const Inst *in = value_def(f, v);
    bool may = in && *budget > 0;
    if (may) --*budget;
    if (!may || !decode_inst(f, in, budget, out)) *out = affine_symbol(v);
    return true;
}

bool affine_decode(const Func *f, Value v, Affine *out)
{
    unsigned budget = DECODE_BUDGET;
    return decode(f, v, &budget, out);
}
