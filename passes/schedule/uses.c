// Who uses what: for each root the values that it recomputes and the boundaries (reductions, kept
// values, scratch) that it reads; from that the order that roots must keep.
#include "passes/schedule/sched.h"

bool is_boundary(const Sched *s, Value v)
{
    const ValueState *state = &s->values[v.i];
    return state->root || state->slot || state->global.i;
}

// Of one index at most along each axis, as a head's index in a unit of one head.
static bool is_single(const Sched *s, AxisSet axes)
{
    for (; axes; axes &= axes - 1)
        if (s->axes[__builtin_ctzll(axes)].size_max != 1) return false;
    return true;
}

// Approximate cost in vector instructions of computing v again; boundaries are free to read, and
// what does not vary, or not along all that v varies along, is computed outside loops.
float value_cost(Sched *s, Value v)
{
    ValueState *state = &s->values[v.i];
    if (is_boundary(s, v)) return 1;
    if (is_single(s, value_axes(s->tile, v))) return 0;
    if (state->cost >= 0) return state->cost;
    state->cost = 0;
    const Inst *in = value_def(s->tile, v);
    if (!in) return 0;
    float cost = 1;
    if (in->op >= OP_EXP && in->op <= OP_POW) cost = 12;
    if (in->op == OP_DIV || in->op == OP_REM || in->op == OP_SQRT || in->op == OP_RSQRT) cost = 5;
    if (in->op == OP_CONST || in->op == OP_INDEX || in->op == OP_TILEINFO) cost = 0;
    for_each_arg(s->tile, in, k, arg)
        if (is_single(s, value_axes(s->tile, v) & ~value_axes(s->tile, arg)))
            cost += value_cost(s, arg);
    s->values[v.i].cost = cost;
    return cost;
}

static void add_dep(Sched *s, Root *root, uint32_t on, AxisSet sharable)
{
    for (uint32_t i = 0; i < root->deps.count; i++)
        if (root->deps.data[i].root == on) {
            root->deps.data[i].sharable &= sharable;
            return;
        }
    vec_push(s->arena, &root->deps, (Dep){on, sharable});
}

static void visit(Sched *s, uint32_t index, Value v)
{
    ValueState *state = &s->values[v.i];
    if (state->mark == s->mark) return;
    state->mark = s->mark;
    vec_push(s->arena, &state->users, index);
    if (state->root) {
        const Root *producer = s->roots.data[state->root - 1];
        AxisSet apart = state->taken | (root_computes(producer) ? producer->reduced : 0);
        if (producer->kind == ROOT_SORT)
            apart |= axis_bit((Axis){inst_at(s->tile, producer->inst)->attr.ref});
        if (producer->packs && group_shares(s)) apart = ~(AxisSet)0; // by all, before all
        if (state->root - 1 != index)
            add_dep(s, s->roots.data[index], state->root - 1, value_axes(s->tile, v) & ~apart);
        return;
    }
    if (state->slot || state->global.i) return;
    const Inst *in = value_def(s->tile, v);
    if (!in || in->region_count) return;
    for_each_arg(s->tile, in, k, arg) visit(s, index, arg);
}

static void visit_root(Sched *s, uint32_t index)
{
    const Root *root = s->roots.data[index];
    s->mark++;
    if (root->inst.i) {
        const Inst *in = inst_at(s->tile, root->inst);
        for_each_arg(s->tile, in, k, v) visit(s, index, v);
        return;
    }
    if (root->kind == ROOT_CARRY && root->from) {
        for (uint32_t i = 0; i < s->roots.count; i++)
            if (s->roots.data[i]->slot == root->from)
                add_dep(s, s->roots.data[index], i, root->from->axes & ~root->slot->taken);
        return;
    }
    if (root->kind == ROOT_CARRY) {
        visit(s, index, root->value);
        return;
    }
    const Inst *in = value_def(s->tile, root->value);
    for_each_arg(s->tile, in, k, v) visit(s, index, v);
    if (root->mask.i) visit(s, index, root->mask);
}

// Lanes of an atomic update may meet in an element, so it is done for all of them before anything
// else touches the memory, but for updates of its kind whose old values nobody reads.
static bool any_order(const Sched *s, const Root *a, const Root *b)
{
    if (a->kind != ROOT_ATOMIC || b->kind != ROOT_ATOMIC) return false;
    const Inst *x = inst_at(s->tile, a->inst), *y = inst_at(s->tile, b->inst);
    return atomic_is_update(x->attr.kind) && x->attr.kind == y->attr.kind &&
           !s->values[a->value.i].users.count && !s->values[b->value.i].users.count;
}

static bool same_indices(const Sched *s, const Inst *a, const Inst *b)
{
    unsigned first_a = first_index(a), first_b = first_index(b);
    unsigned rank = mem_at(s->tile, (Mem){a->attr.ref})->rank;
    for (unsigned k = 0; k < rank; k++)
        if (inst_arg(s->tile, a, first_a + k).i != inst_arg(s->tile, b, first_b + k).i)
            return false;
    return true;
}

