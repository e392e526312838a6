// Integer values of Tile IR as polynomials over interned atoms. Two values that are computed alike
// get the same polynomial; what is not understood becomes an opaque atom.
//
//     %7 = mul %c, %Q; %8 = add %7, %q      c*Q + q
//     %9 = div %8, %Q                       c        (0 <= q < Q)
//     %h = reduce.max[m] (m + 1) implicit   m' + 1   for a witness m', some lane of m
#include "ir/symbolic.h"

enum { DEPTH_MAX = 200 };

static Poly value_in(Sym *sym, Value v, const Env *env);

// ---- where instructions stand

InstId inst_owner(const Func *f, InstId id)
{
    return region_at(f, inst_at(f, id)->parent)->owner;
}

InstId inst_phase(const Func *f, InstId id)
{
    while (id.i && inst_at(f, id)->op != OP_PHASE) id = inst_owner(f, id);
    return id;
}

uint32_t inst_axes(const Func *f, InstId id, Axis out[64])
{
    uint32_t n = 0;
    for (InstId o = inst_owner(f, id); o.i; o = inst_owner(f, o)) {
        const Inst *in = inst_at(f, o);
        if ((in->op == OP_GRID || in->op == OP_LOOP) && n < 64) out[n++] = (Axis){in->attr.ref};
    }
    for (uint32_t i = 0; i < n / 2; i++) {
        Axis t = out[i];
        out[i] = out[n - 1 - i];
        out[n - 1 - i] = t;
    }
    return n;
}

AxisSet inst_axis_set(const Func *f, InstId id)
{
    Axis axes[64];
    AxisSet set = 0;
    uint32_t n = inst_axes(f, id, axes);
    for (uint32_t i = 0; i < n; i++) set |= axis_bit(axes[i]);
    return set;
}

// The instruction at whose place v is defined: for a region's argument the region's owner.
static InstId value_place(const Func *f, Value v)
{
    const ValueInfo *info = value_at(f, v);
    return info->def.i ? info->def : region_at(f, info->region)->owner;
}

// ---- atoms

static void add_sizes(Sym *sym, Mem m, bool scalar)
{
    const MemInfo *mem = mem_at(sym->f, m);
    if (!mem->decl.i || inst_at(sym->f, mem->decl)->op != OP_TENSOR) return;
    for (uint32_t k = 0; k < mem->rank; k++) {
        const Inst *in = value_def(sym->f, inst_arg(sym->f, inst_at(sym->f, mem->decl), k));
        if ((in && in->op == OP_ARG) != scalar) continue;
        Poly size = sym_size(sym, m, k);
        if (!sym_quick_nonneg(sym, size)) vec_push(sym->arena, &sym->sizes, size);
    }
}

Sym *sym_new(Arena *arena, const Func *f)
{
    Sym *sym = arena_new(arena, Sym);
    sym->arena = arena;
    sym->f = f;
    sym->memo = arena_array(arena, Poly, f->values.count);
    sym->memo_state = arena_array(arena, uint8_t, f->values.count);
    sym->refines = arena_array(arena, MemRefine, f->mems.count + 1);
    vec_push(arena, &sym->atoms, (AtomInfo){0});
    prover_init(&sym->scratch, arena);
    for_each_inst(f, f->body, id) {
        const Inst *in = inst_at(f, id);
        if (in->op == OP_REQUIRE) vec_push(arena, &sym->requires, inst_arg(f, in, 0));
        if (in->op != OP_REFINE) continue;
        bool range = in->attr.kind == REFINE_RANGE && in->arg_count == 2;
        sym->refines[in->attr.ref] =
            (MemRefine){.known = in->arg_count > 0,
                        .kind = (Refine)in->attr.kind,
                        .lo = range ? inst_arg(f, in, 0) : (Value){0},
                        .hi = in->arg_count ? inst_arg(f, in, range ? 1 : 0) : (Value){0}};
    }
    // Scalars first: that they are not negative helps to understand the others.
    for (int scalar = 1; scalar >= 0; scalar--)
        for (uint32_t m = 1; m < f->mems.count; m++) add_sizes(sym, (Mem){m}, scalar);
    return sym;
}

