// Memory for a launch, from the host's allocator: on a line of its own, and on huge pages if large.
#ifndef HK_RUNTIME_BLOCK_H
#define HK_RUNTIME_BLOCK_H

#include "ir/base/arena.h"

enum { BLOCK_ALIGN = 64 };

typedef struct Block {
    void *data;      // BLOCK_ALIGN-byte aligned, not initialised; NULL: none
    size_t bytes;    // at least what was asked for
    void *allocated; // with what the allocator must be given back
    size_t allocated_bytes;
} Block;

// False, and no block, if there is no memory.
bool block_new(Block *block, const Allocator *allocator, size_t bytes);
void block_free(Block *block, const Allocator *allocator);

#endif
