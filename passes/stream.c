// Marks the stores that bypass the caches, as the Config's stream_T says: an output far larger than
// the caches would only push out what is still needed, and be read before it is overwritten.
//
//   store y (%v, %at)   with %at a multiple of the vector's lanes   store.stream y (%v, %at)
//
// A streaming store must be aligned. Offsets are proved here; where the tensor itself begins is
// known at the launch only, so the backend stores as usual if it is not aligned. And what is
// written must be whole lines: a CPU gathers the parts of some lines at a time, and gives up those
// of many (a transposed tensor of bytes, 16 of each row at once, took 7 times as long).
#include <stdlib.h>

#include "passes/divisors.h"
#include "passes/pass.h"

typedef struct Marker {
    Func *f;
    Divisors divisors;
    bool *wanted; // by Mem.i
    bool changed;
} Marker;

enum { LINE = 64, PARTS_MOST = 4 }; // bytes; lines that are written in parts at once

static unsigned bytes_of(const Func *f, const Inst *store)
{
    unsigned bits = dtype_info[mem_at(f, (Mem){store->attr.ref})->dtype].bits;
    return value_type(f, inst_arg(f, store, 0)).lanes * bits / 8;
}

// Whether this one and its neighbours in the region write a whole line, one soon after the other.
static bool fills_line(const Func *f, Region r, const Inst *store)
{
    int64_t plus, other, lanes = value_type(f, inst_arg(f, store, 0)).lanes;
    unsigned bytes = bytes_of(f, store), parts = 0;
    if (bytes >= LINE) return true;
    int64_t line = lanes * (LINE / bytes);
    Value base = value_base(f, inst_arg(f, store, 1), &plus);
    int64_t first = plus - (plus % line + line) % line;
    int place = 0, own = 0;
    for_each_inst(f, r, id) {
        place += inst_at(f, id)->op == OP_STORE;
        if (inst_at(f, id) == store) own = place;
    }
    place = 0;
    for_each_inst(f, r, id) {
        const Inst *in = inst_at(f, id);
        place += in->op == OP_STORE;
        if (in->op != OP_STORE || abs(place - own) > PARTS_MOST ||
            in->attr.ref != store->attr.ref ||
            value_base(f, inst_arg(f, in, 1), &other).i != base.i || bytes_of(f, in) != bytes)
            continue;
        parts += other >= first && other < first + line;
    }
    return parts >= LINE / bytes;
}

static bool is_candidate(const Marker *m, const Inst *in)
{
    if (in->op != OP_STORE || !m->wanted[in->attr.ref] || in->flags & INST_MASKED) return false;
    unsigned lanes = value_type(m->f, inst_arg(m->f, in, 0)).lanes;
    return lanes >= 2 && !(lanes & (lanes - 1));
}

static unsigned parts_of(const Marker *m, Region r)
{
    unsigned parts = 0;
    for_each_inst(m->f, r, id) {
        const Inst *in = inst_at(m->f, id);
        parts += is_candidate(m, in) && !fills_line(m->f, r, in);
    }
    return parts;
}

static void mark(Marker *m, Region r)
{
    bool whole = parts_of(m, r) > PARTS_MOST; // lines, or nothing
    for_each_inst(m->f, r, id) {
        Inst *in = inst_at(m->f, id);
        for (unsigned k = 0; k < in->region_count; k++) mark(m, inst_region(in, k));
        if (!is_candidate(m, in)) continue;
        unsigned lanes = value_type(m->f, inst_arg(m->f, in, 0)).lanes;
        if (1u << divisors_log(&m->divisors, inst_arg(m->f, in, 1)) < lanes) continue;
        if (whole && !fills_line(m->f, r, in)) continue;
        in->flags |= INST_STREAM;
        m->changed = true;
    }
}

bool pass_stream(Func *f, const PassContext *context)
{
    Marker m = {.f = f,
                .divisors = divisors_new(f, context->arena),
                .wanted = arena_array(context->arena, bool, f->mems.count + 1)};
    bool any = false;
    for (uint32_t k = 1; k < f->mems.count; k++) {
        const MemInfo *mem = mem_at(f, (Mem){k});
        bool fits = mem->kind == MEM_OUT && dtype_info[mem->dtype].bits >= 8;
        m.wanted[k] = fits && config_get_axis(context->config, "stream", mem->name, 0) != 0;
        any |= m.wanted[k];
    }
    if (any) mark(&m, f->body);
    return m.changed;
}
