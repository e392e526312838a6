// How fast this machine moves memory: copies with ordinary and with streaming stores, and reads,
// of as many bytes as the kernel that is measured, on huge pages, in turns with its runs. A
// neighbour that takes bandwidth then takes it from both.
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

// LEAST_MOVED: in a round, so that threads that wait for each other do not count.
enum { LEAST_BYTES = 8 << 10, LEAST_MOVED = 16 << 20, MOST_BYTES = 256 << 20, LINE = 64 };

typedef enum Move { MOVE_COPY, MOVE_STREAM, MOVE_READ, MOVE_COUNT } Move;

typedef struct Mover {
    Bandwidth *owner;
    pthread_t id;
    char *from, *to;
    size_t bytes;
    float sink;
} Mover;

struct Bandwidth {
    uint32_t threads;
    size_t bytes;
    char *from, *to;
    Mover *movers;
    pthread_barrier_t barrier;
    Move move; // what all do next; MOVE_COUNT: end
    size_t times;
    double best[MOVE_COUNT]; // seconds
};

// The sum of all floats, in enough chains to hide the latency of an addition.
#define DEFINE_READ(name, width, attribute)                                                        \
    typedef float name##_lanes __attribute__((vector_size(width)));                                \
    attribute static float name(const char *from, size_t bytes)                                    \
    {                                                                                              \
        enum { CHAINS = 8 };                                                                       \
        name##_lanes sum[CHAINS] = {{0}};                                                          \
        const name##_lanes *at = (const name##_lanes *)(const void *)from;                         \
        for (size_t i = 0; i + CHAINS <= bytes / (width); i += CHAINS)                             \
            _Pragma("GCC unroll 8") for (int k = 0; k < CHAINS; k++) sum[k] += at[i + (size_t)k];  \
        for (int k = 1; k < CHAINS; k++) sum[0] += sum[k];                                         \
        return sum[0][0];                                                                          \
    }

DEFINE_READ(read_16, 16, )
#if defined(__x86_64__)
DEFINE_READ(read_32, 32, __attribute__((target("avx2"))))
DEFINE_READ(read_64, 64, __attribute__((target("avx512f"))))

__attribute__((target("avx512f"))) static void stream_64(char *to, const char *from, size_t bytes)
{
    for (size_t i = 0; i < bytes; i += LINE)
        _mm512_stream_si512((void *)(to + i), _mm512_load_si512(from + i));
    _mm_sfence();
}

static void stream_16(char *to, const char *from, size_t bytes)
{
    for (size_t i = 0; i < bytes; i += 16)
        _mm_stream_si128((__m128i *)(void *)(to + i),
                         _mm_load_si128((const __m128i *)(const void *)(from + i)));
    _mm_sfence();
}
#endif

static float read_all(const char *from, size_t bytes)
{
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx512f")) return read_64(from, bytes);
    if (__builtin_cpu_supports("avx2")) return read_32(from, bytes);
#endif
    return read_16(from, bytes);
}

static void stream(char *to, const char *from, size_t bytes)
{
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx512f"))
        stream_64(to, from, bytes);
    else
        stream_16(to, from, bytes);
#else
    memcpy(to, from, bytes);
#endif
}

static void move_part(Mover *m, Move move)
{
    for (size_t i = 0; i < m->owner->times; i++) {
        if (move == MOVE_COPY) memcpy(m->to, m->from, m->bytes);
        if (move == MOVE_STREAM) stream(m->to, m->from, m->bytes);
        if (move == MOVE_READ) m->sink += read_all(m->from, m->bytes);
    }
}

static void *mover_main(void *self)
{
    Mover *m = self;
    Bandwidth *b = m->owner;
    for (;;) {
        pthread_barrier_wait(&b->barrier);
        Move move = b->move;
        if (move == MOVE_COUNT) return NULL;
        move_part(m, move);
        pthread_barrier_wait(&b->barrier);
    }
}

static char *must_new(size_t bytes)
{
    char *data = memory_new(bytes);
    if (data) return data;
    fputs("hako: out of memory\n", stderr);
    exit(3);
}

Bandwidth *bandwidth_open(uint32_t threads, double bytes)
{
    if (threads < 1) threads = 1;
    size_t half = bytes / 2 > MOST_BYTES ? MOST_BYTES : (size_t)(bytes / 2);
    size_t part = (half / threads + LEAST_BYTES - 1) / LEAST_BYTES * LEAST_BYTES;
    if (part == 0) part = LEAST_BYTES;
    Bandwidth *b = must_alloc(sizeof *b);
    *b = (Bandwidth){.threads = threads,
                     .bytes = part * threads,
                     .from = must_new(part * threads),
                     .to = must_new(part * threads),
                     .movers = must_alloc(sizeof(Mover) * threads),
                     .times = 1,
                     .best = {1e30, 1e30, 1e30}};
    while (b->times * b->bytes < LEAST_MOVED) b->times *= 2;
    pthread_barrier_init(&b->barrier, NULL, threads);
    for (uint32_t t = 0; t < threads; t++) {
        b->movers[t] =
            (Mover){.owner = b, .from = b->from + t * part, .to = b->to + t * part, .bytes = part};
        if (!t || pthread_create(&b->movers[t].id, NULL, mover_main, &b->movers[t]) == 0) continue;
        fputs("hako: cannot start a thread\n", stderr);
        exit(3);
    }
    return b;
}

void bandwidth_round(Bandwidth *b)
{
    for (Move move = 0; move < MOVE_COUNT; move++) {
        b->move = move;
        double start = now_seconds();
        pthread_barrier_wait(&b->barrier);
        move_part(&b->movers[0], move);
        pthread_barrier_wait(&b->barrier);
        double seconds = (now_seconds() - start) / (double)b->times;
        if (seconds < b->best[move]) b->best[move] = seconds;
    }
}

void bandwidth_close(Bandwidth *b, Limits *limits)
{
    b->move = MOVE_COUNT;
    pthread_barrier_wait(&b->barrier);
    for (uint32_t t = 1; t < b->threads; t++) pthread_join(b->movers[t].id, NULL);
    limits->copy = 2.0 * (double)b->bytes / b->best[MOVE_COPY];
    limits->stream = 2.0 * (double)b->bytes / b->best[MOVE_STREAM];
    limits->read = (double)b->bytes / b->best[MOVE_READ];
    pthread_barrier_destroy(&b->barrier);
    free(b->from);
    free(b->to);
    free(b->movers);
    free(b);
}
