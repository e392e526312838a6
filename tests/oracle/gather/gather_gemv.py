"""Matrices picked by index, times a vector; an index twice, none at all, one outside."""
import numpy as np
from case import Case, generator, rounded, wide


def cases():
    rng, normal = generator(151)
    for b, n, s, k in ((3, 2, 5, 7), (1, 3, 1, 1), (4, 0, 7, 3), (4, 5, 33, 130), (2, 2, 3, 0)):
        w, x, idx = normal(b, s, k), normal(k), rng.integers(0, b, n, dtype=np.int32)
        yield Case("gather_gemv", {"w": w, "idx": idx, "x": x}, {"o": wide(w)[idx] @ x}, rtol=1e-6,
                   atol=1e-6 * np.linalg.norm(w[idx], axis=-1) * np.linalg.norm(x) + 1e-30)
    w, x, idx = rounded(normal(3, 9, 40), "f16"), rounded(normal(40), "f16"), np.int32([2, 2, 0])
    yield Case("gather_gemv", {"w": w, "idx": idx, "x": x}, {"o": wide(w)[idx] @ x}, dtypes={"w": "f16", "x": "f16"},
               stored={"o": "f16"}, atol=2e-5)
    yield Case("gather_gemv", {"w": w, "idx": idx + 1, "x": x}, {}, dtypes={"w": "f16", "x": "f16"}, fails="HK0710")
