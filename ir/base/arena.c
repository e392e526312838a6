// Bump allocation in growing blocks; see arena.h.
#include "ir/base/arena.h"

#include <stdlib.h>
#include <string.h>

enum { ALIGNMENT = 16 };
#ifdef HAKO_ARENA_EXACT // for tests: a block for each allocation, so that each can fail
enum { FIRST_BLOCK_BYTES = 0, BLOCK_BYTES_MAX = 0 };
#else
enum { FIRST_BLOCK_BYTES = 64 << 10, BLOCK_BYTES_MAX = 64 << 20 };
#endif

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

_Noreturn void arena_fail(Arena *arena)
{
    if (arena->out_of_memory) longjmp(*arena->out_of_memory, 1);
    abort();
}

bool guarded(Arena *arena, void (*fn)(void *), void *job)
{
    jmp_buf here;
    jmp_buf *outer = arena->out_of_memory;
    arena->out_of_memory = &here;
    if (setjmp(here)) {
        arena->out_of_memory = outer;
        return false;
    }
    fn(job);
    arena->out_of_memory = outer;
    return true;
}

void arena_finally(Arena *arena, void (*fn)(void *), void (*cleanup)(void *), void *job)
{
    bool enough = guarded(arena, fn, job);
    cleanup(job);
    if (!enough) arena_fail(arena);
}

static void add_block(Arena *arena, size_t bytes)
{
    size_t header = (sizeof(ArenaBlock) + ALIGNMENT - 1) & ~(size_t)(ALIGNMENT - 1);
    size_t want = arena->blocks ? arena->capacity * 2 : FIRST_BLOCK_BYTES;
    if (want > BLOCK_BYTES_MAX) want = BLOCK_BYTES_MAX;
    if (want < bytes + header) want = bytes + header;
    ArenaBlock *block = want < bytes ? NULL
        : arena->allocator.resize(arena->allocator.self, NULL, 0, want);
    if (!block) arena_fail(arena);
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
