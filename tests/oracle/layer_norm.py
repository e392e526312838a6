"""Layer normalisation with a weight and, where it is given, a bias."""
import numpy as np
from case import Case, generator, rounded, wide


def layer_norm(x, w, b, eps):
    x = wide(x)
    mean = x.mean(-1, keepdims=True)
    d = x - mean
    r = 1 / np.sqrt((d * d).mean(-1, keepdims=True) + eps)
    return {"y": d * r * w + b, "mean": mean[..., 0], "rstd": r[..., 0]}


def cases():
    rng, normal = generator(5)
    for shape in ((1023, 777), (1, 5), (19, 64), (2, 3, 100)):
        for mean, tolerance in ((0, 1e-6), (2, 1e-5)):
            x, w, b = normal(*shape) + np.float32(mean), normal(shape[-1]), normal(shape[-1])
            yield Case("layer_norm", {"x": x, "w": w, "b": b}, layer_norm(x, w, b, 1e-5), rtol=tolerance,
                       atol=tolerance)
    yield Case("layer_norm", {"x": x, "w": w}, {"y": layer_norm(x, w, 0, 0.1)["y"]}, args={"eps": 0.1})
    x, w, b = (rounded(v, "bf16") for v in (normal(33, 200), normal(200), normal(200)))
    yield Case("layer_norm", {"x": x, "w": w, "b": b}, {"y": layer_norm(x, w, b, 1e-5)["y"]},
               dtypes={"x": "bf16", "w": "bf16", "b": "bf16"}, stored={"y": "bf16"})
