// What the files of the verifier share: verify.c walks the regions and keeps the laws of structure
// and scope, verify_type.c those of single instructions.
#ifndef HK_IR_VERIFY_H
#define HK_IR_VERIFY_H

#include "ir/ir.h"

typedef struct Verifier {
    const Func *f;
    DiagList *diags;
    const uint32_t *numbers;
    bool *visible;    // by Value.i
    AxisSet declared; // axes in scope
    bool broken;
} Verifier;

// Reports a broken law, quoting the instruction; returns false.
bool verify_fail(Verifier *v, InstId id, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

// Counts of operands, results and regions; level; attributes that point somewhere. The laws of
// types may rely on them.
bool verify_shape(Verifier *v, InstId id);
// Dtypes, axes, lanes. Called when verify_shape holds and all operands exist.
bool verify_types(Verifier *v, InstId id);
// The region of a combine: its arguments, what stands in it, what it yields.
bool verify_combine_region(Verifier *v, InstId id);

#endif
