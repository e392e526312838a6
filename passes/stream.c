// Marks the stores that bypass the caches, as the Config's stream_T says: an output far larger than
// the caches would only push out what is still needed, and be read before it is overwritten.
//
//   store y (%v, %at)   with %at a multiple of the vector's lanes   store.stream y (%v, %at)
//
// A streaming store must be aligned. Offsets are proved here; where the tensor itself begins is
// known at the launch only, so the backend stores as usual if it is not aligned.
#include "passes/pass.h"

enum { UNKNOWN, LOG_MOST = 12 };

typedef struct Marker {
    Func *f;
    uint8_t *known; // by Value.i: 1 + log2 of a power of two that divides it; UNKNOWN: not asked
    bool *wanted;   // by Mem.i
    bool changed;
} Marker;

static unsigned least(unsigned a, unsigned b)
{
    return a < b ? a : b;
}

static unsigned log_divisor(Marker *m, Value v);

static unsigned of_inst(Marker *m, const Inst *in)
{
    int64_t x;
    if (in->op == OP_CONST) {
        if (!value_const_int(m->f, inst_result(in, 0), &x)) return 0;
        return x ? least((unsigned)__builtin_ctzll((uint64_t)x), LOG_MOST) : LOG_MOST;
    }
    bool sums = in->op == OP_ADD || in->op == OP_SUB || in->op == OP_MIN || in->op == OP_MAX;
    if (!sums && in->op != OP_MUL) return 0;
    unsigned a = log_divisor(m, inst_arg(m->f, in, 0)), b = log_divisor(m, inst_arg(m->f, in, 1));
    return sums ? least(a, b) : least(a + b, LOG_MOST);
}

// Of a loop's index: what divides its beginning and its step.
static unsigned of_index(Marker *m, Value v)
{
    Region r = value_at(m->f, v)->region;
    InstId owner = r.i ? region_at(m->f, r)->owner : (InstId){0};
    if (!owner.i || inst_at(m->f, owner)->op != OP_FOR || region_arg(m->f, r, 0).i != v.i) return 0;
    const Inst *loop = inst_at(m->f, owner);
    return least(log_divisor(m, inst_arg(m->f, loop, 0)), log_divisor(m, inst_arg(m->f, loop, 2)));
}

static unsigned log_divisor(Marker *m, Value v)
{
    if (m->known[v.i] != UNKNOWN) return m->known[v.i] - 1u;
    const Inst *in = value_def(m->f, v);
    unsigned log = in ? of_inst(m, in) : of_index(m, v);
    m->known[v.i] = (uint8_t)(log + 1);
    return log;
}

static void mark(Marker *m, Region r)
{
    for_each_inst(m->f, r, id) {
        Inst *in = inst_at(m->f, id);
        for (unsigned k = 0; k < in->region_count; k++) mark(m, inst_region(in, k));
        if (in->op != OP_STORE || !m->wanted[in->attr.ref] || in->flags & INST_MASKED) continue;
        unsigned lanes = value_type(m->f, inst_arg(m->f, in, 0)).lanes;
        if (lanes < 2 || lanes & (lanes - 1)) continue;
        if (1u << log_divisor(m, inst_arg(m->f, in, 1)) < lanes) continue;
        in->flags |= INST_STREAM;
        m->changed = true;
    }
}

bool pass_stream(Func *f, const PassContext *context)
{
    Marker m = {.f = f,
                .known = arena_array(context->arena, uint8_t, f->values.count + 1),
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
