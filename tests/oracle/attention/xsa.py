"""Attention without the part along the token's own value; a value may be zero."""
import numpy as np
from case import Case, generator, rounded, wide
from attention_matrix import forward


def exclusive(q, k, v, eps=1e-6):
    o = forward(q, k, v)["o"]
    u = wide(v) / np.maximum(np.linalg.norm(wide(v), axis=-1, keepdims=True), eps)
    return {"z": o - (o * u).sum(-1, keepdims=True) * u}


def cases():
    rng, normal = generator(36)
    for shape in ((2, 3, 37, 16), (2, 7, 5), (1, 1, 1)):
        q, k, v = (normal(*shape) for _ in "qkv")
        if shape[-2] > 1:
            v[..., 1, :] = 0
        yield Case("xsa", {"q": q, "k": k, "v": v}, exclusive(q, k, v), rtol=5e-6, atol=5e-6,
                   configs=("", "tile_m = 1, tile_n = 5") if shape[-2] == 37 else ())
    for dtype, tolerance in (("bf16", 1e-2), ("f16", 2e-3)):
        q, k, v = (rounded(normal(2, 20, 8), dtype) for _ in "qkv")
        yield Case("xsa", {"q": q, "k": k, "v": v}, exclusive(q, k, v), dtypes=dict.fromkeys("qkv", dtype),
                   stored={"z": dtype}, rtol=tolerance, atol=tolerance, note="probabilities are rounded too")
