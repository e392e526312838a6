// i64 values as sums: `m * K + k + 3` becomes 3 + 1 * m * K + 1 * k. The proofs of bounds and races
// and the scheduler's strides read it.
//
// A term is scale * axis * symbols. A symbol is any value that is not itself a sum: a dimension, an
// argument, a gathered index, a quotient (value_def gives its operands), a product of two axes ...
// Symbols that are computed alike count as one although their handles differ.
#ifndef HK_IR_AFFINE_H
#define HK_IR_AFFINE_H

#include "ir/ir.h"

enum { AFFINE_TERMS = 16, AFFINE_SYMBOLS = 3 };

typedef struct AffineTerm {
    int64_t scale;                 // never 0
    Axis axis;                     // 0: none
    Value symbols[AFFINE_SYMBOLS]; // ascending handles, unused ones 0 at the end
} AffineTerm;

typedef struct Affine {
    int64_t constant;
    uint32_t count;
    AffineTerm terms[AFFINE_TERMS]; // no two with equal axis and symbols
} Affine;

// False if v is no i64. What is too large a sum, or none, becomes a symbol.
bool affine_decode(const Func *f, Value v, Affine *out);

Affine affine_constant(int64_t x);
Affine affine_axis(Axis a);
Affine affine_symbol(Value v);

// False if a number overflows or there are too many terms or factors.
bool affine_add(const Func *f, const Affine *a, const Affine *b, Affine *out);
bool affine_sub(const Func *f, const Affine *a, const Affine *b, Affine *out);
bool affine_scale(const Affine *a, int64_t by, Affine *out);
bool affine_mul(const Func *f, const Affine *a, const Affine *b,
                Affine *out); // at most one axis in a term
// a / by where that leaves no remainder whatever the values are.
bool affine_divide(const Func *f, const Affine *a, const Affine *by, Affine *out);

bool affine_is_constant(const Affine *a, int64_t *x);
bool affine_equal(const Func *f, const Affine *a, const Affine *b);
// What multiplies the axis: 0 if nothing does. The rest may still vary along it through a symbol.
Affine affine_coefficient(const Affine *a, Axis axis);
Affine affine_without(const Affine *a, Axis axis);
AxisSet affine_axes(const Func *f, const Affine *a); // those of the symbols included

// Whether two values are computed alike: equal whenever both are in scope. Loads are never alike.
bool value_alike(const Func *f, Value a, Value b);

#endif
