"""Sums of the rows of each sequence, sequence by sequence."""
import numpy as np
from case import Case, generator, offsets, rounded, wide


def cases():
    rng, normal = generator(41)
    for L, M, B, dtype in ((301, 37, 9, "f32"), (1, 1, 1, "f32"), (0, 3, 4, "f32"), (5, 0, 2, "f32"), (90, 5, 7, "bf16")):
        x, off = rounded(normal(L, M), dtype), offsets(rng, B, L)
        y = np.stack([wide(x)[i:j].sum(0) for i, j in zip(off[:-1], off[1:])])
        yield Case("jagged_sum", {"x": x, "off": off}, {"y": y}, dtypes={"x": dtype}, stored={"y": dtype}, atol=1e-5,
                   configs=("", "tile_b = 3, tile_m = 5, block_j = 7") if L == 301 else ())
