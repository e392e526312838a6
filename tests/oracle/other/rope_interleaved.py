"""Adjacent pairs as complex numbers, turned by the position's angle."""
import numpy as np
from case import Case, generator, rounded, wide


def cases():
    rng, normal = generator(86)
    for shape, dtype in (((2, 3, 57, 16), "f32"), ((5, 2), "f32"), ((1, 1, 6), "f32"), ((2, 20, 8), "bf16")):
        x = rounded(normal(*shape), dtype)
        z, R = wide(x).reshape(*shape[:-1], -1, 2), shape[-1] // 2
        angle = np.arange(shape[-2])[:, None] * 10000.0 ** (-np.arange(R) / R)
        turned = (z[..., 0] + 1j * z[..., 1]) * np.exp(1j * angle)
        yield Case("rope_interleaved", {"x": x}, {"y": np.stack([turned.real, turned.imag], -1).reshape(shape)},
                   dtypes={"x": dtype}, stored={"y": dtype}, atol=2e-5,
                   configs=("", "tile_t = 5, tile_r = 3") if len(shape) == 4 else ())
