// What is known of atoms and conditions, and queries: the facts at an instruction, closed over all
// atoms that occur in them, are put before the prover.
#include "ir/symbolic.h"

enum { QUICK_DEPTH = 12, SEEN_MAX = 160, CONSTANT_MAX = 1 << 20 };

// ---- signs at a glance

static bool quick(Sym *sym, Poly p, unsigned depth);

static bool atom_sign(Sym *sym, AtomId id, unsigned depth)
{
    AtomInfo x = sym->atoms.data[id];
    if (x.sign) return x.sign == 1;
    if (x.low >= 0) return true;
    if (depth == 0) return false;
    sym->atoms.data[id].sign = 2; // while it is being found out
    bool yes = false;
    Poly lo, hi;
    switch (x.kind) {
    case ATOM_LANE:
        sym_range(sym, (Axis){x.ref}, &lo, &hi);
        yes = quick(sym, lo, depth - 1);
        break;
    case ATOM_QUOTIENT: yes = quick(sym, x.a, depth - 1); break;
    case ATOM_MIN:
    case ATOM_SELECT: yes = quick(sym, x.a, depth - 1) && quick(sym, x.b, depth - 1); break;
    case ATOM_MAX: yes = quick(sym, x.a, depth - 1) || quick(sym, x.b, depth - 1); break;
    case ATOM_LOAD: {
        const MemRefine *r = &sym->refines[x.ref];
        yes = r->known &&
              (r->kind != REFINE_RANGE || quick(sym, sym_value(sym, r->lo, NULL), depth - 1));
        break;
    }
    case ATOM_DIM:
    case ATOM_ARG:
    case ATOM_ID:
    case ATOM_BLOCK:
    case ATOM_END:
    case ATOM_COUNT:
    case ATOM_PURE:
    case ATOM_OPAQUE: break;
    }
    // A "no" may be due to the limit of depth, so it is not kept.
    sym->atoms.data[id].sign = yes ? 1 : 0;
    return yes;
}

static bool signs_nonneg(Sym *sym, Poly p, int64_t sign, unsigned depth)
{
    for (uint32_t i = 0; i < p.count; i++) {
        if ((p.terms[i].coeff > 0) != (sign > 0)) return false;
        for (Mono m = p.terms[i].mono; m; m >>= 16)
            if (!atom_sign(sym, (AtomId)(m & 0xffff), depth)) return false;
    }
    return !p.bad;
}

// Whether the range of another lane in p mentions `id`, so that it must be replaced first.
static bool bounds_others(Sym *sym, Poly p, AtomId id)
{
    for (uint32_t i = 0; i < p.count; i++) {
        for (Mono m = p.terms[i].mono; m; m >>= 16) {
            AtomInfo x = sym->atoms.data[m & 0xffff];
            Poly lo, hi;
            if (x.kind != ATOM_LANE || (m & 0xffff) == id || x.origin) continue;
            sym_range(sym, (Axis){x.ref}, &lo, &hi);
            if (poly_has(lo, id) || poly_has(hi, id)) return true;
        }
    }
    return false;
}

// Replaces lanes by the ends of their ranges where the sign of their factor says which one.
static bool quick(Sym *sym, Poly p, unsigned depth)
{
    if (p.bad) return false;
    if (signs_nonneg(sym, p, 1, depth)) return true;
    if (depth == 0) return false;
    for (uint32_t i = 0; i < p.count; i++) {
        for (Mono m = p.terms[i].mono; m; m >>= 16) {
            AtomId id = (AtomId)(m & 0xffff);
            AtomInfo x = sym->atoms.data[id];
            Poly factor, rest, lo, hi;
            if (x.kind != ATOM_LANE || bounds_others(sym, p, id)) continue;
            if (!poly_split(sym->arena, p, id, &factor, &rest)) continue;
            bool up = signs_nonneg(sym, factor, 1, depth - 1);
            if (!up && !signs_nonneg(sym, factor, -1, depth - 1)) continue;
            sym_range(sym, (Axis){x.ref}, &lo, &hi);
            if (x.origin) lo = sym_copy(sym, lo), hi = sym_copy(sym, hi);
            Poly end = up ? lo : poly_offset(sym->arena, hi, -1);
            return quick(sym, poly_add(sym->arena, rest, poly_mul(sym->arena, factor, end)),
                         depth - 1);
        }
    }
    return false;
}

