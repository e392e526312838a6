"""A product in parts, for several numbers of them; more parts than elements too."""
from broadcast_matmul import product
from case import generator


def cases():
    _, normal = generator(165)
    for m, k, n in ((5, 137, 7), (1, 1, 1), (3, 0, 4), (16, 700, 16)):
        for split in (1, 4, 256) if k == 137 else (32,):
            yield product("split_k_barrier", normal(m, k), normal(k, n), left="a", right="b", defines={"SPLIT": split})
    yield product("split_k_barrier", normal(3, 90), normal(90, 8), "bf16", left="a", right="b")
