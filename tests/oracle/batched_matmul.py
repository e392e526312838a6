"""Batched matrix products."""
from case import Case, generator, norms, wide


def cases():
    rng, normal = generator(7)
    for b, m, k, n in ((3, 17, 65, 33), (1, 1, 1, 1), (5, 64, 31, 16), (0, 3, 4, 5)):
        x, y = normal(b, m, k), normal(b, k, n)
        yield Case("batched_matmul", {"a": x, "b": y}, {"c": wide(x) @ y}, rtol=0,
                   atol=1e-6 * norms(x, y) + 1e-30)
