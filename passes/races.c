// Race freedom: in each phase, an element that some tile writes is touched by no other tile, and no
// store writes an element twice. Two accesses in two tiles are given names of their own (sym_copy);
// from equal indices it must follow that the tiles are the same one.
//
//     c[m, n]                 m = m', n = n'
//     y[a * E + b]            b, b' in 0 .. E: a = a', then b = b'
//     q[r], q[R + r]          r = R + r' is impossible for r in 0 .. R
//     y[j], j in off[b] .. off[b + 1]      off ascends: b = b'
//
// Then coverage: outputs are written everywhere; what is read before it is surely written starts at
// 0.
#include "passes/races.h"

typedef struct Races {
    Func *f;
    const PassContext *context;
    Sym *sym;
    Axis grid[64]; // of the phase, outermost first
    uint32_t grid_count;
    AccessList list;
    bool changed;
} Races;

// What is known to be equal in both instances, and what is to be shown equal.
typedef struct Same {
    AxisSet lanes, tiles;
    const Axis *goal;
    uint32_t goal_count;
    bool by_tile; // the tiles of the goals must be equal, not the lanes
    bool trusted; // the user's word that indices through data do not collide
} Same;

// ---- equal indices

// The bounds of the axis are the same in both instances, so that equal numbers are equal tiles.
static bool bounds_same(Sym *sym, const Same *same, Axis a)
{
    Poly lo, hi;
    AxisSet lanes, tiles, l, t;
    sym_range(sym, a, &lo, &hi);
    sym_depends(sym, lo, &lanes, &tiles);
    sym_depends(sym, hi, &l, &t);
    return !lo.bad && !hi.bad && !((lanes | l) & ~same->lanes) && !((tiles | t) & ~same->tiles);
}

static void same_lane(Sym *sym, Same *same, Axis a)
{
    same->lanes |= axis_bit(a);
    if (bounds_same(sym, same, a)) same->tiles |= axis_bit(a);
}

static bool distinct_load(const Sym *sym, const AtomInfo *x)
{
    const MemRefine *r = &sym->refines[x->ref];
    return x->kind == ATOM_LOAD && !x->mask.i && !x->checked && r->known &&
           (r->kind == REFINE_DISTINCT || r->kind == REFINE_PERMUTATION);
}

// p has the same value in both instances: what follows at a glance.
static void learn_from(Sym *sym, Same *same, Poly p)
{
    AtomId varying = 0;
    uint32_t count = 0;
    for (uint32_t i = 0; i < p.count; i++) {
        for (Mono m = p.terms[i].mono; m; m >>= 16) {
            AtomId id = (AtomId)(m & 0xffff);
            const AtomInfo *x = &sym->atoms.data[id];
            bool fixed = !(x->lanes & ~same->lanes) && !(x->tiles & ~same->tiles);
            if (fixed || id == varying) continue;
            varying = id;
            count++;
            if (same->trusted &&
                (x->kind == ATOM_LOAD || x->kind == ATOM_OPAQUE || x->kind == ATOM_PURE)) {
                same->lanes |= x->lanes;
                same->tiles |= x->tiles;
            }
        }
    }
    Poly factor, rest;
    int64_t c;
    if (count != 1 || !poly_split(sym->arena, p, varying, &factor, &rest)) return;
    AxisSet lanes, tiles;
    sym_depends(sym, factor, &lanes, &tiles);
    if ((lanes & ~same->lanes) || (tiles & ~same->tiles)) return;
    if (!poly_is_const(factor, &c) && !sym_quick_nonneg(sym, poly_offset(sym->arena, factor, -1)))
        return;
    AtomInfo x = sym->atoms.data[varying];
    if (x.kind == ATOM_LANE && !x.env) same_lane(sym, same, (Axis){x.ref});
    if (x.kind == ATOM_ID && bounds_same(sym, same, (Axis){x.ref}))
        same->tiles |= axis_bit((Axis){x.ref});
    for (uint32_t k = 0; distinct_load(sym, &x) && k < x.index_count; k++)
        learn_from(sym, same, x.index[k]);
}

