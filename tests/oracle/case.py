"""What an oracle hands to `hako test`: kernels, inputs, and what they should give in float64.

tests/oracle/GROUP/NAME.py belongs to samples/GROUP/NAME.hk. Its function `cases()` yields a Case for each launch;
one written `cases(full=False)` is asked for the sizes of real use with full=True. It is written from the formula, not
from the kernel. Modules without such a function help others; this folder and the oracle's own are on the path.

Run as a program (`case.py ORACLE.py FOLDER [--full]`, by `hako test`) it answers each line of its input with the next
case: the arrays as .npy files in FOLDER, the rest as a line of JSON; {"end": true} after the last."""
import importlib.util
import inspect
import json
import os
import sys

import numpy as np


class Case:
    """One launch.

    inputs    name -> array. Floats are given as float32 or float64 arrays of values that the storage type holds
              (`rounded` makes them so), integers as arrays of any integer type.
    dtypes    name -> how an input is stored, where that is not its NumPy type: "bf16", "f8e4m3", "i4", "u16" ...
    expect    output name -> float64 or integer array. An optional output is asked for only if it is named. An inout
              tensor is named in both; elements under the mask of a np.ma array may be anything.
    stored    output name -> its dtype, where NumPy lacks it or it has fewer bits than f32: the result may then be
              what any number within the tolerance rounds to.
    args      scalars; defines: compile-time parameters in the language's syntax.
    rtol atol |found - expect| <= atol + rtol * |expect|: numbers, arrays, or a dict of these by output.
    configs   Configs to try on the CPU, "" being the default one.
    fails     a diagnostic, "HK0712": the launch is refused or fails with it, and `expect` may be empty."""

    def __init__(self, kernel, inputs, expect, *, args=None, defines=None, dtypes=None, stored=None,
                 rtol=2e-6, atol=2e-6, configs=(), note="", fails=None):
        self.kernel, self.inputs, self.expect = kernel, inputs, expect
        self.args, self.defines = args or {}, defines or {}
        self.dtypes, self.stored = dtypes or {}, stored or {}
        self.rtol, self.atol, self.configs, self.note = rtol, atol, configs, note
        self.fails = fails

    def tolerance(self, name):
        """rtol and atol of an output."""
        return tuple(t.get(name, 2e-6) if isinstance(t, dict) else t for t in (self.rtol, self.atol))


def generator(seed):
    rng = np.random.default_rng(seed)
    return rng, lambda *shape: rng.standard_normal(shape).astype(np.float32)


def wide(x):
    """As an array of float64; unlike np.float64(x) also where there is but one element."""
    return np.asarray(x, np.float64)


def norms(a, b):
    """Row norms times column norms: what the error of a product is measured by."""
    return (np.sqrt((a.astype(np.float64) ** 2).sum(-1))[..., :, None]
            * np.sqrt((b.astype(np.float64) ** 2).sum(-2))[..., None, :])


def only_rows(count, some, values):
    """An output of `count` rows of which `values` says what some hold; the others may be anything."""
    whole = np.ma.masked_all((count, *values.shape[1:]))
    whole[some] = values
    return whole


def offsets(rng, count, total, dtype=np.int64):
    """Offsets of `count` consecutive groups over `total` rows, one of them empty."""
    inner = np.sort(rng.integers(0, total + 1, max(count - 1, 0)))
    if count > 2:
        inner[1] = inner[0]
    return np.concatenate([[0], inner, [total]]).astype(dtype) if count else np.zeros(1, dtype)


# ---- storage types

#           exponent bits, mantissa bits, largest finite value, has infinity, code of NaN
FLOATS = {
    "f16": (5, 10, 65504.0, True, 0x7E00),
    "bf16": (8, 7, 3.3895313892515355e38, True, 0x7FC0),
    "f8e4m3": (4, 3, 448.0, False, 0x7F),
    "f8e5m2": (5, 2, 57344.0, True, 0x7E),
    "f4e2m1": (2, 1, 6.0, False, None),
}
NUMPY = {"bool": np.bool_, "i8": np.int8, "u8": np.uint8, "i16": np.int16, "u16": np.uint16, "i32": np.int32,
         "u32": np.uint32, "i64": np.int64, "f32": np.float32, "f64": np.float64, "f16": np.float16}
