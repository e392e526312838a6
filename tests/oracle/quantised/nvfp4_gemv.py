"""NVFP4 matrix times vector: the scales spread out, then a plain product."""
import numpy as np
from case import Case, generator, rounded, wide
from quantise import fp4, fp8, swizzle


def cases():
    rng, normal = generator(188)
    for m, g in ((9, 3), (1, 1), (131, 5), (300, 16)):
        w, ws, xs = fp4(rng, m, 16 * g), fp8(rng, m, g), fp8(rng, 1, g)
        big_w = wide(w) * np.repeat(ws, 16, 1)
        for kernel, dtype in (("nvfp4_gemv_w4a16", "bf16"), ("nvfp4_gemv_w4a4", "f4e2m1")):
            x = rounded(normal(16 * g), "bf16") if dtype == "bf16" else fp4(rng, 16 * g)
            big_x = wide(x) * (1 if dtype == "bf16" else np.repeat(xs[0], 16))
            given = {"w": w, "x": x, "ws": swizzle(ws), **({} if dtype == "bf16" else {"xs": swizzle(xs)})}
            yield Case(kernel, given, {"y": 0.5 * big_w @ big_x}, args={"alpha": 0.5},
                       dtypes={"w": "f4e2m1", "x": dtype, "ws": "f8e4m3", "xs": "f8e4m3"}, stored={"y": "bf16"}, rtol=0,
                       atol=1e-6 * np.linalg.norm(big_w, axis=1) * np.linalg.norm(big_x) + 1e-30)
