"""Layer normalisation with a weight and, where it is given, a bias; the gradients by the Jacobian, row by row."""
import numpy as np
from case import Case, generator, rounded, wide


def layer_norm(x, w, b, eps):
    x = wide(x)
    mean = x.mean(-1, keepdims=True)
    d = x - mean
    r = 1 / np.sqrt((d * d).mean(-1, keepdims=True) + eps)
    return {"y": d * r * w + b, "mean": mean[..., 0], "rstd": r[..., 0]}


def gradients(dy, x, w, eps):
    """The saved statistics and dx, dw, db; x of two dimensions."""
    dy, x, n = wide(dy), wide(x), x.shape[1]
    mean, r = x.mean(1), 1 / np.sqrt(x.var(1) + eps)
    h = (x - mean[:, None]) * r[:, None]
    dx = np.zeros(x.shape)
    for m in range(len(x)):
        dx[m] = (dy[m] * w) @ (r[m] * (np.eye(n) - 1 / n - np.outer(h[m], h[m]) / n))
    return mean, r, {"dx": dx, "dw": (dy * h).sum(0), "db": dy.sum(0)}


def cases():
    rng, normal = generator(5)
    for shape in ((1023, 777), (1, 5), (19, 64), (2, 3, 100)):
        # Where vectors have one lane, long sums are one chain of additions.
        for mean, tolerance in ((0, 4e-6 if shape[-1] > 500 else 1e-6), (2, 1e-5)):
            x, w, b = normal(*shape) + np.float32(mean), normal(shape[-1]), normal(shape[-1])
            yield Case("layer_norm", {"x": x, "w": w, "b": b}, layer_norm(x, w, b, 1e-5), rtol=tolerance,
                       atol=tolerance)
    yield Case("layer_norm", {"x": x, "w": w}, {"y": layer_norm(x, w, 0, 0.1)["y"]}, args={"eps": 0.1})
    x, w, b = (rounded(v, "bf16") for v in (normal(33, 200), normal(200), normal(200)))
    yield Case("layer_norm", {"x": x, "w": w, "b": b}, {"y": layer_norm(x, w, b, 1e-5)["y"]},
               dtypes={"x": "bf16", "w": "bf16", "b": "bf16"}, stored={"y": "bf16"})
    for shape, dtype in (((37, 65), "f32"), ((1, 2), "f32"), ((100, 33), "bf16"), ((0, 4), "f32")):
        dy, x, w = (rounded(v, dtype) for v in (normal(*shape), normal(*shape) + 1, normal(shape[1])))
        mean, r, expect = gradients(dy, x, w, 0.1)
        given = {"dy": dy, "x": x, "mean": mean.astype(np.float32), "rstd": r.astype(np.float32), "w": w}
        yield Case("layer_norm_bwd", given, expect, dtypes=dict.fromkeys(("dy", "x", "w"), dtype), rtol=1e-5, atol=2e-5,
                   stored=dict.fromkeys(expect, dtype), configs=("", "tile_i = 1", "tile_i = 7"))
    yield Case("layer_norm_bwd", given, {"dx": expect["dx"]}, note="without gradients of the weights")
