// Refutation of a set of polynomial inequalities over the integers.
//
// 1. Equalities are solved for an atom that occurs in them linearly, with coefficient 1 or -1.
// 2. Atoms that some fact bounds below by something not negative are themselves not negative.
// 3. For a nonlinear monomial x * y with y >= 0, each fact about x is also taken times y.
// 4. Monomials are then unknowns of their own and are eliminated one by one; a row without unknowns
//    and with a negative constant is the contradiction.
// 5. If none is found, implications whose premise follows add their conclusion.
// 6. If there is still none, a case split is tried, all of whose branches must be contradictory.
//
// Law: dropping a fact is always sound, so every limit drops facts and never invents any.
#include "ir/prove.h"

enum {
    ROWS_MAX = 224,
    COLS_MAX = 56,
    FACTS_MAX = 160,
    EQUAL_MAX = 48,
    BUDGET = 128,
    STEPS_MAX = 12000
};

typedef struct Row {
    int64_t c[COLS_MAX];
    int64_t constant;
    uint64_t hash; // of c
} Row;

enum { SIGNS = 1024, UP = 1, DOWN = 2 };

typedef struct Signs {
    AtomId atoms[SIGNS];
    uint8_t seen[SIGNS];
    uint32_t count;
} Signs;

struct ProveWork {
    Signs signs;
    Row rows[ROWS_MAX], kept[ROWS_MAX];
    uint32_t row_count;
    Mono cols[COLS_MAX];
    bool gone[COLS_MAX];
    uint32_t col_count;
    Poly facts[FACTS_MAX];
    uint32_t fact_count;
    Poly equal[EQUAL_MAX];
    uint32_t equal_count;
    AtomId nonneg[128];
    uint32_t nonneg_count, used_monos;
    uint32_t steps; // combinations of rows left in this query
    bool contradiction;
};

void prover_init(Prover *prover, Arena *arena)
{
    *prover = (Prover){.arena = arena, .work = arena_new(arena, ProveWork *)};
}

void prover_reset(Prover *prover)
{
    prover->facts.count = prover->equal.count = prover->splits.count = prover->implications.count =
        0;
}

void prover_fact(Prover *prover, Poly p)
{
    int64_t c;
    if (p.bad || (poly_is_const(p, &c) && c >= 0)) return;
    for (uint32_t i = 0; i < prover->facts.count; i++)
        if (poly_equal(prover->facts.data[i], p)) return;
    vec_push(prover->arena, &prover->facts, p);
}

void prover_equal(Prover *prover, Poly p)
{
    if (!p.bad && p.count) vec_push(prover->arena, &prover->equal, p);
}

// ---- equalities

static int64_t gcd(int64_t a, int64_t b)
{
    while (b) {
        int64_t t = a % b;
        a = b;
        b = t;
    }
    return a < 0 ? -a : a;
}

// An atom of eq that occurs in one term only, alone and with coefficient 1 or -1; 0 if there is
// none. The newest atom is taken: copies and quotients are made after what they depend on.
static AtomId solvable_atom(Poly eq, int64_t *sign)
{
    for (uint32_t i = eq.count; i-- > 0;) {
        Term t = eq.terms[i];
        if (mono_degree(t.mono) != 1 || (t.coeff != 1 && t.coeff != -1)) continue;
        uint32_t uses = 0;
        for (uint32_t j = 0; j < eq.count; j++) {
            Mono q;
            uses += mono_divide(eq.terms[j].mono, t.mono, &q);
        }
        if (uses > 1) continue;
        *sign = t.coeff;
        return (AtomId)t.mono;
    }
    return 0;
}

static void work_add(ProveWork *w, Poly p)
{
    int64_t c;
    if (p.bad) return;
    if (poly_is_const(p, &c)) {
        if (c < 0) w->contradiction = true;
        return;
    }
    if (w->fact_count < FACTS_MAX) w->facts[w->fact_count++] = p;
}

static bool equality_impossible(Poly eq)
{
    int64_t g = 0, c = poly_constant(eq);
    for (uint32_t i = 0; i < eq.count; i++)
        if (eq.terms[i].mono) g = gcd(eq.terms[i].coeff, g);
    return g == 0 ? c != 0 : g > 1 && c % g != 0;
}

