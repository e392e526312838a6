// Addresses, loads and stores. An offset is a sum of terms coefficient * factor * (axis index or
// other scalar); terms are added from the outermost level inwards, so that what a loop does not
// change stays outside it.
#include "passes/schedule/sched.h"

enum { TERMS_MAX = 32 };

typedef struct Term {
    Axis axis;    // the index along this axis, or
    Value tile;   // this tile value, when axis is none
    Value factor; // a symbolic stride, {0}: 1
    int64_t coefficient;
} Term;

typedef struct Terms {
    Term at[TERMS_MAX];
    unsigned count;
    int64_t constant;
    Value factors[TERMS_MAX]; // symbolic constants: constant_factor[k] * factors[k]
    int64_t constant_factor[TERMS_MAX];
    unsigned factor_count;
} Terms;

unsigned first_index(const Inst *access)
{
    if (access->op == OP_LOAD_TILE) return 0;
    return access->op == OP_ATOMIC_TILE && access->attr.kind == ATOMIC_CAS ? 2 : 1;
}

static void add_constant(Terms *terms, int64_t x, Value factor)
{
    if (!factor.i) {
        terms->constant += x;
        return;
    }
    if (terms->factor_count == TERMS_MAX) return;
    terms->factors[terms->factor_count] = factor;
    terms->constant_factor[terms->factor_count++] = x;
}

static bool add_term(Terms *terms, Term term)
{
    if (terms->count == TERMS_MAX) return false;
    terms->at[terms->count++] = term;
    return true;
}

// Splits v * coefficient * factor into terms. False if it depends on axis `lane` in a way that is
// not affine.
static bool collect(const Sched *s, Value v, int64_t coefficient, Value factor, Axis lane,
                    Terms *terms)
{
    int64_t x;
    if (value_const_int(s->tile, v, &x)) {
        add_constant(terms, x * coefficient, factor);
        return true;
    }
    const Inst *in = value_def(s->tile, v);
    if (in && in->op == OP_INDEX && !axis_at(s->tile, (Axis){in->attr.ref})->scalar)
        return add_term(terms, (Term){(Axis){in->attr.ref}, {0}, factor, coefficient});
    if (in && (in->op == OP_ADD || in->op == OP_SUB)) {
        int64_t second = in->op == OP_SUB ? -coefficient : coefficient;
        return collect(s, inst_arg(s->tile, in, 0), coefficient, factor, lane, terms) &&
               collect(s, inst_arg(s->tile, in, 1), second, factor, lane, terms);
    }
    if (in && in->op == OP_MUL && value_const_int(s->tile, inst_arg(s->tile, in, 1), &x))
        return collect(s, inst_arg(s->tile, in, 0), coefficient * x, factor, lane, terms);
    if (lane.i && (value_axes(s->tile, v) & axis_bit(lane))) return false;
    return add_term(terms, (Term){{0}, v, factor, coefficient});
}

static int64_t stride_of(const Sched *s, Mem mem, unsigned position)
{
    return s->strides[mem.i * RANK_MAX + position];
}

static Value stride_value(Sched *s, Mem mem, unsigned position)
{
    if (stride_of(s, mem, position) != INT64_MIN) return (Value){0};
    Builder b = sched_at(s, 0);
    Type type = type_scalar(DTYPE_I64);
    InstId id = build_inst(
        &b, OP_STRIDE,
        (BuildSpec){.results = &type, .result_count = 1, .attr = {.bits = position, .ref = mem.i}});
    return inst_result(inst_at(s->f, id), 0);
}

