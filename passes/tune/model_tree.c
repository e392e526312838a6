// The loops of a phase as a tree, with trip counts and the addresses of loads and stores; see
// model.h.
//
// The units of a phase, or a loop whose index is taken apart, are several loops: of `u % 16` and
// `u / 16` the first is the inner one, of 16 turns.
#include <math.h>

#include "ir/eval.h"
#include "passes/tune/model_internal.h"

enum { DIGITS_MOST = 6 };
static const double UNKNOWN_LENGTH = 512; // of a range that nothing tells

// ---- values

static double arg_of(const Model *m, const Inst *in, unsigned k, bool moved)
{
    if (k >= in->arg_count) return NAN;
    Value v = inst_arg(m->f, in, k);
    return moved && m->stamps[v.i] == m->stamp ? m->moved[v.i] : m->base[v.i];
}

static void set(Model *m, Value v, double x, bool moved)
{
    if (!moved) {
        m->base[v.i] = x;
        return;
    }
    m->moved[v.i] = x;
    m->stamps[v.i] = m->stamp;
}

// The integers of a tensor: spread evenly, ascending, over what is promised of them.
static double assumed(Model *m, const Inst *load, double at)
{
    const Func *f = m->f;
    const Inst *promise = mem_promise(f, (Mem){load->attr.ref});
    m->inexact = true;
    if (!promise) return NAN;
    bool range = promise->attr.kind == REFINE_RANGE;
    double low = range ? m->base[inst_arg(f, promise, 0).i] : 0, count = 1;
    double high = m->base[inst_arg(f, promise, range ? 1 : 0).i];
    const Inst *tensor = inst_at(f, mem_at(f, (Mem){load->attr.ref})->decl);
    for (unsigned k = 0; k < tensor->arg_count; k++) count *= m->base[inst_arg(f, tensor, k).i];
    if (isnan(at) || isnan(count)) return low + (high - low) / 2;
    return low + floor((high - low) * at / fmax(count - 1, 1));
}

static double compare(Op op, double a, double b)
{
    if (isnan(a) || isnan(b)) return NAN;
    return op == OP_EQ ? a == b : op == OP_NE ? a != b : op == OP_LT ? a < b : a <= b;
}

static double evaluate(Model *m, const Inst *in, bool moved)
{
    double a = arg_of(m, in, 0, moved), b = arg_of(m, in, 1, moved), c = arg_of(m, in, 2, moved);
    DType t = value_dtype(m->f, inst_result(in, 0));
    switch (in->op) {
    case OP_CONST: return scalar_to_double(t, in->attr.bits);
    case OP_IOTA: return m->lane;
    case OP_ADD: return a + b;
    case OP_SUB: return a - b;
    case OP_MUL: return a * b;
    case OP_DIV: return b != 0 ? trunc(a / b) : NAN;
    case OP_REM: return b != 0 ? fmod(a, b) : NAN;
    case OP_NEG: return -a;
    case OP_MIN: return fmin(a, b); // what is unknown does not bound
    case OP_MAX: return fmax(a, b);
    case OP_SHL: return a * exp2(b);
    case OP_SHR: return floor(a / exp2(b));
    case OP_EQ:
    case OP_NE:
    case OP_LT:
    case OP_LE: return compare((Op)in->op, a, b);
    case OP_AND: return t == DTYPE_BOOL ? (a != 0 && b != 0) : NAN;
    case OP_OR: return t == DTYPE_BOOL ? (a != 0 || b != 0) : NAN;
    case OP_NOT: return t == DTYPE_BOOL ? a == 0 : NAN;
    case OP_SELECT: return isnan(a) ? NAN : a != 0 ? b : c;
    case OP_CAST:
    case OP_SPLAT:
    case OP_VREDUCE:
    case OP_EXTRACT: return a;
    case OP_LOAD:
    case OP_GATHER: return dtype_is_int(t) ? assumed(m, in, a) : NAN;
    default: return NAN; // the rest makes no address
    }
}

static double trips_of(double lo, double hi, double step)
{
    if (isnan(lo) || isnan(hi) || !(step > 0)) return NAN;
    return hi > lo ? (hi - lo + step - 1) / step : 0;
}

static double half_of(const Model *m, double trips)
{
    double half = trips > 1 ? (trips - 1) / 2 : 0;
    return m->upper ? ceil(half) : floor(half);
}

static double turns_of(Model *m, const Inst *loop)
{
    double lo = arg_of(m, loop, 0, false), hi = arg_of(m, loop, 1, false);
    double trips = trips_of(lo, hi, arg_of(m, loop, 2, false));
    if (!isnan(trips)) return m->inexact ? trips : floor(trips);
    double step = arg_of(m, loop, 2, false);
    m->inexact = true;
    return step > 1 && step < UNKNOWN_LENGTH ? UNKNOWN_LENGTH / step
           : step > 1                        ? 1
                                             : UNKNOWN_LENGTH;
}

static void evaluate_region(Model *m, Region r, bool moved);

