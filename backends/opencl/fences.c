// Where the work-items of a group must wait for each other: before what reads or writes a memory
// that others may have written, or writes what others may still read, since the last barrier.
//
// All of this is at uniform level, where control is the same for all work-items, so every barrier
// is met by all of them.
#include "backends/opencl/deal.h"

enum { READ = 1, WRITTEN = 2, WRITTEN_BY_FIRST = 4 };

typedef struct State {
    uint8_t *pending; // [Mem.i] since the last barrier of its kind
} State;

typedef struct Fencer {
    Arena *arena;
    const Func *f;
    Deal *deal;
    uint32_t mems;
    bool changed;
} Fencer;

static uint8_t fence_of(const Fencer *c, uint32_t mem)
{
    bool local =
        mem_at(c->f, (Mem){mem})->kind == MEM_SCRATCH && c->deal->place[mem] == PLACE_LOCAL;
    return local ? FENCE_LOCAL : FENCE_GLOBAL;
}

static bool is_shared(const Fencer *c, const Inst *in, InstId id)
{
    if (!deal_offset(c->f, in).i || mem_at(c->f, (Mem){in->attr.ref})->kind == MEM_IN) return false;
    return !deal_is_scratch(c->f, in) ||
           (c->deal->place[in->attr.ref] != PLACE_PRIVATE && !c->deal->owned[id.i]);
}

static void accesses(const Fencer *c, InstId id, bool by_first, uint8_t *out)
{
    const Inst *in = inst_at(c->f, id);
    if (is_shared(c, in, id)) {
        const unsigned traits = op_info[in->op].traits;
        // Atomic updates may meet each other.
        if (traits & TRAIT_WRITES) out[in->attr.ref] |= by_first ? WRITTEN_BY_FIRST : WRITTEN;
        if ((traits & TRAIT_READS) && in->op != OP_ATOMIC) out[in->attr.ref] |= READ;
    }
    for (unsigned k = 0; k < in->region_count; k++)
        for_each_inst(c->f, inst_region(in, k), inner) accesses(c, inner, by_first, out);
}

// Memories that lie in one place are one to whoever waits.
static bool overlap(const Fencer *c, uint32_t a, uint32_t b)
{
    if (a == b) return true;
    if (fence_of(c, a) != FENCE_LOCAL || fence_of(c, b) != FENCE_LOCAL) return false;
    int64_t end_a = c->deal->offset[a] + deal_bytes(c->f, c->deal, (Mem){a});
    int64_t end_b = c->deal->offset[b] + deal_bytes(c->f, c->deal, (Mem){b});
    return c->deal->offset[a] < end_b && c->deal->offset[b] < end_a;
}

static bool conflicts(uint8_t before, uint8_t now)
{
    if (now & READ && before & (WRITTEN | WRITTEN_BY_FIRST)) return true;
    if (now & WRITTEN && before) return true;
    return now & WRITTEN_BY_FIRST && before & (READ | WRITTEN);
}

static uint8_t needed(const Fencer *c, const State *s, const uint8_t *now)
{
    uint8_t fences = 0;
    for (uint32_t a = 1; a < c->mems; a++)
        for (uint32_t b = 1; b < c->mems && now[a]; b++)
            if (s->pending[b] && conflicts(s->pending[b], now[a]) && overlap(c, a, b))
                fences |= fence_of(c, b);
    return fences;
}

static void pass_barrier(const Fencer *c, State *s, uint8_t fences)
{
    for (uint32_t m = 1; m < c->mems; m++)
        if (s->pending[m] && (fence_of(c, m) & fences)) s->pending[m] = 0;
}

static void add_all(const Fencer *c, State *s, const uint8_t *now)
{
    for (uint32_t m = 1; m < c->mems; m++) s->pending[m] |= now[m];
}

static State copy_of(const Fencer *c, const State *s)
{
    return (State){arena_copy(c->arena, s->pending, c->mems)};
}

static void walk(Fencer *c, Region r, State *s);

static void walk_structure(Fencer *c, InstId id, State *s)
{
    const Inst *in = inst_at(c->f, id);
    if (in->op == OP_FOR) { // once more, for what the turn before leaves
        State none = copy_of(c, s);
        walk(c, inst_region(in, 0), s);
        for (uint32_t m = 1; m < c->mems; m++) // in the other half
            if (c->deal->turns[m] == id.i) s->pending[m] = 0;
        walk(c, inst_region(in, 0), s);
        add_all(c, s, none.pending);
        return;
    }
    State before = copy_of(c, s), after = copy_of(c, s);
    memset(after.pending, 0, c->mems);
    for (unsigned k = 0; k < in->region_count; k++) {
        State arm = copy_of(c, &before);
        walk(c, inst_region(in, k), &arm);
        add_all(c, &after, arm.pending);
    }
    if (in->region_count < 2) add_all(c, &after, before.pending);
    *s = after;
}

static void walk(Fencer *c, Region r, State *s)
{
    for_each_inst(c->f, r, id) {
        const Inst *in = inst_at(c->f, id);
        const uint32_t nest = c->deal->nest_of[id.i];
        if (in->region_count && !nest) {
            walk_structure(c, id, s);
            continue;
        }
        uint8_t *now = arena_array(c->arena, uint8_t, c->mems);
        accesses(c, id, !nest, now);
        c->deal->fences[id.i] |= needed(c, s, now);
        pass_barrier(c, s, c->deal->fences[id.i]);
        add_all(c, s, now);
        // Combining what a nest carries has barriers of its own; a scan stores behind the last.
        if (nest && in->result_count && !c->deal->nests.data[nest - 1].scans)
            pass_barrier(c, s, FENCE_LOCAL);
    }
}

void deal_fences(Arena *arena, const Func *f, InstId phase, Deal *deal)
{
    Fencer c = {.arena = arena, .f = f, .deal = deal, .mems = f->mems.count};
    State s = {arena_array(arena, uint8_t, c.mems)};
    deal->fences = arena_array(arena, uint8_t, f->insts.count);
    walk(&c, inst_region(inst_at(f, phase), 0), &s);
    for (uint32_t m = 1; m < c.mems; m++) // the next unit uses the same scratch
        if (s.pending[m] && mem_at(f, (Mem){m})->kind == MEM_SCRATCH)
            deal->last_fences |= fence_of(&c, m);
}
