"""A product with four-bit weights, scaled by groups."""
import numpy as np
from case import Case, generator, rounded, wide


def cases():
    rng, normal = generator(91)
    for M, N, G, Q, dtype in ((13, 46, 3, 16, "f32"), (1, 2, 1, 1, "f32"), (4, 24, 2, 32, "f16"), (3, 8, 2, 8, "bf16")):
        x, scale = rounded(normal(M, G * Q), dtype), rounded(np.abs(normal(G, N)) / 8, dtype)
        w, zero = rng.integers(0, 16, (G * Q, N)), rng.integers(0, 16, (G, N))
        full = np.repeat(wide(scale), Q, 0) * (w - np.repeat(zero, Q, 0))
        yield Case("group_scaled_matmul", {"x": x, "w": w, "scale": scale, "zero": zero}, {"y": wide(x) @ full},
                   defines={"Q": Q}, dtypes={"x": dtype, "scale": dtype, "w": "u4", "zero": "u4"}, stored={"y": dtype},
                   atol=2e-5, configs=("", "tile_m = 5, tile_n = 6") if M == 13 else ())
