// Blocks of memory; see block.h.
#include "runtime/block.h"

#include <sys/mman.h>

static const size_t HUGE_PAGE = (size_t)2 << 20;

// A first touch of a small page costs forty times as much per byte as of a huge one.
bool block_new(Block *block, const Allocator *allocator, size_t bytes)
{
    *block = (Block){0};
    bool large = bytes >= HUGE_PAGE / 2;
    size_t unit = large ? HUGE_PAGE : BLOCK_ALIGN;
    if (bytes > PTRDIFF_MAX / 2) return false;
    bytes = (bytes + unit - 1) / unit * unit;
    size_t allocated_bytes = bytes + unit;
    char *allocated = allocator->resize(allocator->self, NULL, 0, allocated_bytes);
    if (!allocated) return false;
    char *data = allocated + (unit - (uintptr_t)allocated % unit) % unit;
    if (large) (void)madvise(data, bytes, MADV_HUGEPAGE); // only advice: without it all is slower
    *block = (Block){data, bytes, allocated, allocated_bytes};
    return true;
}

void block_free(Block *block, const Allocator *allocator)
{
    if (block->allocated)
        allocator->resize(allocator->self, block->allocated, block->allocated_bytes, 0);
    *block = (Block){0};
}
