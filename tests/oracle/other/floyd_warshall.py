"""Shortest ways by Bellman's equation: N - 1 edges are enough, and more of them change nothing."""
import numpy as np
from case import Case, generator, wide


def shortest(w):
    d = w.copy()
    np.fill_diagonal(d, 0)
    for _ in range(max(len(w), 2).bit_length()):
        d = np.minimum(d, (d[:, :, None] + d[None]).min(1)) if len(d) else d
    return d


def cases():
    rng, _ = generator(103)
    for N in (0, 1, 2, 17, 31):
        w = rng.integers(1, 100, (N, N)).astype(np.float32)
        yield Case("floyd_warshall", {"w": w.astype(np.int32)}, {"d": shortest(w).astype(np.int64)})
        w[rng.random((N, N)) < 0.8] = np.inf
        yield Case("floyd_warshall", {"w": w}, {"d": shortest(wide(w))}, rtol=0, atol=0,
                   configs=("", "tile_i_2 = 3, tile_j_2 = 5") if N == 31 else ())
