"""The recurrences of linear attention step by step, and their gradients by reverse accumulation, in float64.

Arrays are [B, H, L, ...]; `g` is the logarithm of the state's factor, anything that broadcasts to [B, H, L, D]; with
`beta` the delta rule corrects what a key reads."""
import numpy as np
from case import rounded, wide


def spread(g, k):
    return np.broadcast_to(wide(g), k.shape)


def forward(q, k, v, g=0.0, beta=None, scale=1.0, s=None, trace=None):
    """o and the last state; `trace` collects for each step S_{t-1}, the faded S', and what was written."""
    q, k, v, g = wide(q), wide(k), wide(v), spread(g, k)
    s = np.zeros((*k.shape[:2], k.shape[-1], v.shape[-1])) if s is None else wide(s)
    o = np.zeros(v.shape)
    for t in range(k.shape[2]):
        faded = np.exp(g[:, :, t, :, None]) * s
        gap = v[:, :, t]
        if beta is not None:
            gap = gap - np.einsum("bhd,bhde->bhe", k[:, :, t], faded)
        write = gap if beta is None else wide(beta)[:, :, t, None] * gap
        if trace is not None:
            trace.append((s, faded, gap, write))
        s = faded + k[:, :, t, :, None] * write[:, :, None, :]
        o[:, :, t] = scale * np.einsum("bhd,bhde->bhe", q[:, :, t], s)
    return o, s


def backward(q, k, v, dout, g=0.0, beta=None, scale=1.0):
    """Gradients of sum(o * dout): a dict of dq, dk, dv, dg [B, H, L, D] and, with beta, dbeta."""
    steps = []
    forward(q, k, v, g, beta, scale, trace=steps)
    q, k, v, dout, g = wide(q), wide(k), wide(v), wide(dout), spread(g, k)
    out = {"dq": np.zeros(q.shape), "dk": np.zeros(k.shape), "dv": np.zeros(v.shape), "dg": np.zeros(k.shape),
           "dbeta": np.zeros(k.shape[:3])}
    r = np.zeros((*k.shape[:2], k.shape[-1], v.shape[-1]))  # the gradient of the state after step t
    for t in reversed(range(k.shape[2])):
        before, faded, gap, write = steps[t]
        kt, do = k[:, :, t], scale * dout[:, :, t]
        after = faded + kt[..., None] * write[:, :, None, :]
        r = r + q[:, :, t, :, None] * do[:, :, None, :]
        out["dq"][:, :, t] = np.einsum("bhde,bhe->bhd", after, do)
        dwrite = np.einsum("bhde,bhd->bhe", r, kt)
        dk = np.einsum("bhde,bhe->bhd", r, write)
        dfaded = r
        if beta is not None:
            out["dbeta"][:, :, t] = (dwrite * gap).sum(-1)
            dwrite = wide(beta)[:, :, t, None] * dwrite
            dfaded = r - kt[..., None] * dwrite[:, :, None, :]
            dk = dk - np.einsum("bhde,bhe->bhd", faded, dwrite)
        out["dk"][:, :, t], out["dv"][:, :, t] = dk, dwrite
        out["dg"][:, :, t] = (dfaded * faded).sum(-1)
        r = np.exp(g[:, :, t, :, None]) * dfaded
    if beta is None:
        del out["dbeta"]
    return out


# B, H, L, D, E, C, how q, k and v are stored
SIZES = ((2, 3, 45, 8, 11, 16, "f32"), (1, 1, 1, 3, 2, 4, "f32"), (1, 2, 32, 16, 8, 16, "bf16"))


def inputs(rng, normal, B, H, L, D, E, dtype, unit_keys=False):
    q, k, v, dout = normal(B, H, L, D), normal(B, H, L, D), normal(B, H, L, E), normal(B, H, L, E)
    if unit_keys:
        k = k / np.sqrt((k * k).sum(-1, keepdims=True))
    return {n: rounded(x, dtype) for n, x in (("q", q), ("k", k), ("v", v), ("dout", dout))}

