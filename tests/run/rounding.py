#!/usr/bin/python3
"""Every conversion, end to end on every target, against the definitions of the formats.

Loads: all codes of each small float, all values of each narrow integer. Stores, casts in place and nearest[T]: for each
pair of neighbouring values the two, the middle (a tie), what is next to it in f32 and in f64 (rounded once), and beyond the
ends; infinities and NaN; integers that wrap; floats to integers, which truncate and saturate, and nearest[T] of integers.
Quotients of rows by one number, which are products of its reciprocal where that is correctly rounded: numerators beside the
middles of neighbouring quotients, divisors with the largest mantissas, zeros of both signs, denormal, infinite and NaN.

    tests/run/rounding.py build/hako
"""
import math
import os
import subprocess
import sys
import tempfile

import numpy as np

# name: mantissa and exponent bits, bias, has infinities, has NaN
FLOATS = {"f16": (10, 5, 15, True, True), "bf16": (7, 8, 127, True, True), "f8e4m3": (3, 4, 7, False, True),
          "f8e5m2": (2, 5, 15, True, True), "f4e2m1": (1, 2, 1, False, False)}
INTEGERS = {"i4": (4, True), "u4": (4, False), "i8": (8, True), "u8": (8, False), "i16": (16, True), "u16": (16, False),
            "u32": (32, False)}
KERNELS = """
kernel load(x: T[N]) -> (y: f64[N]) { tile n in N { y[n] = x[n]; } }
kernel store32(x: f32[N]) -> (y: T[N]) { tile n in N { y[n] = x[n]; } }
kernel store64(x: f64[N]) -> (y: T[N]) { tile n in N { y[n] = x[n]; } }
kernel cast32(x: f32[N]) -> (y: f64[N]) { tile n in N { y[n] = T(x[n]); } }
kernel cast64(x: f64[N]) -> (y: f64[N]) { tile n in N { y[n] = T(x[n]); } }
kernel near32(x: f32[N]) -> (y: f64[N]) { tile n in N { y[n] = nearest[T](x[n]); } }
kernel near64(x: f64[N]) -> (y: f64[N]) { tile n in N { y[n] = nearest[T](x[n]); } }
"""
WHOLE = """
kernel loads(x: T[N]) -> (y: i64[N]) { tile n in N { y[n] = x[n]; } }
kernel wraps(x: i64[N]) -> (y: T[N]) { tile n in N { y[n] = T(x[n]); } }
kernel cuts32(x: f32[N]) -> (y: i64[N]) { tile n in N { y[n] = i64(T(x[n])); } }
kernel cuts64(x: f64[N]) -> (y: i64[N]) { tile n in N { y[n] = i64(T(x[n])); } }
kernel nears32(x: f32[N]) -> (y: i64[N]) { tile n in N { y[n] = i64(nearest[T](x[n])); } }
kernel nears64(x: f64[N]) -> (y: i64[N]) { tile n in N { y[n] = i64(nearest[T](x[n])); } }
"""
QUOTIENTS = "kernel by_first(x: f32[M, N]) -> (y: f32[M, N]) { tile m in M { axis n in N; y[m, n] = x[m, n] / x[m, 0]; } }"


def value_of(code, form):
    """What a code means, from the definition: sign, exponent with bias, mantissa."""
    mantissa_bits, exponent_bits, bias, infinite, nan = form
    mantissa, exponent = code % 2**mantissa_bits, code >> mantissa_bits & 2**exponent_bits - 1
    sign = -1.0 if code >> mantissa_bits + exponent_bits else 1.0
    if exponent == 2**exponent_bits - 1:
        if infinite:
            return math.nan if mantissa else sign * math.inf
        if nan and mantissa == 2**mantissa_bits - 1:
            return math.nan
    if exponent == 0:
        return sign * mantissa * 2.0 ** (1 - bias - mantissa_bits)
    return sign * (2**mantissa_bits + mantissa) * 2.0 ** (exponent - bias - mantissa_bits)


