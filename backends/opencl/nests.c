// Chooses the loops whose iterations are dealt to the work-items of a group.
//
//   for grid n (...) { max }   ->  each work-item takes every 256th n; the maxima are combined
//
// A loop is dealt if its iterations are independent (`for grid`), what it carries is only summed up
// (or the like), and each scratch memory written in it is either apart for each iteration or used
// within one iteration alone.
#include "backends/opencl/program.h"

enum { FORBIDDEN_MAX = 64 };

typedef struct Dealer {
    Arena *arena;
    const Func *f;
    Deal *deal;
    InstId phase;
    bool *forbidden; // [InstId.i]: a loop that cannot be dealt after all
    bool failed;     // something that only one work-item can do
} Dealer;

Value deal_offset(const Func *f, const Inst *in)
{
    if (in->op == OP_LOAD || in->op == OP_GATHER) return inst_arg(f, in, 0);
    if (in->op == OP_STORE || in->op == OP_SCATTER) return inst_arg(f, in, 1);
    if (in->op == OP_ATOMIC) return inst_arg(f, in, in->attr.kind == ATOMIC_CAS ? 2 : 1);
    return (Value){0};
}

bool deal_is_scratch(const Func *f, const Inst *in)
{
    return deal_offset(f, in).i && mem_at(f, (Mem){in->attr.ref})->kind == MEM_SCRATCH;
}

static bool writes(const Inst *in)
{
    return (op_info[in->op].traits & TRAIT_WRITES) != 0;
}

// ---- scratch within a nest

typedef enum Sharing { SHARING_NONE, SHARING_APART, SHARING_WITHIN, SHARING_UNKNOWN } Sharing;

typedef struct Seen {
    bool any, written;
    Sharing sharing;
    int64_t factor[NEST_DEPTH_MAX];
} Seen;

// Whether every atom of the offset is known not to change with the nest's indices, but for these.
static bool is_plain(const Func *f, const Nest *nest, const Affine *a)
{
    const Region outer = inst_region(inst_at(f, nest->loops[0]), 0);
    if (!a->known) return false;
    for (unsigned k = 0; k < a->count; k++) {
        Value atom = {a->terms[k].atom};
        if (value_at(f, atom)->def.i && value_inside(f, atom, outer)) return false;
        bool is_index = !value_at(f, atom)->def.i && value_at(f, atom)->index == 0;
        if (!is_index && value_inside(f, atom, outer)) return false;
    }
    return true;
}

static void see_access(const Func *f, const Nest *nest, const Inst *in, Seen *seen)
{
    Affine a = affine_of(f, deal_offset(f, in));
    const bool is_vector = value_type(f, deal_offset(f, in)).lanes > 1;
    unsigned zeros = 0, moving = 0;
    Seen old = *seen;
    seen->any = true;
    seen->written |= writes(in);
    if (is_vector || !is_plain(f, nest, &a)) {
        seen->sharing = SHARING_UNKNOWN;
        return;
    }
    for (unsigned k = 0; k < nest->depth; k++) {
        Value index = region_arg(f, inst_region(inst_at(f, nest->loops[k]), 0), 0);
        seen->factor[k] = affine_factor(&a, index);
        if (nest->trips[k] <= 1) continue;
        moving++;
        zeros += seen->factor[k] == 0;
        if (old.any && old.factor[k] != seen->factor[k]) seen->sharing = SHARING_UNKNOWN;
    }
    if (seen->sharing == SHARING_UNKNOWN) return;
    seen->sharing = !zeros ? SHARING_APART : zeros == moving ? SHARING_WITHIN : SHARING_UNKNOWN;
}

static void see_region(const Func *f, const Nest *nest, Region r, Seen *seen)
{
    for_each_inst(f, r, id) {
        const Inst *in = inst_at(f, id);
        if (deal_is_scratch(f, in)) see_access(f, nest, in, &seen[in->attr.ref]);
        for (unsigned k = 0; k < in->region_count; k++)
            see_region(f, nest, inst_region(in, k), seen);
    }
}

static int64_t scratch_bytes(const Func *f, Mem m)
{
    const MemInfo *mem = mem_at(f, m);
    uint64_t elements = inst_at(f, mem->decl)->attr.bits;
    return elements > INT32_MAX ? INT64_MAX / 4 : dtype_bytes(mem->dtype, (int64_t)elements);
}

// By Mem.i, over the nest.
static Seen *scratch_of(Dealer *d, const Nest *nest)
{
    Seen *seen = arena_array(d->arena, Seen, d->f->mems.count);
    see_region(d->f, nest, inst_region(inst_at(d->f, nest->loops[0]), 0), seen);
    return seen;
}