// The integer that the loop makes as the largest or smallest of its turns.
static const Inst *extreme_of(const Model *m, const Inst *yield, unsigned k)
{
    const Inst *out = value_def(m->f, inst_arg(m->f, yield, k));
    bool is_int = out && dtype_is_int(value_dtype(m->f, inst_result(out, 0)));
    return is_int && (out->op == OP_MIN || out->op == OP_MAX) ? out : NULL;
}

// The index is in the middle of the range; a step of a loop outside may move the range. Carried
// integers stay as they start, but for the largest and smallest: those are of the last turn, as for
// bounds that rise from row to row.
static void evaluate_loop(Model *m, InstId id, bool moved)
{
    const Inst *in = inst_at(m->f, id);
    Region body = inst_region(in, 0);
    const Inst *yield = inst_at(m->f, region_at(m->f, body)->last);
    double lo = arg_of(m, in, 0, moved), hi = arg_of(m, in, 1, moved);
    if (isnan(m->middle[id.i])) {
        double trips = turns_of(m, in);
        m->middle[id.i] = trips > 1 ? half_of(m, trips) * arg_of(m, in, 2, false) : 0;
    }
    bool extremes = false;
    for (unsigned k = 0; k < in->result_count; k++) {
        double x = arg_of(m, in, k + 3, moved);
        set(m, region_arg(m->f, body, k + 1), x, moved);
        set(m, inst_result(in, k), x, moved);
        extremes |= extreme_of(m, yield, k) != NULL;
    }
    if (extremes && hi > lo) {
        set(m, region_arg(m->f, body, 0), hi - 1, moved);
        evaluate_region(m, body, moved);
        for (unsigned k = 0; k < in->result_count; k++)
            if (extreme_of(m, yield, k))
                set(m, inst_result(in, k), arg_of(m, yield, k, moved), moved);
    }
    set(m, region_arg(m->f, body, 0), (isnan(lo) ? 0 : lo) + m->middle[id.i], moved);
    evaluate_region(m, body, moved);
}

static void evaluate_region(Model *m, Region r, bool moved)
{
    for_each_inst(m->f, r, id) {
        const Inst *in = inst_at(m->f, id);
        if (in->op == OP_FOR) {
            evaluate_loop(m, id, moved);
            continue;
        }
        for (unsigned k = 0; k < in->region_count; k++)
            evaluate_region(m, inst_region(in, k), moved);
        for (unsigned k = 0; k < in->result_count; k++)
            set(m, inst_result(in, k), in->region_count ? NAN : evaluate(m, in, moved), moved);
    }
}

void model_prologue(Model *m)
{
    for_each_inst(m->f, m->f->body, id) {
        const Inst *in = inst_at(m->f, id);
        if (in->op != OP_PHASE && in->result_count == 1)
            m->base[inst_result(in, 0).i] = evaluate(m, in, false);
    }
}

// ---- nodes

// The divisors by which an index is taken apart, the innermost first.
static unsigned digits_of(const Model *m, Region r, Value index, double *radix)
{
    unsigned count = 0;
    for (Value v = index; v.i && count < DIGITS_MOST;) {
        double by = 0;
        Value quotient = {0};
        for_each_inst(m->f, r, id) {
            const Inst *in = inst_at(m->f, id);
            bool apart = (in->op == OP_DIV || in->op == OP_REM) && inst_arg(m->f, in, 0).i == v.i;
            double divisor = apart ? m->base[inst_arg(m->f, in, 1).i] : NAN;
            if (!(divisor > 1) || (by > 0 && divisor != by)) continue;
            by = divisor;
            if (in->op == OP_DIV) quotient = inst_result(in, 0);
        }
        if (by == 0) break;
        radix[count++] = by;
        v = quotient;
    }
    return count;
}

static Node *add_node(Model *m, Node *parent, double trips, double weight)
{
    Node *node = arena_new(m->arena, Node);
    *node = (Node){.parent = parent, .trips = trips, .weight = weight};
    if (!parent) return node;
    node->depth = parent->depth + 1;
    Node **end = &parent->child;
    while (*end) end = &(*end)->next;
    *end = node;
    return node;
}

typedef struct LoopInfo {
    Region body;
    double trips, step, weight;
    bool units;
} LoopInfo;

// Returns the innermost node. *middle: from the first index to that in the middle of each digit.
static Node *add_loop(Model *m, Node *parent, LoopInfo loop, double *middle)
{
    Value index = region_arg(m->f, loop.body, 0);
    double radix[DIGITS_MOST + 1], scale = 1, left = loop.trips;
    unsigned count = loop.step == 1 ? digits_of(m, loop.body, index, radix) : 0, used = 0;
    while (used < count && left > radix[used]) left = ceil(left / radix[used++]);
    radix[used++] = left;
    for (unsigned k = 0; k + 1 < used; k++) scale *= radix[k];
    *middle = 0;
    Node *node = parent;
    for (unsigned k = used; k-- > 0; scale /= k > 0 ? radix[k - 1] : 1) {
        if (node->depth + 1 == MODEL_DEPTH) break;
        node = add_node(m, node, radix[k], node == parent ? loop.weight : 1);
        node->units = loop.units;
        node->scope = loop.body;
        node->index = index;
        node->step = scale * loop.step;
        *middle += half_of(m, radix[k]) * node->step;
    }
    if (node != parent) node->body = loop.body;
    return node;
}

