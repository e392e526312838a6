"""A product with scale, residual, bias and gelu; with and without the value before the gelu."""
import math
import numpy as np
from case import Case, generator, rounded, wide


def gelu(z):
    return 0.5 * z * (1 + np.vectorize(math.erf, otypes=[float])(z / math.sqrt(2)))


def cases():
    _, normal = generator(162)
    for m, k, n, dtype in ((3, 7, 5, "f32"), (1, 1, 9, "f32"), (2, 0, 3, "f32"), (40, 65, 33, "f32"),
                           (20, 30, 40, "f16")):
        x, w, bias, residual = (rounded(v, dtype) for v in (normal(m, k), normal(k, n), normal(n), normal(m, n)))
        given = {"x": x, "w": w, "bias": bias}
        more = {"dtypes": dict.fromkeys((*given, "residual"), dtype), "stored": {"out": dtype, "aux": dtype},
                "rtol": 5e-6, "atol": 2e-5}
        z = 1.25 * (wide(x) @ w) + bias
        yield Case("matmul_bias_gelu_aux", given, {"out": gelu(z), "aux": z}, **more)
        z = z + 0.5 * residual
        yield Case("matmul_bias_residual_gelu", {**given, "residual": residual}, {"out": gelu(z)}, **more)
