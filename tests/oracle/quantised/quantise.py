"""What the oracles of quantisers share: a scale for the last axis, and values in units of it."""
import numpy as np
from case import rounded, wide

TOP = {"f8e4m3": 448.0, "i8": 127.0}


def quantise(y, dtype, least, bound=None):
    """y in units of s = max(min(max |y|, bound) / top, least) along the last axis, within the range of dtype; and s."""
    top = np.abs(y).max(-1, initial=0)
    s = np.maximum(np.minimum(top, np.inf if bound is None else bound) / TOP[dtype], least)
    low = -128 if dtype == "i8" else -TOP[dtype]
    return np.clip(wide(y) / s[..., None], low, TOP[dtype]), s


def tolerances(dtype, narrow):
    """rtol and atol of q, s and the residual, where values are rounded to the type `narrow` on the way."""
    slack = {"bf16": 2.0 ** -8, "f16": 2.0 ** -11}.get(narrow, 0) + 5e-6
    return {"rtol": {"q": slack, "s": slack, "residual": 1e-6},
            "atol": {"q": 0.5 + 128 * slack if dtype == "i8" else 1e-5, "s": 0.0, "residual": 1e-6}}


def swizzle(scales):
    """Scales [rows, groups] in blocks of 128 x 4, each as 32 x 4 x 4: row 32 p + q of a block is [q, p]."""
    rows, groups = scales.shape
    full = np.zeros((-(-rows // 128) * 128, -(-groups // 4) * 4), np.float32)
    full[:rows, :groups] = scales
    return np.ascontiguousarray(full.reshape(len(full) // 128, 4, 32, -1, 4).transpose(0, 3, 2, 1, 4))


def fp4(rng, *shape):
    """Any values of e2m1, zeros of both signs too."""
    return np.float32([0, .5, 1, 1.5, 2, 3, 4, 6, -0.0, -.5, -1, -1.5, -2, -3, -4, -6])[rng.integers(0, 16, shape)]


def fp8(rng, *shape, low=-2, high=2):
    """Positive scales of e4m3 between powers of two."""
    return rounded(np.exp2(rng.uniform(low, high, shape)), "f8e4m3")
