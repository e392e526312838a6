// Calls every kernel of the library that run.sh makes of kernels.hk, in C and in C++, and compares
// with what `hako run` gives: bits, or within the tolerance that is the argument.
#include "kernels.h"
#include "arrays.h"

#include <math.h>

enum { M = 33, N = 45, K = 27, B = 2, S = 33, D = 16, V = 10, T = 6, L = 1000 };

static double allowed;

static int softmaxes(void)
{
    float *x = (float *)npy_load("x.npy", sizeof(float) * M * N), y[M * N];
    int64_t shape[] = {M, N}, four[] = {3, 1, M / 3, N}, wrong[] = {M, N + 1};
    DLTensor a = hako_f32(x, 2, shape), b = hako_f32(y, 2, shape);
    MUST(softmax(&a, &b, &error_));
    if (!npy_same("softmax.npy", y, M * N, allowed)) return 1;
    // Any number of dimensions stands in the place of ..P, none of them too.
    memset(y, 0, sizeof y);
    DLTensor a4 = hako_f32(x, 4, four), b4 = hako_f32(y, 4, four);
    MUST(softmax(&a4, &b4, &error_));
    if (!npy_same("softmax.npy", y, M * N, allowed)) return 1;
    for (int m = 0; m < M; m++) {
        DLTensor a1 = hako_f32(x + m * N, 1, shape + 1), b1 = hako_f32(y + m * N, 1, shape + 1);
        MUST(softmax(&a1, &b1, &error_));
    }
    if (!npy_same("softmax.npy", y, M * N, 1e-6)) return 1; // for these sizes another Config
    // Strides that the code does not know: a transposed input and output.
    static float xt[M * N], yt[M * N];
    int64_t strides[] = {1, M};
    for (int k = 0; k < M * N; k++) xt[k % N * M + k / N] = x[k];
    DLTensor at = hako_f32(xt, 2, shape), bt = hako_f32(yt, 2, shape);
    at.strides = bt.strides = strides;
    MUST(softmax(&at, &bt, &error_));
    for (int k = 0; k < M * N; k++) y[k] = yt[k % N * M + k / N];
    if (!npy_same("softmax.npy", y, M * N, allowed)) return 1;

    DLTensor c = hako_f32(y, 2, wrong), half = hako_tensor(y, 2, 64, 2, shape);
    FAILS(softmax(&a, &c, &error_), HAKO_ARGUMENTS,
          "kernel softmax: dimension 1 of argument y is 46; expected 45");
    FAILS(softmax(&a, NULL, &error_), HAKO_ARGUMENTS, "kernel softmax: argument y is missing");
    FAILS(softmax(&a, &a, &error_), HAKO_ARGUMENTS,
          "kernel softmax: output y overlaps argument x in memory");
    FAILS(softmax(&half, &b, &error_), HAKO_ARGUMENTS,
          "kernel softmax: argument x has dtype f64; expected f32 (x: T[..P, N])");
    c = hako_f32((char *)y + 1, 2, shape);
    FAILS(softmax(&a, &c, &error_), HAKO_ARGUMENTS,
          "kernel softmax: argument y is not aligned to its elements");
    c = hako_f32(NULL, 2, shape);
    FAILS(softmax(&a, &c, &error_), HAKO_ARGUMENTS,
          "kernel softmax: argument y has no data (NULL)");
    strides[1] = 0;
    FAILS(softmax(&a, &bt, &error_), HAKO_ARGUMENTS,
          "kernel softmax: elements of the output y overlap each other (its strides are (1, 0))");
    if (softmax(&a, NULL, NULL) != HAKO_ARGUMENTS) return 1;
    shape[0] = 0; // nothing to do is no error
    MUST(softmax(&a, &b, &error_));
    free(x);
    return 0;
}

static int products(void)
{
    float *x = (float *)npy_load("a.npy", sizeof(float) * M * K), c[M * N];
    float *z = (float *)npy_load("b.npy", sizeof(float) * K * N);
    int64_t xs[] = {M, K}, zs[] = {K, N}, cs[] = {M, N};
    DLTensor a = hako_f32(x, 2, xs), b = hako_f32(z, 2, zs), t = hako_f32(c, 2, cs);
    MUST(matmul(&a, &b, &t, &error_));
    if (!npy_same("matmul.npy", c, M * N, allowed)) return 1;
    FAILS(matmul(&a, &a, &t, &error_), HAKO_ARGUMENTS,
          "kernel matmul: dimension 0 of argument b is 33; expected 27 (K)");
    free(x);
    free(z);
    return 0;
}

