"""Groups of rows that are padded to multiples of 8; the padding becomes 0."""
import numpy as np
from case import Case, generator, rounded, wide


def cases():
    rng, normal = generator(171)
    for g, n, k, dtype in ((3, 5, 7, "f32"), (1, 3, 5, "f32"), (4, 40, 33, "f32"), (4, 20, 16, "bf16")):
        rows = rng.integers(0, 16, g, dtype=np.int32)
        rows[0] = 0
        off = np.concatenate([[0], np.cumsum(-(-rows // 8) * 8)]).astype(np.int32)
        a, b = rounded(normal(off[-1], k), dtype), rounded(normal(g, n, k), dtype)
        c = np.zeros((len(a), n))
        for i in range(g):
            part = slice(off[i], off[i] + rows[i])
            c[part] = wide(a)[part] @ b[i].T
        yield Case("grouped_gemm_deepgemm", {"a": a, "b": b, "off": off, "rows": rows}, {"c": c}, rtol=5e-6, atol=2e-5,
                   dtypes={"a": dtype, "b": dtype}, stored={"c": dtype})
