// Polynomials over atoms. Overflow of a coefficient, degree or size gives the bad polynomial, about
// which nothing can be proved.
#include "ir/poly.h"

#include <string.h>

Poly poly_bad(void)
{
    return (Poly){.bad = true};
}

Poly poly_const(Arena *arena, int64_t c)
{
    if (c == 0) return (Poly){0};
    Term *t = arena_new(arena, Term);
    *t = (Term){0, c};
    return (Poly){.terms = t, .count = 1};
}

Poly poly_atom(Arena *arena, AtomId atom)
{
    if (atom == 0 || atom > POLY_ATOM_MAX) return poly_bad();
    Term *t = arena_new(arena, Term);
    *t = (Term){atom, 1};
    return (Poly){.terms = t, .count = 1};
}

AtomId mono_atom(Mono m, unsigned k)
{
    return k < MONO_DEGREE_MAX ? (AtomId)(m >> (16 * k) & 0xffff) : 0;
}

unsigned mono_degree(Mono m)
{
    unsigned n = 0;
    for (; m; m >>= 16) n++;
    return n;
}

// Fields are kept descending from the top of those used: mono_atom(m, 0) is the smallest.
Mono mono_mul(Mono a, Mono b, bool *ok)
{
    if (mono_degree(a) + mono_degree(b) > MONO_DEGREE_MAX) {
        *ok = false;
        return 0;
    }
    Mono out = 0;
    unsigned n = 0;
    while (a || b) {
        AtomId x = (AtomId)(a & 0xffff), y = (AtomId)(b & 0xffff);
        bool first = x && (!y || x <= y);
        out |= (Mono)(first ? x : y) << (16 * n++);
        if (first)
            a >>= 16;
        else
            b >>= 16;
    }
    return out;
}

bool mono_divide(Mono a, Mono b, Mono *quotient)
{
    Mono out = 0;
    unsigned n = 0;
    while (a) {
        AtomId x = (AtomId)(a & 0xffff), y = (AtomId)(b & 0xffff);
        a >>= 16;
        if (x == y) {
            b >>= 16;
            continue;
        }
        out |= (Mono)x << (16 * n++);
    }
    *quotient = out;
    return b == 0;
}

Poly poly_add(Arena *arena, Poly a, Poly b)
{
    if (a.bad || b.bad) return poly_bad();
    if (!a.count) return b;
    if (!b.count) return a;
    if (a.count + b.count > 2 * POLY_TERMS_MAX) return poly_bad();
    Term *out = arena_array(arena, Term, a.count + b.count);
    uint32_t i = 0, j = 0, n = 0;
    while (i < a.count || j < b.count) {
        if (j == b.count || (i < a.count && a.terms[i].mono < b.terms[j].mono)) {
            out[n++] = a.terms[i++];
        } else if (i == a.count || b.terms[j].mono < a.terms[i].mono) {
            out[n++] = b.terms[j++];
        } else {
            int64_t c;
            if (__builtin_add_overflow(a.terms[i].coeff, b.terms[j].coeff, &c)) return poly_bad();
            if (c) out[n++] = (Term){a.terms[i].mono, c};
            i++, j++;
        }
    }
    if (n > POLY_TERMS_MAX) return poly_bad();
    return (Poly){.terms = out, .count = n};
}

Poly poly_scale(Arena *arena, Poly a, int64_t c)
{
    if (a.bad || c == 1) return a;
    if (c == 0 || !a.count) return (Poly){0};
    Term *out = arena_array(arena, Term, a.count);
    for (uint32_t i = 0; i < a.count; i++) {
        out[i].mono = a.terms[i].mono;
        if (__builtin_mul_overflow(a.terms[i].coeff, c, &out[i].coeff)) return poly_bad();
    }
    return (Poly){.terms = out, .count = a.count};
}

Poly poly_sub(Arena *arena, Poly a, Poly b)
{
    return poly_add(arena, a, poly_scale(arena, b, -1));
}

Poly poly_offset(Arena *arena, Poly a, int64_t c)
{
    return poly_add(arena, a, poly_const(arena, c));
}

Poly poly_mul_mono(Arena *arena, Poly a, Mono m)
{
    if (a.bad || m == 0) return a;
    Poly out = {0};
    bool ok = true;
    // A product with one monomial may reorder the terms, so they are merged one by one.
    for (uint32_t i = 0; i < a.count; i++) {
        Term *t = arena_new(arena, Term);
        *t = (Term){mono_mul(a.terms[i].mono, m, &ok), a.terms[i].coeff};
        if (!ok) return poly_bad();
        out = poly_add(arena, out, (Poly){.terms = t, .count = 1});
    }
    return out;
}

Poly poly_mul(Arena *arena, Poly a, Poly b)
{
    if (a.bad || b.bad) return poly_bad();
    Poly out = {0};
    for (uint32_t i = 0; i < b.count; i++) {
        Poly part = poly_scale(arena, poly_mul_mono(arena, a, b.terms[i].mono), b.terms[i].coeff);
        out = poly_add(arena, out, part);
    }
    return out;
}

bool poly_has(Poly p, AtomId atom)
{
    for (uint32_t i = 0; i < p.count; i++)
        for (Mono m = p.terms[i].mono; m; m >>= 16)
            if ((AtomId)(m & 0xffff) == atom) return true;
    return false;
}

bool poly_split(Arena *arena, Poly p, AtomId atom, Poly *factor, Poly *rest)
{
    *factor = *rest = (Poly){0};
    if (p.bad) return false;
    for (uint32_t i = 0; i < p.count; i++) {
        Mono q;
        Term *t = arena_new(arena, Term);
        if (mono_divide(p.terms[i].mono, atom, &q)) {
            Mono again;
            if (mono_divide(q, atom, &again)) return false;
            *t = (Term){q, p.terms[i].coeff};
            *factor = poly_add(arena, *factor, (Poly){.terms = t, .count = 1});
        } else {
            *t = p.terms[i];
            *rest = poly_add(arena, *rest, (Poly){.terms = t, .count = 1});
        }
    }
    return true;
}

Poly poly_substitute(Arena *arena, Poly p, AtomId atom, Poly by)
{
    if (p.bad || !poly_has(p, atom)) return p;
    Poly out = {0};
    for (uint32_t i = 0; i < p.count; i++) {
        Term *t = arena_new(arena, Term);
        *t = p.terms[i];
        Mono q;
        unsigned power = 0;
        while (mono_divide(t->mono, atom, &q)) t->mono = q, power++;
        Poly part = {.terms = t, .count = 1};
        while (power-- > 0) part = poly_mul(arena, part, by);
        out = poly_add(arena, out, part);
    }
    return out;
}

bool poly_equal(Poly a, Poly b)
{
    if (a.bad || b.bad || a.count != b.count) return false;
    for (uint32_t i = 0; i < a.count; i++)
        if (a.terms[i].mono != b.terms[i].mono || a.terms[i].coeff != b.terms[i].coeff)
            return false;
    return true;
}

int64_t poly_constant(Poly p)
{
    return p.count && p.terms[0].mono == 0 ? p.terms[0].coeff : 0;
}

bool poly_is_const(Poly p, int64_t *c)
{
    if (p.bad || p.count > 1 || (p.count == 1 && p.terms[0].mono != 0)) return false;
    *c = poly_constant(p);
    return true;
}

bool poly_is_atom(Poly p, AtomId *atom)
{
    if (p.bad || p.count != 1 || p.terms[0].coeff != 1 || mono_degree(p.terms[0].mono) != 1)
        return false;
    *atom = (AtomId)p.terms[0].mono;
    return true;
}
