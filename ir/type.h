// Types of values: a dtype, a set of named axes (Tile IR) or a number of lanes (Loop IR).
#ifndef HK_IR_TYPE_H
#define HK_IR_TYPE_H

#include "ir/base/str.h"

enum { RANK_MAX = 8 }; // of tensors

typedef enum DType {
    DTYPE_NONE, // no value
#define DTYPE(id, name, bits, class_, arith) DTYPE_##id,
#include "ir/dtypes.def"
    DTYPE_COUNT
} DType;

typedef enum DClass { DCLASS_NONE, DCLASS_BOOL, DCLASS_INT, DCLASS_UINT, DCLASS_FLOAT } DClass;

typedef struct DTypeInfo {
    const char *name;
    uint8_t bits; // in memory; bool is a byte holding 0 or 1
    DClass class_;
    DType arith; // what a load widens to; a DType is an arithmetic type if it is its own
} DTypeInfo;

extern const DTypeInfo dtype_info[DTYPE_COUNT];

DType dtype_find(Str name); // DTYPE_NONE if there is none
static inline bool dtype_is_float(DType t)
{
    return dtype_info[t].class_ == DCLASS_FLOAT;
}
static inline bool dtype_is_int(DType t)
{
    return dtype_info[t].class_ == DCLASS_INT || dtype_info[t].class_ == DCLASS_UINT;
}
static inline bool dtype_is_arith(DType t)
{
    return t != DTYPE_NONE && dtype_info[t].arith == t;
}
// Bytes of `count` consecutive elements of one line; sub-byte types round up.
static inline int64_t dtype_bytes(DType t, int64_t count)
{
    return (count * dtype_info[t].bits + 7) / 8;
}

// A set of axes of one Func: bit a.i is axis a. Axis 0 is "none", so bit 0 is never set.
typedef uint64_t AxisSet;

typedef struct Type {
    uint8_t dtype; // DType; arithmetic types only, but for Loop IR's load, store and conversions
    uint8_t unused;
    uint16_t lanes; // Loop IR: 0 is a scalar, else a vector of that many lanes. Tile IR: always 0.
    AxisSet axes;   // Tile IR only
} Type;

static inline Type type_scalar(DType t)
{
    return (Type){.dtype = (uint8_t)t};
}
static inline Type type_tile(DType t, AxisSet axes)
{
    return (Type){.dtype = (uint8_t)t, .axes = axes};
}
static inline Type type_vector(DType t, unsigned lanes)
{
    return (Type){.dtype = (uint8_t)t, .lanes = (uint16_t)lanes};
}
static inline bool type_equal(Type a, Type b)
{
    return a.dtype == b.dtype && a.lanes == b.lanes && a.axes == b.axes;
}

#endif
