"""A jagged matrix plus a dense one; rows may be longer than the dense ones, and empty."""
import numpy as np
from case import Case, generator, offsets, rounded, wide


def cases():
    rng, normal = generator(45)
    for L, B, N, dtype in ((300, 9, 50, "f32"), (1, 1, 1, "f32"), (0, 3, 7, "f32"), (40, 4, 15, "bf16")):
        x, y, off = rounded(normal(L), dtype), rounded(normal(B, N), dtype), offsets(rng, B, L)
        out = wide(y).copy()
        for b in range(B):
            row = wide(x)[off[b]:off[b + 1]][:N]
            out[b, :len(row)] += row
        yield Case("jagged_dense_add", {"x": x, "off": off, "y": y}, {"out": out}, dtypes={"x": dtype, "y": dtype},
                   stored={"out": dtype}, configs=("", "tile_b = 2, tile_n = 7") if L == 300 else ())
