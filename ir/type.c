// The table of dtypes, made from dtypes.def.
#include "ir/type.h"

#include <string.h>

const DTypeInfo dtype_info[DTYPE_COUNT] = {
    [DTYPE_NONE] = {"none", 0, DCLASS_NONE, DTYPE_NONE},
#define DTYPE(id, name, bits, class_, arith)                                                       \
    [DTYPE_##id] = {name, bits, DCLASS_##class_, DTYPE_##arith},
#include "ir/dtypes.def"
};

DType dtype_find(Str name)
{
    for (unsigned t = DTYPE_NONE + 1; t < DTYPE_COUNT; t++) {
        const char *own = dtype_info[t].name;
        if (strlen(own) == name.length && !memcmp(own, name.data, name.length)) return (DType)t;
    }
    return DTYPE_NONE;
}
