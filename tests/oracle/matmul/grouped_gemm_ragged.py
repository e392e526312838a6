"""Groups of rows with their own width and depth; empty groups, widths and depths of 0; offsets that descend."""
import numpy as np
from case import Case, generator, offsets, rounded, wide


def cases():
    rng, normal = generator(170)
    for g, r, n, k, dtype in ((3, 13, 7, 9, "f32"), (1, 3, 3, 5, "f32"), (5, 60, 33, 40, "f32"), (4, 0, 2, 3, "f32"),
                              (4, 50, 20, 30, "f16")):
        a, b, off = rounded(normal(r, k), dtype), rounded(normal(g, n, k), dtype), offsets(rng, g, r, np.int32)
        nsize, ksize = (rng.integers(0, x + 1, g, dtype=np.int32) for x in (n, k))
        c = np.zeros((r, n))
        for i in range(g):
            rows, w, d = slice(off[i], off[i + 1]), nsize[i], ksize[i]
            c[rows, :w] = wide(a)[rows, :d] @ b[i, :w, :d].T
        given = {"a": a, "b": b, "off": off, "nsize": nsize, "ksize": ksize}
        yield Case("grouped_gemm_ragged", given, {"c": c}, dtypes={"a": dtype, "b": dtype}, stored={"c": dtype},
                   rtol=5e-6, atol=2e-5)
    yield Case("grouped_gemm_ragged", {**given, "off": off[::-1].copy()}, {}, dtypes={"a": "f16", "b": "f16"},
               fails="HK0710")
    yield Case("grouped_gemm_ragged", {**given, "ksize": ksize + 31}, {}, dtypes={"a": "f16", "b": "f16"}, fails="HK0710")
