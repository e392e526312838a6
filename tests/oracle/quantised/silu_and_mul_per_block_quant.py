"""silu of one half of a row times the other, then groups of columns in e4m3 or i8, each with its scale."""
import numpy as np
from case import Case, generator, rounded, wide
from quantise import tolerances
from rms_norm_per_block_quant import blocks


def cases():
    _, normal = generator(194)
    for rows, n, group, dtype, q_type, bound in (((3,), 20, 4, "bf16", "f8e4m3", None), ((1,), 1, 1, "f32", "f8e4m3", None),
                                                 ((2, 3), 256, 128, "bf16", "i8", 0.5), ((5,), 99, 33, "f32", "i8", None),
                                                 ((0,), 8, 2, "bf16", "f8e4m3", None)):
        x = rounded(2 * normal(*rows, 2 * n), dtype)
        if len(x) > 2:
            x[0] = 0  # has the least scale
        a, b = wide(x)[..., :n], wide(x)[..., n:]
        q, s = blocks(a / (1 + np.exp(-a)) * b, group, q_type, bound)
        given = {"x": x} if bound is None else {"x": x, "ub": np.float32([bound])}
        yield Case("silu_and_mul_per_block_quant", given, {"q": q, "s": s}, defines={"Q": q_type, "C": group},
                   dtypes={"x": dtype}, stored={"q": q_type}, **tolerances(q_type, "f32"))