int lane_coefficient(const Sched *s, const Inst *access, unsigned first, Axis a)
{
    Mem mem = {access->attr.ref};
    unsigned rank = mem_at(s->tile, mem)->rank;
    int64_t sum = 0;
    bool varies = false, strided = false;
    for (unsigned k = 0; k < rank; k++) {
        Value index = inst_arg(s->tile, access, first + k);
        if (!(value_axes(s->tile, index) & axis_bit(a))) continue;
        Terms terms = {0};
        varies = true;
        if (!collect(s, index, 1, (Value){0}, a, &terms)) return LANE_GATHER;
        int64_t stride = stride_of(s, mem, k);
        for (unsigned t = 0; t < terms.count; t++) {
            if (terms.at[t].axis.i != a.i) continue;
            if (stride == INT64_MIN)
                strided = true;
            else
                sum += stride * terms.at[t].coefficient;
        }
    }
    if (!varies) return LANE_NONE;
    return !strided && sum == 1 ? LANE_UNIT : LANE_STRIDED;
}

bool unit_lanes(const Sched *s, Value index, Axis lane)
{
    Terms terms = {0};
    int64_t sum = 0;
    if (!collect(s, index, 1, (Value){0}, lane, &terms)) return false;
    for (unsigned t = 0; t < terms.count; t++)
        if (terms.at[t].axis.i == lane.i) sum += terms.at[t].coefficient;
    return sum == 1;
}

int64_t axis_stride(const Sched *s, const Inst *access, unsigned first, Axis a)
{
    Mem mem = {access->attr.ref};
    int64_t sum = 0;
    for (unsigned k = 0; k < mem_at(s->tile, mem)->rank; k++) {
        Value index = inst_arg(s->tile, access, first + k);
        if (!(value_axes(s->tile, index) & axis_bit(a))) continue;
        Terms terms = {0};
        int64_t stride = stride_of(s, mem, k);
        if (stride == INT64_MIN || !collect(s, index, 1, (Value){0}, a, &terms)) return INT64_MAX;
        for (unsigned t = 0; t < terms.count; t++)
            if (terms.at[t].axis.i == a.i) sum += stride * terms.at[t].coefficient;
    }
    return sum < 0 ? -sum : sum;
}

typedef struct Address {
    Terms terms;
    bool gathers; // the lane axis enters in a way that is not affine
    Axis lane;
    Value scalar; // offset of instance 0 without constants, at `level`
    int level;
} Address;

static Axis open_lane(const Sched *s, AxisSet axes)
{
    for (unsigned a = 1; a < AXES_MAX; a++)
        if ((axes >> a & 1) && s->axes[a].level >= 0 && s->axes[a].lanes) return (Axis){a};
    return (Axis){0};
}

static Value term_value(Sched *s, const Term *term, int level)
{
    Builder b = sched_at(s, level);
    Value v = term->axis.i ? (s->axes[term->axis.i].level >= 0 ? s->axes[term->axis.i].base
                                                               : s->axes[term->axis.i].begin)
                           : emit_value(s, term->tile)[0];
    v = build_cast(&b, v, DTYPE_I64);
    v = build_op2(&b, OP_MUL, v, build_i64(&b, term->coefficient));
    return term->factor.i ? build_op2(&b, OP_MUL, v, term->factor) : v;
}

static int term_level(const Sched *s, const Term *term)
{
    if (!term->axis.i) return sched_level(s, term->tile);
    int level = s->axes[term->axis.i].level;
    Region region = inst_at(s->tile, axis_at(s->tile, term->axis)->decl)->parent;
    const Inst *decl = inst_at(s->tile, axis_at(s->tile, term->axis)->decl);
    if (decl->region_count) region = inst_region(decl, 0);
    int base = s->region_level[region.i];
    return level > base ? level : base;
}

// Terms whose tile value has several instances (a gather index of an unrolled axis) are added by
// instance.
static bool by_instance(const Sched *s, const Term *term)
{
    return !term->axis.i && instances_of(s, value_axes(s->tile, term->tile)) > 1;
}

