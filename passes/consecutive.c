// Gathers along clamped and wrapped indices: but for vectors at an edge their lanes are
// consecutive, and one load reads them.
//
//   x[min(n + 1, N - 1)], x[mod(n - 1, N)]
//   gather x (%at)   ->   if (last - first == lanes - 1) { load x (first) } else { gather x (%at) }
//
// Offsets from lane to lane grow by 0 or 1 (clamped), or by 1 or less than 1 (wrapped); so they are
// consecutive if the last lane is as far from the first as it can be. Both are computed as scalars,
// the vector of all only where it is needed.
#include "passes/pass.h"

enum { DEPTH = 10 };

typedef enum Growth { // of a value from lane to lane
    GROWS_NOT,
    GROWS_BY_ONE, // or not at all
    WRAPS,        // by one, or falls by a multiple of the divisor less one
    GROWS_ANYHOW
} Growth;

static const Inst *def_of(const Func *f, Value v, Op op)
{
    const Inst *in = value_def(f, v);
    return in && in->op == op ? in : NULL;
}

static Growth growth(const Func *f, Value v, int depth);

// r + (r < 0 ? n : 0) with r = u % n, which is mod(u, n)
static bool is_mod(const Func *f, Value r, Value added)
{
    const Inst *rem = def_of(f, r, OP_REM), *choice = def_of(f, added, OP_SELECT);
    if (!rem || !choice) return false;
    const Inst *below = def_of(f, inst_arg(f, choice, 0), OP_LT);
    uint64_t zero, none;
    return below && inst_arg(f, below, 0).i == r.i &&
           value_const(f, inst_arg(f, below, 1), &zero) && !zero &&
           inst_arg(f, choice, 1).i == inst_arg(f, rem, 1).i &&
           value_const(f, inst_arg(f, choice, 2), &none) && !none;
}

static Growth growth_of_two(const Func *f, const Inst *in, int depth)
{
    if (in->op != OP_ADD && in->op != OP_SUB && in->op != OP_MIN && in->op != OP_MAX &&
        in->op != OP_REM)
        return GROWS_ANYHOW;
    Value left = inst_arg(f, in, 0), right = inst_arg(f, in, 1);
    Growth a = growth(f, left, depth - 1), b = growth(f, right, depth - 1);
    if (a == GROWS_NOT && b == GROWS_NOT) return GROWS_NOT;
    switch (in->op) {
    case OP_ADD:
        if (is_mod(f, left, right) || is_mod(f, right, left)) return WRAPS;
        return a == GROWS_NOT ? b : b == GROWS_NOT ? a : GROWS_ANYHOW;
    case OP_SUB: return b == GROWS_NOT ? a : GROWS_ANYHOW;
    case OP_MIN:
    case OP_MAX: return a <= GROWS_BY_ONE && b <= GROWS_BY_ONE ? GROWS_BY_ONE : GROWS_ANYHOW;
    default: return a == GROWS_BY_ONE && b == GROWS_NOT ? WRAPS : GROWS_ANYHOW; // OP_REM
    }
}

static Growth growth(const Func *f, Value v, int depth)
{
    uint64_t bits;
    const Inst *in = value_def(f, v);
    if (!value_type(f, v).lanes || value_const(f, v, &bits)) return GROWS_NOT;
    if (!in || !depth) return GROWS_ANYHOW;
    if (in->op == OP_SPLAT) return GROWS_NOT;
    if (in->op == OP_IOTA) return GROWS_BY_ONE;
    return in->arg_count == 2 ? growth_of_two(f, in, depth) : GROWS_ANYHOW;
}

