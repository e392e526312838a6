// Workers join a job by a ticket, so a run never waits for a worker that is still asleep: the
// caller takes chunks itself, closes the job, and waits only for those who joined.
//
// Each thread begins with a part of the units that is its own, the same in each run of a job: what
// it wrote and packed is still in its cache. Who is done takes chunks of the other parts.
//
// Laws: job fields are written only while the job is closed and nobody has joined; `ticket` (the
// number of the job, the places left, whether it is open) is changed by compare-and-swap only,
// which orders everything else.
#include "runtime/threads.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

#include "runtime/block.h"
#include "runtime/cpus.h"

enum { LINE = 64, SPINS = 20000, SPARES = 8 };

typedef struct Spare { // scratch of a caller that runs alone while another holds the pool
    atomic_flag busy;
    Block scratch;
} Spare;

typedef struct Part {
    _Alignas(LINE) atomic_int_fast64_t next; // first unit not yet taken
    int64_t end;
} Part;

typedef struct Worker {
    Part part;
    Pool *pool;
    unsigned index; // of its part; that of the caller is 0
    pthread_t thread;
    int cpu; // that it is pinned to
    Block scratch;
} Worker;

// Ticket: job number in the high half; then places left for workers; lowest bit: open.
#define TICKET_OPEN  ((uint64_t)1)
#define TICKET_PLACE ((uint64_t)2)
#define TICKET_JOB   ((uint64_t)1 << 32)

struct Pool {
    Part part; // the caller's
    _Alignas(LINE) atomic_uint_fast64_t ticket;
    atomic_uint finished; // workers that joined and are done
    _Alignas(LINE) atomic_flag busy;
    PoolJob job;
    unsigned parts;
    atomic_uint sleepers;
    atomic_bool caller_sleeps, quit;
    pthread_mutex_t mutex;
    pthread_cond_t wake, done;
    unsigned spins, worker_count;
    bool pinned;
    int caller_cpu; // that no worker is pinned to
    Block own; // that this lies in
    Allocator allocator;
    Block scratch; // of the caller that holds `busy`
    Spare spares[SPARES];
    Worker workers[];
};

