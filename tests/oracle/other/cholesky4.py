"""Cholesky factors of 4x4 matrices, one of them diagonal, one not positive definite."""
import numpy as np
from case import Case, generator, wide


def cases():
    rng, normal = generator(92)
    for N in (37, 1, 0):
        root = wide(normal(N, 4, 4))
        a = (root @ np.swapaxes(root, 1, 2) + np.eye(4)).astype(np.float32)
        if N > 2:
            a[1] = np.diag([4.0, 9.0, 1.0, 0.25])
        yield Case("cholesky4", {"a": a}, {"l": np.linalg.cholesky(wide(a))}, rtol=2e-5, atol=2e-5,
                   configs=("", "tile_n = 3") if N == 37 else ())
    a = np.eye(4, dtype=np.float32)[None].copy()
    a[0, 1, 1] = -1
    l = np.full((4, 4), np.nan)
    l[0], l[:, 0] = [1, 0, 0, 0], [1, 0, 0, 0]
    l[1, 2:], l[2, 3] = 0, 0
    yield Case("cholesky4", {"a": a}, {"l": np.ma.array(l[None], mask=np.isnan(l)[None])}, note="NaN from the second column on")