static bool scratch_allows(Dealer *d, const Nest *nest)
{
    const Seen *seen = scratch_of(d, nest);
    int64_t within = 0;
    for (uint32_t m = 1; m < d->f->mems.count; m++) {
        if (!seen[m].written) continue;
        if (seen[m].sharing == SHARING_UNKNOWN) return false;
        if (seen[m].sharing == SHARING_WITHIN) within += scratch_bytes(d->f, (Mem){m});
    }
    return within <= PRIVATE_BYTES_MAX;
}

// ---- nests

static bool is_dealable(const Dealer *d, InstId id)
{
    const Inst *in = inst_at(d->f, id);
    return in->op == OP_FOR && in->attr.kind == LOOP_GRID && !(in->flags & INST_WHILE) &&
           !d->forbidden[id.i];
}

static bool yields_results_of(const Func *f, Region body, const Inst *inner)
{
    const Inst *yield = inst_at(f, region_at(f, body)->last);
    for (unsigned k = 0; k < inner->result_count; k++) {
        if (inst_arg(f, inner, k + 3).i != region_arg(f, body, k + 1).i) return false;
        if (inst_arg(f, yield, k).i != inst_result(inner, k).i) return false;
    }
    return true;
}

static bool is_written(const Func *f, Region r, uint32_t mem)
{
    for_each_inst(f, r, id) {
        const Inst *in = inst_at(f, id);
        if (writes(in) && in->attr.ref == mem) return true;
        for (unsigned k = 0; k < in->region_count; k++)
            if (is_written(f, inst_region(in, k), mem)) return true;
    }
    return false;
}

// Whether each iteration of the loops inside may do it again.
static bool may_repeat(const Func *f, Region body, const Inst *in)
{
    if (in->region_count) return false;
    if (in->op == OP_LOAD || in->op == OP_GATHER) return !is_written(f, body, in->attr.ref);
    return (op_info[in->op].traits & TRAIT_PURE) != 0;
}

// The loop that is all there is to do in `loop`, whose bounds do not depend on it.
static InstId only_loop(const Dealer *d, const Inst *loop)
{
    const Func *f = d->f;
    const Region body = inst_region(loop, 0);
    InstId found = {0};
    for_each_inst(f, body, id) {
        const Inst *in = inst_at(f, id);
        if (in->op == OP_YIELD) continue;
        if (is_dealable(d, id) && !found.i) {
            found = id;
            continue;
        }
        if (!may_repeat(f, body, in)) return (InstId){0};
    }
    if (!found.i) return found;
    const Inst *inner = inst_at(f, found);
    bool fits = inner->result_count == loop->result_count && yields_results_of(f, body, inner);
    for (unsigned k = 0; k < 3; k++) fits = fits && !value_inside(f, inst_arg(f, inner, k), body);
    return fits ? found : (InstId){0};
}

static void set_depth(Nest *nest, unsigned depth)
{
    nest->depth = depth;
    nest->total = 1;
    for (unsigned k = 0; k < depth; k++) {
        nest->total *= nest->trips[k];
        if (nest->total > NEST_LARGE) nest->total = NEST_LARGE;
    }
}

// What dealing the loops inside one iteration would cost, the least of them; about: a turn of a
// loop takes TURN, and so much is waited for each value that is combined.
enum { TURN = 8, COMBINING = 40 };

static int64_t turns_each(int64_t trips, uint32_t group)
{
    return (trips + group - 1) / group;
}

static void look_inside(const Dealer *d, Region r, int64_t *trips, int64_t *cost)
{
    for_each_inst(d->f, r, id) {
        const Inst *in = inst_at(d->f, id);
        Carried *carried = arena_array(d->arena, Carried, in->result_count + 1u);
        const bool scans = !is_dealable(d, id) && deal_scanned(d->f, in, carried);
        bool exact;
        if (scans || is_dealable(d, id)) {
            const int64_t own = affine_trips(d->f, in, &exact);
            const int64_t turns = turns_each(own, d->deal->group);
            if (own > *trips) {
                *trips = own;
                *cost = TURN * turns + COMBINING * in->result_count * (scans ? 2 * turns : 1);
            }
        }
        for (unsigned k = 0; k < in->region_count; k++)
            look_inside(d, inst_region(in, k), trips, cost);
    }
}

// Whether the loops inside a nest are better dealt than the nest.
static bool is_better_inside(const Dealer *d, const Nest *nest)
{
    int64_t trips = 1, cost = TURN;
    const Inst *inner = inst_at(d->f, nest->loops[nest->depth - 1]);
    if (nest->total >= d->deal->group / 2) return false;
    look_inside(d, inst_region(inner, 0), &trips, &cost);
    return nest->total * cost < turns_each(nest->total, d->deal->group) * trips * TURN;
}

