"""A plain sum of two matrices."""
from case import Case, generator, rounded, wide


def cases():
    _, normal = generator(102)
    for shape in ((3, 1), (5, 9), (0, 4), (64, 128)):
        x, y = normal(*shape), normal(*shape)
        yield Case("add_2d", {"x": x, "y": y}, {"o": wide(x) + y})
    x, y = (rounded(normal(17, 65), "bf16") for _ in "xy")
    yield Case("add_2d", {"x": x, "y": y}, {"o": wide(x) + y}, dtypes={"x": "bf16", "y": "bf16"},
               stored={"o": "bf16"})
