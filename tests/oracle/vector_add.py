"""Elementwise sums of any rank: every size around a vector's width, and 0."""
from case import Case, generator, wide


def cases():
    rng, normal = generator(1)
    for shape in ((0,), (1,), (15,), (16,), (17,), (1000,), (100003,), (3, 0, 5), (7, 33), (2, 3, 5, 7)):
        a, b = normal(*shape), normal(*shape)
        yield Case("vector_add", {"a": a, "b": b}, {"y": wide(a) + b}, rtol=1e-7, atol=0)
    a, b = (rng.integers(-(2 ** 31), 2 ** 31, 101).astype("int32") for _ in "ab")
    yield Case("vector_add", {"a": a, "b": b}, {"y": a + b}, rtol=0, atol=0, note="integers wrap")
