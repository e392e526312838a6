// The laws of single instructions: counts, attributes, dtypes, axes, lanes. One function per law or
// family.
#include "ir/verify.h"

// ---- shape

static bool check_attr(Verifier *v, InstId id)
{
    const Func *f = v->f;
    const Inst *in = inst_at(f, id);
    uint32_t ref = in->attr.ref, kind = in->attr.kind;
    bool mem_ok = ref > 0 && ref<f->mems.count, axis_ok = ref> 0 && ref < f->axes.count;
    bool ok = true;
    switch ((OpAttr)op_info[in->op].attr) {
    case ATTR_NONE:
    case ATTR_CONST: break;
    case ATTR_AXIS: ok = axis_ok; break;
    case ATTR_AXES:
        ok = kind < REDUCE_COUNT && (in->attr.bits >> (f->axes.count - 1) >> 1) == 0;
        break;
    case ATTR_MEM:
        ok = mem_ok && (in->op != OP_FOLD || kind < REDUCE_COUNT);
        if (in->op == OP_ATOMIC_TILE || in->op == OP_ATOMIC)
            ok = mem_ok && kind < ATOMIC_COUNT && atomic_name[kind];
        break;
    case ATTR_COMBINE:
        ok = kind < COMBINE_KINDS && (in->attr.bits >> (f->axes.count - 1) >> 1) == 0;
        break;
    case ATTR_SORT: ok = axis_ok && (in->attr.bits >> (f->axes.count - 1) >> 1) == 0; break;
    case ATTR_DIM: ok = ref < f->dims.count; break;
    case ATTR_ARG: ok = ref < f->args.count; break;
    case ATTR_DTYPE: ok = kind > DTYPE_NONE && kind < DTYPE_COUNT; break;
    case ATTR_SITE: ok = ref < f->sites.count; break;
    case ATTR_LOOP: ok = kind < LOOP_COUNT; break;
    case ATTR_INFO: ok = axis_ok && kind < INFO_KINDS; break;
    case ATTR_REFINE: ok = mem_ok && kind < REFINE_KINDS; break;
    case ATTR_ALIGN: ok = mem_ok; break;
    }
    return ok || verify_fail(v, id, "its attribute points nowhere");
}

// The least and largest number of operands without the mask.
static void operand_range(const Func *f, const Inst *in, unsigned *least, unsigned *largest)
{
    unsigned rank = 0;
    unsigned attr = op_info[in->op].attr;
    if (attr == ATTR_MEM || attr == ATTR_REFINE) rank = mem_at(f, (Mem){in->attr.ref})->rank;
    *least = *largest = op_info[in->op].arity;
    if (op_info[in->op].arity != ARITY_N) return;
    *least = 0;
    *largest = UINT16_MAX;
    if (in->op == OP_ARG)
        *largest = 1;
    else if (in->op == OP_TENSOR || in->op == OP_LOAD_TILE)
        *least = *largest = rank;
    else if (in->op == OP_STORE_TILE || in->op == OP_FOLD)
        *least = *largest = rank + 1;
    else if (in->op == OP_ATOMIC_TILE || in->op == OP_ATOMIC)
        *least = *largest =
            (in->attr.kind == ATOMIC_CAS ? 2 : 1) + (in->op == OP_ATOMIC_TILE ? rank : 1);
    else if (in->op == OP_REFINE)
        *least = *largest = in->attr.kind == REFINE_RANGE ? 2 : 1;
    else if (in->op == OP_PHASE)
        *least = *largest = f->level == LEVEL_LOOP ? 1 : 0;
    else if (in->op == OP_GRID)
        *least = 2, *largest = 3;
    else if (in->op == OP_LOOP || in->op == OP_FOR)
        *least = *largest = 3u + in->result_count;
    else if (in->op == OP_REDUCE || in->op == OP_SORT || in->op == OP_LOAD || in->op == OP_GATHER)
        *least = *largest = 1;
    else if (in->op == OP_SEARCH)
        *least = *largest = 4;
    else if (in->op == OP_TAKE)
        *least = *largest = 1u + (unsigned)__builtin_popcountll(in->attr.bits);
    else if (in->op == OP_COMBINE)
        *least = 2 * combine_width(in);
    else if (in->op == OP_STORE || in->op == OP_SCATTER)
        *least = *largest = 2;
    else if (in->op == OP_CHECK)
        *least = 1, *largest = 3;
}

