"""RMS norm of the heads of q and k in place, then a rotation of their first columns, by token and head."""
import numpy as np
from case import Case, generator, rounded, wide


def cases():
    rng, normal = generator(195)
    for m, hq, hk, d, e, p, dtype in ((3, 3, 2, 10, 3, 11, "f32"), (1, 1, 1, 8, 4, 2, "f32"), (6, 2, 0, 5, 1, 4, "f32"),
                                      (0, 2, 1, 4, 2, 3, "f32"), (9, 4, 2, 64, 32, 50, "bf16")):
        angle = 6 * rng.random((p, e))
        given = {"qkv": normal(m, hq + 2 * hk, d), "wq": 1 + normal(d), "wk": 1 + normal(d),
                 "cache": np.concatenate([np.cos(angle), np.sin(angle)], 1)}
        given = {name: rounded(v, dtype) for name, v in given.items()}
        pos = rng.integers(0, p, m)
        for neox in (True, False):
            out = wide(given["qkv"]).copy()
            first = np.arange(e) if neox else 2 * np.arange(e)
            second = first + (e if neox else 1)
            for t in range(m):
                cos, sin = np.split(wide(given["cache"])[pos[t]], 2)
                for h in range(hq + hk):
                    x = out[t, h].copy()
                    y = wide(rounded(x / np.sqrt((x * x).mean() + 1e-6), dtype)) * given["wq" if h < hq else "wk"]
                    out[t, h] = y
                    out[t, h, first] = y[first] * cos - y[second] * sin
                    out[t, h, second] = y[second] * cos + y[first] * sin
            slack = 2.0 ** -8 if dtype == "bf16" else 0  # what the norm is rounded to may go either way
            yield Case("fused_qk_norm_rope", {**given, "pos": pos}, {"qkv": out}, stored={"qkv": dtype},
                       defines={"HQ": hq, "HK": hk, "neox": str(neox).lower()}, dtypes=dict.fromkeys(given, dtype),
                       rtol=5e-6 + slack, atol=5e-6 + 4 * slack)
