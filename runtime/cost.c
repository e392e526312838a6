// Counts a launch's work from its Tile IR: each instruction once for each element of its axes. A
// range whose bounds vary with other axes (triangles) counts with its mean length, found by putting
// every index at the middle of its range, and integers of a tensor spread evenly over what is
// promised of them, so that sequences have their mean length. What a `repeat` encloses counts once
// for each turn, with the sizes of the first.
#include "runtime/cost.h"

#include <math.h>

#include "ir/eval.h"

enum { AXES = 64, DEPTH_MAX = 64 };

typedef struct Counter {
    const Func *f;
    const uint64_t *values;
    double low[AXES], size[AXES]; // of each axis seen so far
    AxisSet of[AXES];             // what it is a sequence of: it is so long for each index of these
    bool from_data;               // an estimate needed a promise
    double outer;                 // product of the enclosing scalar axes
    double chain;                 // product of the enclosing loops that carry values
    double once[REPEATS_MAX];     // `outer` around each open `repeat`
    uint32_t repeats;
    Cost cost;
} Counter;

static bool in_prologue(const Func *f, const Inst *in)
{
    return in->parent.i == f->body.i;
}

static double middle(const Counter *c, Axis a)
{
    return c->low[a.i] + (c->size[a.i] > 1 ? (c->size[a.i] - 1) / 2 : 0);
}

static double estimate(Counter *c, Value v, int depth);

// An integer of a tensor, by the promise on it; NaN without one.
static double promised(Counter *c, const Inst *load, int depth)
{
    const Inst *promise = mem_promise(c->f, (Mem){load->attr.ref});
    c->from_data = true;
    if (!promise) return NAN;
    bool range = promise->attr.kind == REFINE_RANGE;
    double low = range ? estimate(c, inst_arg(c->f, promise, 0), depth + 1) : 0, part = 0.5;
    double high = estimate(c, inst_arg(c->f, promise, range ? 1 : 0), depth + 1);
    if (inst_plain_args(load) == 1) {
        double last = (double)mem_size(c->f, (Mem){load->attr.ref}, 0, c->values) - 1;
        part = estimate(c, inst_arg(c->f, load, 0), depth + 1) / (last > 1 ? last : 1);
    }
    return low + floor((high - low) * part);
}

static double compare(double a, double b, bool holds)
{
    return isnan(a) || isnan(b) ? NAN : holds;
}

// The value of a scalar expression with every index at the middle of its range; NaN if it depends
// on data without a promise.
static double estimate(Counter *c, Value v, int depth)
{
    const Inst *in = value_def(c->f, v);
    if (!in || depth > DEPTH_MAX) return NAN;
    if (in_prologue(c->f, in)) return scalar_to_double(value_dtype(c->f, v), c->values[v.i]);
    double a[3] = {NAN, NAN, NAN};
    for (unsigned k = 0; k < in->arg_count && k < 3; k++)
        a[k] = estimate(c, inst_arg(c->f, in, k), depth + 1);
    switch (in->op) {
    case OP_CONST: return scalar_to_double(value_dtype(c->f, v), in->attr.bits);
    case OP_LOAD_TILE: return promised(c, in, depth);
    case OP_INDEX: return middle(c, (Axis){in->attr.ref});
    case OP_TILEINFO:
        return in->attr.kind == INFO_BEGIN || in->attr.kind == INFO_END
                   ? middle(c, (Axis){in->attr.ref})
                   : NAN;
    case OP_ADD: return a[0] + a[1];
    case OP_SUB: return a[0] - a[1];
    case OP_MUL: return a[0] * a[1];
    case OP_DIV: return a[1] != 0 ? trunc(a[0] / a[1]) : NAN;
    case OP_REM: return fmod(a[0], a[1]);
    case OP_MIN: return fmin(a[0], a[1]);
    case OP_MAX: return fmax(a[0], a[1]);
    case OP_EQ: return compare(a[0], a[1], a[0] == a[1]);
    case OP_NE: return compare(a[0], a[1], a[0] != a[1]);
    case OP_LT: return compare(a[0], a[1], a[0] < a[1]);
    case OP_LE: return compare(a[0], a[1], a[0] <= a[1]);
    case OP_CAST:
    case OP_REDUCE: return a[0];
    case OP_SELECT: return isnan(a[0]) || a[0] != 0 ? a[1] : a[2];
    default: return NAN; // the rest of a long list
    }
}

// The axes over which a bound is the hull.
static AxisSet hull_of(const Func *f, Value v, int depth)
{
    const Inst *in = value_def(f, v);
    if (!in || depth > DEPTH_MAX) return 0;
    AxisSet axes = in->op == OP_REDUCE && (in->flags & INST_IMPLICIT) ? in->attr.bits : 0;
    for (unsigned k = 0; k < in->arg_count; k++) axes |= hull_of(f, inst_arg(f, in, k), depth + 1);
    return axes;
}

