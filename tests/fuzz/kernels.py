#!/usr/bin/python3
"""Random well-typed kernels in .hk (programs.py), each with the default Config and with random ones, against the
interpreter, through tests/fuzz/kernels.c:

    kernels.py RUNNER [--seed 1] [--count 100] [--configs 3] [--target cpu|opencl] [--keep FOLDER]
    kernels.py RUNNER --reduce FILE.hk [--seed 1] [--target cpu|opencl]

What the checks refuse is counted, not a failure. What fails is printed; with --keep it is reduced (reduction.py) and
left in the folder, and the command that shows the failure is printed."""
import argparse
import os
import re
import subprocess
import sys
import tempfile

from programs import Program
from reduction import Reducer

BATCH = 50  # files for one process of the runner
FAILURES = ("FAIL", "CRASH", "TIMEOUT")


def run(options, files, config=None):
    command = [options.runner, "--seed", str(options.seed), "--configs", str(options.configs), "--target", options.target]
    if config is not None:
        command += ["--config", config]
    result = subprocess.run(command + files, capture_output=True, text=True, errors="replace")
    return result.stdout.splitlines()


def failure(lines):
    return next((l for l in lines if l.split(" ", 1)[0] in FAILURES), None)


def kind(line):
    """In which way a line says that something failed: without names and numbers of its own."""
    word = line.split(" ", 1)[0]
    return word, re.findall(r"HK[0-9]+|status [0-9]+", line)


def config_of(line):
    return re.search(r"\[(.*?)\]", line).group(1)


def known_knobs(config, text):
    """The settings of a Config but for those of axes and tensors that are no longer in the program."""
    words = set(re.findall(r"\w+", text))
    settings = [(s, re.match(r"[a-z]+_(\w+?)(_\d+)? =", s)) for s in config.split(", ") if s]
    return [s for s, about in settings if not about or about.group(1) in words]


def reduce(options, text, folder):
    """The smallest program that fails in the same way, the line that says so, and the Config it takes."""
    path = os.path.join(folder, "reduced.hk")

    def outcome(candidate, config):
        with open(path, "w") as f:
            f.write(candidate)
        return failure(run(options, [path], config))

    line = outcome(text, None)
    if not line:
        return text, None, None
    config, want = config_of(line), kind(line)
    if not outcome(text, config) or line.startswith("CRASH"):
        config = None  # a crash does not say which Config it was

    def fails(candidate):
        chosen = None if config is None else ", ".join(known_knobs(config, candidate))
        found = outcome(candidate, chosen)
        return found is not None and kind(found) == want

    text = Reducer(fails).reduce(text)
    settings = known_knobs(config, text) if config else []
    for setting in list(settings):
        fewer = [s for s in settings if s != setting]
        found = outcome(text, ", ".join(fewer))
        if found and kind(found) == want:
            settings = fewer
    config = None if config is None else ", ".join(settings)
    return text, outcome(text, config), config


def show_reduced(options, name, text, folder):
    os.makedirs(options.keep, exist_ok=True)
    text, line, config = reduce(options, text, folder)
    path = os.path.join(options.keep, name)
    with open(path, "w") as f:
        f.write(text)
    shown = "" if config is None else f' --config "{config}"'
    print(f"reduced: {line.replace(os.path.join(folder, 'reduced.hk'), path) if line else 'it does not fail again'}")
    print(f"    {options.runner} --seed {options.seed} --configs {options.configs} --target {options.target}{shown} {path}")
    print(text, flush=True)


def fuzz(options, folder):
    counts, failed, refused = {}, 0, {}
    first = options.seed * 1000000
    for start in range(first, first + options.count, BATCH):
        files = {}
        for seed in range(start, min(start + BATCH, first + options.count)):
            path = os.path.join(folder, f"{seed}.hk")
            files[path] = Program(seed).program()
            with open(path, "w") as f:
                f.write(files[path])
        for line in run(options, list(files)):
            word, _, rest = line.partition(" ")
            counts[word] = counts.get(word, 0) + 1
            path = rest.split(" ", 1)[0]
            if word in FAILURES:
                failed += 1
                print(line, flush=True)
                if options.keep:
                    show_reduced(options, f"fuzz_{os.path.basename(path)}", files[path], folder)
                else:
                    print(files[path])
            if word == "refused":
                code = (re.search(r"HK\d+", line) or [line])[0]
                refused.setdefault(code, []).append(line)
                if options.show_refused:
                    print(line)
        for path in files:
            os.unlink(path)
    for code, lines in sorted(refused.items()):
        print(f"refused: {len(lines)} by {code}")
    print("kernels: " + ", ".join(f"{n} {word}" for word, n in sorted(counts.items())))
    return 1 if failed or not counts.get("ok") else 0


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("runner")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--configs", type=int, default=3)
    parser.add_argument("--target", default="cpu")
    parser.add_argument("--keep", help="folder for programs that fail, reduced")
    parser.add_argument("--reduce", help="a program that fails")
    parser.add_argument("--show-refused", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        if not options.reduce:
            return fuzz(options, folder)
        options.keep = options.keep or os.path.dirname(options.reduce) or "."
        with open(options.reduce) as f:
            show_reduced(options, "reduced_" + os.path.basename(options.reduce), f.read(), folder)
        return 0


if __name__ == "__main__":
    sys.exit(main())
