"""The delta rule with a decay for each step and channel, also for packed sequences, some of them empty."""
import numpy as np
import recurrence as r
from case import Case, generator, offsets, wide
from family import variant
from full_gla import decay


def varlen():
    rng, normal = generator(70)
    for N, H, L, D, E, C in ((5, 2, 61, 8, 9, 8), (1, 1, 1, 3, 2, 4), (2, 1, 0, 3, 2, 4)):
        arrays = r.inputs(rng, normal, 1, H, L, D, E, "f32", unit_keys=True)
        _, g = decay(rng, 1, H, L, D)
        beta, off = rng.random((1, H, L)).astype(np.float32), offsets(rng, N, L, np.int32)
        o, last = np.zeros((L, H, E)), np.zeros((N, H, D, E))
        for i in range(N):
            part = [x[:, :, off[i]:off[i + 1]] for x in (arrays["q"], arrays["k"], arrays["v"], g, beta)]
            o_i, last_i = r.forward(*part, scale=0.5)
            o[off[i]:off[i + 1]], last[i] = o_i[0].swapaxes(0, 1), last_i[0]
        given = {n: np.ascontiguousarray(x[0].swapaxes(0, 1))
                 for n, x in (*((n, arrays[n]) for n in "qkv"), ("g", g), ("beta", beta))}
        yield Case("kda_varlen", given | {"off": off}, {"o": o, "last": last}, args={"scale": 0.5}, defines={"C": C},
                   rtol=2e-5, atol=5e-5)


def cases():
    yield from variant("kda", 69, decay, beta=True, dg=lambda dg: dg)
    yield from varlen()
