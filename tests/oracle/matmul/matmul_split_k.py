"""A small product of long rows, spread over k."""
from broadcast_matmul import product
from case import Case, generator, norms, wide

CONFIGS = ("", "tile_k = 7, tile_m = 2", "tile_k = 100")


def cases():
    _, normal = generator(164)
    for m, k, n in ((5, 1370, 7), (1, 1, 1), (3, 0, 4), (0, 5, 2)):
        a, b, bias = normal(m, k), normal(k, n), normal(n)
        yield product("matmul_split_k", a, b, left="a", right="b", configs=CONFIGS if k > 99 else ())
        yield Case("linear_split_k", {"a": a, "b": b, "bias": bias}, {"c": wide(a) @ b + bias}, rtol=1e-6,
                   atol=1e-6 * norms(a, b) + 1e-6)
    a, b = normal(4, 300), normal(300, 9)
    yield product("matmul_split_k", a, b, "f16", left="a", right="b")
