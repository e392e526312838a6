#!/usr/bin/env python3
"""Do the tests of emitted OpenCL C see faults? Puts one fault at a time into the emitted text of several samples, runs it in
the text's place (faults.c hands it to the driver), and demands that it is caught: by the comparison with the interpreter on
PoCL, by a crash there, or by Oclgrind. The text without a fault must pass both. Where a group of work-items shares a tile,
Oclgrind alone runs it.

    tests/opencl/mutants.py FOLDER-OF-faults.so [--all] [--only WORD]

HAKO names the program. Without --all, the first four samples. Prints a line for each fault with what caught it.
"""
import os
import re
import shutil
import subprocess
import sys

HAKO = os.path.realpath(os.environ.get("HAKO", "build/hako"))
WORK = sys.argv[1]
ONLY = sys.argv[sys.argv.index("--only") + 1] if "--only" in sys.argv else ""

# Sizes with tails: units that do not fill the last work-group, extents that are no multiple of what is unrolled.
KERNELS = {
    "softmax:softmax": "x=35x11xf32=randn",
    "matmul:matmul": "a=37x5xf32=randn b=5x39xf32=randn(seed=2)",
    "column_sum:column_sum_split": "x=19x5xf32=rand",
    "attention:attention": "q=1x35x4xf32=randn k=1x7x4xf32=randn(seed=2) v=1x7x6xf32=randn(seed=3)",
    "cross_entropy:cross_entropy_rows": "x=35x11xf32=randn label=35xi64=zeros",
    "vector_add:vector_add": "a=5x7xf32=randn b=5x7xf32=randn(seed=2)",
    "layer_norm:layer_norm": "x=35x11xf32=randn w=11xf32=rand b=11xf32=randn",
    "rms_norm:rms_norm": "x=35x11xf32=randn w=11xf32=rand",
}

# What goes wrong, where (the last match in the text is changed), what it becomes.
# A kernel of one unit has no neighbour to race with, and its mask hides nobody.
SEVERAL = r"(?:[2-9]|\d\d+)\)"
# An odd number of them does not fill groups of two or more, so that the mask is needed.
UNEVEN = r"(?:[3579]|\d+[13579])\)"
STORE = r"(?m)^(\s+\w+\[)([^\]]+)(\] = )"
FAULTS = [
    ("race: two work-items do one unit", rf"get_global_id\(0\)(;\s+if \(unit < {SEVERAL})", r"(get_global_id(0) / 2)\1"),
    ("mask: one unit too many", rf"if \(unit < (?={UNEVEN})(\d+)\)", r"if (unit <= \1 + 63)"),
    ("mask: the last unit is lost", r"if \(unit < (\d+)\)", r"if (unit < \1 - 1)"),
    ("bound: half of a loop", r"(for \(int (\w+) = [^;]+; \2 < )(\d+);", r"\1\3 / 2;"),
    ("bound: a loop runs on", r"(for \(int (\w+) = [^;]+; \2 < )(\d+);", r"\1\3 + 1;"),
    ("store: one place further", STORE, r"\1\2 + 1\3"),
    ("start: a sum that begins anywhere", r"(float acc\w*) = (0\.0f|-INFINITY);", r"\1;"),
    ("start: a sum that begins at 1", r"(float acc\w*) = (0\.0f|-INFINITY);", r"\1 = 1.0f;"),
]


# Of groups that share a tile.
GROUPED = ["matmul:matmul", "attention:attention"]
GROUP_FAULTS = [
    # One alone may be more than these sizes need.
    ("barrier: all are gone", r"(?s)\A.*\Z", lambda text: re.sub(r"\n\s+barrier\([^)]*\);", "", text[0])),
    ("dealing: a work-item does its neighbour's", r"= get_local_id\(0\);", "= get_local_id(0) / 2;"),
    ("dealing: one iteration is lost", r"if \(item < (\d+)\) \{", r"if (item < \1 - 1) {"),
    ("staging: one place further", r"(\w+\[at\w*)(\] = \w+\[)", r"\1 + 1\2"),
]