class Small:
    """A small float: its finite values from 0 up, and rounding by search among them."""
    def __init__(self, name):
        self.form = FLOATS[name]
        self.bits = 1 + self.form[0] + self.form[1]
        self.all = np.array([value_of(c, self.form) for c in range(2**self.bits)])
        self.half = self.all[:2 ** (self.bits - 1)]
        self.count = int(np.isfinite(self.half).sum())
        self.grid = self.half[:self.count]

    def round(self, x, saturate):
        """The nearest value, ties to even; what overflows as a store does it, or to the largest."""
        size = np.abs(x)
        above = np.clip(np.searchsorted(self.grid, size, "left"), 0, self.count - 1)
        below = np.maximum(above - (self.grid[above] > size), 0)
        with np.errstate(over="ignore", invalid="ignore"):
            up, down = self.grid[above] - size, size - self.grid[below]
        pick = np.where(up < down, above, np.where(down < up, below, np.where(above % 2 == 0, above, below)))
        result = self.grid[pick]
        ulp = self.grid[-1] - self.grid[-2]
        if self.form[3] and not saturate:
            result = np.where(size >= self.grid[-1] + ulp / 2, np.inf, result)
        else:
            result = np.where(size >= self.grid[-1], self.grid[-1], result)
        result = np.copysign(result, x)
        if not self.form[4]:
            return np.where(np.isnan(x), 0.0 if saturate else self.grid[-1], result)
        return np.where(np.isnan(x), np.nan, result)

    def trials(self, dtype):
        grid = np.unique(self.grid)
        middle = (grid[1:] + grid[:-1]) / 2
        last = grid[-1] + (grid[-1] - grid[-2]) / 2
        with np.errstate(over="ignore"):
            points = np.concatenate([grid, middle, [last, grid[-1] * 2, grid[1] / 2, grid[1] / 4]]).astype(dtype)
        points = np.concatenate([points, np.nextafter(points, dtype(0)), np.nextafter(points, dtype(np.inf))])
        ends = np.array([np.inf, np.nan, np.finfo(dtype).max, np.finfo(dtype).tiny, np.finfo(dtype).smallest_subnormal])
        points = np.concatenate([points, ends.astype(dtype)])
        return np.concatenate([points, -points])


class Runner:
    def __init__(self, hako, folder):
        self.hako, self.folder, self.failed, self.passed = hako, folder, 0, 0
        self.targets = ["interp", "cpu"]
        self.source("probe", "kernel k(x: f32[N]) -> (y: f32[N]) { tile n in N { y[n] = x[n]; } }")
        np.save(self.path("x.npy"), np.zeros(1, np.float32))
        if self.start("probe", "k", "opencl", "x.npy").returncode == 0:
            self.targets.append("opencl")

    def path(self, name):
        return os.path.join(self.folder, name)

    def source(self, name, text):
        with open(self.path(name + ".hk"), "w", encoding="ascii") as file:
            file.write(text)

    def start(self, name, kernel, target, given):
        command = [self.hako, "run", f"{self.path(name)}.hk:{kernel}", "-i", given.replace("x.npy", f"x=@{self.path('x.npy')}")
                   if "=" not in given else given, "-o", f"y=@{self.path('y.npy')}", f"--target={target}"]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    def check(self, name, kernel, x, expect, spec="", read=lambda y: y):
        np.save(self.path("x.npy"), x)
        given = f"x={spec}@{self.path('x.npy')}"
        for target in self.targets:
            done = self.start(name, kernel, target, given)
            if done.returncode:
                self.fail(f"{name}:{kernel} on {target}: {done.stderr}")
                continue
            y = read(np.load(self.path("y.npy")))
            same = (y == expect) & (np.signbit(y) == np.signbit(expect)) | (y != y) & (expect != expect)
            if np.all(same):
                self.passed += 1
                continue
            at = np.flatnonzero(~same)
            shown = [f"{x.flat[i] if len(x) == len(y) else i} gives {y[i]}, not {expect[i]}" for i in at[:3]]
            self.fail(f"{name}:{kernel} on {target}: {len(at)} of {len(y)} differ: {'; '.join(shown)}")

    def fail(self, message):
        self.failed += 1
        print("FAIL", message)


def stored_codes(codes, bits):
    """As in memory: two codes of four bits in a byte, low half first."""
    if bits == 4:
        codes = np.concatenate([codes, np.zeros(len(codes) % 2, codes.dtype)])
        return (codes[::2] | codes[1::2] << 4).astype(np.uint8)
    return codes.astype({8: np.uint8, 16: np.uint16, 32: np.uint32}[bits])


def read_codes(bits, count):
    def read(stored):
        stored = stored.view({4: np.uint8, 8: np.uint8, 16: np.uint16, 32: np.uint32}[bits])
        if bits != 4:
            return stored.astype(np.int64)
        return np.stack([stored & 15, stored >> 4], -1).reshape(-1)[:count].astype(np.int64)
    return read


