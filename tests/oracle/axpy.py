"""alpha x + y in place, with a scalar argument and its default."""
from case import Case, generator, wide


def cases():
    rng, normal = generator(2)
    for n in (0, 1, 31, 4097):
        x, y = normal(n), normal(n)
        yield Case("axpy", {"x": x, "y": y}, {"y": -1.5 * wide(x) + y}, args={"alpha": -1.5})
    yield Case("axpy", {"x": x, "y": y}, {"y": wide(x) + y})
