"""Dropout: Philox4x32-10 as its authors give it, by Python's integers; rates of 0 and 1; the gradient's mask is the same."""
import numpy as np
from case import Case, generator, rounded, wide

MASK = 0xFFFFFFFF


def philox(counter, key):
    c, k = [counter & MASK, counter >> 32, 0, 0], [key & MASK, (key >> 32) & MASK]
    for _ in range(10):
        a, b = 0xD2511F53 * c[0], 0xCD9E8D57 * c[2]
        c = [(b >> 32) ^ c[1] ^ k[0], b & MASK, (a >> 32) ^ c[3] ^ k[1], a & MASK]
        k = [(k[0] + 0x9E3779B9) & MASK, (k[1] + 0xBB67AE85) & MASK]
    return c


def uniform(seed, i):
    """Number i is word i % 4 of counter i / 4, its upper 24 bits as a fraction."""
    return (philox(i // 4, seed)[i % 4] >> 8) * 2.0 ** -24


def cases():
    _, normal = generator(14)
    for n, p, seed, dtype in ((1000, 0.25, 123, "f32"), (1, 0.5, 0, "f32"), (0, 0.5, 7, "f32"), (300, 0.9, 2 ** 40 + 5, "bf16"),
                              (50, 0.0, 1, "f32")):
        x = rounded(normal(n), dtype)
        keep = np.array([uniform(seed, i) >= np.float32(p) for i in range(n)], bool)
        y = np.where(keep, wide(x) / (1 - np.float32(p)), 0)
        for kernel, given, result in (("dropout", "x", "y"), ("dropout_bwd", "dy", "dx")):
            yield Case(kernel, {given: x}, {result: y}, args={"p": p, "seed": seed}, dtypes={given: dtype},
                       stored={result: dtype}, rtol=1e-6)
