"""Products of e4m3 matrices; the right one in either order of memory; the largest values; NaN."""
import numpy as np
from case import Case, generator, norms, rounded, wide


def cases():
    _, normal = generator(182)
    for m, k, n, c in ((3, 7, 5, "f16"), (1, 40, 1, "f16"), (2, 0, 3, "f16"), (33, 65, 40, "bf16"), (20, 30, 10, "f32")):
        x, y = rounded(normal(m, k), "f8e4m3"), rounded(normal(k, n), "f8e4m3")
        yield Case("fp8_gemm", {"x": x, "y": y}, {"c": wide(x) @ wide(y)}, defines={"C": c}, stored={"c": c}, rtol=0,
                   dtypes={"x": "f8e4m3", "y": "f8e4m3"}, atol=1e-6 * norms(x, y) + 1e-30)
    x, y = np.full((2, 9), 448, np.float32), np.full((9, 3), -448, np.float32)
    x[1, 3] = np.nan
    with np.errstate(over="ignore"):
        yield Case("fp8_gemm", {"x": x, "y": y}, {"c": wide(x) @ wide(y)}, dtypes={"x": "f8e4m3", "y": "f8e4m3"},
                   stored={"c": "f16"}, note="to infinity")
