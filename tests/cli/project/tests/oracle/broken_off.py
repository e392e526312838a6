"""An oracle that raises."""
from case import Case, generator, wide


def cases():
    x = generator(1)[1](3)
    yield Case("copy", {"x": x}, {"y": wide(x)})
    raise ValueError("no more")
