// Notes where vectors of four-bit elements begin with a byte: then their bytes are read at once,
// and nothing is chosen between two readings.
//
//   load w (%at) : i4x16   with %at even   load w align 1 (%at) : i4x16
#include "passes/divisors.h"
#include "passes/pass.h"

typedef struct Marker {
    Func *f;
    Divisors divisors;
    bool changed;
} Marker;

static bool is_packed(const Func *f, uint32_t mem)
{
    return dtype_info[mem_at(f, (Mem){mem})->dtype].bits < 8;
}

static void mark(Marker *m, Region r)
{
    for_each_inst(m->f, r, id) {
        Inst *in = inst_at(m->f, id);
        for (unsigned k = 0; k < in->region_count; k++) mark(m, inst_region(in, k));
        if (in->op != OP_LOAD && in->op != OP_STORE) continue;
        if (!is_packed(m->f, in->attr.ref) || in->attr.bits) continue;
        Value offset = inst_arg(m->f, in, in->op == OP_STORE);
        if (value_type(m->f, offset).lanes || !divisors_log(&m->divisors, offset)) continue;
        in->attr.bits = 1;
        m->changed = true;
    }
}

bool pass_align(Func *f, const PassContext *context)
{
    Marker m = {.f = f, .divisors = divisors_new(f, context->arena)};
    bool any = false;
    for (uint32_t k = 1; k < f->mems.count; k++) any |= is_packed(f, k);
    if (any) mark(&m, f->body);
    return m.changed;
}
