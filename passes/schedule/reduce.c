// Reductions: one accumulator for each instance of the result, and, where the lanes run along a
// reduced axis, one for each vector bound at once; these are combined when the loops are done, in a
// fixed order.
#include "ir/eval.h"
#include "passes/schedule/sched.h"

enum { CHAINS_ENOUGH = 4 }; // independent accumulators that hide the latency of an addition

static ReduceKind kind_of(const Sched *s, const Root *root)
{
    return (ReduceKind)inst_at(s->tile, root->inst)->attr.kind;
}

static bool is_arg(ReduceKind kind)
{
    return kind == REDUCE_ARGMAX || kind == REDUCE_ARGMIN;
}

static bool lanes_reduced(const Sched *s, const Root *root)
{
    return s->lanes > 1 && root->vector.i && (root->reduced & axis_bit(root->vector));
}

static Axis arg_axis(const Root *root) // of an argmax or argmin: it has one
{
    return (Axis){(uint32_t)__builtin_ctzll(root->reduced)};
}

// Indices take half the registers where they are known to fit.
static DType index_type(const Sched *s, const Root *root)
{
    const AxisState *axis = &s->axes[arg_axis(root).i];
    uint64_t lo, hi;
    bool fits = value_const(s->f, axis->lo, &lo) && value_const(s->f, axis->hi, &hi) &&
                (int64_t)lo >= 0 && (int64_t)hi <= INT32_MAX;
    return fits ? DTYPE_I32 : DTYPE_I64;
}

void reduce_begin(Sched *s, Root *root)
{
    const Inst *in = inst_at(s->tile, root->inst);
    ReduceKind kind = kind_of(s, root);
    AxisSet axes = value_axes(s->tile, root->value);
    DType dtype = value_dtype(s->tile, inst_arg(s->tile, in, 0));
    bool across = lanes_reduced(s, root);
    const Node *node = across ? node_of_axis(root->parent, root->vector) : NULL;
    unsigned lanes = across ? s->lanes : value_lanes(s, axes);
    root->acc_count = instances_of(s, axes);
    root->acc_copies = node && root->acc_count < CHAINS_ENOUGH ? node->count : 1;
    unsigned n = root->acc_count * root->acc_copies;
    root->acc = arena_array(s->arena, Value, n);
    root->acc_index = is_arg(kind) ? arena_array(s->arena, Value, n) : NULL;
    Builder b = sched_at(s, s->top);
    ReduceKind plain = kind == REDUCE_ARGMAX   ? REDUCE_MAX
                       : kind == REDUCE_ARGMIN ? REDUCE_MIN
                                               : kind;
    for (unsigned k = 0; k < n; k++) {
        root->acc[k] = build_bits(&b, type_vector(dtype, lanes), reduce_identity(plain, dtype));
        if (is_arg(kind))
            root->acc_index[k] =
                build_bits(&b, type_vector(index_type(s, root), lanes), (uint64_t)-1);
    }
    if (root->group) dot_begin(s, root);
}

Value reduce_build(Builder *b, ReduceKind kind, Value acc, Value v)
{
    switch (kind) {
    case REDUCE_SUM: return build_op2(b, OP_ADD, acc, v);
    case REDUCE_PROD: return build_op2(b, OP_MUL, acc, v);
    case REDUCE_MAX:
    case REDUCE_ARGMAX: return build_op2(b, OP_MAX, acc, v);
    case REDUCE_MIN:
    case REDUCE_ARGMIN: return build_op2(b, OP_MIN, acc, v);
    case REDUCE_ANY:
    case REDUCE_OR: return build_op2(b, OP_OR, acc, v);
    case REDUCE_ALL:
    case REDUCE_AND: return build_op2(b, OP_AND, acc, v);
    case REDUCE_XOR: return build_op2(b, OP_XOR, acc, v);
    case REDUCE_COUNT: break;
    }
    return acc;
}

static Value zero_index(Builder *b, Value index)
{
    return build_bits(b, type_scalar(value_dtype(b->f, index)), 0);
}

