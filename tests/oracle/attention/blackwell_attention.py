"""Attention over batch and heads with a given scale, and its gradients."""
import numpy as np
from case import Case, generator, rounded
from attention_matrix import backward, forward


def cases():
    rng, normal = generator(33)
    for B, H, S, L, D, E, scale in ((2, 3, 35, 17, 8, 5, 0.4), (1, 1, 1, 9, 2, 4, 3.0), (1, 2, 5, 1, 1, 1, 0.1)):
        q, k, v, dout = normal(B, H, S, D), normal(B, H, L, D), normal(B, H, L, E), normal(B, H, S, E)
        saved = forward(q, k, v, scale=scale)
        yield Case("blackwell_attention", {"q": q, "k": k, "v": v}, saved, args={"scale": scale}, rtol=5e-6, atol=5e-6,
                   configs=("", "tile_m = 3, tile_n = 5") if S == 35 else ())
        inputs = {"q": q, "k": k, "v": v, "dout": dout} | {n: x.astype(np.float32) for n, x in saved.items()}
        yield Case("blackwell_attention_bwd", inputs, backward(q, k, v, dout, scale=scale), args={"scale": scale},
                   rtol=1e-5, atol=1e-5)
    q, k, v = (rounded(normal(1, 2, 20, 16), "bf16") for _ in "qkv")
    yield Case("blackwell_attention", {"q": q, "k": k, "v": v}, forward(q, k, v), dtypes=dict.fromkeys("qkv", "bf16"),
               stored={"o": "bf16"}, rtol=1e-2, atol=1e-2, note="probabilities are rounded too")
