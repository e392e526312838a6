// Small OpenCL C functions that the emitted kernels call, written out only when used.
#ifndef HK_BACKENDS_OPENCL_HELPERS_H
#define HK_BACKENDS_OPENCL_HELPERS_H

#include "ir/base/vec.h"
#include "ir/type.h"

typedef enum Helper {
#define HELPER(id, name, before, text) HELPER_##id,
#include "backends/opencl/helpers.def"
    HELPER_COUNT
} Helper;

typedef struct Helpers {
    Arena *arena;
    Buf text;      // the functions asked for so far, each once and after those it calls
    VEC(Str) have; // their names
} Helpers;

// Adds the helper for this type unless it is there; returns its name ("hk_max_f32",
// "hk_max_f32x4").
Str ocl_helper_need(Helpers *helpers, Helper helper, Type type);

// Notes that a function of this name is written. False: it was already.
bool ocl_helper_add(Helpers *helpers, Str name);

// How OpenCL C spells a type in registers: float, int4, ushort (codes of bf16). Vectors of bool are
// masks: int4.
Str ocl_ctype_register(Arena *arena, Type type);
// The element type of a memory; half for f16, uchar for bool and for what is packed.
const char *ocl_ctype_memory(DType t);

#endif
