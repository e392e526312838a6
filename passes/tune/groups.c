// The time of a launch by groups of work-items on a device, from its Loop IR; see model.h.
//
// A compute unit holds some groups at once, as many as its work-items, registers and local memory
// allow. What one of them waits for, the others hide: so the time of a unit of the phase is the
// longest of what all its work-items issue, what they move, and what one group waits for, divided
// by the groups that are there.
//
//   group 256, 16 dealt rounds of { 1 load, 32 fma }: 16 * (32 + ..) * 256 / lanes cycles issued,
//   16 * (memory_cycles + ..) cycles waited for, shared by the resident groups
#include <math.h>

#include "passes/tune/model_internal.h"

const char *const model_group_terms[MODEL_TERMS] = {
    "arithmetic", "instructions", "local memory", "latency", "L2", "barriers", "memory"};

enum { ALONE = 64, OWN_REGISTERS = 24, REGISTERS_MOST = 255 };
static const double SHARED_READ = 0.5; // of a line in local memory, as neighbours read the same

typedef struct Body { // of one work-item
    double arithmetic, issue, local_bytes, waits;
    bool reads_memory, reads_local;
} Body;

typedef struct Count {
    const Model *m;
    const GroupDevice *device;
    const GroupPlan *plan;
    double group, read_cycles;  // until a load from memory, or L2, is there
    double cycles[MODEL_TERMS]; // of a unit
    double registers;
} Count;

// ---- instructions

static double words(Type t)
{
    double lanes = t.lanes ? t.lanes : 1;
    return lanes * (t.dtype != DTYPE_BOOL && dtype_info[t.dtype].bits > 32 ? 2 : 1);
}

static bool accesses(const Inst *in)
{
    return in->op == OP_LOAD || in->op == OP_STORE || in->op == OP_GATHER || in->op == OP_SCATTER ||
           in->op == OP_ATOMIC;
}

static void count_access(const Count *c, InstId id, double weight, Body *body)
{
    const Func *f = c->m->f;
    const Inst *in = inst_at(f, id);
    bool store = in->op == OP_STORE || in->op == OP_SCATTER;
    Type t = value_type(f, store ? inst_arg(f, in, 0) : inst_result(in, 0));
    const double bytes = words(t) * 4, wide = in->op == OP_LOAD || in->op == OP_STORE ? 16 : 4;
    if (c->plan->place[id.i] == GROUP_OWN) return;
    body->issue += weight * ceil(bytes / wide);
    if (c->plan->place[id.i] == GROUP_LOCAL) {
        body->local_bytes += weight * bytes * (store ? 1 : SHARED_READ);
        body->reads_local |= !store;
    } else {
        body->reads_memory |= !store;
    }
}

static void count_inst(const Count *c, InstId id, double weight, Body *body)
{
    const Func *f = c->m->f;
    const Inst *in = inst_at(f, id);
    if (c->plan->waits[id.i]) body->waits += weight;
    if (accesses(in)) {
        count_access(c, id, weight, body);
        return;
    }
    if (in->result_count != 1 || in->op == OP_CONST || in->op == OP_SPLAT) return;
    Type t = value_type(f, inst_result(in, 0));
    const double work = model_work(c->m, in) * words(t);
    const bool counts = t.lanes || dtype_is_float((DType)t.dtype);
    if (counts) body->arithmetic += weight * work;
    // Scalar integers: most are parts of an address.
    body->issue += weight * (counts ? work : 0.5);
}

static void count_region(const Count *c, Region r, double weight, Body *body)
{
    const Func *f = c->m->f;
    for_each_inst(f, r, id) {
        const Inst *in = inst_at(f, id);
        count_inst(c, id, weight, body);
        if (in->op != OP_IF) continue; // loops are nodes of their own
        const double condition = c->m->base[inst_arg(f, in, 0).i];
        const double yes = isnan(condition) ? 0.5 : condition != 0;
        count_region(c, inst_region(in, 0), weight * yes, body);
        if (in->region_count > 1) count_region(c, inst_region(in, 1), weight * (1 - yes), body);
    }
}

// What the loop carries, and operands at hand: half of what a turn loads.
static double registers_of(const Model *m, Region r)
{
    const Func *f = m->f;
    double carried = 0, loaded = 0;
    for (unsigned k = 1; k < region_at(f, r)->arg_count; k++)
        carried += words(value_type(f, region_arg(f, r, k)));
    for_each_inst(f, r, id) {
        const Inst *in = inst_at(f, id);
        if (in->op == OP_LOAD || in->op == OP_GATHER)
            loaded += words(value_type(f, inst_result(in, 0)));
    }
    return OWN_REGISTERS + carried + loaded / 2;
}

// ---- a unit

// `times`: of the loop's body outside of what is dealt; `dealt`: iterations of the loops around it
// that are dealt, 0 if there are none.
static void count_node(Count *c, const Node *node, double times, double dealt)
{
    const double trips = node->units ? 1 : node->trips * node->weight;
    const bool is_dealt = node->depth && c->plan->dealt[node->scope.i];
    if (is_dealt) {
        dealt = (dealt > 0 ? dealt : 1) * trips;
    } else {
        times *= trips * (dealt > 0 ? ceil(dealt / c->group) : 1);
        dealt = 0;
    }
    const double runs = is_dealt ? times * ceil(dealt / c->group) : times;
    if (node->body.i) {
        Body body = {0};
        count_region(c, node->body, 1, &body);
        body.issue += 2; // the loop's own
        const double all = runs * c->group;
        const double wait = body.reads_memory  ? c->read_cycles
                            : body.reads_local ? c->device->local_cycles
                                               : 0;
        c->cycles[MODEL_ARITHMETIC] += all * body.arithmetic / c->device->lanes;
        c->cycles[MODEL_ISSUE] += all * body.issue / c->device->lanes;
        c->cycles[MODEL_L1] += all * body.local_bytes * c->device->clock / c->device->local_rate;
        c->cycles[MODEL_LATENCY] += runs * (wait + body.issue);
        c->cycles[MODEL_L3] += runs * body.waits * c->device->barrier_cycles;
        c->registers = fmax(c->registers, registers_of(c->m, node->body));
    }
    for (const Node *child = node->child; child; child = child->next)
        count_node(c, child, times, dealt);
}

