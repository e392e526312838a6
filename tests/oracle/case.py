"""What an oracle hands to tests/run/run.py: kernels, inputs, and what they should give in float64."""
import numpy as np


class Case:
    """One launch: `inputs` name -> array (float inputs as float32; `dtypes` says how they are stored),
    `expect` output name -> float64 array, `args` scalars, `defines` compile-time parameters. An output
    may differ by atol + rtol * |expected| and, where it is stored as bf16 or f16, by its rounding."""

    def __init__(self, kernel, inputs, expect, *, args=None, defines=None, dtypes=None, stored=None,
                 rtol=2e-6, atol=2e-6, configs=(), note=""):
        self.kernel, self.inputs, self.expect = kernel, inputs, expect
        self.args, self.defines = args or {}, defines or {}
        self.dtypes, self.stored = dtypes or {}, stored or {}
        self.rtol, self.atol, self.configs, self.note = rtol, atol, configs, note


def generator(seed):
    rng = np.random.default_rng(seed)
    return rng, lambda *shape: rng.standard_normal(shape).astype(np.float32)


def wide(x):
    """As an array of float64; unlike np.float64(x) also where there is but one element."""
    return np.asarray(x, np.float64)


def to_bf16(x):
    """The codes of float32 values, rounded to nearest even."""
    bits = np.ascontiguousarray(x, np.float32).view(np.uint32).astype(np.uint64)
    code = ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype(np.uint16)
    return np.where(np.isnan(x), np.uint16(0x7FC0), code)


def from_bf16(code):
    return (code.astype(np.uint32) << 16).view(np.float32)


def rounded(x, dtype):
    """float32 values that the storage type can hold."""
    if dtype == "bf16":
        return from_bf16(to_bf16(x))
    return x.astype(np.float16).astype(np.float32) if dtype == "f16" else x.astype(np.float32)


def norms(a, b):
    """Row norms times column norms: what the error of a product is measured by."""
    return (np.sqrt((a.astype(np.float64) ** 2).sum(-1))[..., :, None]
            * np.sqrt((b.astype(np.float64) ** 2).sum(-2))[..., None, :])
