"""The net and its gradients, by the chain rule in float64."""
import numpy as np
from case import Case, generator, rounded, wide


def cases():
    _, normal = generator(167)
    for m, n, k, dtype in ((5, 9, 4, "f32"), (1, 1, 1, "f32"), (3, 4, 0, "f32"), (19, 65, 33, "f32"),
                           (8, 40, 16, "f16")):
        x, dy = rounded(normal(m, n), dtype), rounded(normal(m, n), dtype)
        a, b = rounded(normal(n, k) / np.float32(np.sqrt(n)), dtype), rounded(normal(k, n), dtype)
        c = np.maximum(wide(x) @ a, 0)
        d = 1 / (1 + np.exp(-(c @ b)))
        more = {"dtypes": dict.fromkeys(("x", "a", "b", "c", "d", "dy"), dtype), "rtol": 2e-5, "atol": 2e-5,
                "stored": dict.fromkeys(("y", "c", "d", "dx", "da", "db"), dtype)}
        yield Case("se_net", {"x": x, "a": a, "b": b}, {"y": x * d, "c": c, "d": d}, **more)
        c, d = wide(rounded(c, dtype)), wide(rounded(d, dtype))
        z = dy * wide(x) * d * (1 - d)
        e = np.where(c > 0, z @ b.T, 0)
        yield Case("se_net_bwd", {"dy": dy, "x": x, "a": a, "b": b, "c": c.astype(np.float32), "d": d.astype(np.float32)},
                   {"dx": dy * d + e @ a.T, "da": wide(x).T @ e, "db": c.T @ z}, **more)
