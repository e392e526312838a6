"""Means over the rows of each sequence, of its first features."""
import numpy as np
from case import Case, generator, offsets, rounded, wide


def cases():
    rng, normal = generator(42)
    for L, M, B, dtype in ((201, 37, 9, "f32"), (1, 1, 1, "f32"), (0, 3, 4, "f32"), (90, 5, 7, "f16")):
        x, off, count = rounded(normal(L, M), dtype), offsets(rng, B, L), rng.integers(0, M + 1, B)
        count[0] = M
        y = np.zeros((B, M))
        for b in range(B):
            rows = wide(x)[off[b]:off[b + 1], :count[b]]
            y[b, :count[b]] = rows.mean(0) if len(rows) else 0
        yield Case("jagged_mean", {"x": x, "off": off, "count": count}, {"y": y}, dtypes={"x": dtype},
                   stored={"y": dtype}, configs=("", "tile_b = 4, tile_m = 3") if L == 201 else ())