bool sym_quick_nonneg(Sym *sym, Poly p)
{
    return quick(sym, p, QUICK_DEPTH);
}

// ---- queries

void query_start(Query *query, Sym *sym)
{
    *query = (Query){.sym = sym};
    query->prover = (Prover){.arena = sym->arena, .work = sym->scratch.work};
}

static Poly renamed(Query *q, Poly p)
{
    return q->renaming ? sym_copy(q->sym, p) : p;
}

void query_fact(Query *query, Poly p)
{
    prover_fact(&query->prover, renamed(query, p));
}

void query_equal(Query *query, Poly p)
{
    prover_equal(&query->prover, renamed(query, p));
}

static Poly minus(Query *q, Poly a, Poly b)
{
    return poly_sub(q->sym->arena, a, b);
}

static Poly plus(Query *q, Poly a, int64_t c)
{
    return poly_offset(q->sym->arena, a, c);
}

static void split_add(Split *split, uint32_t branch, Poly p)
{
    if (!p.bad && split->counts[branch] < SPLIT_FACTS)
        split->facts[branch][split->counts[branch]++] = p;
}

static void query_split(Query *q, Split split)
{
    for (uint32_t b = 0; b < split.branch_count; b++)
        for (uint32_t k = 0; k < split.counts[b]; k++)
            split.facts[b][k] = renamed(q, split.facts[b][k]);
    vec_push(q->sym->arena, &q->prover.splits, split);
}

// ---- conditions

// a < b, a <= b, a == b or its negation as facts; the number of facts, 0 if there are none (a !=
// b).
static uint32_t comparison(Query *q, Op op, bool truth, Poly a, Poly b, Poly out[2])
{
    if (a.bad || b.bad) return 0;
    Poly d = minus(q, b, a);
    Poly back = poly_scale(q->sym->arena, d, -1);
    if (op == OP_LT) out[0] = truth ? plus(q, d, -1) : back;
    if (op == OP_LE) out[0] = truth ? d : plus(q, back, -1);
    if (op == OP_LT || op == OP_LE) return 1;
    if ((op == OP_EQ) != truth) return 0;
    out[0] = d;
    out[1] = back;
    return 2;
}

static bool is_comparison(Op op)
{
    return op == OP_LT || op == OP_LE || op == OP_EQ || op == OP_NE;
}

// c ? b : false is a conjunction, c ? true : b a disjunction: `both` gets the two parts.
static bool lazy_parts(const Func *f, const Inst *in, bool truth, Value both[2])
{
    uint64_t bits;
    Value c = inst_arg(f, in, 0), a = inst_arg(f, in, 1), b = inst_arg(f, in, 2);
    both[0] = c;
    both[1] = truth ? a : b;
    return value_const(f, truth ? b : a, &bits) && bits == !truth;
}

// The conjuncts of a condition that are facts, without splits; at most SPLIT_FACTS.
static void conjuncts(Query *q, Value v, bool truth, const Env *env, Split *split, uint32_t branch,
                      unsigned depth)
{
    const Func *f = q->sym->f;
    const Inst *in = value_def(f, v);
    if (!in || depth == 0) return;
    Op op = (Op)in->op;
    Value both[2];
    if (op == OP_NOT) conjuncts(q, inst_arg(f, in, 0), !truth, env, split, branch, depth - 1);
    if (op == (truth ? OP_AND : OP_OR)) {
        for (unsigned k = 0; k < 2; k++)
            conjuncts(q, inst_arg(f, in, k), truth, env, split, branch, depth - 1);
    }
    if (op == OP_SELECT && lazy_parts(f, in, truth, both)) {
        for (unsigned k = 0; k < 2; k++)
            conjuncts(q, both[k], truth, env, split, branch, depth - 1);
    }
    if (!is_comparison(op)) return;
    Poly out[2];
    uint32_t n = comparison(q, op, truth, sym_value(q->sym, inst_arg(f, in, 0), env),
                            sym_value(q->sym, inst_arg(f, in, 1), env), out);
    for (uint32_t k = 0; k < n; k++) split_add(split, branch, out[k]);
}

