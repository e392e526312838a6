// Times: of compiling, of repeated runs, and what this machine can do at most.
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#if defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>
#endif

#include "cli/cli.h"

void print_time_passes(FILE *out, const hk_exec *exec)
{
    double total = 0, ms = 0;
    const char *name;
    for (size_t i = 0; (name = hk_exec_timing(exec, i, &ms)) != NULL; i++) {
        fprintf(out, "%9.3f ms  %s\n", ms, name);
        total += ms;
    }
    fprintf(out, "%9.3f ms  in all\n", total);
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

Spread spread_of(double *seconds, size_t count)
{
    if (count == 0) return (Spread){0};
    qsort(seconds, count, sizeof *seconds, by_value);
    return (Spread){.median = count % 2 ? seconds[count / 2]
                                        : (seconds[count / 2 - 1] + seconds[count / 2]) / 2,
                    .low = seconds[count / 4],
                    .high = seconds[count - 1 - count / 4],
                    .fastest = seconds[0],
                    .runs = count};
}

// ---- the limit of arithmetic: independent multiply-adds in registers

// Short tries, so that some are not interrupted.
enum { ACCUMULATORS = 12, STEPS = 20000, REPEATS = 20 };

// A chain of multiply-adds for vectors of `bytes`, one for each register width. Returns the number
// of lanes. -std=c17 would not fuse them, so the function says that it may.
#define DEFINE_CHAIN(name, bytes, attribute)                                                       \
    typedef float name##_lanes __attribute__((vector_size(bytes)));                                \
    attribute __attribute__((optimize("fp-contract=fast"))) static int name(float *out)            \
    {                                                                                              \
        name##_lanes a[ACCUMULATORS] = {{0}}, x = a[0] + 0.999f, y = a[0] + 0.001f;                \
        for (int k = 1; k < ACCUMULATORS; k++) a[k] = a[k - 1] + 0.1f; /* or they would be one */  \
        for (int i = 0; i < STEPS; i++) {                                                          \
            _Pragma("GCC unroll 12") for (int k = 0; k < ACCUMULATORS; k++) a[k] = a[k] * x + y;   \
        }                                                                                          \
        for (int k = 1; k < ACCUMULATORS; k++) a[0] += a[k];                                       \
        memcpy(out, &a[0], sizeof a[0]);                                                           \
        return (bytes) / 4;                                                                        \
    }

DEFINE_CHAIN(chain_16, 16, )
#if defined(__x86_64__)
DEFINE_CHAIN(chain_32, 32, __attribute__((target("avx2,fma"))))
DEFINE_CHAIN(chain_64, 64, __attribute__((target("avx512f"))))
#endif

// Returns how many operations were done.
static double multiply_add(float *out)
{
    int lanes;
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx512f"))
        lanes = chain_64(out);
    else if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
        lanes = chain_32(out);
    else
        lanes = chain_16(out);
#else
    lanes = chain_16(out);
#endif
    return 2.0 * lanes * ACCUMULATORS * STEPS;
}

// ---- the same in tile registers: four sums of 16 by 16

#if defined(__x86_64__) && defined(__linux__)
enum { TILE_STEPS = 20000, TILE_OPERATIONS = 2 * 16 * 16 * 32, TILE_DATA = 18 };

// Whether the process, that is the library, has asked Linux for them and got them.
static bool has_tiles(void)
{
    enum { GET_PERMISSION = 0x1022 };
    uint64_t granted = 0;
    return !syscall(SYS_arch_prctl, GET_PERMISSION, &granted) && (granted >> TILE_DATA & 1);
}

static double multiply_tiles(float *out)
{
    struct {
        uint8_t palette, start, none[14];
        uint16_t bytes[16];
        uint8_t rows[16];
    } shape = {.palette = 1};
    (void)out;
    for (int k = 0; k < 8; k++) shape.bytes[k] = 64, shape.rows[k] = 16;
    __asm__ volatile("ldtilecfg %0\n tilezero %%tmm4\n tilezero %%tmm5" ::"m"(shape));
    for (int i = 0; i < TILE_STEPS; i++)
        __asm__ volatile("tdpbf16ps %tmm4, %tmm5, %tmm0\n tdpbf16ps %tmm4, %tmm5, %tmm1\n"
                         "tdpbf16ps %tmm4, %tmm5, %tmm2\n tdpbf16ps %tmm4, %tmm5, %tmm3");
    __asm__ volatile("tilerelease");
    return 4.0 * TILE_OPERATIONS * TILE_STEPS;
}
#else
static bool has_tiles(void)
{
    return false;
}

static double multiply_tiles(float *out)
{
    return multiply_add(out);
}
#endif

typedef struct Probe {
    pthread_barrier_t *barrier;
    double (*work)(float *out);
    double flops, seconds; // the best of REPEATS
    float sink[16];
} Probe;

static void *run_probe(void *self)
{
    Probe *p = self;
    p->seconds = 1e30;
    for (int r = 0; r < REPEATS; r++) {
        pthread_barrier_wait(p->barrier);
        double start = now_seconds();
        p->flops = p->work(p->sink);
        double seconds = now_seconds() - start;
        if (seconds < p->seconds) p->seconds = seconds;
    }
    return NULL;
}

static double measure(uint32_t threads, double (*work)(float *out))
{
    if (threads < 1) threads = 1;
    Probe *probes = must_alloc(sizeof(Probe) * threads);
    pthread_t *ids = must_alloc(sizeof(pthread_t) * threads);
    pthread_barrier_t barrier;
    pthread_barrier_init(&barrier, NULL, threads);
    uint32_t started = 1;
    for (uint32_t t = 0; t < threads; t++) probes[t] = (Probe){.barrier = &barrier, .work = work};
    for (; started < threads; started++) {
        if (pthread_create(&ids[started], NULL, run_probe, &probes[started]) != 0) break;
    }
    if (started < threads) return 0; // those that run wait for ever, so their memory stays
    run_probe(&probes[0]);
    for (uint32_t t = 1; t < threads; t++) pthread_join(ids[t], NULL);
    double flops = 0;
    for (uint32_t t = 0; t < threads; t++) flops += probes[t].flops / probes[t].seconds;
    pthread_barrier_destroy(&barrier);
    free(probes);
    free(ids);
    return flops;
}

double flops_measure(uint32_t threads)
{
    return measure(threads, multiply_add);
}

double tiles_measure(uint32_t threads)
{
    return has_tiles() ? measure(threads, multiply_tiles) : 0;
}
