"""Products of bf16 with i16 that is rounded to bf16, from the least to the greatest integer."""
import numpy as np
from case import Case, generator, norms, rounded, wide


def cases():
    rng, normal = generator(181)
    for m, k, n in ((3, 7, 5), (1, 33, 1), (2, 0, 3), (40, 65, 33)):
        f, i = rounded(normal(m, k), "bf16"), rng.integers(-2 ** 15, 2 ** 15, (k, n)).astype(np.int16)
        i.flat[:2] = -2 ** 15, 2 ** 15 - 1
        wi = rounded(i, "bf16")
        yield Case("bf16xint16_gemm", {"x": f, "w": i}, {"c": wide(f) @ wide(wi)}, dtypes={"x": "bf16"},
                   stored={"c": "bf16"}, rtol=0, atol=1e-6 * norms(f, wi) + 1e-30)
        yield Case("int16xbf16_gemm", {"x": i.T.copy(), "w": f.T.copy()}, {"c": wide(wi).T @ wide(f).T},
                   dtypes={"w": "bf16"}, stored={"c": "bf16"}, rtol=0, atol=1e-6 * norms(wi.T, f.T) + 1e-30)