static void assume_comparison(Query *q, const Inst *in, bool truth, const Env *env)
{
    const Func *f = q->sym->f;
    Poly a = sym_value(q->sym, inst_arg(f, in, 0), env),
         b = sym_value(q->sym, inst_arg(f, in, 1), env);
    Poly out[2];
    if (a.bad || b.bad) return;
    uint32_t n = comparison(q, (Op)in->op, truth, a, b, out);
    if (n == 2) query_equal(q, out[0]);
    if (n == 1) query_fact(q, out[0]);
    if (n) return;
    Split split = {.branch_count = 2};
    split_add(&split, 0, plus(q, minus(q, a, b), -1));
    split_add(&split, 1, plus(q, minus(q, b, a), -1));
    query_split(q, split);
}

static void assume_either(Query *q, const Value parts[2], bool truth, const Env *env)
{
    Split split = {.branch_count = 2};
    for (uint32_t k = 0; k < 2; k++) conjuncts(q, parts[k], truth, env, &split, k, 16);
    if (split.counts[0] && split.counts[1]) query_split(q, split);
}

static void assume(Query *q, Value v, bool truth, const Env *env, unsigned depth)
{
    const Func *f = q->sym->f;
    const Inst *in = value_def(f, v);
    if (!in || depth == 0) return;
    Op op = (Op)in->op;
    uint64_t bits;
    Value both[2];
    if (value_const(f, v, &bits) && (bits != 0) != truth)
        query_fact(q, poly_const(q->sym->arena, -1));
    if (op == OP_NOT) assume(q, inst_arg(f, in, 0), !truth, env, depth - 1);
    if (op == OP_AND || op == OP_OR) {
        Value parts[2] = {inst_arg(f, in, 0), inst_arg(f, in, 1)};
        for (unsigned k = 0; k < 2 && (op == OP_AND) == truth; k++)
            assume(q, parts[k], truth, env, depth - 1);
        if ((op == OP_AND) != truth) assume_either(q, parts, truth, env);
    }
    if (op == OP_SELECT && lazy_parts(f, in, truth, both)) {
        for (unsigned k = 0; k < 2; k++) assume(q, both[k], truth, env, depth - 1);
    } else if (op == OP_SELECT && lazy_parts(f, in, !truth, both)) {
        assume_either(q, both, truth, env);
    }
    if (op == OP_REDUCE && in->attr.kind == REDUCE_ANY && truth) {
        const Env *some = sym_env(q->sym, in->attr.bits, v, env);
        assume(q, inst_arg(f, in, 0), true, some, depth - 1);
        if (inst_mask(f, in).i) assume(q, inst_mask(f, in), true, some, depth - 1);
    }
    if (is_comparison(op)) assume_comparison(q, in, truth, env);
}

void query_assume(Query *query, Value condition, bool truth, const Env *env)
{
    if (condition.i) assume(query, condition, truth, env, 64);
}

// ---- what is known of an atom

static bool see(Query *q, AtomId id)
{
    for (uint32_t i = 0; i < q->seen.count; i++)
        if (q->seen.data[i] == id) return false;
    if (q->seen.count >= SEEN_MAX) return false;
    vec_push(q->sym->arena, &q->seen, id);
    return true;
}

// The factor of the tile's number in its begin.
static Poly tile_step(Query *q, Axis a)
{
    Poly factor, rest;
    AtomId id = 0;
    if (!poly_is_atom(sym_tile_id(q->sym, a), &id)) return poly_bad();
    return poly_split(q->sym->arena, sym_tile_begin(q->sym, a), id, &factor, &rest) ? factor
                                                                                    : poly_bad();
}

// begin <= lane < begin + block for begin = lo + id * block.
static void inside_tile(Query *q, Poly lane, Axis a)
{
    Poly from = minus(q, lane, sym_tile_begin(q->sym, a));
    query_fact(q, from);
    query_fact(q, plus(q, minus(q, tile_step(q, a), from), -1));
}

static void lane_facts(Query *q, Poly x, AtomInfo info)
{
    Axis a = {info.ref};
    Poly lo, hi;
    sym_range(q->sym, a, &lo, &hi);
    query_fact(q, minus(q, x, lo));
    query_fact(q, plus(q, minus(q, hi, x), -1));
    if (info.env && q->witness_tiles && axis_at(q->sym->f, a)->kind != AXIS_WHOLE)
        inside_tile(q, x, a);
}

