// The table of operations, made from ops.def, and the names that go with it.
#include "ir/ir.h"

enum { ARITY_0, ARITY_1, ARITY_2, ARITY_3 };

// ops.def writes traits without a prefix.
enum {
    PURE = TRAIT_PURE,
    COMM = TRAIT_COMM,
    READS = TRAIT_READS,
    WRITES = TRAIT_WRITES,
    REGION = TRAIT_REGION,
    END = TRAIT_END,
    TRAP = TRAIT_TRAP,
    EFFECT = TRAIT_EFFECT
};

const OpInfo op_info[OP_COUNT] = {
    [OP_NONE] = {.mnemonic = "none", .meaning = "no operation"},
#define OP(id, mnemonic, arity, rule, attr, levels, traits, meaning)                               \
    [OP_##id] = {mnemonic,    meaning,        ARITY_##arity, RULE_##rule,                          \
                 ATTR_##attr, LEVEL_##levels, traits},
#include "ir/ops.def"
};

_Static_assert(OP_COUNT <= UINT16_MAX, "Inst.op holds every Op");

const char *const reduce_name[REDUCE_COUNT] = {
    [REDUCE_SUM] = "sum",       [REDUCE_PROD] = "prod",     [REDUCE_MAX] = "max",
    [REDUCE_MIN] = "min",       [REDUCE_ANY] = "any",       [REDUCE_ALL] = "all",
    [REDUCE_ARGMAX] = "argmax", [REDUCE_ARGMIN] = "argmin", [REDUCE_AND] = "and",
    [REDUCE_OR] = "or",         [REDUCE_XOR] = "xor",
};

const char *const atomic_name[ATOMIC_COUNT] = {
    [REDUCE_SUM] = "sum", [REDUCE_PROD] = "prod", [REDUCE_MAX] = "max",
    [REDUCE_MIN] = "min", [REDUCE_AND] = "and",   [REDUCE_OR] = "or",
    [REDUCE_XOR] = "xor", [ATOMIC_XCHG] = "xchg", [ATOMIC_CAS] = "cas",
};

Op op_find(Str mnemonic)
{
    for (unsigned op = OP_NONE + 1; op < OP_COUNT; op++) {
        if (str_is(mnemonic, op_info[op].mnemonic)) return (Op)op;
    }
    return OP_NONE;
}