static void add_access(Model *m, Node *node, const Inst *in, double weight)
{
    const Func *f = m->f;
    bool store = in->op == OP_STORE || in->op == OP_SCATTER;
    unsigned at = in->op == OP_ATOMIC ? inst_plain_args(in) - 1u : store ? 1 : 0;
    Type type = value_type(f, store ? inst_arg(f, in, 0) : inst_result(in, 0));
    double lanes = type.lanes ? type.lanes : 1;
    bool apart = in->op != OP_LOAD && in->op != OP_STORE && lanes > 1;
    Access a = {.mem = {in->attr.ref},
                .offset = inst_arg(f, in, at),
                .element = dtype_info[mem_at(f, (Mem){in->attr.ref})->dtype].bits / 8.0,
                .lanes = apart ? lanes : 1,
                .weight = weight,
                .writes = store || in->op == OP_ATOMIC,
                .stream = (in->flags & INST_STREAM) != 0};
    a.base = m->base[a.offset.i] * a.element;
    a.width = a.element * (apart ? 1 : lanes);
    vec_push(m->arena, &node->accesses, a);
}

static void walk(Model *m, Node *node, Region r, double weight);

static void walk_loop(Model *m, Node *node, InstId id, double weight)
{
    const Inst *in = inst_at(m->f, id);
    double step = arg_of(m, in, 2, false), middle;
    LoopInfo loop = {inst_region(in, 0), turns_of(m, in), isnan(step) ? 1 : step, weight, false};
    Node *inner = add_loop(m, node, loop, &middle);
    if (m->middle[id.i] != middle) { // it has digits
        m->middle[id.i] = middle;
        evaluate_loop(m, id, false);
    }
    walk(m, inner, loop.body, 1);
}

static void walk(Model *m, Node *node, Region r, double weight)
{
    for_each_inst(m->f, r, id) {
        const Inst *in = inst_at(m->f, id);
        switch (in->op) {
        case OP_FOR: walk_loop(m, node, id, weight); break;
        case OP_IF: {
            double condition = arg_of(m, in, 0, false);
            double yes = isnan(condition) ? 0.5 : condition != 0;
            walk(m, node, inst_region(in, 0), weight * yes);
            if (in->region_count > 1) walk(m, node, inst_region(in, 1), weight * (1 - yes));
            break;
        }
        case OP_LOAD:
        case OP_STORE:
        case OP_GATHER:
        case OP_SCATTER:
        case OP_ATOMIC: add_access(m, node, in, weight); break;
        case OP_PREFETCH: m->asked[in->attr.ref] = true; break;
        default: break; // arithmetic
        }
    }
}

// ---- slopes

static double change(const Model *m, const Access *a)
{
    if (m->stamps[a->offset.i] != m->stamp) return 0;
    double by = (m->moved[a->offset.i] - m->base[a->offset.i]) * a->element;
    return m->upper && m->lane == 0 ? -by : by;
}

static void note_slopes(Model *m, Node *node, unsigned depth)
{
    for (uint32_t k = 0; k < node->accesses.count; k++) {
        Access *a = &node->accesses.data[k];
        if (depth)
            a->slopes[depth] = change(m, a);
        else if (a->lanes > 1)
            a->lane_stride = change(m, a);
    }
    for (Node *child = node->child; child; child = child->next) note_slopes(m, child, depth);
}

static void find_slopes(Model *m, Node *node)
{
    if (node->trips > 1 && node->index.i) {
        m->stamp++;
        // A step back from the upper middle, so that no other digit changes.
        double step = m->upper ? -node->step : node->step;
        set(m, node->index, m->base[node->index.i] + step, true);
        evaluate_region(m, node->scope, true);
        note_slopes(m, node, node->depth);
    }
    for (Node *child = node->child; child; child = child->next) find_slopes(m, child);
}

Node *model_tree(Model *m, const Inst *phase, double units)
{
    Region body = inst_region(phase, 0);
    Node *root = add_node(m, NULL, 1, 1);
    Value index = region_arg(m->f, body, 0);
    double middle = half_of(m, units);
    m->base[index.i] = middle;
    evaluate_region(m, body, false);
    LoopInfo loop = {body, units, 1, 1, phase->attr.kind == LOOP_GRID};
    Node *node = add_loop(m, root, loop, &m->base[index.i]);
    if (m->base[index.i] != middle) evaluate_region(m, body, false);
    walk(m, node, body, 1);
    find_slopes(m, root);
    m->lane = 1;
    m->stamp++;
    evaluate_region(m, body, true);
    note_slopes(m, root, 0);
    m->lane = 0;
    return root;
}
