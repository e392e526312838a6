"""GEGLU: the gradient by differences in float64, and the whole MLP."""
import numpy as np
from case import Case, generator, only_rows, rounded, wide


def gelu(a):
    return 0.5 * a * (1 + np.tanh(np.sqrt(2 / np.pi) * (a + 0.044715 * a ** 3)))


def slope(f, a, h=1e-5):
    """The derivative of f at a, by central differences of fourth order."""
    return (8 * (f(a + h) - f(a - h)) - (f(a + 2 * h) - f(a - 2 * h))) / (12 * h)


def gated(name, f, seed):
    """Cases of a gated activation, its gradient and its MLP: the names of the kernels begin with `name`."""
    _, normal = generator(seed)
    for shape in ((37,), (1,), (0,), (3, 4, 50)):
        a, b, dy = 3 * normal(*shape), normal(*shape), normal(*shape)
        yield Case(name, {"a": a, "b": b}, {"y": f(wide(a)) * b}, rtol=1e-5, atol=1e-5)
        yield Case(name + "_bwd", {"dy": dy, "a": a, "b": b},
                   {"da": wide(dy) * b * slope(f, wide(a)), "db": wide(dy) * f(wide(a))}, rtol=1e-5, atol=1e-5)
    a, b = (rounded(normal(9, 65), "bf16") for _ in "ab")
    yield Case(name, {"a": a, "b": b}, {"y": f(wide(a)) * b}, dtypes={"a": "bf16", "b": "bf16"},
               stored={"y": "bf16"}, rtol=1e-5, atol=1e-5)
    for rows, d, h in (((3,), 13, 21), ((2, 5), 64, 33), ((), 1, 1), ((4,), 7, 0)):
        x, wg, wu, wd = normal(*rows, d), normal(h, d), normal(h, d), normal(d, h)
        hidden = f(wide(x) @ wg.T) * (wide(x) @ wu.T)
        yield Case(name + "_mlp", {"x": x, "wg": wg, "wu": wu, "wd": wd}, {"y": hidden @ wd.T}, rtol=1e-5,
                   atol=1e-6 * (1 + np.abs(hidden).sum(-1, keepdims=True)) * 10)


def large(name, f, seed):
    """The MLP at the size of real use, some rows of it: the interpreter had to compute all hidden ones for that."""
    _, normal = generator(seed)
    rows, d, h = 4096, 4096, 11008
    x, wg, wu, wd = (rounded(normal(*shape), "bf16") for shape in ((rows, d), (h, d), (h, d), (d, h)))
    some = np.linspace(0, rows - 1, 40).astype(int)
    hidden = f(wide(x[some]) @ wg.T / 64) * (wide(x[some]) @ wu.T)
    size = np.sqrt((hidden ** 2).sum(-1, keepdims=True))
    yield Case(name + "_mlp", {"x": x, "wg": wg / np.float32(64), "wu": wu, "wd": wd},
               {"y": only_rows(rows, some, hidden @ wd.T)}, dtypes=dict.fromkeys(("x", "wg", "wu", "wd"), "bf16"),
               stored={"y": "bf16"}, rtol=0, atol=only_rows(rows, some, size / 128).filled(0))


def cases(full=False):
    return large("geglu", gelu, 104) if full else gated("geglu", gelu, 104)
