// Memory that shows when code leaves it: it ends where an inaccessible page begins, and what lies
// between its beginning and the inaccessible page before it is known by heart.
#ifndef HK_RUNTIME_GUARD_H
#define HK_RUNTIME_GUARD_H

#include <stdbool.h>
#include <stddef.h>

typedef struct Guard {
    char *map; // NULL: none
    size_t map_bytes;
    char *data; // as many bytes as were asked for
    size_t bytes;
} Guard;

// data is a multiple of `align`, a power of 2 up to 64. False without memory.
bool guard_new(Guard *guard, size_t bytes, size_t align);
void guard_free(Guard *guard);
bool guard_whole(const Guard *guard); // nothing was written beside the data

#endif
