"""Maxima of windows and where they lie, window by window."""
import numpy as np
from case import Case, generator


def pool(x, K, S, P):
    N, C, H, W = x.shape
    OH, OW = (H + 2 * P - K) // S + 1, (W + 2 * P - K) // S + 1
    y, at = np.zeros((N, C, OH, OW)), np.zeros((N, C, OH, OW), np.int64)
    for i in range(OH):
        for j in range(OW):
            h, w = (np.arange(max(0, k * S - P), min(n, k * S - P + K)) for k, n in ((i, H), (j, W)))
            seen = x[:, :, h][:, :, :, w].reshape(N, C, -1)
            best = seen.argmax(-1)
            y[:, :, i, j], at[:, :, i, j] = seen.max(-1), h[best // len(w)] * W + w[best % len(w)]
    return y, at


def cases():
    rng, _ = generator(105)
    for H, W, K, S, P in ((9, 8, 3, 2, 1), (7, 5, 2, 2, 0), (4, 11, 3, 1, 2), (1, 1, 1, 1, 0)):
        x = rng.integers(-9, 9, (2, 3, H, W)).astype(np.float32)
        y, at = pool(x, K, S, P)
        yield Case("max_pool", {"x": x}, {"y": y, "at": at}, defines={"K": K, "STRIDE": S, "PAD": P}, rtol=0, atol=0,
                   configs=("", "tile_i = 2, tile_j = 3, tile_c = 2") if H == 9 else ())
    yield Case("max_pool", {"x": np.zeros((1, 1, 1, 5), np.float32)}, {}, fails="HK0711")
