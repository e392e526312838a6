"""Row sums, over the last dimension."""
from case import Case, generator, rounded, wide


def row_sums(kernel, seed, shapes, configs=()):
    """Cases of a kernel x -> y that sums rows; the error is measured by the sum of magnitudes."""
    _, normal = generator(seed)
    for shape in shapes:
        x = normal(*shape)
        yield Case(kernel, {"x": x}, {"y": wide(x).sum(-1)}, rtol=0, atol=1e-6 * abs(wide(x)).sum(-1) + 1e-30,
                   configs=configs if x.size > 99 else ())
    for dtype in ("f16", "bf16"):
        x = rounded(normal(*shapes[0]), dtype)
        yield Case(kernel, {"x": x}, {"y": wide(x).sum(-1)}, dtypes={"x": dtype}, stored={"y": dtype}, rtol=0,
                   atol=1e-6 * abs(wide(x)).sum(-1))


def cases():
    return row_sums("row_sum", 111, ((5, 131), (2, 3, 37), (1, 1), (2, 0), (0, 4), (333,)))
