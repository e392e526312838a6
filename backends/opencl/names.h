// Identifiers of the emitted source: readable, unique, never a word of OpenCL C.
#ifndef HK_BACKENDS_OPENCL_NAMES_H
#define HK_BACKENDS_OPENCL_NAMES_H

#include "ir/base/str.h"

typedef struct NameEntry {
    Str text;
    uint32_t next; // suffix to try next when the name is asked for again
} NameEntry;

typedef struct Names {
    Arena *arena;
    NameEntry *entries; // open addressing
    uint32_t count, capacity;
} Names;

// `wanted` itself if it is free and legal, else with a suffix: x, x_2, x_3; half_2.
Str ocl_names_make(Names *names, Str wanted);
// An identifier in `wanted`'s spirit, without regard to what is taken.
Str ocl_name_clean(Arena *arena, Str wanted);

#endif
