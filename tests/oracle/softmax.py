"""Row-wise softmax, of whole rows and in two passes over tiles of a row; its gradient."""
import numpy as np
from case import Case, generator, rounded, wide


def softmax(x):
    e = np.exp(wide(x) - x.max(-1, keepdims=True, initial=-np.inf))
    return e / e.sum(-1, keepdims=True)


def cases():
    rng, normal = generator(3)
    configs = {"softmax": ("", "tile_i = 1", "tile_i = 7"), "softmax_std": (),
               "softmax_two_pass": ("", "tile_m = 1, tile_n = 1", "tile_m = 7, tile_n = 100, tile_n_2 = 33")}
    for kernel in ("softmax", "softmax_std", "softmax_two_pass"):
        for shape in ((1023, 777), (1, 1), (5, 1), (0, 9), (7, 0), (3, 16), (3, 5, 33)):
            x = 3 * normal(*shape)
            if kernel != "softmax_two_pass" or x.ndim == 2:
                # Where vectors have one lane, long sums are one chain of additions.
                yield Case(kernel, {"x": x}, {"y": softmax(x)}, rtol=4e-6 if x.size > 9999 else 1e-6, atol=1e-6,
                           configs=configs[kernel] if x.size == 1023 * 777 else ())
        for dtype in ("bf16", "f16"):
            x = rounded(normal(37, 130), dtype)
            yield Case(kernel, {"x": x}, {"y": softmax(x)}, dtypes={"x": dtype}, stored={"y": dtype})
        x = 3 * normal(9, 50) + rng.choice(np.float32([-300, 300]), (9, 1))
        x[:, 1:] = np.where(rng.random((9, 49)) < 0.3, -np.inf, x[:, 1:])
        yield Case(kernel, {"x": x}, {"y": softmax(x)}, rtol=1e-6, atol=1e-6, note="far from 0, and masked")
    for shape in ((37, 130), (1, 1), (2, 3, 9), (0, 4)):
        y, dy = np.float32(softmax(3 * normal(*shape))), normal(*shape)
        jacobian = y[..., None] * np.eye(shape[-1]) - wide(y)[..., None] * y[..., None, :]
        yield Case("softmax_bwd", {"dy": dy, "y": y}, {"dx": np.einsum("...o,...oi->...i", wide(dy), jacobian)})
