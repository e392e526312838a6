// What a loop carries, if its iterations may be dealt to the work-items of a group.
//
//   acc' = acc + x                 ->  a sum: each work-item has its own, which are added up
//   take = x > acc ..              ->  an extreme with its place: likewise
//   acc' = take ? x : acc
//   at' = take ? n : at
//   acc' = acc + x, y[n] = acc'    ->  a scan: prefixes, in strips of a group's size
#include "backends/opencl/deal.h"

enum { LOOK_MAX = 64 };

static bool depends(const Func *f, Value v, Value on, int depth)
{
    if (v.i == on.i) return true;
    const Inst *in = value_def(f, v);
    if (!in || !depth) return !in ? false : true;
    for_each_arg(f, in, k, arg)
        if (depends(f, arg, on, depth - 1)) return true;
    return false;
}

static bool kind_of_op(unsigned op, DType t, ReduceKind *kind)
{
    const bool is_bool = t == DTYPE_BOOL;
    switch (op) {
    case OP_ADD:
    case OP_FMA: *kind = REDUCE_SUM; return true;
    case OP_MUL: *kind = REDUCE_PROD; return true;
    case OP_MAX: *kind = REDUCE_MAX; return true;
    case OP_MIN: *kind = REDUCE_MIN; return true;
    case OP_OR: *kind = is_bool ? REDUCE_ANY : REDUCE_OR; return true;
    case OP_AND: *kind = is_bool ? REDUCE_ALL : REDUCE_AND; return true;
    case OP_XOR: *kind = REDUCE_XOR; return true;
    }
    return false;
}

static bool accumulates(const Func *f, Value v, Value from, ReduceKind *kind, bool *any);

// Result k of a loop inside that goes on with what came in.
static bool passes_through(const Func *f, const Inst *loop, Value result, Value *in,
                           ReduceKind *kind, bool *any)
{
    const Region body = inst_region(loop, 0);
    const unsigned k = result.i - loop->results;
    if (loop->op != OP_FOR || (loop->flags & INST_WHILE)) return false;
    const Inst *yield = inst_at(f, region_at(f, body)->last);
    *in = inst_arg(f, loop, k + 3);
    return accumulates(f, inst_arg(f, yield, k), region_arg(f, body, k + 1), kind, any);
}

// Whether v is `from` combined with other values by one associative operation.
static bool accumulates(const Func *f, Value v, Value from, ReduceKind *kind, bool *any)
{
    while (v.i != from.i) {
        const Inst *in = value_def(f, v);
        ReduceKind own = REDUCE_SUM;
        if (!in) return false;
        if (in->op == OP_FOR) {
            if (!passes_through(f, in, v, &v, kind, any)) return false;
            continue;
        }
        if (in->op == OP_SELECT) { // of a mask: combined, or as it was
            Value a = inst_arg(f, in, 1), b = inst_arg(f, in, 2);
            if (depends(f, inst_arg(f, in, 0), from, LOOK_MAX) || !accumulates(f, a, b, kind, any))
                return false;
            v = b;
            continue;
        }
        if (!kind_of_op(in->op, value_dtype(f, v), &own) || (*any && own != *kind)) return false;
        *kind = own;
        *any = true;
        unsigned on = in->op == OP_FMA ? 2 : depends(f, inst_arg(f, in, 0), from, LOOK_MAX) ? 0 : 1;
        for_each_arg(f, in, k, arg)
            if (k != on && depends(f, arg, from, LOOK_MAX)) return false;
        v = inst_arg(f, in, on);
    }
    return true;
}

unsigned deal_uses(const Func *f, Region r, Value v)
{
    unsigned n = 0;
    for_each_inst(f, r, id) {
        const Inst *in = inst_at(f, id);
        for_each_arg(f, in, k, arg) n += arg.i == v.i;
        for (unsigned k = 0; k < in->region_count; k++) n += deal_uses(f, inst_region(in, k), v);
    }
    return n;
}

// Whether nothing looks at what is on the way from `from` to v, but the next step. Where a mask
// selects, the old value is used twice.
static bool is_unseen(const Func *f, Region body, Value v, Value from)
{
    unsigned most = 1;
    for (;;) {
        const Inst *in = v.i == from.i ? NULL : value_def(f, v);
        if (in && in->op == OP_SELECT) most = 2;
        if (deal_uses(f, body, v) > most) return false;
        if (!in) return v.i == from.i;
        if (in->op == OP_FOR)
            v = inst_arg(f, in, (v.i - in->results) + 3);
        else if (in->op == OP_SELECT || in->op == OP_FMA)
            v = inst_arg(f, in, 2);
        else
            v = inst_arg(f, in, depends(f, inst_arg(f, in, 0), from, LOOK_MAX) ? 0 : 1);
    }
}

static bool is_summed(const Func *f, const Inst *loop, unsigned k, ReduceKind *kind)
{
    const Region body = inst_region(loop, 0);
    bool any = false;
    Value from = region_arg(f, body, k + 1);
    Value to = inst_arg(f, inst_at(f, region_at(f, body)->last), k);
    *kind = REDUCE_SUM;
    return accumulates(f, to, from, kind, &any) && any && is_unseen(f, body, to, from);
}

// ---- extremes with their places

// What becomes of result k: a choice of something new; NULL: anything else.
static const Inst *choice_of(const Func *f, const Inst *loop, unsigned k)
{
    const Region body = inst_region(loop, 0);
    const Inst *in = value_def(f, inst_arg(f, inst_at(f, region_at(f, body)->last), k));
    bool chooses = in && in->op == OP_SELECT &&
                   inst_arg(f, in, 2).i == region_arg(f, body, k + 1).i &&
                   !depends(f, inst_arg(f, in, 1), region_arg(f, body, k + 1), LOOK_MAX);
    return chooses ? in : NULL;
}

