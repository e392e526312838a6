#!/usr/bin/python3
"""make bench-opencl: an OpenCL device's kernels at the default and a tuned Config beside CLBlast, a naive kernel and Hako's CPU backend.

All run on this machine in turns, each a process of its own; of each round's ratios the median counts."""
import argparse
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(HERE)
sys.path.insert(0, HERE)
from run import FAIR, ask, spread  # noqa: E402

# Kernel, sizes, rivals, and what is meant to be reached: (rival, how many times as fast as it).
ROWS = [
    ("samples/matmul.hk:matmul", {"M": 1024, "N": 1024, "K": 1024}, ("clblast", "naive"), ("clblast", 1.0)),
    ("samples/softmax.hk:softmax", {"P": 4096, "N": 4096}, ("cpu",), ("cpu", 1 / 1.3)),
]


def text_of(sizes):
    return ",".join(f"{k}={v}" for k, v in sizes.items())


def tuned(options, kernel, sizes):
    """What `hako tune` finds for a copy of the kernel."""
    with tempfile.TemporaryDirectory() as folder:
        path, name = kernel.split(":")
        copy, log = os.path.join(folder, os.path.basename(path)), os.path.join(folder, "log.jsonl")
        shutil.copy(os.path.join(ROOT, path), copy)
        subprocess.run([options.hako, "tune", f"{copy}:{name}", f"--shapes={text_of(sizes)}", f"--target={options.target}",
                        f"--budget={options.budget}", "--timeout=20", "--db=none", f"--log={log}"],
                       env=FAIR, cwd=ROOT, check=False, stdout=subprocess.DEVNULL)  # it fails where time was short
        with open(log, encoding="utf-8") as lines:
            return [json.loads(line) for line in lines][-1]["config"]


def commands(options, kernel, sizes, rivals, config):
    bench = [options.hako, "bench", kernel, "--json", f"--shapes={text_of(sizes)}", f"--min-time={options.min_time}"]
    yield "default", [*bench, f"--target={options.target}"]
    yield "tuned", [*bench, f"--target={options.target}", f"--config={config}"]
    for rival in rivals:
        if rival == "cpu":
            yield rival, bench
            continue
        device = options.target.partition(":")[2] or "0"
        words = [f"{k.lower()}={v}" for k, v in sizes.items()]
        yield rival, [os.path.join(options.peers, "peer_opencl"), rival, *words, f"device={device}", f"min_time={options.min_time}"]


def measure(options, kernel, sizes, rivals, goal):
    config = tuned(options, kernel, sizes)
    times, faults = {}, {}
    for _ in range(options.rounds):
        for name, command in commands(options, kernel, sizes, rivals, config):
            found, why = ask(command, FAIR)
            if found:
                times.setdefault(name, []).append(found["median_ms"])
            else:
                faults[name] = why
    ratios = {name: spread([r / h for r, h in zip(times[name], times["tuned"])]) for name in times if name != "tuned"}
    return {"kernel": kernel, "sizes": text_of(sizes), "config": config, "goal": goal, "faults": faults,
            "ms": {name: statistics.median(values) for name, values in times.items()}, "ratios": ratios}


def show(result):
    rival, goal = result["goal"]
    reached = result["ratios"].get(rival)
    print(f"{result['kernel']}  {result['sizes']}\n  tuned    {result['ms']['tuned']:9.3f} ms  {result['config'].strip()}")
    for name, ratio in result["ratios"].items():
        print(f"  {name:8} {result['ms'][name]:9.3f} ms  {ratio['median']:.2f} times what tuned takes"
              f" ({ratio['low']:.2f} to {ratio['high']:.2f})")
    for name, why in result["faults"].items():
        print(f"  {name:8} {why}")
    if reached:
        print(f"  goal     {goal:.2f} times as fast as {rival}: {'met' if reached['median'] >= goal else 'missed'}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hako", default=os.path.join(ROOT, "build", "hako"))
    parser.add_argument("--peers", default=os.path.join(ROOT, "build", "bench"), help="folder of the peers' programs")
    parser.add_argument("--target", default="opencl:0", help="the device, by its number in `hako devices`")
    parser.add_argument("--only", default="", help="kernels whose name this regular expression finds")
    parser.add_argument("--budget", default="30s", help="of tuning each kernel")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--min-time", type=float, default=0.3)
    parser.add_argument("--json", default="", help="file for all figures")
    options = parser.parse_args()
    options.hako = os.path.abspath(options.hako)
    results = []
    for row in ROWS:
        if not re.search(options.only, row[0]):
            continue
        results.append(measure(options, *row))
        show(results[-1])
    if options.json:
        with open(options.json, "w", encoding="utf-8") as out:
            json.dump({"results": results}, out, indent=1)


if __name__ == "__main__":
    main()
