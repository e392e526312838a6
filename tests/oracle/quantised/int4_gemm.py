"""Products with four-bit integers, in the type's own layout and as bytes packed along k."""
import numpy as np
from case import Case, generator, norms, rounded, wide


def cases():
    rng, normal = generator(186)
    for m, j, n, dtype in ((5, 7, 9, "f32"), (1, 1, 1, "f32"), (3, 33, 50, "f32"), (2, 0, 3, "f32"), (20, 40, 16, "bf16")):
        a, w = rounded(normal(m, 2 * j), dtype), rng.integers(-8, 8, (2 * j, n))
        more = {"stored": {"c": dtype}, "rtol": 0, "atol": 1e-6 * norms(a, w) + 1e-30}
        yield Case("int4_gemm", {"a": a, "w": w.T}, {"c": wide(a) @ w}, dtypes={"a": dtype, "w": "i4"}, **more)
        packed = (w[0::2] & 15 | w[1::2] << 4).astype(np.uint8).view(np.int8)
        yield Case("int4_gemm_bytes", {"a": a, "w": packed}, {"c": wide(a) @ w}, dtypes={"a": dtype}, **more)
    a, w = normal(3, 13), rng.integers(-8, 8, (5, 13))
    yield Case("int4_gemm", {"a": a, "w": w}, {"c": wide(a) @ w.T}, dtypes={"w": "i4"}, rtol=0, atol=1e-6 * norms(a, w.T))
