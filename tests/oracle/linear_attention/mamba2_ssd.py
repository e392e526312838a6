"""Mamba-2's recurrence, step by step."""
import numpy as np
import recurrence as r
from case import Case, generator, rounded, wide


def cases():
    rng, normal = generator(65)
    for B, H, L, D, E, C, dtype in r.SIZES:
        arrays = r.inputs(rng, normal, B, H, L, D, E, dtype)
        cm, bm, x, dy = (arrays[n] for n in ("q", "k", "v", "dout"))
        dt, a = rng.random((B, H, L)).astype(np.float32) * 2, -rng.exponential(1, H).astype(np.float32)
        g, xdt = a[None, :, None, None] * wide(dt)[..., None], wide(x) * wide(dt)[..., None]
        y, _ = r.forward(cm, bm, xdt, g)
        given = {"x": x, "dt": dt, "a": a, "bm": bm, "cm": cm}
        dtypes, tolerance = {n: dtype for n in ("x", "bm", "cm", "dy")}, 3e-5 if dtype == "f32" else 3e-2
        yield Case("mamba2_ssd", given, {"y": y}, defines={"C": C}, dtypes=dtypes, stored={"y": dtype}, rtol=tolerance,
                   atol=3 * tolerance, configs=("", "tile_e = 3, tile_t = 5") if L == 45 else ())
        grads = r.backward(cm, bm, xdt, dy, g)
        dg = grads["dg"].sum(-1)
        expect = {"dx": wide(dt)[..., None] * grads["dv"], "dbm": grads["dk"], "dcm": grads["dq"],
                  "ddt": (wide(x) * grads["dv"]).sum(-1) + a[None, :, None] * dg, "da": (wide(dt) * dg).sum((0, 2))}
        yield Case("mamba2_ssd_bwd", given | {"dy": dy}, expect, defines={"C": C}, dtypes=dtypes,
                   stored={n: dtype for n in ("dx", "dbm", "dcm")}, rtol=tolerance,
                   atol={n: (100 if n == "da" else 10) * tolerance for n in expect})
        if dtype == "f32":
            s = normal(B, H, D, E)
            y, after = r.forward(cm[:, :, :1], bm[:, :, :1], xdt[:, :, :1], g[:, :, :1], s=s)
            one = {n: np.ascontiguousarray(x[:, :, 0]) for n, x in given.items() if n != "a"} | {"a": a}
            yield Case("mamba2_ssd_step", one | {"s": s}, {"y": y[:, :, 0], "s": after}, rtol=1e-5, atol=1e-5)
