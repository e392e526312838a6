"""Depthwise causal convolution, by shifts; and a step of it on a cache of inputs, request by request."""
import numpy as np
from case import Case, generator, rounded, wide


def cases():
    rng, normal = generator(75)
    for B, L, C, W, dtype in ((2, 37, 19, 4, "f32"), (1, 2, 3, 5, "f32"), (1, 0, 3, 4, "f32"), (1, 20, 16, 4, "bf16")):
        x, w, bias = (rounded(normal(*s), dtype) for s in ((B, L, C), (C, W), (C,)))
        padded = np.concatenate([np.zeros((B, W - 1, C)), wide(x)], 1)
        y = sum(padded[:, i:i + L] * wide(w)[:, i] for i in range(W))
        for given in (True, False):
            yield Case("causal_conv1d", {"x": x, "w": w} | ({"bias": bias} if given else {}),
                       {"y": y + wide(bias) if given else y}, dtypes={"x": dtype, "w": dtype, "bias": dtype} if given
                       else {"x": dtype, "w": dtype}, stored={"y": dtype},
                       configs=("", "tile_t = 5, tile_c = 7") if L == 37 and given else ())
    for N, C, W, R, active, dtype in ((7, 13, 4, 11, 5, "f32"), (1, 1, 2, 1, 1, "f32"), (3, 4, 4, 4, 0, "f32"),
                                      (6, 16, 4, 6, 6, "bf16")):
        x, w, bias, state = (rounded(normal(*s), dtype) for s in ((N, C), (C, W), (C,), (R, W - 1, C)))
        slot, has_state = rng.permutation(R)[:N].astype(np.int32), rng.random(N) < 0.7
        y, after = np.zeros((N, C)), wide(state).copy()
        for n in range(active):
            z = np.concatenate([after[slot[n]] if has_state[n] else np.zeros((W - 1, C)), wide(x)[n:n + 1]])
            y[n], after[slot[n]] = (z * wide(w).T).sum(0) + bias, z[1:]
        given = {"x": x, "w": w, "bias": bias, "slot": slot, "active": np.array(active, np.int32),
                 "has_state": has_state, "state": state}
        yield Case("causal_conv1d_decode", given, {"y": y, "state": after},
                   dtypes={n: dtype for n in ("x", "w", "bias", "state")} | {"has_state": "bool"},
                   stored={"y": dtype, "state": dtype}, configs=("", "tile_n = 2, tile_c = 5") if N == 7 else ())
