// An object file in memory, made runnable without LLVM.
#ifndef HK_BACKENDS_LLVM_OBJECT_H
#define HK_BACKENDS_LLVM_OBJECT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ir/frame.h"

typedef struct Object {
    void *memory; // read and execute; NULL: none
    size_t bytes;
} Object;

typedef void *ObjectResolver(const char *name); // of a function outside; NULL: unknown

// Fills in the addresses of the named functions. False, with nothing left, if the file is not of
// this machine, is damaged, or holds what this loader does not know. `file` is 8-byte aligned.
bool object_load(Object *object, const void *file, size_t bytes, ObjectResolver *resolve,
                 const char *const *names, PhaseFn **out, uint32_t count);
void object_unload(Object *object);

#endif