def mutate(text, pattern, to):
    """None where the fault has no place. The helpers before the first kernel stay as they are."""
    head, kernels = text[:text.index("__kernel")], text[text.index("__kernel"):]
    found = list(re.finditer(pattern, kernels))
    if not found:
        return None
    last = found[-1]
    return head + kernels[:last.start()] + (last.expand(to) if isinstance(to, str) else to(last)) + kernels[last.end():]


def run(kernel, inputs, source, simulate, config):
    """What was noticed; "" if nothing."""
    sample, name = kernel.split(":")
    log = f"{WORK}/mutant.log"
    if os.path.exists(log):
        os.unlink(log)
    words = ["bash", "-c", 'LD_PRELOAD="$0:$LD_PRELOAD" exec "$@"', os.path.realpath(f"{WORK}/faults.so"),
             HAKO, "run", f"samples/{sample}.hk:{name}", "--target=opencl", "--verify", "--config", config]
    for item in inputs.split():
        words += ["-i", item]
    if simulate:
        words = ["oclgrind", "--build-options", "-O0", "--data-races", "--uniform-writes", "--uninitialized", "--log", log] + words
    environment = dict(os.environ, HAKO_SOURCE=source, HAKO_CACHE_DIR="off")
    try:
        done = subprocess.run(words, capture_output=True, text=True, timeout=100, env=environment)
    except subprocess.TimeoutExpired:
        return "a hang"
    if simulate and os.path.exists(log) and os.path.getsize(log):
        return "Oclgrind: " + next(line.strip() for line in open(log) if line.strip())
    if done.returncode == 0:
        return ""
    if done.returncode < 0 or done.returncode > 128:
        return "a crash"
    return "the comparison" if "differ" in done.stdout + done.stderr else f"exit code {done.returncode}: {done.stderr[:300]}"


def main():
    caught = missed = 0
    simulator = shutil.which("oclgrind") is not None
    source = f"{WORK}/mutant.cl"
    chosen = list(KERNELS)[:None if "--all" in sys.argv or ONLY else 4]
    plans = [(kernel, FAULTS, "group = 1, lanes = 1") for kernel in chosen]
    plans += [(kernel, GROUP_FAULTS, "group = 16") for kernel in GROUPED if simulator]
    plans += [(kernel, GROUP_FAULTS[:1], "group = 16, buffers = 2") for kernel in GROUPED[:1] if simulator]
    for kernel, faults, config in plans:
        inputs, alone = KERNELS[kernel], faults is FAULTS
        sample, name = kernel.split(":")
        for form in ("config", "opencl"): # all of the Config: PoCL's default is not Oclgrind's
            words = [HAKO, "emit", f"samples/{sample}.hk:{name}", f"--as={form}", "--target=opencl", "--config", config]
            for item in inputs.split():
                words += ["-i", item]
            text = subprocess.run(words, capture_output=True, text=True, check=True).stdout
            config = text if form == "config" else config
        variants = [("none", text)] + [(what, mutate(text, pattern, to)) for what, pattern, to in faults]
        for what, changed in variants:
            if changed is None or ONLY not in f"{kernel} {what}":
                continue
            with open(source, "w") as file:
                file.write(changed)
            # What starts anywhere may be right by chance.
            seen = "" if not alone or (simulator and "anywhere" in what) else run(kernel, inputs, source, False, config)
            if not seen and simulator:
                seen = run(kernel, inputs, source, True, config)
            if what == "none":
                if seen:
                    sys.exit(f"{kernel}: without a fault: {seen}")
                continue
            caught, missed = caught + bool(seen), missed + (not seen)
            print(f"{'caught' if seen else 'MISSED'}  {kernel}, {what}: {seen or 'nobody saw it'}", flush=True)
    print(f"mutants: {caught} caught, {missed} missed")
    sys.exit(1 if missed or (caught < 20 and not ONLY) else 0)


main()
