// What params.c and dims.c share: the parameters of one kernel while they are bound.
#ifndef HK_FRONTEND_PARAMS_H
#define HK_FRONTEND_PARAMS_H

#include "frontend/lower.h"

typedef struct Symbol {
    Str name;
    Span span;
    Value value; // {0}: not found yet
    bool wanted; // by a tensor that is there
    Str absent;  // else: a tensor that has it
} Symbol;

typedef struct Dim {  // one dimension as written; packs are spread
    const Node *node; // NULL: part of a pack
    Str name;         // of that part
    Span span;
} Dim;

typedef struct Param {
    const Node *node;
    const Given *given;
    Tensor *tensor; // NULL: a scalar
    bool is_result;
    uint32_t dim_count;
    Dim dims[RANK_MAX];
} Param;

typedef struct PackInfo {
    Str name;
    Span span;
    uint32_t rank;
    bool known;
} PackInfo;

typedef struct Params {
    Binding *binding;
    Env *env;
    VEC(Param) list;
    VEC(Symbol) symbols;
    VEC(PackInfo) packs;
    bool failed;
} Params;

bool param_is_scalar(const Param *p);
Thing absent_scalar(Lower *l, Str name, DType dtype);
Symbol *symbol_find(Params *ps, Str name);
void params_bind_dims(Lower *l, Params *ps);
void params_define_dims(Lower *l, Params *ps); // gives the dimensions their names
// The size that `node` says; a split one sets the parts of dimension d of t.
bool tensor_dim_size(Lower *l, Env *env, const Node *node, Tensor *t, uint32_t d, Value *size);
// Checks a promise on t before the called kernel's phases, and gives it a copy of t.
void lower_promise(Lower *l, Params *ps, Tensor *t, Refine kind, const Value *bounds);
// Refuses the launch, or the kernel if that is known now.
void params_require(Lower *l, Value ok, Span span, Str message);

#endif
