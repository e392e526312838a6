#include "passes/reach.h"

enum { DEPTH = 8, SMALL_BITS = 40, TILE_MOST = 1 << 20 };

static bool is_small(int64_t c)
{
    return c >> SMALL_BITS == c >> 63;
}

// The loop of which v is the index; NULL: it is none.
static const Inst *loop_of(const Func *f, Value v)
{
    const ValueInfo *value = value_at(f, v);
    InstId owner = value->region.i ? region_at(f, value->region)->owner : (InstId){0};
    const Inst *loop = owner.i && !value->index ? inst_at(f, owner) : NULL;
    return loop && (loop->op == OP_FOR || loop->op == OP_PHASE) ? loop : NULL;
}

static bool is_place(const Func *f, Value v, unsigned depth)
{
    const Inst *in = value_def(f, v);
    int64_t c;
    if (value_const_int(f, v, &c)) return is_small(c);
    if (!depth) return false;
    if (!in) {
        const Inst *loop = loop_of(f, v);
        return loop && (loop->op == OP_PHASE || is_place(f, inst_arg(f, loop, 0), depth - 1));
    }
    switch (in->op) {
    case OP_DIM:
    case OP_IOTA: return true;
    case OP_SPLAT: return is_place(f, inst_arg(f, in, 0), depth - 1);
    case OP_MUL: // the number of a tile by its size
        if (value_def(f, inst_arg(f, in, 0)) && value_def(f, inst_arg(f, in, 0))->op == OP_MUL)
            return false;
        return value_const_int(f, inst_arg(f, in, 1), &c) && c > 0 && c <= TILE_MOST &&
               is_place(f, inst_arg(f, in, 0), depth - 1);
    case OP_DIV: // and that, of several axes
    case OP_REM:
        return value_const_int(f, inst_arg(f, in, 1), &c) && c > 0 &&
               is_place(f, inst_arg(f, in, 0), depth - 1);
    case OP_ADD:
    case OP_SUB:
        return is_place(f, inst_arg(f, in, 0), depth - 1) &&
               is_place(f, inst_arg(f, in, 1), depth - 1);
    default: return false;
    }
}

bool reach_is_place(const Func *f, Value v)
{
    return is_place(f, v, DEPTH);
}

static Reach of_value(const Func *f, Value v, Region body, ReachLanes lanes, unsigned depth)
{
    const Reach own = {v, 0, 0};
    const Inst *in = value_def(f, v);
    int64_t lo, hi;
    if (value_const_int(f, v, &lo)) return is_small(lo) ? (Reach){{0}, lo, lo} : own;
    if (!depth) return own;
    if (!in) {
        const Inst *loop = loop_of(f, v);
        bool own_index =
            body.i && (value_at(f, v)->region.i == body.i || !value_inside(f, v, body));
        bool known = loop && loop->op == OP_FOR && !own_index &&
                     value_const_int(f, inst_arg(f, loop, 0), &lo) &&
                     value_const_int(f, inst_arg(f, loop, 1), &hi) && lo < hi;
        return known && is_small(lo) && is_small(hi) ? (Reach){{0}, lo, hi - 1} : own;
    }
    if (in->op == OP_IOTA && lanes == REACH_ALL_LANES)
        return (Reach){{0}, 0, value_type(f, v).lanes - 1};
    if (in->op == OP_SPLAT) return of_value(f, inst_arg(f, in, 0), body, lanes, depth - 1);
    if (in->op != OP_ADD && in->op != OP_SUB) return own;
    Reach a = of_value(f, inst_arg(f, in, 0), body, lanes, depth - 1);
    Reach b = of_value(f, inst_arg(f, in, 1), body, lanes, depth - 1);
    if (b.base.i && (a.base.i || in->op == OP_SUB)) return own;
    if (in->op == OP_SUB) return (Reach){a.base, a.lo - b.hi, a.hi - b.lo};
    return (Reach){a.base.i ? a.base : b.base, a.lo + b.lo, a.hi + b.hi};
}

Reach reach_of(const Func *f, Value v, Region body, ReachLanes lanes)
{
    return of_value(f, v, body, lanes, DEPTH);
}