static bool goal_reached(const Same *same, Axis *missing)
{
    for (uint32_t i = 0; i < same->goal_count; i++) {
        AxisSet bit = axis_bit(same->goal[i]);
        *missing = same->goal[i];
        if (!((same->by_tile ? same->tiles : same->lanes) & bit)) return false;
    }
    return true;
}

static void learn_at_a_glance(Sym *sym, Same *same, const Access *a, const Access *b)
{
    AxisSet before;
    uint32_t rank = a->rank < b->rank ? a->rank : b->rank;
    do {
        before = same->lanes ^ same->tiles << 1;
        for (uint32_t p = 0; p < rank; p++) {
            Poly x = access_poly(sym, a, p);
            Poly y = access_poly(sym, b, p);
            if (poly_equal(x, y)) learn_from(sym, same, x);
        }
        // Bounds that became the same make tiles of equal lanes the same.
        for (uint32_t i = 0; i < same->goal_count; i++)
            if (same->lanes & axis_bit(same->goal[i])) same_lane(sym, same, same->goal[i]);
    } while (before != (same->lanes ^ same->tiles << 1));
}

static void equal_indices(Query *q, const Access *a, const Access *b)
{
    Sym *sym = q->sym;
    uint32_t rank = a->rank < b->rank ? a->rank : b->rank;
    for (uint32_t p = 0; p < rank; p++) {
        Poly x = access_poly(sym, a, p);
        Poly y = access_poly(sym, b, p);
        query_equal(q, poly_sub(sym->arena, x, sym_copy(sym, y)));
        AtomId ax, ay;
        if (!poly_is_atom(x, &ax) || !poly_is_atom(y, &ay)) continue;
        AtomInfo ix = sym->atoms.data[ax], iy = sym->atoms.data[ay];
        if (!distinct_load(sym, &ix) || !distinct_load(sym, &iy) || ix.ref != iy.ref) continue;
        for (uint32_t k = 0; k < ix.index_count && k < iy.index_count; k++)
            query_equal(q, poly_sub(sym->arena, ix.index[k], sym_copy(sym, iy.index[k])));
    }
}

static void pair_query(Query *q, Sym *sym, const Same *same, const Access *a, const Access *b)
{
    sym->same_lanes = same->lanes;
    sym->same_tiles = same->tiles;
    query_start(q, sym);
    q->witness_tiles = true;
    for (int second = 0; second < 2; second++) {
        const Access *x = second ? b : a;
        q->renaming = second;
        query_scope(q, x->inst);
        query_axes(q, x->axes);
        query_assume(q, x->mask, true, NULL);
    }
    q->renaming = false;
    equal_indices(q, a, b);
}

static bool zero(Query *q, Poly p)
{
    return query_nonneg(q, p) && query_nonneg(q, poly_scale(q->sym->arena, p, -1));
}

// Lanes that are no goals but help: of what both indices vary along.
static bool prove_other_lane(Query *q, Same *same, const Access *a, const Access *b)
{
    Sym *sym = q->sym;
    AxisSet axes = a->axes & b->axes & ~same->lanes;
    for (uint32_t i = 0; i < same->goal_count; i++) axes &= ~axis_bit(same->goal[i]);
    for (uint32_t i = 1; i < sym->f->axes.count; i++) {
        Poly lane = sym_lane(sym, (Axis){i});
        if (!(axes >> i & 1) || !zero(q, poly_sub(sym->arena, lane, sym_copy(sym, lane)))) continue;
        same_lane(sym, same, (Axis){i});
        return true;
    }
    return false;
}

