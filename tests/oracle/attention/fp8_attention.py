"""Attention of e4m3 values. How a weight rounds depends on the running maximum, so the tolerance is that of e4m3."""
import numpy as np
from case import Case, generator, rounded, wide
from attention_matrix import probabilities


def cases():
    rng, normal = generator(35)
    for B, H, S, D in ((2, 3, 33, 16), (1, 2, 9, 3), (1, 1, 1, 1)):
        q, k, v = (rounded(x, "f8e4m3") for x in (normal(B, H, S, D), normal(B, H, S, D), normal(B, H, D, S)))
        p, _ = probabilities(q, k)
        yield Case("fp8_attention", {"q": q, "k": k, "v": v},
                   {"o": p @ np.swapaxes(wide(v), -1, -2)},
                   dtypes=dict.fromkeys("qkv", "f8e4m3"), stored={"o": "f8e4m3"}, rtol=0.07, atol=0.03)
