// The thread pool: every unit once, whatever the threads, chunks and callers.
#include "runtime/threads.h"

#include <check.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "runtime/cpus.h"
#include "tests/unit/suite.h"

static Pool *new_pool(unsigned threads)
{
    Arena arena; // has malloc's family
    arena_init(&arena, NULL);
    return pool_new(threads, &arena.allocator);
}

typedef struct Count {
    atomic_uchar *hits; // [units]
    Pool *pool;         // for the nested run
    size_t scratch_bytes;
    int depth;
} Count;

static void mark(void *context, int64_t begin, int64_t end, void *scratch)
{
    Count *count = context;
    ck_assert_int_lt(begin, end);
    ck_assert_uint_eq((uintptr_t)scratch % 64, 0);
    if (count->scratch_bytes) memset(scratch, 1, count->scratch_bytes);
    for (int64_t i = begin; i < end; i++) atomic_fetch_add(&count->hits[i], 1);
}

static void run_and_count(Pool *pool, PoolJob job, size_t scratch_bytes)
{
    Count count = {.hits = calloc((size_t)job.units + 1, 1), .scratch_bytes = scratch_bytes};
    job.fn = mark;
    job.context = &count;
    job.scratch_bytes = scratch_bytes;
    ck_assert(pool_run(pool, &job));
    for (int64_t i = 0; i < job.units; i++) ck_assert_int_eq(count.hits[i], 1);
    ck_assert_int_eq(count.hits[job.units], 0);
    free(count.hits);
}

START_TEST(each_unit_runs_once)
{
    const int64_t units[] = {0, 1, 2, 3, 7, 64, 1000, 4097}, chunks[] = {0, 1, 2, 5, 1000, 5000};
    for (unsigned threads = 1; threads <= 5; threads++) {
        Pool *pool = new_pool(threads);
        ck_assert_uint_eq(pool_threads(pool), threads);
        for (unsigned u = 0; u < 8; u++) {
            for (unsigned c = 0; c < 6; c++) {
                for (unsigned max = 0; max < 4; max++) {
                    run_and_count(
                        pool, (PoolJob){.units = units[u], .chunk = chunks[c], .threads_max = max},
                        0);
                }
            }
        }
        pool_free(pool);
    }
}
END_TEST

START_TEST(scratch_grows_and_stays)
{
    Pool *pool = new_pool(3);
    const size_t bytes[] = {1, 64, 65, 5000, (size_t)3 << 20, 100};
    for (unsigned i = 0; i < 6; i++)
        run_and_count(pool, (PoolJob){.units = 40, .chunk = 1}, bytes[i]);
    pool_free(pool);
}
END_TEST

START_TEST(impossible_scratch_is_refused)
{
    Pool *pool = new_pool(2);
    Count count = {.hits = calloc(4, 1)};
    PoolJob job = {
        .fn = mark, .context = &count, .units = 4, .chunk = 1, .scratch_bytes = SIZE_MAX / 2};
    ck_assert(!pool_run(pool, &job));
    for (unsigned i = 0; i < 4; i++) ck_assert_int_eq(count.hits[i], 0);
    free(count.hits);
    run_and_count(pool, (PoolJob){.units = 10, .chunk = 1}, 10);
    pool_free(pool);
}
END_TEST

START_TEST(many_short_runs)
{
    Pool *pool = new_pool(2);
    for (unsigned i = 0; i < 2000; i++) run_and_count(pool, (PoolJob){.units = 8, .chunk = 1}, 0);
    struct timespec pause = {.tv_nsec = 20000000}; // long enough for the worker to fall asleep
    for (unsigned i = 0; i < 5; i++) {
        nanosleep(&pause, NULL);
        run_and_count(pool, (PoolJob){.units = 8, .chunk = 1}, 0);
    }
    pool_free(pool);
}
END_TEST

static void *call_often(void *argument)
{
    for (unsigned i = 0; i < 300; i++)
        run_and_count(argument, (PoolJob){.units = 50, .chunk = 3}, 128);
    return NULL;
}