// Whether (v, index) replaces (acc, at), of which either may have come first: it is larger
// (smaller), or NaN over a number, or the first at all, or equal with a smaller index.
static Value wins(Builder *b, ReduceKind kind, Value acc, Value at, Value v, Value index)
{
    Value better =
        kind == REDUCE_ARGMAX ? build_op2(b, OP_LT, acc, v) : build_op2(b, OP_LT, v, acc);
    Value same = build_op2(b, OP_EQ, acc, v);
    if (dtype_is_float(value_dtype(b->f, v))) {
        Value nan = build_op1(b, OP_ISNAN, v), was = build_op1(b, OP_ISNAN, acc);
        better = build_op2(b, OP_OR, better, build_op2(b, OP_AND, nan, build_op1(b, OP_NOT, was)));
        same = build_op2(b, OP_OR, same, build_op2(b, OP_AND, nan, was));
    }
    Value sooner = build_op2(b, OP_AND, same, build_op2(b, OP_LT, index, at));
    Value first = build_op2(b, OP_LT, at, zero_index(b, at));
    Value any = build_op2(b, OP_OR, first, build_op2(b, OP_OR, better, sooner));
    return build_op2(b, OP_AND, any, build_op2(b, OP_LE, zero_index(b, index), index));
}

// The same where v comes later than acc in the order of indices.
static Value wins_later(Builder *b, ReduceKind kind, Value acc, Value at, Value v)
{
    bool most = kind == REDUCE_ARGMAX;
    Value better;
    if (dtype_is_float(value_dtype(b->f, v))) { // unless it is no larger, which NaN never is
        Value no = most ? build_op2(b, OP_LE, v, acc) : build_op2(b, OP_LE, acc, v);
        Value was = build_op1(b, OP_ISNAN, acc);
        better = build_op1(b, OP_NOT, build_op2(b, OP_OR, no, was));
    } else {
        better = most ? build_op2(b, OP_LT, acc, v) : build_op2(b, OP_LT, v, acc);
    }
    return build_op2(b, OP_OR, better, build_op2(b, OP_LT, at, zero_index(b, at)));
}

// Steps go through a lane's indices in ascending order.
static void step_arg(Sched *s, Root *root, unsigned slot, Value v, Value mask, unsigned instance)
{
    Axis axis = arg_axis(root);
    Builder b = sched_at(s, s->top);
    DType type = index_type(s, root);
    unsigned own = s->axes[axis.i].level < 0 ? 0 : instance_of_axis(s, root->axes, instance, axis);
    Value index = index_of_axis(&b, &s->axes[axis.i], own, type);
    Value acc = root->acc[slot], at = root->acc_index[slot];
    // Of a range that may begin below 0 -1 is an index like others; none of these wins.
    Value take = type == DTYPE_I32 ? wins_later(&b, kind_of(s, root), acc, at, v)
                                   : wins(&b, kind_of(s, root), acc, at, v, index);
    take = mask_and(&b, take, mask);
    root->acc[slot] = build_op3(&b, OP_SELECT, take, v, acc);
    root->acc_index[slot] = build_op3(&b, OP_SELECT, take, index, at);
}

typedef struct Operand { // of a reduction: a value, or the two factors of a product
    Value tile[2];
    Value *values[2];
    unsigned count;
} Operand;

static Operand emit_operand(Sched *s, const Root *root, Value v)
{
    Operand op = {.tile = {v}, .count = 1};
    const Inst *in = value_def(s->tile, v);
    bool fuses = kind_of(s, root) == REDUCE_SUM && in && in->op == OP_MUL && !is_boundary(s, v) &&
                 dtype_is_float(value_dtype(s->tile, v)) &&
                 !s->context->machine->lacks_fma && !s->values[v.i].inst;
    if (fuses)
        op = (Operand){.tile = {inst_arg(s->tile, in, 0), inst_arg(s->tile, in, 1)}, .count = 2};
    for (unsigned k = 0; k < op.count; k++) op.values[k] = emit_value(s, op.tile[k]);
    return op;
}

// All vectors of a row one after the other: then one row's operand is live at a time.
static unsigned vectors_first(const Sched *s, const Root *root, unsigned turn, unsigned count)
{
    const AxisState *axis = &s->axes[root->vector.i];
    if (!root->vector.i || axis->level < 0 || axis->count <= 1) return turn;
    unsigned vector = turn % axis->count, rest = turn / axis->count, seen = 0;
    for (unsigned i = 0; i < count; i++) {
        if (instance_of_axis(s, root->axes, i, root->vector) != vector) continue;
        if (seen++ == rest) return i;
    }
    return turn;
}

