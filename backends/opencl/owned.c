// Finds scratch that no two work-items share after all: accumulators that the same work-item
// initialises, updates and stores, since the nests around are dealt alike.
//
//   for grid m by 8, n by 4 { s[..] = 0 }                             float4 s_0, .., s_7;
//   for k blocks { for grid m by 8, n by 4 { s[..] += .. } }    ->    s_0 = s_0 + ..
//   for grid m by 8, n by 4 { c[..] = s[..] }
//
// Its accesses have constant places then, which become variables. An offset is sum of factor *
// index + constant; the factors are the radices of the memory's layout, by which constants are
// taken apart into a place for each radix. A *family* is the nests that are dealt alike. Laws:
// within a family no two iterations touch one place; the places of different families are disjoint;
// no nest has more iterations than there are work-items.
#include "backends/opencl/deal.h"

enum { FAMILIES_MAX = 16, PLACES_MAX = 256, RADICES_MAX = 6, ACCESSES_MAX = 4096 };

typedef struct Access {
    InstId id;
    uint32_t nest;
    Affine offset;
    unsigned lanes;
} Access;

typedef struct Family {
    uint32_t nest;              // the first of them
    int64_t places[PLACES_MAX]; // of its variables, ascending
    unsigned lanes[PLACES_MAX];
    unsigned count;
    int64_t lo[RADICES_MAX], hi[RADICES_MAX]; // touched, by radix
} Family;

typedef struct Owner {
    Arena *arena;
    const Func *f;
    Deal *deal;
    Mem mem;
    Region arm;
    VEC(Access) accesses;
    Region arms[FAMILIES_MAX];
    unsigned arm_count;
    int64_t radices[RADICES_MAX]; // descending; the last is 1
    unsigned radix_count;
    Family *families;
    unsigned family_count;
    bool failed;
} Owner;

// ---- collecting

static Value index_of(const Owner *o, const Nest *nest, unsigned k)
{
    return region_arg(o->f, inst_region(inst_at(o->f, nest->loops[k]), 0), 0);
}

static void note_arm(Owner *o, Region arm)
{
    for (unsigned k = 0; k < o->arm_count; k++)
        if (o->arms[k].i == arm.i) return;
    if (o->arm_count == FAMILIES_MAX)
        o->failed = true;
    else
        o->arms[o->arm_count++] = arm;
}

static void collect(Owner *o, Region r, uint32_t nest)
{
    for_each_inst(o->f, r, id) {
        const Inst *in = inst_at(o->f, id);
        uint32_t inside = nest ? nest : o->deal->nest_of[id.i];
        if (deal_is_scratch(o->f, in) && in->attr.ref == o->mem.i) {
            Value offset = deal_offset(o->f, in);
            Type type =
                value_type(o->f, in->result_count ? inst_result(in, 0) : inst_arg(o->f, in, 0));
            bool is_masked = (in->flags & INST_MASKED) != 0;
            if (!inside || is_masked || value_type(o->f, offset).lanes > 1 ||
                o->accesses.count == ACCESSES_MAX) {
                o->failed = true;
                return;
            }
            vec_push(
                o->arena, &o->accesses,
                (Access){id, inside - 1, affine_of(o->f, offset), type.lanes > 1 ? type.lanes : 1});
            note_arm(o, o->deal->nests.data[inside - 1].arm);
        }
        for (unsigned k = 0; k < in->region_count && !o->failed; k++)
            collect(o, inst_region(in, k), inside);
    }
}

static bool encloses(const Func *f, Region outer, Region inner)
{
    while (inner.i && inner.i != outer.i) {
        InstId owner = region_at(f, inner)->owner;
        inner = owner.i ? inst_at(f, owner)->parent : (Region){0};
    }
    return inner.i != 0;
}

// ---- radices

static void add_radix(Owner *o, int64_t radix)
{
    unsigned at = 0;
    while (at < o->radix_count && o->radices[at] > radix) at++;
    if (at < o->radix_count && o->radices[at] == radix) return;
    if (o->radix_count == RADICES_MAX || radix <= 0) {
        o->failed = true;
        return;
    }
    for (unsigned k = o->radix_count; k > at; k--) o->radices[k] = o->radices[k - 1];
    o->radices[at] = radix;
    o->radix_count++;
}