static void solve_equalities(Prover *prover)
{
    ProveWork *w = *prover->work;
    Arena *arena = prover->arena;
    for (uint32_t i = 0; i < w->equal_count && !w->contradiction; i++) {
        Poly eq = w->equal[i];
        if (eq.bad || !eq.count) continue;
        if (equality_impossible(eq)) w->contradiction = true;
        int64_t sign = 0;
        AtomId atom = solvable_atom(eq, &sign);
        if (!atom) {
            work_add(w, eq);
            work_add(w, poly_scale(arena, eq, -1));
            continue;
        }
        // eq = sign * atom + rest, so atom = -sign * rest.
        Poly rest = poly_sub(arena, eq, poly_scale(arena, poly_atom(arena, atom), sign));
        Poly by = poly_scale(arena, rest, -sign);
        for (uint32_t j = i + 1; j < w->equal_count; j++)
            w->equal[j] = poly_substitute(arena, w->equal[j], atom, by);
        uint32_t count = w->fact_count;
        w->fact_count = 0;
        for (uint32_t j = 0; j < count; j++)
            work_add(w, poly_substitute(arena, w->facts[j], atom, by));
    }
}

// ---- signs and products

static bool atom_nonneg(const ProveWork *w, AtomId atom)
{
    for (uint32_t i = 0; i < w->nonneg_count; i++)
        if (w->nonneg[i] == atom) return true;
    return false;
}

static bool mono_nonneg(const ProveWork *w, Mono m)
{
    for (; m; m >>= 16)
        if (!atom_nonneg(w, (AtomId)(m & 0xffff))) return false;
    return true;
}

// The atom that fact p bounds below by something not negative: p = c * atom - (what is not
// negative).
static AtomId bounded_atom(const ProveWork *w, Poly p)
{
    AtomId atom = 0;
    for (uint32_t i = 0; i < p.count; i++) {
        Term t = p.terms[i];
        if (t.coeff > 0) {
            if (atom || mono_degree(t.mono) != 1) return 0;
            atom = (AtomId)t.mono;
        } else if (!mono_nonneg(w, t.mono)) {
            return 0;
        }
    }
    return atom;
}

static void find_nonneg(ProveWork *w)
{
    w->nonneg_count = 0;
    for (bool changed = true; changed;) {
        changed = false;
        for (uint32_t i = 0; i < w->fact_count; i++) {
            AtomId a = bounded_atom(w, w->facts[i]);
            if (!a || atom_nonneg(w, a) || w->nonneg_count == 128) continue;
            w->nonneg[w->nonneg_count++] = a;
            changed = true;
        }
    }
}

static uint32_t collect_nonlinear(const ProveWork *w, Mono *out, uint32_t limit)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < w->fact_count; i++) {
        for (uint32_t k = 0; k < w->facts[i].count; k++) {
            Mono m = w->facts[i].terms[k].mono;
            if (mono_degree(m) < 2) continue;
            uint32_t j = 0;
            while (j < n && out[j] != m) j++;
            if (j == n && n < limit) out[n++] = m;
        }
    }
    return n;
}

// For every fact with a term t that properly divides a monomial m in use, the fact times m / t.
// Products bring monomials of their own, which the second round takes up. Whether there are new
// facts.
static bool add_products(Prover *prover, uint32_t base, uint32_t round)
{
    ProveWork *w = *prover->work;
    Mono monos[2 * COLS_MAX];
    uint32_t n = collect_nonlinear(w, monos, round ? 2 * COLS_MAX : COLS_MAX);
    uint32_t before = w->fact_count, from = round ? w->used_monos : 0;
    w->used_monos = n;
    for (uint32_t i = from; i < n; i++) {
        for (uint32_t f = 0; f < base; f++) {
            Poly p = w->facts[f];
            for (uint32_t k = 0; k < p.count; k++) {
                Mono q;
                if (!p.terms[k].mono || !mono_divide(monos[i], p.terms[k].mono, &q)) continue;
                if (!q || !mono_nonneg(w, q)) continue;
                work_add(w, poly_mul_mono(prover->arena, p, q));
            }
        }
    }
    return w->fact_count > before;
}

// ---- elimination

static uint32_t column_of(ProveWork *w, Mono m)
{
    for (uint32_t i = 0; i < w->col_count; i++)
        if (w->cols[i] == m) return i;
    if (w->col_count == COLS_MAX) return COLS_MAX;
    w->cols[w->col_count] = m;
    return w->col_count++;
}

static int64_t floor_div(int64_t a, int64_t b)
{
    return a / b - (a % b < 0);
}

