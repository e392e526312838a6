// Facts about a Loop IR function: an interval for each integer, who uses what, and where overflow
// cannot matter.
//
// Signed overflow is undefined in OpenCL C while Hako's integers wrap, so sums and products are
// computed unsigned unless their interval proves them small or they only ever become an offset into
// memory.
#include "backends/opencl/program.h"

Range ocl_range_of_type(DType t)
{
    unsigned bits = dtype_info[t].bits;
    switch (dtype_info[t].class_) {
    case DCLASS_BOOL: return (Range){0, 1};
    case DCLASS_INT:
        return bits >= 64 ? (Range){INT64_MIN, INT64_MAX}
                          : (Range){-((int64_t)1 << (bits - 1)), ((int64_t)1 << (bits - 1)) - 1};
    case DCLASS_UINT: return (Range){0, ((int64_t)1 << bits) - 1};
    case DCLASS_NONE:
    case DCLASS_FLOAT: break;
    }
    return (Range){INT64_MIN, INT64_MAX};
}

static bool combine(Op op, int64_t a, int64_t b, int64_t *r)
{
    if (op == OP_ADD) return !__builtin_add_overflow(a, b, r);
    if (op == OP_SUB) return !__builtin_sub_overflow(a, b, r);
    return !__builtin_mul_overflow(a, b, r);
}

bool ocl_range_binary(Op op, Range a, Range b, unsigned bits, Range *result)
{
    const int64_t ends_a[2] = {a.lo, a.hi}, ends_b[2] = {b.lo, b.hi};
    Range r = {INT64_MAX, INT64_MIN};
    for (unsigned i = 0; i < 4; i++) {
        int64_t x;
        if (!combine(op, ends_a[i & 1], ends_b[i >> 1], &x)) return false;
        if (x < r.lo) r.lo = x;
        if (x > r.hi) r.hi = x;
    }
    Range limit = ocl_range_of_type(bits == 32 ? DTYPE_I32 : DTYPE_I64);
    if (r.lo < limit.lo || r.hi > limit.hi) return false;
    *result = r;
    return true;
}

static Range range_join(Range a, Range b)
{
    return (Range){a.lo < b.lo ? a.lo : b.lo, a.hi > b.hi ? a.hi : b.hi};
}

static Range range_meet(Range a, Range b)
{
    Range r = {a.lo > b.lo ? a.lo : b.lo, a.hi < b.hi ? a.hi : b.hi};
    return r.lo <= r.hi ? r : b;
}

static Range arg_range(const Facts *facts, const Func *f, const Inst *in, unsigned k)
{
    return facts->ranges[inst_arg(f, in, k).i];
}

static Range divide(Range a, Range b, Range otherwise)
{
    if (b.lo <= 0 || a.lo < 0) return otherwise;
    return (Range){a.lo / b.hi, a.hi / b.lo};
}

static Range remainder_range(Range a, Range b, Range otherwise)
{
    if (b.lo <= 0) return otherwise;
    int64_t most = b.hi - 1;
    if (a.lo >= 0) return (Range){0, a.hi < most ? a.hi : most};
    return (Range){-most, most};
}

// a - a % b, the part of a range that whole blocks cover, is not negative and at most a.
static bool is_rounded_down(const Func *f, const Inst *in, Range a)
{
    const Inst *rem = value_def(f, inst_arg(f, in, 1));
    return rem && rem->op == OP_REM && a.lo >= 0 && inst_arg(f, rem, 0).i == inst_arg(f, in, 0).i;
}