const Env *sym_env(Sym *sym, AxisSet axes, Value witness, const Env *outer)
{
    for (uint32_t i = 0; i < sym->envs.count; i++) {
        const Env *e = sym->envs.data[i];
        if (e->witness.i == witness.i && e->outer == outer && e->axes == axes) return e;
    }
    Env *env = arena_new(sym->arena, Env);
    *env = (Env){axes, witness, outer};
    vec_push(sym->arena, &sym->envs, env);
    return env;
}

static bool poly_same(Poly a, Poly b)
{
    return (a.bad && b.bad) || poly_equal(a, b);
}

static bool atom_same(const AtomInfo *x, const AtomInfo *y)
{
    if (x->kind != y->kind || x->ref != y->ref || x->origin != y->origin || x->env != y->env ||
        x->mask.i != y->mask.i || x->index_count != y->index_count || x->checked != y->checked)
        return false;
    if (!poly_same(x->a, y->a) || !poly_same(x->b, y->b) || !poly_same(x->c, y->c)) return false;
    for (uint32_t i = 0; i < x->index_count; i++)
        if (!poly_same(x->index[i], y->index[i])) return false;
    return true;
}

Poly sym_atom(Sym *sym, AtomInfo info)
{
    if (!info.low && !info.high) info.low = INT64_MIN, info.high = INT64_MAX;
    for (uint32_t i = sym->atoms.count; i-- > 1;)
        if (atom_same(&sym->atoms.data[i], &info)) return poly_atom(sym->arena, i);
    if (sym->atoms.count > POLY_ATOM_MAX) return poly_bad();
    vec_push(sym->arena, &sym->atoms, info);
    return poly_atom(sym->arena, sym->atoms.count - 1);
}

void sym_depends(const Sym *sym, Poly p, AxisSet *lanes, AxisSet *tiles)
{
    *lanes = *tiles = 0;
    for (uint32_t i = 0; i < p.count; i++) {
        for (Mono m = p.terms[i].mono; m; m >>= 16) {
            const AtomInfo *x = &sym->atoms.data[m & 0xffff];
            *lanes |= x->lanes;
            *tiles |= x->tiles;
        }
    }
}

void sym_depend_on(const Sym *sym, AtomInfo *info, Poly p)
{
    AxisSet lanes, tiles;
    sym_depends(sym, p, &lanes, &tiles);
    info->lanes |= lanes;
    info->tiles |= tiles;
}

// A value about whose computation nothing is known varies with its axes and with all tiles around
// it.
static void depend_on_value(const Sym *sym, AtomInfo *info, Value v, const Env *env)
{
    InstId place = value_place(sym->f, v);
    if (!place.i || !inst_phase(sym->f, place).i) return;
    AxisSet inner = env ? env->axes : 0;
    info->lanes |= value_axes(sym->f, v) & ~inner;
    info->tiles |= inst_axis_set(sym->f, place) | (value_axes(sym->f, v) & inner);
    if (!value_at(sym->f, v)->def.i) {
        const Inst *owner = inst_at(sym->f, place);
        if (owner->op == OP_LOOP) info->tiles |= axis_bit((Axis){owner->attr.ref});
    }
}

static Poly opaque(Sym *sym, Value v, const Env *env)
{
    while (env && !(value_axes(sym->f, v) & env->axes)) env = env->outer;
    AtomInfo info = {
        .kind = ATOM_OPAQUE, .ref = v.i, .env = env, .low = INT64_MIN, .high = INT64_MAX};
    depend_on_value(sym, &info, v, env);
    const Inst *in = value_def(sym->f, v);
    if (in && in->op == OP_LOAD_TILE) {
        DTypeInfo d = dtype_info[mem_at(sym->f, (Mem){in->attr.ref})->dtype];
        if (d.bits < 64 && d.class_ == DCLASS_UINT)
            info.low = 0, info.high = ((int64_t)1 << d.bits) - 1;
        if (d.bits < 64 && d.class_ == DCLASS_INT) {
            info.high = ((int64_t)1 << (d.bits - 1)) - 1;
            info.low = -info.high - 1;
        }
    }
    if (in && in->op == OP_CAST && value_dtype(sym->f, inst_arg(sym->f, in, 0)) == DTYPE_BOOL)
        info.low = 0, info.high = 1;
    return sym_atom(sym, info);
}