// Divides by the common factor, rounding the constant down: unknowns are integers. False if the row
// says nothing (any more).
static bool row_normalise(ProveWork *w, Row *row)
{
    int64_t g = 0;
    for (uint32_t i = 0; i < w->col_count; i++) g = gcd(row->c[i], g);
    if (g == 0) {
        if (row->constant < 0) w->contradiction = true;
        return false;
    }
    if (g > 1) {
        for (uint32_t i = 0; i < w->col_count; i++) row->c[i] /= g;
        row->constant = floor_div(row->constant, g);
    }
    return true;
}

// Of rows with equal coefficients the one that says more is kept.
static void row_insert(ProveWork *w, Row *row)
{
    size_t bytes = sizeof(int64_t) * w->col_count;
    row->hash = 0;
    for (uint32_t i = 0; i < w->col_count; i++)
        row->hash += (uint64_t)row->c[i] * (0x9e3779b97f4a7c15u * (2 * i + 1));
    for (uint32_t i = 0; i < w->row_count; i++) {
        if (w->rows[i].hash != row->hash || memcmp(w->rows[i].c, row->c, bytes) != 0) continue;
        if (row->constant < w->rows[i].constant) w->rows[i].constant = row->constant;
        return;
    }
    if (w->row_count < ROWS_MAX) w->rows[w->row_count++] = *row;
}

static void build_rows(ProveWork *w)
{
    w->row_count = w->col_count = 0;
    memset(w->gone, 0, sizeof w->gone);
    for (uint32_t i = 0; i < w->fact_count && !w->contradiction; i++) {
        Row row = {0};
        bool fits = true;
        for (uint32_t k = 0; k < w->facts[i].count; k++) {
            Term t = w->facts[i].terms[k];
            uint32_t col = t.mono ? column_of(w, t.mono) : 0;
            if (col == COLS_MAX || t.coeff == INT64_MIN)
                fits = false;
            else if (t.mono)
                row.c[col] = t.coeff;
            else
                row.constant = t.coeff;
        }
        if (fits && row_normalise(w, &row)) row_insert(w, &row);
    }
    for (uint32_t i = 0; i < w->col_count; i++) {
        if (mono_degree(w->cols[i]) < 2 || !mono_nonneg(w, w->cols[i])) continue;
        Row row = {0};
        row.c[i] = 1;
        row_insert(w, &row);
    }
}

// a with its column made 0 by adding b, whose coefficient there has the other sign.
static bool row_combine(const ProveWork *w, const Row *a, const Row *b, uint32_t col, Row *out)
{
    int64_t g = gcd(a->c[col], b->c[col]);
    int64_t fa = b->c[col] / g, fb = a->c[col] / g;
    if (fa < 0) fa = -fa;
    if (fb < 0) fb = -fb;
    int64_t x, y;
    for (uint32_t i = 0; i < w->col_count; i++) {
        if (__builtin_mul_overflow(a->c[i], fa, &x) || __builtin_mul_overflow(b->c[i], fb, &y) ||
            __builtin_add_overflow(x, y, &out->c[i]) || out->c[i] == INT64_MIN)
            return false;
    }
    return !__builtin_mul_overflow(a->constant, fa, &x) &&
           !__builtin_mul_overflow(b->constant, fb, &y) &&
           !__builtin_add_overflow(x, y, &out->constant);
}

// The column whose elimination makes the fewest rows; COLS_MAX if none is left.
static uint32_t cheapest_column(const ProveWork *w)
{
    uint32_t best = COLS_MAX;
    int64_t best_cost = 0;
    for (uint32_t i = 0; i < w->col_count; i++) {
        if (w->gone[i]) continue;
        int64_t up = 0, down = 0;
        for (uint32_t r = 0; r < w->row_count; r++) {
            up += w->rows[r].c[i] > 0;
            down += w->rows[r].c[i] < 0;
        }
        int64_t cost = up * down - up - down;
        if (best == COLS_MAX || cost < best_cost) best = i, best_cost = cost;
    }
    return best;
}

