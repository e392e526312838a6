// Sources of what is known of this machine; see sources.h.
//
// hwloc is opened at run time, so that nothing needs it, and asked for its topology as XML, since
// its structs differ from version to version.
#include "runtime/sources.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#if defined(__x86_64__)
#include <cpuid.h>
#endif

enum { KIB = 1024, MIB = 1024 * 1024 };

static bool read_cache_file(int index, const char *name, char *line, int bytes)
{
    char path[128];
    snprintf(path, sizeof path, "/sys/devices/system/cpu/cpu0/cache/index%d/%s", index, name);
    FILE *file = fopen(path, "r");
    if (!file) return false;
    bool ok = fgets(line, bytes, file) != NULL;
    fclose(file);
    return ok;
}

// Sizes are "512K".
static void ask_sysfs(MachineSource *s)
{
    char line[64];
    for (int index = 0; read_cache_file(index, "level", line, sizeof line); index++) {
        int level = atoi(line);
        if (level < 1 || level > CACHE_LEVELS) continue;
        if (!read_cache_file(index, "type", line, sizeof line) || line[0] == 'I') continue;
        if (!read_cache_file(index, "size", line, sizeof line)) continue;
        char *end = line;
        int64_t bytes = strtoll(line, &end, 10);
        s->cache[level - 1] = bytes * (*end == 'K' ? KIB : *end == 'M' ? MIB : 1);
    }
}

#if defined(__x86_64__)
// Leaf 4 of Intel's, of which AMD's 0x8000001d is a copy: one cache a subleaf.
static void ask_cpuid(MachineSource *s)
{
    static const unsigned leaves[] = {4, 0x8000001du};
    for (size_t k = 0; k < 2; k++) {
        unsigned a, b, c, d;
        for (unsigned sub = 0; sub < 16 && __get_cpuid_count(leaves[k], sub, &a, &b, &c, &d);
             sub++) {
            unsigned type = a & 31, level = a >> 5 & 7;
            if (type == 0) break;
            if (type == 2 || level < 1 || level > CACHE_LEVELS) continue; // of instructions
            int64_t ways = (b >> 22) + 1, parts = (b >> 12 & 1023) + 1, line = (b & 4095) + 1;
            s->cache[level - 1] = ways * parts * line * ((int64_t)c + 1);
        }
        if (s->cache[0]) return;
    }
}
#else
static void ask_cpuid(MachineSource *s)
{
    (void)s;
}
#endif

static void ask_sysconf(MachineSource *s)
{
    static const int names[CACHE_LEVELS] = {_SC_LEVEL1_DCACHE_SIZE, _SC_LEVEL2_CACHE_SIZE,
                                            _SC_LEVEL3_CACHE_SIZE};
    for (int k = 0; k < CACHE_LEVELS; k++) {
        long bytes = sysconf(names[k]);
        s->cache[k] = bytes > 0 ? bytes : 0;
    }
    long online = sysconf(_SC_NPROCESSORS_ONLN);
    s->cpus = online > 0 ? (unsigned)online : 0;
}

// ---- hwloc

typedef struct Hwloc { // its functions, by their names without hwloc_
    int (*topology_init)(void **);
    int (*topology_load)(void *);
    int (*topology_export_xmlbuffer)(void *, char **, int *, unsigned long);
    void (*free_xmlbuffer)(void *, char *);
    void (*topology_destroy)(void *);
} Hwloc;

static bool open_hwloc(Hwloc *api)
{
    static const char *const files[] = {"libhwloc.so.15", "libhwloc.so"}; // 15: versions 2.x
    void *library = NULL;
    for (size_t k = 0; !library && k < 2; k++) library = dlopen(files[k], RTLD_NOW | RTLD_LOCAL);
    if (!library) return false;
    bool whole = true;
#define FIND(function)                                                                             \
    do {                                                                                           \
        void *symbol = dlsym(library, "hwloc_" #function);                                         \
        memcpy(&api->function, &symbol, sizeof symbol);                                            \
        whole = whole && symbol;                                                                   \
    } while (0)
    FIND(topology_init);
    FIND(topology_load);
    FIND(topology_export_xmlbuffer);
    FIND(free_xmlbuffer);
    FIND(topology_destroy);
#undef FIND
    return whole; // the library stays open, as others' users may have it too
}

// <object type="L2Cache" ... cache_size="2097152" ...>, <object type="PU" ...>. The first of a
// level is that of the first CPU.
static void read_topology(MachineSource *s, const char *xml)
{
    static const char object[] = "<object type=\"", size[] = "cache_size=\"";
    for (const char *at = xml; (at = strstr(at, object));) {
        at += strlen(object);
        s->cpus += strncmp(at, "PU\"", 3) == 0;
        if (at[0] != 'L' || strncmp(at + 2, "Cache\"", 6) != 0) continue;
        int level = at[1] - '0';
        const char *end = strchr(at, '>'), *bytes = strstr(at, size);
        if (level < 1 || level > CACHE_LEVELS || s->cache[level - 1]) continue;
        if (bytes && end && bytes < end)
            s->cache[level - 1] = strtoll(bytes + strlen(size), NULL, 10);
    }
}

static void ask_hwloc(MachineSource *s)
{
    Hwloc api;
    void *topology;
    char *xml;
    int length;
    if (!open_hwloc(&api) || api.topology_init(&topology) != 0) return;
    if (api.topology_load(topology) == 0 &&
        api.topology_export_xmlbuffer(topology, &xml, &length, 0) == 0) {
        read_topology(s, xml);
        api.free_xmlbuffer(topology, xml);
    }
    api.topology_destroy(topology);
}

// ---- all of them

uint32_t sources_ask(MachineSource *sources, bool all)
{
    static const struct {
        const char *name;
        void (*ask)(MachineSource *);
    } known[SOURCES_MAX] = {
        {"sysfs", ask_sysfs}, {"CPUID", ask_cpuid}, {"sysconf", ask_sysconf}, {"hwloc", ask_hwloc}};
    uint32_t count = all ? SOURCES_MAX : SOURCES_MAX - 1;
    for (uint32_t k = 0; k < count; k++) {
        sources[k] = (MachineSource){.name = known[k].name};
        known[k].ask(&sources[k]);
    }
    return count;
}

int64_t sources_cache(const MachineSource *sources, uint32_t count, int level, const char **from)
{
    for (uint32_t k = 0; k < count; k++) {
        *from = sources[k].name;
        if (sources[k].cache[level - 1]) return sources[k].cache[level - 1];
    }
    *from = NULL;
    return 0;
}
