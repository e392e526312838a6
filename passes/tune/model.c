// The time of a launch from its Loop IR; see model.h. Here: the instructions of each loop body, and
// the sum of all.
//
// The unit of the tables is a multiply-add of one vector, of which a machine issues `fma_rate` a
// second; what a machine needs for the rest, measured in it, is much the same everywhere.
#include <math.h>

#include "passes/tune/model_internal.h"

const char *const model_terms[MODEL_TERMS] = {"arithmetic", "instructions", "L1",    "latency",
                                              "L2",         "L3",           "memory"};

static const double ISSUE = 3, // instructions that start in the time of a multiply-add
    FMA_LATENCY = 8,           // multiply-adds that fit into the latency of one
    LOOP_START = 24,           // a loop ends with a branch that is foreseen wrongly
    UNIT_SECONDS = 40e-9,      // to take a piece of the units
    TOGETHER = 3;              // how far limits overlap: the order of the mean of them

typedef struct Body {
    double arithmetic, memory, issue, chain; // in multiply-adds of a vector
} Body;

typedef struct Core {
    Model *m;
    double load; // of a vector, in multiply-adds
    double seconds[MODEL_TERMS];
    double sum; // of the slowest of each body
} Core;

// ---- instructions

static double parts(const Model *m, Type t)
{
    double bits = t.dtype == DTYPE_BOOL ? 8 : dtype_info[t.dtype].bits;
    double bytes = (t.lanes ? t.lanes : 1) * bits / 8;
    return t.lanes ? ceil(bytes / m->machine->vector_bytes) : 1;
}

double model_work(const Model *m, const Inst *in)
{
    if (in->op >= OP_EXP && in->op <= OP_POW)
        return in->op == OP_EXP || in->op == OP_EXP2 ? 16 : 28;
    switch (in->op) {
    case OP_CONST:
    case OP_SPLAT:
    case OP_IOTA:
    case OP_BITCAST: return 0;
    case OP_DIV:
    case OP_REM:
    case OP_RCP: return 14;
    case OP_SQRT:
    case OP_RSQRT: return 18;
    case OP_MIN:
    case OP_MAX: return 4; // a NaN is kept
    case OP_FMIN:
    case OP_FMAX:
    case OP_CAST:
    case OP_ZIP:
    case OP_UNZIP:
    case OP_SPREAD: return 2;
    case OP_QUANT:
    case OP_NEAREST: return 6;
    case OP_FMA: return m->machine->lacks_fma ? 2 : 1;
    case OP_VREDUCE: return 12;
    default: return 1; // the rest of a long list
    }
}

static double latency_of(const Model *m, const Inst *in)
{
    if (op_info[in->op].traits & TRAIT_READS) return 2 * FMA_LATENCY;
    double work = model_work(m, in);
    return work <= 2 ? FMA_LATENCY * (in->op == OP_FMA ||
                                              dtype_is_float(value_dtype(m->f, inst_result(in, 0)))
                                          ? 1
                                          : 0.25)
                     : FMA_LATENCY + work;
}

static void count_access(Core *c, const Inst *in, double weight, Body *body)
{
    const Func *f = c->m->f;
    bool store = in->op == OP_STORE || in->op == OP_SCATTER;
    Type t = value_type(f, store ? inst_arg(f, in, 0) : inst_result(in, 0));
    double n = parts(c->m, t), lanes = t.lanes ? t.lanes : 1;
    if (in->op == OP_GATHER || in->op == OP_SCATTER) n = lanes;
    if (in->op == OP_ATOMIC) n = lanes * 20;
    body->memory += weight * n * c->load * (store ? 2 : 1);
    body->issue += weight * n;
}

static void count_inst(Core *c, const Inst *in, double weight, Body *body)
{
    const Func *f = c->m->f;
    if (in->op == OP_LOAD || in->op == OP_STORE || in->op == OP_GATHER || in->op == OP_SCATTER ||
        in->op == OP_ATOMIC) {
        count_access(c, in, weight, body);
        return;
    }
    if (in->op == OP_PREFETCH) {
        body->memory += weight * c->load;
        body->issue += weight;
    }
    if (in->result_count != 1 || in->op == OP_CONST || in->op == OP_SPLAT) return;
    Type t = value_type(f, inst_result(in, 0));
    double n = parts(c->m, t), work = model_work(c->m, in);
    if (t.lanes || dtype_is_float((DType)t.dtype) || in->op == OP_VREDUCE)
        body->arithmetic += weight * n * work;
    // Scalar integers: most are parts of an address, which loads add up themselves.
    body->issue += weight * n * (t.lanes || dtype_is_float((DType)t.dtype) ? fmax(work, 1) : 0.5);
}

