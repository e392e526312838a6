#!/usr/bin/python3
"""A kernel with random Configs of its tuning space, each against the interpreter: matmul of 1000x999x1001 by default.

    configs.py HAKO [--count 20] [--seed 1] [--target opencl] [--config TEXT] [FILE:KERNEL NAME=SPEC...]

What --config sets stays so ("group = 16": that of groups), and the space is the one that this leaves."""
import argparse
import json
import random
import subprocess
import sys


def ask(options, *words):
    return subprocess.run([options.hako, *words], capture_output=True, text=True, check=False)


def knobs_of(options, case):
    done = ask(options, "tune", *case, "--space", "--json", f"--config={options.config}")
    if done.returncode:
        sys.exit(done.stderr)
    return [k for k in json.loads(done.stdout)["knobs"] if k["name"] not in options.config.replace("=", " ").split()]


def draw(options, knobs, source):
    """Some value of each knob, or none: what it is by default."""
    settings = [options.config] if options.config else []
    for knob in knobs:
        value = source.choice([None, *knob["values"]])
        if value is not None:
            settings.append(f"{knob['name']} = {value}")
    return ", ".join(settings)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("hako")
    parser.add_argument("--count", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--target", default="opencl")
    parser.add_argument("--config", default="")
    parser.add_argument("kernel", nargs="*", default=["samples/matmul.hk:matmul", "a=1000x1001xf32=randn", "b=1001x999xf32=randn(seed=2)"])
    options = parser.parse_args()
    case = [options.kernel[0], f"--target={options.target}", *(f"--input={spec}" for spec in options.kernel[1:])]
    knobs, source, failed = knobs_of(options, case), random.Random(options.seed), 0
    for _ in range(options.count):
        config = draw(options, knobs, source)
        done = ask(options, "run", *case, "--verify", f"--config={config}")
        right = done.returncode == 0 and "verify: ok" in done.stdout + done.stderr
        failed += not right
        print(f"{'ok  ' if right else 'FAIL'} {config}", flush=True)
        if not right:
            print(done.stdout + done.stderr, end="")
    print(f"configs: {options.count - failed} of {options.count} right")
    return failed > 0


if __name__ == "__main__":
    sys.exit(main())
