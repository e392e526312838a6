/* libxsmm as a peer: a kernel compiled for one tiny product, `count` of them in a row; row-major C
 * = A B is column-major C' = B' A'. */
#include <libxsmm.h>

#include "bench/peer.h"

typedef struct Tiny {
    libxsmm_smmfunction kernel;
    float *a, *b, *c;
    int64_t count, a_step, b_step, c_step;
} Tiny;

static void product(void *self)
{
    const Tiny *t = (const Tiny *)self;
    for (int64_t k = 0; k < t->count; k++)
        t->kernel(t->b + k * t->b_step, t->a + k * t->a_step, t->c + k * t->c_step);
}

int main(int argc, char **argv)
{
    peer_argc = argc, peer_argv = argv;
    libxsmm_blasint m = (libxsmm_blasint)peer_int("m", 1), n = (libxsmm_blasint)peer_int("n", 1),
                    k = (libxsmm_blasint)peer_int("k", 1);
    const float one = 1, zero = 0;
    Tiny t = {.count = peer_int("count", 1), .a_step = m * k, .b_step = k * n, .c_step = m * n};
    t.a = peer_floats((size_t)(t.a_step * t.count));
    t.b = peer_floats((size_t)(t.b_step * t.count));
    t.c = peer_floats((size_t)(t.c_step * t.count));
    t.kernel = libxsmm_smmdispatch(n, m, k, NULL, NULL, NULL, &one, &zero, NULL, NULL);
    if (!t.kernel) return 3;
    return peer_measure(product, &t, "");
}
