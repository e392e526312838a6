"""Groups of columns in e4m3, each with its scale, which may be a power of two; groups of zeros."""
import numpy as np
from case import Case, generator, rounded, wide


def cases():
    _, normal = generator(191)
    for rows, g, c, dtype in (((3,), 5, 4, "bf16"), ((1,), 1, 1, "f32"), ((2, 3), 4, 128, "bf16"), ((0,), 2, 8, "bf16"),
                              ((9,), 3, 33, "f16")):
        x = rounded(normal(*rows, g * c), dtype)
        x[:1, ..., :c] = 0
        groups = wide(x).reshape(*rows, g, c)
        for pow2 in (False, True):
            s = np.maximum(np.abs(groups).max(-1, initial=0), 1e-10) / 448
            s = np.exp2(np.ceil(np.log2(s))) if pow2 else s
            yield Case("per_token_group_fp8_quant", {"x": x}, {"q": (groups / s[..., None]).reshape(x.shape), "s": s},
                       defines={"C": c, "pow2": str(pow2).lower()}, dtypes={"x": dtype}, stored={"q": "f8e4m3"},
                       rtol=3e-6, atol={"q": 1e-6, "s": 0})