// The value in one lane, computed as a scalar.
static Value in_lane(Builder *b, Value v, unsigned lane)
{
    uint64_t bits;
    Type type = value_type(b->f, v);
    if (!type.lanes) return v;
    if (value_const(b->f, v, &bits)) return build_bits(b, type_scalar(type.dtype), bits);
    const Inst in = *value_def(b->f, v);
    if (in.op == OP_SPLAT) return inst_arg(b->f, &in, 0);
    if (in.op == OP_IOTA) return build_bits(b, type_scalar(type.dtype), lane);
    Value args[3];
    for (unsigned k = 0; k < in.arg_count; k++) args[k] = in_lane(b, inst_arg(b->f, &in, k), lane);
    return in.op == OP_SELECT ? build_op3(b, OP_SELECT, args[0], args[1], args[2])
                              : build_op2(b, (Op)in.op, args[0], args[1]);
}

static Value all_lanes(Builder *b, Value v)
{
    const Inst in = *value_def(b->f, v);
    if (growth(b->f, v, DEPTH) == GROWS_NOT || in.op == OP_IOTA) return v;
    Value args[3];
    for (unsigned k = 0; k < in.arg_count; k++) args[k] = all_lanes(b, inst_arg(b->f, &in, k));
    return in.op == OP_SELECT ? build_op3(b, OP_SELECT, args[0], args[1], args[2])
                              : build_op2(b, (Op)in.op, args[0], args[1]);
}

static void read_from(Func *f, Region arm, const Inst *gather, Op op, Value offset)
{
    Builder b = {f, arm, {0}, gather->span};
    if (op == OP_GATHER) offset = all_lanes(&b, offset);
    Value mask = inst_mask(f, gather), args[2] = {offset, mask};
    Type type = value_type(f, inst_result(gather, 0));
    InstId id = build_inst(&b, op,
                           (BuildSpec){.args = args,
                                       .arg_count = gather->arg_count,
                                       .results = &type,
                                       .result_count = 1,
                                       .attr = {.ref = gather->attr.ref},
                                       .flags = gather->flags});
    Value read = inst_result(inst_at(f, id), 0);
    build_inst(&b, OP_YIELD, (BuildSpec){.args = &read, .arg_count = 1});
}

static bool choose(Func *f, InstId id)
{
    const Inst gather = *inst_at(f, id);
    Value offset = inst_arg(f, &gather, 0), result = inst_result(&gather, 0);
    Growth how = growth(f, offset, DEPTH);
    bool halves = dtype_info[mem_at(f, (Mem){gather.attr.ref})->dtype].bits < 8;
    if (halves || (how != GROWS_BY_ONE && how != WRAPS)) return false;
    unsigned lanes = value_type(f, offset).lanes;
    Builder b = {f, gather.parent, id, gather.span};
    Value first = in_lane(&b, offset, 0);
    Value apart = build_op2(&b, OP_SUB, in_lane(&b, offset, lanes - 1), first);
    Value whole = build_op2(&b, OP_EQ, apart, build_i64(&b, lanes - 1));
    Region arms[2];
    for (unsigned k = 0; k < 2; k++) arms[k] = func_region(f);
    Type type = value_type(f, result);
    InstId choice = build_inst(&b, OP_IF,
                               (BuildSpec){.args = &whole,
                                           .arg_count = 1,
                                           .results = &type,
                                           .result_count = 1,
                                           .regions = arms,
                                           .region_count = 2});
    read_from(f, arms[0], &gather, OP_LOAD, first);
    read_from(f, arms[1], &gather, OP_GATHER, offset);
    func_replace_uses(f, result, inst_result(inst_at(f, choice), 0));
    inst_unlink(f, id);
    return true;
}

static bool choose_in(Func *f, Region r)
{
    bool changed = false;
    for (InstId id = region_at(f, r)->first, next; id.i; id = next) {
        next = inst_at(f, id)->next;
        for (unsigned k = 0; k < inst_at(f, id)->region_count; k++)
            changed |= choose_in(f, inst_region(inst_at(f, id), k));
        if (inst_at(f, id)->op == OP_GATHER) changed |= choose(f, id);
    }
    return changed;
}

bool pass_consecutive(Func *f, const PassContext *context)
{
    (void)context;
    return choose_in(f, f->body);
}
