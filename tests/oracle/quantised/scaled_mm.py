"""Scaled products of e4m3 and of i8, with and without bias, with one scale for a tensor."""
import numpy as np
from case import Case, generator, norms, rounded, wide


def scaled(kernel, m, k, n, rng, normal, q="f8e4m3", c="bf16", bias=False, single=False, defines=None):
    """A case of a kernel (a, b, sa, sb, bias?) -> c."""
    if q == "i8":
        a, b = (rng.integers(-128, 128, s).astype(np.int8) for s in ((m, k), (k, n)))
    else:
        a, b = rounded(normal(m, k), q), rounded(normal(k, n), q)
    sa, sb = (0.5 + rng.random(s).astype(np.float32) for s in (m, n))
    if single:
        sa[:], sb[:] = 0.75, 1.5
    given = {"a": a, "b": b, "sa": sa, "sb": sb}
    expect = (wide(a) @ wide(b)) * sa[:, None] * sb
    if bias:
        given["bias"] = rounded(normal(n), c)
        expect = expect + given["bias"]
    return Case(kernel, given, {"c": expect}, dtypes={"a": q, "b": q, "bias": c}, stored={"c": c}, defines=defines or {},
                rtol=1e-6, atol=4e-6 * norms(a, b) + 1e-6)


def cases():
    rng, normal = generator(183)
    for m, k, n in ((3, 13, 7), (1, 1, 5), (2, 0, 3), (40, 70, 33)):
        yield scaled("scaled_mm", m, k, n, rng, normal)
        yield scaled("scaled_mm", m, k, n, rng, normal, q="i8", bias=True)
    yield scaled("scaled_mm", 9, 40, 5, rng, normal, c="f32", single=True, defines={"T": "f32"})
    yield scaled("scaled_mm", 9, 40, 5, rng, normal, q="i8", c="f16", bias=True, defines={"T": "f16"})
