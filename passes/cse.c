// Computes equal values once: an instruction without effect goes if an equal one dominates it.
//
// Regions nest, so what dominates is what stands earlier in this or an enclosing region: a table
// that forgets, at the end of a region, what was found in it.
#include "passes/pass.h"

typedef struct Found {
    uint64_t hash;
    InstId inst;
    uint32_t next; // of the same bucket; index + 1
} Found;

enum { BUCKETS = 1024 };

typedef struct Cse {
    Func *f;
    VEC(Found) found;
    uint32_t buckets[BUCKETS]; // index + 1
    Value *replaced;           // by Value.i
    bool changed;
} Cse;

static bool may_share(const Inst *in)
{
    return (op_info[in->op].traits & TRAIT_PURE) && in->result_count >= 1 && in->region_count == 0;
}

static bool is_swappable(const Inst *in)
{
    return (op_info[in->op].traits & TRAIT_COMM) && in->arg_count == 2;
}

static uint64_t mix(uint64_t h, uint64_t x)
{
    h = (h ^ x) * 0x9e3779b97f4a7c15u;
    return h ^ (h >> 29);
}

static uint64_t hash_inst(const Func *f, const Inst *in)
{
    Type type = value_type(f, inst_result(in, 0));
    uint64_t h = mix(in->op, in->flags);
    h = mix(mix(mix(h, in->attr.bits), in->attr.ref), in->attr.kind);
    h = mix(mix(h, type.axes), ((uint64_t)type.dtype << 16) | type.lanes);
    if (is_swappable(in)) {
        uint64_t a = inst_arg(f, in, 0).i, b = inst_arg(f, in, 1).i;
        return mix(h, a < b ? a << 32 | b : b << 32 | a);
    }
    for_each_arg(f, in, k, v) h = mix(h, v.i);
    return h;
}

static bool same_inst(const Func *f, const Inst *a, const Inst *b)
{
    if (a->op != b->op || a->flags != b->flags || a->arg_count != b->arg_count) return false;
    if (a->attr.bits != b->attr.bits || a->attr.ref != b->attr.ref || a->attr.kind != b->attr.kind)
        return false;
    if (!type_equal(value_type(f, inst_result(a, 0)), value_type(f, inst_result(b, 0))))
        return false;
    bool swapped = is_swappable(a) && inst_arg(f, a, 0).i == inst_arg(f, b, 1).i &&
                   inst_arg(f, a, 1).i == inst_arg(f, b, 0).i;
    if (swapped) return true;
    for (unsigned k = 0; k < a->arg_count; k++) {
        if (inst_arg(f, a, k).i != inst_arg(f, b, k).i) return false;
    }
    return true;
}

static bool share(Cse *c, InstId id)
{
    const Inst *in = inst_at(c->f, id);
    uint64_t hash = hash_inst(c->f, in);
    uint32_t *bucket = &c->buckets[hash % BUCKETS];
    for (uint32_t i = *bucket; i; i = c->found.data[i - 1].next) {
        const Found *found = &c->found.data[i - 1];
        if (found->hash != hash || !same_inst(c->f, inst_at(c->f, found->inst), in)) continue;
        for (unsigned k = 0; k < in->result_count; k++) {
            Value earlier = inst_result(inst_at(c->f, found->inst), k);
            c->replaced[in->results + k] = earlier;
            Str *name = &value_at(c->f, earlier)->name;
            if (!name->length) *name = value_at(c->f, inst_result(in, k))->name;
        }
        return true;
    }
    Found found = {hash, id, *bucket};
    vec_push(c->f->arena, &c->found, found);
    *bucket = c->found.count;
    return false;
}

static void cse_region(Cse *c, Region r)
{
    Func *f = c->f;
    uint32_t mark = c->found.count;
    for_each_inst(f, r, id) {
        const Inst *in = inst_at(f, id);
        for_each_arg(f, in, k, v) {
            if (c->replaced[v.i].i) func_set_arg(f, id, k, c->replaced[v.i]);
        }
        if (may_share(in) && share(c, id)) {
            inst_unlink(f, id);
            c->changed = true;
            continue;
        }
        if (in->op == OP_COMBINE) continue; // its region sees nothing from outside
        for (unsigned k = 0; k < in->region_count; k++) cse_region(c, inst_region(in, k));
    }
    while (c->found.count > mark) {
        const Found *last = &vec_last(&c->found);
        c->buckets[last->hash % BUCKETS] = last->next;
        c->found.count--;
    }
}

bool pass_cse(Func *f, const PassContext *context)
{
    (void)context;
    Cse *c = arena_new(f->arena, Cse);
    c->f = f;
    c->replaced = arena_array(f->arena, Value, f->values.count);
    cse_region(c, f->body);
    return c->changed;
}
