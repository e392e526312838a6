// Follows old values of atomic updates from where they are found to the tensors that they reach:
// through operands, masks, conditions, bounds of loops, and memory.
#include "runtime/order.h"

typedef struct Order {
    const Func *f;
    bool *values, *mems; // depend on the order
    bool changed;
} Order;

static void taint(Order *o, bool *what)
{
    o->changed |= !*what;
    *what = true;
}

static bool reads_tainted(const Order *o, const Inst *in)
{
    bool tainted = (op_info[in->op].traits & TRAIT_READS) && o->mems[in->attr.ref];
    for_each_arg(o->f, in, k, v) tainted |= o->values[v.i];
    return tainted;
}

// The last value that the region of a while yields.
static Value goes_on(const Func *f, Region r)
{
    const Inst *yield = inst_at(f, region_at(f, r)->last);
    return inst_arg(f, yield, yield->arg_count - 1u);
}

// `under`: what decides whether this region runs depends on the order.
static void visit(Order *o, Region r, bool under)
{
    const Func *f = o->f;
    for_each_inst(f, r, id) {
        const Inst *in = inst_at(f, id);
        bool tainted = under || reads_tainted(o, in), updates = in->op == OP_ATOMIC_TILE;
        bool writes = (op_info[in->op].traits & TRAIT_WRITES) != 0;
        bool exchanges = updates && !atomic_is_update(in->attr.kind);
        if (writes && (tainted || exchanges)) taint(o, &o->mems[in->attr.ref]);
        bool branches = in->op == OP_IF || in->op == OP_LOOP;
        for (unsigned k = 0; k < in->region_count; k++) {
            Region inner = inst_region(in, k);
            if (in->flags & INST_WHILE) tainted |= o->values[goes_on(f, inner).i];
            for (unsigned j = 0; tainted && j < region_at(f, inner)->arg_count; j++)
                taint(o, &o->values[region_arg(f, inner, j).i]);
            visit(o, inner, under || (branches && tainted));
            InstId last = region_at(f, inner)->last;
            const Inst *yield = last.i ? inst_at(f, last) : NULL;
            if (yield && yield->op == OP_YIELD) tainted |= reads_tainted(o, yield);
        }
        for (unsigned k = 0; (tainted || updates) && k < in->result_count; k++)
            taint(o, &o->values[inst_result(in, k).i]);
    }
}

bool *order_dependent(Arena *arena, const Func *tile)
{
    Order o = {.f = tile};
    o.values = arena_array(arena, bool, tile->values.count);
    o.mems = arena_array(arena, bool, tile->mems.count);
    do {
        o.changed = false;
        visit(&o, tile->body, false);
    } while (o.changed);
    return o.mems;
}