// Distinct elements that are equal were loaded from the same place.
static bool prove_element(Query *q, Same *same, const Access *a)
{
    Sym *sym = q->sym;
    for (uint32_t p = 0; p < a->rank; p++) {
        Poly index = access_poly(sym, a, p);
        for (uint32_t i = 0; i < index.count; i++) {
            for (Mono m = index.terms[i].mono; m; m >>= 16) {
                AtomInfo x = sym->atoms.data[m & 0xffff];
                Poly atom = poly_atom(sym->arena, (AtomId)(m & 0xffff));
                AxisSet before = same->lanes ^ same->tiles << 1;
                bool fixed = !(x.lanes & ~same->lanes) && !(x.tiles & ~same->tiles);
                if (fixed || !distinct_load(sym, &x)) continue;
                if (!zero(q, poly_sub(sym->arena, atom, sym_copy(sym, atom)))) continue;
                for (uint32_t k = 0; k < x.index_count; k++) learn_from(sym, same, x.index[k]);
                if (before != (same->lanes ^ same->tiles << 1)) return true;
            }
        }
    }
    return false;
}

// Proves that one more thing is equal; false if nothing can be.
static bool prove_step(Sym *sym, Same *same, const Access *a, const Access *b)
{
    Query q;
    pair_query(&q, sym, same, a, b);
    for (uint32_t i = 0; i < same->goal_count; i++) {
        Axis g = same->goal[i];
        if ((same->by_tile ? same->tiles : same->lanes) & axis_bit(g)) continue;
        Poly lane = sym_lane(sym, g);
        bool had = (same->lanes & axis_bit(g)) != 0;
        if (!had && zero(&q, poly_sub(sym->arena, lane, sym_copy(sym, lane)))) {
            same_lane(sym, same, g);
            return true;
        }
        Poly id = sym_tile_id(sym, g);
        if (!same->by_tile || !bounds_same(sym, same, g)) continue;
        if (!zero(&q, poly_sub(sym->arena, id, sym_copy(sym, id)))) continue;
        same->tiles |= axis_bit(g);
        return true;
    }
    return prove_element(&q, same, a) || prove_other_lane(&q, same, a, b);
}

// Whether equal indices of a and b imply all goals; else *missing is one that was not shown.
static bool separate(Sym *sym, Same *same, const Access *a, const Access *b, Axis *missing)
{
    learn_at_a_glance(sym, same, a, b);
    bool done = goal_reached(same, missing);
    while (!done && prove_step(sym, same, a, b)) {
        learn_at_a_glance(sym, same, a, b);
        done = goal_reached(same, missing);
    }
    sym->same_lanes = sym->same_tiles = 0;
    return done;
}

// ---- messages

static bool indexed_by(Races *r, const Access *a, Axis g)
{
    for (uint32_t p = 0; p < a->rank; p++) {
        AxisSet lanes, tiles;
        sym_depends(r->sym, access_poly(r->sym, a, p), &lanes, &tiles);
        if ((lanes | tiles) & axis_bit(g)) return true;
    }
    return false;
}

static bool indexed_through_data(Races *r, const Access *a)
{
    for (uint32_t p = 0; p < a->rank; p++) {
        Poly x = access_poly(r->sym, a, p);
        for (uint32_t i = 0; i < x.count; i++)
            for (Mono m = x.terms[i].mono; m; m >>= 16)
                if (r->sym->atoms.data[m & 0xffff].kind == ATOM_LOAD) return true;
    }
    return false;
}

typedef enum Ranges { RANGES_APART, RANGES_BY_SIZE, RANGES_BY_DATA } Ranges;

static bool through_data(const Sym *sym, Poly p, Axis g)
{
    for (uint32_t k = 0; k < p.count; k++) {
        for (Mono m = p.terms[k].mono; m; m >>= 16) {
            AtomInfo x = sym->atoms.data[m & 0xffff];
            if ((x.kind == ATOM_LOAD || x.kind == ATOM_OPAQUE) &&
                ((x.lanes | x.tiles) & axis_bit(g)))
                return true;
        }
    }
    return false;
}