// Axes along which each index of both touches elements of its own: they stand in the same place.
static AxisSet index_axes(const Sched *s, const Inst *a, const Inst *b)
{
    unsigned first_a = first_index(a), first_b = first_index(b);
    unsigned rank = mem_at(s->tile, (Mem){a->attr.ref})->rank;
    AxisSet axes = 0;
    for (unsigned k = 0; k < rank; k++) {
        const Inst *x = value_def(s->tile, inst_arg(s->tile, a, first_a + k));
        const Inst *y = value_def(s->tile, inst_arg(s->tile, b, first_b + k));
        if (x && y && x->op == OP_INDEX && y->op == OP_INDEX && x->attr.ref == y->attr.ref &&
            !axis_at(s->tile, (Axis){x->attr.ref})->scalar)
            axes |= axis_bit((Axis){x->attr.ref});
    }
    return axes;
}

static Mem root_mem(const Sched *s, const Root *root)
{
    bool touches = root->kind == ROOT_STORE || root->kind == ROOT_FOLD ||
                   root->kind == ROOT_ATOMIC || (root->kind == ROOT_KEEP && root->inst.i);
    return touches ? (Mem){inst_at(s->tile, root->inst)->attr.ref} : (Mem){0};
}

// Stores to and loads from one memory keep program order.
static void memory_deps(Sched *s, const Segment *segment)
{
    for (uint32_t i = 0; i < segment->roots.count; i++) {
        Root *later = s->roots.data[segment->roots.data[i]];
        Mem mem = root_mem(s, later);
        if (!mem.i) continue;
        for (uint32_t j = 0; j < i; j++) {
            const Root *first = s->roots.data[segment->roots.data[j]];
            if (root_mem(s, first).i != mem.i) continue;
            if (first->kind == ROOT_KEEP && later->kind == ROOT_KEEP) continue;
            const Inst *a = inst_at(s->tile, first->inst), *b = inst_at(s->tile, later->inst);
            if (any_order(s, first, later)) continue;
            AxisSet sharable = 0;
            if (first->kind != ROOT_ATOMIC && later->kind != ROOT_ATOMIC)
                sharable = same_indices(s, a, b) ? ~(AxisSet)0 : index_axes(s, a, b);
            add_dep(s, later, segment->roots.data[j], sharable & first->axes & later->axes);
        }
    }
}

// Lines keep the order of statements, each for the whole tile.
static void print_deps(Sched *s, const Segment *segment)
{
    for (uint32_t i = 0; i < segment->roots.count; i++)
        for (uint32_t j = 0; j < i; j++) {
            Root *later = s->roots.data[segment->roots.data[i]];
            const Root *first = s->roots.data[segment->roots.data[j]];
            if (first->kind == ROOT_PRINT && later->kind == ROOT_PRINT)
                add_dep(s, later, segment->roots.data[j], 0);
        }
}

// A carried value is overwritten after everything that reads the old one.
static void carry_deps(Sched *s, const Segment *segment)
{
    for (uint32_t i = 0; i < segment->roots.count; i++) {
        Root *carry = s->roots.data[segment->roots.data[i]];
        if (carry->kind != ROOT_CARRY) continue;
        for (uint32_t v = 1; v < s->tile->values.count; v++) {
            const ValueState *state = &s->values[v];
            if (state->slot != carry->slot) continue;
            for (uint32_t u = 0; u < state->users.count; u++)
                for (uint32_t j = 0; j < i; j++)
                    if (segment->roots.data[j] == state->users.data[u])
                        add_dep(s, carry, segment->roots.data[j],
                                carry->slot->axes & ~carry->slot->taken);
        }
    }
}

void uses_find(Sched *s)
{
    for (uint32_t v = 0; v < s->tile->values.count; v++) {
        s->values[v].users.count = 0;
        s->values[v].cost = -1;
    }
    for (uint32_t i = 0; i < s->roots.count; i++) {
        s->roots.data[i]->deps.count = 0;
        visit_root(s, i);
    }
    for (uint32_t i = 0; i < s->segments.count; i++) {
        order_carries(s, s->segments.data[i]);
        memory_deps(s, s->segments.data[i]);
        print_deps(s, s->segments.data[i]);
        carry_deps(s, s->segments.data[i]);
    }
}

static bool reads_slot(const Sched *s, uint32_t root, const Slot *slot)
{
    for (uint32_t v = 1; v < s->tile->values.count; v++) {
        const ValueState *state = &s->values[v];
        if (state->slot != slot) continue;
        for (uint32_t u = 0; u < state->users.count; u++)
            if (state->users.data[u] == root) return true;
    }
    return false;
}

// Carries at the end of a segment are put so that each comes after all others that read its old
// value. Where they read each other in a circle (a swap), keep_choose has given them scratch of
// their own.
void order_carries(Sched *s, Segment *segment)
{
    uint32_t first = segment->roots.count;
    while (first > 0 && s->roots.data[segment->roots.data[first - 1]]->kind == ROOT_CARRY) first--;
    for (uint32_t at = first; at < segment->roots.count; at++) {
        for (uint32_t pick = at; pick < segment->roots.count; pick++) {
            const Slot *slot = s->roots.data[segment->roots.data[pick]]->slot;
            bool free = true;
            for (uint32_t other = at; other < segment->roots.count; other++)
                if (other != pick && reads_slot(s, segment->roots.data[other], slot)) free = false;
            if (!free) continue;
            uint32_t moved = segment->roots.data[pick];
            for (uint32_t k = pick; k > at; k--)
                segment->roots.data[k] = segment->roots.data[k - 1];
            segment->roots.data[at] = moved;
            break;
        }
    }
}