static void address_begin(Sched *s, const Inst *in, unsigned first, AxisSet axes, int level,
                          Address *a)
{
    Mem mem = {in->attr.ref};
    unsigned rank = mem_at(s->tile, mem)->rank;
    *a = (Address){.lane = open_lane(s, axes), .level = level};
    for (unsigned k = 0; k < rank; k++) {
        Value factor = stride_value(s, mem, k);
        int64_t coefficient = factor.i ? 1 : stride_of(s, mem, k);
        Value index = inst_arg(s->tile, in, first + k);
        if (!collect(s, index, coefficient, factor, a->lane, &a->terms)) a->gathers = true;
    }
    if (a->gathers) return;
    for (int at = 0; at <= level; at++)
        for (unsigned t = 0; t < a->terms.count; t++) {
            const Term *term = &a->terms.at[t];
            if (by_instance(s, term) || term_level(s, term) != at) continue;
            Value v = term_value(s, term, at);
            Builder b = sched_at(s, at);
            a->scalar = a->scalar.i ? build_op2(&b, OP_ADD, a->scalar, v) : v;
        }
}

// Offset of one instance: of its first lane, or (gathers) of every lane.
static Value address_of(Sched *s, const Inst *in, unsigned first, const Address *a, AxisSet axes,
                        unsigned index)
{
    Builder b = sched_at(s, a->level);
    if (a->gathers) {
        Mem mem = {in->attr.ref};
        Value sum = build_i64(&b, 0);
        for (unsigned k = 0; k < mem_at(s->tile, mem)->rank; k++) {
            Value tile = inst_arg(s->tile, in, first + k);
            Value v =
                emit_value(s, tile)[instance_project(s, axes, index, value_axes(s->tile, tile))];
            Value factor = stride_value(s, mem, k);
            b = sched_at(s, a->level);
            if (!factor.i) factor = build_i64(&b, stride_of(s, mem, k));
            v = build_op2(&b, OP_MUL, build_cast(&b, v, DTYPE_I64), factor);
            sum = build_op2(&b, OP_ADD, sum, v);
        }
        return sum;
    }
    int64_t constant = a->terms.constant;
    Value sum = a->scalar.i ? a->scalar : build_i64(&b, 0);
    for (unsigned t = 0; t < a->terms.count; t++) {
        const Term *term = &a->terms.at[t];
        if (by_instance(s, term)) {
            Value v = emit_value(
                s, term->tile)[instance_project(s, axes, index, value_axes(s->tile, term->tile))];
            b = sched_at(s, a->level);
            v = build_op2(&b, OP_MUL, build_cast(&b, v, DTYPE_I64),
                          build_i64(&b, term->coefficient));
            if (term->factor.i) v = build_op2(&b, OP_MUL, v, term->factor);
            sum = build_op2(&b, OP_ADD, sum, v);
        }
        if (!term->axis.i || s->axes[term->axis.i].level < 0) continue;
        const AxisState *axis = &s->axes[term->axis.i];
        int64_t step =
            (int64_t)instance_of_axis(s, axes, index, term->axis) * (axis->lanes ? axis->lanes : 1);
        if (!term->factor.i)
            constant += step * term->coefficient;
        else if (step)
            sum = build_op2(
                &b, OP_ADD, sum,
                build_op2(&b, OP_MUL, term->factor, build_i64(&b, step * term->coefficient)));
    }
    for (unsigned k = 0; k < a->terms.factor_count; k++)
        sum = build_op2(
            &b, OP_ADD, sum,
            build_op2(&b, OP_MUL, a->terms.factors[k], build_i64(&b, a->terms.constant_factor[k])));
    return build_op2(&b, OP_ADD, sum, build_i64(&b, constant));
}

// How many elements lie between the elements of two neighbouring lanes.
static Value lane_stride(const Address *a, Builder *b)
{
    int64_t constant = 0;
    Value step = {0};
    for (unsigned t = 0; t < a->terms.count; t++) {
        const Term *term = &a->terms.at[t];
        if (term->axis.i != a->lane.i) continue;
        if (!term->factor.i) {
            constant += term->coefficient;
            continue;
        }
        Value v = build_op2(b, OP_MUL, term->factor, build_i64(b, term->coefficient));
        step = step.i ? build_op2(b, OP_ADD, step, v) : v;
    }
    Value plain = build_i64(b, constant);
    return step.i ? build_op2(b, OP_ADD, plain, step) : plain;
}