// What a promise, checked at the launch, says of a tensor's values.
static Range promised(const Facts *facts, const Func *f, const Inst *load, Range otherwise)
{
    for_each_inst(f, f->body, id) {
        const Inst *in = inst_at(f, id);
        if (in->op == OP_PHASE) break;
        bool says = in->op == OP_REFINE && in->attr.kind == REFINE_RANGE &&
                    in->attr.ref == load->attr.ref && in->arg_count == 2;
        if (!says) continue;
        Range lo = arg_range(facts, f, in, 0), hi = arg_range(facts, f, in, 1);
        Range zero = inst_mask(f, load).i ? (Range){0, 0} : (Range){lo.lo, lo.lo};
        return hi.hi > lo.lo ? range_join((Range){lo.lo, hi.hi - 1}, zero) : otherwise;
    }
    return otherwise;
}

// The interval of the single result of `in`, an integer or bool of dtype t.
static Range range_of(const Facts *facts, const Func *f, const Inst *in, DType t)
{
    const Range full = ocl_range_of_type(t);
    Range a = in->arg_count > 0 ? arg_range(facts, f, in, 0) : full;
    Range b = in->arg_count > 1 ? arg_range(facts, f, in, 1) : full, r;
    const unsigned op = in->op;
    if (op == OP_CONST) {
        int64_t x = t == DTYPE_BOOL ? (int64_t)(in->attr.bits & 1) : (int64_t)in->attr.bits;
        return t == DTYPE_I32 ? (Range){(int32_t)x, (int32_t)x} : (Range){x, x};
    }
    if (op == OP_DIM || op == OP_EXTENT) return (Range){0, INT64_MAX};
    if (op == OP_SUB && is_rounded_down(f, in, a)) return (Range){0, a.hi};
    if (op == OP_LOAD || op == OP_GATHER) return promised(facts, f, in, full);
    if (op == OP_ADD || op == OP_SUB || op == OP_MUL) {
        return ocl_range_binary((Op)op, a, b, dtype_info[t].bits, &r) ? r : full;
    }
    if (op == OP_DIV) return divide(a, b, full);
    if (op == OP_REM) return remainder_range(a, b, full);
    if (op == OP_MIN || op == OP_FMIN) {
        return (Range){a.lo < b.lo ? a.lo : b.lo, a.hi < b.hi ? a.hi : b.hi};
    }
    if (op == OP_MAX || op == OP_FMAX) {
        return (Range){a.lo > b.lo ? a.lo : b.lo, a.hi > b.hi ? a.hi : b.hi};
    }
    if (op == OP_SELECT) return range_join(b, arg_range(facts, f, in, 2));
    if (op == OP_SPLAT || op == OP_EXTRACT || op == OP_VREDUCE) return op == OP_VREDUCE ? full : a;
    if (op == OP_IOTA) return (Range){0, value_type(f, inst_result(in, 0)).lanes};
    if (op == OP_AND && a.lo >= 0 && b.lo >= 0) return (Range){0, a.hi < b.hi ? a.hi : b.hi};
    if (op == OP_CAST && !dtype_is_float(value_dtype(f, inst_arg(f, in, 0)))) {
        return a.lo >= full.lo && a.hi <= full.hi ? a : full;
    }
    return full;
}

static void infer_range(Facts *facts, const Func *f, const Inst *in)
{
    for (unsigned k = 0; k < in->result_count; k++) {
        Value v = inst_result(in, k);
        DType t = value_dtype(f, v);
        facts->ranges[v.i] = ocl_range_of_type(t);
        if (!dtype_is_float(t) && in->op != OP_FOR && in->op != OP_IF) {
            facts->ranges[v.i] = range_of(facts, f, in, t);
        }
    }
    if (in->op == OP_PHASE && in->arg_count > 0) {
        int64_t count = arg_range(facts, f, in, 0).hi;
        Value unit = region_arg(f, inst_region(in, 0), 0);
        facts->ranges[unit.i] = (Range){0, count > 0 ? count - 1 : 0};
    }
    if (in->op == OP_FOR) {
        Range lo = arg_range(facts, f, in, 0), hi = arg_range(facts, f, in, 1);
        const RegionInfo *body = region_at(f, inst_region(in, 0));
        for (unsigned k = 0; k < body->arg_count; k++) {
            facts->ranges[body->args + k] =
                ocl_range_of_type(value_dtype(f, (Value){body->args + k}));
        }
        int64_t last = hi.hi > INT64_MIN ? hi.hi - 1 : hi.hi;
        facts->ranges[body->args] = (Range){lo.lo, last > lo.lo ? last : lo.lo};
        facts->ranges[body->args] = range_meet(
            facts->ranges[body->args], ocl_range_of_type(value_dtype(f, (Value){body->args})));
    }
}

