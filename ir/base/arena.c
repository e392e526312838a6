// Bump allocation in growing blocks; see arena.h.
#include "ir/base/arena.h"

#include <stdlib.h>
#include <string.h>

enum { FIRST_BLOCK_BYTES = 64 * 1024, ALIGNMENT = 16 };

struct ArenaBlock {
    ArenaBlock *next;
    size_t bytes; // as allocated, header included
};

static void *default_resize(void *self, void *p, size_t old_bytes, size_t new_bytes)
{
    (void)self;
    (void)old_bytes;
    if (new_bytes == 0) {
        free(p);
        return NULL;
    }
    return realloc(p, new_bytes);
}

void arena_init(Arena *arena, const Allocator *allocator)
{
    *arena = (Arena){0};
    if (allocator && allocator->resize) arena->allocator = *allocator;
    else arena->allocator.resize = default_resize;
}

void arena_free(Arena *arena)
{
    for (ArenaBlock *block = arena->blocks; block;) {
        ArenaBlock *next = block->next;
        arena->allocator.resize(arena->allocator.self, block, block->bytes, 0);
        block = next;
    }
    arena->blocks = NULL;
    arena->used = arena->capacity = arena->bytes_total = 0;
}

static void add_block(Arena *arena, size_t bytes)
{
    size_t header = (sizeof(ArenaBlock) + ALIGNMENT - 1) & ~(size_t)(ALIGNMENT - 1);
    size_t want = arena->blocks ? arena->capacity * 2 : FIRST_BLOCK_BYTES;
    if (want > (size_t)64 << 20) want = (size_t)64 << 20;
    if (want < bytes + header) want = bytes + header;
    ArenaBlock *block = want < bytes ? NULL
        : arena->allocator.resize(arena->allocator.self, NULL, 0, want);
    if (!block) {
        if (arena->out_of_memory) longjmp(*arena->out_of_memory, 1);
        abort();
    }
    *block = (ArenaBlock){.next = arena->blocks, .bytes = want};
    arena->blocks = block;
    arena->used = header;
    arena->capacity = want;
    arena->bytes_total += want;
}

void *arena_alloc(Arena *arena, size_t bytes)
{
    size_t rounded = (bytes + ALIGNMENT - 1) & ~(size_t)(ALIGNMENT - 1);
    if (rounded < bytes) rounded = SIZE_MAX / 2; // overflow: fails in add_block
    if (!arena->blocks || arena->capacity - arena->used < rounded) add_block(arena, rounded);
    void *p = (char *)arena->blocks + arena->used;
    arena->used += rounded;
    return memset(p, 0, bytes);
}

void *arena_copy(Arena *arena, const void *data, size_t bytes)
{
    void *p = arena_alloc(arena, bytes);
    if (bytes) memcpy(p, data, bytes);
    return p;
}