static bool may_be_masked(unsigned op)
{
    return op == OP_LOAD_TILE || op == OP_STORE_TILE || op == OP_FOLD || op == OP_REDUCE ||
           op == OP_COMBINE || op == OP_SORT || op == OP_TAKE || op == OP_CHECK || op == OP_LOAD ||
           op == OP_GATHER || op == OP_STORE || op == OP_SCATTER || op == OP_PRINT ||
           op == OP_ATOMIC_TILE || op == OP_ATOMIC;
}

static bool check_counts(Verifier *v, InstId id)
{
    const Func *f = v->f;
    const Inst *in = inst_at(f, id);
    const OpInfo *info = &op_info[in->op];
    unsigned least, largest, regions = !(info->traits & TRAIT_REGION) ? 0 : in->op == OP_IF ? 2 : 1;
    if ((in->flags & INST_MASKED) && (!may_be_masked(in->op) || !in->arg_count)) {
        return verify_fail(v, id, "cannot have a mask");
    }
    operand_range(f, in, &least, &largest);
    unsigned plain = inst_plain_args(in);
    bool ok = plain >= least && plain <= largest && !(in->op == OP_CHECK && plain == 2);
    if (!ok) return verify_fail(v, id, "wrong number of operands");
    if (in->region_count != regions) return verify_fail(v, id, "wrong number of regions");
    bool results_ok = info->rule == RULE_NONE          ? in->result_count == 0
                      : info->rule == RULE_LIKE_REGION ? true
                      : in->op == OP_COMBINE           ? combine_width(in) > 0
                      : in->op == OP_SORT              ? in->result_count == 2
                                                       : in->result_count == 1;
    if (!results_ok) return verify_fail(v, id, "wrong number of results");
    return (uint64_t)in->results + in->result_count <= f->values.count ||
           verify_fail(v, id, "its results do not exist");
}

// In Tile IR values have axes, no lanes, and arithmetic types.
static bool check_result_level(Verifier *v, InstId id)
{
    const Inst *in = inst_at(v->f, id);
    for (unsigned k = 0; k < in->result_count; k++) {
        Type type = value_type(v->f, inst_result(in, k));
        bool valid = type.dtype > DTYPE_NONE && type.dtype < DTYPE_COUNT;
        if (!valid) return verify_fail(v, id, "a result without dtype");
        bool ok = v->f->level == LEVEL_TILE ? !type.lanes && dtype_is_arith((DType)type.dtype)
                                            : !type.axes;
        if (!ok) return verify_fail(v, id, "the type of a result does not belong to this level");
    }
    return true;
}

bool verify_shape(Verifier *v, InstId id)
{
    const Inst *in = inst_at(v->f, id);
    if (!(op_info[in->op].levels & v->f->level))
        return verify_fail(v, id, "does not belong to this level");
    return check_attr(v, id) && check_counts(v, id) && check_result_level(v, id);
}

// ---- types

static Type arg_type(const Func *f, const Inst *in, unsigned k)
{
    return value_type(f, inst_arg(f, in, k));
}

static Type result_type(const Func *f, const Inst *in)
{
    return value_type(f, inst_result(in, 0));
}

static bool is_scalar(Type t, DType dtype)
{
    return t.dtype == dtype && !t.axes && !t.lanes;
}

static bool scalars(Verifier *v, InstId id, unsigned first, unsigned count, DType dtype)
{
    const Inst *in = inst_at(v->f, id);
    for (unsigned k = first; k < first + count; k++) {
        if (is_scalar(arg_type(v->f, in, k), dtype)) continue;
        return verify_fail(v, id, "operand %u is not a scalar of type %s", k,
                           dtype_info[dtype].name);
    }
    return true;
}

// The result has the axes of all operands (Tile) or their common number of lanes (Loop).
static bool unites(Verifier *v, InstId id)
{
    const Func *f = v->f;
    const Inst *in = inst_at(f, id);
    AxisSet axes = 0;
    for (unsigned k = 0; k < in->arg_count; k++) {
        axes |= arg_type(f, in, k).axes;
        if (arg_type(f, in, k).lanes != result_type(f, in).lanes)
            return verify_fail(v, id, "lanes differ");
    }
    return axes == result_type(f, in).axes ||
           verify_fail(v, id, "its axes are not those of its operands");
}

