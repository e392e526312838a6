// What the system's sources say of caches: the kernel's sysfs, the processor itself (CPUID), the C
// library (sysconf), and hwloc. Virtual machines hide some of them and let others be absurd.
#ifndef HK_RUNTIME_SOURCES_H
#define HK_RUNTIME_SOURCES_H

#include <stdbool.h>
#include <stdint.h>

enum { CACHE_LEVELS = 3, SOURCES_MAX = 4 };

typedef struct MachineSource {
    const char *name;
    int64_t cache[CACHE_LEVELS]; // bytes of the data cache of level 1, 2, 3; 0: it does not say
    unsigned cpus;               // 0: it does not say
} MachineSource;

// In order of trust. hwloc, the last, is asked only where `all` are wanted: it takes some ten
// milliseconds, and looks at the others itself. How many.
uint32_t sources_ask(MachineSource *sources, bool all);
// Bytes of the first source that says something of the level; 0: none does, and *from is NULL.
int64_t sources_cache(const MachineSource *sources, uint32_t count, int level, const char **from);

#endif