// How the range of an index's axis depends on g: each tile of g has a range of its own.
static Ranges ranges_by(Races *r, const Access *a, Axis g)
{
    AxisSet index_axes = 0, lanes, tiles;
    Ranges found = RANGES_APART;
    for (uint32_t p = 0; p < a->rank; p++) {
        Poly x = access_poly(r->sym, a, p);
        for (uint32_t i = 0; i < x.count; i++)
            for (Mono m = x.terms[i].mono; m; m >>= 16)
                if (r->sym->atoms.data[m & 0xffff].kind == ATOM_LANE)
                    index_axes |= axis_bit((Axis){r->sym->atoms.data[m & 0xffff].ref});
    }
    for (uint32_t i = 1; i < r->f->axes.count; i++) {
        Poly lo, hi;
        if (!(index_axes >> i & 1) || i == g.i) continue;
        sym_range(r->sym, (Axis){i}, &lo, &hi);
        if (through_data(r->sym, lo, g)) return RANGES_BY_DATA;
        sym_depends(r->sym, lo, &lanes, &tiles);
        if ((lanes | tiles) & axis_bit(g)) found = RANGES_BY_SIZE;
    }
    return found;
}

static void report_store(Races *r, const Access *a, Axis g)
{
    DiagList *diags = r->context->diags;
    Str name = check_axis_name(r->f, g), text = check_access_text(r->context, r->f, a);
    Str mem = mem_at(r->f, a->mem)->name;
    Diag *d;
    Ranges ranges = ranges_by(r, a, g);
    if (ranges != RANGES_APART) {
        d = diag_add(diags, DIAG_RACE_STORE, a->span,
                     "two tiles of `%.*s` may store to the same element of `%.*s`: the ranges of "
                     "`%.*s` may overlap",
                     STR_ARG(name), STR_ARG(mem), STR_ARG(text));
        diag_hint(diags, d,
                  ranges == RANGES_BY_DATA
                      ? "promise that the offsets divide the dimension (`off: i64[B + 1] partition "
                        "L`), or say `unordered` if you know that they do"
                      : "let each range end where that of the next tile begins, as `b * 64 .. "
                        "min(N, (b + 1) * 64)` does");
    } else if (indexed_by(r, a, g)) {
        d = diag_add(diags, DIAG_RACE_STORE, a->span,
                     "two tiles of `%.*s` may store to the same element: the indices of `%.*s` do "
                     "not provably "
                     "tell them apart",
                     STR_ARG(name), STR_ARG(text));
        diag_hint(diags, d,
                  "index `%.*s` by `%.*s` itself, %sor say `unordered` if you know that they never "
                  "collide",
                  STR_ARG(mem), STR_ARG(name),
                  indexed_through_data(r, a) ? "promise that the loaded indices are `distinct`, "
                                             : "");
    } else {
        d = diag_add(
            diags, DIAG_RACE_STORE, a->span,
            "all tiles of `%.*s` store to the same elements of `%.*s`: `%.*s` lacks `%.*s`",
            STR_ARG(name), STR_ARG(mem), STR_ARG(text), STR_ARG(name));
        diag_hint(diags, d,
                  "add `%.*s` to the index, reduce over it (make it a loop inside the grid that "
                  "carries a "
                  "`var`), or write `fold`",
                  STR_ARG(name));
    }
    diag_note(diags, d, axis_at(r->f, g)->span, "tiles of `%.*s` run in parallel", STR_ARG(name));
}

static void report_pair(Races *r, const Access *a, const Access *b, Axis g)
{
    DiagList *diags = r->context->diags;
    Str name = check_axis_name(r->f, g);
    const Access *second = a->store && !b->store ? b : a->store && a != b ? b : a;
    const Access *first = second == a ? b : a;
    Diag *d = diag_add(diags, DIAG_RACE_PAIR, second->span,
                       "`%.*s` may be an element that another tile of `%.*s` %s as `%.*s`",
                       STR_ARG(check_access_text(r->context, r->f, second)), STR_ARG(name),
                       first->store ? "writes" : "reads",
                       STR_ARG(check_access_text(r->context, r->f, first)));
    diag_note(diags, d, first->span, "%s here", first->store ? "written" : "read");
    diag_note(diags, d, axis_at(r->f, g)->span, "tiles of `%.*s` run in parallel", STR_ARG(name));
    if (axis_at(r->f, g)->scalar && !second->store)
        diag_hint(diags, d,
                  "a loop that carries a value from step to step needs a `var` before it; to read "
                  "what all "
                  "tiles wrote, use a second nest of loops");
    else
        diag_hint(diags, d,
                  "use the same index by `%.*s` in both, or move one of them to a nest of loops of "
                  "its own",
                  STR_ARG(name));
}

