"""Counts by bin; values outside and exactly on edges are among them."""
import numpy as np
from case import Case, generator


def cases():
    rng, _ = generator(88)
    for N, bins, lo, hi in ((5003, 16, -2, 2), (0, 4, 0, 1), (1, 1, 0, 1), (300, 64, 0, 8)):
        x = rng.uniform(lo - 0.2 * (hi - lo), hi + 0.2 * (hi - lo), N).astype(np.float32)
        x[::3] = np.round(x[::3] * 8) / 8  # a power of two wide: edges are exact
        bin_ = np.clip(np.floor((x.astype(np.float64) - lo) / (hi - lo) * bins).astype(np.int64), 0, bins - 1)
        yield Case("histogram", {"x": x}, {"count": np.bincount(bin_, minlength=bins)}, args={"lo": lo, "hi": hi},
                   defines={"BINS": bins}, configs=("", "tile_n = 7") if N == 300 else ())
