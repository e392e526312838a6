// Atomic updates that count become folds, where that is the same and the tensor is small:
//
//   tatomic.sum h (1, bin)   ->   fold.sum h (1, bin)
//
// An atomic update of an element takes twenty cycles, and many more where threads meet in it; a
// fold's chunks have a copy of the tensor each. Only integers, whose sums are the same in any
// order, and only where nobody asks what was there. Left are elements that one grid's axis chooses
// by its index, as scheduling may know that nobody meets there (schedule/own.c), and phases that
// store as well: there are more tiles than chunks to share out.
#include "passes/pass.h"

enum { ELEMENTS_MOST = 1 << 15, UPDATES_LEAST = 16 }; // updates for each element

typedef struct Phase {
    Func *f;
    uint32_t *updates; // [Mem]: instructions
    bool stores, changed;
} Phase;

static void count_updates(Phase *p, Region r)
{
    for_each_inst(p->f, r, id) {
        const Inst *in = inst_at(p->f, id);
        if (in->op == OP_ATOMIC_TILE) p->updates[in->attr.ref]++;
        p->stores |= in->op == OP_STORE_TILE;
        for (unsigned k = 0; k < in->region_count; k++) count_updates(p, inst_region(in, k));
    }
}

static bool is_read(const Func *f, Value v)
{
    for (uint32_t i = 1; i < f->insts.count; i++) {
        const Inst *in = inst_at(f, (InstId){i});
        if (in->flags & INST_DEAD) continue;
        for_each_arg(f, in, k, arg)
            if (arg.i == v.i) return true;
    }
    return false;
}

static int64_t elements_of(const Func *f, Mem mem)
{
    const Inst *decl = inst_at(f, mem_at(f, mem)->decl);
    int64_t n = 1, size;
    for_each_arg(f, decl, k, v)
        if (!value_const_int(f, v, &size) || __builtin_mul_overflow(n, size, &n)) return INT64_MAX;
    return n;
}

// How many lanes update, at least: of the grid's axes among these.
static int64_t lanes_of(const Func *f, AxisSet axes)
{
    int64_t n = 1, lo, hi;
    for (unsigned a = 1; a < f->axes.count; a++) {
        const Inst *decl = inst_at(f, axis_at(f, (Axis){a})->decl);
        if (!(axes >> a & 1) || axis_at(f, (Axis){a})->kind != AXIS_GRID) continue;
        bool known = value_const_int(f, inst_arg(f, decl, 0), &lo) &&
                     value_const_int(f, inst_arg(f, decl, 1), &hi);
        if (known && (hi <= lo || __builtin_mul_overflow(n, hi - lo, &n))) return 0;
    }
    return n;
}

static bool counts(const Phase *p, const Inst *in)
{
    const Func *f = p->f;
    const MemInfo *mem = mem_at(f, (Mem){in->attr.ref});
    const DTypeInfo *type = &dtype_info[mem->dtype];
    uint32_t kind = in->attr.kind;
    bool same = kind == REDUCE_SUM || kind == REDUCE_AND || kind == REDUCE_OR || kind == REDUCE_XOR;
    bool arith = type->arith == mem->dtype; // else what is compared is not what is stored
    same = same || (arith && (kind == REDUCE_MAX || kind == REDUCE_MIN));
    if (!same || !dtype_is_int(mem->dtype) || p->updates[in->attr.ref] != 1) return false;
    AxisSet chosen = 0;
    for (unsigned k = 0; k < mem->rank; k++) {
        const Inst *index = value_def(f, inst_arg(f, in, 1 + k));
        if (index && index->op == OP_INDEX) return false;
        chosen |= value_axes(f, inst_arg(f, in, 1 + k));
    }
    int64_t elements = elements_of(f, (Mem){in->attr.ref});
    return value_axes(f, inst_result(in, 0)) == chosen && elements <= ELEMENTS_MOST &&
           lanes_of(f, chosen) / UPDATES_LEAST >= elements && !is_read(f, inst_result(in, 0));
}

static void fold(Phase *p, InstId id)
{
    const Inst in = *inst_at(p->f, id);
    Builder b = {p->f, in.parent, id, in.span};
    Value args[RANK_MAX + 2];
    for (unsigned k = 0; k < in.arg_count; k++) args[k] = inst_arg(p->f, &in, k);
    build_inst(
        &b, OP_FOLD,
        (BuildSpec){.args = args, .arg_count = in.arg_count, .attr = in.attr, .flags = in.flags});
    inst_unlink(p->f, id);
    p->changed = true;
}

static void fold_all(Phase *p, Region r)
{
    for (InstId id = region_at(p->f, r)->first, next; id.i; id = next) {
        const Inst *in = inst_at(p->f, id);
        next = in->next;
        for (unsigned k = 0; k < in->region_count; k++) fold_all(p, inst_region(in, k));
        in = inst_at(p->f, id);
        if (in->op == OP_ATOMIC_TILE && counts(p, in)) fold(p, id);
    }
}

bool pass_tally(Func *f, const PassContext *context)
{
    Phase p = {.f = f};
    if (context->machine->is_gpu_style) return false;
    for_each_inst(f, f->body, id) {
        const Inst *in = inst_at(f, id);
        if (in->op != OP_PHASE) continue;
        p.updates = arena_array(context->arena, uint32_t, f->mems.count + 1);
        p.stores = false;
        count_updates(&p, inst_region(in, 0));
        if (!p.stores) fold_all(&p, inst_region(in, 0));
    }
    return p.changed;
}