// Whether v is computed from a comparison x < y.
static bool compares(const Func *f, Value v, Value x, Value y, int depth)
{
    const Inst *in = value_def(f, v);
    if (!in || !depth) return false;
    if (in->op == OP_LT && inst_arg(f, in, 0).i == x.i && inst_arg(f, in, 1).i == y.i) return true;
    for_each_arg(f, in, k, arg)
        if (compares(f, arg, x, y, depth - 1)) return true;
    return false;
}

// Results `value` and `place` are chosen together. As the loop's iterations may run in any order,
// it can only be the first largest (smallest) of all.
static bool is_extreme(const Func *f, const Inst *loop, unsigned value, unsigned place,
                       ReduceKind *kind)
{
    enum { DEEP = 8 };
    const Inst *a = choice_of(f, loop, value), *b = choice_of(f, loop, place);
    if (value == place || !a || !b || inst_arg(f, a, 0).i != inst_arg(f, b, 0).i) return false;
    const Value take = inst_arg(f, a, 0), from = inst_arg(f, a, 2), x = inst_arg(f, a, 1);
    if (value_dtype(f, x) == DTYPE_BOOL || value_dtype(f, inst_arg(f, b, 1)) != DTYPE_I64 ||
        !compares(f, take, inst_arg(f, b, 1), inst_arg(f, b, 2), DEEP))
        return false;
    *kind = compares(f, take, from, x, DEEP) ? REDUCE_ARGMAX : REDUCE_ARGMIN;
    return *kind == REDUCE_ARGMAX || compares(f, take, x, from, DEEP);
}

// ---- all

bool deal_carried(const Func *f, const Inst *loop, Carried *carried)
{
    const unsigned count = loop->result_count;
    for (unsigned k = 0; k < count; k++) carried[k] = (Carried){.place = NO_PLACE};
    for (unsigned k = 0; k < count; k++) {
        if (carried[k].is_place || is_summed(f, loop, k, &carried[k].kind)) continue;
        unsigned place = 0;
        while (place < count && !is_extreme(f, loop, k, place, &carried[k].kind)) place++;
        if (place == count) return false;
        carried[k].place = place;
        carried[place].is_place = true;
    }
    return true;
}

// ---- scans

static bool depends_on_state(const Func *f, const Inst *loop, Value v)
{
    for (unsigned k = 0; k < loop->result_count; k++)
        if (depends(f, v, region_arg(f, inst_region(loop, 0), k + 1), LOOK_MAX)) return true;
    return false;
}

static bool is_scanned(const Func *f, const Inst *loop, unsigned k, Carried *carried)
{
    const Region body = inst_region(loop, 0);
    const Value from = region_arg(f, body, k + 1);
    const Inst *in = value_def(f, inst_arg(f, inst_at(f, region_at(f, body)->last), k));
    *carried = (Carried){.place = NO_PLACE};
    if (in && in->op == OP_SELECT && inst_arg(f, in, 2).i == from.i) {
        carried->mask = inst_arg(f, in, 0);
        in = value_def(f, inst_arg(f, in, 1));
        if (depends_on_state(f, loop, carried->mask)) return false;
    }
    if (!in || in->op == OP_FMA || in->arg_count != 2 ||
        !kind_of_op(in->op, value_dtype(f, from), &carried->kind))
        return false;
    const unsigned on = inst_arg(f, in, 0).i == from.i ? 0 : 1;
    carried->added = inst_arg(f, in, 1 - on);
    return inst_arg(f, in, on).i == from.i && !depends_on_state(f, loop, carried->added);
}

static unsigned accesses_of(const Func *f, Region body, uint32_t mem)
{
    unsigned n = 0;
    for_each_inst(f, body, id) {
        const Inst *in = inst_at(f, id);
        n += deal_offset(f, in).i && in->attr.ref == mem;
    }
    return n;
}

// Whether each iteration stores to elements of its own, of a memory that it does not read.
static bool stores_apart(const Func *f, const Inst *loop, const Inst *store)
{
    const Region body = inst_region(loop, 0);
    const Affine at = affine_of(f, deal_offset(f, store));
    const Value index = region_arg(f, body, 0);
    const int64_t factor = affine_factor(&at, index);
    int64_t step;
    const Type type = value_type(f, inst_arg(f, store, 0));
    if (store->op != OP_STORE || accesses_of(f, body, store->attr.ref) != 1 || !at.known ||
        !factor || !value_const_int(f, inst_arg(f, loop, 2), &step) || step <= 0)
        return false;
    for (unsigned k = 0; k < at.count; k++) {
        const Value atom = {at.terms[k].atom};
        if (atom.i != index.i && value_inside(f, atom, body)) return false;
    }
    return (factor < 0 ? -factor : factor) * step >= (type.lanes > 1 ? type.lanes : 1);
}

bool deal_scanned(const Func *f, const Inst *loop, Carried *carried)
{
    const Region body = inst_region(loop, 0);
    if (loop->op != OP_FOR || (loop->flags & INST_WHILE) || !loop->result_count) return false;
    for_each_inst(f, body, id) {
        const Inst *in = inst_at(f, id);
        const unsigned traits = op_info[in->op].traits;
        if (in->op == OP_YIELD) continue;
        if (in->region_count || in->op == OP_ATOMIC || in->op == OP_CHECK) return false;
        if (traits & TRAIT_WRITES) {
            if (!stores_apart(f, loop, in)) return false;
        } else if (!(traits & (TRAIT_PURE | TRAIT_READS))) {
            return false;
        }
    }
    for (unsigned k = 0; k < loop->result_count; k++)
        if (!is_scanned(f, loop, k, &carried[k])) return false;
    return true;
}
