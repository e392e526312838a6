// Shared by the checks bounds, races and block_rule: how they walk accesses and how messages name
// things.
#ifndef HK_PASSES_CHECK_H
#define HK_PASSES_CHECK_H

#include "ir/symbolic.h"
#include "passes/pass.h"

// A tload, tstore, fold or tatomic taken apart.
typedef struct Access {
    InstId inst;
    Mem mem;
    Span span;
    bool store, fold, atomic, unordered; // fold, atomic: stores as well
    uint32_t rank;
    uint32_t first; // operand that is index 0
    Value value;    // stored or folded; of a load its result
    Value mask;     // or 0
    AxisSet axes;   // of all operands
} Access;

bool access_of(const Func *f, InstId id, Access *out); // false: no access
// An index as it is where the access happens.
Poly access_poly(Sym *sym, const Access *access, uint32_t position);
Value access_index(const Func *f, const Access *access, uint32_t position);

typedef VEC(Access) AccessList;
// All accesses in a region, in program order.
void access_collect(Arena *arena, const Func *f, Region region, AccessList *out);

// The access as written (`a[i, k]`), else its tensor's name; one index as written, else as
// computed.
Str check_access_text(const PassContext *context, const Func *f, const Access *access);
Str check_index_text(const PassContext *context, Sym *sym, const Access *access, uint32_t position);
Str check_poly_text(const PassContext *context, const Sym *sym, Poly p);
// The name of an axis as the source has it: without the number that made it unique.
Str check_axis_name(const Func *f, Axis a);

// ---- examples (bounds_example.c)

typedef struct ExampleName {
    Str name;
    int64_t value;
} ExampleName;

typedef struct Example {
    ExampleName names[16]; // sizes first, then axes
    uint32_t name_count;
    int64_t index, size;
} Example;

// Small sizes and lanes for which the access happens and the index is out of bounds. Only claimed
// where everything that decides about it was evaluated: nothing that depends on data or scalar
// arguments.
bool example_find(Arena *arena, const Func *f, const Access *access, uint32_t position,
                  Example *out);

#endif
