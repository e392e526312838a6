// Runs kernels on the host's own threads: Hako starts none.  cc pool.c $(pkg-config --cflags --libs
// hako) -lpthread
//
// Shows hk_context_options.parallel_for. An engine that has a pool already lends it, so that two
// pools don't fight for the cores; what a kernel computes is the same bits either way.
#include <hako.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

enum { THREADS = 3, N = 1 << 18 };

// ---- a pool, as an application may have it: its threads wait for a loop and share its indices

typedef struct Pool {
    pthread_mutex_t lock;
    pthread_cond_t wake, done;
    void (*body)(void *arg, int64_t index);
    void *arg;
    int64_t next, count, finished; // of the loop under way
    int64_t did[THREADS];
    bool quit;
    pthread_t threads[THREADS];
} Pool;

static void *worker(void *self)
{
    static atomic_int numbers;
    int number = atomic_fetch_add(&numbers, 1);
    Pool *pool = self;
    pthread_mutex_lock(&pool->lock);
    for (;;) {
        while (!pool->quit && pool->next == pool->count)
            pthread_cond_wait(&pool->wake, &pool->lock);
        if (pool->quit) break;
        int64_t index = pool->next++;
        pthread_mutex_unlock(&pool->lock);
        pool->body(pool->arg, index);
        pthread_mutex_lock(&pool->lock);
        pool->did[number]++;
        if (++pool->finished == pool->count) pthread_cond_signal(&pool->done);
    }
    pthread_mutex_unlock(&pool->lock);
    return NULL;
}

// What Hako calls. One loop at a time here: the program launches from one thread.
static void parallel_for(void *self, int64_t count, void (*body)(void *arg, int64_t index),
                         void *arg)
{
    Pool *pool = self;
    pthread_mutex_lock(&pool->lock);
    pool->body = body;
    pool->arg = arg;
    pool->next = pool->finished = 0;
    pool->count = count;
    pthread_cond_broadcast(&pool->wake);
    while (pool->finished < count) pthread_cond_wait(&pool->done, &pool->lock);
    pool->next = pool->count = 0;
    pthread_mutex_unlock(&pool->lock);
}

static void pool_start(Pool *pool)
{
    pthread_mutex_init(&pool->lock, NULL);
    pthread_cond_init(&pool->wake, NULL);
    pthread_cond_init(&pool->done, NULL);
    for (int t = 0; t < THREADS; t++) {
        if (pthread_create(&pool->threads[t], NULL, worker, pool) == 0) continue;
        fputs("no threads\n", stderr);
        exit(1);
    }
}

static void pool_stop(Pool *pool)
{
    pthread_mutex_lock(&pool->lock);
    pool->quit = true;
    pthread_cond_broadcast(&pool->wake);
    pthread_mutex_unlock(&pool->lock);
    for (int t = 0; t < THREADS; t++) pthread_join(pool->threads[t], NULL);
}

// ---- the application

static const char *text = "kernel scale(x: f32[N], a: f32) -> (y: f32[N]) {"
                          "    tile n in N { y[n] = a * x[n]; }"
                          "}";

int main(void)
{
    static Pool pool;
    static float xs[N], ys[N];
    for (int i = 0; i < N; i++) xs[i] = (float)(i % 100);
    int64_t shape[1] = {N}, total = 0;
    DLTensor x = {xs, {kDLCPU, 0}, 1, {kDLFloat, 32, 1}, shape, NULL, 0}, y = x;
    y.data = ys;
    hk_arg args[] = {hk_tensor("x", &x), hk_float("a", 3), hk_tensor("y", &y)};
    pool_start(&pool);
    hk_context_options options = {.struct_size = sizeof options,
                                  .threads = THREADS, // how many pieces are worth making
                                  .parallel_for = parallel_for,
                                  .parallel_for_self = &pool};
    hk_context *context = NULL;
    hk_module *module = NULL;
    hk_error *error = NULL;
    hk_status status = hk_context_create(&options, &context, &error);
    if (!status) status = hk_module_load_text(context, "s", text, HK_TERMINATED, &module, &error);
    if (!status) status = hk_kernel_run(hk_module_kernel_named(module, "scale"), args, 3, &error);
    for (int i = 0; i < N && !status; i++)
        if (ys[i] != 3 * xs[i]) status = HK_ERROR_MISMATCH;
    for (int t = 0; t < THREADS; t++) total += pool.did[t];
    if (!status) printf("the host's threads did %lld pieces\n", (long long)total);
    fputs(hk_error_text(error, false), stderr);
    hk_error_free(error);
    hk_module_free(module);
    hk_context_free(context);
    pool_stop(&pool); // after the last launch
    return status || !total;
}