static bool find_nest(Dealer *d, InstId id, Region arm, Nest *nest)
{
    const Func *f = d->f;
    unsigned depth = 0;
    *nest = (Nest){.arm = arm};
    for (InstId at = id; at.i && depth < NEST_DEPTH_MAX; at = only_loop(d, inst_at(f, at))) {
        if (!is_dealable(d, at)) break;
        nest->loops[depth] = at;
        nest->trips[depth] = affine_trips(f, inst_at(f, at), &nest->exact[depth]);
        depth++;
    }
    if (!depth) return false;
    nest->carried = arena_array(d->arena, Carried, inst_at(f, id)->result_count + 1u);
    if (!deal_carried(f, inst_at(f, id), nest->carried)) return false;
    for (; depth > 0; depth--) {
        set_depth(nest, depth);
        if (scratch_allows(d, nest)) break;
    }
    if (!depth) return false;
    return !is_better_inside(d, nest);
}

// A scan of so few iterations is as well done by each work-item.
enum { SCAN_LEAST = 16 };

static bool find_scan(Dealer *d, InstId id, Region arm, Nest *nest)
{
    const Inst *loop = inst_at(d->f, id);
    *nest = (Nest){.arm = arm, .loops = {id}, .scans = true};
    nest->carried = arena_array(d->arena, Carried, loop->result_count + 1u);
    nest->trips[0] = affine_trips(d->f, loop, &nest->exact[0]);
    set_depth(nest, 1);
    return nest->total >= SCAN_LEAST && !d->forbidden[id.i] &&
           deal_scanned(d->f, loop, nest->carried) && scratch_allows(d, nest);
}

static void choose(Dealer *d, Region r, Region arm)
{
    for_each_inst(d->f, r, id) {
        const Inst *in = inst_at(d->f, id);
        Nest nest;
        if (in->op == OP_FOR && (find_nest(d, id, arm, &nest) || find_scan(d, id, arm, &nest))) {
            vec_push(d->arena, &d->deal->nests, nest);
            d->deal->nest_of[id.i] = d->deal->nests.count;
            continue;
        }
        // What was there before an update is known to one work-item only.
        if (in->op == OP_ATOMIC && deal_uses(d->f, d->f->body, inst_result(in, 0)))
            d->failed = true;
        if (in->op == OP_PRINT) d->failed = true;
        for (unsigned k = 0; k < in->region_count; k++) {
            Region inner = inst_region(in, k);
            choose(d, inner, in->op == OP_IF ? inner : arm);
        }
    }
}

// ---- scratch of the whole phase

typedef struct Totals {
    uint32_t *all, *within; // [Mem.i]: accesses; of these such that are within one iteration
    bool *written;
} Totals;

static void count_all(const Func *f, Region r, Totals *t)
{
    for_each_inst(f, r, id) {
        const Inst *in = inst_at(f, id);
        if (deal_is_scratch(f, in)) t->all[in->attr.ref]++;
        if (deal_is_scratch(f, in)) t->written[in->attr.ref] |= writes(in);
        for (unsigned k = 0; k < in->region_count; k++) count_all(f, inst_region(in, k), t);
    }
}

static uint32_t count_in(const Func *f, Region r, uint32_t mem)
{
    uint32_t n = 0;
    for_each_inst(f, r, id) {
        const Inst *in = inst_at(f, id);
        n += deal_is_scratch(f, in) && in->attr.ref == mem;
        for (unsigned k = 0; k < in->region_count; k++) n += count_in(f, inst_region(in, k), mem);
    }
    return n;
}

// Private are memories that are only touched within single iterations. False, with a loop
// forbidden, if one is touched elsewhere as well.
static bool place_scratch(Dealer *d)
{
    const Func *f = d->f;
    const uint32_t mems = f->mems.count;
    Totals t = {arena_array(d->arena, uint32_t, mems), arena_array(d->arena, uint32_t, mems),
                arena_array(d->arena, bool, mems)};
    count_all(f, inst_region(inst_at(f, d->phase), 0), &t);
    VEC(Seen *) seen = {0};
    for (uint32_t n = 0; n < d->deal->nests.count; n++) {
        const Nest *nest = &d->deal->nests.data[n];
        Seen *own = scratch_of(d, nest);
        vec_push(d->arena, &seen, own);
        for (uint32_t m = 1; m < mems; m++) {
            if (own[m].any && own[m].sharing == SHARING_WITHIN)
                t.within[m] += count_in(f, inst_region(inst_at(f, nest->loops[0]), 0), m);
        }
    }
    int64_t bytes = 0;
    for (uint32_t m = 1; m < mems; m++) {
        const bool is_private = t.all[m] && t.written[m] && t.within[m] == t.all[m];
        d->deal->place[m] = is_private ? PLACE_PRIVATE : PLACE_LOCAL;
        if (is_private) bytes += scratch_bytes(f, (Mem){m});
        for (uint32_t n = 0; n < seen.count && !is_private; n++) {
            const Seen *own = &seen.data[n][m];
            if (!own->written || own->sharing != SHARING_WITHIN) continue;
            d->forbidden[d->deal->nests.data[n].loops[0].i] = true;
            return false;
        }
    }
    if (bytes <= PRIVATE_BYTES_MAX) return true;
    d->failed = true;
    return false;
}

