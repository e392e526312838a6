// Uses powers of two that divide an index. Where vectors of four-bit elements begin with a byte,
// their bytes are read at once, and nothing is chosen between two readings. The low bits of
// consecutive indices are those of their lanes: constants, by which selects become shuffles.
//
//   load w (%at) : i4x16   with %at even           load w align 1 (%at) : i4x16
//   and (splat %i + iota, 3)   with %i = 4 k       and (iota, 3)
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

static void mark(Marker *m, Inst *in)
{
    if (!is_packed(m->f, in->attr.ref) || in->attr.bits) return;
    Value offset = inst_arg(m->f, in, in->op == OP_STORE);
    if (value_type(m->f, offset).lanes || !divisors_log(&m->divisors, offset)) return;
    in->attr.bits = 1;
    m->changed = true;
}

static Value splat_arg(const Func *f, Value v)
{
    const Inst *in = value_def(f, v);
    return in && in->op == OP_SPLAT ? inst_arg(f, in, 0) : (Value){0};
}

static bool is_iota(const Func *f, Value v)
{
    const Inst *in = value_def(f, v);
    return in && in->op == OP_IOTA;
}

// The numbers of lanes, if the low bits of v, at most `log` of them, are theirs; else 0.
static Value lanes_below(Marker *m, Value v, unsigned log)
{
    const Inst *in = value_def(m->f, v);
    if (!in || in->op != OP_ADD) return (Value){0};
    Value a = inst_arg(m->f, in, 0), b = inst_arg(m->f, in, 1);
    Value base = splat_arg(m->f, is_iota(m->f, b) ? a : b), lanes = is_iota(m->f, b) ? b : a;
    if (!base.i || !is_iota(m->f, lanes)) return (Value){0};
    return divisors_log(&m->divisors, base) >= log ? lanes : (Value){0};
}

static void take_low_bits(Marker *m, InstId id)
{
    const Inst *in = inst_at(m->f, id);
    int64_t c;
    if (!value_const_int(m->f, inst_arg(m->f, in, 1), &c) || c <= 0) return;
    unsigned bits = 64 - (unsigned)__builtin_clzll((uint64_t)c);
    Value lanes = lanes_below(m, inst_arg(m->f, in, 0), bits);
    if (!lanes.i) return;
    func_set_arg(m->f, id, 0, lanes);
    m->changed = true;
}

static void align(Marker *m, Region r)
{
    for_each_inst(m->f, r, id) {
        Inst *in = inst_at(m->f, id);
        for (unsigned k = 0; k < in->region_count; k++) align(m, inst_region(in, k));
        if (in->op == OP_LOAD || in->op == OP_STORE) mark(m, in);
        if (in->op == OP_AND) take_low_bits(m, id);
    }
}

bool pass_align(Func *f, const PassContext *context)
{
    Marker m = {.f = f, .divisors = divisors_new(f, context->arena)};
    align(&m, f->body);
    return m.changed;
}
