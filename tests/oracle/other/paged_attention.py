"""A step of decoding on a paged cache, token by token; pages are shared, and a sequence may be empty."""
import numpy as np
from case import Case, generator, rounded, wide


def cases():
    rng, normal = generator(90)
    for B, G, R, D, N, P, M, dtype in ((4, 2, 3, 16, 12, 4, 7, "f32"), (1, 1, 1, 1, 1, 1, 1, "f32"), (3, 2, 2, 16, 8, 8, 3, "f16")):
        q, k, v = (rounded(normal(*s), dtype) for s in ((B, G * R, D), (N, P, G, D), (N, P, G, D)))
        table, length = rng.integers(0, N, (B, M)).astype(np.int32), rng.integers(1, M * P + 1, B).astype(np.int32)
        length[-1] = 0 if B > 1 else length[-1]
        o = np.zeros(q.shape)
        for b, h in np.ndindex(B, G * R):
            where = [(table[b, n // P], n % P, h // R) for n in range(length[b])]
            if where:
                s = np.array([wide(k)[i] @ wide(q)[b, h] for i in where]) / np.sqrt(D)
                e = np.exp(s - s.max())
                o[b, h] = e @ np.stack([wide(v)[i] for i in where]) / e.sum()
        tolerance = 5e-6 if dtype == "f32" else 1e-3
        yield Case("paged_attention", {"q": q, "k": k, "v": v, "table": table, "length": length}, {"o": o},
                   dtypes=dict.fromkeys("qkv", dtype), stored={"o": dtype}, rtol=tolerance, atol=tolerance,
                   configs=("", "tile_n = 3, tile_r = 2") if B == 4 else ())
    bad = table.copy()
    bad[0, 0], length[0] = N, 1
    yield Case("paged_attention", {"q": q, "k": k, "v": v, "table": bad, "length": length}, {"o": o}, fails="HK0901",
               dtypes=dict.fromkeys("qkv", dtype), note="a page that is not there")