void reduce_step(Sched *s, Root *root)
{
    if (root->group) {
        dot_step(s, root);
        return;
    }
    const Inst *in = inst_at(s->tile, root->inst);
    ReduceKind kind = kind_of(s, root);
    AxisSet result = value_axes(s->tile, root->value);
    Value own = inst_mask(s->tile, in);
    Operand op = emit_operand(s, root, inst_arg(s->tile, in, 0));
    Value *masks = own.i ? emit_value(s, own) : NULL;
    bool across = lanes_reduced(s, root);
    Builder b = sched_at(s, s->top);
    unsigned count = instances_of(s, root->axes);
    for (unsigned turn = 0; turn < count; turn++) {
        unsigned i = vectors_first(s, root, turn, count);
        unsigned slot = instance_project(s, root->axes, i, result) * root->acc_copies;
        if (across && root->acc_copies > 1)
            slot += instance_of_axis(s, root->axes, i, root->vector);
        Value v[2] = {{0}};
        for (unsigned k = 0; k < op.count; k++)
            v[k] =
                op.values[k][instance_project(s, root->axes, i, value_axes(s->tile, op.tile[k]))];
        Value mask = masks ? masks[instance_project(s, root->axes, i, value_axes(s->tile, own))]
                           : (Value){0};
        uint64_t always;
        if (mask.i && value_const(s->f, mask, &always) && always) mask = (Value){0};
        if (across) mask = mask_and(&b, mask, tail_mask(s, root->axes, i));
        if (is_arg(kind)) {
            step_arg(s, root, slot, v[0], mask, i);
            continue;
        }
        Value next = op.count == 2 ? build_op3(&b, OP_FMA, v[0], v[1], root->acc[slot])
                                   : reduce_build(&b, kind, root->acc[slot], v[0]);
        root->acc[slot] = mask.i ? build_op3(&b, OP_SELECT, mask, next, root->acc[slot]) : next;
    }
}

static void merge_arg(Builder *b, ReduceKind kind, Value *acc, Value *at, Value v, Value index)
{
    Value take = wins(b, kind, *acc, *at, v, index);
    *acc = build_op3(b, OP_SELECT, take, v, *acc);
    *at = build_op3(b, OP_SELECT, take, index, *at);
}

static Value lane_of(Builder *b, Value v, unsigned lane)
{
    Type type = type_scalar(value_dtype(b->f, v));
    return inst_result(inst_at(b->f, build_inst(b, OP_EXTRACT,
                                                (BuildSpec){.args = &v,
                                                            .arg_count = 1,
                                                            .results = &type,
                                                            .result_count = 1,
                                                            .attr = {.bits = lane}})),
                       0);
}

static Value finish_arg(Sched *s, Builder *b, const Root *root, unsigned k)
{
    ReduceKind kind = kind_of(s, root);
    Value acc = root->acc[k * root->acc_copies], at = root->acc_index[k * root->acc_copies];
    for (unsigned c = 1; c < root->acc_copies; c++)
        merge_arg(b, kind, &acc, &at, root->acc[k * root->acc_copies + c],
                  root->acc_index[k * root->acc_copies + c]);
    if (!lanes_reduced(s, root)) return build_cast(b, at, DTYPE_I64);
    Value best = lane_of(b, acc, 0), where = lane_of(b, at, 0);
    for (unsigned lane = 1; lane < s->lanes; lane++)
        merge_arg(b, kind, &best, &where, lane_of(b, acc, lane), lane_of(b, at, lane));
    return build_cast(b, where, DTYPE_I64);
}

static Value finish_plain(Sched *s, Builder *b, const Root *root, unsigned k)
{
    ReduceKind kind = kind_of(s, root);
    Value *copies =
        arena_copy(s->arena, &root->acc[k * root->acc_copies], sizeof(Value) * root->acc_copies);
    for (unsigned n = root->acc_copies; n > 1; n = (n + 1) / 2)
        for (unsigned c = 0; c + (n + 1) / 2 < n; c++)
            copies[c] = reduce_build(b, kind, copies[c], copies[c + (n + 1) / 2]);
    if (!lanes_reduced(s, root)) return copies[0];
    return build_vreduce(b, kind, copies[0]);
}

void reduce_finish(Sched *s, Root *root)
{
    Builder b = sched_at(s, s->top);
    b.span = inst_at(s->tile, root->inst)->span;
    Value *results = arena_array(s->arena, Value, root->acc_count);
    for (unsigned k = 0; k < root->acc_count; k++)
        results[k] =
            is_arg(kind_of(s, root)) ? finish_arg(s, &b, root, k) : finish_plain(s, &b, root, k);
    root->acc = NULL;
    sched_remember(s, root->value, results, s->top);
    if (root->slot) slot_store(s, root->slot, value_axes(s->tile, root->value), results);
}