static void tile_facts(Query *q, Poly x, AtomInfo info)
{
    Axis a = {info.ref};
    Sym *sym = q->sym;
    Poly lo, hi, step = tile_step(q, a);
    sym_range(sym, a, &lo, &hi);
    if (info.kind == ATOM_ID) {
        query_fact(q, x);
        inside_tile(q, sym_lane(sym, a), a);
    }
    if (info.kind == ATOM_END) {
        query_fact(q, plus(q, minus(q, x, sym_lane(sym, a)), -1));
        query_fact(q, minus(q, hi, x));
        query_fact(q, minus(q, poly_add(sym->arena, sym_tile_begin(sym, a), step), x));
    }
    if (info.kind == ATOM_COUNT) {
        query_fact(q, x);
        query_fact(q, minus(q, poly_mul(sym->arena, x, step), minus(q, hi, lo)));
    }
    query_fact(q, plus(q, step, -1));
}

static void quotient_facts(Query *q, Poly x, AtomInfo info)
{
    Arena *arena = q->sym->arena;
    x = renamed(q, x);
    Poly a = renamed(q, info.a), b = renamed(q, info.b);
    Poly rest = minus(q, a, poly_mul(arena, x, b)), back = poly_scale(arena, rest, -1);
    Poly top = plus(q, b, -1);
    Split split = {.branch_count = 3, .counts = {5, 5, 1}};
    Poly up[5] = {a, top, rest, minus(q, top, rest), x};
    Poly down[5] = {poly_scale(arena, a, -1), top, back, minus(q, top, back),
                    poly_scale(arena, x, -1)};
    memcpy(split.facts[0], up, sizeof up);
    memcpy(split.facts[1], down, sizeof down);
    split.facts[2][0] = poly_scale(arena, b, -1);
    if (!sym_quick_nonneg(q->sym, info.a)) {
        vec_push(arena, &q->prover.splits, split);
    } else if (sym_quick_nonneg(q->sym, plus(q, info.b, -1))) {
        for (unsigned k = 2; k < 5; k++) prover_fact(&q->prover, up[k]);
    } else {
        Implication rule = {top, 3, {rest, up[3], x}};
        vec_push(arena, &q->prover.implications, rule);
    }
}

static void extremum_facts(Query *q, Poly x, AtomInfo info)
{
    Split split = {.branch_count = 2};
    Poly parts[2] = {info.a, info.b};
    for (uint32_t k = 0; k < 2; k++) {
        Poly under = minus(q, parts[k], x);
        Poly over = poly_scale(q->sym->arena, under, -1);
        query_fact(q, info.kind == ATOM_MIN ? under : over);
        split_add(&split, k, info.kind == ATOM_MIN ? over : under);
    }
    query_split(q, split);
}

static void select_facts(Query *q, Poly x, AtomInfo info)
{
    Split split = {.branch_count = 2};
    Poly parts[2] = {info.a, info.b};
    for (uint32_t k = 0; k < 2; k++) {
        split_add(&split, k, minus(q, x, parts[k]));
        split_add(&split, k, minus(q, parts[k], x));
        if (info.ref)
            conjuncts(q, (Value){info.ref}, k == 0, info.env, &split, k, 16);
        else
            split_add(&split, k, k ? plus(q, poly_scale(q->sym->arena, info.c, -1), -1) : info.c);
    }
    query_split(q, split);
}

// The promise on a loaded element. Where the load is masked or may have trapped it is 0 instead.
static void load_facts(Query *q, Poly x, AtomInfo info)
{
    Sym *sym = q->sym;
    const MemRefine *r = &sym->refines[info.ref];
    if (!r->known || info.index_count != mem_at(sym->f, (Mem){info.ref})->rank) return;
    Poly lo = r->kind == REFINE_RANGE ? sym_value(sym, r->lo, NULL) : (Poly){0};
    Poly hi = sym_value(sym, r->hi, NULL);
    Poly under = plus(q, minus(q, hi, x), r->kind == REFINE_PARTITION ? 0 : -1);
    if (!info.mask.i && !info.checked) {
        query_fact(q, minus(q, x, lo));
        query_fact(q, under);
        if (r->kind != REFINE_PARTITION || info.index_count != 1) return;
        int64_t c;
        Poly last = plus(q, sym_size(sym, (Mem){info.ref}, 0), -1);
        if (poly_is_const(info.index[0], &c) && c == 0)
            query_equal(q, x);
        else if (poly_equal(info.index[0], last))
            query_equal(q, minus(q, x, hi));
        return;
    }
    Split split = {.branch_count = 2};
    split_add(&split, 0, minus(q, x, lo));
    split_add(&split, 0, under);
    if (info.mask.i && !info.checked) conjuncts(q, info.mask, true, info.env, &split, 0, 16);
    split_add(&split, 1, x);
    split_add(&split, 1, poly_scale(sym->arena, x, -1));
    if (info.mask.i && !info.checked) conjuncts(q, info.mask, false, info.env, &split, 1, 16);
    query_split(q, split);
}

