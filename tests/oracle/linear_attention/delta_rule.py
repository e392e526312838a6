"""The delta rule without decay; strengths of exactly 0 and 1 are among them."""
from case import Case, generator, rounded, wide
from family import variant


def cases():
    yield from variant("delta_rule", 66, beta=True)
    rng, normal = generator(67)
    x = normal(3, 5, 9)
    x[1, 2] = 0
    for dtype in ("f32", "f16"):
        given = rounded(x, dtype)
        y = wide(given) / (((wide(given) ** 2).sum(-1, keepdims=True) + 1e-6) ** 0.5)
        yield Case("l2norm", {"x": given}, {"y": y}, dtypes={"x": dtype}, stored={"y": dtype})
