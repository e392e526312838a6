// Updates that no other unit can meet: where a tensor's elements are chosen along one grid's axis
// by its index itself, and units differ along that axis only, two units never update the same
// element, nor do two lanes along it. Then, with one tile of t,
//
//   atomic w[ids[t], d] += g[t, d]    ->    w[ids[t], d] = w[ids[t], d] + g[t, d]
//
// one t after the other: vectors along d, and the same sums for any number of threads.
#include "passes/schedule/sched.h"

typedef struct Finder {
    Sched *s;
    AxisSet spread;  // along which units may differ
    unsigned *place; // by Mem: 1 + the position of its owner's index; 0: nothing seen yet
} Finder;

static bool takes(const Sched *s, const Inst *in)
{
    DType t = mem_at(s->tile, (Mem){in->attr.ref})->dtype;
    return in->attr.kind < REDUCE_COUNT && dtype_info[t].bits >= 8;
}

// The grid's axis whose index stands at this position, if it is all that units differ along.
static Axis axis_at_place(const Finder *f, const Inst *in, unsigned place)
{
    const Inst *index = value_def(f->s->tile, inst_arg(f->s->tile, in, 1 + place));
    if (!index || index->op != OP_INDEX) return (Axis){0};
    Axis a = {index->attr.ref};
    bool grid = axis_at(f->s->tile, a)->kind == AXIS_GRID;
    return grid && !(f->spread & ~axis_bit(a)) ? a : (Axis){0};
}

static void note_update(Finder *f, const Inst *in)
{
    uint32_t mem = in->attr.ref;
    Axis found = {0};
    unsigned place = mem_at(f->s->tile, (Mem){mem})->rank;
    while (takes(f->s, in) && !found.i && place-- > 0) found = axis_at_place(f, in, place);
    bool other = f->place[mem] && (f->place[mem] != place + 1 || f->s->owner[mem].i != found.i);
    f->s->owner[mem] = other ? (Axis){0} : found;
    f->place[mem] = found.i && !other ? place + 1 : UINT32_MAX;
}

static void walk(Finder *f, Region region)
{
    for_each_inst(f->s->tile, region, id) {
        const Inst *in = inst_at(f->s->tile, id);
        if (in->op == OP_ATOMIC_TILE) note_update(f, in);
        for (unsigned k = 0; k < in->region_count; k++) walk(f, inst_region(in, k));
    }
}

void own_find(Sched *s, Region phase, AxisSet spread)
{
    uint32_t mems = s->tile->mems.count;
    Finder f = {s, spread, arena_array(s->arena, unsigned, mems + 1)};
    for (uint32_t m = 0; m < mems; m++) s->owner[m] = (Axis){0};
    if (!group_shares(s)) walk(&f, phase); // a unit's work-items would meet
}