// The offsets of all lanes: the first lane's plus lane * stride. {0} if the lanes are consecutive.
static Value lane_offsets(Sched *s, const Address *a, Value offset)
{
    Builder b = sched_at(s, a->level);
    int64_t constant;
    Value stride = lane_stride(a, &b);
    if (value_const_int(s->f, stride, &constant) && constant == 1) return (Value){0};
    Value iota = build_iota(&b, DTYPE_I64, s->axes[a->lane.i].lanes);
    return build_op2(&b, OP_ADD, build_op2(&b, OP_MUL, iota, stride), offset);
}

Value build_load(Builder *b, Mem mem, Type type, Value offset, Value mask)
{
    bool gathers = value_type(b->f, offset).lanes > 0;
    InstId id = build_inst(b, gathers ? OP_GATHER : OP_LOAD,
                           (BuildSpec){.args = (Value[]){offset, mask},
                                       .arg_count = mask.i ? 2 : 1,
                                       .results = &type,
                                       .result_count = 1,
                                       .attr = {.ref = mem.i},
                                       .flags = mask.i ? INST_MASKED : 0});
    return inst_result(inst_at(b->f, id), 0);
}

static Value consecutive(Sched *s, Value offset, unsigned lanes)
{
    Builder b = sched_at(s, s->top);
    return build_op2(&b, OP_ADD, build_iota(&b, DTYPE_I64, lanes), offset);
}

static Value shape_value(const Sched *s, Mem mem, unsigned position)
{
    const Inst *decl = inst_at(s->tile, mem_at(s->tile, mem)->decl);
    return s->values[inst_arg(s->tile, decl, position).i].global;
}

static uint32_t site_of(const Sched *s, const Inst *in, unsigned position)
{
    for (uint32_t k = 0; k < s->tile->sites.count; k++) {
        const SiteInfo *site = &s->tile->sites.data[k];
        if (site->kind == SITE_BOUNDS && site->mem.i == in->attr.ref &&
            site->position == position && site->span.line == in->span.line &&
            site->span.column == in->span.column)
            return k;
    }
    for (uint32_t k = 0; k < s->tile->sites.count; k++) {
        const SiteInfo *site = &s->tile->sites.data[k];
        if (site->kind == SITE_BOUNDS && site->mem.i == in->attr.ref && site->position == position)
            return k;
    }
    return 0;
}

// Checks the positions that need it; returns the mask narrowed to the lanes that are in bounds.
static Value checked(Sched *s, const Inst *in, unsigned first, AxisSet axes, unsigned index,
                     int level, Value mask)
{
    for (unsigned k = 0; k < mem_at(s->tile, (Mem){in->attr.ref})->rank; k++) {
        if (!(in->attr.bits >> k & 1)) continue;
        Value tile = inst_arg(s->tile, in, first + k);
        Value v = emit_value(s, tile)[instance_project(s, axes, index, value_axes(s->tile, tile))];
        Builder b = sched_at(s, level);
        b.span = in->span;
        v = build_cast(&b, v, DTYPE_I64);
        Value size = shape_value(s, (Mem){in->attr.ref}, k);
        Value low = build_op2(&b, OP_LE, build_i64(&b, 0), v);
        Value ok = build_op2(&b, OP_AND, low, build_op2(&b, OP_LT, v, size));
        Value args[4] = {ok, v, size, mask};
        build_inst(&b, OP_CHECK,
                   (BuildSpec){.args = args,
                               .arg_count = mask.i ? 4 : 3,
                               .attr = {.ref = site_of(s, in, k)},
                               .flags = mask.i ? INST_MASKED : 0});
        mask = mask_and(&b, mask, ok);
    }
    return mask;
}

