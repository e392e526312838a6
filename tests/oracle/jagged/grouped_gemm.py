"""Groups of rows times one matrix."""
import numpy as np
from case import Case, generator, norms, offsets, rounded, wide


def cases():
    rng, normal = generator(48)
    for R, K, N, G, dtype in ((130, 33, 45, 5, "f32"), (1, 1, 1, 1, "f32"), (0, 3, 4, 2, "f32"), (64, 48, 16, 4, "bf16")):
        a, b = rounded(normal(R, K), dtype), rounded(normal(K, N), dtype)
        yield Case("grouped_gemm", {"a": a, "b": b, "off": offsets(rng, G, R, np.int32)}, {"c": wide(a) @ wide(b)},
                   dtypes={"a": dtype, "b": dtype}, stored={"c": dtype}, rtol=0, atol=1e-6 * norms(a, b) + 1e-6,
                   configs=("", "tile_m = 7, tile_n = 13") if R == 130 else ())