START_TEST(several_callers)
{
    Pool *pool = new_pool(3);
    pthread_t callers[4];
    for (unsigned i = 0; i < 4; i++) pthread_create(&callers[i], NULL, call_often, pool);
    for (unsigned i = 0; i < 4; i++) pthread_join(callers[i], NULL);
    pool_free(pool);
}
END_TEST

static void run_inside(void *context, int64_t begin, int64_t end, void *scratch)
{
    Count *count = context;
    (void)scratch;
    for (int64_t i = begin; i < end; i++) {
        run_and_count(count->pool, (PoolJob){.units = 9, .chunk = 2}, 64);
        atomic_fetch_add(&count->hits[i], 1);
    }
}

START_TEST(runs_nest)
{
    Pool *pool = new_pool(2);
    Count count = {.hits = calloc(20, 1), .pool = pool};
    PoolJob job = {.fn = run_inside, .context = &count, .units = 20, .chunk = 1};
    ck_assert(pool_run(pool, &job));
    for (unsigned i = 0; i < 20; i++) ck_assert_int_eq(count.hits[i], 1);
    free(count.hits);
    pool_free(pool);
}
END_TEST

typedef struct Places {
    pthread_t caller;
    int cpu;
    atomic_int workers, beside; // units that workers ran, those of them on the caller's CPU
} Places;

static void note_place(void *context, int64_t begin, int64_t end, void *scratch)
{
    Places *places = context;
    (void)begin, (void)end, (void)scratch;
    if (!pthread_equal(pthread_self(), places->caller)) {
        atomic_fetch_add(&places->workers, 1);
        if (sched_getcpu() == places->cpu) atomic_fetch_add(&places->beside, 1);
        return;
    }
    for (int spin = 0; spin < 10000 && !atomic_load(&places->workers); spin++) sched_yield();
}

START_TEST(workers_leave_the_callers_cpu)
{
    cpu_set_t allowed;
    ck_assert(sched_getaffinity(0, sizeof allowed, &allowed) == 0);
    Pool *pool = new_pool(0);
    bool pinned = pool_threads(pool) > 1 && (int)pool_threads(pool) == CPU_COUNT(&allowed);
    for (int cpu = 0; cpu < CPU_SETSIZE && pinned; cpu++) {
        if (!CPU_ISSET(cpu, &allowed)) continue;
        cpu_set_t one;
        CPU_ZERO(&one);
        CPU_SET(cpu, &one);
        ck_assert(sched_setaffinity(0, sizeof one, &one) == 0);
        Places places = {.caller = pthread_self(), .cpu = cpu};
        PoolJob job = {.fn = note_place, .context = &places, .units = 64, .chunk = 1};
        for (int run = 0; run < 1000 && !atomic_load(&places.workers); run++)
            ck_assert(pool_run(pool, &job));
        ck_assert_int_gt(places.workers, 0);
        ck_assert_int_eq(places.beside, 0);
    }
    ck_assert(sched_setaffinity(0, sizeof allowed, &allowed) == 0);
    pool_free(pool);
}
END_TEST

START_TEST(pools_come_and_go)
{
    for (unsigned i = 0; i < 100; i++) pool_free(new_pool(4));
    pool_free(NULL);
    Pool *pool = new_pool(0);
    ck_assert_uint_eq(pool_threads(pool), cpus_available());
    pool_free(pool);
}
END_TEST

int main(void)
{
    TCase *tests = tcase_create("pool");
    tcase_set_timeout(tests, 120);
    tcase_add_test(tests, each_unit_runs_once);
    tcase_add_test(tests, scratch_grows_and_stays);
    tcase_add_test(tests, impossible_scratch_is_refused);
    tcase_add_test(tests, many_short_runs);
    tcase_add_test(tests, several_callers);
    tcase_add_test(tests, runs_nest);
    tcase_add_test(tests, workers_leave_the_callers_cpu);
    tcase_add_test(tests, pools_come_and_go);
    return run_cases("threads", tests);
}
