"""NVFP4 products: the scales of 16 values spread out, then a plain product; more than 128 rows, groups no multiple of 4."""
import numpy as np
from case import Case, generator, norms, rounded, wide
from quantise import fp4, fp8, swizzle


def cases():
    rng, normal = generator(187)
    for m, g, n in ((5, 3, 7), (1, 1, 1), (131, 5, 3), (2, 4, 130)):
        w, ws, sa = fp4(rng, n, 16 * g), fp8(rng, n, g), fp8(rng, m, g)
        big_w = wide(w) * np.repeat(ws, 16, 1)
        for kernel, dtype in (("nvfp4_w4a16", "bf16"), ("nvfp4_w4a4", "f4e2m1")):
            a = rounded(normal(m, 16 * g), "bf16") if dtype == "bf16" else fp4(rng, m, 16 * g)
            big_a = wide(a) * (1 if dtype == "bf16" else np.repeat(sa, 16, 1))
            given = {"a": a, "w": w, "ws": swizzle(ws), **({} if dtype == "bf16" else {"as": swizzle(sa)})}
            yield Case(kernel, given, {"c": 0.5 * big_a @ big_w.T}, args={"alpha": 0.5},
                       dtypes={"a": dtype, "w": "f4e2m1", "as": "f8e4m3", "ws": "f8e4m3"}, stored={"c": "bf16"}, rtol=0,
                       atol=1e-6 * norms(big_a, big_w.T))
