"""Gradients of attention, all keys or the causal triangle."""
import numpy as np
from case import Case, generator, rounded
from attention_matrix import backward, forward

CONFIGS = ("", "tile_m = 1, tile_n = 7", "tile_m = 13, tile_n = 29, chunks = 5")


def cases():
    rng, normal = generator(31)
    for batch, S, L, D, E in (((2, 3), 67, 67, 16, 16), ((2,), 33, 10, 8, 5), ((1,), 1, 1, 1, 1), ((), 5, 9, 3, 2)):
        for causal in (False, True):
            if causal and S != L:
                continue
            q, k, v, dout = normal(*batch, S, D), normal(*batch, L, D), normal(*batch, L, E), normal(*batch, S, E)
            saved = forward(q, k, v, causal=causal)
            inputs = {"q": q, "k": k, "v": v, "dout": dout} | {n: x.astype(np.float32) for n, x in saved.items()}
            for kernel in ("attention_bwd", "attention_bwd_fold") if S > 1 else ("attention_bwd",):
                yield Case(kernel, inputs, backward(q, k, v, dout, causal=causal), rtol=1e-5, atol=1e-5,
                           defines={"causal": "true"} if causal else {}, configs=CONFIGS if S == 67 else ())
    for dtype, tolerance in (("bf16", 3e-2), ("f16", 4e-3)):
        q, k, v, dout = (rounded(normal(2, 40, 16), dtype) for _ in range(4))
        saved = forward(q, k, v)
        inputs = {"q": q, "k": k, "v": v, "dout": dout, "o": rounded(saved["o"], dtype),
                  "lse2": saved["lse2"].astype(np.float32)}
        yield Case("attention_bwd", inputs, backward(q, k, v, dout), rtol=tolerance, atol=tolerance,
                   dtypes={n: dtype for n in ("q", "k", "v", "dout", "o")},
                   stored={n: dtype for n in ("dq", "dk", "dv")}, note="p and ds are rounded too")
