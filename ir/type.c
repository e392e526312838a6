// The table of dtypes, made from dtypes.def.
#include "ir/type.h"

const DTypeInfo dtype_info[DTYPE_COUNT] = {
    [DTYPE_NONE] = {"none", 0, DCLASS_NONE, DTYPE_NONE},
#define DTYPE(id, name, bits, class_, arith)                                                       \
    [DTYPE_##id] = {name, bits, DCLASS_##class_, DTYPE_##arith},
#include "ir/dtypes.def"
};

DType dtype_find(Str name)
{
    for (unsigned t = DTYPE_NONE + 1; t < DTYPE_COUNT; t++) {
        if (str_is(name, dtype_info[t].name)) return (DType)t;
    }
    return DTYPE_NONE;
}
