"""Attention in a causal window, with a whole matrix and a mask."""
import numpy as np
from case import Case, generator, rounded, wide


def attend(q, k, v, window):
    s = wide(q) @ np.swapaxes(wide(k), -1, -2) / np.sqrt(q.shape[-1])
    m, n = np.arange(s.shape[-2])[:, None], np.arange(s.shape[-1])
    s = np.where((n <= m) & (n > m - window), s, -np.inf)
    e = np.exp(s - s.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True) @ wide(v)


def cases():
    rng, normal = generator(89)
    for batch, S, D, E, window, dtype in (((2, 3), 67, 16, 8, 9, "f32"), ((2,), 33, 4, 4, 100, "f32"), ((), 9, 3, 2, 1, "f32"),
                                          ((1,), 40, 16, 16, 8, "bf16")):
        q, k, v = (rounded(normal(*batch, S, n), dtype) for n in (D, D, E))
        tolerance = 5e-6 if dtype == "f32" else 1e-2
        yield Case("sliding_window_attention", {"q": q, "k": k, "v": v}, {"o": attend(q, k, v, window)},
                   args={"window": window}, dtypes=dict.fromkeys("qkv", dtype), stored={"o": dtype}, rtol=tolerance,
                   atol=tolerance, configs=("", "tile_m = 13, tile_n = 5") if S == 67 else ())
