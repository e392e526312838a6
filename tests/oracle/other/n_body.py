"""A leapfrog step under gravity."""
import numpy as np
from case import Case, generator, wide


def cases():
    rng, normal = generator(106)
    for N in (41, 1, 0, 130):
        pos, vel, mass = normal(3, N), normal(3, N), rng.random(N).astype(np.float32)
        apart = wide(pos)[:, None] - wide(pos)[:, :, None]
        near = ((apart ** 2).sum(0) + 0.25) ** -0.5
        v = wide(vel) + 0.125 * (wide(mass) * near ** 3 * apart).sum(-1)
        yield Case("n_body", {"pos": pos, "vel": vel, "mass": mass}, {"moved": wide(pos) + 0.125 * v, "faster": v},
                   args={"dt": 0.125, "eps": 0.5}, rtol=1e-5, atol=1e-5,
                   configs=("", "tile_i = 3, tile_j = 7", "tile_j = 1") if N == 41 else ())