static void report_lanes(Races *r, const Access *a, Axis lane)
{
    DiagList *diags = r->context->diags;
    Str name = check_axis_name(r->f, lane);
    Diag *d = diag_add(
        diags, DIAG_RACE_LANES, a->span,
        "several values along `%.*s` may be stored to one element: the indices of `%.*s` do not "
        "provably differ",
        STR_ARG(name), STR_ARG(check_access_text(r->context, r->f, a)));
    diag_note(diags, d, axis_at(r->f, lane)->span, "`%.*s` is declared here", STR_ARG(name));
    diag_hint(diags, d,
              "reduce over `%.*s` first, index by `%.*s` itself, or say `unordered` if you know "
              "that they "
              "never collide",
              STR_ARG(name), STR_ARG(name));
}

// ---- the pairs of a phase

static bool single(Sym *sym, Axis a)
{
    Poly lo, hi;
    int64_t n;
    sym_range(sym, a, &lo, &hi);
    return poly_is_const(poly_sub(sym->arena, hi, lo), &n) && n <= 1;
}

static Same grid_goal(Races *r, const Access *a, const Access *b)
{
    Same same = {.goal = r->grid,
                 .goal_count = r->grid_count,
                 .by_tile = true,
                 .trusted = a->unordered || b->unordered};
    for (uint32_t i = 0; i < r->grid_count; i++)
        if (single(r->sym, r->grid[i]) && bounds_same(r->sym, &same, r->grid[i]))
            same_lane(r->sym, &same, r->grid[i]);
    return same;
}

// Whether the pair is fine; reports it if not.
static bool check_pair(Races *r, const Access *a, const Access *b)
{
    Axis missing = {0};
    if (a->unordered && b->unordered) return true;
    Same same = grid_goal(r, a, b);
    if (separate(r->sym, &same, a, b, &missing)) return true;
    if (a == b)
        report_store(r, a, missing);
    else
        report_pair(r, a, b, missing);
    return false;
}

// Lanes of one execution of a store: all tiles around it are the current ones.
static void check_lanes(Races *r, const Access *a)
{
    const Func *f = r->f;
    AxisSet axes = value_axes(f, a->value), around = inst_axis_set(f, a->inst);
    for (uint32_t p = 0; p < a->rank; p++) axes |= value_axes(f, access_index(f, a, p));
    Axis goal[64], missing = {0};
    Same same = {.tiles = around, .goal = goal};
    for (uint32_t i = 1; i < f->axes.count; i++) {
        if ((around >> i & 1) && f->axes.data[i].scalar) same.lanes |= (AxisSet)1 << i;
        if (axes >> i & 1) goal[same.goal_count++] = (Axis){i};
    }
    if (!separate(r->sym, &same, a, a, &missing)) report_lanes(r, a, missing);
}

static bool fold_alone(Races *r, Mem mem)
{
    const Access *fold = NULL;
    for (uint32_t i = 0; i < r->list.count; i++)
        if (r->list.data[i].mem.i == mem.i && r->list.data[i].fold && !fold)
            fold = &r->list.data[i];
    for (uint32_t i = 0; fold && i < r->list.count; i++) {
        const Access *x = &r->list.data[i];
        if (x->mem.i != mem.i) continue;
        bool same =
            x->fold && inst_at(r->f, x->inst)->attr.kind == inst_at(r->f, fold->inst)->attr.kind;
        if (same) continue;
        DiagList *diags = r->context->diags;
        Diag *d = diag_add(diags, DIAG_FOLD_MIXED, x->span,
                           "`%.*s` is folded in this phase, so it cannot be %s here",
                           STR_ARG(mem_at(r->f, mem)->name),
                           x->fold    ? "folded by another operation"
                           : x->store ? "stored to"
                                      : "read");
        diag_note(diags, d, fold->span, "folded here");
        diag_hint(
            diags, d,
            "move one of them to a nest of loops of its own: a later phase sees the folded value");
        return false;
    }
    return !fold;
}

