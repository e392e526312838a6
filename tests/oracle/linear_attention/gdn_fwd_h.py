"""States of a gated delta net before each chunk; the last chunk may be short."""
import numpy as np
from case import Case, generator, rounded, wide


def states(k, w, u, g, C):
    k, w, u, g = wide(k), wide(w), wide(u), wide(g)
    s, h = np.zeros((k.shape[0], k.shape[2], k.shape[3], u.shape[3])), []
    for begin in range(0, k.shape[1], C):
        t, end = slice(begin, begin + C), g[:, min(begin + C, k.shape[1]) - 1]
        h.append(s)
        x = (u[:, t] - np.einsum("bthd,bhde->bthe", w[:, t], s)) * np.exp(end[:, None] - g[:, t])[..., None]
        s = s * np.exp(end)[..., None, None] + np.einsum("bthd,bthe->bhde", k[:, t], x)
    return np.stack(h, 1)


def cases():
    rng, normal = generator(71)
    for B, L, H, D, E, C, dtype in ((2, 50, 3, 8, 13, 16, "f32"), (1, 1, 1, 1, 2, 4, "f32"), (1, 32, 2, 16, 8, 8, "bf16")):
        k, w, u = normal(B, L, H, D) / D, normal(B, L, H, D) / D, normal(B, L, H, E)
        step = -0.2 * rng.random((B, L, H))
        g = np.concatenate([step[:, i:i + C].cumsum(1) for i in range(0, L, C)], 1).astype(np.float32)
        k, w, u = (rounded(x, dtype) for x in (k, w, u))
        yield Case("gdn_fwd_h", {"k": k, "w": w, "u": u, "g": g}, {"h": states(k, w, u, g, C)}, defines={"C": C},
                   dtypes={n: dtype for n in "kwu"}, stored={"h": dtype}, rtol=1e-5, atol=1e-5 if dtype == "f32" else 3e-2,
                   configs=("", "tile_b = 2, tile_i = 2, tile_e = 5") if L == 50 else ())