static void enter_axis(Counter *c, const Inst *in)
{
    uint32_t a = in->attr.ref;
    c->from_data = false;
    double lo = estimate(c, inst_arg(c->f, in, 0), 0), hi = estimate(c, inst_arg(c->f, in, 1), 0);
    c->low[a] = isnan(lo) ? 0 : lo;
    c->size[a] = hi > lo ? hi - lo : 0;
    c->of[a] = hull_of(c->f, inst_arg(c->f, in, 0), 0) | hull_of(c->f, inst_arg(c->f, in, 1), 0);
    if (c->from_data) c->cost.exact = false;
    if (!isnan(lo) && !isnan(hi)) return;
    c->size[a] = 1;
    c->cost.exact = false;
}

// Indices of one sequence.
static double length_of(const Counter *c, AxisSet axes)
{
    double n = 1;
    for (uint32_t a = 1; a < AXES; a++)
        if (axes & axis_bit((Axis){a})) n *= c->size[a];
    return n;
}

static double elements_of(const Counter *c, AxisSet axes)
{
    double n = 1;
    for (uint32_t a = AXES - 1; a > 0; a--) { // an axis is declared after those it is a sequence of
        if (!(axes & axis_bit((Axis){a}))) continue;
        n *= c->size[a];
        axes |= c->of[a];
    }
    return n;
}

static double flops_of(Op op)
{
    const OpInfo *info = &op_info[op];
    if (op == OP_FMA) return 2;
    if (info->rule != RULE_SAME || !(info->traits & TRAIT_PURE) || op == OP_NEG || op == OP_QUANT ||
        op == OP_ABS)
        return 0;
    return 1;
}

static void count_access(Counter *c, const Inst *in, AxisSet axes)
{
    uint32_t m = in->attr.ref;
    c->cost.mem_bytes[m] +=
        elements_of(c, axes) * c->outer * dtype_info[mem_at(c->f, (Mem){m})->dtype].bits / 8;
}

static AxisSet operand_axes(const Func *f, const Inst *in)
{
    AxisSet axes = 0;
    for (unsigned k = 0; k < in->arg_count; k++) axes |= value_axes(f, inst_arg(f, in, k));
    return axes;
}

static void count_reduce(Counter *c, const Inst *in)
{
    Value x = inst_arg(c->f, in, 0);
    AxisSet axes = value_axes(c->f, x) | in->attr.bits;
    if (!(in->flags & INST_IMPLICIT) && value_dtype(c->f, x) != DTYPE_BOOL)
        c->cost.flops += elements_of(c, axes) * c->outer;
    const Inst *product = sum_product(c->f, in);
    if (product) {
        double each = dtype_is_float(value_dtype(c->f, x)) ? 2 : 1;
        c->cost.products += each * elements_of(c, axes) * c->outer;
    }
    double length = length_of(c, in->attr.bits) * c->chain;
    if (length > c->cost.reduction) c->cost.reduction = length;
}

// All lanes may meet in one element.
static void count_update(Counter *c, const Inst *in)
{
    double lanes = elements_of(c, operand_axes(c->f, in)) * c->outer;
    DType t = mem_at(c->f, (Mem){in->attr.ref})->dtype;
    count_access(c, in, operand_axes(c->f, in));
    c->cost.elements += lanes;
    c->cost.flops += lanes;
    c->cost.reduction = fmax(c->cost.reduction, lanes);
    if (dtype_is_float(t) && !dtype_is_arith(t)) c->cost.updates = fmax(c->cost.updates, lanes);
}

// What one phase leaves for another is rounded on the way.
static void note_rounding(Counter *c, const Inst *load)
{
    const MemInfo *m = mem_at(c->f, (Mem){load->attr.ref});
    if (m->kind == MEM_WORKSPACE || m->kind == MEM_OUT) c->cost.rounds[m->dtype] = true;
}

