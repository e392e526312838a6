"""The attention matrix and its gradients as formulas, for the oracles of this folder."""
import numpy as np
from case import wide


def swap(x):
    return np.swapaxes(x, -1, -2)


def probabilities(q, k, scale=None, bias=0.0, causal=False):
    """Probabilities [..., m, n] and the natural logarithm of the row sums [..., m]."""
    s = wide(q) @ swap(wide(k)) * (q.shape[-1] ** -0.5 if scale is None else scale) + bias
    if causal:
        s = np.where(np.tri(*s.shape[-2:], dtype=bool), s, -np.inf)
    top = s.max(-1, keepdims=True)
    e = np.exp(s - top)
    total = e.sum(-1, keepdims=True)
    return e / total, (top + np.log(total))[..., 0]


def forward(q, k, v, **how):
    p, lse = probabilities(q, k, **how)
    return {"o": p @ wide(v), "lse2": lse / np.log(2)}


def backward(q, k, v, dout, **how):
    """Gradients of sum(o * dout), by the chain rule through the whole matrix."""
    q, k, v, dout = (wide(x) for x in (q, k, v, dout))
    p, _ = probabilities(q, k, **how)
    dp = dout @ swap(v)
    scale = how.get("scale") or q.shape[-1] ** -0.5
    ds = p * (dp - (p * dp).sum(-1, keepdims=True)) * scale
    return {"dq": ds @ k, "dk": swap(ds) @ q, "dv": swap(p) @ dout}
