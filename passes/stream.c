// Marks the stores that bypass the caches, as the Config's stream_T says: an output far larger than
// the caches would only push out what is still needed, and be read before it is overwritten.
//
//   store y (%v, %at)   with %at a multiple of the vector's lanes   store.stream y (%v, %at)
//
// A streaming store must be aligned. Offsets are proved here; where the tensor itself begins is
// known at the launch only, so the backend stores as usual if it is not aligned.
#include "passes/divisors.h"
#include "passes/pass.h"

typedef struct Marker {
    Func *f;
    Divisors divisors;
    bool *wanted; // by Mem.i
    bool changed;
} Marker;

static void mark(Marker *m, Region r)
{
    for_each_inst(m->f, r, id) {
        Inst *in = inst_at(m->f, id);
        for (unsigned k = 0; k < in->region_count; k++) mark(m, inst_region(in, k));
        if (in->op != OP_STORE || !m->wanted[in->attr.ref] || in->flags & INST_MASKED) continue;
        unsigned lanes = value_type(m->f, inst_arg(m->f, in, 0)).lanes;
        if (lanes < 2 || lanes & (lanes - 1)) continue;
        if (1u << divisors_log(&m->divisors, inst_arg(m->f, in, 1)) < lanes) continue;
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
