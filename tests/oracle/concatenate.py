"""Two matrices side by side."""
import numpy as np
from case import Case, generator


def cases():
    rng, normal = generator(11)
    for n, a, b in ((5, 7, 9), (1, 1, 1), (100, 64, 33)):
        x, y = normal(n, a), normal(n, b)
        yield Case("concatenate", {"x": x, "y": y}, {"z": np.concatenate([x, y], 1)}, rtol=0, atol=0)