static void count_region(Core *c, Region r, double weight, Body *body)
{
    const Func *f = c->m->f;
    for_each_inst(f, r, id) {
        const Inst *in = inst_at(f, id);
        if (in->op == OP_FOR) continue; // a node of its own
        if (in->op == OP_IF) {
            double condition = c->m->base[inst_arg(f, in, 0).i];
            double yes = isnan(condition) ? 0.5 : condition != 0;
            count_region(c, inst_region(in, 0), weight * yes, body);
            if (in->region_count > 1) count_region(c, inst_region(in, 1), weight * (1 - yes), body);
            body->issue += weight;
            continue;
        }
        count_inst(c, in, weight, body);
    }
}

// ---- an innermost loop: chains of carried values, and what does not fit into registers

static double chain_of(const Model *m, Region r)
{
    const Func *f = m->f;
    double longest = 0;
    m->stamps[0] = 0;
    double *depth = m->moved; // free by now
    for (unsigned k = 1; k < region_at(f, r)->arg_count; k++) depth[region_arg(f, r, k).i] = 0;
    for_each_inst(f, r, id) {
        const Inst *in = inst_at(f, id);
        double most = -1;
        for (unsigned k = 0; k < in->arg_count; k++) {
            Value v = inst_arg(f, in, k);
            bool carried = value_inside(f, v, r) && v.i != region_arg(f, r, 0).i;
            if (carried) most = fmax(most, depth[v.i]);
        }
        if (in->op == OP_YIELD) {
            longest = fmax(longest, most);
            break;
        }
        for (unsigned k = 0; k < in->result_count; k++)
            depth[inst_result(in, k).i] = most < 0 ? -1 : most + latency_of(m, in);
    }
    return longest;
}

// Vectors that are needed at once: carried ones, those from outside, and the operands at hand.
static double spilled(const Model *m, Region r)
{
    const Func *f = m->f;
    double carried = 0, outside = 0, registers = m->machine->vector_registers;
    uint32_t seen = ++((Model *)m)->stamp;
    for (unsigned k = 1; k < region_at(f, r)->arg_count; k++) {
        Type t = value_type(f, region_arg(f, r, k));
        if (t.lanes || dtype_is_float((DType)t.dtype)) carried += parts(m, t);
    }
    double live = 0, most = 0;
    for_each_inst(f, r, id) {
        const Inst *in = inst_at(f, id);
        for (unsigned k = 0; k < in->arg_count; k++) {
            Value v = inst_arg(f, in, k);
            if (m->stamps[v.i] == seen || value_inside(f, v, r)) continue;
            m->stamps[v.i] = seen;
            if (value_type(f, v).lanes) outside += parts(m, value_type(f, v));
        }
        bool loads = in->op == OP_LOAD && value_type(f, inst_result(in, 0)).lanes;
        if (loads) live += parts(m, value_type(f, inst_result(in, 0)));
        if (!loads && in->op != OP_PREFETCH && in->result_count &&
            value_type(f, inst_result(in, 0)).lanes && in->op != OP_SPLAT) {
            most = fmax(most, live);
            live = 0; // a run of loads has met its user
        }
    }
    double over = carried + outside + fmin(most, registers / 4) + 1 - registers;
    return over > 0 ? over : 0;
}

static void count_node(Core *c, const Node *node, double times)
{
    const Machine *machine = c->m->machine;
    double runs = times * node->weight, each = 1 / machine->fma_rate;
    times = runs * node->trips;
    if (node->body.i) {
        Body body = {0};
        count_region(c, node->body, 1, &body);
        body.issue += 2; // the loop's own
        if (!region_has_loop(c->m->f, node->body) && !node->units) {
            double over = spilled(c->m, node->body);
            body.chain = chain_of(c->m, node->body);
            body.memory += over * 3 * c->load;
        }
        body.issue /= ISSUE;
        double start = node->units ? 0 : LOOP_START * runs;
        double slowest = fmax(fmax(body.arithmetic, body.memory), fmax(body.issue, body.chain));
        c->seconds[MODEL_ARITHMETIC] += times * body.arithmetic * each;
        c->seconds[MODEL_ISSUE] += times * body.issue * each;
        c->seconds[MODEL_L1] += times * body.memory * each;
        c->seconds[MODEL_LATENCY] += (times * body.chain + start) * each;
        c->sum += (times * slowest + start) * each;
    }
    for (const Node *child = node->child; child; child = child->next) count_node(c, child, times);
}