static Poly lane_in(Sym *sym, Axis a, const Env *env)
{
    while (env && !(env->axes & axis_bit(a))) env = env->outer;
    AtomInfo info = {.kind = ATOM_LANE, .ref = a.i, .env = env};
    if (env) {
        depend_on_value(sym, &info, env->witness, NULL);
        info.tiles |= axis_bit(a);
    } else {
        info.lanes = axis_bit(a);
    }
    return sym_atom(sym, info);
}

Poly sym_lane(Sym *sym, Axis a)
{
    return lane_in(sym, a, NULL);
}

Poly sym_size(Sym *sym, Mem m, uint32_t position)
{
    const MemInfo *info = mem_at(sym->f, m);
    const Inst *decl = inst_at(sym->f, info->decl);
    if (!info->decl.i || decl->op != OP_TENSOR || position >= decl->arg_count) return poly_bad();
    return value_in(sym, inst_arg(sym->f, decl, position), NULL);
}

void sym_range(Sym *sym, Axis a, Poly *lo, Poly *hi)
{
    const AxisInfo *info = axis_at(sym->f, a);
    *lo = *hi = poly_bad();
    if (!info->decl.i) return;
    const Inst *in = inst_at(sym->f, info->decl);
    if (in->arg_count < 2) return;
    *lo = value_in(sym, inst_arg(sym->f, in, 0), NULL);
    *hi = value_in(sym, inst_arg(sym->f, in, 1), NULL);
}

// ---- tiles

static Poly tile_atom(Sym *sym, AtomKind kind, Axis a)
{
    AtomInfo info = {.kind = kind, .ref = a.i, .low = 0, .high = INT64_MAX};
    if (kind == ATOM_ID || kind == ATOM_END) info.tiles = axis_bit(a);
    if (kind == ATOM_BLOCK) info.low = 1;
    if (kind == ATOM_END) info.low = INT64_MIN;
    if (kind == ATOM_COUNT) {
        Poly lo, hi;
        sym_range(sym, a, &lo, &hi);
        sym_depend_on(sym, &info, lo);
        sym_depend_on(sym, &info, hi);
    }
    return sym_atom(sym, info);
}

// What `by` says, else an unknown block.
static Poly tile_block(Sym *sym, Axis a)
{
    const AxisInfo *info = axis_at(sym->f, a);
    if (info->scalar) return poly_const(sym->arena, 1);
    const Inst *in = info->decl.i ? inst_at(sym->f, info->decl) : NULL;
    if (info->has_by && in && in->arg_count > 2)
        return value_in(sym, inst_arg(sym->f, in, 2), NULL);
    return tile_atom(sym, ATOM_BLOCK, a);
}

Poly sym_tile_id(Sym *sym, Axis a)
{
    return tile_atom(sym, ATOM_ID, a);
}

Poly sym_tile_begin(Sym *sym, Axis a)
{
    Poly lo, hi;
    sym_range(sym, a, &lo, &hi);
    return poly_add(sym->arena, lo, poly_mul(sym->arena, sym_tile_id(sym, a), tile_block(sym, a)));
}

Poly sym_tile_count(Sym *sym, Axis a)
{
    return tile_atom(sym, ATOM_COUNT, a);
}

static Poly tile_value(Sym *sym, const Inst *in)
{
    Axis a = {in->attr.ref};
    switch ((TileInfo)in->attr.kind) {
    case INFO_BEGIN: return sym_tile_begin(sym, a);
    case INFO_END: return tile_atom(sym, ATOM_END, a);
    case INFO_SIZE:
        return poly_sub(sym->arena, tile_atom(sym, ATOM_END, a), sym_tile_begin(sym, a));
    case INFO_ID: return sym_tile_id(sym, a);
    case INFO_BLOCK: return tile_block(sym, a);
    case INFO_COUNT: return tile_atom(sym, ATOM_COUNT, a);
    case INFO_KINDS: break;
    }
    return poly_bad();
}

// ---- arithmetic

// Whether p lies in the range of i32 by the constants that its atoms lie between.
static bool fits_i32(const Sym *sym, Poly p)
{
    double low = 0, high = 0; // an estimate with room to spare: the limits are far below 2^53
    for (uint32_t i = 0; i < p.count; i++) {
        double from = 1, to = 1;
        for (Mono m = p.terms[i].mono; m; m >>= 16) {
            const AtomInfo *x = &sym->atoms.data[m & 0xffff];
            double c[4] = {from * (double)x->low, from * (double)x->high, to * (double)x->low,
                           to * (double)x->high};
            from = to = c[0];
            for (unsigned k = 1; k < 4; k++) {
                if (c[k] < from) from = c[k];
                if (c[k] > to) to = c[k];
            }
        }
        double k = (double)p.terms[i].coeff;
        low += k > 0 ? k * from : k * to;
        high += k > 0 ? k * to : k * from;
    }
    return !p.bad && low >= -2147483648.0 && high <= 2147483647.0;
}

