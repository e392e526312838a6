"""Root mean square normalisation with a weight for each column; rstd only where it is asked for."""
import numpy as np
from case import Case, generator, rounded, wide


def rms_norm(x, w, eps):
    x = wide(x)
    r = 1 / np.sqrt((x * x).mean(-1, keepdims=True) + eps)
    return {"y": x * r * w, "rstd": r[..., 0]}


def cases():
    rng, normal = generator(4)
    for shape in ((1023, 777), (1, 1), (19, 64), (2, 3, 100), (0, 5)):
        x, w = normal(*shape), normal(shape[-1])
        yield Case("rms_norm", {"x": x, "w": w}, rms_norm(x, w, 1e-5), rtol=1e-6, atol=1e-6)
    yield Case("rms_norm", {"x": x, "w": w}, {"y": rms_norm(x, w, 0.5)["y"]}, args={"eps": 0.5})
    x, w = rounded(normal(33, 200), "bf16"), rounded(normal(200), "bf16")
    yield Case("rms_norm", {"x": x, "w": w}, {"y": rms_norm(x, w, 1e-5)["y"]}, dtypes={"x": "bf16", "w": "bf16"},
               stored={"y": "bf16"})