static bool same_dtypes(Verifier *v, InstId id, unsigned first)
{
    const Func *f = v->f;
    const Inst *in = inst_at(f, id);
    for (unsigned k = first; k < in->arg_count; k++) {
        if (arg_type(f, in, k).dtype != arg_type(f, in, first).dtype) {
            return verify_fail(v, id, "its operands differ in dtype");
        }
    }
    return true;
}

static bool law_elementwise(Verifier *v, InstId id)
{
    const Func *f = v->f;
    const Inst *in = inst_at(f, id);
    DType operand = (DType)arg_type(f, in, 0).dtype, result = (DType)result_type(f, in).dtype;
    if (!same_dtypes(v, id, 0) || !unites(v, id)) return false;
    if (!dtype_is_arith(operand)) return verify_fail(v, id, "computes with a storage type");
    DType want = op_info[in->op].rule == RULE_BOOL ? DTYPE_BOOL : operand;
    return result == want || verify_fail(v, id, "its result should be %s", dtype_info[want].name);
}

static bool law_select(Verifier *v, InstId id)
{
    const Func *f = v->f;
    const Inst *in = inst_at(f, id);
    if (!same_dtypes(v, id, 1) || !unites(v, id)) return false;
    if (arg_type(f, in, 0).dtype != DTYPE_BOOL)
        return verify_fail(v, id, "its condition is no bool");
    return result_type(f, in).dtype == arg_type(f, in, 1).dtype ||
           verify_fail(v, id, "its result has another dtype");
}

static bool law_convert(Verifier *v, InstId id)
{
    const Func *f = v->f;
    const Inst *in = inst_at(f, id);
    DType from = (DType)arg_type(f, in, 0).dtype, to = (DType)result_type(f, in).dtype;
    if (!unites(v, id)) return false;
    bool width_ok = in->op != OP_BITCAST || dtype_info[from].bits == dtype_info[to].bits;
    if (!width_ok) return verify_fail(v, id, "a bitcast keeps the width");
    bool nearest_ok = in->op != OP_NEAREST || to == dtype_info[in->attr.kind].arith;
    return nearest_ok || verify_fail(v, id, "its result is not what its type widens to");
}

static bool law_outside(Verifier *v, InstId id)
{
    const Func *f = v->f;
    const Inst *in = inst_at(f, id);
    Type type = result_type(f, in);
    if (in->op == OP_CONST) return !type.axes || verify_fail(v, id, "a constant has no axes");
    DType want = in->op == OP_ARG ? f->args.data[in->attr.ref].dtype : DTYPE_I64;
    if (!is_scalar(type, want))
        return verify_fail(v, id, "should be a scalar of type %s", dtype_info[want].name);
    bool in_rank = in->op == OP_ARG || in->op == OP_DIM ||
                   in->attr.bits < mem_at(f, (Mem){in->attr.ref})->rank;
    if (!in_rank) return verify_fail(v, id, "the memory has no such dimension");
    return in->op != OP_ARG || scalars(v, id, 0, in->arg_count, want);
}

static bool law_prologue(Verifier *v, InstId id)
{
    const Inst *in = inst_at(v->f, id);
    if (in->op == OP_REQUIRE) return scalars(v, id, 0, 1, DTYPE_BOOL);
    bool declares = in->op == OP_TENSOR || in->op == OP_SCRATCH;
    if (declares && mem_at(v->f, (Mem){in->attr.ref})->decl.i != id.i) {
        return verify_fail(v, id, "the memory is declared by another instruction");
    }
    return scalars(v, id, 0, in->arg_count, DTYPE_I64);
}

static bool law_axis_in_scope(Verifier *v, InstId id)
{
    const Func *f = v->f;
    const Inst *in = inst_at(f, id);
    Axis axis = {in->attr.ref};
    if (!(v->declared & axis_bit(axis))) return verify_fail(v, id, "the axis is not declared here");
    bool varies = in->op == OP_INDEX && !axis_at(f, axis)->scalar;
    Type want = type_tile(DTYPE_I64, varies ? axis_bit(axis) : 0);
    return type_equal(result_type(f, in), want) ||
           verify_fail(v, id, "its type is not that of an index");
}

static bool law_mask(Verifier *v, InstId id)
{
    Value mask = inst_mask(v->f, inst_at(v->f, id));
    return !mask.i || value_dtype(v->f, mask) == DTYPE_BOOL ||
           verify_fail(v, id, "its mask is no bool");
}

