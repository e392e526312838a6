"""Centred depthwise convolution, by shifts."""
import numpy as np
from case import Case, generator, rounded, wide


def cases():
    rng, normal = generator(82)
    for B, L, C, W, dtype in ((2, 37, 19, 5, "f32"), (1, 2, 3, 7, "f32"), (1, 3, 1, 2, "f32"), (0, 3, 2, 3, "f32"),
                              (1, 20, 8, 3, "f16")):
        x, w = rounded(normal(B, L, C), dtype), rounded(normal(C, W), dtype)
        padded = np.pad(wide(x), ((0, 0), (W // 2, W), (0, 0)))
        y = sum(padded[:, i:i + L] * wide(w)[:, i] for i in range(W))
        yield Case("depthwise_conv1d", {"x": x, "w": w}, {"y": y}, dtypes={"x": dtype, "w": dtype}, stored={"y": dtype},
                   configs=("", "tile_t = 5, tile_c = 7") if L == 37 else ())
