"""Divergence of softmaxes, from logits and from the layers that make them."""
import numpy as np
from case import Case, generator, rounded, wide


def softmax(x):
    e = np.exp(x - x.max(1, keepdims=True))
    return e / e.sum(1, keepdims=True)


def divergence(s, r, beta, t):
    p, q = softmax(wide(s) / t), softmax(wide(r) / t)
    m = (1 - beta) * p + beta * q
    rows = (1 - beta) * (p * np.log(p / m)).sum(1) + beta * (q * np.log(q / m)).sum(1)
    return {"loss": rows.mean(), "ds": (1 - beta) / t * (p - m)}


def cases():
    _, normal = generator(144)
    for n, d, v, beta, t in ((5, 3, 7, 0.5, 1), (1, 1, 1, 0.5, 1), (9, 16, 133, 0.1, 2), (4, 70, 50, 0.9, 0.5)):
        args = {"beta": beta, "t": t}
        s, r = normal(n, v), normal(n, v)
        yield Case("jsd_logits", {"s": s, "r": r}, divergence(s, r, beta, t), args=args)
        xs, xt, ws, wt = normal(n, d), normal(n, d), normal(v, d), normal(v, d)
        loss = divergence(wide(xs) @ ws.T, wide(xt) @ wt.T, beta, t)["loss"]
        yield Case("fused_linear_jsd", {"xs": xs, "ws": ws, "xt": xt, "wt": wt}, {"loss": loss}, args=args, rtol=1e-5,
                   atol=1e-5)
        yield Case("fused_linear_jsd_bwd", {"ds": s, "ws": ws, "xs": xs},
                   {"dxs": wide(s) @ ws, "dws": wide(s).T @ xs}, rtol=1e-5, atol=1e-5)
    s, r = rounded(normal(6, 90), "bf16"), rounded(normal(6, 90), "bf16")
    yield Case("jsd_logits", {"s": s, "r": r}, divergence(s, r, 0.5, 1), dtypes={"s": "bf16", "r": "bf16"})
