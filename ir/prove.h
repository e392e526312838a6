// Proves inequalities between integer polynomials from facts: linear reasoning over the monomials
// (Fourier-Motzkin with integer tightening), helped by products of facts with what is known not to
// be negative, by substitution of equalities, and by splitting cases.
//
//     0 <= c < C, 0 <= q < Q   entails   c * Q + q < C * Q
//
// Sound, not complete: "no" means that no proof was found. Work is bounded; a query takes
// microseconds.
#ifndef HK_IR_PROVE_H
#define HK_IR_PROVE_H

#include "ir/base/vec.h"
#include "ir/poly.h"

enum { SPLIT_BRANCHES = 3, SPLIT_FACTS = 5 };

// One of the branches holds; each is a conjunction of `poly >= 0`.
typedef struct Split {
    uint32_t branch_count;
    uint32_t counts[SPLIT_BRANCHES];
    Poly facts[SPLIT_BRANCHES][SPLIT_FACTS];
} Split;

// Wherever premise >= 0, the conclusions are >= 0; used once the premise follows from the facts.
typedef struct Implication {
    Poly premise;
    uint32_t count;
    Poly conclusions[SPLIT_FACTS];
} Implication;

typedef struct ProveWork ProveWork;

typedef struct Prover {
    Arena *arena;
    VEC(Poly) facts; // each is >= 0
    VEC(Poly) equal; // each is 0
    VEC(Split) splits;
    VEC(Implication) implications;
    uint32_t budget;  // eliminations left in this query
    ProveWork **work; // tables, made when they are first needed and used again
} Prover;

void prover_init(Prover *prover, Arena *arena);
void prover_reset(Prover *prover); // forgets facts, keeps the tables
void prover_fact(Prover *prover, Poly p);
void prover_equal(Prover *prover, Poly p);
// Whether the facts contradict each other.
bool prover_refute(Prover *prover);
// Whether the facts entail p >= 0.
bool prover_nonneg(Prover *prover, Poly p);

#endif
