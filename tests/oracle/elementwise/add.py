"""Sums of tensors of one shape, or with a row, in the larger type; strided and integer operands."""
import numpy as np
from case import Case, generator, rounded, wide


def cases():
    rng, normal = generator(101)
    for shape in ((5, 7), (1,), (0, 3), (2, 3, 129)):
        x, y = normal(*shape), normal(*shape)
        yield Case("add", {"x": x, "y": y}, {"o": wide(x) + y})
        yield Case("add_row", {"x": x, "y": y.reshape(-1, shape[-1])[:1].sum(0)},
                   {"o": wide(x) + y.reshape(-1, shape[-1])[:1].sum(0)})
    x, y = rng.integers(-99, 99, (2, 9, 33), dtype=np.int32)
    yield Case("add", {"x": x, "y": y}, {"o": x + y}, rtol=0, atol=0)
    x, y = np.int32([2 ** 31 - 1, -2 ** 31]), np.int32([1, -1])
    yield Case("add", {"x": x, "y": y}, {"o": np.int32([-2 ** 31, 2 ** 31 - 1])}, rtol=0, atol=0, note="wraps")
    x, y = (rounded(normal(9, 33), "bf16") for _ in "xy")
    yield Case("add", {"x": x, "y": y}, {"o": wide(x) + y}, dtypes={"x": "bf16", "y": "bf16"}, stored={"o": "bf16"})
    x, y = rounded(normal(9, 33), "f16"), normal(9, 33)
    yield Case("add_mixed", {"x": x, "y": y}, {"o": wide(x) + y}, dtypes={"x": "f16"})
