"""Rows in e4m3, each with its scale; rows of zeros, rows below the least scale, a bound on the scale."""
import numpy as np
from case import Case, generator, rounded
from quantise import quantise, tolerances


def cases():
    _, normal = generator(190)
    for shape, dtype, bound in (((3, 17), "bf16", None), ((1, 1), "f32", None), ((2, 5, 400), "bf16", 0.75),
                                ((5, 130), "f16", None), ((0, 8), "bf16", None)):
        x = rounded(normal(*shape), dtype)
        if len(x) > 2:
            x[0], x[1] = 0, rounded(x[1] * np.float32(1e-6), dtype)
        q, s = quantise(x, "f8e4m3", 1 / (448 * 512), bound)
        given = {"x": x} if bound is None else {"x": x, "ub": np.float32([bound])}
        yield Case("dynamic_per_token_scaled_fp8_quant", given, {"q": q, "s": s}, dtypes={"x": dtype},
                   stored={"q": "f8e4m3"}, **tolerances("f8e4m3", "f32"))
