"""silu of one half of a row times the other, in units of a scale, as e4m3; large values saturate."""
import numpy as np
from case import Case, generator, rounded, wide


def cases():
    _, normal = generator(189)
    for rows, n, dtype in (((3,), 7, "f32"), ((1,), 33, "bf16"), ((2, 5), 130, "bf16"), ((0,), 4, "bf16"), ((4,), 0, "f32")):
        x, scale = rounded(4 * normal(*rows, 2 * n), dtype), np.float32([0.02])
        a, b = wide(x)[..., :n], wide(x)[..., n:]
        y = np.clip(a / (1 + np.exp(-a)) * b / scale[0], -448, 448)
        yield Case("silu_mul_fp8", {"x": x, "scale": scale}, {"y": y}, dtypes={"x": dtype}, stored={"y": "f8e4m3"},
                   rtol=3e-6, atol=1e-5)