static void note_radices(Owner *o, const Access *a)
{
    const Nest *nest = &o->deal->nests.data[a->nest];
    unsigned found = 0;
    for (unsigned k = 0; k < nest->depth; k++) {
        int64_t factor = affine_factor(&a->offset, index_of(o, nest, k));
        if (factor) add_radix(o, factor);
        found += factor != 0;
        if (!factor && nest->trips[k] > 1) o->failed = true;
    }
    // No term but the indices of the nest; no more iterations than work-items.
    if (!a->offset.known || a->offset.count != found || nest->total > o->deal->group)
        o->failed = true;
}

// ---- families

static bool same_span(const Func *f, const Inst *a, const Inst *b)
{
    Affine x = affine_minus(affine_of(f, inst_arg(f, a, 1)), affine_of(f, inst_arg(f, a, 0)));
    Affine y = affine_minus(affine_of(f, inst_arg(f, b, 1)), affine_of(f, inst_arg(f, b, 0)));
    Affine rest = affine_minus(x, y);
    int64_t step_a, step_b;
    return value_const_int(f, inst_arg(f, a, 2), &step_a) &&
           value_const_int(f, inst_arg(f, b, 2), &step_b) && step_a == step_b && rest.known &&
           !rest.count && !rest.constant;
}

static bool dealt_alike(const Owner *o, const Access *a, uint32_t other)
{
    const Nest *x = &o->deal->nests.data[a->nest], *y = &o->deal->nests.data[other];
    if (x->depth != y->depth) return false;
    for (unsigned k = 0; k < x->depth; k++)
        if (!same_span(o->f, inst_at(o->f, x->loops[k]), inst_at(o->f, y->loops[k]))) return false;
    return true;
}

static int64_t factor_in(const Owner *o, uint32_t nest, const Affine *offset, unsigned k)
{
    return affine_factor(offset, index_of(o, &o->deal->nests.data[nest], k));
}

// The first access of each family says what the indices' factors are.
static bool same_factors(const Owner *o, const Access *a, const Access *b)
{
    for (unsigned k = 0; k < o->deal->nests.data[a->nest].depth; k++)
        if (factor_in(o, a->nest, &a->offset, k) != factor_in(o, b->nest, &b->offset, k))
            return false;
    return true;
}

static const Access *first_of(const Owner *o, uint32_t nest)
{
    for (uint32_t k = 0; k < o->accesses.count; k++)
        if (o->accesses.data[k].nest == nest) return &o->accesses.data[k];
    return NULL;
}

static Family *family_of(Owner *o, const Access *a)
{
    for (unsigned k = 0; k < o->family_count; k++) {
        Family *family = &o->families[k];
        if (!dealt_alike(o, a, family->nest)) continue;
        if (same_factors(o, a, first_of(o, family->nest))) return family;
        o->failed = true;
        return NULL;
    }
    if (o->family_count == FAMILIES_MAX) {
        o->failed = true;
        return NULL;
    }
    o->families[o->family_count] = (Family){.nest = a->nest};
    return &o->families[o->family_count++];
}

static void add_place(Owner *o, Family *family, int64_t place, unsigned lanes)
{
    unsigned at = 0;
    while (at < family->count && family->places[at] < place) at++;
    if (at < family->count && family->places[at] == place && family->lanes[at] == lanes) return;
    bool meets = (at < family->count && family->places[at] < place + lanes) ||
                 (at > 0 && family->places[at - 1] + family->lanes[at - 1] > place);
    if (family->count == PLACES_MAX || place < 0 || meets) { // as other lanes elsewhere
        o->failed = true;
        return;
    }
    for (unsigned k = family->count; k > at; k--) {
        family->places[k] = family->places[k - 1];
        family->lanes[k] = family->lanes[k - 1];
    }
    family->places[at] = place;
    family->lanes[at] = lanes;
    family->count++;
}

// Which indices' steps and counts belong to a radix in a family; {1, 1} if none.
static void loop_of(const Owner *o, const Family *family, int64_t radix, int64_t *step,
                    int64_t *trips)
{
    const Nest *nest = &o->deal->nests.data[family->nest];
    const Access *first = first_of(o, family->nest);
    *step = *trips = 1;
    for (unsigned k = 0; k < nest->depth; k++) {
        if (factor_in(o, family->nest, &first->offset, k) != radix) continue;
        value_const_int(o->f, inst_arg(o->f, inst_at(o->f, nest->loops[k]), 2), step);
        *trips = nest->trips[k];
    }
}

