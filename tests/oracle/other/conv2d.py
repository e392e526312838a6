"""Convolution, one output row of taps at a time, on padded images."""
import numpy as np
from case import Case, generator, rounded, wide


def conv(x, w, stride, pad):
    x = np.pad(wide(x), ((0, 0), (0, 0), (pad, pad), (pad, pad)))
    oh, ow = ((n - k) // stride + 1 for n, k in zip(x.shape[2:], w.shape[2:]))
    y = np.zeros((x.shape[0], w.shape[0], oh, ow))
    for u, v in np.ndindex(*w.shape[2:]):
        part = x[:, :, u:u + oh * stride:stride, v:v + ow * stride:stride][:, :, :oh, :ow]
        y += np.einsum("bcij,kc->bkij", part, wide(w)[:, :, u, v])
    return y


def cases():
    rng, normal = generator(81)
    for B, C, H, W, K, U, V, stride, pad, dtype in ((2, 3, 17, 13, 5, 3, 3, 1, 1, "f32"), (1, 2, 11, 9, 3, 5, 2, 2, 2, "f32"),
                                                    (1, 1, 1, 1, 1, 1, 1, 1, 0, "f32"), (1, 8, 9, 9, 4, 3, 3, 2, 0, "bf16")):
        x, w, bias = (rounded(normal(*s), dtype) for s in ((B, C, H, W), (K, C, U, V), (K,)))
        y = conv(x, w, stride, pad)
        for given in (True, False) if H == 17 else (True,):
            inputs = {"x": x, "w": w} | ({"bias": bias} if given else {})
            yield Case("conv2d", inputs, {"y": y + wide(bias)[:, None, None] if given else y}, atol=1e-5,
                       defines={"STRIDE": stride, "PAD": pad}, dtypes={n: dtype for n in inputs}, stored={"y": dtype},
                       configs=("", "tile_k = 2, tile_i = 3, tile_j = 5") if H == 17 and given else ())
