"""Root mean square normalisation with a weight for each column."""
import numpy as np
from case import Case, generator, rounded, wide


def rms_norm(x, weight, eps):
    x = wide(x)
    return x / np.sqrt((x * x).mean(-1, keepdims=True) + eps) * weight


def cases():
    rng, normal = generator(4)
    for shape in ((1023, 777), (1, 1), (19, 64), (2, 3, 100)):
        x, w = normal(*shape), normal(shape[-1])
        yield Case("rms_norm", {"x": x, "weight": w}, {"y": rms_norm(x, w, 1e-5)}, args={"eps": 1e-5})
    x, w = rounded(normal(33, 200), "bf16"), rounded(normal(200), "bf16")
    yield Case("rms_norm", {"x": x, "weight": w}, {"y": rms_norm(x, w, 1e-5)}, args={"eps": 1e-5},
               dtypes={"x": "bf16", "weight": "bf16"}, stored={"y": "bf16"})