static Poly pure(Sym *sym, Value v, const Env *env, Poly a, Poly b)
{
    const Inst *in = value_def(sym->f, v);
    if (a.bad || b.bad) return opaque(sym, v, env);
    AtomInfo info = {
        .kind = ATOM_PURE, .ref = in->op, .a = a, .b = b, .low = INT64_MIN, .high = INT64_MAX};
    if (value_dtype(sym->f, v) == DTYPE_I32) info.low = INT32_MIN, info.high = INT32_MAX;
    sym_depend_on(sym, &info, a);
    sym_depend_on(sym, &info, b);
    return sym_atom(sym, info);
}

// Facts that hold where v is computed, for deciding the sign of divisors.
static void start_at(Query *q, Sym *sym, Value v)
{
    query_start(q, sym);
    const Inst *in = value_def(sym->f, v);
    if (in) query_scope(q, value_at(sym->f, v)->def);
    query_axes(q, value_axes(sym->f, v));
}

static bool nonneg_at(Sym *sym, Value v, Poly p)
{
    if (p.bad) return false;
    if (sym_quick_nonneg(sym, p)) return true;
    Query q;
    start_at(&q, sym, v);
    return query_nonneg(&q, p);
}

static Poly quotient_atom(Sym *sym, Poly a, Poly b)
{
    AtomInfo info = {.kind = ATOM_QUOTIENT, .a = a, .b = b, .low = INT64_MIN, .high = INT64_MAX};
    sym_depend_on(sym, &info, a);
    sym_depend_on(sym, &info, b);
    return sym_atom(sym, info);
}

// a = whole * b + rest, by the terms that b divides.
static void divide_terms(Arena *arena, Poly a, Poly b, Poly *whole, Poly *rest)
{
    *whole = *rest = (Poly){0};
    for (uint32_t i = 0; i < a.count; i++) {
        Mono m;
        Poly one = {.terms = &a.terms[i], .count = 1};
        Term *t = arena_new(arena, Term);
        bool divides = b.count == 1 && b.terms[0].coeff > 0 &&
                       mono_divide(a.terms[i].mono, b.terms[0].mono, &m) &&
                       a.terms[i].coeff % b.terms[0].coeff == 0;
        if (divides) *t = (Term){m, a.terms[i].coeff / b.terms[0].coeff};
        if (divides)
            *whole = poly_add(arena, *whole, (Poly){.terms = t, .count = 1});
        else
            *rest = poly_add(arena, *rest, one);
    }
}

Poly sym_exact_quotient(Sym *sym, Poly a, Poly b)
{
    Poly whole, rest;
    if (a.bad || b.bad) return poly_bad();
    divide_terms(sym->arena, a, b, &whole, &rest);
    return rest.count ? poly_bad() : whole;
}

// a / b for b >= 1. Multiples of b are taken out where the remainder is known not to be negative.
static Poly quotient(Sym *sym, Value v, Poly a, Poly b)
{
    Arena *arena = sym->arena;
    int64_t d;
    AtomId atom;
    if (poly_is_const(b, &d) && d == 1) return a;
    Poly whole, rest;
    divide_terms(arena, a, b, &whole, &rest);
    if (b.count == 1 && whole.count && !rest.count) return whole;
    if (whole.count && nonneg_at(sym, v, rest) && nonneg_at(sym, v, a))
        return poly_add(arena, whole, quotient(sym, v, rest, b));
    if (nonneg_at(sym, v, a)) {
        if (nonneg_at(sym, v, poly_offset(arena, poly_sub(arena, b, a), -1))) return (Poly){0};
        if (poly_is_atom(a, &atom) && sym->atoms.data[atom].kind == ATOM_QUOTIENT &&
            sym_quick_nonneg(sym, sym->atoms.data[atom].a))
            return quotient(sym, v, sym->atoms.data[atom].a,
                            poly_mul(arena, sym->atoms.data[atom].b, b));
    }
    return quotient_atom(sym, a, b);
}

