// Removes what nothing uses.
//
// Live is what has an effect, and what something live uses. A loop or condition that yields unused
// values and has no effect inside goes as a whole.
#include "passes/pass.h"

typedef struct Dce {
    Func *f;
    bool *live; // by InstId.i
    VEC(InstId) work;
} Dce;

static bool region_has_effect(const Func *f, Region r);

static bool has_effect(const Func *f, const Inst *in)
{
    unsigned traits = op_info[in->op].traits;
    if (in->op == OP_LOOP || in->op == OP_FOR || in->op == OP_IF) {
        for (unsigned k = 0; k < in->region_count; k++) {
            if (region_has_effect(f, inst_region(in, k))) return true;
        }
        return false;
    }
    // An argument without default must be given even if it is not used; a checked load may trap.
    if (in->op == OP_ARG || (in->op == OP_LOAD_TILE && in->attr.bits)) return true;
    return traits & (TRAIT_EFFECT | TRAIT_WRITES | TRAIT_TRAP);
}

static bool region_has_effect(const Func *f, Region r)
{
    for_each_inst(f, r, id) {
        const Inst *in = inst_at(f, id);
        if (in->op != OP_AXIS && has_effect(f, in)) return true;
    }
    return false;
}

static void mark(Dce *d, InstId id)
{
    if (d->live[id.i]) return;
    d->live[id.i] = true;
    vec_push(d->f->arena, &d->work, id);
}

// What must stay whenever the region does.
static void mark_roots(Dce *d, Region r)
{
    for_each_inst(d->f, r, id) {
        const Inst *in = inst_at(d->f, id);
        if (in->op == OP_YIELD || has_effect(d->f, in)) mark(d, id);
    }
}

static void mark_all(Dce *d)
{
    mark_roots(d, d->f->body);
    while (d->work.count) {
        const Inst *in = inst_at(d->f, d->work.data[--d->work.count]);
        for_each_arg(d->f, in, k, v) {
            InstId def = value_at(d->f, v)->def;
            if (def.i) mark(d, def);
        }
        for (unsigned k = 0; k < in->region_count; k++) mark_roots(d, inst_region(in, k));
    }
}

static bool sweep(Dce *d, Region r)
{
    bool changed = false;
    for_each_inst(d->f, r, id) {
        const Inst *in = inst_at(d->f, id);
        if (!d->live[id.i]) {
            inst_unlink(d->f, id);
            changed = true;
            continue;
        }
        for (unsigned k = 0; k < in->region_count; k++) changed |= sweep(d, inst_region(in, k));
    }
    return changed;
}

bool pass_dce(Func *f, const PassContext *context)
{
    (void)context;
    Dce d = {.f = f, .live = arena_array(f->arena, bool, f->insts.count)};
    mark_all(&d);
    return sweep(&d, f->body);
}
