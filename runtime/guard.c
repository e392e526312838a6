// Guarded memory; see guard.h. An access behind the data ends the process; one before it, or in the
// few bytes behind that alignment leaves, is found afterwards if it wrote.
//
//   | no access | known bytes ... data ... known bytes | no access |
#include "runtime/guard.h"

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { KNOWN = 0x5c };

static size_t page_bytes(void)
{
    return (size_t)sysconf(_SC_PAGESIZE);
}

bool guard_new(Guard *guard, size_t bytes, size_t align)
{
    size_t page = page_bytes(), inner = (bytes + align + page - 1) / page * page;
    *guard = (Guard){.map_bytes = inner + 2 * page, .bytes = bytes};
    char *map = mmap(NULL, guard->map_bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (map == MAP_FAILED) return false;
    if (mprotect(map + page, inner, PROT_READ | PROT_WRITE) != 0) {
        munmap(map, guard->map_bytes);
        return false;
    }
    memset(map + page, KNOWN, inner);
    guard->map = map;
    guard->data = map + page + inner - (bytes + align - 1) / align * align;
    return true;
}

void guard_free(Guard *guard)
{
    if (guard->map) munmap(guard->map, guard->map_bytes);
    *guard = (Guard){0};
}

static bool all_known(const char *from, const char *to)
{
    while (from < to && *from == KNOWN) from++;
    return from >= to;
}

bool guard_whole(const Guard *guard)
{
    if (!guard->map) return true;
    size_t page = page_bytes();
    const char *end = guard->map + guard->map_bytes - page;
    return all_known(guard->map + page, guard->data) && all_known(guard->data + guard->bytes, end);
}