Value access_mask(Sched *s, const Inst *in, AxisSet axes, unsigned index, int level)
{
    Value mask = {0}, own = inst_mask(s->tile, in);
    if (own.i)
        mask = emit_value(s, own)[instance_project(s, axes, index, value_axes(s->tile, own))];
    uint64_t always;
    if (mask.i && value_const(s->f, mask, &always) && always) mask = (Value){0};
    Builder b = sched_at(s, level);
    return mask_and(&b, mask, tail_mask(s, axes, index));
}

// A mask must have the shape of what it masks.
Value fit_mask(Builder *b, Value mask, unsigned lanes)
{
    if (!mask.i || value_type(b->f, mask).lanes == lanes) return mask;
    Type type = type_vector(DTYPE_BOOL, lanes);
    return inst_result(inst_at(b->f, build_inst(b, OP_SPLAT,
                                                (BuildSpec){.args = &mask,
                                                            .arg_count = 1,
                                                            .results = &type,
                                                            .result_count = 1})),
                       0);
}

// ---- turned loads: rows along another axis than the lanes', transposed in registers

// An axis along which the tensor that v loads is contiguous, while it is not along the lanes.
Axis turned_axis(const Sched *s, Value v, Axis lanes, AxisSet among)
{
    const Inst *in = value_def(s->tile, v);
    if (s->lanes < 4 || (s->lanes & (s->lanes - 1)) || !in || in->op != OP_LOAD_TILE ||
        in->attr.bits || inst_mask(s->tile, in).i ||
        dtype_info[mem_at(s->tile, (Mem){in->attr.ref})->dtype].bits < 8 ||
        lane_coefficient(s, in, 0, lanes) != LANE_STRIDED)
        return (Axis){0};
    for (unsigned a = 1; a < AXES_MAX; a++)
        if ((among >> a & 1) && lane_coefficient(s, in, 0, (Axis){a}) == LANE_UNIT)
            return (Axis){a};
    return (Axis){0};
}

Value build_zip(Builder *b, Value x, Value y, unsigned high)
{
    Value args[2] = {x, y};
    Type type = value_type(b->f, x);
    return inst_result(inst_at(b->f, build_inst(b, OP_ZIP,
                                                (BuildSpec){.args = args,
                                                            .arg_count = 2,
                                                            .results = &type,
                                                            .result_count = 1,
                                                            .attr = {.bits = high}})),
                       0);
}

static void transpose(Sched *s, Builder *b, Value *rows, unsigned n)
{
    Value *next = arena_array(s->arena, Value, n);
    for (unsigned stage = 1; stage < n; stage *= 2) {
        for (unsigned k = 0; k < n / 2; k++) {
            next[2 * k] = build_zip(b, rows[k], rows[k + n / 2], 0);
            next[2 * k + 1] = build_zip(b, rows[k], rows[k + n / 2], 1);
        }
        for (unsigned k = 0; k < n; k++) rows[k] = next[k];
    }
}

// The axis that is bound with a row's worth of instances for the lanes' one vector; {0}: none.
static Axis turned_now(const Sched *s, const Inst *in, AxisSet axes, Axis lane)
{
    if (!lane.i || s->axes[lane.i].count != 1) return (Axis){0};
    Axis u = turned_axis(s, inst_result(in, 0), lane, axes & ~axis_bit(lane));
    bool fits = u.i && s->axes[u.i].level >= 0 && s->axes[u.i].count > 1 &&
                s->axes[u.i].count <= s->lanes && s->axes[u.i].lanes == 0 &&
                instances_of(s, axes) == s->axes[u.i].count && s->axes[lane.i].lanes == s->lanes;
    return fits ? u : (Axis){0};
}

static Value first_lanes(Builder *b, unsigned count, unsigned lanes)
{
    Value iota = build_iota(b, DTYPE_I32, lanes);
    return build_op2(b, OP_LT, iota, build_bits(b, type_scalar(DTYPE_I32), count));
}