static Poly divided(Sym *sym, Value v, const Env *env, Poly a, Poly b, bool remainder)
{
    int64_t x, y;
    if (a.bad || b.bad) return opaque(sym, v, env);
    if (poly_is_const(a, &x) && poly_is_const(b, &y) && y > 0)
        return poly_const(sym->arena, remainder ? x % y : x / y);
    if (!nonneg_at(sym, v, poly_offset(sym->arena, b, -1)))
        return remainder ? pure(sym, v, env, a, b) : quotient_atom(sym, a, b);
    Poly q = quotient(sym, v, a, b);
    if (q.bad) return opaque(sym, v, env);
    return remainder ? poly_sub(sym->arena, a, poly_mul(sym->arena, b, q)) : q;
}

// Shifts and masks by constants, as multiplication and floor division by powers of two.
static Poly bitwise(Sym *sym, Value v, const Env *env, Op op, Poly a, Poly b)
{
    int64_t c;
    bool constant = poly_is_const(b, &c);
    if (op == OP_SHL && constant && c >= 0 && c < 62)
        return poly_scale(sym->arena, a, (int64_t)1 << c);
    bool shift = op == OP_SHR && constant && c >= 0 && c < 62;
    bool mask = op == OP_AND && constant && c >= 0 && c < INT64_MAX && (c & (c + 1)) == 0;
    if ((!shift && !mask) || !nonneg_at(sym, v, a)) return pure(sym, v, env, a, b);
    return divided(sym, v, env, a, poly_const(sym->arena, mask ? c + 1 : (int64_t)1 << c), mask);
}

static Poly extremum(Sym *sym, AtomKind kind, Poly a, Poly b)
{
    if (a.bad || b.bad) return poly_bad();
    Poly d = poly_sub(sym->arena, b, a);
    if (sym_quick_nonneg(sym, d)) return kind == ATOM_MIN ? a : b;
    if (sym_quick_nonneg(sym, poly_scale(sym->arena, d, -1))) return kind == ATOM_MIN ? b : a;
    bool swap =
        a.count > b.count || (a.count == b.count && a.count && a.terms[0].mono > b.terms[0].mono);
    AtomInfo info = {
        .kind = kind, .a = swap ? b : a, .b = swap ? a : b, .low = INT64_MIN, .high = INT64_MAX};
    sym_depend_on(sym, &info, a);
    sym_depend_on(sym, &info, b);
    return sym_atom(sym, info);
}

Poly sym_min(Sym *sym, Poly a, Poly b)
{
    return extremum(sym, ATOM_MIN, a, b);
}

Poly sym_max(Sym *sym, Poly a, Poly b)
{
    return extremum(sym, ATOM_MAX, a, b);
}

// Whether a condition is known to hold where v is computed: comparisons joined by `and`.
static bool always(Sym *sym, Value v, Value condition, const Env *env, unsigned depth)
{
    const Inst *in = value_def(sym->f, condition);
    if (!in || depth == 0) return false;
    if (in->op == OP_AND)
        return always(sym, v, inst_arg(sym->f, in, 0), env, depth - 1) &&
               always(sym, v, inst_arg(sym->f, in, 1), env, depth - 1);
    if ((in->op != OP_LT && in->op != OP_LE)) return false;
    Poly a = value_in(sym, inst_arg(sym->f, in, 0), env),
         b = value_in(sym, inst_arg(sym->f, in, 1), env);
    return nonneg_at(sym, v,
                     poly_offset(sym->arena, poly_sub(sym->arena, b, a), in->op == OP_LT ? -1 : 0));
}

// c >= 0 for a condition that is one comparison of integers; else bad.
static Poly condition_poly(Sym *sym, Value condition, const Env *env)
{
    const Inst *in = value_def(sym->f, condition);
    bool flip = in && in->op == OP_NOT;
    if (flip) in = value_def(sym->f, inst_arg(sym->f, in, 0));
    if (!in || (in->op != OP_LT && in->op != OP_LE)) return poly_bad();
    Poly a = value_in(sym, inst_arg(sym->f, in, 0), env),
         b = value_in(sym, inst_arg(sym->f, in, 1), env);
    Poly c = poly_offset(sym->arena, poly_sub(sym->arena, b, a), in->op == OP_LT ? -1 : 0);
    return flip ? poly_offset(sym->arena, poly_scale(sym->arena, c, -1), -1) : c;
}

