"""The experts with the largest logits, ties to the lower index."""
import numpy as np
from case import Case, generator, rounded, wide


def cases():
    rng, normal = generator(85)
    for N, E, K, dtype in ((101, 13, 3, "f32"), (5, 4, 4, "f32"), (1, 1, 1, "f32"), (0, 3, 2, "f32"), (33, 64, 8, "bf16")):
        logits = rounded(np.round(normal(N, E), 1), dtype)  # rounded: with ties
        expert = np.argsort(-wide(logits), axis=1, kind="stable")[:, :K]
        v = np.take_along_axis(wide(logits), expert, 1)
        e = np.exp(v - v[:, :1])
        yield Case("topk_routing", {"logits": logits}, {"expert": expert, "weight": e / e.sum(1, keepdims=True),
                                                       "load": np.bincount(expert.ravel(), minlength=E)},
                   defines={"K": K}, dtypes={"logits": dtype}, configs=("", "tile_n = 7") if N == 101 else ())
