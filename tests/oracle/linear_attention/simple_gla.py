"""Linear attention with a decay for each step; some steps keep all, others nothing."""
import numpy as np
from family import variant


def decay(rng, B, H, L, D):
    g = -rng.exponential(0.5, (B, H, L)).astype(np.float32)
    g[:, :, ::5], g[:, :, 3::7] = 0, -20
    return {"g": g}, g[..., None]


def cases():
    yield from variant("simple_gla", 63, decay, dg=lambda dg: dg.sum(-1))
