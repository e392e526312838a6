"""What each chunk adds to the state, chunk by chunk."""
import numpy as np
from case import Case, generator, rounded, wide


def inputs(rng, normal, B, C, Q, H, G, P, N, dtype):
    da = -np.cumsum(rng.random((B, H, C, Q), dtype=np.float32) / 2, -1, dtype=np.float32)
    half = {"x": normal(B, C * Q, H, P), "dt": rng.random((B, H, C, Q), dtype=np.float32), "bm": normal(B, C * Q, G, N),
            "cm": normal(B, C * Q, G, N), "cb": normal(B, C, G, Q, Q), "prev": normal(B, C, H, P, N), "d": normal(H)}
    return {n: rounded(x, dtype) for n, x in half.items()} | {"da": da}


SIZES = ((2, 3, 21, 4, 2, 5, 7, "f32"), (1, 1, 1, 1, 1, 1, 1, "f32"), (1, 2, 16, 2, 1, 8, 16, "bf16"))


def cases():
    rng, normal = generator(73)
    for B, C, Q, H, G, P, N, dtype in SIZES:
        ins = inputs(rng, normal, B, C, Q, H, G, P, N, dtype)
        given = {n: ins[n] for n in ("bm", "x", "dt", "da")}
        bm, x, dt, da = (wide(y) for y in given.values())
        bm = np.repeat(bm.reshape(B, C, Q, G, N), H // G, 3)
        weight = np.exp(da[..., -1:] - da) * dt
        states = np.einsum("bcqhp,bhcq,bcqhn->bchpn", x.reshape(B, C, Q, H, P), weight, bm)
        yield Case("mamba2_chunk_state", given, {"states": states}, rtol=1e-5, atol=1e-5,
                   dtypes={n: dtype for n in ("bm", "x", "dt")}, stored={"states": dtype},
                   configs=("", "tile_p = 3, tile_n = 2, block_q = 5") if Q == 21 else ())