// a % b > 0 ? 1 : 0 is the quotient rounded up less the one rounded down; bad if it is something
// else.
static Poly round_up(Sym *sym, Poly c, Poly a, Poly b)
{
    int64_t one;
    if (!poly_is_const(a, &one) || one != 1 || b.count || c.bad) return poly_bad();
    for (uint32_t i = 0; i < c.count; i++) {
        for (Mono m = c.terms[i].mono; m; m >>= 16) {
            AtomInfo x = sym->atoms.data[m & 0xffff];
            if (x.kind != ATOM_QUOTIENT || !sym_quick_nonneg(sym, x.a)) continue;
            Poly q = poly_atom(sym->arena, (AtomId)(m & 0xffff));
            Poly rest = poly_sub(sym->arena, x.a, poly_mul(sym->arena, q, x.b));
            if (!poly_equal(poly_offset(sym->arena, rest, -1), c)) continue;
            Poly up = poly_offset(sym->arena, poly_add(sym->arena, x.a, x.b), -1);
            return poly_sub(sym->arena, quotient_atom(sym, up, x.b), q);
        }
    }
    return poly_bad();
}

static Poly selected(Sym *sym, Value v, const Env *env, Value condition, Poly a, Poly b)
{
    if (a.bad || b.bad) return opaque(sym, v, env);
    if (poly_equal(a, b)) return a;
    uint64_t bits;
    if (value_const(sym->f, condition, &bits)) return bits ? a : b;
    if (!env && always(sym, v, condition, env, 16)) return a;
    while (env && !(value_axes(sym->f, condition) & env->axes)) env = env->outer;
    AtomInfo info = {.kind = ATOM_SELECT,
                     .ref = condition.i,
                     .a = a,
                     .b = b,
                     .env = env,
                     .low = INT64_MIN,
                     .high = INT64_MAX};
    sym_depend_on(sym, &info, a);
    sym_depend_on(sym, &info, b);
    Poly c = condition_poly(sym, condition, env), up = round_up(sym, c, a, b);
    if (!up.bad) return up;
    if (c.bad) {
        depend_on_value(sym, &info, condition, env);
    } else {
        info.c = c;
        info.ref = 0;
        info.env = NULL;
        sym_depend_on(sym, &info, c);
    }
    return sym_atom(sym, info);
}

// ---- memory and reductions

static Poly loaded(Sym *sym, Value v, const Inst *in, const Env *env)
{
    const MemInfo *mem = mem_at(sym->f, (Mem){in->attr.ref});
    uint32_t n = inst_plain_args(in);
    // A workspace of which something is promised is written once, before all that reads it.
    bool settled = mem->kind == MEM_WORKSPACE && sym->refines[in->attr.ref].known;
    if (mem->kind != MEM_IN && !settled) return opaque(sym, v, env);
    Value mask = inst_mask(sym->f, in);
    AtomInfo info = {.kind = ATOM_LOAD,
                     .ref = in->attr.ref,
                     .index_count = n,
                     .mask = mask,
                     .checked = in->attr.bits != 0,
                     .low = INT64_MIN,
                     .high = INT64_MAX};
    Poly *index = arena_array(sym->arena, Poly, n ? n : 1);
    for (uint32_t k = 0; k < n; k++) {
        index[k] = value_in(sym, inst_arg(sym->f, in, k), env);
        if (index[k].bad) return opaque(sym, v, env);
        sym_depend_on(sym, &info, index[k]);
    }
    info.index = index;
    if (mask.i) {
        info.env = env;
        depend_on_value(sym, &info, mask, env);
    }
    DTypeInfo d = dtype_info[mem->dtype];
    if (d.class_ == DCLASS_UINT && d.bits < 64)
        info.low = 0, info.high = ((int64_t)1 << d.bits) - 1;
    if (d.class_ == DCLASS_INT && d.bits < 64) {
        info.high = ((int64_t)1 << (d.bits - 1)) - 1;
        info.low = -info.high - 1;
    }
    return sym_atom(sym, info);
}