// Past the last lane in range the last one is read again.
static void emit_turned_load(Sched *s, const Inst *in, const Address *address, Axis u, Value *out,
                             int level, AxisSet axes)
{
    Mem mem = {in->attr.ref};
    unsigned lanes = s->lanes, count = s->axes[u.i].count;
    Builder b = sched_at(s, level);
    Value stride = lane_stride(address, &b), left = s->axes[address->lane.i].left[0];
    Value offset = address_of(s, in, 0, address, axes, 0);
    Value *rows = arena_array(s->arena, Value, lanes);
    b = sched_at(s, level);
    Value mask = count < lanes ? first_lanes(&b, count, lanes) : (Value){0};
    Type type = type_vector(mem_at(s->tile, mem)->dtype, lanes);
    for (unsigned lane = 0; lane < lanes; lane++) {
        Value at = build_i64(&b, lane);
        if (left.i) at = build_op2(&b, OP_MIN, at, build_op2(&b, OP_SUB, left, build_i64(&b, 1)));
        at = build_op2(&b, OP_ADD, offset, build_op2(&b, OP_MUL, at, stride));
        rows[lane] = build_load(&b, mem, type, at, mask);
    }
    transpose(s, &b, rows, lanes);
    Value result = inst_result(in, 0);
    for (unsigned k = 0; k < count; k++)
        out[k] = s->raw.i == result.i ? rows[k]
                                      : build_cast(&b, rows[k], value_dtype(s->tile, result));
}

// For each instance of v's axes but k the elements of a group along k, where v is loaded from.
void emit_group_load(Sched *s, Value v, Axis k, unsigned group, Value *out)
{
    const Inst *in = value_def(s->tile, v);
    AxisSet axes = value_axes(s->tile, v);
    int level = sched_level(s, v);
    Mem mem = {in->attr.ref};
    Address address;
    address_begin(s, in, 0, axes, level, &address);
    Type type = type_vector(mem_at(s->tile, mem)->dtype, group);
    for (unsigned i = 0, n = 0; i < instances_of(s, axes); i++) {
        if (instance_of_axis(s, axes, i, k)) continue;
        Value offset = address_of(s, in, 0, &address, axes, i);
        Builder b = sched_at(s, level);
        unsigned count = s->axes[k.i].count;
        Value mask = count < group ? first_lanes(&b, count, group) : (Value){0};
        out[n++] = build_load(&b, mem, type, offset, mask);
    }
}

// Where such a group of the row's first index along k begins; k is not bound.
Value group_offset(Sched *s, Value v, unsigned index)
{
    const Inst *in = value_def(s->tile, v);
    AxisSet axes = value_axes(s->tile, v);
    Address address;
    address_begin(s, in, 0, axes, sched_level(s, v), &address);
    return address_of(s, in, 0, &address, axes, index);
}

void emit_load(Sched *s, const Inst *in, Value *out, int level, AxisSet axes)
{
    Span outer = s->span;
    s->span = in->span;
    Mem mem = {in->attr.ref};
    Address address;
    address_begin(s, in, 0, axes, level, &address);
    unsigned lanes = value_lanes(s, axes);
    Axis turned = turned_now(s, in, axes, address.lane);
    if (turned.i) {
        emit_turned_load(s, in, &address, turned, out, level, axes);
        s->span = outer;
        return;
    }
    DType storage = mem_at(s->tile, mem)->dtype;
    for (unsigned i = 0; i < instances_of(s, axes); i++) {
        Value mask = access_mask(s, in, axes, i, level);
        mask = checked(s, in, 0, axes, i, level, mask);
        Value offset = address_of(s, in, 0, &address, axes, i);
        Value offsets = address.gathers ? offset
                        : lanes         ? lane_offsets(s, &address, offset)
                                        : (Value){0};
        Builder b = sched_at(s, level);
        mask = fit_mask(&b, mask, lanes);
        Type type = type_vector(storage, lanes);
        out[i] = build_load(&b, mem, type, offsets.i ? offsets : offset, mask);
        Value result = inst_result(in, 0);
        if (s->raw.i != result.i) out[i] = build_cast(&b, out[i], value_dtype(s->tile, result));
    }
    s->span = outer;
}

