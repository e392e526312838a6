"""Scaling, softmax, sums, RMS norm and a product, each in a line."""
import numpy as np
from case import Case, generator, norms, rounded, wide


def cases():
    rng, normal = generator(93)
    for M, N, dtype in ((33, 77, "f32"), (1, 1, "f32"), (5, 1030, "f16"), (17, 64, "bf16")):
        x = rounded(normal(M, N), dtype)
        w = wide(x)
        e = np.exp(w - w.max(1, keepdims=True))
        norm = w / np.sqrt((w * w).mean(1, keepdims=True) + 1e-5)
        for kernel, o in (("row_softmax", e / e.sum(1, keepdims=True)), ("col_reduce_sum", w.sum(0)), ("sum_aot", w.sum(1)),
                          ("rms_norm_batched", norm), ("rms_norm_oneshot", norm)):
            yield Case(kernel, {"x": x}, {"o": o}, dtypes={"x": dtype}, stored={"o": dtype}, rtol=5e-6, atol=1e-5)
        yield Case("vector_scale", {"x": x[0]}, {"o": w[0] * 2.5}, args={"scale": 2.5}, dtypes={"x": dtype}, stored={"o": dtype})
        b = rounded(normal(N, 19), dtype)
        yield Case("matmul_custom_key", {"a": x, "b": b}, {"c": w @ wide(b)}, dtypes={"a": dtype, "b": dtype},
                   stored={"c": dtype}, rtol=0, atol=1e-6 * norms(x, b) + 1e-6)
