#include "passes/divisors.h"

enum { UNKNOWN, LOG_MOST = 12 };

static unsigned least(unsigned a, unsigned b)
{
    return a < b ? a : b;
}

static unsigned of_inst(Divisors *d, const Inst *in)
{
    int64_t x;
    if (in->op == OP_CONST) {
        if (!value_const_int(d->f, inst_result(in, 0), &x)) return 0;
        return x ? least((unsigned)__builtin_ctzll((uint64_t)x), LOG_MOST) : LOG_MOST;
    }
    bool sums = in->op == OP_ADD || in->op == OP_SUB || in->op == OP_MIN || in->op == OP_MAX;
    if (!sums && in->op != OP_MUL) return 0;
    unsigned a = divisors_log(d, inst_arg(d->f, in, 0)), b = divisors_log(d, inst_arg(d->f, in, 1));
    return sums ? least(a, b) : least(a + b, LOG_MOST);
}

// Of a loop's index: what divides its beginning and its step.
static unsigned of_index(Divisors *d, Value v)
{
    Region r = value_at(d->f, v)->region;
    InstId owner = r.i ? region_at(d->f, r)->owner : (InstId){0};
    if (!owner.i || inst_at(d->f, owner)->op != OP_FOR || region_arg(d->f, r, 0).i != v.i) return 0;
    const Inst *loop = inst_at(d->f, owner);
    unsigned begin = divisors_log(d, inst_arg(d->f, loop, 0));
    return least(begin, divisors_log(d, inst_arg(d->f, loop, 2)));
}

Divisors divisors_new(const Func *f, Arena *arena)
{
    return (Divisors){f, arena_array(arena, uint8_t, f->values.count + 1)};
}

unsigned divisors_log(Divisors *d, Value v)
{
    if (d->known[v.i] != UNKNOWN) return d->known[v.i] - 1u;
    const Inst *in = value_def(d->f, v);
    unsigned log = in ? of_inst(d, in) : of_index(d, v);
    d->known[v.i] = (uint8_t)(log + 1);
    return log;
}
