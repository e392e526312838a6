// The box of elements that a store writes: each axis of its indices runs over its range, at one
// position.
//
//     y[m, n]          m in 0 .. M, n in 0 .. N            0 .. M x 0 .. N
//     y[a * E + b]     a in 0 .. A, b in 0 .. E            0 .. A * E
//     y[t / E, t % E]  t in 0 .. Q * E                     0 .. Q x 0 .. E
//     y[j]             j in off[b] .. off[b + 1], every b  0 .. L
//     y[m]             m in g * R .. min(M, (g + 1) * R)   0 .. min(M, G * R)
//     if (n < P) y[n]                                      0 .. P
//     y[t]             serial for t in 0 .. T              0 .. T
#include "ir/eval.h"
#include "passes/races.h"

enum { VARS_MAX = 40, RESOLVE_MAX = 8 };

// Something that runs over a range of its own, independently of the others.
typedef struct Var {
    AtomId atom;
    Axis axis; // 0: the quotient of one
    Poly lo, hi;
    Value lo_value, hi_value;
    bool used;   // at a position, or by the range of one that is
    bool around; // of a grid or loop around the store
    bool turn;   // counts the turns of a `repeat` around the phase
} Var;

typedef struct Boxing {
    Sym *sym;
    Box *box;
    Var vars[VARS_MAX];
    uint32_t var_count;
    bool done[RANK_MAX];
} Boxing;

bool cover_nonneg(Sym *sym, Poly p)
{
    Query q;
    if (sym_quick_nonneg(sym, p)) return true;
    query_start(&q, sym);
    for_each_inst(sym->f, sym->f->body, id) {
        if (inst_at(sym->f, id)->op != OP_PHASE) continue;
        query_scope(&q, id);
        break;
    }
    return query_nonneg(&q, p);
}

static bool fixed(const Sym *sym, Poly p)
{
    AxisSet lanes, tiles;
    sym_depends(sym, p, &lanes, &tiles);
    return !p.bad && !lanes && !tiles;
}

// ---- literals

bool literal_same(const Literal *a, const Literal *b)
{
    if (a->v.i || b->v.i) return a->v.i == b->v.i && a->truth == b->truth;
    return poly_equal(a->p, b->p);
}

bool literal_opposite(const Sym *sym, const Literal *a, const Literal *b)
{
    if (a->v.i || b->v.i) return a->v.i == b->v.i && a->truth != b->truth;
    return poly_equal(a->p, poly_offset(sym->arena, poly_scale(sym->arena, b->p, -1), -1));
}

static void add_literal(Box *box, Literal l)
{
    for (uint32_t i = 0; i < box->literal_count; i++)
        if (literal_same(&box->literals[i], &l)) return;
    if (box->literal_count < LITERALS_MAX)
        box->literals[box->literal_count++] = l;
    else
        box->why = STR("this store has too many conditions to be followed");
}

static bool add_comparison(Sym *sym, Box *box, const Inst *in, bool truth)
{
    Poly a = sym_value(sym, inst_arg(sym->f, in, 0), NULL),
         b = sym_value(sym, inst_arg(sym->f, in, 1), NULL);
    Poly d = poly_sub(sym->arena, b, a), back = poly_scale(sym->arena, d, -1);
    if (d.bad) return false;
    if (in->op == OP_LT)
        add_literal(box, (Literal){.p = truth ? poly_offset(sym->arena, d, -1) : back});
    else if (in->op == OP_LE)
        add_literal(box, (Literal){.p = truth ? d : poly_offset(sym->arena, back, -1)});
    else if ((in->op == OP_EQ && truth) || (in->op == OP_NE && !truth)) {
        add_literal(box, (Literal){.p = d});
        add_literal(box, (Literal){.p = back});
    } else
        return false;
    return true;
}