static bool indices(Verifier *v, InstId id, unsigned first, AxisSet *axes)
{
    const Func *f = v->f;
    const Inst *in = inst_at(f, id);
    *axes = 0;
    for (unsigned k = first; k < inst_plain_args(in); k++) {
        Type type = arg_type(f, in, k);
        if (type.dtype != DTYPE_I64 && type.dtype != DTYPE_I32)
            return verify_fail(v, id, "operand %u is no index", k);
        *axes |= type.axes;
    }
    return true;
}

static bool law_access(Verifier *v, InstId id)
{
    const Func *f = v->f;
    const Inst *in = inst_at(f, id);
    const MemInfo *mem = mem_at(f, (Mem){in->attr.ref});
    DType arith = dtype_info[mem->dtype].arith;
    AxisSet axes;
    bool is_load = in->op == OP_LOAD_TILE;
    if (!mem->decl.i) return verify_fail(v, id, "the memory is not declared");
    if (!indices(v, id, is_load ? 0 : 1, &axes) || !law_mask(v, id)) return false;
    if (in->attr.bits >> mem->rank)
        return verify_fail(v, id, "checks a position that is not there");
    Type type = is_load ? result_type(f, in) : arg_type(f, in, 0);
    if (type.dtype != arith)
        return verify_fail(v, id, "its value should be %s", dtype_info[arith].name);
    if (is_load) {
        AxisSet mask = (in->flags & INST_MASKED) ? value_axes(f, inst_mask(f, in)) : 0;
        bool ok = !(axes & ~type.axes) && !(mask & ~type.axes) && !(type.axes & ~(axes | mask));
        return ok || verify_fail(v, id, "its axes are not those of its indices");
    }
    // What the range of an index's axis varies along is in the mask: `y[j]` for the pairs (b, j) in
    // range.
    AxisSet mask = (in->flags & INST_MASKED) ? value_axes(f, inst_mask(f, in)) : 0;
    bool left_over = in->op == OP_STORE_TILE && (type.axes & ~(axes | mask));
    return !left_over || verify_fail(v, id, "its value has an axis that no index has");
}

// Values are of the type that the memory's widens to; bits of floats are not combined.
static bool atomic_values(Verifier *v, InstId id)
{
    const Func *f = v->f;
    const Inst *in = inst_at(f, id);
    DType arith = dtype_info[mem_at(f, (Mem){in->attr.ref})->dtype].arith;
    unsigned count = in->attr.kind == ATOMIC_CAS ? 2 : 1;
    for (unsigned k = 0; k < count; k++) {
        if (arg_type(f, in, k).dtype == arith) continue;
        return verify_fail(v, id, "its value should be %s", dtype_info[arith].name);
    }
    bool bitwise =
        in->attr.kind == REDUCE_AND || in->attr.kind == REDUCE_OR || in->attr.kind == REDUCE_XOR;
    if (bitwise && dtype_is_float(arith)) return verify_fail(v, id, "combines bits of floats");
    return result_type(f, in).dtype == arith ||
           verify_fail(v, id, "its result should be %s", dtype_info[arith].name);
}

static bool law_atomic_tile(Verifier *v, InstId id)
{
    const Func *f = v->f;
    const Inst *in = inst_at(f, id);
    const MemInfo *mem = mem_at(f, (Mem){in->attr.ref});
    AxisSet axes = 0, unused;
    if (!mem->decl.i) return verify_fail(v, id, "the memory is not declared");
    if (!atomic_values(v, id) || !law_mask(v, id)) return false;
    if (!indices(v, id, in->attr.kind == ATOMIC_CAS ? 2 : 1, &unused)) return false;
    if (in->attr.bits >> mem->rank)
        return verify_fail(v, id, "checks a position that is not there");
    for (unsigned k = 0; k < in->arg_count; k++) axes |= arg_type(f, in, k).axes;
    return result_type(f, in).axes == axes ||
           verify_fail(v, id, "its axes are not those of its operands");
}