static void eliminate(ProveWork *w, uint32_t col)
{
    w->gone[col] = true;
    Row *kept = w->kept;
    uint32_t kept_count = 0;
    for (uint32_t i = 0; i < w->row_count; i++)
        if (w->rows[i].c[col]) kept[kept_count++] = w->rows[i];
    uint32_t n = 0;
    for (uint32_t i = 0; i < w->row_count; i++)
        if (!w->rows[i].c[col]) w->rows[n++] = w->rows[i];
    w->row_count = n;
    for (uint32_t i = 0; i < kept_count; i++) {
        for (uint32_t j = 0; j < kept_count && !w->contradiction && w->steps; j++) {
            Row row = {0};
            if (kept[i].c[col] <= 0 || kept[j].c[col] >= 0) continue;
            w->steps--;
            if (!row_combine(w, &kept[i], &kept[j], col, &row)) continue;
            if (row_normalise(w, &row)) row_insert(w, &row);
        }
    }
}

static bool contradictory(Prover *prover)
{
    ProveWork *w = *prover->work;
    w->fact_count = w->equal_count = 0;
    w->contradiction = false;
    // The newest first, should there be too many: the goal is one of them.
    for (uint32_t i = prover->facts.count; i-- > 0;) work_add(w, prover->facts.data[i]);
    for (uint32_t i = 0; i < prover->equal.count && i < EQUAL_MAX; i++)
        w->equal[w->equal_count++] = prover->equal.data[i];
    solve_equalities(prover);
    if (w->contradiction) return true;
    find_nonneg(w);
    uint32_t base = w->fact_count;
    for (uint32_t round = 0; round < 2 && !w->contradiction; round++) {
        if (!add_products(prover, base, round) && round) break;
        build_rows(w);
        for (uint32_t col; !w->contradiction && w->steps && (col = cheapest_column(w)) != COLS_MAX;)
            eliminate(w, col);
    }
    return w->contradiction;
}

static bool follows(Prover *prover, Poly p)
{
    uint32_t count = prover->facts.count;
    if (prover->budget == 0) return false;
    prover->budget--;
    prover_fact(prover, poly_offset(prover->arena, poly_scale(prover->arena, p, -1), -1));
    bool ok = prover->facts.count > count && contradictory(prover);
    prover->facts.count = count;
    return ok;
}

// Adds the conclusions of implications whose premises hold, until no new one does. Used ones move
// to the front.
static bool apply_implications(Prover *prover)
{
    uint32_t used = 0;
    for (bool more = true; more;) {
        more = false;
        for (uint32_t i = used; i < prover->implications.count; i++) {
            Implication rule = prover->implications.data[i];
            if (!follows(prover, rule.premise)) continue;
            for (uint32_t k = 0; k < rule.count; k++) prover_fact(prover, rule.conclusions[k]);
            prover->implications.data[i] = prover->implications.data[used];
            prover->implications.data[used++] = rule;
            more = true;
        }
    }
    return used > 0;
}

static bool refute_split(Prover *prover, uint32_t next);

// Splits from `next` on are still to be tried.
static bool refute_from(Prover *prover, uint32_t next)
{
    if (prover->budget == 0) return false;
    prover->budget--;
    if (contradictory(prover)) return true;
    uint32_t before = prover->facts.count;
    bool done = apply_implications(prover) && contradictory(prover);
    done = done || (next < prover->splits.count && refute_split(prover, next));
    prover->facts.count = before;
    return done;
}

static bool refute_split(Prover *prover, uint32_t next)
{
    Split split = prover->splits.data[next];
    uint32_t count = prover->facts.count;
    for (uint32_t b = 0; b < split.branch_count; b++) {
        for (uint32_t k = 0; k < split.counts[b]; k++) prover_fact(prover, split.facts[b][k]);
        bool ok = refute_from(prover, next + 1);
        prover->facts.count = count;
        if (!ok) return false;
    }
    return true;
}

// ---- pruning
//
// A fact with an unknown that no other fact bounds on the other side takes part in no
// contradiction. Atoms in products count as bounded on both sides, as products of facts may bound
// them.

static uint8_t *sign_of(Signs *signs, AtomId atom)
{
    uint32_t at = atom * 2654435761u % SIGNS;
    while (signs->atoms[at] && signs->atoms[at] != atom) at = (at + 1) % SIGNS;
    if (!signs->atoms[at]) {
        signs->atoms[at] = atom;
        signs->count++;
    }
    return &signs->seen[at];
}

static void sign_add(Signs *signs, Poly p, uint8_t both)
{
    for (uint32_t i = 0; i < p.count && signs->count < SIGNS / 2; i++) {
        Term t = p.terms[i];
        bool product = mono_degree(t.mono) > 1;
        for (Mono m = t.mono; m; m >>= 16)
            *sign_of(signs, (AtomId)(m & 0xffff)) |= (uint8_t)(product       ? UP | DOWN
                                                               : both        ? both
                                                               : t.coeff > 0 ? UP
                                                                             : DOWN);
    }
}

