// Polynomials with integer coefficients over numbered atoms: what the checks compute with when
// sizes and indices are symbolic. `b * S + m` over the atoms b, S, m is {b*S: 1, m: 1}.
#ifndef HK_IR_POLY_H
#define HK_IR_POLY_H

#include "ir/base/arena.h"

#include <stdbool.h>

typedef uint32_t AtomId; // 1 .. 65535

// A product of up to four atoms in 16-bit fields, the largest highest; 0 is the empty product, one.
typedef uint64_t Mono;
enum { MONO_DEGREE_MAX = 4, POLY_TERMS_MAX = 48, POLY_ATOM_MAX = 65535 };

typedef struct Term {
    Mono mono;
    int64_t coeff; // never 0
} Term;

// Immutable. `bad` means: too large to say; it is contagious and equal to nothing.
typedef struct Poly {
    const Term *terms; // ascending by mono
    uint32_t count;
    bool bad;
} Poly;

Poly poly_const(Arena *arena, int64_t c);
Poly poly_atom(Arena *arena, AtomId atom);
Poly poly_bad(void);
Poly poly_add(Arena *arena, Poly a, Poly b);
Poly poly_sub(Arena *arena, Poly a, Poly b);
Poly poly_scale(Arena *arena, Poly a, int64_t c);
Poly poly_mul(Arena *arena, Poly a, Poly b);
Poly poly_offset(Arena *arena, Poly a, int64_t c); // a + c
Poly poly_mul_mono(Arena *arena, Poly a, Mono m);
// p with every occurrence of the atom replaced.
Poly poly_substitute(Arena *arena, Poly p, AtomId atom, Poly by);
// The factor of `atom` in p, where p is linear in it, and what is left; false if p is not linear in
// it.
bool poly_split(Arena *arena, Poly p, AtomId atom, Poly *factor, Poly *rest);

bool poly_equal(Poly a, Poly b);
bool poly_is_const(Poly p, int64_t *c);
bool poly_is_atom(Poly p, AtomId *atom); // exactly one atom
bool poly_has(Poly p, AtomId atom);
int64_t poly_constant(Poly p); // the constant term

AtomId mono_atom(Mono m, unsigned k); // 0 beyond the last
unsigned mono_degree(Mono m);
Mono mono_mul(Mono a, Mono b, bool *ok);
bool mono_divide(Mono a, Mono b, Mono *quotient); // whether b divides a

#endif
