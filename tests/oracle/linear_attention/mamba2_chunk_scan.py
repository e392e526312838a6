"""Outputs from chunk states, one step of the output at a time."""
import numpy as np
from case import Case, generator, wide
from mamba2_chunk_state import SIZES, inputs


def cases():
    rng, normal = generator(74)
    for B, C, Q, H, G, P, N, dtype in SIZES:
        ins = inputs(rng, normal, B, C, Q, H, G, P, N, dtype)
        given = {n: ins[n] for n in ("cb", "x", "dt", "da", "cm", "prev", "d")}
        cb, x, dt, da, cm, prev, d = (wide(y) for y in given.values())
        out = np.zeros(x.shape)
        for b, h, t in np.ndindex(B, H, C * Q):
            g, (c, q) = h // (H // G), divmod(t, Q)
            k = np.arange(q + 1)
            weight = cb[b, c, g, q, k] * np.exp(da[b, h, c, q] - da[b, h, c, k]) * dt[b, h, c, k]
            out[b, t, h] = np.exp(da[b, h, c, q]) * prev[b, c, h] @ cm[b, t, g] + d[h] * x[b, t, h] + weight @ x[b, c * Q + k, h]
        yield Case("mamba2_chunk_scan", given, {"out": out}, rtol=2e-5, atol=2e-5,
                   dtypes={n: dtype for n in given if n != "da"}, stored={"out": dtype},
                   configs=("", "tile_q = 4, tile_p = 3") if Q == 21 else ())