void emit_store(Sched *s, const Root *root)
{
    const Inst *in = inst_at(s->tile, root->inst);
    Span outer = s->span;
    s->span = in->span;
    Mem mem = {in->attr.ref};
    AxisSet axes = root->axes;
    int level = s->top;
    Value tile = inst_arg(s->tile, in, 0);
    Value *values = emit_value(s, tile);
    Address address;
    address_begin(s, in, 1, axes, level, &address);
    unsigned lanes = value_lanes(s, axes);
    for (unsigned i = 0; i < instances_of(s, axes); i++) {
        Value mask = access_mask(s, in, axes, i, level);
        mask = checked(s, in, 1, axes, i, level, mask);
        Value offset = address_of(s, in, 1, &address, axes, i);
        Value offsets = address.gathers ? offset
                        : lanes         ? lane_offsets(s, &address, offset)
                                        : (Value){0};
        Builder b = sched_at(s, level);
        Value v = values[instance_project(s, axes, i, value_axes(s->tile, tile))];
        v = build_cast(&b, v, mem_at(s->tile, mem)->dtype);
        if (lanes && !value_type(s->f, v).lanes) {
            Type type = type_vector(value_dtype(s->f, v), lanes);
            v = inst_result(inst_at(s->f, build_inst(&b, OP_SPLAT,
                                                     (BuildSpec){.args = &v,
                                                                 .arg_count = 1,
                                                                 .results = &type,
                                                                 .result_count = 1})),
                            0);
        }
        mask = fit_mask(&b, mask, lanes);
        Value args[3] = {v, offsets.i ? offsets : offset, mask};
        build_inst(&b, offsets.i && lanes ? OP_SCATTER : OP_STORE,
                   (BuildSpec){.args = args,
                               .arg_count = mask.i ? 3 : 2,
                               .attr = {.ref = mem.i},
                               .flags = mask.i ? INST_MASKED : 0});
    }
    s->span = outer;
}

static Value fit_value(Sched *s, Value v, unsigned lanes)
{
    Builder b = sched_at(s, s->top);
    if (!lanes || value_type(s->f, v).lanes) return v;
    Type type = type_vector(value_dtype(s->f, v), lanes);
    return inst_result(
        inst_at(s->f,
                build_inst(
                    &b, OP_SPLAT,
                    (BuildSpec){.args = &v, .arg_count = 1, .results = &type, .result_count = 1})),
        0);
}

// The element as it was; stored is what the update makes of it. Nothing else meets the element.
static Value update_plainly(Sched *s, const Inst *in, Value v, Value offset, Value mask)
{
    Mem mem = {in->attr.ref};
    DType storage = mem_at(s->tile, mem)->dtype;
    Builder b = sched_at(s, s->top);
    Value raw = build_load(&b, mem, type_vector(storage, value_type(s->f, v).lanes), offset, mask);
    Value old = build_cast(&b, raw, value_dtype(s->f, v));
    Value next = build_cast(&b, reduce_build(&b, (ReduceKind)in->attr.kind, old, v), storage);
    Value args[3] = {next, offset, mask};
    build_inst(&b, OP_STORE,
               (BuildSpec){.args = args,
                           .arg_count = mask.i ? 3 : 2,
                           .attr = {.ref = mem.i},
                           .flags = mask.i ? INST_MASKED : 0});
    return old;
}