// The number of a turn lies below how many there are.
static void turn_facts(Query *q, Poly x, AtomInfo info)
{
    const Func *f = q->sym->f;
    for_each_inst(f, f->body, id) {
        const Inst *in = inst_at(f, id);
        if (in->op != OP_REPEAT || in->attr.ref != info.ref) continue;
        query_fact(q, x);
        query_fact(q, plus(q, minus(q, sym_value(q->sym, inst_arg(f, in, 0), NULL), x), -1));
    }
}

static void atom_facts(Query *q, AtomId id)
{
    AtomInfo info = q->sym->atoms.data[id];
    bool before = q->renaming;
    q->renaming = info.origin != 0;
    Poly x = poly_atom(q->sym->arena, info.origin ? info.origin : id);
    // The ranges of wide types prove nothing about sizes and would only keep the search going.
    if (info.low > -CONSTANT_MAX) query_fact(q, plus(q, x, -info.low));
    if (info.high < CONSTANT_MAX)
        query_fact(q, plus(q, poly_scale(q->sym->arena, x, -1), info.high));
    switch (info.kind) {
    case ATOM_LANE: lane_facts(q, x, info); break;
    case ATOM_ID:
    case ATOM_END:
    case ATOM_COUNT: tile_facts(q, x, info); break;
    case ATOM_QUOTIENT: quotient_facts(q, x, info); break;
    case ATOM_MIN:
    case ATOM_MAX: extremum_facts(q, x, info); break;
    case ATOM_SELECT: select_facts(q, x, info); break;
    case ATOM_LOAD: load_facts(q, x, info); break;
    case ATOM_ARG: turn_facts(q, x, info); break;
    case ATOM_DIM:
    case ATOM_BLOCK:
    case ATOM_PURE:
    case ATOM_OPAQUE: break;
    }
    q->renaming = before;
}

// Hulls hold for what their masks say anyway; the witness of a mask says which tile it is.
static bool has_hull_witness(const Sym *sym, Poly p)
{
    for (uint32_t i = 0; i < p.count; i++) {
        for (Mono m = p.terms[i].mono; m; m >>= 16) {
            const Env *env = sym->atoms.data[m & 0xffff].env;
            const Inst *in = env ? value_def(sym->f, env->witness) : NULL;
            if (in && in->attr.kind != REDUCE_ANY) return true;
        }
    }
    return false;
}

// Offsets of a partition ascend: of two of them, the one at the smaller position is not larger.
static void partition_facts(Query *q, AtomId id)
{
    Sym *sym = q->sym;
    AtomInfo x = sym->atoms.data[id];
    if (x.kind != ATOM_LOAD || x.mask.i || x.checked || x.index_count != 1) return;
    if (!sym->refines[x.ref].known || sym->refines[x.ref].kind != REFINE_PARTITION) return;
    for (uint32_t i = 0; i < q->seen.count && q->seen.data[i] != id; i++) {
        AtomInfo y = sym->atoms.data[q->seen.data[i]];
        if (y.kind != ATOM_LOAD || y.ref != x.ref || y.mask.i || y.checked) continue;
        if (has_hull_witness(sym, x.index[0]) || has_hull_witness(sym, y.index[0])) continue;
        Poly at = x.origin ? sym_copy(sym, x.index[0]) : x.index[0];
        Poly step = minus(q, y.origin ? sym_copy(sym, y.index[0]) : y.index[0], at);
        Poly rise = minus(q, poly_atom(sym->arena, q->seen.data[i]), poly_atom(sym->arena, id));
        Poly fall = poly_scale(sym->arena, rise, -1), down = poly_scale(sym->arena, step, -1);
        if (sym_quick_nonneg(sym, step)) {
            prover_fact(&q->prover, rise);
        } else if (sym_quick_nonneg(sym, down)) {
            prover_fact(&q->prover, fall);
        } else {
            vec_push(sym->arena, &q->prover.implications, (Implication){step, 1, {rise}});
            vec_push(sym->arena, &q->prover.implications, (Implication){down, 1, {fall}});
        }
    }
}