static bool law_reduce(Verifier *v, InstId id)
{
    const Func *f = v->f;
    const Inst *in = inst_at(f, id);
    Type value = arg_type(f, in, 0), result = result_type(f, in);
    AxisSet axes = value.axes | ((in->flags & INST_MASKED) ? value_axes(f, inst_mask(f, in)) : 0);
    ReduceKind kind = (ReduceKind)in->attr.kind;
    bool finds = kind == REDUCE_ARGMAX || kind == REDUCE_ARGMIN,
         tests = kind == REDUCE_ANY || kind == REDUCE_ALL;
    if (!law_mask(v, id)) return false;
    if (!in->attr.bits) return verify_fail(v, id, "reduces over no axis");
    if (in->attr.bits & ~v->declared) return verify_fail(v, id, "an axis is not declared here");
    if (result.axes != (axes & ~in->attr.bits))
        return verify_fail(v, id, "its axes are not those that remain");
    if (tests && value.dtype != DTYPE_BOOL) return verify_fail(v, id, "its value is no bool");
    DType want = finds ? DTYPE_I64 : (DType)value.dtype;
    return result.dtype == want ||
           verify_fail(v, id, "its result should be %s", dtype_info[want].name);
}

static AxisSet operand_axes(const Func *f, const Inst *in)
{
    AxisSet axes = 0;
    for_each_arg(f, in, k, a) axes |= value_axes(f, a);
    return axes;
}

// Initial values, values and results of one dtype each; all results vary over all that is left.
static bool law_combine(Verifier *v, InstId id)
{
    const Func *f = v->f;
    const Inst *in = inst_at(f, id);
    unsigned width = combine_width(in);
    bool scans = in->attr.kind == COMBINE_SCAN;
    AxisSet left = operand_axes(f, in) & ~in->attr.bits;
    if (!law_mask(v, id)) return false;
    if (!in->attr.bits) return verify_fail(v, id, "combines along no axis");
    if (in->attr.bits & ~v->declared) return verify_fail(v, id, "an axis is not declared here");
    if (scans && (__builtin_popcountll(in->attr.bits) != 1 || in->result_count % 2))
        return verify_fail(v, id, "scans one axis, with two results for each value");
    for (unsigned k = 0; k < width; k++)
        if (arg_type(f, in, k).axes & in->attr.bits)
            return verify_fail(v, id, "initial value %u varies along the axes", k);
    for (unsigned k = 2 * width; k < inst_plain_args(in); k++)
        if (arg_type(f, in, k).axes & in->attr.bits)
            return verify_fail(v, id, "operand %u is captured and varies along the axes", k);
    for (unsigned k = 0; k < in->result_count; k++) {
        Type type = value_type(f, inst_result(in, k));
        AxisSet axes = scans && k < width ? left | in->attr.bits : left;
        if (type.axes != axes) return verify_fail(v, id, "result %u has other axes", k);
        bool same = type.dtype == arg_type(f, in, k % width).dtype;
        if (!same) return verify_fail(v, id, "result %u is of another dtype", k);
    }
    return true;
}

// Its region sees its arguments alone, and computes element by element.
static bool law_combine_inst(Verifier *v, InstId id, Region r)
{
    const Func *f = v->f;
    const Inst *in = inst_at(f, id);
    bool elementwise =
        in->op == OP_CONST || in->op == OP_YIELD || (in->op >= OP_ADD && in->op <= OP_BITCAST);
    if (!elementwise) return verify_fail(v, id, "does not belong into a combine");
    for_each_arg(f, in, k, a) {
        const ValueInfo *value = value_at(f, a);
        Region home = value->def.i ? inst_at(f, value->def)->parent : value->region;
        if (home.i != r.i) return verify_fail(v, id, "operand %u is from outside the region", k);
    }
    return true;
}

bool verify_combine_region(Verifier *v, InstId id)
{
    const Func *f = v->f;
    const Inst *in = inst_at(f, id);
    Region r = inst_region(in, 0);
    unsigned width = combine_width(in), plain = inst_plain_args(in);
    AxisSet left = operand_axes(f, in) & ~in->attr.bits;
    if (region_at(f, r)->arg_count != plain)
        return verify_fail(v, id, "its region has %u arguments instead of %u",
                           region_at(f, r)->arg_count, plain);
    for (unsigned k = 0; k < plain; k++) {
        Type want = arg_type(f, in, k);
        want.axes = k < width ? left : want.axes & ~in->attr.bits;
        if (!type_equal(value_type(f, region_arg(f, r, k)), want))
            return verify_fail(v, id, "region argument %u has another type", k);
    }
    for_each_inst(f, r, inner)
        if (!law_combine_inst(v, inner, r)) return false;
    InstId last = region_at(f, r)->last;
    const Inst *end = last.i && inst_at(f, last)->op == OP_YIELD ? inst_at(f, last) : NULL;
    if (!end || end->arg_count != width) return verify_fail(v, id, "its region yields no state");
    for (unsigned k = 0; k < width; k++) {
        Type type = value_type(f, inst_arg(f, end, k));
        if (type.dtype != arg_type(f, in, k).dtype || type.lanes || (type.axes & ~left))
            return verify_fail(v, id, "yielded value %u does not have the type of the state", k);
    }
    return true;
}

