"""Root mean square normalisation with a weight for each column; rstd only where it is asked for; the gradients by the
Jacobian, row by row."""
import numpy as np
from case import Case, generator, rounded, wide


def rms_norm(x, w, eps):
    x = wide(x)
    r = 1 / np.sqrt((x * x).mean(-1, keepdims=True) + eps)
    return {"y": x * r * w, "rstd": r[..., 0]}


def gradients(dy, x, w, eps):
    """The saved reciprocal roots and dx, dw; x of two dimensions."""
    dy, x, n = wide(dy), wide(x), x.shape[1]
    r = 1 / np.sqrt((x * x).mean(1) + eps)
    dx = np.zeros(x.shape)
    for m in range(len(x)):
        dx[m] = (dy[m] * w) @ (r[m] * np.eye(n) - r[m] ** 3 / n * np.outer(x[m], x[m]))
    return r, {"dx": dx, "dw": (dy * x * r[:, None]).sum(0)}


def cases():
    rng, normal = generator(4)
    for shape in ((1023, 777), (1, 1), (19, 64), (2, 3, 100), (0, 5)):
        x, w = normal(*shape), normal(shape[-1])
        yield Case("rms_norm", {"x": x, "w": w}, rms_norm(x, w, 1e-5), rtol=1e-6, atol=1e-6)
    yield Case("rms_norm", {"x": x, "w": w}, {"y": rms_norm(x, w, 0.5)["y"]}, args={"eps": 0.5})
    x, w = rounded(normal(33, 200), "bf16"), rounded(normal(200), "bf16")
    yield Case("rms_norm", {"x": x, "w": w}, {"y": rms_norm(x, w, 1e-5)["y"]}, dtypes={"x": "bf16", "w": "bf16"},
               stored={"y": "bf16"})
    for shape, dtype in (((37, 65), "f32"), ((1, 1), "f32"), ((100, 33), "bf16"), ((0, 4), "f32")):
        dy, x, w = (rounded(v, dtype) for v in (normal(*shape), normal(*shape), normal(shape[1])))
        r, expect = gradients(dy, x, w, 0.1)
        yield Case("rms_norm_bwd", {"dy": dy, "x": x, "w": w, "rstd": r.astype(np.float32)}, expect, rtol=1e-5, atol=2e-5,
                   dtypes=dict.fromkeys(("dy", "x", "w"), dtype), stored=dict.fromkeys(expect, dtype),
                   configs=("", "tile_i = 1", "tile_i = 7"))