// The extreme of a value over the lanes of a tile is its value in some lane. Only of what the
// compiler made: a user's reduction may be over nothing, and then has no witness.
static Poly reduced(Sym *sym, Value v, const Inst *in, const Env *env)
{
    bool extreme = in->attr.kind == REDUCE_MAX || in->attr.kind == REDUCE_MIN;
    if (!extreme || !(in->flags & INST_IMPLICIT)) return opaque(sym, v, env);
    while (env && !(value_axes(sym->f, v) & env->axes)) env = env->outer;
    return value_in(sym, inst_arg(sym->f, in, 0), sym_env(sym, in->attr.bits, v, env));
}

// An index that a sort or a search gives lies in the range of the axis: it is itself, clamped to
// that. What topk lacks is -1.
static Poly placed(Sym *sym, Value v, const Inst *in, const Env *env)
{
    Poly p = opaque(sym, v, env), lo, hi;
    bool search = in->op == OP_SEARCH;
    if (!search && value_at(sym->f, v)->index == 0) return p; // what is sorted
    Axis a = {search ? in->attr.ref : (uint32_t)__builtin_ctzll(in->attr.bits)};
    int64_t zero;
    sym_range(sym, a, &lo, &hi);
    if (lo.bad || hi.bad || !poly_is_const(lo, &zero) || zero != 0) return p;
    bool lacks = !search && in->attr.ref != a.i;
    Poly least = poly_const(sym->arena, lacks ? -1 : 0);
    Poly most = search ? hi : poly_offset(sym->arena, hi, -1);
    return sym_min(sym, sym_max(sym, p, least), sym_max(sym, most, least));
}

static bool is_placed(const Sym *sym, Value v)
{
    const Inst *in = value_def(sym->f, v);
    return in && (in->op == OP_SORT || in->op == OP_SEARCH);
}

// ---- wrapping

enum { TAME_COEFF = 1 << 20 };

static bool atom_tame(Sym *sym, AtomId id)
{
    AtomInfo x = sym->atoms.data[id];
    if (x.tame) return x.tame == 1;
    sym->atoms.data[id].tame = 2; // while it is being found out
    bool yes = x.low > -((int64_t)1 << 33) && x.high < (int64_t)1 << 33;
    Poly lo, hi;
    switch (x.kind) {
    case ATOM_DIM:
    case ATOM_BLOCK: yes = true; break;
    case ATOM_ARG:
        yes = true;
        sym->atoms.data[id].computed_with = true;
        break;
    case ATOM_LANE:
    case ATOM_ID:
    case ATOM_END:
    case ATOM_COUNT:
        sym_range(sym, (Axis){x.ref}, &lo, &hi);
        yes = sym_tame(sym, lo) && sym_tame(sym, hi);
        break;
    case ATOM_QUOTIENT: yes = sym_tame(sym, x.a); break;
    case ATOM_MIN:
    case ATOM_MAX:
    case ATOM_SELECT: yes = sym_tame(sym, x.a) && sym_tame(sym, x.b); break;
    case ATOM_LOAD: yes = yes || sym->refines[x.ref].known; break;
    case ATOM_OPAQUE: yes = yes || is_placed(sym, (Value){x.ref}); break;
    case ATOM_PURE: break;
    }
    sym->atoms.data[id].tame = yes ? 1 : 2;
    return yes;
}

bool sym_tame(Sym *sym, Poly p)
{
    for (uint32_t i = 0; i < p.count; i++) {
        bool small = p.terms[i].coeff <= TAME_COEFF && p.terms[i].coeff >= -TAME_COEFF;
        if (p.terms[i].mono && !small) return false;
        for (Mono m = p.terms[i].mono; m; m >>= 16)
            if (!atom_tame(sym, (AtomId)(m & 0xffff))) return false;
    }
    return !p.bad;
}

// ---- values

