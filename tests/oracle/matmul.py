"""Matrix products, plain and with an epilogue. Errors are measured by row and column norms."""
import math

import numpy as np
from case import Case, generator, norms, rounded, wide

CONFIGS = ("", "tile_m = 1, tile_n = 1", "tile_m = 7, tile_n = 48", "tile_m = 64, tile_n = 64, block_k = 32",
           "tile_m = 200, tile_n = 16, block_k = 100000", "tile_m = 16, tile_n = 33, block_k = 7")


def gelu(x):
    return 0.5 * x * (1 + np.vectorize(math.erf)(x / math.sqrt(2)))


def cases():
    rng, normal = generator(6)
    for m, k, n in ((127, 513, 65), (1, 1, 1), (1, 300, 33), (40, 1, 40), (3, 0, 5), (0, 4, 4), (64, 64, 64)):
        a, b = normal(m, k), normal(k, n)
        yield Case("matmul", {"a": a, "b": b}, {"c": wide(a) @ b}, rtol=0, atol=1e-6 * norms(a, b) + 1e-30,
                   configs=CONFIGS if m == 127 else ())
    for dtype in ("bf16", "f16"):
        a, b = rounded(normal(50, 90), dtype), rounded(normal(90, 70), dtype)
        yield Case("matmul", {"a": a, "b": b}, {"c": wide(a) @ b}, rtol=0, atol=1e-6 * norms(a, b),
                   dtypes={"a": dtype, "b": dtype})
    a, b = (rng.integers(-99, 99, shape).astype(np.int8) for shape in ((20, 33), (33, 18)))
    yield Case("matmul", {"a": a, "b": b}, {"c": wide(a) @ b}, rtol=0, atol=0)
    a, b, bias = normal(31, 40), normal(40, 50), normal(50)
    product = wide(a) @ b
    yield Case("matmul", {"a": a, "b": b}, {"c": gelu(product)}, defines={"epilogue": "gelu"}, atol=1e-5)
    yield Case("matmul", {"a": a, "b": b}, {"c": np.maximum(product, 0)},
               defines={"epilogue": "fn(x) => max(x, 0)"}, atol=1e-5)
    yield Case("linear_gelu", {"a": a, "b": b, "bias": bias}, {"c": gelu(product + bias)}, atol=1e-5)
    yield Case("linear", {"a": a, "b": b, "bias": bias}, {"c": product + bias}, atol=1e-5)
    for m, k, n in ((31, 40, 50), (1, 1, 1), (3, 0, 5)):
        a, b, bias, dc = normal(m, k), normal(k, n), normal(m, n), normal(m, n)
        args = {"alpha": 0.5, "beta": 2}
        yield Case("addmm", {"bias": bias, "a": a, "b": b}, {"c": 0.5 * (wide(a) @ b) + 2 * bias}, args=args, atol=1e-5)
        yield Case("addmm_bwd", {"dc": dc, "a": a, "b": b}, {"da": 0.5 * (wide(dc) @ b.T), "db": 0.5 * (wide(a).T @ dc),
                                                             "dbias": 2 * dc}, args=args, atol=1e-5)