// Atomic updates of one kind do not race with each other; with anything else there would be an
// order.
static bool atomic_alone(Races *r, Mem mem)
{
    const Access *update = NULL;
    for (uint32_t i = 0; i < r->list.count && !update; i++)
        if (r->list.data[i].mem.i == mem.i && r->list.data[i].atomic) update = &r->list.data[i];
    for (uint32_t i = 0; update && i < r->list.count; i++) {
        const Access *x = &r->list.data[i];
        if (x->mem.i != mem.i) continue;
        unsigned kind = inst_at(r->f, x->inst)->attr.kind;
        if (x->atomic && kind == inst_at(r->f, update->inst)->attr.kind) continue;
        DiagList *diags = r->context->diags;
        Diag *d = diag_add(diags, DIAG_ATOMIC_MIXED, x->span,
                           "`%.*s` is updated atomically in this phase, so it cannot be %s here",
                           STR_ARG(mem_at(r->f, mem)->name),
                           x->atomic  ? "updated by another operation"
                           : x->fold  ? "folded"
                           : x->store ? "stored to"
                                      : "read");
        diag_note(diags, d, update->span, "updated here");
        diag_hint(diags, d,
                  "move one of them to a nest of loops of its own; what an update found there is "
                  "its value: `let old = atomic ...`");
        return false;
    }
    return !update;
}

// All pairs of accesses to mem, one of them a store; after the first error the others are left.
static void check_mem(Races *r, Mem mem)
{
    if (!atomic_alone(r, mem) || !fold_alone(r, mem)) return;
    bool fine = true;
    for (uint32_t i = 0; i < r->list.count && fine; i++) {
        const Access *a = &r->list.data[i];
        if (a->mem.i != mem.i || !a->store) continue;
        fine = r->grid_count == 0 || check_pair(r, a, a);
    }
    for (uint32_t i = 0; i < r->list.count && fine && r->grid_count; i++) {
        for (uint32_t j = i + 1; j < r->list.count && fine; j++) {
            const Access *a = &r->list.data[i], *b = &r->list.data[j];
            if (a->mem.i == mem.i && b->mem.i == mem.i && (a->store || b->store))
                fine = check_pair(r, a, b);
        }
    }
    for (uint32_t i = 0; i < r->list.count && fine; i++) {
        const Access *a = &r->list.data[i];
        if (a->mem.i == mem.i && a->store && !a->fold && !a->atomic && !a->unordered)
            check_lanes(r, a);
    }
}

static void find_grid(Races *r, Region region)
{
    for_each_inst(r->f, region, id) {
        const Inst *in = inst_at(r->f, id);
        if (in->op == OP_GRID && r->grid_count < 64)
            r->grid[r->grid_count++] = (Axis){in->attr.ref};
        if (in->op != OP_GRID && in->op != OP_IF) continue;
        for (unsigned k = 0; k < in->region_count; k++)
            find_grid(r, inst_region(inst_at(r->f, id), k));
    }
}

// ---- reads of what nobody wrote

static bool region_inside(const Func *f, Region inner, Region outer)
{
    while (inner.i != outer.i) {
        InstId owner = region_at(f, inner)->owner;
        if (!owner.i) return false;
        inner = inst_at(f, owner)->parent;
    }
    return true;
}

// An earlier store of the same tile to the same indices, that happens whenever the load does.
static bool stored_before(Races *r, uint32_t load)
{
    const Access *l = &r->list.data[load];
    for (uint32_t i = 0; i < load; i++) {
        const Access *s = &r->list.data[i];
        if (!s->store || s->atomic || s->mem.i != l->mem.i || s->rank != l->rank) continue;
        if (!region_inside(r->f, inst_at(r->f, l->inst)->parent, inst_at(r->f, s->inst)->parent))
            continue;
        bool same = !s->mask.i || s->mask.i == l->mask.i;
        for (uint32_t p = 0; p < l->rank && same; p++)
            same = poly_equal(access_poly(r->sym, s, p), access_poly(r->sym, l, p));
        if (same) return true;
    }
    return false;
}

