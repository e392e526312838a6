// Bounds of integer values by interval arithmetic, for the static sizes of tiles and scratch.
#include "passes/schedule/sched.h"

enum { DEPTH_MAX = 12 };
static const int64_t UNKNOWN_HIGH = INT64_MAX, UNKNOWN_LOW = INT64_MIN;

typedef struct Range {
    int64_t low, high;
} Range;

static Range range_of(const Func *f, Value v, int depth);

static bool known(Range r)
{
    return r.low != UNKNOWN_LOW && r.high != UNKNOWN_HIGH;
}

static int64_t min64(int64_t a, int64_t b)
{
    return a < b ? a : b;
}
static int64_t max64(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

static Range add_ranges(Range a, Range b)
{
    Range r = {UNKNOWN_LOW, UNKNOWN_HIGH};
    if (a.low != UNKNOWN_LOW && b.low != UNKNOWN_LOW &&
        __builtin_add_overflow(a.low, b.low, &r.low))
        r.low = UNKNOWN_LOW;
    if (a.high != UNKNOWN_HIGH && b.high != UNKNOWN_HIGH &&
        __builtin_add_overflow(a.high, b.high, &r.high))
        r.high = UNKNOWN_HIGH;
    return r;
}

static Range negate(Range a)
{
    return (Range){a.high == UNKNOWN_HIGH ? UNKNOWN_LOW : -a.high,
                   a.low == UNKNOWN_LOW ? UNKNOWN_HIGH : -a.low};
}

static Range mul_ranges(Range a, Range b)
{
    Range unknown = {UNKNOWN_LOW, UNKNOWN_HIGH};
    if (!known(a) || !known(b)) {
        return a.low >= 0 && b.low >= 0 ? (Range){0, UNKNOWN_HIGH} : unknown;
    }
    Range r = {INT64_MAX, INT64_MIN};
    const int64_t x[2] = {a.low, a.high}, y[2] = {b.low, b.high};
    for (int i = 0; i < 4; i++) {
        int64_t p;
        if (__builtin_mul_overflow(x[i / 2], y[i % 2], &p)) return unknown;
        r.low = min64(r.low, p);
        r.high = max64(r.high, p);
    }
    return r;
}

static Range axis_range(const Func *f, Axis a, int depth)
{
    const Inst *decl = inst_at(f, axis_at(f, a)->decl);
    Range lo = range_of(f, inst_arg(f, decl, 0), depth),
          hi = range_of(f, inst_arg(f, decl, 1), depth);
    return (Range){lo.low, hi.high == UNKNOWN_HIGH ? UNKNOWN_HIGH : hi.high - 1};
}

// An element with a promise on its tensor, or 0 where it is not loaded.
static Range load_range(const Func *f, const Inst *in, int depth)
{
    Range r = {UNKNOWN_LOW, UNKNOWN_HIGH};
    for_each_inst(f, f->body, id) {
        const Inst *promise = inst_at(f, id);
        if (promise->op == OP_PHASE) break;
        if (promise->op != OP_REFINE || promise->attr.ref != in->attr.ref) continue;
        bool pair = promise->attr.kind == REFINE_RANGE;
        Range low = pair ? range_of(f, inst_arg(f, promise, 0), depth) : (Range){0, 0};
        Range high = range_of(f, inst_arg(f, promise, pair), depth);
        bool reached = promise->attr.kind == REFINE_PARTITION;
        r.low = min64(low.low, 0);
        r.high = high.high == UNKNOWN_HIGH ? UNKNOWN_HIGH : max64(high.high - !reached, 0);
    }
    return r;
}

static Range inst_range(const Func *f, const Inst *in, int depth)
{
    Range unknown = {UNKNOWN_LOW, UNKNOWN_HIGH};
    Range a = in->arg_count > 0 ? range_of(f, inst_arg(f, in, 0), depth) : unknown;
    Range b = in->arg_count > 1 ? range_of(f, inst_arg(f, in, 1), depth) : unknown;
    if (in->op == OP_ADD) return add_ranges(a, b);
    if (in->op == OP_SUB) return add_ranges(a, negate(b));
    if (in->op == OP_NEG) return negate(a);
    if (in->op == OP_MUL) return mul_ranges(a, b);
    if (in->op == OP_MIN) return (Range){min64(a.low, b.low), min64(a.high, b.high)};
    if (in->op == OP_MAX) return (Range){max64(a.low, b.low), max64(a.high, b.high)};
    if (in->op == OP_DIM || in->op == OP_EXTENT) return (Range){0, UNKNOWN_HIGH};
    if (in->op == OP_LOAD_TILE) return load_range(f, in, depth);
    if (in->op == OP_INDEX) return axis_range(f, (Axis){in->attr.ref}, depth);
    if (in->op == OP_TILEINFO && (in->attr.kind == INFO_BEGIN || in->attr.kind == INFO_END)) {
        Range index = axis_range(f, (Axis){in->attr.ref}, depth);
        bool end = in->attr.kind == INFO_END && index.high != UNKNOWN_HIGH;
        return (Range){index.low, index.high + end};
    }
    if (in->op == OP_CAST && dtype_is_int(value_dtype(f, inst_arg(f, in, 0)))) return a;
    if (in->op == OP_REDUCE && (in->attr.kind == REDUCE_MAX || in->attr.kind == REDUCE_MIN))
        return a;
    if (in->op == OP_SELECT) {
        Range c = range_of(f, inst_arg(f, in, 2), depth);
        return (Range){min64(b.low, c.low), max64(b.high, c.high)};
    }
    if (in->op == OP_DIV && b.low == b.high && b.low > 0 && known(a))
        return (Range){a.low / b.low, a.high / b.low};
    if (in->op == OP_REM && b.low == b.high && b.low > 0)
        return (Range){a.low >= 0 ? 0 : 1 - b.low, b.low - 1};
    return unknown;
}

static Range range_of(const Func *f, Value v, int depth)
{
    Range unknown = {UNKNOWN_LOW, UNKNOWN_HIGH};
    int64_t x;
    if (value_const_int(f, v, &x)) return (Range){x, x};
    const Inst *in = value_def(f, v);
    if (!in || depth >= DEPTH_MAX || !dtype_is_int(value_dtype(f, v))) return unknown;
    return inst_range(f, in, depth + 1);
}

int64_t value_upper(const Func *f, Value v)
{
    return range_of(f, v, 0).high;
}

int64_t value_lower(const Func *f, Value v)
{
    return range_of(f, v, 0).low;
}

// A dimension for want of whose bound v has none; UINT32_MAX: that is not why.
static uint32_t unbounded_dim(const Func *f, Value v, int depth)
{
    const Inst *in = value_def(f, v);
    uint32_t found = UINT32_MAX;
    if (!in || depth >= DEPTH_MAX || range_of(f, v, depth).high != UNKNOWN_HIGH) return found;
    if (in->op == OP_DIM) return in->attr.ref;
    for (unsigned k = 0; k < in->arg_count && in->op != OP_LOAD_TILE && found == UINT32_MAX; k++)
        found = unbounded_dim(f, inst_arg(f, in, k), depth + 1);
    return found;
}

bool ask_for_bound(const Sched *s, Axis a)
{
    const Inst *decl = inst_at(s->tile, axis_at(s->tile, a)->decl);
    uint32_t dim = unbounded_dim(s->tile, inst_arg(s->tile, decl, 1), 0);
    if (!s->context->unbounded || dim == UINT32_MAX) return false;
    *s->context->unbounded = dim;
    return true;
}
