"""The exponential and its gradient; infinities, overflow and subnormal results."""
import numpy as np
from case import Case, generator, rounded, wide


def cases():
    _, normal = generator(103)
    for shape in ((13,), (1,), (0,), (4, 3, 70)):
        x, y, dy = 3 * normal(*shape), normal(*shape), normal(*shape)
        yield Case("exp_fwd", {"x": x}, {"y": np.exp(wide(x))}, rtol=1e-6)
        yield Case("exp_bwd", {"dy": dy, "y": y}, {"dx": wide(dy) * y})
    x = np.float32([0, -0.0, np.inf, -np.inf, np.nan, 89, -104, -200, -87, 1e-30])
    with np.errstate(over="ignore"):
        expect = wide(np.exp(wide(x)).astype(np.float32))
    yield Case("exp_fwd", {"x": x}, {"y": expect}, rtol=1e-6, atol=2e-38)
    x = rounded(2 * normal(50), "f16")
    yield Case("exp_fwd", {"x": x}, {"y": np.exp(wide(x))}, dtypes={"x": "f16"}, stored={"y": "f16"})
