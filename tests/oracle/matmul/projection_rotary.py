"""A projection, then a rotation of even columns with odd ones."""
import numpy as np
from case import Case, generator, rounded, wide


def cases():
    rng, normal = generator(168)
    for h, m, k, e, dtype in ((2, 5, 7, 3, "f32"), (1, 1, 4, 5, "f32"), (3, 20, 33, 16, "f32"), (2, 0, 3, 2, "f32"),
                              (2, 9, 64, 8, "bf16")):
        angle = 6 * rng.random((m, e))
        given = {"x": normal(m, k) / np.float32(np.sqrt(k)), "w": normal(h, k, 2 * e), "bias": normal(h, 2 * e),
                 "table": np.concatenate([np.sin(angle), np.cos(angle)], 1)}
        given = {name: rounded(v, dtype) for name, v in given.items()}
        y = np.einsum("mk,hkd->hmd", wide(given["x"]), given["w"]) + given["bias"][:, None]
        sin, cos = np.split(wide(given["table"]), 2, 1)
        o = np.empty_like(y)
        o[..., 0::2] = y[..., 0::2] * cos - y[..., 1::2] * sin
        o[..., 1::2] = y[..., 1::2] * cos + y[..., 0::2] * sin
        yield Case("projection_rotary", given, {"o": o}, dtypes=dict.fromkeys(given, dtype), stored={"o": dtype},
                   rtol=5e-6, atol=5e-6)