void emit_atomic(Sched *s, const Root *root)
{
    const Inst *in = inst_at(s->tile, root->inst);
    Span outer = s->span;
    s->span = in->span;
    AxisSet axes = root->axes;
    unsigned lanes = value_lanes(s, axes), first = first_index(in), count = instances_of(s, axes);
    Value *values[2] = {0}, *old = arena_array(s->arena, Value, count);
    for (unsigned k = 0; k < first; k++) values[k] = emit_value(s, inst_arg(s->tile, in, k));
    Address address;
    address_begin(s, in, first, axes, s->top, &address);
    for (unsigned i = 0; i < count; i++) {
        Value args[4], mask = access_mask(s, in, axes, i, s->top);
        mask = checked(s, in, first, axes, i, s->top, mask);
        for (unsigned k = 0; k < first; k++) {
            AxisSet own = value_axes(s->tile, inst_arg(s->tile, in, k));
            args[k] = fit_value(s, values[k][instance_project(s, axes, i, own)], lanes);
        }
        Value offset = address_of(s, in, first, &address, axes, i);
        if (s->owner[in->attr.ref].i) {
            Builder b = sched_at(s, s->top);
            old[i] = update_plainly(s, in, args[0], offset, fit_mask(&b, mask, lanes));
            continue;
        }
        Value offsets = lanes && !address.gathers ? lane_offsets(s, &address, offset) : (Value){0};
        if (lanes && !address.gathers && !offsets.i) offsets = consecutive(s, offset, lanes);
        args[first] = fit_value(s, offsets.i ? offsets : offset, lanes);
        Builder b = sched_at(s, s->top);
        args[first + 1] = fit_mask(&b, mask, lanes);
        Type type = type_vector(value_dtype(s->tile, root->value), lanes);
        InstId id = build_inst(&b, OP_ATOMIC,
                               (BuildSpec){.args = args,
                                           .arg_count = first + (mask.i ? 2 : 1),
                                           .results = &type,
                                           .result_count = 1,
                                           .attr = {.ref = in->attr.ref, .kind = in->attr.kind},
                                           .flags = mask.i ? INST_MASKED : 0});
        old[i] = inst_result(inst_at(s->f, id), 0);
    }
    s->span = outer;
    sched_remember(s, root->value, old, s->top);
    if (root->slot) slot_store(s, root->slot, axes, old);
}

Value fold_offset(Sched *s, const Inst *in, AxisSet axes, unsigned index)
{
    Builder b = sched_at(s, s->top);
    Mem mem = {in->attr.ref};
    Value offset = build_i64(&b, 0);
    for (unsigned k = 0; k < mem_at(s->tile, mem)->rank; k++) {
        Value tile = inst_arg(s->tile, in, 1 + k);
        Value v = emit_value(s, tile)[instance_project(s, axes, index, value_axes(s->tile, tile))];
        b = sched_at(s, s->top);
        if (value_type(s->f, v)
                .lanes) { // consecutive by the choice of the lanes' axis: the first one's place
            Type type = type_scalar(value_dtype(s->f, v));
            v = inst_result(inst_at(s->f, build_inst(&b, OP_EXTRACT,
                                                     (BuildSpec){.args = &v,
                                                                 .arg_count = 1,
                                                                 .results = &type,
                                                                 .result_count = 1})),
                            0);
        }
        offset = build_op2(&b, OP_MUL, offset, shape_value(s, mem, k));
        offset = build_op2(&b, OP_ADD, offset, build_cast(&b, v, DTYPE_I64));
    }
    return offset;
}

Value fold_mask(Sched *s, const Inst *in, AxisSet axes, unsigned index)
{
    Value mask = access_mask(s, in, axes, index, s->top);
    mask = checked(s, in, 1, axes, index, s->top, mask);
    Builder b = sched_at(s, s->top);
    return fit_mask(&b, mask, value_lanes(s, axes));
}

bool fold_lane(const Sched *s, const Inst *in, Axis a)
{
    unsigned rank = mem_at(s->tile, (Mem){in->attr.ref})->rank;
    int64_t sum = 0;
    for (unsigned k = 0; k < rank; k++) {
        Value index = inst_arg(s->tile, in, 1 + k);
        if (!(value_axes(s->tile, index) & axis_bit(a))) continue;
        Terms terms = {0};
        if (k + 1 < rank || !collect(s, index, 1, (Value){0}, a, &terms)) return false;
        for (unsigned t = 0; t < terms.count; t++)
            if (terms.at[t].axis.i == a.i) sum += terms.at[t].coefficient;
    }
    return sum == 1;
}
