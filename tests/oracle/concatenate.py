"""Two matrices side by side, of any dtype."""
import numpy as np
from case import Case, generator


def cases():
    rng, normal = generator(11)
    for kernel in ("concatenate", "concatenate_chosen"):
        for n, a, b in ((5, 7, 9), (1, 1, 1), (100, 64, 33), (3, 0, 4), (4, 3, 0)):
            x, y = normal(n, a), normal(n, b)
            yield Case(kernel, {"a": x, "b": y}, {"y": np.concatenate([x, y], 1)}, rtol=0, atol=0)
        x, y = (rng.integers(0, 255, (6, n)).astype(np.uint8) for n in (3, 4))
        yield Case(kernel, {"a": x, "b": y}, {"y": np.concatenate([x, y], 1)}, rtol=0, atol=0)