// The box that a family touches. No two of its iterations may touch one place.
static void bound(Owner *o, Family *family)
{
    for (unsigned j = 0; j < o->radix_count; j++) family->lo[j] = INT64_MAX, family->hi[j] = 0;
    for (unsigned k = 0; k < family->count; k++) {
        int64_t rest = family->places[k];
        for (unsigned j = 0; j < o->radix_count; j++) {
            int64_t at = rest / o->radices[j], size = j + 1 < o->radix_count ? 1 : family->lanes[k];
            rest %= o->radices[j];
            if (at < family->lo[j]) family->lo[j] = at;
            if (at + size > family->hi[j]) family->hi[j] = at + size;
        }
    }
    for (unsigned j = 0; j < o->radix_count; j++) {
        int64_t step, trips;
        loop_of(o, family, o->radices[j], &step, &trips);
        if (trips > 1 && family->hi[j] - family->lo[j] > step) o->failed = true;
        family->hi[j] += (trips - 1) * step;
        if (j > 0 && family->hi[j] * o->radices[j] > o->radices[j - 1]) o->failed = true;
    }
}

static bool disjoint(const Owner *o, const Family *a, const Family *b)
{
    for (unsigned j = 0; j < o->radix_count; j++)
        if (a->hi[j] <= b->lo[j] || b->hi[j] <= a->lo[j]) return true;
    return false;
}

// ---- all

static bool has_arm(const Owner *o, const Access *a)
{
    return o->deal->nests.data[a->nest].arm.i == o->arm.i;
}

static bool find_families(Owner *o)
{
    o->radix_count = o->family_count = 0;
    add_radix(o, 1);
    for (uint32_t k = 0; k < o->accesses.count && !o->failed; k++)
        if (has_arm(o, &o->accesses.data[k])) note_radices(o, &o->accesses.data[k]);
    for (uint32_t k = 0; k < o->accesses.count && !o->failed; k++) {
        const Access *a = &o->accesses.data[k];
        Family *family = has_arm(o, a) ? family_of(o, a) : NULL;
        if (family) add_place(o, family, a->offset.constant, a->lanes);
    }
    for (unsigned k = 0; k < o->family_count && !o->failed; k++) {
        bound(o, &o->families[k]);
        for (unsigned j = 0; j < k && !o->failed; j++)
            o->failed = !disjoint(o, &o->families[j], &o->families[k]);
    }
    return !o->failed;
}

static void assign(Owner *o)
{
    uint32_t base = o->deal->cells.count;
    for (unsigned n = 0; n < o->family_count; n++) {
        const Family *family = &o->families[n];
        for (uint32_t k = 0; k < o->accesses.count; k++) {
            const Access *a = &o->accesses.data[k];
            if (!has_arm(o, a) || family_of(o, a) != family) continue;
            uint32_t at = 0;
            while (family->places[at] != a->offset.constant) at++;
            o->deal->owned[a->id.i] = base + at + 1;
        }
        for (unsigned k = 0; k < family->count; k++)
            vec_push(o->arena, &o->deal->cells,
                     (Cell){o->mem, type_vector(mem_at(o->f, o->mem)->dtype, family->lanes[k])});
        base += family->count;
    }
}

static void find_owned(Owner *o, Region body)
{
    collect(o, body, 0);
    for (unsigned a = 0; a < o->arm_count; a++)
        for (unsigned b = 0; b < o->arm_count; b++)
            if (a != b && encloses(o->f, o->arms[a], o->arms[b])) o->failed = true;
    if (o->failed || !o->accesses.count) return;
    for (unsigned a = 0; a < o->arm_count; a++) {
        o->arm = o->arms[a];
        o->failed = false;
        if (find_families(o)) assign(o);
    }
}

void deal_owned(Arena *arena, const Func *f, InstId phase, Deal *deal)
{
    Family *families = arena_array(arena, Family, FAMILIES_MAX);
    deal->owned = arena_array(arena, uint32_t, f->insts.count);
    for (uint32_t m = 1; m < f->mems.count; m++) {
        const MemInfo *mem = mem_at(f, (Mem){m});
        if (mem->kind != MEM_SCRATCH || deal->place[m] != PLACE_LOCAL) continue;
        if (mem->dtype != dtype_info[mem->dtype].arith) continue;
        Owner owner = {.arena = arena, .f = f, .deal = deal, .mem = {m}, .families = families};
        find_owned(&owner, inst_region(inst_at(f, phase), 0));
    }
}
