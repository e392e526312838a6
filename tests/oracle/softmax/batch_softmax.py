"""Softmax over the last of three dimensions; rows with -inf, and rows whose exponentials overflow."""
import numpy as np
from case import Case, generator, rounded, wide


def softmax(x):
    e = np.exp(wide(x) - x.max(-1, keepdims=True, initial=-np.inf))
    return e / e.sum(-1, keepdims=True)


def rows(kernel, seed, shapes):
    """Cases of a kernel x -> y that takes the softmax of the last dimension."""
    rng, normal = generator(seed)
    for shape in shapes:
        x = 5 * normal(*shape)
        yield Case(kernel, {"x": x}, {"y": softmax(x)})
    x = 5 * normal(*shapes[0]) + rng.choice(np.float32([-300, 300]), (*shapes[0][:-1], 1))
    x[..., 1:] = np.where(rng.random(x[..., 1:].shape) < 0.3, -np.inf, x[..., 1:])
    yield Case(kernel, {"x": x}, {"y": softmax(x)}, note="far from 0, and masked")
    x = rounded(5 * normal(*shapes[0]), "f16")
    yield Case(kernel, {"x": x}, {"y": softmax(x)}, dtypes={"x": "f16"}, stored={"y": "f16"})


def cases():
    return rows("batch_softmax", 121, ((2, 3, 77), (1, 5, 1), (2, 0, 4), (3, 2, 0)))
