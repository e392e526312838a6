"""Batched matrix products, plain and with a transposed weight."""
import numpy as np
from case import Case, generator, norms, wide


def cases():
    rng, normal = generator(7)
    for batch, m, k, n in (((3,), 17, 65, 33), ((), 5, 6, 7), ((1,), 1, 1, 1), ((5,), 64, 31, 16), ((0,), 3, 4, 5),
                           ((2, 3), 9, 40, 20)):
        a, w = normal(*batch, m, k), normal(*batch, k, n)
        for kernel, given in (("batched_matmul", w), ("batched_matmul_nt", np.swapaxes(w, -1, -2))):
            yield Case(kernel, {"a": a, "w": np.ascontiguousarray(given)}, {"c": wide(a) @ w}, rtol=0,
                       atol=1e-6 * norms(a, w) + 1e-30)
