// Bump allocation. Everything of one compilation lives in one arena and dies with it.
#ifndef HK_IR_BASE_ARENA_H
#define HK_IR_BASE_ARENA_H

#include <setjmp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// Host allocator: size 0 frees, p NULL allocates, as realloc. NULL members mean malloc's family.
typedef struct Allocator {
    void *(*resize)(void *self, void *p, size_t old_bytes, size_t new_bytes);
    void *self;
} Allocator;

typedef struct ArenaBlock ArenaBlock;

typedef struct Arena {
    Allocator allocator;
    ArenaBlock *blocks;    // newest first
    size_t used, capacity; // of the newest block
    size_t bytes_total;
    jmp_buf *out_of_memory; // where a failed allocation goes; NULL aborts. Set by `guarded`
} Arena;

void arena_init(Arena *arena, const Allocator *allocator); // allocator may be NULL
void arena_free(Arena *arena);                 // all blocks; the arena may be used again
void *arena_alloc(Arena *arena, size_t bytes); // zeroed, 16-byte aligned, never NULL
void *arena_copy(Arena *arena, const void *data, size_t bytes);

// Runs fn(job) so that a failed allocation in `arena` ends it early. False then.
bool guarded(Arena *arena, void (*fn)(void *), void *job);
// Runs fn(job), and cleanup(job) whether or not an allocation in `arena` failed; if one did, that
// goes on to who guards the caller. For what an arena does not hold: files, locks, foreign objects.
void arena_finally(Arena *arena, void (*fn)(void *), void (*cleanup)(void *), void *job);
_Noreturn void arena_fail(Arena *arena); // as an allocation that failed

#define arena_new(arena, T)      ((T *)arena_alloc((arena), sizeof(T)))
#define arena_array(arena, T, n) ((T *)arena_alloc((arena), sizeof(T) * (size_t)(n)))

#endif