static bool law_sort(Verifier *v, InstId id)
{
    const Func *f = v->f;
    const Inst *in = inst_at(f, id);
    Axis to = {in->attr.ref};
    AxisSet axes = operand_axes(f, in);
    if (!law_mask(v, id)) return false;
    if (__builtin_popcountll(in->attr.bits) != 1) return verify_fail(v, id, "sorts one axis");
    if ((in->attr.bits | axis_bit(to)) & ~v->declared)
        return verify_fail(v, id, "an axis is not declared here");
    if (!(in->attr.bits & axis_bit(to)) && (axes & axis_bit(to)))
        return verify_fail(v, id, "its value varies along the axis of its results");
    for (unsigned k = 0; k < 2; k++) {
        Type type = value_type(f, inst_result(in, k));
        if (type.axes != ((axes & ~in->attr.bits) | axis_bit(to)))
            return verify_fail(v, id, "result %u has other axes", k);
        if (type.dtype != (k ? DTYPE_I64 : arg_type(f, in, 0).dtype))
            return verify_fail(v, id, "result %u is of another dtype", k);
    }
    return arg_type(f, in, 0).dtype != DTYPE_BOOL || verify_fail(v, id, "sorts no bool");
}

static bool law_search(Verifier *v, InstId id)
{
    const Func *f = v->f;
    const Inst *in = inst_at(f, id);
    AxisSet axis = axis_bit((Axis){in->attr.ref});
    Type result = result_type(f, in);
    if (axis & ~v->declared) return verify_fail(v, id, "an axis is not declared here");
    if (arg_type(f, in, 0).dtype != arg_type(f, in, 1).dtype)
        return verify_fail(v, id, "seeks a value of another dtype");
    for (unsigned k = 1; k < 4; k++)
        if (arg_type(f, in, k).axes & axis || (k > 1 && arg_type(f, in, k).dtype != DTYPE_I64))
            return verify_fail(v, id, "operand %u has a wrong type", k);
    if (result.axes != (operand_axes(f, in) & ~axis))
        return verify_fail(v, id, "its axes are not those that remain");
    return result.dtype == DTYPE_I64 || verify_fail(v, id, "its result is no i64");
}

static bool law_take(Verifier *v, InstId id)
{
    const Func *f = v->f;
    const Inst *in = inst_at(f, id);
    Type value = arg_type(f, in, 0), result = result_type(f, in);
    AxisSet axes, mask = (in->flags & INST_MASKED) ? value_axes(f, inst_mask(f, in)) : 0;
    if (!indices(v, id, 1, &axes) || !law_mask(v, id)) return false;
    if (!in->attr.bits || (in->attr.bits & ~value.axes))
        return verify_fail(v, id, "its value has not the axes that it replaces");
    if (result.axes != ((value.axes & ~in->attr.bits) | axes | mask))
        return verify_fail(v, id, "its axes are not those of its value and indices");
    return result.dtype == value.dtype ||
           verify_fail(v, id, "its result is not of its value's dtype");
}

static bool law_check(Verifier *v, InstId id)
{
    const Func *f = v->f;
    const Inst *in = inst_at(f, id);
    if (arg_type(f, in, 0).dtype != DTYPE_BOOL)
        return verify_fail(v, id, "what it checks is no bool");
    for (unsigned k = 1; k < inst_plain_args(in); k++) {
        if (!dtype_is_int((DType)arg_type(f, in, k).dtype))
            return verify_fail(v, id, "operand %u is no integer", k);
    }
    return law_mask(v, id);
}

static bool law_structure(Verifier *v, InstId id)
{
    const Inst *in = inst_at(v->f, id);
    if (in->op == OP_IF) return scalars(v, id, 0, 1, DTYPE_BOOL);
    if ((in->flags & INST_WHILE) && in->op != OP_LOOP && in->op != OP_FOR)
        return verify_fail(v, id, "only loops can be while loops");
    if (in->op == OP_LOOP || in->op == OP_FOR) return scalars(v, id, 0, 3, DTYPE_I64);
    return scalars(v, id, 0, in->arg_count, DTYPE_I64); // phase, grid, axis
}