static void pause_cpu(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

static bool scratch_reserve(Block *scratch, const Allocator *allocator, size_t bytes)
{
    if (bytes <= scratch->bytes) return true;
    Block larger;
    if (!block_new(&larger, allocator, bytes)) return false;
    block_free(scratch, allocator);
    *scratch = larger;
    return true;
}

static Part *part_at(Pool *pool, unsigned index)
{
    return index ? &pool->workers[index - 1].part : &pool->part;
}

static void take_chunks(Pool *pool, unsigned own, void *scratch)
{
    const PoolJob *job = &pool->job;
    for (unsigned k = 0; k < pool->parts; k++) {
        Part *part = part_at(pool, (own + k) % pool->parts);
        for (;;) {
            int64_t begin =
                atomic_fetch_add_explicit(&part->next, job->chunk, memory_order_relaxed);
            if (begin >= part->end) break;
            int64_t left = part->end - begin;
            job->fn(job->context, begin, begin + (left < job->chunk ? left : job->chunk), scratch);
        }
    }
}

// ---- workers

// One of the job's places, unless it is closed or full.
static bool join_job(Pool *pool, uint64_t *seen)
{
    uint64_t ticket = atomic_load_explicit(&pool->ticket, memory_order_acquire);
    for (;;) {
        *seen = ticket / TICKET_JOB;
        uint64_t places = (ticket % TICKET_JOB) / TICKET_PLACE;
        if (!(ticket & TICKET_OPEN) || places == 0) return false;
        if (atomic_compare_exchange_weak_explicit(&pool->ticket, &ticket, ticket - TICKET_PLACE,
                                                  memory_order_acq_rel, memory_order_acquire)) {
            return true;
        }
    }
}

static void work_once(Worker *worker)
{
    Pool *pool = worker->pool;
    // A worker without memory leaves the units to the others; the caller has its own.
    if (scratch_reserve(&worker->scratch, &pool->allocator, pool->job.scratch_bytes))
        take_chunks(pool, worker->index, worker->scratch.data);
    atomic_fetch_add(&pool->finished, 1);
    if (!atomic_load(&pool->caller_sleeps)) return;
    pthread_mutex_lock(&pool->mutex);
    pthread_cond_signal(&pool->done);
    pthread_mutex_unlock(&pool->mutex);
}

static bool has_news(Pool *pool, uint64_t seen)
{
    return atomic_load(&pool->quit) || atomic_load(&pool->ticket) / TICKET_JOB != seen;
}

static void wait_for_job(Pool *pool, uint64_t seen)
{
    for (unsigned i = 0; i < pool->spins; i++) {
        if (has_news(pool, seen)) return;
        pause_cpu();
    }
    pthread_mutex_lock(&pool->mutex);
    atomic_fetch_add(&pool->sleepers, 1);
    while (!has_news(pool, seen)) pthread_cond_wait(&pool->wake, &pool->mutex);
    atomic_fetch_sub(&pool->sleepers, 1);
    pthread_mutex_unlock(&pool->mutex);
}

static void *worker_main(void *argument)
{
    Worker *worker = argument;
    Pool *pool = worker->pool;
    uint64_t seen = 0;
    while (!atomic_load(&pool->quit)) {
        if (join_job(pool, &seen))
            work_once(worker);
        else
            wait_for_job(pool, seen);
    }
    return NULL;
}

// ---- the caller

static void open_job(Pool *pool, const PoolJob *job, unsigned places)
{
    pool->job = *job;
    pool->parts = places + 1;
    int64_t begin = 0;
    for (unsigned k = 0; k < pool->parts; k++) { // sizes differ by one at most
        Part *part = part_at(pool, k);
        part->end = begin + job->units / pool->parts + (k < job->units % pool->parts);
        atomic_store_explicit(&part->next, begin, memory_order_relaxed);
        begin = part->end;
    }
    atomic_store(&pool->finished, 0);
    uint64_t number = (atomic_load(&pool->ticket) / TICKET_JOB + 1) & 0xffffffffu;
    atomic_store(&pool->ticket, number * TICKET_JOB + places * TICKET_PLACE + TICKET_OPEN);
    if (!atomic_load(&pool->sleepers)) return;
    pthread_mutex_lock(&pool->mutex);
    pthread_cond_broadcast(&pool->wake);
    pthread_mutex_unlock(&pool->mutex);
}

static void close_job(Pool *pool, unsigned places)
{
    uint64_t ticket = atomic_fetch_and(&pool->ticket, ~TICKET_OPEN);
    unsigned joined = places - (unsigned)((ticket % TICKET_JOB) / TICKET_PLACE);
    for (unsigned i = 0; i < pool->spins; i++) {
        if (atomic_load(&pool->finished) == joined) return;
        pause_cpu();
    }
    pthread_mutex_lock(&pool->mutex);
    atomic_store(&pool->caller_sleeps, true);
    while (atomic_load(&pool->finished) != joined) pthread_cond_wait(&pool->done, &pool->mutex);
    atomic_store(&pool->caller_sleeps, false);
    pthread_mutex_unlock(&pool->mutex);
}

static void pin(Worker *worker, int cpu)
{
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(cpu, &one);
    worker->cpu = cpu;
    (void)pthread_setaffinity_np(worker->thread, sizeof one, &one);
}

// A caller that the system has moved to a worker's CPU sends that worker to the one that it left:
// else both would share one, and the other have nothing to do.
static void make_way(Pool *pool)
{
    int cpu = pool->pinned ? sched_getcpu() : -1;
    if (cpu < 0 || cpu == pool->caller_cpu) return;
    for (unsigned i = 0; i < pool->worker_count; i++) {
        if (pool->workers[i].cpu != cpu) continue;
        pin(&pool->workers[i], pool->caller_cpu);
        pool->caller_cpu = cpu;
        return;
    }
}

static bool run_alone(const Pool *pool, const PoolJob *job, Block *scratch)
{
    if (!scratch_reserve(scratch, &pool->allocator, job->scratch_bytes)) return false;
    if (job->units > 0) job->fn(job->context, 0, job->units, scratch->data);
    return true;
}

static bool run_shared(Pool *pool, const PoolJob *job)
{
    unsigned threads = pool->worker_count + 1;
    if (job->threads_max && job->threads_max < threads) threads = job->threads_max;
    PoolJob sized = *job;
    if (sized.chunk <= 0) {
        sized.chunk = job->units / (threads * (int64_t)8);
        if (sized.chunk < 1) sized.chunk = 1;
    }
    int64_t chunks = job->units / sized.chunk + (job->units % sized.chunk != 0);
    if (chunks < threads) threads = chunks > 0 ? (unsigned)chunks : 1;
    if (threads == 1) return run_alone(pool, job, &pool->scratch);
    if (!scratch_reserve(&pool->scratch, &pool->allocator, job->scratch_bytes)) return false;
    make_way(pool);
    open_job(pool, &sized, threads - 1);
    take_chunks(pool, 0, pool->scratch.data);
    close_job(pool, threads - 1);
    return true;
}

bool pool_run(Pool *pool, const PoolJob *job)
{
    if (!atomic_flag_test_and_set(&pool->busy)) {
        bool ok = run_shared(pool, job);
        atomic_flag_clear(&pool->busy);
        return ok;
    }
    for (unsigned i = 0; i < SPARES; i++) {
        Spare *spare = &pool->spares[i];
        if (atomic_flag_test_and_set(&spare->busy)) continue;
        bool ok = run_alone(pool, job, &spare->scratch);
        atomic_flag_clear(&spare->busy);
        return ok;
    }
    Block own = {0};
    bool ok = run_alone(pool, job, &own);
    block_free(&own, &pool->allocator);
    return ok;
}

// ---- life

// One worker for each CPU but the caller's, when the pool fills the machine: else a worker is often
// woken on the caller's CPU. The caller itself is never pinned.
static void pin_workers(Pool *pool)
{
    cpu_set_t allowed;
    if (sched_getaffinity(0, sizeof allowed, &allowed) != 0) return;
    if (pool->worker_count + 1 != (unsigned)CPU_COUNT(&allowed)) return;
    int own = sched_getcpu();
    if (own < 0 || !CPU_ISSET(own, &allowed)) return;
    unsigned index = 0;
    for (int cpu = 0; cpu < CPU_SETSIZE; cpu++)
        if (cpu != own && CPU_ISSET(cpu, &allowed)) pin(&pool->workers[index++], cpu);
    pool->caller_cpu = own;
    pool->pinned = true;
}

Pool *pool_new(unsigned threads, const Allocator *allocator)
{
    unsigned cpus = cpus_available();
    if (threads == 0) threads = cpus;
    size_t bytes = sizeof(Pool) + sizeof(Worker) * (threads - 1);
    Block own;
    if (!block_new(&own, allocator, bytes)) return NULL;
    Pool *pool = own.data;
    *pool = (Pool){.busy = ATOMIC_FLAG_INIT,
                   .spins = threads <= cpus ? SPINS : 0,
                   .own = own,
                   .allocator = *allocator};
    for (unsigned i = 0; i < SPARES; i++) atomic_flag_clear(&pool->spares[i].busy);
    pthread_mutex_init(&pool->mutex, NULL);
    pthread_cond_init(&pool->wake, NULL);
    pthread_cond_init(&pool->done, NULL);
    for (unsigned i = 0; i + 1 < threads; i++) {
        pool->workers[i] = (Worker){.pool = pool, .index = i + 1};
        if (pthread_create(&pool->workers[i].thread, NULL, worker_main, &pool->workers[i]) != 0)
            break;
        pool->worker_count = i + 1; // fewer threads than asked for is slower, not wrong
    }
    pin_workers(pool);
    return pool;
}

void pool_free(Pool *pool)
{
    if (!pool) return;
    atomic_store(&pool->quit, true);
    pthread_mutex_lock(&pool->mutex);
    pthread_cond_broadcast(&pool->wake);
    pthread_mutex_unlock(&pool->mutex);
    for (unsigned i = 0; i < pool->worker_count; i++) {
        pthread_join(pool->workers[i].thread, NULL);
        block_free(&pool->workers[i].scratch, &pool->allocator);
    }
    pthread_cond_destroy(&pool->done);
    pthread_cond_destroy(&pool->wake);
    pthread_mutex_destroy(&pool->mutex);
    block_free(&pool->scratch, &pool->allocator);
    for (unsigned i = 0; i < SPARES; i++) block_free(&pool->spares[i].scratch, &pool->allocator);
    Block own = pool->own;
    Allocator allocator = pool->allocator;
    block_free(&own, &allocator);
}

unsigned pool_threads(const Pool *pool)
{
    return pool->worker_count + 1;
}