static void add_condition(Sym *sym, Box *box, Value v, bool truth, unsigned depth)
{
    const Func *f = sym->f;
    const Inst *in = value_def(f, v);
    Op op = in ? (Op)in->op : OP_NONE;
    uint64_t bits;
    if (value_const(f, v, &bits) && (bits != 0) == truth) return;
    if (op == OP_NOT && depth) {
        add_condition(sym, box, inst_arg(f, in, 0), !truth, depth - 1);
        return;
    }
    if (depth && ((op == OP_AND && truth) || (op == OP_OR && !truth))) {
        for (unsigned k = 0; k < 2; k++)
            add_condition(sym, box, inst_arg(f, in, k), truth, depth - 1);
        return;
    }
    // Where some lane does it, the elements of all lanes are written.
    if (op == OP_REDUCE && in->attr.kind == REDUCE_ANY && truth && depth) {
        add_condition(sym, box, inst_arg(f, in, 0), true, depth - 1);
        if (inst_mask(f, in).i) add_condition(sym, box, inst_mask(f, in), true, depth - 1);
        return;
    }
    if ((op == OP_LT || op == OP_LE || op == OP_EQ || op == OP_NE) &&
        add_comparison(sym, box, in, truth))
        return;
    add_literal(box, (Literal){.v = v, .truth = truth});
}

void literal_parts(Sym *sym, Box *box, Value v, bool truth)
{
    add_condition(sym, box, v, truth, 32);
}

void literal_drop_true(Sym *sym, Box *box)
{
    AxisSet axes = box->store->axes | inst_axis_set(sym->f, box->store->inst);
    for (uint32_t i = 0; i < box->literal_count;) {
        Query q;
        query_start(&q, sym);
        query_scope(&q, inst_phase(sym->f, box->store->inst));
        query_axes(&q, axes);
        if (!box->literals[i].v.i && query_nonneg(&q, box->literals[i].p))
            box->literals[i] = box->literals[--box->literal_count];
        else
            i++;
    }
}

Box box_of(Sym *sym, const Access *store)
{
    const Func *f = sym->f;
    Box box = {.store = store};
    if (store->mask.i) add_condition(sym, &box, store->mask, true, 32);
    for (InstId at = store->inst, o = inst_owner(f, at); o.i; at = o, o = inst_owner(f, o)) {
        const Inst *in = inst_at(f, o);
        if (in->op == OP_IF)
            add_condition(sym, &box, inst_arg(f, in, 0),
                          inst_at(f, at)->parent.i == inst_region(in, 0).i, 32);
    }
    literal_drop_true(sym, &box);
    for (uint32_t p = 0; p < store->rank && p < RANK_MAX; p++)
        box.index[p] = access_poly(sym, store, p);
    return box;
}

// ---- variables

static Var *find_var(Boxing *b, AtomId atom)
{
    for (uint32_t i = 0; i < b->var_count; i++)
        if (b->vars[i].atom == atom) return &b->vars[i];
    return NULL;
}

static void add_axis(Boxing *b, Axis a, bool around)
{
    AtomId atom;
    if (!poly_is_atom(sym_lane(b->sym, a), &atom)) return;
    Var *known = find_var(b, atom);
    if (known || b->var_count == VARS_MAX) {
        if (known) known->around |= around;
        return;
    }
    Var *v = &b->vars[b->var_count++];
    *v = (Var){.atom = atom, .axis = a, .around = around};
    sym_range(b->sym, a, &v->lo, &v->hi);
    const Inst *decl = inst_at(b->sym->f, axis_at(b->sym->f, a)->decl);
    v->lo_value = inst_arg(b->sym->f, decl, 0);
    v->hi_value = inst_arg(b->sym->f, decl, 1);
}

// The bound of a dependent range is the extreme of `p` over the lanes it varies along.
static bool is_hull_of(Sym *sym, Value bound, Poly p)
{
    const Inst *in = value_def(sym->f, bound);
    return in && in->op == OP_REDUCE && (in->flags & INST_IMPLICIT) &&
           poly_equal(sym_value(sym, inst_arg(sym->f, in, 0), NULL), p);
}

// Whether the index depends on the atom, also as the position of an element loaded.
static bool reaches(const Sym *sym, Poly p, AtomId atom)
{
    if (poly_has(p, atom)) return true;
    for (uint32_t i = 0; i < p.count; i++) {
        for (Mono m = p.terms[i].mono; m; m >>= 16) {
            AtomInfo x = sym->atoms.data[m & 0xffff];
            for (uint32_t k = 0; x.kind == ATOM_LOAD && k < x.index_count; k++)
                if (poly_has(x.index[k], atom)) return true;
        }
    }
    return false;
}

