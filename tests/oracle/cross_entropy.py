"""Mean cross entropy of rows against labels: a gather, a reduction over the grid."""
import numpy as np
from case import Case, generator, rounded, wide


def cross_entropy(x, label):
    x = wide(x)
    top = x.max(-1)
    lse = top + np.log(np.exp(x - top[:, None]).sum(-1))
    return lse - x[np.arange(len(x)), label]


def cases():
    rng, normal = generator(9)
    for n, v in ((1023, 777), (1, 1), (37, 5000)):
        x, label = 2 * normal(n, v), rng.integers(0, v, n)
        yield Case("cross_entropy", {"x": x, "label": label}, {"loss": cross_entropy(x, label).mean()})
        yield Case("cross_entropy_rows", {"x": x, "label": label}, {"loss": cross_entropy(x, label)})
    x, label = rounded(normal(50, 300), "bf16"), rng.integers(0, 300, 50)
    yield Case("cross_entropy", {"x": x, "label": label}, {"loss": cross_entropy(x, label).mean()}, dtypes={"x": "bf16"})
