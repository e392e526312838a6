"""Steps of the five-point stencil on a plate with a held border."""
import numpy as np
from case import Case, generator, rounded, wide


def step(u, r):
    out = u.copy()
    out[1:-1, 1:-1] += r * (u[:-2, 1:-1] + u[2:, 1:-1] + u[1:-1, :-2] + u[1:-1, 2:] - 4 * u[1:-1, 1:-1])
    return out


def cases():
    rng, normal = generator(84)
    for H, W, dtype in ((37, 53, "f32"), (1, 5, "f32"), (2, 2, "f32"), (0, 4, "f32"), (9, 17, "f16")):
        x = rounded(normal(H, W), dtype)
        yield Case("stencil", {"x": x}, {"y": step(wide(x), 0.25)}, args={"r": 0.25}, dtypes={"x": dtype},
                   stored={"y": dtype}, configs=("", "tile_i = 5, tile_j = 7") if H == 37 else ())
        if dtype == "f32":
            for steps in (0, 6):
                u = wide(x)
                for _ in range(steps):
                    u = step(u, 0.25)
                yield Case("heat", {"x": x}, {"y": u}, args={"steps": steps, "r": 0.25})