// Shortens the range of a variable by a literal: p = x + rest >= 0, or p = rest - x >= 0.
static bool narrow(Boxing *b, Poly p, bool hulls)
{
    Sym *sym = b->sym;
    for (uint32_t i = 0; i < b->var_count; i++) {
        Var *v = &b->vars[i];
        Poly factor, rest;
        int64_t sign;
        bool indexed = false;
        for (uint32_t k = 0; k < b->box->store->rank; k++)
            indexed |= reaches(sym, b->box->index[k], v->atom);
        if (!indexed || !poly_split(sym->arena, p, v->atom, &factor, &rest)) continue;
        if (!poly_is_const(factor, &sign) || (sign != 1 && sign != -1)) continue;
        Poly bound = sign > 0 ? poly_scale(sym->arena, rest, -1) : poly_offset(sym->arena, rest, 1);
        bool hull = is_hull_of(sym, sign > 0 ? v->lo_value : v->hi_value, bound);
        if (hulls ? !hull : !fixed(sym, bound)) continue;
        if (sign > 0)
            v->lo = hull ? bound : sym_max(sym, v->lo, bound);
        else
            v->hi = hull ? bound : sym_min(sym, v->hi, bound);
        return true;
    }
    return false;
}

// Hulls first: they are replaced by the range itself, which other conditions then shorten.
static void narrow_all(Boxing *b, bool hulls)
{
    for (uint32_t i = 0; i < b->box->literal_count;) {
        if (!b->box->literals[i].v.i && narrow(b, b->box->literals[i].p, hulls))
            b->box->literals[i] = b->box->literals[--b->box->literal_count];
        else
            i++;
    }
}

// ---- ranges of variables

static bool resolve(Boxing *b, Var *v, unsigned depth);

static Var *var_of_axis(Boxing *b, uint32_t axis)
{
    for (uint32_t i = 0; i < b->var_count; i++)
        if (b->vars[i].axis.i == axis && axis) return &b->vars[i];
    return NULL;
}

// v runs over a tile of t (`axis j = t`, `tile n in t`): together with t, over the range of t.
static bool resolve_tile(Boxing *b, Var *v, unsigned depth)
{
    AtomId end;
    if (!poly_is_atom(v->hi, &end) || b->sym->atoms.data[end].kind != ATOM_END) return false;
    Var *t = var_of_axis(b, b->sym->atoms.data[end].ref);
    if (!t || t->used || !poly_equal(v->lo, sym_tile_begin(b->sym, t->axis))) return false;
    if (!resolve(b, t, depth - 1)) return false;
    t->used = true;
    v->lo = t->lo;
    v->hi = t->hi;
    return true;
}

// What runs over the tiles of t, where no index has t itself, runs over the range of t: then also
// the lanes' own ranges are understood as those of t are.
static void merge_tiles(Boxing *b)
{
    for (uint32_t i = b->var_count; i-- > 0;) {
        Var *v = &b->vars[i], *t = var_of_axis(b, tile_of_axis(b->sym->f, v->axis).i);
        bool indexed = false, other = false;
        for (uint32_t p = 0; t && p < b->box->store->rank; p++) {
            indexed |= reaches(b->sym, b->box->index[p], v->atom);
            other |= reaches(b->sym, b->box->index[p], t->atom);
        }
        if (!t || t->used || !indexed || other) continue;
        t->used = true;
        v->lo = t->lo, v->hi = t->hi;
        v->lo_value = t->lo_value, v->hi_value = t->hi_value;
        i = b->var_count; // t may be a tile of a tile itself
    }
}

