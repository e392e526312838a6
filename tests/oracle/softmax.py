"""Row-wise softmax, of whole rows and in two passes over tiles of a row."""
import numpy as np
from case import Case, generator, rounded, wide


def softmax(x):
    e = np.exp(wide(x) - x.max(-1, keepdims=True, initial=-np.inf))
    return e / e.sum(-1, keepdims=True)


def cases():
    rng, normal = generator(3)
    configs = ("", "tile_i = 1, tile_m = 1", "tile_i = 7, tile_m = 7, tile_n = 100, tile_n2 = 33")
    for kernel in ("softmax", "softmax_two_pass"):
        for shape in ((1023, 777), (1, 1), (5, 1), (0, 9), (7, 0), (3, 16), (3, 5, 33)):
            x = 3 * normal(*shape)
            if kernel == "softmax" or x.ndim == 2:
                yield Case(kernel, {"x": x}, {"y": softmax(x)}, rtol=1e-6, atol=1e-6)
        for dtype in ("bf16", "f16"):
            x = rounded(normal(37, 130), dtype)
            yield Case(kernel, {"x": x}, {"y": softmax(x)}, dtypes={"x": dtype}, stored={"y": dtype})
