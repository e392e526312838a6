/* OpenBLAS as a peer: sgemm (m, n, k, ta, tb, batch), sgemv. Prints which kernels the library chose
 * for this CPU. */
#include <cblas.h>

#include "bench/peer.h"

typedef struct Product {
    int64_t m, n, k, batch;
    CBLAS_TRANSPOSE ta, tb;
    float *a, *b, *c;
} Product;

static void sgemm(void *self)
{
    Product *p = (Product *)self;
    blasint m = (blasint)p->m, n = (blasint)p->n, k = (blasint)p->k;
    for (int64_t i = 0; i < p->batch; i++)
        cblas_sgemm(CblasRowMajor, p->ta, p->tb, m, n, k, 1, p->a + i * p->m * p->k,
                    p->ta == CblasTrans ? m : k, p->b + i * p->k * p->n,
                    p->tb == CblasTrans ? k : n, 0, p->c + i * p->m * p->n, n);
}

static void sgemv(void *self)
{
    Product *p = (Product *)self;
    cblas_sgemv(CblasRowMajor, CblasTrans, (blasint)p->k, (blasint)p->n, 1, p->b, (blasint)p->n,
                p->a, 1, 0, p->c, 1);
}

int main(int argc, char **argv)
{
    peer_argc = argc, peer_argv = argv;
    Product p = {.m = peer_int("m", 1),
                 .n = peer_int("n", 1),
                 .k = peer_int("k", 1),
                 .batch = peer_int("batch", 1)};
    p.ta = peer_int("ta", 0) ? CblasTrans : CblasNoTrans;
    p.tb = peer_int("tb", 0) ? CblasTrans : CblasNoTrans;
    p.a = peer_floats((size_t)(p.m * p.k * p.batch));
    p.b = peer_floats((size_t)(p.k * p.n * p.batch));
    p.c = peer_floats((size_t)(p.m * p.n * p.batch));
    openblas_set_num_threads((int)peer_int("threads", 1));
    return peer_measure(p.m == 1 && !p.tb ? sgemv : sgemm, &p, openblas_get_corename());
}