// v runs over off[g] .. off[g + 1] of a partition: together with all g, over the whole of it.
static bool resolve_partition(Boxing *b, Var *v, unsigned depth)
{
    Sym *sym = b->sym;
    AtomId lo, hi;
    if (!poly_is_atom(v->lo, &lo) || !poly_is_atom(v->hi, &hi)) return false;
    AtomInfo x = sym->atoms.data[lo], y = sym->atoms.data[hi];
    if (x.kind != ATOM_LOAD || y.kind != ATOM_LOAD || x.ref != y.ref || x.mask.i || y.mask.i)
        return false;
    const MemRefine *r = &sym->refines[x.ref];
    if (!r->known || r->kind != REFINE_PARTITION || x.index_count != 1 || y.index_count != 1)
        return false;
    if (!poly_equal(y.index[0], poly_offset(sym->arena, x.index[0], 1))) return false;
    for (uint32_t i = 0; i < b->var_count; i++) {
        Var *g = &b->vars[i];
        Poly factor, offset;
        int64_t one;
        if (g == v || g->used || !poly_split(sym->arena, x.index[0], g->atom, &factor, &offset))
            continue;
        if (!poly_is_const(factor, &one) || one != 1 || !fixed(sym, offset) ||
            !resolve(b, g, depth - 1))
            continue;
        Poly last = poly_add(sym->arena, g->hi, poly_offset(sym->arena, offset, 1));
        if (!cover_nonneg(sym, poly_scale(sym->arena, poly_add(sym->arena, g->lo, offset), -1)))
            continue;
        if (!cover_nonneg(sym, poly_sub(sym->arena, last, sym_size(sym, (Mem){x.ref}, 0))))
            continue;
        g->used = true;
        v->lo = (Poly){0};
        v->hi = sym_value(sym, r->hi, NULL);
        return true;
    }
    return false;
}

// p = min(fixed, core) or core: the core, and *cap (bad if there is none).
static Poly without_cap(const Sym *sym, Poly p, Poly *cap)
{
    AtomId atom;
    *cap = poly_bad();
    if (!poly_is_atom(p, &atom) || sym->atoms.data[atom].kind != ATOM_MIN) return p;
    AtomInfo x = sym->atoms.data[atom];
    if (fixed(sym, x.a) == fixed(sym, x.b)) return p;
    *cap = fixed(sym, x.a) ? x.a : x.b;
    return fixed(sym, x.a) ? x.b : x.a;
}

// v runs over chunk g of consecutive ones, g * R .. min(M, (g + 1) * R): together with all g, over
// all.
static bool resolve_chunk(Boxing *b, Var *v, unsigned depth)
{
    Sym *sym = b->sym;
    Arena *arena = sym->arena;
    Poly low_cap, high_cap, factor, rest;
    Poly lo = without_cap(sym, v->lo, &low_cap), hi = without_cap(sym, v->hi, &high_cap);
    if (!low_cap.bad && !high_cap.bad && !poly_equal(low_cap, high_cap)) return false;
    for (uint32_t i = 0; i < b->var_count; i++) {
        Var *g = &b->vars[i];
        if (g == v || g->used || !poly_has(lo, g->atom) ||
            !poly_split(arena, lo, g->atom, &factor, &rest))
            continue;
        if (!fixed(sym, factor) || !fixed(sym, rest) ||
            !poly_equal(hi, poly_add(arena, lo, factor)))
            continue;
        if (!resolve(b, g, depth - 1)) continue;
        Poly first = poly_add(arena, rest, poly_mul(arena, factor, g->lo));
        Poly last = poly_add(arena, rest, poly_mul(arena, factor, g->hi));
        g->used = true;
        v->lo = low_cap.bad ? first : sym_min(sym, low_cap, first);
        v->hi = high_cap.bad ? last : sym_min(sym, high_cap, last);
        return true;
    }
    return false;
}

// Makes the range of v independent of all other variables.
static bool resolve(Boxing *b, Var *v, unsigned depth)
{
    if (fixed(b->sym, v->lo) && fixed(b->sym, v->hi)) return true;
    return depth && (resolve_tile(b, v, depth) || resolve_partition(b, v, depth) ||
                     resolve_chunk(b, v, depth));
}

// ---- positions

