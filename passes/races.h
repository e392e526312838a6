// Parts of the race check: ownership (races.c), coverage (races_cover.c) by the boxes of elements
// that stores write (races_boxes.c).
#ifndef HK_PASSES_RACES_H
#define HK_PASSES_RACES_H

#include "passes/check.h"

// What stores leave out, for a message: notes at places.
typedef struct CoverGap {
    Str why[2];
    Span where[2];
    uint32_t count;
} CoverGap;

// Whether the stores, in all phases before `before` ({0}: in all), provably write every element of
// mem; where not, what they leave out.
bool cover_proved(const PassContext *context, Sym *sym, Mem mem, InstId before, CoverGap *gap);

enum { LITERALS_MAX = 12 };

// A condition of a store that its indices do not express: `p >= 0`, or the value v where v.i.
typedef struct Literal {
    Poly p;
    Value v;
    bool truth;
} Literal;

// The elements that a store writes: at each position k the numbers stride * t + residue for t in
// lo .. hi, where the literals hold.
typedef struct Box {
    const Access *store;
    InstId before; // the phase that asks, or 0: in the turns of a `repeat` around both, an index
                   // that counts them stays at one
    Poly index[RANK_MAX];
    Poly lo[RANK_MAX], hi[RANK_MAX];
    int64_t stride[RANK_MAX], residue[RANK_MAX];
    Literal literals[LITERALS_MAX];
    uint32_t literal_count;
    bool sized; // lo and hi are known
    Str why;    // if they are not
} Box;

// The conditions of the store, none that is true anyway.
Box box_of(Sym *sym, const Access *store);
// Finds the ranges, using up literals that shorten them.
void box_size(Sym *sym, Box *box);
// Adds the conjuncts of a condition.
void literal_parts(Sym *sym, Box *box, Value v, bool truth);
void literal_drop_true(Sym *sym, Box *box);
bool literal_opposite(const Sym *sym, const Literal *a, const Literal *b);
bool literal_same(const Literal *a, const Literal *b);
// From what holds of sizes for every launch.
bool cover_nonneg(Sym *sym, Poly p);

#endif