// Plain loads at uniform level must not see what other groups update meanwhile.
static bool reads_updated(const Func *f, Region r, const bool *updated)
{
    for_each_inst(f, r, id) {
        const Inst *in = inst_at(f, id);
        if ((in->op == OP_LOAD || in->op == OP_GATHER) && updated[in->attr.ref]) return true;
        for (unsigned k = 0; k < in->region_count; k++)
            if (reads_updated(f, inst_region(in, k), updated)) return true;
    }
    return false;
}

static void note_updated(const Func *f, Region r, bool *updated)
{
    for_each_inst(f, r, id) {
        const Inst *in = inst_at(f, id);
        if (in->op == OP_ATOMIC) updated[in->attr.ref] = true;
        for (unsigned k = 0; k < in->region_count; k++)
            note_updated(f, inst_region(in, k), updated);
    }
}

// Work-items would write halves of one byte.
static bool has_nibbles(const Func *f, Region r)
{
    for_each_inst(f, r, id) {
        const Inst *in = inst_at(f, id);
        if (deal_is_scratch(f, in) && dtype_info[mem_at(f, (Mem){in->attr.ref})->dtype].bits < 8)
            return true;
        for (unsigned k = 0; k < in->region_count; k++)
            if (has_nibbles(f, inst_region(in, k))) return true;
    }
    return false;
}

static int64_t result_bytes(const Deal *deal, const Func *f, Value v)
{
    const Type type = value_type(f, v);
    return (dtype_info[type.dtype].bits <= 32 ? 4 : 8) * (type.lanes > 1 ? type.lanes : 1) *
           (int64_t)deal->group;
}

static void size_reductions(Deal *deal, const Func *f)
{
    for (uint32_t n = 0; n < deal->nests.count; n++) {
        const Nest *nest = &deal->nests.data[n];
        const Inst *loop = inst_at(f, nest->loops[0]);
        for (unsigned k = 0; k < loop->result_count; k++) {
            const unsigned place = nest->carried[k].place;
            int64_t bytes = result_bytes(deal, f, inst_result(loop, k));
            if (place != NO_PLACE) bytes += result_bytes(deal, f, inst_result(loop, place));
            if (bytes > deal->reduce_bytes) deal->reduce_bytes = bytes;
        }
    }
}

Deal *deal_phase(Arena *arena, const Func *f, InstId phase, const Machine *machine)
{
    const uint32_t group = machine->group;
    const Region body = inst_region(inst_at(f, phase), 0);
    bool *updated = arena_array(arena, bool, f->mems.count);
    Dealer d = {.arena = arena, .f = f, .phase = phase};
    d.forbidden = arena_array(arena, bool, f->insts.count);
    note_updated(f, body, updated);
    if (group <= 1 || reads_updated(f, body, updated) || has_nibbles(f, body)) return NULL;
    for (unsigned attempt = 0; attempt < FORBIDDEN_MAX; attempt++) {
        d.deal = arena_new(arena, Deal);
        d.deal->group = group;
        d.deal->nest_of = arena_array(arena, uint32_t, f->insts.count);
        d.deal->place = arena_array(arena, Place, f->mems.count);
        choose(&d, body, body);
        if (d.failed || !d.deal->nests.count) return NULL;
        if (place_scratch(&d)) break;
        if (d.failed || attempt + 1 == FORBIDDEN_MAX) return NULL;
    }
    size_reductions(d.deal, f);
    deal_owned(arena, f, phase, d.deal);
    d.deal->turns = arena_array(arena, uint32_t, f->mems.count);
    if (machine->buffers > 1) deal_stage(arena, f, phase, d.deal);
    deal_local(arena, f, phase, d.deal, machine->local_bytes - d.deal->reduce_bytes);
    deal_fences(arena, f, phase, d.deal);
    return d.deal;
}