// Whether each unknown of p is bounded on both sides.
static bool sign_useful(Signs *signs, Poly p)
{
    for (uint32_t i = 0; i < p.count && signs->count < SIGNS / 2; i++) {
        Mono m = p.terms[i].mono;
        if (mono_degree(m) == 1 && *sign_of(signs, (AtomId)m) != (UP | DOWN)) return false;
    }
    return true;
}

static bool split_useful(Signs *signs, const Split *s)
{
    for (uint32_t b = 0; b < s->branch_count; b++) {
        bool any = false;
        for (uint32_t k = 0; k < s->counts[b]; k++) any |= sign_useful(signs, s->facts[b][k]);
        if (!any) return false; // this branch would add nothing
    }
    return true;
}

static bool implication_useful(Signs *signs, const Implication *rule)
{
    for (uint32_t k = 0; k < rule->count; k++)
        if (sign_useful(signs, rule->conclusions[k])) return true;
    return false;
}

static void all_signs(const Prover *p, Signs *signs)
{
    memset(signs, 0, sizeof *signs);
    for (uint32_t i = 0; i < p->facts.count; i++) sign_add(signs, p->facts.data[i], 0);
    for (uint32_t i = 0; i < p->equal.count; i++) sign_add(signs, p->equal.data[i], UP | DOWN);
    for (uint32_t i = 0; i < p->implications.count; i++) {
        const Implication *rule = &p->implications.data[i];
        sign_add(signs, rule->premise, UP | DOWN); // its proof needs facts of its own
        for (uint32_t k = 0; k < rule->count; k++) sign_add(signs, rule->conclusions[k], 0);
    }
    for (uint32_t i = 0; i < p->splits.count; i++) {
        const Split *s = &p->splits.data[i];
        for (uint32_t b = 0; b < s->branch_count; b++)
            for (uint32_t k = 0; k < s->counts[b]; k++) sign_add(signs, s->facts[b][k], 0);
    }
}

// Makes the elements of a vector its own.
#define COPY(arena, v)                                                                             \
    do {                                                                                           \
        (v)->capacity = (v)->count;                                                                \
        if ((v)->count)                                                                            \
            (v)->data = arena_copy((arena), (v)->data, sizeof *(v)->data * (v)->count);            \
    } while (0)

// A copy without what takes part in no contradiction.
static Prover pruned(const Prover *from)
{
    Prover p = *from;
    Signs *signs = &(*from->work)->signs;
    COPY(from->arena, &p.facts);
    COPY(from->arena, &p.splits);
    COPY(from->arena, &p.implications);
    for (bool more = true; more;) {
        uint32_t facts = 0, splits = 0, rules = 0;
        all_signs(&p, signs);
        for (uint32_t i = 0; i < p.facts.count; i++)
            if (sign_useful(signs, p.facts.data[i])) p.facts.data[facts++] = p.facts.data[i];
        for (uint32_t i = 0; i < p.splits.count; i++)
            if (split_useful(signs, &p.splits.data[i])) p.splits.data[splits++] = p.splits.data[i];
        for (uint32_t i = 0; i < p.implications.count; i++)
            if (implication_useful(signs, &p.implications.data[i]))
                p.implications.data[rules++] = p.implications.data[i];
        more = facts < p.facts.count || splits < p.splits.count || rules < p.implications.count;
        p.facts.count = facts;
        p.splits.count = splits;
        p.implications.count = rules;
    }
    return p;
}

bool prover_refute(Prover *prover)
{
    if (!*prover->work) *prover->work = arena_new(prover->arena, ProveWork);
    Prover p = pruned(prover);
    p.budget = BUDGET;
    (*p.work)->steps = STEPS_MAX;
    return refute_from(&p, 0);
}

bool prover_nonneg(Prover *prover, Poly p)
{
    int64_t c;
    if (p.bad) return false;
    if (poly_is_const(p, &c) && c >= 0) return true;
    uint32_t count = prover->facts.count;
    prover_fact(prover, poly_offset(prover->arena, poly_scale(prover->arena, p, -1), -1));
    bool ok = prover_refute(prover);
    prover->facts.count = count;
    return ok;
}
