#!/usr/bin/python3
"""launch.py PROGRAM: what a launch costs beyond its work, beside what others take for as little; make bench-launch.

PROGRAM is bench/launch.c built. Peers that are not installed are left out. All in one run; each figure is the best of
many short ones, since others only ever add to it."""
import os
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(ROOT, "python"))
import numpy as np  # noqa: E402

import hako  # noqa: E402
from hako import _c  # noqa: E402

SMALL, FIRST_RUNS = 16, 15
KERNEL = "kernel add(x: f32[N], y: f32[N]) -> (z: f32[N]) { tile n in N { z[n] = x[n] + y[n]; } }"


def best_ns(call, turns=60, repeats=300):
    best = float("inf")
    for _ in range(turns):
        start = time.perf_counter_ns()
        for _ in range(repeats):
            call()
        best = min(best, (time.perf_counter_ns() - start) / repeats)
    return best


def python_rows():
    """Calls from Python: of an empty C function, and additions of 16 floats into an array that is there."""
    x, y, z = (np.ones(SMALL, np.float32) for _ in range(3))
    add = hako.loads(KERNEL).add.bind(threads=1)
    yield "ctypes call of an empty C function, from Python", best_ns(_c.version_text)
    yield "hako, from Python", best_ns(lambda: add(x, y, out=z))
    yield "NumPy: add(x, y, out=z)", best_ns(lambda: np.add(x, y, out=z))
    try:
        import torch
    except ImportError:
        return
    torch.set_num_threads(1)
    tx, ty, tz = (torch.ones(SMALL) for _ in range(3))
    with torch.no_grad():
        yield f"PyTorch {torch.__version__}: add(x, y, out=z)", best_ns(lambda: torch.add(tx, ty, out=tz))
        yield "hako on PyTorch's tensors, from Python", best_ns(lambda: add(tx, ty, out=tz))


def first_launch_ms(program):
    """Milliseconds from main to the end of the first launch: without a code cache, and with a warm one."""
    with tempfile.TemporaryDirectory() as folder:
        def run():
            return float(subprocess.run([program, "first", folder], check=True, capture_output=True, text=True).stdout) / 1e6
        cold = run()
        return cold, sorted(run() for _ in range(FIRST_RUNS))


def main():
    program = sys.argv[1]
    lines = subprocess.run([program], check=True, capture_output=True, text=True).stdout.splitlines()
    ns = {name: float(value) for name, value in (line.split("\t") for line in lines)}
    rows = [("hk_exec_run, one thread, 16 floats", ns["exec"]), ("hk_kernel_run, the same", ns["kernel"]), *python_rows()]
    width = max(len(name) for name, _ in rows)
    for name, value in rows:
        print(f"{name:{width}}  {value:8.0f} ns")
    print(f"two threads, 65536 floats: {ns['two threads']:.0f} ns, which is {ns['two threads'] - ns['one thread'] / 2:.0f} ns "
          f"more than half of one thread's {ns['one thread']:.0f} ns")
    cold, warm = first_launch_ms(program)
    print(f"from main to the end of a process's first launch: {cold:.1f} ms; with a warm code cache {warm[len(warm) // 2]:.2f} ms "
          f"(median of {len(warm)} processes, {warm[0]:.2f} to {warm[-1]:.2f})")


if __name__ == "__main__":
    main()
