"""A batch of left-hand sides of any rank, one right-hand side."""
import numpy as np
from case import Case, generator, norms, rounded, wide


def product(kernel, a, b, dtype="f32", left="x", right="w", **more):
    """A case of a kernel that multiplies the last two dimensions; errors are measured by row and column norms."""
    a, b = rounded(a, dtype), rounded(b, dtype)
    return Case(kernel, {left: a, right: b}, {"c": wide(a) @ wide(b)}, dtypes={left: dtype, right: dtype},
                stored={"c": dtype}, rtol=0, atol=1e-6 * norms(a, b) + 1e-30, **more)


def cases():
    _, normal = generator(161)
    for lead, k, n in (((3, 2), 7, 5), ((1,), 13, 3), ((), 40, 33), ((2, 3, 4), 1, 1), ((3, 0), 4, 2), ((5,), 0, 3)):
        x, w = normal(*lead, k), normal(k, n)
        yield Case("broadcast_matmul", {"x": x, "w": w}, {"c": wide(x) @ w}, rtol=0,
                   atol=1e-6 * np.linalg.norm(x, axis=-1, keepdims=True) * np.linalg.norm(w, axis=0) + 1e-30)
    yield product("broadcast_matmul", normal(2, 19, 65), normal(65, 30), "f16")
