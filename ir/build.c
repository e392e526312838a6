// Builders: typing by the rules of ops.def, splats where Loop IR needs them. fold.c knows the
// identities.
#include "ir/fold.h"
#include "ir/eval.h"

// Elementwise operations unite axes; a scalar meeting a vector has been splat before.
static Type unite(const Func *f, const Value *args, unsigned count, DType dtype)
{
    Type type = type_scalar(dtype);
    for (unsigned k = 0; k < count; k++) {
        Type t = value_type(f, args[k]);
        type.axes |= t.axes;
        if (t.lanes > type.lanes) type.lanes = t.lanes;
    }
    return type;
}

// The types of the results when the builder was not told: false means there are none.
static bool infer_result(const Func *f, Op op, const BuildSpec *spec, Type *type)
{
    switch ((OpRule)op_info[op].rule) {
    case RULE_NONE:
    case RULE_LIKE_REGION: return false;
    case RULE_SAME:
        *type = unite(f, spec->args, spec->arg_count, value_dtype(f, spec->args[0]));
        return true;
    case RULE_BOOL: *type = unite(f, spec->args, spec->arg_count, DTYPE_BOOL); return true;
    case RULE_GIVEN: break;
    }
    assert(op == OP_SELECT && "the type of a GIVEN operation must be stated");
    *type = unite(f, spec->args, spec->arg_count, value_dtype(f, spec->args[1]));
    return true;
}

static uint32_t add_results(Func *f, InstId id, const Type *types, unsigned count)
{
    uint32_t first = f->values.count;
    for (unsigned k = 0; k < count; k++) {
        Value v = func_value(f, types[k]);
        value_at(f, v)->def = id;
        value_at(f, v)->index = k;
    }
    return first;
}

InstId build_inst(Builder *b, Op op, BuildSpec spec)
{
    Func *f = b->f;
    Type inferred[1];
    VEC(Type) carried = {0};
    if (!spec.results && infer_result(f, op, &spec, inferred)) {
        spec.results = inferred;
        spec.result_count = 1;
    } else if (!spec.results && (op == OP_LOOP || op == OP_FOR)) {
        for (unsigned k = 3; k < spec.arg_count; k++)
            vec_push(f->arena, &carried, value_type(f, spec.args[k]));
        spec.results = carried.data;
        spec.result_count = carried.count;
    }
    InstId id = {f->insts.count};
    Inst in = {
        .op = (uint16_t)op,
        .flags = spec.flags,
        .region_count = (uint8_t)spec.region_count,
        .arg_count = (uint16_t)spec.arg_count,
        .result_count = (uint16_t)spec.result_count,
        .args = f->operands.count,
        .attr = spec.attr,
        .span = b->span,
        .regions = spec.region_count ? spec.regions[0].i : 0,
    };
    for (unsigned k = 0; k < spec.arg_count; k++) vec_push(f->arena, &f->operands, spec.args[k]);
    for (unsigned k = 0; k < spec.region_count; k++) region_at(f, spec.regions[k])->owner = id;
    in.results = add_results(f, id, spec.results, spec.result_count);
    vec_push(f->arena, &f->insts, in);
    inst_insert(f, id, b->region, b->before);
    return id;
}

static Value build_result(Builder *b, Op op, BuildSpec spec)
{
    InstId id = build_inst(b, op, spec);
    return inst_result(inst_at(b->f, id), 0);
}

static Value splat(Builder *b, Value a, unsigned lanes)
{
    Type type = type_vector(value_dtype(b->f, a), lanes);
    uint64_t bits;
    if (value_const(b->f, a, &bits)) return build_bits(b, type, bits);
    return build_result(
        b, OP_SPLAT, (BuildSpec){.args = &a, .arg_count = 1, .results = &type, .result_count = 1});
}

static Value build_op(Builder *b, Op op, const Value *given, unsigned count)
{
    Value args[3];
    unsigned lanes = unite(b->f, given, count, DTYPE_NONE).lanes;
    for (unsigned k = 0; k < count; k++) {
        bool scalar = lanes && value_type(b->f, given[k]).lanes == 0;
        args[k] = scalar ? splat(b, given[k], lanes) : given[k];
    }
    Value folded = fold_op(b, op, args, count);
    if (folded.i) return folded;
    return build_result(b, op, (BuildSpec){.args = args, .arg_count = count});
}

Value build_op1(Builder *b, Op op, Value a)
{
    return build_op(b, op, &a, 1);
}

Value build_op2(Builder *b, Op op, Value a, Value c)
{
    uint64_t bits;
    bool swap = (op_info[op].traits & TRAIT_COMM) && value_const(b->f, a, &bits) &&
                !value_const(b->f, c, &bits);
    return build_op(b, op, swap ? (Value[]){c, a} : (Value[]){a, c}, 2);
}

Value build_op3(Builder *b, Op op, Value a, Value c, Value d)
{
    return build_op(b, op, (Value[]){a, c, d}, 3);
}

Value build_cast(Builder *b, Value a, DType to)
{
    if (value_dtype(b->f, a) == to) return a;
    Value folded = fold_cast(b, a, to);
    if (folded.i) return folded;
    Type type = value_type(b->f, a);
    type.dtype = (uint8_t)to;
    return build_result(
        b, OP_CAST, (BuildSpec){.args = &a, .arg_count = 1, .results = &type, .result_count = 1});
}

Value build_bits(Builder *b, Type type, uint64_t bits)
{
    type.axes = 0;
    return build_result(b, OP_CONST,
                        (BuildSpec){.results = &type, .result_count = 1, .attr = {.bits = bits}});
}

Value build_i64(Builder *b, int64_t x)
{
    return build_bits(b, type_scalar(DTYPE_I64), (uint64_t)x);
}

Value build_float(Builder *b, DType t, double x)
{
    return build_bits(b, type_scalar(t), scalar_from_double(t, x));
}

Value build_index(Builder *b, Axis a)
{
    Type type = type_tile(DTYPE_I64, axis_at(b->f, a)->scalar ? 0 : axis_bit(a));
    return build_result(b, OP_INDEX,
                        (BuildSpec){.results = &type, .result_count = 1, .attr = {.ref = a.i}});
}

Value build_iota(Builder *b, DType t, unsigned lanes)
{
    Type type = type_vector(t, lanes);
    return build_result(b, OP_IOTA, (BuildSpec){.results = &type, .result_count = 1});
}

Value build_vreduce(Builder *b, ReduceKind kind, Value v)
{
    Type type = type_scalar(value_dtype(b->f, v));
    return build_result(b, OP_VREDUCE,
                        (BuildSpec){.args = &v,
                                    .arg_count = 1,
                                    .results = &type,
                                    .result_count = 1,
                                    .attr = {.kind = kind}});
}

bool value_const(const Func *f, Value v, uint64_t *bits)
{
    const Inst *in = value_def(f, v);
    if (!in || in->op != OP_CONST) return false;
    *bits = in->attr.bits;
    return true;
}

bool value_const_int(const Func *f, Value v, int64_t *x)
{
    uint64_t bits;
    if (dtype_is_float(value_dtype(f, v)) || !value_const(f, v, &bits)) return false;
    *x = (int64_t)bits;
    return true;
}

Value value_base(const Func *f, Value v, int64_t *plus)
{
    const Inst *in = value_def(f, v);
    *plus = 0;
    bool sum = in && in->op == OP_ADD && value_const_int(f, inst_arg(f, in, 1), plus);
    return sum ? inst_arg(f, in, 0) : v;
}
