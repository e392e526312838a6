"""HSTU attention of packed sequences, token by token."""
import numpy as np
from case import Case, generator, offsets, rounded, wide


def attend(q, k, v, off, alpha, scale):
    q, k, v, o = wide(q), wide(k), wide(v), np.zeros(q.shape)
    for first, end in zip(off[:-1], off[1:]):
        for i in range(first, end):
            s = alpha * np.einsum("hd,jhd->hj", q[i], k[first:i + 1])
            o[i] = np.einsum("hj,jhd->hd", scale * s / (1 + np.exp(-s)), v[first:i + 1])
    return o


def cases():
    rng, normal = generator(47)
    for L, H, D, B, dtype in ((90, 3, 8, 5, "f32"), (1, 1, 1, 1, "f32"), (0, 2, 3, 2, "f32"), (40, 2, 8, 3, "bf16")):
        q, k, v = (rounded(normal(L, H, D), dtype) for _ in "qkv")
        off, args = offsets(rng, B, L), {"alpha": 0.5, "scale": 0.125}
        yield Case("jagged_hstu_attn", {"q": q, "k": k, "v": v, "off": off}, {"o": attend(q, k, v, off, **args)},
                   args=args, dtypes=dict.fromkeys("qkv", dtype), stored={"o": dtype}, rtol=5e-6,
                   atol=5e-6 if dtype == "f32" else 1e-2, configs=("", "tile_i = 7, block_j = 5") if L == 90 else ())
