"""Softmax over the rows of each sequence; columns may hold -inf, huge values, or be far apart."""
import numpy as np
from case import Case, generator, offsets, rounded, wide


def softmax(x):
    e = np.exp(x - x.max(0))
    return e / e.sum(0)


def cases():
    rng, normal = generator(43)
    for L, F, B, dtype in ((203, 17, 9, "f32"), (1, 1, 1, "f32"), (0, 3, 2, "f32"), (60, 5, 4, "bf16")):
        x, off = normal(L, F), offsets(rng, B, L)
        if L > 100:
            x[:, 0] *= 30
            x[5::7, 1] = -np.inf
            x[:, 2] = 1e38 * np.sign(x[:, 2])
        x = rounded(x, dtype)
        y = np.zeros((L, F))
        for i, j in zip(off[:-1], off[1:]):
            y[i:j] = softmax(wide(x)[i:j]) if j > i else 0
        for kernel in ("jagged_softmax", "jagged_softmax_online"):
            yield Case(kernel, {"x": x, "off": off}, {"y": y}, dtypes={"x": dtype}, stored={"y": dtype}, rtol=1e-5,
                       configs=("", "tile_b = 2, tile_f = 3", "tile_j = 3") if L == 203 else ())