// The quotient `id` as v / divisor for a variable v: v itself divided, or a quotient of the same
// number.
static Var *dividend(Boxing *b, AtomId id, Poly *divisor)
{
    Sym *sym = b->sym;
    AtomInfo x = sym->atoms.data[id];
    for (uint32_t i = 0; i < b->var_count; i++) {
        Var *v = &b->vars[i];
        AtomId base;
        AtomInfo y = sym->atoms.data[v->atom];
        if (v->used) continue;
        *divisor = x.b;
        if (poly_is_atom(x.a, &base) && base == v->atom) return v;
        if (y.kind != ATOM_QUOTIENT || v->atom == id || !poly_equal(x.a, y.a)) continue;
        *divisor = sym_exact_quotient(sym, x.b, y.b);
        if (!divisor->bad) return v;
    }
    return NULL;
}

// x % E at one position exposes x / E, which runs over 0 .. X / E on its own.
static bool take_remainder(Boxing *b, uint32_t p)
{
    Sym *sym = b->sym;
    for (uint32_t i = 1; i < sym->atoms.count && b->var_count < VARS_MAX; i++) {
        AtomInfo x = sym->atoms.data[i];
        Poly divisor;
        if (x.kind != ATOM_QUOTIENT || x.origin || !poly_has(b->box->index[p], i)) continue;
        Var *v = dividend(b, i, &divisor);
        if (!v || !fixed(sym, divisor) || !resolve(b, v, RESOLVE_MAX)) continue;
        Poly whole = poly_mul(sym->arena, poly_atom(sym->arena, i), divisor);
        Poly rest = poly_sub(sym->arena, poly_atom(sym->arena, v->atom), whole);
        if (!poly_equal(rest, b->box->index[p]) || v->lo.count) continue;
        Poly count = sym_exact_quotient(sym, v->hi, divisor);
        if (count.bad) continue;
        v->used = true;
        b->vars[b->var_count++] = (Var){.atom = i, .hi = count};
        b->box->hi[p] = divisor;
        b->box->stride[p] = 1;
        b->done[p] = true;
        return true;
    }
    return false;
}

// (x + c) % E where x runs over at least E consecutive numbers: all remainders.
static bool take_rotation(Boxing *b, uint32_t p)
{
    Sym *sym = b->sym;
    for (uint32_t i = 1; i < sym->atoms.count; i++) {
        AtomInfo x = sym->atoms.data[i];
        if (x.kind != ATOM_QUOTIENT || x.origin || !poly_has(b->box->index[p], i) ||
            !fixed(sym, x.b))
            continue;
        Poly whole = poly_mul(sym->arena, poly_atom(sym->arena, i), x.b);
        if (!poly_equal(poly_sub(sym->arena, x.a, whole), b->box->index[p]) ||
            !sym_quick_nonneg(sym, x.a))
            continue;
        for (uint32_t k = 0; k < b->var_count; k++) {
            Var *v = &b->vars[k];
            Poly factor, rest;
            int64_t one;
            if (v->used || !poly_has(x.a, v->atom) ||
                !poly_split(sym->arena, x.a, v->atom, &factor, &rest))
                continue;
            if (!poly_is_const(factor, &one) || (one != 1 && one != -1) || !fixed(sym, rest))
                continue;
            if (!resolve(b, v, RESOLVE_MAX)) continue;
            Poly length = poly_sub(sym->arena, v->hi, v->lo);
            if (!cover_nonneg(sym, poly_sub(sym->arena, length, x.b))) continue;
            v->used = true;
            b->box->hi[p] = x.b;
            b->box->stride[p] = 1;
            return b->done[p] = true;
        }
    }
    return false;
}

// A tile's number, of a tile with `by`, runs over 0 .. count.
static void add_tile_numbers(Boxing *b, Poly p)
{
    Sym *sym = b->sym;
    for (uint32_t i = 0; i < p.count; i++) {
        for (Mono m = p.terms[i].mono; m; m >>= 16) {
            AtomInfo x = sym->atoms.data[m & 0xffff];
            Var *t = x.kind == ATOM_ID ? var_of_axis(b, x.ref) : NULL;
            if (!t || t->used || find_var(b, (AtomId)(m & 0xffff)) || b->var_count == VARS_MAX)
                continue;
            if (!fixed(sym, t->lo) || !fixed(sym, t->hi)) continue;
            t->used = true;
            b->vars[b->var_count++] =
                (Var){.atom = (AtomId)(m & 0xffff), .hi = sym_tile_count(sym, t->axis)};
        }
    }
}

