"""Cases of the kernels NAME, NAME_step, NAME_bwd (and others) of a member of the family."""
import numpy as np
import recurrence as r
from case import Case, generator


def variant(name, seed, decay=None, extra=(), beta=False, parallel=None, dg=None, step=None):
    """decay(rng, B, H, L, D) -> the inputs of the variant and what broadcasts to the decay's logarithm."""
    rng, normal = generator(seed)
    for B, H, L, D, E, C, dtype in r.SIZES:
        arrays = r.inputs(rng, normal, B, H, L, D, E, dtype, unit_keys=beta)
        given, g = decay(rng, B, H, L, D) if decay else ({}, 0.0)
        strength = np.round(rng.random((B, H, L)) * 1.2 - 0.1, 3).clip(0, 1).astype(np.float32) if beta else None
        given |= {"beta": strength} if beta else {}
        args = {"scale": 0.5}
        main = {n: arrays[n] for n in "qkv"}
        how = {"args": args, "dtypes": {n: dtype for n in ("q", "k", "v", "dout")},
               "rtol": 2e-5 if dtype == "f32" else 1e-2, "atol": 5e-5 if dtype == "f32" else 1e-2}
        configs = ("", "tile_b = 1, tile_h = 1, tile_e = 3") if L == 45 else ()
        o, last = r.forward(**main, g=g, beta=strength, scale=0.5)
        for kernel in (name, *((parallel,) if parallel else ())):
            expect = {"o": o} | ({"last": last} if kernel == name else {})
            yield Case(kernel, main | given, expect, defines={"C": C}, stored={"o": dtype}, configs=configs, **how)
        grads = r.backward(**arrays, g=g, beta=strength, scale=0.5)
        expect = {n: grads[n] for n in ("dq", "dk", "dv", *(("dbeta",) if beta else ()))}
        if dg:
            expect["dg"] = dg(grads["dg"])
        if L > 1:
            yield Case(name + "_bwd", arrays | given, expect, defines={"C": C}, configs=configs[:1],
                       stored={n: dtype for n in ("dq", "dk", "dv")}, **(how | {"atol": how["atol"] * 3}))
        if dtype == "f32":
            yield step_case(name, arrays, given, g, strength, normal, how, step)


def step_case(name, arrays, given, g, strength, normal, how, step):
    B, H, _, D = arrays["k"].shape
    s = normal(B, H, D, arrays["v"].shape[-1])
    one = {n: x[:, :, :1] for n, x in arrays.items() if n in "qkv"}
    g1 = np.broadcast_to(np.asarray(g, np.float64), arrays["k"].shape)[:, :, :1]
    o, after = r.forward(**one, g=g1, beta=None if strength is None else strength[:, :, :1], scale=0.5, s=s)
    given = step(given) if step else {n: np.ascontiguousarray(x[:, :, 0]) for n, x in given.items()}
    return Case(name + "_step", {n: np.ascontiguousarray(x[:, :, 0]) for n, x in one.items()} | given | {"s": s},
                {"o": o[:, :, 0], "s": after}, args=how["args"])
