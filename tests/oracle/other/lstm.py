"""LSTM cells step by step, the gates in PyTorch's order: input, forget, cell, output."""
import numpy as np
from case import Case, generator, rounded, wide


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def run(x, wx, wh, bias, h, c):
    H, ys = h.shape[1], []
    for t in range(len(x)):
        p = x[t] @ wx.T + h @ wh.T + bias
        i, f, g, o = (p[:, k * H:(k + 1) * H] for k in range(4))
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
        h = sigmoid(o) * np.tanh(c)
        ys.append(h)
    return np.reshape(ys, (len(x), *h.shape)), h, c


def cases():
    rng, normal = generator(101)
    for L, B, I, H, dtype in ((6, 5, 7, 11, "f32"), (0, 2, 3, 4, "f32"), (1, 1, 1, 1, "f32"), (3, 2, 8, 5, "bf16")):
        x, wx, wh, bias = (rounded(a, dtype) for a in (normal(L, B, I), normal(4 * H, I) / 4, normal(4 * H, H) / 4,
                                                       normal(4 * H)))
        h0, c0 = normal(B, H), normal(B, H)
        names, given = ("x", "wx", "wh"), H != 1
        y, h, c = run(wide(x), wide(wx), wide(wh), wide(bias) * given, wide(h0) * given, wide(c0) * given)
        optional = {"bias": bias, "h0": h0, "c0": c0} if given else {}
        inputs = {"x": x, "wx": wx, "wh": wh, **optional}
        yield Case("lstm", inputs, {"y": y, "h": h, "c": c}, rtol=1e-5, atol=1e-5,
                   dtypes={n: dtype for n in (*names, "bias") if n in inputs}, stored={"y": dtype},
                   configs=("", "tile_b = 2, tile_u = 3, tile_b_3 = 3, tile_u_3 = 4") if L == 6 else ())