// Elements of a permutation of 0 .. R, loaded at every position of it, run over 0 .. R.
static void add_permutations(Boxing *b, Poly p)
{
    Sym *sym = b->sym;
    for (uint32_t i = 0; i < p.count; i++) {
        for (Mono m = p.terms[i].mono; m; m >>= 16) {
            AtomInfo x = sym->atoms.data[m & 0xffff];
            AtomId at;
            if (x.kind != ATOM_LOAD || x.mask.i || x.checked || x.index_count != 1) continue;
            const MemRefine *r = &sym->refines[x.ref];
            if (!r->known || r->kind != REFINE_PERMUTATION || !poly_is_atom(x.index[0], &at))
                continue;
            Var *v = find_var(b, at);
            if (!v || v->used || b->var_count == VARS_MAX || !resolve(b, v, RESOLVE_MAX)) continue;
            Poly missing = poly_sub(sym->arena, v->hi, sym_size(sym, (Mem){x.ref}, 0));
            if (v->lo.count || !cover_nonneg(sym, missing)) continue;
            v->used = true;
            b->vars[b->var_count++] =
                (Var){.atom = (AtomId)(m & 0xffff), .hi = sym_value(sym, r->hi, NULL)};
        }
    }
}

// Steps of v continue what has this length. Where they overlap, v must have a first step at all.
static bool extends(Sym *sym, Poly length, Poly step, const Var *v)
{
    Poly over = poly_sub(sym->arena, length, step);
    if (!cover_nonneg(sym, over)) return false;
    return cover_nonneg(sym, poly_scale(sym->arena, over, -1)) ||
           cover_nonneg(sym, poly_offset(sym->arena, poly_sub(sym->arena, v->hi, v->lo), -1));
}

// lo .. hi of base + sum of factor * v: a variable whose factor is at most the length so far
// extends it.
static bool grow(Boxing *b, uint32_t p)
{
    Sym *sym = b->sym;
    Arena *arena = sym->arena;
    Poly rest = b->box->index[p], lo = {0}, hi = poly_const(arena, 1);
    add_tile_numbers(b, rest);
    add_permutations(b, rest);
    b->box->stride[p] = 1;
    uint32_t taken = 0;
    for (bool more = true; more;) {
        more = false;
        for (uint32_t i = 0; i < b->var_count; i++) {
            Var *v = &b->vars[i];
            Poly factor, left;
            int64_t c;
            if (v->used || !poly_has(rest, v->atom) ||
                !poly_split(arena, rest, v->atom, &factor, &left))
                continue;
            if (!fixed(sym, factor) || !resolve(b, v, RESOLVE_MAX)) continue;
            bool up = sym_quick_nonneg(sym, factor);
            Poly step = up ? factor : poly_scale(arena, factor, -1);
            if (!up && !sym_quick_nonneg(sym, step)) continue;
            Poly first = v->lo, last = poly_offset(arena, v->hi, -1), t;
            if (!up)
                t = first, first = poly_scale(arena, last, -1), last = poly_scale(arena, t, -1);
            bool strided = poly_is_const(step, &c) && c > 1 && !taken && fixed(sym, left);
            bool contiguous = extends(sym, poly_sub(arena, hi, lo), step, v);
            if (!contiguous && !strided) continue;
            lo = poly_add(arena, lo, contiguous ? poly_mul(arena, step, first) : first);
            hi = poly_add(arena, hi, contiguous ? poly_mul(arena, step, last) : last);
            if (!contiguous) b->box->stride[p] = c;
            v->used = more = true;
            rest = left;
            taken++;
        }
    }
    if (!fixed(sym, rest)) return false;
    if (b->box->stride[p] > 1) {
        int64_t c;
        if (!poly_is_const(rest, &c)) return false;
        int64_t k = b->box->stride[p], residue = (c % k + k) % k;
        b->box->residue[p] = residue;
        rest = poly_const(arena, (c - residue) / k);
    }
    b->box->lo[p] = poly_add(arena, lo, rest);
    b->box->hi[p] = poly_add(arena, hi, rest);
    return b->done[p] = true;
}

