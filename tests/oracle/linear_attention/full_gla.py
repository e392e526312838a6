"""Linear attention with a decay for each step and channel; some keep all, others nothing."""
import numpy as np
from family import variant


def decay(rng, B, H, L, D):
    g = -rng.exponential(0.5, (B, H, L, D)).astype(np.float32)
    g[:, :, ::5, ::2], g[:, :, 3::7, 1::2] = 0, -20
    return {"g": g}, g


def cases():
    yield from variant("full_gla", 64, decay, dg=lambda dg: dg)
