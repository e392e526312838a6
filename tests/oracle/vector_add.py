"""Elementwise sums and a x + y: every size around a vector's width, and 0."""
from case import Case, generator, wide


def cases():
    rng, normal = generator(1)
    for n in (0, 1, 15, 16, 17, 1000, 100003):
        x, y = normal(n), normal(n)
        yield Case("vector_add", {"x": x, "y": y}, {"z": wide(x) + y})
