"""Layer normalisation with weight and bias."""
import numpy as np
from case import Case, generator, rounded, wide


def layer_norm(x, weight, bias, eps):
    x = wide(x)
    d = x - x.mean(-1, keepdims=True)
    return d / np.sqrt((d * d).mean(-1, keepdims=True) + eps) * weight + bias


def cases():
    rng, normal = generator(5)
    for shape in ((1023, 777), (1, 2), (19, 64), (2, 3, 100)):
        x, w, b = normal(*shape) + 2, normal(shape[-1]), normal(shape[-1])
        yield Case("layer_norm", {"x": x, "weight": w, "bias": b}, {"y": layer_norm(x, w, b, 1e-5)},
                   args={"eps": 1e-5})
    x, w, b = (rounded(v, "bf16") for v in (normal(33, 200), normal(200), normal(200)))
    yield Case("layer_norm", {"x": x, "weight": w, "bias": b}, {"y": layer_norm(x, w, b, 1e-5)},
               args={"eps": 1e-5}, dtypes={"x": "bf16", "weight": "bf16", "bias": "bf16"}, stored={"y": "bf16"})
