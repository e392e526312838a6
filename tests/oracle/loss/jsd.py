"""Jensen-Shannon divergence and its gradient, by differences of the loss in float64, with and without ignored rows."""
import numpy as np
from case import Case, generator, wide
from kl_div import log_softmax


def kl(p, log_p, log_q):
    return (p * (log_p - log_q)).sum(-1)


def row_losses(x, y, beta):
    q, p = np.exp(x), np.exp(y)
    if beta == 0:
        return kl(p, y, x)
    if beta == 1:
        return kl(q, x, y)
    log_m = np.log(beta * p + (1 - beta) * q)
    return beta * kl(p, y, log_m) + (1 - beta) * kl(q, x, log_m)


def gradient(x, y, beta, h=1e-5):
    d = np.zeros(x.shape)
    for v in range(x.shape[1]):
        e = h * (np.arange(x.shape[1]) == v)
        d[:, v] = (row_losses(x + e, y, beta) - row_losses(x - e, y, beta)) / (2 * h)
    return d


def cases():
    rng, normal = generator(142)
    for rows, v in ((5, 13), (1, 2), (9, 70)):
        x, y = (log_softmax(wide(normal(rows, v))).astype(np.float32) for _ in "xy")
        for beta in (0.0, 0.3, 1.0):
            loss, dx = row_losses(wide(x), wide(y), beta), gradient(wide(x), wide(y), beta)
            yield Case("jsd", {"x": x, "y": y}, {"loss": loss.mean(), "dx": dx / rows}, args={"beta": beta},
                       rtol=1e-5, atol=1e-6)
            labels = rng.integers(0, v, rows)
            labels[1::2] = -100
            keep = labels != -100
            yield Case("jsd", {"x": x, "y": y, "labels": labels},
                       {"loss": loss[keep].mean(), "dx": dx * keep[:, None] / keep.sum()}, args={"beta": beta},
                       rtol=1e-5, atol=1e-6)
