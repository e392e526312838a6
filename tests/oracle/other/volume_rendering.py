"""Light along rays, sample by sample."""
import numpy as np
from case import Case, generator, wide


def cases():
    rng, _ = generator(104)
    for R, S in ((7, 37), (3, 1), (2, 0), (1, 130)):
        density, dt, rgb, back = (rng.random(s).astype(np.float32) for s in ((R, S), (R, S), (R, S, 3), (3,)))
        through, colour = np.ones(R), np.zeros((R, 3))
        for s in range(S):
            a = 1 - np.exp(-wide(density)[:, s] * dt[:, s])
            colour += (through * a)[:, None] * rgb[:, s]
            through *= 1 - a
        given = R != 3
        colour += through[:, None] * back * given
        inputs = {"density": density, "dt": dt, "rgb": rgb, **({"back": back} if given else {})}
        yield Case("volume_rendering", inputs, {"colour": colour, "opacity": 1 - through}, rtol=1e-5, atol=1e-5,
                   configs=("", "tile_r = 2, tile_s = 5", "tile_s = 1") if S == 37 else ())