static Poly arithmetic(Sym *sym, Value v, const Inst *in, const Env *env)
{
    Arena *arena = sym->arena;
    Poly a = value_in(sym, inst_arg(sym->f, in, 0), env);
    Poly b = in->arg_count > 1 ? value_in(sym, inst_arg(sym->f, in, 1), env) : (Poly){0};
    Op op = (Op)in->op;
    Poly p = poly_bad();
    if (op == OP_ADD)
        p = poly_add(arena, a, b);
    else if (op == OP_SUB)
        p = poly_sub(arena, a, b);
    else if (op == OP_MUL)
        p = poly_mul(arena, a, b);
    else if (op == OP_NEG)
        p = poly_scale(arena, a, -1);
    else if (op == OP_DIV || op == OP_REM)
        p = divided(sym, v, env, a, b, op == OP_REM);
    else if (op == OP_MIN || op == OP_MAX)
        p = extremum(sym, op == OP_MIN ? ATOM_MIN : ATOM_MAX, a, b);
    else if (op == OP_SHL || op == OP_SHR || op == OP_AND)
        p = bitwise(sym, v, env, op, a, b);
    else
        return pure(sym, v, env, a, b);
    // Arithmetic of i32 may wrap; only what provably does not is arithmetic of integers.
    if (value_dtype(sym->f, v) == DTYPE_I32 && op != OP_MIN && op != OP_MAX && !fits_i32(sym, p))
        return pure(sym, v, env, a, b);
    bool wraps = op == OP_ADD || op == OP_SUB || op == OP_MUL || op == OP_NEG || op == OP_SHL;
    int64_t c;
    if (wraps && !poly_is_const(p, &c) &&
        !(sym_tame(sym, a) && sym_tame(sym, b) && sym_tame(sym, p)))
        return pure(sym, v, env, a, b);
    return p.bad ? opaque(sym, v, env) : p;
}

static Poly defined(Sym *sym, Value v, const Inst *in, const Env *env)
{
    const Func *f = sym->f;
    Op op = (Op)in->op;
    if (op == OP_CONST) {
        int64_t c = 0;
        return value_const_int(f, v, &c) ? poly_const(sym->arena, c) : opaque(sym, v, env);
    }
    if (op == OP_DIM)
        return sym_atom(
            sym, (AtomInfo){.kind = ATOM_DIM, .ref = in->attr.ref, .low = 0, .high = INT64_MAX});
    if (op == OP_ARG && in->arg_count <= 1)
        return sym_atom(sym, (AtomInfo){.kind = ATOM_ARG, .ref = in->attr.ref});
    if (op == OP_EXTENT) return sym_size(sym, (Mem){in->attr.ref}, (uint32_t)in->attr.bits);
    if (op == OP_INDEX) return lane_in(sym, (Axis){in->attr.ref}, env);
    if (op == OP_TILEINFO) return tile_value(sym, in);
    if (op == OP_LOAD_TILE) return loaded(sym, v, in, env);
    if (op == OP_REDUCE) return reduced(sym, v, in, env);
    if (op == OP_SORT || op == OP_SEARCH) return placed(sym, v, in, env);
    if (op == OP_SELECT)
        return selected(sym, v, env, inst_arg(f, in, 0), value_in(sym, inst_arg(f, in, 1), env),
                        value_in(sym, inst_arg(f, in, 2), env));
    if (op == OP_CAST) {
        DType from = value_dtype(f, inst_arg(f, in, 0)), to = value_dtype(f, v);
        if (!dtype_is_int(from)) return opaque(sym, v, env);
        Poly p = value_in(sym, inst_arg(f, in, 0), env);
        return to == DTYPE_I32 && from != DTYPE_I32 && !fits_i32(sym, p)
                   ? pure(sym, v, env, p, (Poly){0})
                   : p;
    }
    if ((op_info[op].traits & TRAIT_PURE) && op >= OP_ADD && op <= OP_CLZ && in->arg_count <= 2 &&
        dtype_is_int(value_dtype(f, inst_arg(f, in, 0))))
        return arithmetic(sym, v, in, env);
    return opaque(sym, v, env);
}

static Poly value_in(Sym *sym, Value v, const Env *env)
{
    if (!v.i || !dtype_is_int(value_dtype(sym->f, v))) return poly_bad();
    while (env && !(value_axes(sym->f, v) & env->axes)) env = env->outer;
    if (!env && sym->memo_state[v.i] == 1) return sym->memo[v.i];
    const Inst *in = value_def(sym->f, v);
    // What holds around a value may mention the value itself, which is then opaque there.
    if (!in || sym->depth >= DEPTH_MAX || sym->memo_state[v.i] == 2) return opaque(sym, v, env);
    uint8_t state = sym->memo_state[v.i];
    sym->memo_state[v.i] = 2;
    sym->depth++;
    Poly p = defined(sym, v, in, env);
    sym->depth--;
    if (p.bad) p = opaque(sym, v, env);
    sym->memo_state[v.i] = env ? state : 1;
    if (!env) sym->memo[v.i] = p;
    return p;
}

Poly sym_value(Sym *sym, Value v, const Env *env)
{
    return value_in(sym, v, env);
}
