"""The gate and its gradients, by the chain rule in float64."""
import numpy as np
from case import Case, generator, rounded, wide


def cases():
    _, normal = generator(166)
    for m, n, dtype in ((5, 9, "f32"), (1, 1, "f32"), (0, 3, "f32"), (19, 65, "f32"), (8, 40, "f16")):
        x, w, dy = (rounded(v, dtype) for v in (normal(m, n), normal(n, n) / np.float32(np.sqrt(n)), normal(m, n)))
        s = 1 / (1 + np.exp(-(wide(x) @ w)))
        more = {"dtypes": dict.fromkeys(("x", "w", "dy", "s"), dtype), "rtol": 1e-5, "atol": 1e-5,
                "stored": dict.fromkeys(("y", "s", "dx", "dw"), dtype)}
        yield Case("se_block", {"x": x, "w": w}, {"y": 2 * x * s, "s": s}, **more)
        s = rounded(s, dtype)
        through_gate = dy * 2 * wide(x) * s * (1 - wide(s))
        yield Case("se_block_bwd", {"dy": dy, "x": x, "w": w, "s": s},
                   {"dx": dy * 2 * wide(s) + through_gate @ w.T, "dw": wide(x).T @ through_gate}, **more)
