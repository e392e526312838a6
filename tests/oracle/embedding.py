"""Gathered rows."""
import numpy as np
from case import Case, generator


def cases():
    rng, normal = generator(12)
    for shape in ((7,), (3, 5), (0,)):
        w, ids = normal(50, 33), rng.integers(0, 50, shape)
        yield Case("embedding", {"w": w, "ids": ids}, {"y": w[ids]}, rtol=0, atol=0)
