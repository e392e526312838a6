// Double buffering: what all work-items copy to local memory anew in each turn of a loop gets two
// halves, used in turn. One barrier a turn is enough then, and who is done with a turn copies for
// the next one while others still compute.
//
//   for k { barrier; s = a[k]; barrier; use s }   ->   for k { s[k % 2] = a[k]; barrier; use s[k %
//   2] }
//
// Between a turn's copying and its first use there is a barrier. Who copies two turns later has
// passed that of the turn between, which all meet when they are done with the first: a half is free
// again when it is written. Nothing is kept from turn to turn: what is read was written in the same
// turn, as in the first one nothing else has been.
#include "backends/opencl/deal.h"

enum { ALIGN = 16 };

int64_t deal_half_bytes(const Func *f, Mem m)
{
    const MemInfo *mem = mem_at(f, m);
    uint64_t elements = inst_at(f, mem->decl)->attr.bits;
    if (elements > INT32_MAX) return INT64_MAX / 4;
    int64_t bytes = dtype_bytes(mem->dtype, (int64_t)elements);
    return (bytes + ALIGN - 1) / ALIGN * ALIGN;
}

int64_t deal_bytes(const Func *f, const Deal *deal, Mem m)
{
    return deal_half_bytes(f, m) * (deal->turns[m.i] ? 2 : 1);
}

typedef struct Uses {
    unsigned reads, writes;
} Uses;

static Uses uses_in(const Func *f, InstId id, uint32_t mem)
{
    const Inst *in = inst_at(f, id);
    Uses uses = {0};
    if (deal_is_scratch(f, in) && in->attr.ref == mem) {
        uses.reads += (op_info[in->op].traits & TRAIT_READS) != 0;
        uses.writes += (op_info[in->op].traits & TRAIT_WRITES) != 0;
    }
    for (unsigned k = 0; k < in->region_count; k++)
        for_each_inst(f, inst_region(in, k), inner) {
            Uses own = uses_in(f, inner, mem);
            uses.reads += own.reads;
            uses.writes += own.writes;
        }
    return uses;
}

// Whether the loop's body writes the memory in nests of its own level, then reads it.
static bool stages(const Func *f, const Deal *deal, InstId loop, uint32_t mem)
{
    bool written = false, read = false;
    for_each_inst(f, inst_region(inst_at(f, loop), 0), id) {
        const Uses uses = uses_in(f, id, mem);
        if (!uses.reads && !uses.writes) continue;
        const bool is_nest = deal->nest_of[id.i] != 0;
        if (uses.writes && (read || uses.reads || !is_nest)) return false;
        if (uses.reads && !written) return false;
        if (uses.reads && !read && !is_nest) return false; // its barrier may not be of this level
        written |= uses.writes > 0;
        read |= uses.reads > 0;
    }
    return written && read;
}

// The innermost loop at uniform level that holds all that touches the memory.
static InstId home_of(const Func *f, const Deal *deal, Region r, uint32_t mem)
{
    InstId found = {0};
    for_each_inst(f, r, id) {
        const Inst *in = inst_at(f, id);
        const Uses uses = uses_in(f, id, mem);
        if (!uses.reads && !uses.writes) continue;
        if (found.i || deal->nest_of[id.i] || !in->region_count) return (InstId){0};
        found = id;
    }
    if (!found.i) return found;
    const Inst *in = inst_at(f, found);
    InstId inner = {0};
    for (unsigned k = 0; k < in->region_count && !inner.i; k++)
        inner = home_of(f, deal, inst_region(in, k), mem);
    if (inner.i) return inner;
    return in->op == OP_FOR ? found : (InstId){0};
}

void deal_stage(Arena *arena, const Func *f, InstId phase, Deal *deal)
{
    bool *owned = arena_array(arena, bool, f->mems.count);
    for (uint32_t k = 0; k < deal->cells.count; k++) owned[deal->cells.data[k].mem.i] = true;
    for (uint32_t m = 1; m < f->mems.count; m++) {
        if (mem_at(f, (Mem){m})->kind != MEM_SCRATCH || deal->place[m] != PLACE_LOCAL || owned[m])
            continue;
        InstId loop = home_of(f, deal, inst_region(inst_at(f, phase), 0), m);
        if (loop.i && stages(f, deal, loop, m)) deal->turns[m] = loop.i;
    }
}