// Of a quotient and its copy, one is larger or they are equal: decides what a remainder tells.
static void quotient_pair(Query *q, AtomId id)
{
    AtomInfo x = q->sym->atoms.data[id];
    if (x.kind != ATOM_QUOTIENT || !x.origin) return;
    Poly d =
        poly_sub(q->sym->arena, poly_atom(q->sym->arena, id), poly_atom(q->sym->arena, x.origin));
    Poly back = poly_scale(q->sym->arena, d, -1);
    Split split = {.branch_count = 3,
                   .counts = {2, 1, 1},
                   .facts = {{d, back}, {plus(q, d, -1)}, {plus(q, back, -1)}}};
    vec_push(q->sym->arena, &q->prover.splits, split);
}

static void see_poly(Query *q, Poly p)
{
    for (uint32_t i = 0; i < p.count; i++) {
        for (Mono m = p.terms[i].mono; m; m >>= 16) {
            AtomId id = (AtomId)(m & 0xffff);
            if (!see(q, id)) continue;
            atom_facts(q, id);
            partition_facts(q, id);
            quotient_pair(q, id);
        }
    }
}

// Adds what is known of every atom that occurs, until nothing new does.
static void close_facts(Query *q)
{
    Prover *p = &q->prover;
    for (uint32_t i = 0; i < p->implications.count; i++)
        see_poly(q, p->implications.data[i].premise);
    bool more = true;
    while (more) {
        more = q->scanned_facts < p->facts.count || q->scanned_equal < p->equal.count ||
               q->scanned_splits < p->splits.count;
        while (q->scanned_facts < p->facts.count) see_poly(q, p->facts.data[q->scanned_facts++]);
        while (q->scanned_equal < p->equal.count) see_poly(q, p->equal.data[q->scanned_equal++]);
        while (q->scanned_splits < p->splits.count) {
            Split s = p->splits.data[q->scanned_splits++];
            for (uint32_t b = 0; b < s.branch_count; b++)
                for (uint32_t k = 0; k < s.counts[b]; k++) see_poly(q, s.facts[b][k]);
        }
    }
}

void query_axes(Query *query, AxisSet axes)
{
    for (uint32_t a = 1; a < 64; a++) {
        if (!(axes >> a & 1)) continue;
        Poly lane = sym_lane(query->sym, (Axis){a});
        see_poly(query, renamed(query, lane));
        // A lane that both instances share lies in both their ranges.
        if (query->renaming) lane_facts(query, lane, (AtomInfo){.ref = a});
    }
}

void query_scope(Query *query, InstId id)
{
    const Func *f = query->sym->f;
    for (uint32_t i = 0; i < query->sym->requires.count; i++)
        query_assume(query, query->sym->requires.data[i], true, NULL);
    for (uint32_t i = 0; i < query->sym->sizes.count; i++)
        query_fact(query, query->sym->sizes.data[i]);
    for (InstId at = id, o = inst_owner(f, id); o.i; at = o, o = inst_owner(f, o)) {
        const Inst *in = inst_at(f, o);
        if (in->op == OP_GRID || in->op == OP_LOOP)
            query_axes(query, axis_bit((Axis){in->attr.ref}));
        if (in->op == OP_IF)
            query_assume(query, inst_arg(f, in, 0),
                         inst_at(f, at)->parent.i == inst_region(in, 0).i, NULL);
    }
}

bool query_refute(Query *query)
{
    close_facts(query);
    return prover_refute(&query->prover);
}

bool query_nonneg(Query *query, Poly p)
{
    if (p.bad) return false;
    see_poly(query, p);
    close_facts(query);
    return prover_nonneg(&query->prover, p);
}