static bool law_memory(Verifier *v, InstId id)
{
    const Func *f = v->f;
    const Inst *in = inst_at(f, id);
    bool writes = in->op == OP_STORE || in->op == OP_SCATTER,
         spread = in->op == OP_GATHER || in->op == OP_SCATTER;
    Type value = writes ? arg_type(f, in, 0) : result_type(f, in),
         offset = arg_type(f, in, writes ? 1 : 0);
    Value mask = inst_mask(f, in);
    if (value.dtype != mem_at(f, (Mem){in->attr.ref})->dtype) {
        return verify_fail(v, id, "its value does not have the memory's dtype");
    }
    if (!spread && !is_scalar(offset, DTYPE_I64))
        return verify_fail(v, id, "its offset is no i64 scalar");
    bool offset_ok =
        (offset.dtype == DTYPE_I64 || offset.dtype == DTYPE_I32) && offset.lanes == value.lanes;
    if (spread && !offset_ok)
        return verify_fail(v, id, "its offsets are no integers, one for each lane");
    if (mask.i && value_type(f, mask).lanes != value.lanes)
        return verify_fail(v, id, "its mask has other lanes");
    return law_mask(v, id);
}

static bool law_atomic(Verifier *v, InstId id)
{
    const Func *f = v->f;
    const Inst *in = inst_at(f, id);
    Type offset = arg_type(f, in, in->attr.kind == ATOMIC_CAS ? 2 : 1);
    if (!atomic_values(v, id) || !law_mask(v, id)) return false;
    if (offset.dtype != DTYPE_I64 && offset.dtype != DTYPE_I32)
        return verify_fail(v, id, "its offset is no integer");
    for (unsigned k = 0; k < in->arg_count; k++) {
        if (arg_type(f, in, k).lanes != result_type(f, in).lanes)
            return verify_fail(v, id, "lanes differ");
    }
    return true;
}

static bool law_vector(Verifier *v, InstId id)
{
    const Func *f = v->f;
    const Inst *in = inst_at(f, id);
    Type result = result_type(f, in);
    if (in->op == OP_IOTA) {
        return (result.lanes && dtype_is_int((DType)result.dtype)) ||
               verify_fail(v, id, "should be an integer vector");
    }
    Type operand = arg_type(f, in, 0);
    if (operand.dtype != result.dtype) return verify_fail(v, id, "its result has another dtype");
    if (in->op == OP_ZIP || in->op == OP_UNZIP) {
        bool ok = type_equal(operand, arg_type(f, in, 1)) && type_equal(operand, result) &&
                  result.lanes % 2 == 0 && result.lanes && in->attr.bits < 2;
        return ok || verify_fail(v, id, "should have vectors of one type");
    }
    if (in->op == OP_SPREAD) {
        unsigned shift = in->attr.bits % 8;
        bool ok = type_equal(operand, result) && result.lanes &&
                  in->attr.bits / 8 + ((result.lanes - 1u) >> shift) < result.lanes;
        return ok || verify_fail(v, id, "takes lanes that are not there");
    }
    Type scalar = in->op == OP_SPLAT ? operand : result,
         vector = in->op == OP_SPLAT ? result : operand;
    if (scalar.lanes || !vector.lanes)
        return verify_fail(v, id, "goes between a scalar and a vector");
    bool lane_ok = in->op != OP_EXTRACT || in->attr.bits < vector.lanes;
    return lane_ok || verify_fail(v, id, "there is no such lane");
}

static bool law_dot(Verifier *v, InstId id)
{
    const Func *f = v->f;
    const Inst *in = inst_at(f, id);
    Type a = arg_type(f, in, 0), b = arg_type(f, in, 1), acc = arg_type(f, in, 2);
    bool bytes = (a.dtype == DTYPE_U8 && b.dtype == DTYPE_I8) ||
                 (a.dtype == DTYPE_I8 && b.dtype == DTYPE_U8);
    bool halves = a.dtype == DTYPE_BF16 && b.dtype == DTYPE_BF16;
    if (!type_equal(acc, result_type(f, in)) || acc.dtype != (bytes ? DTYPE_I32 : DTYPE_F32) ||
        !(bytes || halves))
        return verify_fail(v, id, "has other dtypes than such products have");
    bool ok = a.lanes == (bytes ? 4 : 2) && acc.lanes && b.lanes == a.lanes * acc.lanes;
    return ok || verify_fail(v, id, "its groups and lanes do not fit");
}

