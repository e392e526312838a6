"""HSTU attention of packed sequences with targets, sequence by sequence; gradients by the chain rule."""
import numpy as np
from case import Case, generator, offsets, rounded, wide


def reference(q, k, v, dout, off, targets):
    q, k, v, dout = (wide(x) for x in (q, k, v, dout))
    out = {name: np.zeros(q.shape) for name in ("o", "dq", "dk", "dv")}
    for b, h in np.ndindex(len(targets), q.shape[1]):
        rows, n = (slice(off[b], off[b + 1]), h), off[b + 1] - off[b]
        seen = np.arange(n)[None, :] < n - targets[b]
        keep = np.tri(n, dtype=bool) & (seen | np.eye(n, dtype=bool))
        s = q[rows] @ k[rows].T
        z = 1 / (1 + np.exp(-s))
        p, ds = keep * s * z, keep * (dout[rows] @ v[rows].T) * (z + s * z * (1 - z))
        out["o"][rows], out["dv"][rows] = p @ v[rows], p.T @ dout[rows]
        out["dq"][rows], out["dk"][rows] = ds @ k[rows], ds.T @ q[rows]
    return out


def cases():
    rng, normal = generator(37)
    for B, L, H, D, dtype in ((4, 61, 2, 8, "f32"), (1, 1, 1, 4, "f32"), (3, 0, 2, 3, "f32"), (5, 40, 3, 8, "bf16")):
        off = offsets(rng, B, L, np.int32)
        targets = np.minimum(rng.integers(0, 4, B), np.diff(off)).astype(np.int32)
        arrays = {name: rounded(normal(L, H, D), dtype) for name in ("q", "k", "v", "dout")}
        expect = reference(**arrays, off=off, targets=targets)
        tolerance = 2e-5 if dtype == "f32" else 3e-2
        for kernel, names, results in (("hstu_fwd", ("q", "k", "v"), ("o",)),
                                       ("hstu_bwd", ("q", "k", "v", "dout"), ("dq", "dk", "dv"))):
            yield Case(kernel, {n: arrays[n] for n in names} | {"off": off, "targets": targets},
                       {n: expect[n] for n in results}, dtypes=dict.fromkeys(names, dtype),
                       stored=dict.fromkeys(results, dtype), rtol=tolerance, atol=tolerance if dtype == "f32" else 0.1,
                       configs=("", "tile_m = 3, tile_n = 5") if L == 61 else ())
