"""Layer norm; the mean is far from zero, where a sum of squares would lose what is asked."""
import numpy as np
from case import Case, generator, rounded, wide


def layer_norm(x, w, b, eps):
    x = wide(x)
    return (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + eps) * w + b


def cases():
    _, normal = generator(131)
    for kernel in ("welford", "welford_blocks"):
        for shape, mean in (((5, 37), 0), ((3, 1000), 100), ((2, 1), 1), ((2, 3, 64), -3), ((0, 4), 0)):
            x, w, b = normal(*shape) + np.float32(mean), normal(shape[-1]), normal(shape[-1])
            slack = (1e-5 if kernel == "welford" else 2e-6) * (1 + abs(mean))  # a merge for each element rounds more
            yield Case(kernel, {"x": x, "w": w, "b": b}, {"y": layer_norm(x, w, b, 0.1)}, args={"eps": 0.1},
                       rtol=slack, atol=slack)
        x, w, b = (rounded(normal(*s), "bf16") for s in ((4, 90), (90,), (90,)))
        yield Case(kernel, {"x": x, "w": w, "b": b}, {"y": layer_norm(x, w, b, 1e-5)}, rtol=1e-5, atol=1e-5,
                   dtypes=dict.fromkeys("xwb", "bf16"), stored={"y": "bf16"})
