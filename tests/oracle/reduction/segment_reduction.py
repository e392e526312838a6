"""Sums by segment: nodes without edges, one node with all of them, ids in order and in none, an id too large."""
import numpy as np
from case import Case, generator, rounded, wide


def cases():
    rng, normal = generator(115)
    for edges, features, nodes, dtype in ((23, 5, 7, "f32"), (1, 1, 1, "f32"), (700, 33, 40, "f32"), (0, 3, 4, "f32"),
                                          (50, 4, 1, "f32"), (200, 9, 300, "bf16")):
        ids, x = np.sort(rng.integers(0, nodes, edges)), rounded(normal(edges, features), dtype)
        for kernel in ("segment_sum", "segment_sum_scan", "segment_sum_any"):
            if kernel == "segment_sum_any":
                ids = rng.permutation(ids)
            out, size = np.zeros((nodes, features)), np.zeros((nodes, features))
            np.add.at(out, ids, wide(x))
            np.add.at(size, ids, np.abs(wide(x)))
            yield Case(kernel, {"ids": ids, "x": x}, {"out": out}, args={"nodes": nodes}, dtypes={"x": dtype}, rtol=0,
                       atol=2e-6 * size + 1e-30)
    yield Case("segment_sum_any", {"ids": ids + 300, "x": x}, {}, args={"nodes": nodes}, dtypes={"x": "bf16"},
               fails="HK0710")
