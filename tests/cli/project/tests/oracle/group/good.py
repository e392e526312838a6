"""Every storage type through a copy, with a mask; a refusal; sizes of real use."""
import numpy as np
from case import Case, generator, rounded, wide


def cases(full=False):
    rng, normal = generator(3)
    if full:
        x = normal(1000, 500)
        yield Case("twice", {"x": x}, {"y": 2 * wide(x)})
        return
    for dtype in ("f8e4m3", "f8e5m2", "f4e2m1", "i4", "u4", "i8", "u8", "i16", "u16", "u32", "bf16", "f16"):
        x = rounded(rng.integers(-8, 8, (3, 5)) if dtype[0] in "iu" else 3 * normal(3, 5), dtype)
        skip = [[m == 2] * 5 for m in range(3)]
        yield Case("copy", {"x": x}, {"y": np.ma.array(np.where(skip, 99, wide(x)), mask=skip)}, dtypes={"x": dtype},
                   rtol=0, atol={"y": np.zeros((1, 5))}, configs=("", "tile_m = 2, tile_n = 3"))
    yield Case("pick", {"w": normal(3), "ids": np.array([0, 3])}, {}, fails="HK0710")
    x = rounded(3 * normal(40, 50), "f8e4m3")
    yield Case("twice", {"x": x}, {"y": 2.001 * wide(x)}, dtypes={"x": "f8e4m3"}, rtol=1e-3, atol=0)
