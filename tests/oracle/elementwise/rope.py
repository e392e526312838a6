"""Rotary embedding: the rotation by concatenated halves, the gradient by the transposed matrix of the map."""
import numpy as np
from case import Case, generator, rounded, wide


def rotate(x, cos, sin):
    half = x.shape[-1] // 2
    turned = np.concatenate([-x[..., half:], x[..., :half]], -1)
    return x * wide(cos)[:, None] + turned * wide(sin)[:, None]


def gradient(g, cos, sin):
    """The map is linear: its matrix, column by column, transposed."""
    d = g.shape[-1]
    columns = np.broadcast_to(np.eye(d).reshape(d, 1, 1, 1, d), (d, *g.shape))
    matrix = np.stack([rotate(c, cos, sin) for c in columns], -1)  # [..., out, in]
    return np.einsum("...o,...oi->...i", wide(g), matrix)


def cases():
    _, normal = generator(106)
    for b, h, g, s, r in ((2, 3, 1, 5, 7), (1, 1, 1, 1, 1), (1, 4, 2, 19, 32), (2, 2, 2, 0, 4)):
        q, k = normal(b, h, s, 2 * r), normal(b, g, s, 2 * r)
        angle = 3 * normal(b, s, 2 * r)
        table = {"cos": np.cos(angle), "sin": np.sin(angle)}
        yield Case("rope", {"q": q, "k": k, **table}, {"qo": rotate(wide(q), **table), "ko": rotate(wide(k), **table)})
        yield Case("rotate", {"x": q, **table}, {"y": rotate(wide(q), **table)})
        yield Case("rotate_bwd", {"dy": q, **table}, {"dx": gradient(q, **table)})
        yield Case("rope_bwd", {"dqo": q, "dko": k, **table},
                   {"dq": gradient(q, **table), "dk": gradient(k, **table)})
    q, k, cos, sin = (rounded(normal(*s), "bf16") for s in ((1, 3, 9, 8), (1, 1, 9, 8), (1, 9, 8), (1, 9, 8)))
    expect = {"qo": rotate(wide(q), cos, sin), "ko": rotate(wide(k), cos, sin)}
    yield Case("rope", {"q": q, "k": k, "cos": cos, "sin": sin}, expect, stored={"qo": "bf16", "ko": "bf16"},
               dtypes=dict.fromkeys(("q", "k", "cos", "sin"), "bf16"))