// An axis with one index is that index.
static void fix_single_axes(Boxing *b)
{
    Arena *arena = b->sym->arena;
    for (uint32_t i = 0; i < b->var_count; i++) {
        const Var *v = &b->vars[i];
        int64_t length;
        if (!fixed(b->sym, v->lo) || !fixed(b->sym, v->hi)) continue;
        if (!poly_is_const(poly_sub(arena, v->hi, v->lo), &length) || length != 1) continue;
        for (uint32_t k = 0; k < b->var_count; k++) {
            if (k == i) continue;
            b->vars[k].lo = poly_substitute(arena, b->vars[k].lo, v->atom, v->lo);
            b->vars[k].hi = poly_substitute(arena, b->vars[k].hi, v->atom, v->lo);
        }
        for (uint32_t p = 0; p < b->box->store->rank; p++)
            b->box->index[p] = poly_substitute(arena, b->box->index[p], v->atom, v->lo);
    }
}

// A range that ends at c ? hi : lo is whole where c holds and empty elsewhere: a phase under a
// condition.
static void conditions_of_ranges(Boxing *b)
{
    for (uint32_t i = 0; i < b->var_count; i++) {
        Var *v = &b->vars[i];
        AtomId atom;
        if (!v->around || !poly_is_atom(v->hi, &atom) ||
            b->sym->atoms.data[atom].kind != ATOM_SELECT)
            continue;
        AtomInfo x = b->sym->atoms.data[atom];
        bool truth = poly_equal(x.b, v->lo);
        if (x.env || (!truth && !poly_equal(x.a, v->lo))) continue;
        Poly fails = poly_offset(b->sym->arena, poly_scale(b->sym->arena, x.c, -1), -1);
        Literal l = {.p = truth ? x.c : fails, .v = {x.ref}, .truth = truth};
        if (x.ref) l.p = (Poly){0};
        add_literal(b->box, l);
        v->hi = truth ? x.a : x.b;
    }
}

static AxisSet literal_axes(const Sym *sym, const Box *box)
{
    AxisSet axes = 0;
    for (uint32_t i = 0; i < box->literal_count; i++) {
        AxisSet lanes, tiles;
        sym_depends(sym, box->literals[i].p, &lanes, &tiles);
        axes |= lanes;
    }
    return axes;
}

// The turns of a `repeat` around the store. One that is around `before` as well does not count on.
static void add_turns(Boxing *b)
{
    const Func *f = b->sym->f;
    InstId before = b->box->before, phase = inst_phase(f, b->box->store->inst);
    for (InstId r = repeat_of(f, phase); r.i; r = repeat_of(f, r)) {
        bool shared = false;
        for (InstId s = before.i ? repeat_of(f, before) : before; s.i; s = repeat_of(f, s))
            shared |= s.i == r.i;
        AtomId atom;
        Poly turn = sym_atom(b->sym, (AtomInfo){.kind = ATOM_ARG, .ref = inst_at(f, r)->attr.ref});
        if (shared || b->var_count == VARS_MAX || !poly_is_atom(turn, &atom)) continue;
        Poly count = sym_value(b->sym, inst_arg(f, inst_at(f, r), 0), NULL);
        b->vars[b->var_count++] = (Var){.atom = atom, .hi = count, .around = true, .turn = true};
    }
}

// Whether p may be another number in another turn.
static bool may_vary(const Sym *sym, Poly p, AtomId turn)
{
    if (p.bad || poly_has(p, turn)) return true;
    for (uint32_t i = 0; i < p.count; i++) {
        for (Mono m = p.terms[i].mono; m; m >>= 16) {
            AtomInfo x = sym->atoms.data[m & 0xffff];
            if (x.kind == ATOM_OPAQUE || (x.kind == ATOM_SELECT && x.ref)) return true;
            if (may_vary(sym, x.a, turn) || may_vary(sym, x.b, turn) || may_vary(sym, x.c, turn))
                return true;
            for (uint32_t k = 0; x.kind == ATOM_LOAD && k < x.index_count; k++)
                if (may_vary(sym, x.index[k], turn)) return true;
        }
    }
    return false;
}