// A result must not depend on what memory held: what may be read before it is written starts at 0.
static void check_reads(Races *r, InstId phase)
{
    for (uint32_t i = 0; i < r->list.count; i++) {
        const Access *l = &r->list.data[i];
        MemInfo *mem = mem_at(r->f, l->mem);
        CoverGap gap;
        if ((l->store && !l->atomic) || (mem->kind != MEM_OUT && mem->kind != MEM_WORKSPACE))
            continue;
        if (mem->has_init || mem->partial || stored_before(r, i)) continue;
        if (cover_proved(r->context, r->sym, l->mem, phase, &gap)) continue;
        mem->has_init = true;
        mem->init_bits = 0;
        r->f->version++;
        r->changed = true;
    }
}

static void enter_phase(Races *r, InstId phase)
{
    r->grid_count = 0;
    r->list = (AccessList){0};
    Region body = inst_region(inst_at(r->f, phase), 0);
    find_grid(r, body);
    access_collect(r->context->arena, r->f, body, &r->list);
}

static void check_phase(Races *r, InstId phase)
{
    enter_phase(r, phase);
    for (uint32_t m = 1; m < r->f->mems.count; m++) {
        bool written = false;
        for (uint32_t i = 0; i < r->list.count; i++)
            written |= r->list.data[i].mem.i == m && r->list.data[i].store;
        if (written) check_mem(r, (Mem){m});
    }
}

// An error about one of its stores has been given: what it covers is a question too many.
static bool store_reported(Races *r, Mem mem)
{
    const DiagList *diags = r->context->diags;
    for (InstId id = {1}; id.i < r->f->insts.count; id.i++) {
        const Inst *in = inst_at(r->f, id);
        bool store = in->op == OP_STORE_TILE && in->attr.ref == mem.i && in->span.line;
        for (uint32_t i = 0; store && i < diags->diags.count; i++)
            if (memcmp(&diags->diags.data[i]->span, &in->span, sizeof in->span) == 0) return true;
    }
    return false;
}

// What could not be parsed may have been the store that is missing.
static bool syntax_reported(const DiagList *diags)
{
    for (uint32_t i = 0; i < diags->diags.count; i++)
        if (diags->diags.data[i]->code == DIAG_SYNTAX) return true;
    return false;
}

static void check_coverage(Races *r)
{
    if (syntax_reported(r->context->diags)) return;
    for (uint32_t m = 1; m < r->f->mems.count; m++) {
        const MemInfo *mem = mem_at(r->f, (Mem){m});
        CoverGap gap;
        if (mem->kind != MEM_OUT || mem->has_init || mem->partial || store_reported(r, (Mem){m}))
            continue;
        if (cover_proved(r->context, r->sym, (Mem){m}, (InstId){0}, &gap)) continue;
        DiagList *diags = r->context->diags;
        Diag *d = diag_add(diags, DIAG_NOT_COVERED, mem->span,
                           "output `%.*s` is not provably written everywhere", STR_ARG(mem->name));
        for (uint32_t k = 0; k < gap.count; k++)
            diag_note(diags, d, gap.where[k], "%.*s", STR_ARG(gap.why[k]));
        diag_hint(diags, d,
                  "write the rest, give a start value (`%.*s: ... = 0`), or declare it `partial "
                  "%.*s: ...`",
                  STR_ARG(mem->name), STR_ARG(mem->name));
    }
}

bool pass_races(Func *f, const PassContext *context)
{
    Races r = {.f = f, .context = context, .sym = sym_new(context->arena, f)};
    for_each_inst(f, f->body, id)
        if (inst_at(f, id)->op == OP_PHASE) check_phase(&r, id);
    check_coverage(&r);
    for_each_inst(f, f->body, id) {
        if (inst_at(f, id)->op != OP_PHASE) continue;
        enter_phase(&r, id);
        check_reads(&r, id);
    }
    return r.changed;
}
