"""A step of a gated delta net on states in a cache, request by request; those that do not run keep their states."""
import numpy as np
from case import Case, generator, rounded, wide


def unit(x):
    return x / np.sqrt((x * x).sum(-1, keepdims=True) + 1e-6)


def cases():
    rng, normal = generator(72)
    for N, H, D, E, R, active, dtype in ((7, 2, 9, 13, 11, 5, "f32"), (1, 1, 1, 1, 1, 1, "f32"), (3, 1, 4, 5, 4, 0, "f32"),
                                         (4, 2, 16, 8, 6, 4, "bf16")):
        half = {n: rounded(normal(N, H, E if n in ("v", "beta") else D), dtype) for n in ("q", "k", "v", "g", "beta")}
        a_log, dt_bias, state = normal(H, D), normal(H, D), normal(R, H, D, E)
        slot, has_state = rng.permutation(R)[:N].astype(np.int32), rng.random(N) < 0.7
        o, after = np.zeros((N, H, E)), wide(state).copy()
        for n in range(active):
            q, k, v, g, beta = (wide(half[name][n]) for name in ("q", "k", "v", "g", "beta"))
            old = after[slot[n]] if has_state[n] else np.zeros((H, D, E))
            s = old * np.exp(-np.exp(wide(a_log)) * np.logaddexp(0, g + dt_bias))[..., None]
            read = np.einsum("hd,hde->he", unit(k), s)
            s = s + unit(k)[..., None] * ((v - read) / (1 + np.exp(-beta)))[:, None, :]
            o[n], after[slot[n]] = 0.5 * np.einsum("hd,hde->he", unit(q), s), s
        given = half | {"a_log": a_log, "dt_bias": dt_bias, "slot": slot, "active": np.array(active, np.int32),
                        "has_state": has_state, "state": state}
        yield Case("gdn_decode", given, {"o": o, "state": after}, args={"scale": 0.5}, rtol=1e-5, atol=1e-5,
                   dtypes={n: dtype for n in half} | {"has_state": "bool"}, stored={"o": dtype},
                   configs=("", "tile_n = 3, tile_e = 4") if N == 7 else ())