// Scratch that is not in memory moves no bytes there.
static void strip(const Func *f, Node *node, const bool *kept)
{
    uint32_t count = 0;
    for (uint32_t k = 0; k < node->accesses.count; k++) {
        const Access *a = &node->accesses.data[k];
        if (mem_at(f, a->mem)->kind != MEM_SCRATCH || kept[a->mem.i])
            node->accesses.data[count++] = *a;
    }
    node->accesses.count = count;
    for (Node *child = node->child; child; child = child->next) strip(f, child, kept);
}

static bool *in_memory(const Model *m, const GroupPlan *plan)
{
    bool *kept = arena_array(m->arena, bool, m->f->mems.count + 1);
    for (uint32_t i = 1; i < m->f->insts.count; i++) {
        const Inst *in = inst_at(m->f, (InstId){i});
        if (accesses(in)) kept[in->attr.ref] |= plan->place[i] == GROUP_GLOBAL;
    }
    return kept;
}

// ---- a phase

typedef struct Limit {
    const char *name;
    double groups;
} Limit;

static Limit resident_of(const Count *c, int64_t local_bytes)
{
    const GroupDevice *d = c->device;
    const double registers = fmin(c->registers, REGISTERS_MOST);
    const Limit limits[] = {
        {"work-items of a compute unit", floor(d->items / c->group)},
        {"groups of a compute unit", d->groups},
        {"registers", floor(d->registers / (registers * c->group))},
        {"local memory",
         local_bytes ? floor((double)d->local_bytes / (double)local_bytes) : INFINITY}};
    Limit least = limits[0];
    for (unsigned k = 1; k < sizeof limits / sizeof *limits; k++)
        if (limits[k].groups < least.groups) least = limits[k];
    if (least.groups < 1) least.groups = 1;
    return least;
}

static void add_phase(Model *m, const GroupDevice *device, const GroupPlan *plan,
                      const GroupPhase *phase, Estimate *e)
{
    const Inst *in = inst_at(m->f, phase->phase);
    double units = floor(m->base[inst_arg(m->f, in, 0).i]);
    if (!(units >= 1)) return;
    Count c = {.m = m, .device = device, .plan = plan, .group = phase->group};
    const double alone = phase->group > 1 ? 1 : fmin(ALONE, units); // units to a group
    c.group *= alone;
    m->threads = device->units;
    Node *root = model_tree(m, in, units);
    const double groups = in->attr.kind == LOOP_GRID ? ceil(units / alone) : 1;
    strip(m->f, root, in_memory(m, plan));
    const Traffic t = model_traffic(m, root);
    const double missed = t.bytes[1] > 0 ? fmin(t.bytes[2] / t.bytes[1], 1) : 0;
    c.read_cycles = device->l2_cycles + (device->memory_cycles - device->l2_cycles) * missed;
    count_node(&c, root, 1, 0);
    const Limit limit = resident_of(&c, phase->local_bytes);
    const double turns = ceil(groups / device->units), held = fmin(limit.groups, turns);
    double seconds[MODEL_TERMS];
    for (int k = 0; k < MODEL_TERMS; k++) seconds[k] = c.cycles[k] * turns / device->clock;
    seconds[MODEL_LATENCY] /= held;
    seconds[MODEL_L3] /= held;
    seconds[MODEL_L2] = t.bytes[1] / device->l2_rate;
    seconds[MODEL_MEMORY] = t.bytes[2] / device->memory_rate;
    for (int k = 0; k < MODEL_TERMS; k++) e->terms[k] += seconds[k];
    e->bytes[0] += t.bytes[1];
    e->bytes[2] += t.bytes[2];
    e->core += model_together(seconds, MODEL_L2);
    const double all = model_together(seconds, MODEL_TERMS);
    e->idle += all * (1 - groups / (turns * device->units));
    e->seconds += all;
    e->start += device->launch_seconds;
    if (units < e->units) return;
    e->units = units;
    e->unit_bytes = t.footprint;
    e->group = phase->group;
    e->resident = held;
    e->resident_by = held < limit.groups ? "their number" : limit.name;
    e->registers = c.registers;
}

Estimate model_groups(Arena *arena, const Func *loop, const Machine *machine,
                      const GroupDevice *device, const GroupPlan *plan)
{
    enum { L1_BYTES = 32 << 10 }; // what groups that run together find there again
    Machine caches = *machine;
    caches.l1_bytes = caches.l2_bytes = L1_BYTES;
    caches.l3_bytes = device->l2_bytes;
    Model m = model_new(arena, loop, &caches, false);
    Estimate e = {0};
    for (uint32_t i = 0; i < plan->phases.count; i++)
        add_phase(&m, device, plan, &plan->phases.data[i], &e);
    e.seconds += e.start;
    e.exact = !m.inexact;
    return e;
}
