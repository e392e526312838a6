"""Layer norm over all elements of each sequence."""
import numpy as np
from case import Case, generator, offsets, rounded, wide


def cases():
    rng, normal = generator(44)
    for L, M, B, dtype in ((150, 13, 8, "f32"), (1, 1, 1, "f32"), (0, 4, 3, "f32"), (40, 9, 5, "f16")):
        x, off = rounded(normal(L, M) * 3 + 1, dtype), offsets(rng, B, L)
        y = np.zeros((L, M))
        for i, j in zip(off[:-1], off[1:]):
            d = wide(x)[i:j] - wide(x)[i:j].mean() if j > i else 0
            y[i:j] = d / np.sqrt((d * d).mean() + 1e-6) if j > i else 0
        yield Case("jagged_layer_norm", {"x": x, "off": off}, {"y": y}, dtypes={"x": dtype}, stored={"y": dtype},
                   rtol=5e-6, atol=5e-6, configs=("", "tile_b = 3") if L == 150 else ())
