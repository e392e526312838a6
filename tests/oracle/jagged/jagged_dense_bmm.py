"""A matrix for each sequence, with and without a bias."""
import numpy as np
from case import Case, generator, offsets, rounded, wide


def cases():
    rng, normal = generator(46)
    for L, D, B, K, dtype in ((130, 34, 7, 24, "f32"), (1, 1, 1, 1, "f32"), (0, 3, 2, 5, "f32"), (50, 16, 4, 9, "bf16")):
        x, w, bias = (rounded(normal(*s), dtype) for s in ((L, D), (B, D, K), (B, K)))
        off = offsets(rng, B, L)
        owner = np.repeat(np.arange(B), np.diff(off))
        y = np.einsum("jd,jdk->jk", wide(x), wide(w)[owner])
        for given in (True, False):
            inputs = {"x": x, "w": w, "off": off} | ({"bias": bias} if given else {})
            yield Case("jagged_dense_bmm", inputs, {"y": y + wide(bias)[owner] if given else y}, atol=1e-5,
                       dtypes={n: dtype for n in inputs if n != "off"}, stored={"y": dtype},
                       configs=("", "tile_b = 2, tile_j = 5, tile_k = 7") if L == 130 and given else ())
