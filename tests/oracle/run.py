#!/usr/bin/python3
"""Runs the samples against the oracles: run.py [--targets cpu,interp] [--only NAME] [-v] [HAKO]

Each case of tests/oracle/NAME.py runs a kernel of samples/NAME.hk through `hako run` on every target (and,
on the CPU, with each of its Configs) and compares what it writes with float64 NumPy."""
import argparse
import importlib
import os
import subprocess
import sys
import tempfile

import numpy as np

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "tests", "oracle"))
from case import from_bf16, to_bf16  # noqa: E402

UNIT = {"bf16": 2.0 ** -8, "f16": 2.0 ** -11}  # half the distance of neighbours, relative


def spec_of(name, array, dtype, folder):
    """The value of -i NAME=SPEC for an array, written as .npy."""
    path = os.path.join(folder, name + ".in.npy")
    stored = to_bf16(array) if dtype == "bf16" else array.astype(np.float16) if dtype == "f16" else array
    np.save(path, stored)
    if dtype != "bf16":
        return f"{name}=@{path}"
    return f"{name}={'x'.join(map(str, array.shape))}{'x' if array.ndim else ''}bf16=@{path}"


def command_of(case, hako, source, target, config, folder):
    command = [hako, "run", f"{source}:{case.kernel}", f"--target={target}"]
    for name, array in case.inputs.items():
        command += ["-i", spec_of(name, np.asarray(array), case.dtypes.get(name), folder)]
    for name in case.expect:
        command += ["-o", f"{name}=@{folder}/{name}.npy"]
    for name, value in case.args.items():
        command += ["--arg", f"{name}={value}"]
    for name, value in case.defines.items():
        command += ["-D", f"{name}={value}"]
    return command + (["--config", config] if config else [])


def mismatch(case, name, folder):
    """A sentence on how an output differs from what is expected, or None."""
    found, dtype = np.load(f"{folder}/{name}.npy"), case.stored.get(name)
    found = np.asarray(from_bf16(found) if dtype == "bf16" else found, np.float64)
    expect = np.asarray(case.expect[name], np.float64)
    if found.shape != expect.shape:
        return f"{name} has shape {found.shape}, not {expect.shape}"
    bound = case.atol + (case.rtol + UNIT.get(dtype, 0)) * np.abs(expect)
    with np.errstate(invalid="ignore"):
        wrong = ~((np.abs(found - expect) <= bound) | (found == expect) | (np.isnan(found) & np.isnan(expect)))
    if not wrong.any():
        return None
    at = np.unravel_index(np.argmax(wrong), wrong.shape)
    where = ", ".join(map(str, at))
    return f"{name}[{where}] is {found[at]!r}, not {expect[at]!r}; {wrong.sum()} of {wrong.size} differ"


def run_case(case, hako, source, target, config):
    """None if the case passes, else what went wrong."""
    with tempfile.TemporaryDirectory() as folder:
        command = command_of(case, hako, source, target, config, folder)
        done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
        if done.returncode:
            return f"exit {done.returncode}: {' '.join(command)}\n{done.stderr}{done.stdout}"
        wrong = [text for name in case.expect if (text := mismatch(case, name, folder))]
        return f"{'; '.join(wrong)}\n  {' '.join(command)}" if wrong else None


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("hako", nargs="?", default=os.path.join(ROOT, "build", "hako"))
    parser.add_argument("--targets", default="cpu,interp")
    parser.add_argument("--only", default="")
    parser.add_argument("-v", "--verbose", action="store_true")
    options = parser.parse_args()
    failed = passed = 0
    folder = os.path.join(ROOT, "tests", "oracle")
    for file in sorted(os.listdir(folder)):
        name = file[:-3]
        if not file.endswith(".py") or name in ("case", "run") or (options.only and name != options.only):
            continue
        for case in importlib.import_module(name).cases():
            for target in options.targets.split(","):
                for config in case.configs if case.configs and target == "cpu" else ("",):
                    shapes = " ".join(f"{n}{list(np.shape(x))}" for n, x in case.inputs.items())
                    title = f"{case.kernel} {shapes} {case.defines or ''} {target} {config}"
                    problem = run_case(case, options.hako, os.path.join(ROOT, "samples", name + ".hk"), target, config)
                    failed, passed = failed + bool(problem), passed + (not problem)
                    if problem or options.verbose:
                        print(f"{'FAIL' if problem else 'ok  '} {title}" + (f"\n  {problem}" if problem else ""))
    print(f"oracle: {passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
