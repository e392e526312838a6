"""A projection to gates and values in turn, then silu(gate) value."""
import numpy as np
from case import Case, generator, rounded, wide


def cases():
    _, normal = generator(169)
    for m, k, e, dtype in ((5, 7, 3, "f32"), (1, 4, 1, "f32"), (20, 33, 50, "f32"), (3, 0, 2, "f32"),
                           (9, 64, 24, "bf16")):
        x, w = rounded(normal(m, k) / np.float32(np.sqrt(k or 1)), dtype), rounded(normal(k, 2 * e), dtype)
        y = wide(x) @ w
        gate, value = y[:, 0::2], y[:, 1::2]
        yield Case("interleaved_swiglu", {"x": x, "w": w}, {"o": gate / (1 + np.exp(-gate)) * value}, rtol=5e-6,
                   atol=1e-5, dtypes={"x": dtype, "w": dtype}, stored={"o": dtype})
