/* What the peers of `make bench` share: a program runs one case, `peer CASE NAME=VALUE...`, and
   prints its times as one line of JSON. Buffers lie on huge pages and are touched before anything
   is timed; the caller's loop is as the one of `hako bench`: one warm-up, then at least five runs
   and min_time seconds; the median counts. */
#ifndef HK_BENCH_PEER_H
#define HK_BENCH_PEER_H

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

enum { PEER_RUNS_LEAST = 5, PEER_RUNS_MOST = 100000, PEER_HUGE = 2 << 20 };

static int peer_argc;
static char **peer_argv;

/* The value of NAME=VALUE among the program's arguments. */
static inline const char *peer_text(const char *name, const char *otherwise)
{
    size_t length = strlen(name);
    for (int k = 2; k < peer_argc; k++)
        if (strncmp(peer_argv[k], name, length) == 0 && peer_argv[k][length] == '=')
            return peer_argv[k] + length + 1;
    return otherwise;
}

static inline int64_t peer_int(const char *name, int64_t otherwise)
{
    const char *text = peer_text(name, NULL);
    return text ? atoll(text) : otherwise;
}

static inline double peer_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static inline void *peer_alloc(size_t bytes)
{
    size_t rounded = (bytes + PEER_HUGE - 1) / PEER_HUGE * PEER_HUGE;
    void *p = aligned_alloc(PEER_HUGE, rounded ? rounded : PEER_HUGE);
    if (!p) exit(3);
    madvise(p, rounded, MADV_HUGEPAGE);
    memset(p, 0, rounded);
    return p;
}

/* count floats in -1 .. 1, without denormals. */
static inline float *peer_floats(size_t count)
{
    float *x = (float *)peer_alloc(count * sizeof(float));
    uint32_t state = 12345;
    for (size_t k = 0; k < count; k++) {
        state = state * 1664525u + 1013904223u;
        x[k] = (float)(state >> 8) / 8388608.0f - 1.0f;
    }
    return x;
}

static int peer_by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

/* Times body(self) and prints {"median_ms": ..., "fastest_ms": ..., "runs": ..., "detail": "..."}.
 */
static inline int peer_measure(void (*body)(void *self), void *self, const char *detail)
{
    double min_time = atof(peer_text("min_time", "0.3"));
    double *seconds = (double *)malloc(sizeof(double) * PEER_RUNS_MOST);
    size_t runs = 0;
    if (!seconds) return 3;
    body(self);
    double begin = peer_now();
    while (runs < PEER_RUNS_MOST) {
        double start = peer_now();
        body(self);
        double end = peer_now();
        seconds[runs++] = end - start;
        if (runs >= PEER_RUNS_LEAST && end - begin >= min_time) break;
    }
    qsort(seconds, runs, sizeof *seconds, peer_by_value);
    printf("{\"median_ms\": %.6f, \"fastest_ms\": %.6f, \"runs\": %zu, \"detail\": \"%s\"}\n",
           seconds[runs / 2] * 1e3, seconds[0] * 1e3, runs, detail);
    free(seconds);
    return 0;
}

#endif
