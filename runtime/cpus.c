// Affinity and control groups. A container may see 64 CPUs and own the time of 2: more threads than
// that would only be throttled.
#include "runtime/cpus.h"

#include <limits.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static unsigned affinity_count(void)
{
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) == 0) return (unsigned)CPU_COUNT(&set);
    long online = sysconf(_SC_NPROCESSORS_ONLN); // more CPUs than the set can name
    return online > 0 ? (unsigned)online : 1;
}

static bool read_line(const char *path, char *line, int bytes)
{
    FILE *file = fopen(path, "r");
    if (!file) return false;
    bool ok = fgets(line, bytes, file) != NULL;
    fclose(file);
    return ok;
}

// CPUs allowed by "quota period" in microseconds, rounded up; UINT_MAX if there is no limit.
static unsigned quota_cpus(double quota, double period)
{
    if (!(quota > 0) || !(period > 0)) return UINT_MAX;
    double cpus = quota / period;
    unsigned whole = cpus < 65536 ? (unsigned)cpus : 65536;
    return whole + (cpus > whole ? 1 : 0);
}

static unsigned limit_v2(const char *folder)
{
    char path[PATH_MAX], line[128], quota[64];
    double period;
    snprintf(path, sizeof path, "/sys/fs/cgroup%s/cpu.max", folder);
    if (!read_line(path, line, sizeof line) || sscanf(line, "%63s %lf", quota, &period) != 2)
        return UINT_MAX;
    return strcmp(quota, "max") == 0 ? UINT_MAX : quota_cpus(atof(quota), period);
}

static unsigned limit_v1(const char *folder)
{
    char path[PATH_MAX], quota[64], period[64];
    snprintf(path, sizeof path, "/sys/fs/cgroup/cpu%s/cpu.cfs_quota_us", folder);
    if (!read_line(path, quota, sizeof quota)) return UINT_MAX;
    snprintf(path, sizeof path, "/sys/fs/cgroup/cpu%s/cpu.cfs_period_us", folder);
    if (!read_line(path, period, sizeof period)) return UINT_MAX;
    return quota_cpus(atof(quota), atof(period));
}

// The group itself and all above it, up to the root (which a container sees as its own).
static unsigned limit_chain(char *folder, unsigned (*limit)(const char *))
{
    unsigned least = UINT_MAX;
    for (;;) {
        unsigned own = limit(folder);
        least = own < least ? own : least;
        char *slash = strrchr(folder, '/');
        if (!slash) return least;
        *slash = 0;
    }
}

static unsigned cgroup_limit(void)
{
    char line[PATH_MAX];
    unsigned least = UINT_MAX;
    FILE *file = fopen("/proc/self/cgroup", "r");
    if (!file) return least;
    while (fgets(line, sizeof line, file)) { // "0::/folder" or "4:cpu,cpuacct:/folder"
        line[strcspn(line, "\n")] = 0;
        char *controllers = strchr(line, ':');
        char *folder = controllers ? strchr(controllers + 1, ':') : NULL;
        if (!folder) continue;
        *folder++ = 0;
        bool is_v2 = controllers[1] == 0, is_cpu = strncmp(controllers + 1, "cpu", 3) == 0;
        if (!is_v2 && !is_cpu) continue;
        unsigned limit = limit_chain(folder, is_v2 ? limit_v2 : limit_v1);
        least = limit < least ? limit : least;
    }
    fclose(file);
    return least;
}

unsigned cpus_available(void)
{
    unsigned count = affinity_count(), limit = cgroup_limit();
    if (limit < count) count = limit;
    return count ? count : 1;
}
