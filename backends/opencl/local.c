// Local memory of a work-group: scratch memories that are not in use at the same time share it;
// what does not fit goes to slices of a global buffer.
#include "backends/opencl/deal.h"

typedef struct Life { // places in the order of instructions at uniform level
    uint32_t first, last;
    uint32_t accesses;
    bool begins_written;
    int64_t bytes;
} Life;

typedef struct Planner {
    Arena *arena;
    const Func *f;
    Deal *deal;
    Life *lives; // [Mem.i]
    uint32_t clock;
} Planner;

static void count_accesses(const Planner *p, Region r, uint32_t *counts)
{
    for_each_inst(p->f, r, id) {
        const Inst *in = inst_at(p->f, id);
        if (deal_is_scratch(p->f, in)) counts[in->attr.ref]++;
        for (unsigned k = 0; k < in->region_count; k++)
            count_accesses(p, inst_region(in, k), counts);
    }
}

// What is there before a loop or after it, too, is in use from one turn to the next; what is not,
// and is written first, holds values of one turn.
static void extend(Planner *p, Region body, uint32_t begin)
{
    uint32_t *counts = arena_array(p->arena, uint32_t, p->f->mems.count);
    count_accesses(p, body, counts);
    for (uint32_t m = 1; m < p->f->mems.count; m++) {
        Life *life = &p->lives[m];
        if (!life->first || !counts[m]) continue;
        if (counts[m] == life->accesses && life->begins_written) continue;
        if (life->first > begin) life->first = begin;
        life->last = p->clock;
    }
}

// A nest is one place: work-items may be at any iteration of it.
static void see(Planner *p, Region r, bool in_nest)
{
    for_each_inst(p->f, r, id) {
        const Inst *in = inst_at(p->f, id);
        if (!in_nest) p->clock++;
        const uint32_t begin = p->clock;
        const bool is_nest = in_nest || p->deal->nest_of[id.i];
        if (deal_is_scratch(p->f, in) && !p->deal->owned[id.i]) {
            Life *life = &p->lives[in->attr.ref];
            if (!life->first) {
                life->first = p->clock;
                life->begins_written = (op_info[in->op].traits & TRAIT_READS) == 0;
            }
            life->last = p->clock;
        }
        for (unsigned k = 0; k < in->region_count; k++) see(p, inst_region(in, k), is_nest);
        if (in->op == OP_FOR && !is_nest) extend(p, inst_region(in, 0), begin);
    }
}

static bool meet(const Planner *p, uint32_t a, uint32_t b)
{
    return p->lives[a].first <= p->lives[b].last && p->lives[b].first <= p->lives[a].last;
}

// The lowest place where nothing lies that is in use at the same time.
static int64_t lowest(const Planner *p, uint32_t mem, const bool *placed)
{
    int64_t at = 0;
    for (uint32_t m = 1; m < p->f->mems.count; m++) {
        const int64_t from = p->deal->offset[m], to = from + p->lives[m].bytes;
        if (!placed[m] || !meet(p, mem, m) || at >= to || at + p->lives[mem].bytes <= from)
            continue;
        at = to;
        m = 0; // and look again from the first
    }
    return at;
}

void deal_local(Arena *arena, const Func *f, InstId phase, Deal *deal, int64_t most)
{
    const Region body = inst_region(inst_at(f, phase), 0);
    Planner p = {arena, f, deal, arena_array(arena, Life, f->mems.count), 0};
    uint32_t *counts = arena_array(arena, uint32_t, f->mems.count);
    count_accesses(&p, body, counts);
    for (uint32_t m = 1; m < f->mems.count; m++) p.lives[m].accesses = counts[m];
    bool *placed = arena_array(arena, bool, f->mems.count);
    deal->offset = arena_array(arena, int64_t, f->mems.count);
    see(&p, body, false);
    for (uint32_t m = 1; m < f->mems.count; m++)
        if (p.lives[m].first) p.lives[m].bytes = deal_bytes(f, deal, (Mem){m});
    for (;;) { // small ones first: they are used most often for their size
        uint32_t next = 0;
        for (uint32_t m = 1; m < f->mems.count; m++) {
            bool waits = p.lives[m].first && !placed[m] && deal->place[m] == PLACE_LOCAL;
            if (waits && (!next || p.lives[m].bytes < p.lives[next].bytes)) next = m;
        }
        if (!next) break;
        const int64_t at = lowest(&p, next, placed), end = at + p.lives[next].bytes;
        if (end > most && deal->turns[next]) { // one half may fit
            deal->turns[next] = 0;
            p.lives[next].bytes = deal_bytes(f, deal, (Mem){next});
            continue;
        }
        if (end > most) {
            deal->place[next] = PLACE_SLICE;
            continue;
        }
        deal->offset[next] = at;
        placed[next] = true;
        if (end > deal->local_bytes) deal->local_bytes = end;
    }
}
