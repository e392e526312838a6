"""RMS norm, with a residual or without, then rows in e4m3 or i8, each with its scale."""
import numpy as np
from case import Case, generator, rounded, wide
from quantise import TOP, quantise, tolerances


def normed(x, w, residual, dtype):
    """r and y = T(r / rms) w, of rows."""
    r = wide(x) + (0 if residual is None else residual)
    y = rounded(r / np.sqrt((r * r).mean(-1, keepdims=True) + 1e-6), dtype)
    return r, wide(y) * w


def cases_of(kernel, seed, shapes, scales, defines=lambda group: {}):
    """Cases for each shape, group size, type, result type, with residual?, bound; `scales` quantises y."""
    _, normal = generator(seed)
    for shape, group, dtype, q_type, with_residual, bound in shapes:
        x, w = rounded(normal(*shape), dtype), rounded(1 + normal(shape[-1]), dtype)
        residual = rounded(normal(*shape), dtype) if with_residual else None
        if len(x) > 2:  # a row of zeros has the least scale
            x[0] = 0
            if with_residual:
                residual[0] = 0
        r, y = normed(x, w, residual, dtype)
        q, s = scales(y, group, q_type, bound)
        given, expect = {"x": x, "w": w}, {"q": q, "s": s}
        if with_residual:
            given["residual"], expect["residual"] = residual, r
        if bound is not None:
            given["ub"] = np.float32([bound])
        yield Case(kernel, given, expect, defines={"Q": q_type, **defines(group)},
                   dtypes=dict.fromkeys(("x", "w", "residual"), dtype), stored={"q": q_type, "residual": dtype},
                   **tolerances(q_type, dtype))


SHAPES = (((3, 17), 0, "bf16", "f8e4m3", False, None), ((1, 1), 0, "f32", "f8e4m3", True, None),
          ((2, 3, 130), 0, "bf16", "i8", True, 1.25), ((5, 40), 0, "f32", "i8", True, None),
          ((0, 8), 0, "bf16", "f8e4m3", True, None))


def cases():
    def scales(y, group, q_type, bound):
        return quantise(y, q_type, 1 / (512 * TOP[q_type]), bound)
    return cases_of("rms_norm_dynamic_per_token_quant", 192, SHAPES, scales)
