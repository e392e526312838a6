"""Each token times its expert's matrix; some experts have no token."""
import numpy as np
from case import Case, generator, rounded, wide


def cases():
    rng, normal = generator(49)
    for R, K, N, E, dtype in ((70, 33, 29, 6, "f32"), (1, 1, 1, 1, "f32"), (6, 3, 4, 9, "f32"), (0, 3, 4, 2, "f32"),
                              (40, 32, 16, 3, "bf16")):
        a, w, expert = rounded(normal(R, K), dtype), rounded(normal(E, K, N), dtype), rng.integers(0, E, R)
        off = np.concatenate([[0], np.cumsum(np.bincount(expert, minlength=E))]).astype(np.int32)
        order = np.argsort(expert, kind="stable").astype(np.int32)
        yield Case("moe_matmul_ogs", {"a": a, "w": w, "off": off, "order": order},
                   {"c": np.einsum("rk,rkn->rn", wide(a), wide(w)[expert])}, dtypes={"a": dtype, "w": dtype},
                   stored={"c": dtype}, atol=1e-5, configs=("", "tile_t = 5, tile_n = 7") if R == 70 else ())
