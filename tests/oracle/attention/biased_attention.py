"""Attention with a bias, which may be -inf: an entry, a whole block of keys, all keys but one."""
import numpy as np
from case import Case, generator, rounded
from attention_matrix import forward


def cases():
    rng, normal = generator(32)
    for batch, S, L, D, E in (((2, 3), 33, 70, 16, 8), ((2,), 5, 9, 3, 2), ((), 1, 1, 1, 1)):
        q, k, v, bias = normal(*batch, S, D), normal(*batch, L, D), normal(*batch, L, E), normal(*batch, S, L)
        if L > 1:
            bias[..., 0, :-1] = -np.inf
            bias[..., -1, 1] = -np.inf
            bias[..., 2, :] *= 30
        expect = forward(q, k, v, bias=bias)
        inputs = {"q": q, "k": k, "v": v, "bias": bias}
        configs = ("", "tile_m = 1, tile_n = 7", "tile_n = 1") if L == 70 else ()
        yield Case("biased_attention", inputs, expect, rtol=2e-5, atol=2e-5, configs=configs)
        yield Case("biased_attention_output", inputs, {"o": expect["o"]}, rtol=2e-5, atol=2e-5)
    inputs = {n: rounded(x, "bf16") for n, x in zip(("q", "k", "v", "bias"),
                                                   (normal(40, 16), normal(30, 16), normal(30, 8), normal(40, 30)))}
    yield Case("biased_attention", inputs, forward(**inputs), rtol=1e-2, atol=1e-2, dtypes={n: "bf16" for n in inputs},
               stored={"o": "bf16"}, note="probabilities are rounded too")
