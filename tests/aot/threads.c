// Four threads call a library's functions at the same time, from the first call on; for sanitizers,
// which run.sh builds this and the runtime with.
#include "kernels.h"
#include "arrays.h"

#include <pthread.h>

enum { THREADS = 4, ROUNDS = 20, L = 50000, V = 10, D = 3, T = 2000 };

static int round_of_calls(float *x, float *y)
{
    int64_t shape[] = {L}, ws[] = {V, D}, is[] = {T}, ys[] = {T, D};
    DLTensor a = hako_f32(x, 1, shape), b = hako_f32(y, 1, shape);
    float sum = 0, w[V * D], picked[T * D];
    int64_t id[T];
    for (int k = 0; k < V * D; k++) w[k] = (float)k;
    for (int k = 0; k < T; k++) id[k] = k % V;
    DLTensor s = hako_f32(&sum, 0, NULL), table = hako_f32(w, 2, ws), ids = hako_i64(id, 1, is),
             out = hako_f32(picked, 2, ys);
    MUST(total(&a, &s, &error_)); // a workspace, phases, a fold
    if (sum != L) return printf("total: %g\n", (double)sum), 1;
    MUST(steps(&a, 3, &b, &error_));
    for (int k = 0; k < L; k++) {
        if (y[k] != 8) return printf("steps: %g\n", (double)y[k]), 1;
    }
    MUST(promised(&table, &ids, &out, &error_));
    id[T / 2] = V; // a launch that fails among others that do not
    FAILS(gather(&table, &ids, &out, &error_), HAKO_TRAP,
          "kernel gather, kernels.hk:6: index 10 of w dimension 0 is out of bounds (size 10)");
    return 0;
}

static void *calls(void *failed)
{
    float *x = malloc(sizeof(float) * L), *y = malloc(sizeof(float) * L);
    for (int k = 0; k < L; k++) x[k] = 1;
    for (int r = 0; r < ROUNDS && !*(int *)failed; r++) *(int *)failed = round_of_calls(x, y);
    free(x);
    free(y);
    return NULL;
}

int main(void)
{
    pthread_t threads[THREADS];
    int failed[THREADS] = {0}, any = 0;
    for (int t = 0; t < THREADS; t++) {
        if (pthread_create(&threads[t], NULL, calls, &failed[t]) != 0) return 3;
    }
    for (int t = 0; t < THREADS; t++) {
        pthread_join(threads[t], NULL);
        any |= failed[t];
    }
    return any;
}