// Whether o is the attention of x, as queries, keys and values, with `d` channels.
static int attention_is(const float *x, int d, const float *o)
{
    for (int row = 0; row < B * S; row++) {
        const float *q = x + row * d, *k = x + row / S * S * d;
        double total = 0, sums[D] = {0};
        for (int n = 0; n < S; n++) {
            double s = 0;
            for (int e = 0; e < d; e++) s += (double)q[e] * (double)k[n * d + e];
            double p = exp(0.25 * s);
            total += p;
            for (int e = 0; e < d; e++) sums[e] += p * (double)k[n * d + e];
        }
        for (int e = 0; e < d; e++)
            if (fabs(sums[e] / total - (double)o[row * d + e]) > 1e-4) return 0;
    }
    return 1;
}

static int attentions(void)
{
    size_t count = (size_t)B * S * D;
    float *x = (float *)npy_load("q.npy", sizeof(float) * count), o[B * S * D], lse[B * S];
    int64_t shape[] = {B, S, D}, sums[] = {B, S};
    DLTensor q = hako_f32(x, 3, shape), out = hako_f32(o, 3, shape), l = hako_f32(lse, 2, sums);
    MUST(attention(&q, &q, &q, 0.25f, &out, NULL, &error_)); // without its optional output
    if (!npy_same("attention.npy", o, count, allowed)) return 1;
    memset(o, 0, sizeof o);
    MUST(attention(&q, &q, &q, 0.25f, &out, &l, &error_));
    if (!npy_same("attention.npy", o, count, allowed)) return 1;
    if (!npy_same("lse.npy", lse, B * S, allowed)) return 1;
    shape[2] = 8; // code for any sizes has bounds, as it keeps values over D and E
    MUST(attention(&q, &q, &q, 0.25f, &out, &l, &error_));
    if (!attention_is(x, 8, o)) return printf("attention of 8 channels: wrong\n"), 1;
    shape[2] = 1 << 14;
    hako_error far;
    if (!attention(&q, &q, &q, 0.25f, &out, NULL, &far) || !strstr(far.message, "<=") ||
        !strstr(far.message, " only, not for B=2,S=33,D=16384,L=33,E=16384"))
        return printf("attention beyond its bounds: %s\n", far.message), 1;
    free(x);
    return 0;
}

static int gathers(void)
{
    int64_t id[T] = {3, 1, 9, 0, 0, 7}, ws[] = {V, D}, is[] = {T}, ys[] = {T, D};
    float w[V * D], y[T * D];
    for (int k = 0; k < V * D; k++) w[k] = (float)k;
    DLTensor a = hako_f32(w, 2, ws), b = hako_i64(id, 1, is), c = hako_f32(y, 2, ys);
    MUST(gather(&a, &b, &c, &error_));
    for (int k = 0; k < T * D; k++)
        if (y[k] != (float)(id[k / D] * D + k % D)) return printf("gather: wrong\n"), 1;
    id[2] = V;
    FAILS(gather(&a, &b, &c, &error_), HAKO_TRAP,
          "kernel gather, kernels.hk:6: index 10 of w dimension 0 is out of bounds (size 10)");
    FAILS(
        promised(&a, &b, &c, &error_), HAKO_ARGUMENTS,
        "kernel promised: element (2,) of argument ids is 10, outside the range; its values lie in "
        "0 .. 10");
    id[2] = -1;
    FAILS(gather(&a, &b, &c, &error_), HAKO_TRAP,
          "kernel gather, kernels.hk:6: index -1 of w dimension 0 is out of bounds (size 10)");
    id[2] = 2;
    MUST(gather(&a, &b, &c, &error_)); // a failed launch leaves nothing behind
    return 0;
}

static int others(void)
{
    float x[L], y[L];
    int64_t shape[] = {L}, none[] = {0};
    for (int k = 0; k < L; k++) x[k] = 1;
    DLTensor a = hako_f32(x, 1, shape), b = hako_f32(y, 1, shape), s = hako_f32(y, 0, NULL);
    MUST(dropout(&a, 0.25f, 7, &b, &error_));
    if (!npy_same("dropout.npy", y, L, 0)) return 1;
    MUST(total(&a, &s, &error_)); // a workspace, phases one after the other, a fold
    if (y[0] != L) return printf("total: %g\n", (double)y[0]), 1;
    a.shape = b.shape = none;
    FAILS(total(&a, &s, &error_), HAKO_ARGUMENTS, "kernel total: there is nothing to add up");
    MUST(steps(&a, 3, &b, &error_));
    a.shape = b.shape = shape;
    MUST(steps(&a, 3, &b, &error_)); // repeated phases
    if (y[L - 1] != 8) return printf("steps: %g\n", (double)y[L - 1]), 1;
    return 0;
}

int main(int argc, char **argv)
{
    allowed = argc > 1 ? atof(argv[1]) : 0;
    if (argc > 2) kernels_setup((uint32_t)atoi(argv[2]), NULL, NULL);
    return softmaxes() || products() || attentions() || gathers() || others();
}
