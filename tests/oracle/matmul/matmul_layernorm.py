"""A product whose rows are normalised."""
import numpy as np
from case import Case, generator, rounded, wide


def cases():
    _, normal = generator(163)
    for m, k, n, dtype in ((5, 11, 7, "f32"), (1, 1, 2, "f32"), (3, 70, 200, "f32"), (0, 3, 4, "f32"),
                           (9, 64, 100, "bf16")):
        x, y, w, b = (rounded(v, dtype) for v in (normal(m, k), normal(k, n), normal(n), normal(n)))
        z = wide(x) @ y
        c = (z - z.mean(1, keepdims=True)) / np.sqrt(z.var(1, keepdims=True) + 0.1) * w + b
        yield Case("matmul_layernorm", {"x": x, "y": y, "w": w, "b": b}, {"c": c}, args={"eps": 0.1}, rtol=1e-5,
                   atol=1e-5, dtypes=dict.fromkeys("xywb", dtype), stored={"c": dtype})