// Tile registers: 16 rows of 64 bytes.
static bool is_rows(Type t)
{
    return t.lanes * dtype_info[t.dtype].bits == 16 * 64 * 8;
}

static bool law_rows(Verifier *v, InstId id)
{
    const Func *f = v->f;
    const Inst *in = inst_at(f, id);
    bool stores = in->op == OP_STORE_ROWS;
    Type value = stores ? arg_type(f, in, 0) : result_type(f, in);
    if (!is_rows(value)) return verify_fail(v, id, "its vector is no 16 rows of 64 bytes");
    if (value.dtype != mem_at(f, (Mem){in->attr.ref})->dtype)
        return verify_fail(v, id, "its value does not have the memory's dtype");
    bool ok = is_scalar(arg_type(f, in, stores), DTYPE_I64) &&
              is_scalar(arg_type(f, in, stores + 1u), DTYPE_I64);
    return ok || verify_fail(v, id, "its offset or distance is no i64 scalar");
}

static bool law_dot_rows(Verifier *v, InstId id)
{
    const Func *f = v->f;
    const Inst *in = inst_at(f, id);
    Type a = arg_type(f, in, 0), b = arg_type(f, in, 1), acc = arg_type(f, in, 2);
    bool bytes = (a.dtype == DTYPE_U8 || a.dtype == DTYPE_I8) &&
                 (b.dtype == DTYPE_U8 || b.dtype == DTYPE_I8);
    bool halves = a.dtype == DTYPE_BF16 && b.dtype == DTYPE_BF16;
    if (!type_equal(acc, result_type(f, in)) || acc.dtype != (bytes ? DTYPE_I32 : DTYPE_F32) ||
        !(bytes || halves))
        return verify_fail(v, id, "has other dtypes than such products have");
    bool ok = is_rows(a) && is_rows(b) && is_rows(acc);
    return ok || verify_fail(v, id, "its operands are no 16 rows of 64 bytes");
}

bool verify_types(Verifier *v, InstId id)
{
    unsigned op = inst_at(v->f, id)->op;
    if (op >= OP_CONST && op <= OP_STRIDE) return law_outside(v, id);
    if ((op >= OP_TENSOR && op <= OP_REFINE) || op == OP_SCRATCH) return law_prologue(v, id);
    if (op == OP_SELECT) return law_select(v, id);
    if (op == OP_CAST || op == OP_NEAREST || op == OP_BITCAST) return law_convert(v, id);
    if (op_info[op].rule == RULE_SAME || op_info[op].rule == RULE_BOOL)
        return law_elementwise(v, id);
    if (op == OP_INDEX || op == OP_TILEINFO) return law_axis_in_scope(v, id);
    if (op == OP_LOAD_TILE || op == OP_STORE_TILE || op == OP_FOLD) return law_access(v, id);
    if (op == OP_ATOMIC_TILE) return law_atomic_tile(v, id);
    if (op == OP_ATOMIC) return law_atomic(v, id);
    if (op == OP_REDUCE) return law_reduce(v, id);
    if (op == OP_SEARCH) return law_search(v, id);
    if (op == OP_TAKE) return law_take(v, id);
    if (op == OP_COMBINE) return law_combine(v, id);
    if (op == OP_SORT) return law_sort(v, id);
    if (op == OP_CHECK) return law_check(v, id);
    if (op == OP_LOAD || op == OP_STORE || op == OP_GATHER || op == OP_SCATTER)
        return law_memory(v, id);
    if (op == OP_PREFETCH) {
        bool ok = is_scalar(arg_type(v->f, inst_at(v->f, id), 0), DTYPE_I64);
        return ok || verify_fail(v, id, "its offset is no i64 scalar");
    }
    if (op == OP_DOT) return law_dot(v, id);
    if (op == OP_DOT_ROWS) return law_dot_rows(v, id);
    if (op == OP_LOAD_ROWS || op == OP_STORE_ROWS) return law_rows(v, id);
    if (op == OP_SPLAT || op == OP_IOTA || op == OP_EXTRACT || op == OP_ZIP || op == OP_UNZIP ||
        op == OP_SPREAD || op == OP_VREDUCE)
        return law_vector(v, id);
    if (op == OP_PRINT) return law_mask(v, id);
    return op == OP_YIELD || law_structure(v, id);
}