BITS = {"i4": 4, "u4": 4, "f4e2m1": 4, "f8e4m3": 8, "f8e5m2": 8, "bf16": 16}


def rounded(x, dtype):
    """Values that the storage type can hold: floats to nearest even, as float32 (f64 stays); integers wrap."""
    x = np.asarray(x)
    if dtype == "f64":
        return x.astype(np.float64)
    if dtype == "f32":
        return x.astype(np.float32)
    if dtype in ("i4", "u4"):
        low = x.astype(np.int64) & 15
        return np.where((dtype == "i4") & (low > 7), low - 16, low).astype(np.int32)
    if dtype not in FLOATS:
        return x.astype(np.int64).astype(NUMPY[dtype])
    ebits, mbits, top, has_inf, nan = FLOATS[dtype]
    v = x.astype(np.float64)
    _, exponent = np.frexp(np.where(np.isfinite(v), v, 0))  # |v| = f * 2^exponent, 1/2 <= f < 1
    step = np.ldexp(1.0, np.maximum(exponent - 1, 2 - 2 ** (ebits - 1)) - mbits)  # subnormals share the least one
    r = np.where(np.isfinite(v), np.rint(v / step) * step, v)  # rint: ties to even
    r = np.where(np.abs(r) > top, np.copysign(np.inf if has_inf else top, r), r)
    return np.where(np.isnan(v), np.nan if nan is not None else top, r).astype(np.float32)


def codes(x, dtype):
    """The bits of each value as unsigned integers, unpacked."""
    x = np.asarray(x)
    if dtype in ("i4", "u4"):
        return (x.astype(np.int64) & 15).astype(np.uint8)
    ebits, mbits, top, _, nan = FLOATS[dtype]
    r = rounded(x, dtype).astype(np.float64)
    finite, bias = np.isfinite(r), 2 ** (ebits - 1) - 1
    a = np.abs(np.where(finite, r, 0))
    exponent = np.where(a > 0, np.maximum(np.frexp(a)[1] - 1, 1 - bias), 1 - bias)
    # The mantissa's hidden bit adds one to the exponent's field; without it the number is subnormal.
    code = ((exponent + bias - 1) << mbits) + np.ldexp(a, mbits - exponent).astype(np.int64)
    code = np.where(finite, code, ((1 << ebits) - 1) << mbits)
    code = np.where(np.isnan(r), nan or 0, code | (np.signbit(r).astype(np.int64) << (ebits + mbits)))
    return code.astype(np.uint8 if ebits + mbits < 8 else np.uint16)


def values(code, dtype):
    """The values of unpacked codes, as float32 or int32."""
    code = np.asarray(code).astype(np.int64)
    if dtype in ("i4", "u4"):
        return rounded(code, dtype)
    ebits, mbits, top, has_inf, nan = FLOATS[dtype]
    field, fraction = (code >> mbits) & ((1 << ebits) - 1), code & ((1 << mbits) - 1)
    bias = 2 ** (ebits - 1) - 1
    r = np.ldexp(np.where(field > 0, fraction + (1 << mbits), fraction).astype(np.float64),
                 np.maximum(field, 1) - bias - mbits)
    if has_inf:
        r = np.where(field == (1 << ebits) - 1, np.where(fraction > 0, np.nan, np.inf), r)
    elif nan is not None:
        r = np.where((code & nan) == nan, np.nan, r)
    return np.where(code >> (ebits + mbits) & 1, -r, r).astype(np.float32)