static void visit(Facts *facts, Arena *arena, const Func *f, Region r)
{
    for_each_inst(f, r, id) {
        const Inst *in = inst_at(f, id);
        vec_push(arena, &facts->order, id);
        infer_range(facts, f, in);
        for_each_arg(f, in, k, v) {
            facts->uses[v.i]++;
            facts->user[v.i] = id;
        }
        for (unsigned k = 0; k < in->region_count; k++) {
            visit(facts, arena, f, inst_region(in, k));
        }
    }
}

static bool is_memory_offset(const Inst *in, unsigned k)
{
    if (in->op == OP_LOAD || in->op == OP_GATHER || in->op == OP_PREFETCH) return k == 0;
    if (in->op == OP_ATOMIC) return k == (in->attr.kind == ATOMIC_CAS ? 2 : 1);
    return (in->op == OP_STORE || in->op == OP_SCATTER) && k == 1;
}

// From uses to definitions: an operand is offset-only if each of its uses is.
static void find_offsets(Facts *facts, const Func *f)
{
    for (uint32_t i = 0; i < f->values.count; i++) {
        facts->is_offset[i] = facts->is_cast_only[i] = facts->uses[i] > 0;
    }
    for (uint32_t n = facts->order.count; n-- > 0;) {
        const Inst *in = inst_at(f, facts->order.data[n]);
        const bool passes_on = in->op == OP_ADD || in->op == OP_SUB || in->op == OP_MUL ||
                               in->op == OP_CAST || in->op == OP_SPLAT;
        for_each_arg(f, in, k, v) {
            bool ok =
                is_memory_offset(in, k) || (passes_on && facts->is_offset[inst_result(in, 0).i]);
            if (!ok) facts->is_offset[v.i] = false;
            if (in->op != OP_CAST) facts->is_cast_only[v.i] = false;
        }
    }
}

// Users come later than definitions, so one walk backwards finds where each value will be computed
// if every single-use value stands in the expression of its user.
static void find_written(Facts *facts, const Func *f)
{
    for (uint32_t n = facts->order.count; n-- > 0;) {
        InstId id = facts->order.data[n];
        const Inst *in = inst_at(f, id);
        for (unsigned k = 0; k < in->result_count; k++) {
            Value v = inst_result(in, k);
            facts->written[v.i] = id;
            if (facts->uses[v.i] != 1) continue;
            const Inst *user = inst_at(f, facts->user[v.i]);
            if (user->parent.i != in->parent.i) continue;
            bool is_pure = (op_info[user->op].traits & TRAIT_PURE) && user->result_count == 1;
            facts->written[v.i] =
                is_pure ? facts->written[inst_result(user, 0).i] : facts->user[v.i];
        }
    }
}

Facts *ocl_facts_of(Arena *arena, const Func *f)
{
    Facts *facts = arena_new(arena, Facts);
    const uint32_t values = f->values.count;
    facts->ranges = arena_array(arena, Range, values);
    facts->is_offset = arena_array(arena, bool, values);
    facts->is_cast_only = arena_array(arena, bool, values);
    facts->uses = arena_array(arena, uint32_t, values);
    facts->user = arena_array(arena, InstId, values);
    facts->written = arena_array(arena, InstId, values);
    visit(facts, arena, f, f->body);
    find_offsets(facts, f);
    find_written(facts, f);
    return facts;
}