static void count_inst(Counter *c, const Inst *in)
{
    const Func *f = c->f;
    switch (in->op) {
    case OP_REDUCE: count_reduce(c, in); break;
    case OP_ATOMIC_TILE: count_update(c, in); break;
    case OP_LOAD_TILE:
        count_access(c, in, operand_axes(f, in));
        note_rounding(c, in);
        break;
    case OP_STORE_TILE:
    case OP_FOLD:
        count_access(c, in, operand_axes(f, in));
        c->cost.elements += elements_of(c, operand_axes(f, in)) * c->outer;
        if (in->op == OP_FOLD) {
            c->cost.flops += elements_of(c, operand_axes(f, in)) * c->outer;
            c->cost.reduction = fmax(c->cost.reduction, elements_of(c, operand_axes(f, in)));
        }
        break;
    case OP_QUANT:
    case OP_NEAREST: c->cost.rounds[in->attr.kind] = true; break;
    default: break;
    }
    if (in->result_count != 1) return;
    DType t = value_dtype(f, inst_result(in, 0));
    if (dtype_is_float(t))
        c->cost.flops +=
            flops_of((Op)in->op) * elements_of(c, value_axes(f, inst_result(in, 0))) * c->outer;
    if (t == DTYPE_F32 && !in_prologue(f, in) && (in->op == OP_REDUCE || flops_of((Op)in->op) > 0))
        c->cost.single = true;
    bool from_float = in->arg_count && dtype_is_float(value_dtype(f, inst_arg(f, in, 0)));
    if ((in->op == OP_CAST || in->op == OP_NEAREST) && from_float && dtype_is_int(t))
        c->cost.float_to_int = true;
}

static void count_turns(Counter *c, const Inst *in)
{
    if (in->op == OP_REPEAT && c->repeats < REPEATS_MAX) {
        c->once[c->repeats++] = c->outer;
        c->outer *= fmax((double)(int64_t)c->values[inst_arg(c->f, in, 0).i], 0);
    } else if (in->op == OP_AGAIN && c->repeats) {
        c->outer = c->once[--c->repeats];
    }
}

static void count_region(Counter *c, Region r)
{
    const Func *f = c->f;
    for_each_inst(f, r, id) {
        const Inst *in = inst_at(f, id);
        count_turns(c, in);
        double outer = c->outer, chain = c->chain;
        if (in->op == OP_GRID || in->op == OP_LOOP || in->op == OP_AXIS) {
            enter_axis(c, in);
            const AxisInfo *axis = axis_at(f, (Axis){in->attr.ref});
            if (in->op != OP_AXIS && axis->scalar) c->outer *= c->size[in->attr.ref];
            if (in->op == OP_LOOP && in->result_count)
                c->chain *= axis->scalar ? c->size[in->attr.ref] : 1;
        }
        count_inst(c, in);
        for (unsigned k = 0; k < in->region_count; k++) count_region(c, inst_region(in, k));
        c->outer = outer;
        c->chain = chain;
    }
}

Cost cost_estimate(Arena *arena, const Func *tile, const uint64_t *values)
{
    Counter c = {.f = tile, .values = values, .outer = 1, .chain = 1};
    c.cost.exact = true;
    c.cost.reduction = 1;
    c.cost.mem_bytes = arena_array(arena, double, tile->mems.count + 1);
    count_region(&c, tile->body);
    for (uint32_t m = 1; m < tile->mems.count; m++) {
        int64_t whole = mem_bytes(tile, (Mem){m}, values);
        double most =
            (double)(whole < 0 ? 0 : whole) * (mem_at(tile, (Mem){m})->kind == MEM_INOUT ? 2 : 1);
        c.cost.mem_bytes[m] = fmin(c.cost.mem_bytes[m], most);
    }
    return c.cost;
}

static bool has_tile_products(const Func *loop)
{
    for (uint32_t i = 1; loop && i < loop->insts.count; i++)
        if (inst_at(loop, (InstId){i})->op == OP_DOT_ROWS) return true;
    return false;
}

typedef struct CostJob {
    Arena arena;
    const hk_exec *exec;
    Cost cost;
} CostJob;

static void run_estimate(void *self)
{
    CostJob *job = self;
    job->cost = cost_estimate(&job->arena, job->exec->tile, job->exec->values);
}

hk_status hk_exec_cost(const hk_exec *exec, hk_cost *out)
{
    if (!exec || !out || out->struct_size != sizeof *out || !exec->shapes_known)
        return HK_ERROR_USAGE;
    CostJob job = {.exec = exec};
    arena_init(&job.arena, &exec->kernel->module->context->allocator);
    bool enough = guarded(&job.arena, run_estimate, &job);
    if (enough) {
        *out = (hk_cost){.struct_size = sizeof *out,
                         .flops = job.cost.flops,
                         .elements = job.cost.elements,
                         .exact = job.cost.exact,
                         .products = has_tile_products(exec->loop) ? job.cost.products : 0};
        for (uint32_t m = 1; m < exec->tile->mems.count; m++) {
            if (exec->slot_of_mem[m] != UINT32_MAX) out->bytes += job.cost.mem_bytes[m];
        }
    }
    arena_free(&job.arena);
    return enough ? HK_OK : HK_ERROR_MEMORY;
}
