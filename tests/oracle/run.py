#!/usr/bin/python3
"""Runs the samples against the oracles.

Each case of tests/oracle/GROUP/NAME.py runs a kernel of samples/GROUP/NAME.hk through `hako run` on every target
(and, on the CPU, with each of its Configs) and compares what it writes with float64 NumPy."""
import argparse
import concurrent.futures
import glob
import importlib.util
import inspect
import os
import subprocess
import sys
import tempfile

import numpy as np

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, HERE)
sys.dont_write_bytecode = True
from case import BITS, between, decode, encode  # noqa: E402


def has_opencl(hako):
    sample = os.path.join(ROOT, "samples", "vector_add.hk")
    command = [hako, "run", sample, "-i", "a=1xf32=zeros", "-i", "b=1xf32=zeros", "--target=opencl"]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def spec_of(name, array, dtype, folder):
    """The value of -i NAME=SPEC for an array, written as .npy."""
    path = os.path.join(folder, name + ".in.npy")
    np.save(path, encode(array, dtype))
    if dtype not in BITS:
        return f"{name}=@{path}"
    return f"{name}={'x'.join(map(str, array.shape))}{'x' if array.ndim else ''}{dtype}=@{path}"


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


def mismatch(case, name, folder, slack):
    """A sentence on how an output differs from what is expected, or None."""
    dtype, masked = case.stored.get(name), np.ma.asarray(case.expect[name])
    expect, skip = np.asarray(masked.data, np.float64), np.ma.getmaskarray(masked)
    found = np.asarray(decode(np.load(f"{folder}/{name}.npy"), dtype, expect.shape), np.float64)
    if found.shape != expect.shape:
        return f"{name} has shape {found.shape}, not {expect.shape}"
    rtol, atol = case.tolerance(name)
    with np.errstate(invalid="ignore"):
        bound = slack * (atol + rtol * np.abs(expect))
    wrong = ~(between(found, expect, bound, dtype) | skip)
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
        if case.fails:
            refused = done.returncode in (1, 4) and case.fails in done.stderr
            return None if refused else f"no {case.fails}: {' '.join(command)}\n{done.stderr}{done.stdout}"
        if done.returncode:
            return f"exit {done.returncode}: {' '.join(command)}\n{done.stderr}{done.stdout}"
        slack = 4 if target == "opencl" else 1  # sums have fewer partial ones there
        wrong = [text for name in case.expect if (text := mismatch(case, name, folder, slack))]
        return f"{'; '.join(wrong)}\n  {' '.join(command)}" if wrong else None


def oracle_of(source):
    """The module for a sample, or None."""
    path = os.path.join(HERE, os.path.relpath(source, os.path.join(ROOT, "samples"))[:-3] + ".py")
    if not os.path.exists(path):
        return None
    sys.path.insert(1, os.path.dirname(path))
    spec = importlib.util.spec_from_file_location("oracle_" + os.path.relpath(path, HERE)[:-3].replace("/", "_"), path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    sys.path.pop(1)
    return module


def jobs(sources, targets, full):
    """Every case on every target; the CPU also with each of the case's Configs."""
    for source in sources:
        module = oracle_of(source)
        takes_full = module and "full" in inspect.signature(module.cases).parameters
        for case in module.cases(full=full) if takes_full else module.cases() if module else ():
            for target in targets:
                for config in case.configs if case.configs and target == "cpu" else ("",):
                    yield source, case, target, config


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("hako", nargs="?", default=os.path.join(ROOT, "build", "hako"))
    parser.add_argument("--targets", default="cpu,interp,opencl", help="opencl is left out where there is no device")
    parser.add_argument("--only", default="", help="the sample to try, by its name without folder")
    parser.add_argument("--full", action="store_true", help="sizes of real use, where the oracle has them")
    parser.add_argument("-v", "--verbose", action="store_true")
    options = parser.parse_args()
    hako = os.path.abspath(options.hako)
    targets = [t for t in options.targets.split(",") if t != "opencl" or has_opencl(hako)]
    sources = sorted(glob.glob(os.path.join(ROOT, "samples", "**", "*.hk"), recursive=True))
    sources = [s for s in sources if options.only in ("", os.path.basename(s)[:-3])]

    def run(job):
        source, case, target, config = job
        shapes = " ".join(f"{n}{list(np.shape(x))}" for n, x in case.inputs.items())
        title = f"{case.kernel} {shapes} {case.defines or ''} {target} {config}"
        return title, run_case(case, hako, source, target, config)

    failed = passed = 0
    with concurrent.futures.ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        for title, problem in pool.map(run, jobs(sources, targets, options.full)):
            failed, passed = failed + bool(problem), passed + (not problem)
            if problem or options.verbose:
                print(f"{'FAIL' if problem else 'ok  '} {title}" + (f"\n  {problem}" if problem else ""), flush=True)
    print(f"oracle: {passed} passed, {failed} failed on {', '.join(targets)}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