def check_float(run, name):
    small, bits = Small(name), Small(name).bits
    run.source(name, KERNELS.replace("T", name))
    codes = np.arange(2**bits)
    memory = stored_codes(codes, bits)
    run.check(name, "load", memory.view(np.float16) if name == "f16" else memory, small.all, f"{len(codes)}x{name}=")
    for kernel, dtype in (("32", np.float32), ("64", np.float64)):
        x = small.trials(dtype)
        wide = x.astype(np.float64)
        read = read_codes(bits, len(x))
        run.check(name, "store" + kernel, x, small.round(wide, False), read=lambda y, r=read: small.all[r(y)])
        run.check(name, "cast" + kernel, x, small.round(wide, False))
        run.check(name, "near" + kernel, x, small.round(wide, True))


def check_integer(run, name):
    bits, signed = INTEGERS[name]
    least, most = (-2 ** (bits - 1), 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)
    run.source(name, WHOLE.replace("T", name))
    codes = np.arange(2 ** min(bits, 16), dtype=np.int64) * (65537 if bits == 32 else 1)
    run.check(name, "loads", stored_codes(codes, bits).view({"i8": np.int8, "i16": np.int16}.get(name, stored_codes(codes, bits).dtype)),
              np.where(signed & (codes > most), codes - 2**bits, codes), f"{len(codes)}x{name}=")
    x = np.unique(np.concatenate([np.arange(-300, 301), [least + d for d in range(-2, 3)], [most + d for d in range(-2, 3)],
                                  [2**31, -2**31, 2**33 + 5, 2**63 - 1, -2**63]]).astype(np.int64))
    code = x & (2**bits - 1)
    run.check(name, "wraps", x, code, read=read_codes(bits, len(x)))
    for kernel, dtype in (("32", np.float32), ("64", np.float64)):
        edges = [float(least), float(most), float(least) - 1, float(most) + 1, 2.0**31, -2.0**31, 2.0**63, 1e30]
        parts = np.concatenate([np.arange(-20, 21) / 4, [e + d for e in edges for d in (-0.5, 0, 0.5)]]).astype(dtype)
        v = np.concatenate([parts, -parts, np.array([np.inf, -np.inf, np.nan, 1e-30, -0.0], dtype)])
        wide = np.where(np.isnan(v), 0, v.astype(np.float64))
        cut = np.array([int(min(max(math.trunc(min(max(w, -1e18), 1e18)), least), most)) for w in wide])
        run.check(name, "cuts" + kernel, v, cut)
        near = np.array([int(min(max(round(min(max(w, -1e18), 1e18)), least), most)) for w in wide])
        run.check(name, "nears" + kernel, v, near)


def check_quotients(run):
    random = np.random.default_rng(5)
    mantissas = np.concatenate([np.arange(8), 2**23 - 1 - np.arange(8), random.integers(0, 2**23, 16)]).astype(np.uint32)
    exponents = np.array([1, 2, 60, 64, 65, 66, 100, 126, 127, 128, 150, 188, 189, 190, 191, 192, 253, 254], np.uint32)
    divisors = (exponents[:, None] << 23 | mantissas).view(np.float32).ravel()
    special = np.array([0, 1e-45, 1e-40, np.inf, np.nan, 3e38, 1, 2**-126, 2**63, 2**64], np.float32)
    divisors = np.concatenate([divisors, special])
    divisors = np.concatenate([divisors, -divisors])[:, None]
    with np.errstate(all="ignore"):
        middles = (random.integers(2**23, 2**24, (len(divisors), 96)) + 0.5) * 2.0 ** random.integers(-60, 30, (len(divisors), 1))
        beside = (middles * divisors).astype(np.float32)
        bits = random.integers(0, 2**32, (len(divisors), 64), np.uint32).view(np.float32)
        bits[:, ::7] = np.where(bits[:, ::7] < 0, np.float32(-0.0), np.float32(0))
        x = np.concatenate([divisors, beside, bits, np.broadcast_to(special, (len(divisors), len(special)))], 1)
        expect = x / divisors
    run.source("quotients", QUOTIENTS)
    run.check("quotients", "by_first", x, expect.ravel(), read=np.ravel)


def main():
    with tempfile.TemporaryDirectory() as folder:
        run = Runner(sys.argv[1], folder)
        for name in FLOATS:
            check_float(run, name)
        for name in INTEGERS:
            check_integer(run, name)
        check_quotients(run)
        print(f"rounding: {run.passed} passed, {run.failed} failed")
        return 1 if run.failed else 0


if __name__ == "__main__":
    sys.exit(main())
