"""Kullback-Leibler divergence: every reduction of Helion's, zeros in the target, a target given as logarithms."""
import numpy as np
from case import Case, generator, wide


def log_softmax(x):
    return x - np.log(np.exp(x).sum(-1, keepdims=True))


def cases():
    _, normal = generator(141)
    for rows, v in ((5, 13), (1, 1), (33, 700), (0, 3)):
        for log_target in (False, True):
            x, t = (log_softmax(wide(normal(rows, v))).astype(np.float32) for _ in "xt")
            if not log_target:
                t = np.exp(t)
                t[:, ::3] = 0
            e = np.exp(wide(t)) * (wide(t) - x) if log_target else t * (np.log(np.maximum(wide(t), 1e-10)) - x)
            defines = {"log_target": "true"} if log_target else {}
            scales = {"sum": 1, "batchmean": 1 / max(rows, 1), "mean": 1 / max(rows * v, 1)}
            for name, scale in scales.items() if rows == 33 else (("mean", scales["mean"]),):
                yield Case("kl_div", {"x": x, "t": t}, {"loss": scale * e.sum(), "e": e}, defines=defines, note=name,
                           args={"scale": scale}, atol={"loss": 1e-6 * scale * abs(e).sum() + 1e-12, "e": 1e-6})
    yield Case("kl_div", {"x": x, "t": t}, {"e": e}, defines=defines, note="none")
