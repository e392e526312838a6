"""Sums of columns, whole and split over the grid."""
from case import Case, generator, wide


def cases():
    rng, normal = generator(10)
    for n, m in ((1000, 333), (1, 1), (0, 5), (77, 16)):
        x = normal(n, m)
        for kernel in ("column_sum", "column_sum_split"):
            yield Case(kernel, {"x": x}, {"y": wide(x).sum(0)}, rtol=0, atol=1e-6 * (1 + n) ** 0.5 * 4)