// Where an index counts turns, conditions and the other positions must be the same in all of them.
static bool turns_apart(const Boxing *b)
{
    const Box *box = b->box;
    for (uint32_t i = 0; i < b->var_count; i++) {
        const Var *v = &b->vars[i];
        if (!v->turn || !v->used) continue;
        if (box->literal_count) return false;
        for (uint32_t p = 0; p < box->store->rank; p++)
            if (may_vary(b->sym, box->lo[p], v->atom) || may_vary(b->sym, box->hi[p], v->atom))
                return false;
    }
    return true;
}

static bool reads_data(const Sym *sym, Poly p)
{
    for (uint32_t i = 0; i < p.count; i++) {
        for (Mono m = p.terms[i].mono; m; m >>= 16) {
            AtomKind kind = sym->atoms.data[m & 0xffff].kind;
            if (kind == ATOM_LOAD || kind == ATOM_OPAQUE) return true;
        }
    }
    return false;
}

// The index, or the range of one of its axes, is loaded.
static bool through_data(Sym *sym, Poly p)
{
    for (uint32_t i = 0; i < p.count; i++) {
        for (Mono m = p.terms[i].mono; m; m >>= 16) {
            AtomInfo x = sym->atoms.data[m & 0xffff];
            Poly lo, hi;
            if (x.kind != ATOM_LANE) continue;
            sym_range(sym, (Axis){x.ref}, &lo, &hi);
            if (reads_data(sym, lo) || reads_data(sym, hi)) return true;
        }
    }
    return reads_data(sym, p);
}

void box_size(Sym *sym, Box *box)
{
    Boxing b = {.sym = sym, .box = box};
    const Func *f = sym->f;
    Axis around[64];
    uint32_t n = inst_axes(f, box->store->inst, around), rank = box->store->rank;
    if (box->why.length || rank > RANK_MAX) return;
    for (uint32_t i = 0; i < n; i++) add_axis(&b, around[i], true);
    AxisSet axes = box->store->axes | literal_axes(sym, box);
    for (uint32_t a = 1; a < f->axes.count; a++)
        if (axes >> a & 1) add_axis(&b, (Axis){a}, false);
    conditions_of_ranges(&b);
    if (box->why.length) return;
    merge_tiles(&b);
    add_turns(&b);
    narrow_all(&b, true);
    narrow_all(&b, false);
    fix_single_axes(&b);
    for (bool more = true; more;) {
        more = false;
        for (uint32_t p = 0; p < rank; p++) more |= !b.done[p] && take_remainder(&b, p);
    }
    for (uint32_t p = 0; p < rank; p++) {
        if (b.done[p] || take_rotation(&b, p) || grow(&b, p)) continue;
        box->why =
            str_format(sym->arena,
                       through_data(sym, box->index[p])
                           ? "index %u of this store depends on data that make no promise "
                             "(`partition`, `permutation`)"
                           : "which elements index %u of this store reaches is not understood",
                       p);
        return;
    }
    for (uint32_t i = 0; i < b.var_count; i++) {
        Var *v = &b.vars[i];
        if (!v->around || v->used) continue;
        if (fixed(sym, v->lo) && fixed(sym, v->hi) &&
            cover_nonneg(sym, poly_offset(sym->arena, poly_sub(sym->arena, v->hi, v->lo), -1)))
            continue;
        box->why = v->turn
                       ? STR("this store does not happen if no turn is made")
                       : str_format(sym->arena,
                                    "this store does not happen where the range of `%.*s` is empty",
                                    STR_ARG(check_axis_name(f, v->axis)));
        return;
    }
    box->sized = turns_apart(&b);
    if (box->sized) return;
    box->why = box->literal_count
                   ? STR("this store happens only under a condition")
                   : STR("which elements this store reaches in all turns is not understood");
}