// ---- all of it

double model_together(const double *seconds, unsigned count)
{
    double sum = 0;
    for (unsigned k = 0; k < count; k++) sum += pow(seconds[k], TOGETHER);
    return pow(sum, 1 / TOGETHER);
}

static void add_phase(Model *m, const Inst *phase, Estimate *e, double all_threads)
{
    const Machine *machine = m->machine;
    double units = floor(m->base[inst_arg(m->f, phase, 0).i]);
    bool grid = phase->attr.kind == LOOP_GRID;
    if (!(units >= 1)) return;
    m->threads = grid ? fmin(all_threads, units) : 1;
    Node *root = model_tree(m, phase, units);
    Core core = {.m = m, .load = machine->vector_bytes * machine->fma_rate / machine->l1_rate};
    count_node(&core, root, 1);
    Traffic t = model_traffic(m, root);
    double rounds = ceil(units / m->threads), idle = grid ? rounds * m->threads / units : 1;
    double seconds[4] = {core.sum / m->threads, t.weighed[0] / machine->l2_rate / m->threads,
                         t.weighed[1] / machine->l3_rate, t.weighed[2] / machine->memory_rate};
    double one = model_together(seconds, 4);
    for (int k = 0; k < MODEL_L2; k++) e->terms[k] += core.seconds[k] / m->threads;
    for (int k = 0; k < CACHES; k++) {
        e->terms[MODEL_L2 + k] += seconds[k + 1];
        e->bytes[k] += t.bytes[k];
    }
    e->core += seconds[0];
    e->idle += one * (idle - 1);
    e->start += fmin(units, 8 * m->threads) * UNIT_SECONDS +
                (m->threads > 1 ? machine->launch_seconds * 4 : 0);
    e->seconds += one * idle;
    if (units >= e->units) {
        e->units = units;
        e->unit_bytes = t.footprint;
    }
}

Model model_new(Arena *arena, const Func *loop, const Machine *machine, bool upper)
{
    Model m = {.arena = arena, .f = loop, .machine = machine, .upper = upper};
    m.base = arena_array(arena, double, loop->values.count + 1);
    m.moved = arena_array(arena, double, loop->values.count + 1);
    m.stamps = arena_array(arena, uint32_t, loop->values.count + 1);
    m.middle = arena_array(arena, double, loop->insts.count + 1);
    m.asked = arena_array(arena, bool, loop->mems.count + 1);
    for (uint32_t k = 0; k <= loop->values.count; k++) m.base[k] = NAN;
    for (uint32_t k = 0; k <= loop->insts.count; k++) m.middle[k] = NAN;
    model_prologue(&m);
    return m;
}

static Estimate estimate_once(Arena *arena, const Func *loop, const Machine *machine,
                              uint32_t threads, bool upper)
{
    Model m = model_new(arena, loop, machine, upper);
    Estimate e = {.start = machine->launch_seconds};
    for_each_inst(loop, loop->body, id) {
        const Inst *in = inst_at(loop, id);
        if (in->op == OP_PHASE) add_phase(&m, in, &e, threads);
    }
    e.seconds += e.start;
    e.exact = !m.inexact;
    return e;
}

// Of an even number of turns two are in the middle: the mean of both is right where turns are
// longer and longer, and where the last of two is short.
Estimate model_estimate(Arena *arena, const Func *loop, const Machine *machine, uint32_t threads)
{
    Estimate e = estimate_once(arena, loop, machine, threads, false);
    Estimate other = estimate_once(arena, loop, machine, threads, true);
    for (int k = 0; k < MODEL_TERMS; k++) e.terms[k] = (e.terms[k] + other.terms[k]) / 2;
    for (int k = 0; k < CACHES; k++) e.bytes[k] = (e.bytes[k] + other.bytes[k]) / 2;
    e.seconds = (e.seconds + other.seconds) / 2;
    e.core = (e.core + other.core) / 2;
    e.idle = (e.idle + other.idle) / 2;
    return e;
}

ModelTerm model_bound(const Estimate *e)
{
    ModelTerm most = MODEL_ARITHMETIC;
    for (int k = 1; k < MODEL_TERMS; k++)
        if (e->terms[k] > e->terms[most]) most = (ModelTerm)k;
    return most;
}