def encode(x, dtype):
    """An array as a .npy file holds it: bits where NumPy lacks the type; four-bit values two in a byte along
    the last dimension, low half first."""
    x = np.asarray(x)
    if dtype not in BITS:
        return np.asarray(x.astype(NUMPY[dtype]) if dtype else x, order="C")
    code = codes(x, dtype)
    if BITS[dtype] == 4:
        code = np.concatenate([code, np.zeros((*code.shape[:-1], code.shape[-1] % 2), np.uint8)], -1)
        code = code[..., ::2] | code[..., 1::2] << 4
    return np.ascontiguousarray(code)


def decode(stored, dtype, shape):
    """What encode made of an array of that shape, as values."""
    if dtype not in BITS:
        return stored
    if BITS[dtype] == 4:
        stored = np.stack([stored & 15, stored >> 4], -1).reshape(*stored.shape[:-1], -1)[..., :shape[-1]]
    return values(stored, dtype)


def between(found, expect, bound, dtype):
    """Where what was stored as dtype may come from numbers within bound of what is expected."""
    with np.errstate(invalid="ignore", over="ignore"):
        low, high = expect - bound, expect + bound
        if dtype in FLOATS:
            low, high = wide(rounded(low, dtype)), wide(rounded(high, dtype))
            expect = wide(rounded(expect, dtype))
        return ((low <= found) & (found <= high)) | (found == expect) | (np.isnan(found) & np.isnan(expect))


# ---- the program

def load(path):
    """The module at path, whose imports may come from its folder and from this one."""
    path = os.path.abspath(path)
    sys.modules.setdefault("case", sys.modules[__name__])
    sys.path[:0] = [os.path.dirname(path), os.path.dirname(os.path.abspath(__file__))]
    spec = importlib.util.spec_from_file_location("oracle", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def all_cases(module, full):
    """Its cases; none if sizes of real use are wanted and it has none."""
    if "full" in inspect.signature(module.cases).parameters:
        return module.cases(full=full)
    return () if full else module.cases()


def save(path, array):
    np.save(path, array)
    return "@" + path


def spec_of(array, dtype, path):
    """What stands behind `-i NAME=`."""
    array = np.asarray(array)
    sizes = "".join(f"{n}x" for n in array.shape)
    return (f"{sizes}{dtype}=" if dtype in BITS else "") + save(path, encode(array, dtype))


def text_of(value):
    return str(value).lower() if isinstance(value, (bool, np.bool_)) else str(value)


def expectation(case, name, path):
    masked = np.ma.asarray(case.expect[name])
    tolerances = [t if np.ndim(t) == 0 else save(f"{path}.{k}.npy", wide(t))
                  for k, t in zip("ra", case.tolerance(name))]
    whole = np.issubdtype(masked.dtype, np.integer)
    return {"name": name,
            "value": save(path + ".npy", masked.data.astype(np.int64) if whole else wide(masked.data)),
            "skip": save(path + ".skip.npy", np.ma.getmaskarray(masked)) if np.ma.is_masked(masked) else None,
            "rtol": text_of(tolerances[0]), "atol": text_of(tolerances[1])}


def written(case, folder):
    inputs = {name: spec_of(array, case.dtypes.get(name), f"{folder}/{name}.in.npy")
              for name, array in case.inputs.items()}
    expects = [expectation(case, name, f"{folder}/{name}.out") for name in case.expect]
    return {"kernel": case.kernel, "inputs": inputs, "expect": expects, "fails": case.fails,
            "args": {k: text_of(v) for k, v in case.args.items()},
            "defines": {k: text_of(v) for k, v in case.defines.items()}, "configs": list(case.configs)}


def main():
    path, folder = sys.argv[1:3]
    remaining = iter(all_cases(load(path), "--full" in sys.argv[3:]))
    for _ in sys.stdin:
        case = next(remaining, None)
        print(json.dumps(written(case, folder) if case else {"end": True}), flush=True)


if __name__ == "__main__":
    main()
