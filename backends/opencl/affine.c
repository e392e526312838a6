// Offsets as sums of multiples of loop indices, what they are multiples of, and how often loops
// run.
#include "backends/opencl/deal.h"

enum { DEPTH_MAX = 24, BOUND_DEPTH = 8, MULTIPLE_DEPTH = 12, MULTIPLE_MOST = 1 << 20 };

static Affine opaque(Value v)
{
    return (Affine){.known = true, .count = 1, .terms = {{v.i, 1}}};
}

static Affine constant(int64_t x)
{
    return (Affine){.known = true, .constant = x};
}

// a + factor * b
static Affine plus(Affine a, Affine b, int64_t factor)
{
    if (!a.known || !b.known) return (Affine){0};
    a.constant += factor * b.constant;
    for (unsigned k = 0; k < b.count; k++) {
        unsigned at = 0;
        while (at < a.count && a.terms[at].atom != b.terms[k].atom) at++;
        if (at == a.count) {
            if (a.count == TERMS_MAX) return (Affine){0};
            a.terms[a.count].atom = b.terms[k].atom;
            a.terms[a.count++].factor = 0;
        }
        a.terms[at].factor += factor * b.terms[k].factor;
        if (!a.terms[at].factor) a.terms[at] = a.terms[--a.count];
    }
    return a;
}

Affine affine_minus(Affine a, Affine b)
{
    return plus(a, b, -1);
}

int64_t affine_factor(const Affine *a, Value atom)
{
    for (unsigned k = 0; k < a->count; k++)
        if (a->terms[k].atom == atom.i) return a->terms[k].factor;
    return 0;
}

static Affine affine_at(const Func *f, Value v, int depth)
{
    const ValueInfo *info = value_at(f, v);
    int64_t x;
    if (!depth) return (Affine){0};
    if (value_const_int(f, v, &x)) return constant(x);
    if (!info->def.i) {
        const InstId owner = region_at(f, info->region)->owner;
        if (info->index > 0 || !owner.i || inst_at(f, owner)->op != OP_FOR) return opaque(v);
        return plus(affine_at(f, inst_arg(f, inst_at(f, owner), 0), depth - 1), opaque(v), 1);
    }
    const Inst *in = inst_at(f, info->def);
    if (info->type.lanes > 1) return opaque(v);
    if (in->op == OP_ADD || in->op == OP_SUB)
        return plus(affine_at(f, inst_arg(f, in, 0), depth - 1),
                    affine_at(f, inst_arg(f, in, 1), depth - 1), in->op == OP_ADD ? 1 : -1);
    if (in->op != OP_MUL) return opaque(v);
    Affine a = affine_at(f, inst_arg(f, in, 0), depth - 1);
    Affine b = affine_at(f, inst_arg(f, in, 1), depth - 1);
    if (a.known && b.known && !b.count) return plus(constant(0), a, b.constant);
    if (a.known && b.known && !a.count) return plus(constant(0), b, a.constant);
    return opaque(v);
}

Affine affine_of(const Func *f, Value v)
{
    return affine_at(f, v, DEPTH_MAX);
}

// An upper bound of v - base; INT64_MAX: none is known.
static int64_t most_above(const Func *f, Value v, Affine base, int depth)
{
    Affine span = affine_minus(affine_of(f, v), base);
    if (span.known && !span.count) return span.constant;
    const Inst *in = value_def(f, v);
    if (!in || !depth || in->arg_count != 2) return INT64_MAX;
    Value a = inst_arg(f, in, 0), b = inst_arg(f, in, 1);
    const Inst *rem = value_def(f, b);
    int64_t x, y;
    switch (in->op) {
    case OP_MIN:
    case OP_MAX:
        x = most_above(f, a, base, depth - 1);
        y = most_above(f, b, base, depth - 1);
        return (in->op == OP_MIN) == (x < y) ? x : y;
    case OP_SUB: // what is left of a whole number of blocks is not negative
        if (rem && rem->op == OP_REM && inst_arg(f, rem, 0).i == a.i)
            return most_above(f, a, base, depth - 1);
        return most_above(f, a, plus(base, affine_of(f, b), 1), depth - 1);
    case OP_ADD:
        x = most_above(f, b, affine_minus(base, affine_of(f, a)), depth - 1);
        y = most_above(f, a, affine_minus(base, affine_of(f, b)), depth - 1);
        return x < y ? x : y;
    }
    return INT64_MAX;
}

int64_t affine_trips(const Func *f, const Inst *loop, bool *exact)
{
    int64_t step;
    *exact = false;
    if (!value_const_int(f, inst_arg(f, loop, 2), &step)) return NEST_LARGE;
    const Affine lo = affine_of(f, inst_arg(f, loop, 0));
    const Affine whole = affine_minus(affine_of(f, inst_arg(f, loop, 1)), lo);
    int64_t span = most_above(f, inst_arg(f, loop, 1), lo, BOUND_DEPTH);
    *exact = whole.known && !whole.count;
    if (span <= 0) return 0;
    int64_t trips = (span - 1) / step + 1;
    if (trips < NEST_LARGE) return trips;
    return NEST_LARGE;
}

static int64_t gcd(int64_t a, int64_t b)
{
    while (b) {
        int64_t rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

static int64_t multiple_at(const Func *f, Value v, int depth)
{
    const ValueInfo *info = value_at(f, v);
    int64_t x;
    if (value_const_int(f, v, &x))
        return x && x > -MULTIPLE_MOST && x < MULTIPLE_MOST ? (x < 0 ? -x : x) : MULTIPLE_MOST;
    if (!depth || info->type.lanes > 1) return 1;
    if (!info->def.i) { // a loop's index
        const InstId owner = region_at(f, info->region)->owner;
        if (info->index > 0 || !owner.i || inst_at(f, owner)->op != OP_FOR) return 1;
        return gcd(multiple_at(f, inst_arg(f, inst_at(f, owner), 0), depth - 1),
                   multiple_at(f, inst_arg(f, inst_at(f, owner), 2), depth - 1));
    }
    const Inst *in = inst_at(f, info->def);
    if (in->arg_count != 2) return 1;
    int64_t a = multiple_at(f, inst_arg(f, in, 0), depth - 1);
    int64_t b = multiple_at(f, inst_arg(f, in, 1), depth - 1);
    const Inst *rem = value_def(f, inst_arg(f, in, 1));
    switch (in->op) {
    case OP_SUB: // what whole blocks cover of a range
        if (rem && rem->op == OP_REM && inst_arg(f, rem, 0).i == inst_arg(f, in, 0).i)
            return multiple_at(f, inst_arg(f, rem, 1), depth - 1);
        return gcd(a, b);
    case OP_ADD:
    case OP_MIN:
    case OP_MAX:
    case OP_REM: return gcd(a, b);
    case OP_MUL: return a > MULTIPLE_MOST / b ? gcd(MULTIPLE_MOST, a) : a * b;
    }
    return 1;
}

int64_t affine_multiple(const Func *f, Value v)
{
    return multiple_at(f, v, MULTIPLE_DEPTH);
}
