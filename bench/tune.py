#!/usr/bin/env python3
"""make bench-tune: how far the default Config, the model's best of 16 and the tuner's efforts are from the best known.

For each problem three searches run and leave logs: quick, full, and a long one from another seed that looks for what the
others miss (all points where there are few). The best Configs of each are then timed in turns by `hako bench --compare`.
Regret is the time of a Config divided by that of the best of these, less 1; of rounds' ratios the median counts.

--budget SECONDS makes it fit: quick keeps its 10 seconds as long as it can, and full, whose 5 minutes would be a shadow of
themselves, is left out where less than a minute is left to each problem.

--logs FOLDER keeps the logs; --replay FOLDER reckons from them alone, by the least time of each Config, and times nothing."""
import argparse
import json
import math
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
FAIR = dict(os.environ, HAKO_DB="none")
FEW = 256  # points: then the long search tries all
KINDS = ["default", "model16", "quick", "full"]

KERNELS = {
    "samples/matmul.hk:matmul": ["M=512,N=512,K=512,T=f32", "M=333,N=777,K=1111,T=f32", "M=64,N=2048,K=512,T=f32",
                                 "M=1024,N=96,K=1024,T=f32"],
    "samples/batched_matmul.hk:batched_matmul": ["B=16,M=96,N=96,K=96,T=f32", "B=256,M=32,N=32,K=32,T=f32",
                                                 "B=8,M=200,N=72,K=300,T=f32", "B=64,M=16,N=256,K=64,T=f32"],
    "samples/attention.hk:attention": ["B=4,S=512,L=512,D=64,E=64,T=f32", "B=16,S=128,L=128,D=64,E=64,T=f32",
                                       "B=2,S=77,L=333,D=80,E=48,T=f32", "B=32,S=8,L=512,D=64,E=64,T=f32"],
    "samples/other/conv2d.hk:conv2d": ["B=2,C=32,H=28,W=28,K=32,U=3,V=3,PAD=1", "B=1,C=3,H=96,W=96,K=32,U=3,V=3,PAD=1",
                                       "B=4,C=64,H=14,W=14,K=64,U=3,V=3,PAD=1", "B=2,C=64,H=28,W=28,K=128,U=1,V=1,PAD=0"],
    "samples/softmax.hk:softmax": ["P=1024,N=1024,T=f32", "P=64,N=8192,T=f32", "P=16384,N=64,T=f32", "P=100,N=1000,T=f32"],
    "samples/layer_norm.hk:layer_norm": ["P=512,N=768,T=f32", "P=4096,N=256,T=f32", "P=64,N=8192,T=f32", "P=333,N=1001,T=f32"],
    "samples/cross_entropy.hk:cross_entropy": ["N=512,V=4096,T=f32", "N=64,V=32000,T=f32", "N=4096,V=128,T=f32", "N=100,V=1009,T=f32"],
    "samples/column_sum.hk:column_sum": ["M=2048,N=2048,T=f32", "M=64,N=65536,T=f32", "M=65536,N=48,T=f32", "M=999,N=1001,T=f32"],
    "bench/kernels.hk:gelu_all": ["N=1048576,T=f32", "N=65536,T=f32", "N=5000001,T=f32", "N=8192,T=f32"],
    "samples/jagged/jagged_softmax.hk:jagged_softmax": ["L=16384,F=128,B=256,T=f32", "L=4096,F=64,B=16,T=f32",
                                                        "L=50000,F=32,B=1000,T=f32", "L=2000,F=500,B=7,T=f32"],
    "samples/jagged/grouped_gemm.hk:grouped_gemm": ["R=1024,K=256,N=256,G=8,T=f32", "R=4096,K=64,N=128,G=16,T=f32",
                                                    "R=500,K=333,N=111,G=5,T=f32", "R=2048,K=128,N=512,G=64,T=f32"],
}


def problems(only):
    for kernel, shapes in KERNELS.items():
        for shape in shapes:
            name = f"{kernel.split(':')[1]} {shape}"
            if re.search(only, name):
                yield name, kernel, shape


def log_path(folder, name, kind):
    return os.path.join(folder, re.sub(r"[^A-Za-z0-9=]+", "_", name) + f".{kind}.jsonl")


def run(command, seconds):
    done = subprocess.run(command, env=FAIR, cwd=ROOT, capture_output=True, text=True, timeout=seconds, check=False)
    if done.returncode != 0:
        raise RuntimeError((done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1])
    return done.stdout


def search(options, words, folder, name, kind, budget, more):
    """A tuning of its own copy of the kernel, since it leaves what it finds beside it."""
    log = log_path(folder, name, kind)
    run([options.hako, "tune", *words, "--db=none", f"--budget={budget}s", f"--log={log}", *more], 60 + 3 * budget)


def read_log(folder, name, kind):
    with open(log_path(folder, name, kind), encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def found(rows):
    """Configs that ran, with the least of their times, and where they came from first."""
    times, origins = {}, {}
    for row in rows:
        if row["event"] != "evaluation" or row["outcome"] != "ok" or not row["seconds"]:
            continue
        times[row["config"]] = min(times.get(row["config"], math.inf), min(row["seconds"]))
        origins.setdefault(row["config"], row["origin"])
    return times, origins


def candidates(logs, most):
    """The Config of each kind, and the best few of all logs."""
    times, origins = found(logs["quick"])
    configs = {"default": next(c for c, o in origins.items() if o == "default")}
    configs["model16"] = min((c for c, o in origins.items() if o in ("default", "model")), key=times.get)
    for kind in ("quick", "full"):
        if kind in logs:
            configs[kind] = logs[kind][-1]["config"]
    best = []
    for rows in logs.values():
        times, _ = found(rows)
        best += sorted(times, key=times.get)[:most]
    return configs, list(dict.fromkeys([*configs.values(), *best]))


def compare(options, words, configs):
    """Median ratio of each Config's time to the first's."""
    command = [options.hako, "bench", *words, "--json", f"--min-time={options.final}", f"--config={configs[0]}"]
    if len(configs) == 1:
        return {configs[0]: 1.0}, json.loads(run(command, 600))["median_ms"]
    rows = json.loads(run(command + [f"--compare={c}" for c in configs[1:]], 600))
    return {row["config"]: row["ratio"] for row in rows}, rows[0]["median_ms"]


def replayed(logs, configs):
    """The same from the logs' least times."""
    times = {}
    for rows in logs.values():
        for config, seconds in found(rows)[0].items():
            times[config] = min(times.get(config, math.inf), seconds)
    return {c: times[c] / times[configs[0]] for c in configs}, times[configs[0]] * 1e3


def measure(options, name, kernel, shape, folder):
    path, kernel_name = os.path.join(ROOT, kernel.split(":")[0]), kernel.split(":")[1]
    with tempfile.TemporaryDirectory() as own:
        shutil.copy(path, own)
        words = [f"{os.path.join(own, os.path.basename(path))}:{kernel_name}", f"--shapes={shape}"]
        if not options.replay:
            search(options, words, folder, name, "quick", options.quick, [])
            points = read_log(folder, name, "quick")[-1]["points"]
            if options.full:
                search(options, words, folder, name, "full", options.full, ["--seed=1"])
            kind = "exhaustive" if points <= FEW else "evolution"
            search(options, words, folder, name, "long", options.long, ["--seed=2", f"--search={kind}"])
        logs = {kind: read_log(folder, name, kind) for kind in ("quick", "full", "long")
                if os.path.exists(log_path(folder, name, kind))}
        configs, all_configs = candidates(logs, 3)
        ratios, default_ms = (replayed(logs, all_configs) if options.replay else compare(options, words, all_configs))
    best = min(ratios, key=ratios.get)
    tried = len({row["config"] for rows in logs.values() for row in rows if row["event"] == "evaluation"})
    return {"name": name, "points": logs["quick"][-1]["points"], "tried": tried, "default_ms": default_ms, "best": best,
            "configs": configs, "regret": {kind: ratios[config] / ratios[best] - 1 for kind, config in configs.items()}}


def geomean(results, kind):
    return math.exp(sum(math.log1p(r["regret"][kind]) for r in results) / len(results)) - 1


def table(results):
    kinds = [kind for kind in KINDS if all(kind in r["regret"] for r in results)]
    lines = ["| problem | default, ms | points | tried | " + " | ".join(kinds) + " |", "| --- |" + " --- |" * (len(kinds) + 3)]
    for r in results:
        lines.append(f"| {r['name'].replace(',T=f32', '')} | {r['default_ms']:.4g} | {r['points']:.3g} | {r['tried']} | " +
                     " | ".join(f"{r['regret'][k]:.1%}" for k in kinds) + " |")
    if results:
        lines.append("| **geometric mean** | | | | " + " | ".join(f"{geomean(results, k):.1%}" for k in kinds) + " |")
        lines.append("| **worst** | | | | " + " | ".join(f"{max(r['regret'][k] for r in results):.1%}" for k in kinds) + " |")
    return "\n".join(lines) + "\n"


def share_out(options, each):
    """Seconds for one problem: what quick and the comparison do not need is for the search that looks for what quick misses."""
    own = argparse.Namespace(**vars(options))
    own.quick, own.final = min(options.quick, each * 0.38), min(options.final, each * 0.012)
    left = max(each - own.quick - 10 * own.final - 2, 1)  # programs start, references are computed
    own.full = min(options.full, left / 2) if each >= 60 else 0
    own.long = min(options.long, left - own.full)
    return own


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hako", default=os.path.join(ROOT, "build", "hako"))
    parser.add_argument("--only", default="", help="problems whose name this regular expression finds")
    parser.add_argument("--quick", type=float, default=10, help="seconds of the effort quick")
    parser.add_argument("--full", type=float, default=300, help="seconds of the effort full")
    parser.add_argument("--long", type=float, default=300, help="seconds of the search that looks for what these miss")
    parser.add_argument("--final", type=float, default=0.5, help="seconds for each Config that is timed in turns")
    parser.add_argument("--budget", type=float, default=0, help="seconds for all: shrinks the searches to fit")
    parser.add_argument("--logs", default="", help="folder to keep the logs in")
    parser.add_argument("--replay", default="", help="folder of logs to reckon from, without timing anything")
    parser.add_argument("--json", default="", help="file for all figures")
    parser.add_argument("--markdown", default="", help="file for the table")
    options = parser.parse_args()
    options.hako = os.path.abspath(options.hako)
    todo, results, begin, own = list(problems(options.only)), [], time.time(), options
    folder = options.replay or options.logs or tempfile.mkdtemp(prefix="hako-bench-tune-")
    os.makedirs(folder, exist_ok=True)
    for k, (name, kernel, shape) in enumerate(todo):
        left = options.budget - (time.time() - begin)
        own = share_out(options, left / (len(todo) - k)) if options.budget else options
        try:
            results.append(measure(own, name, kernel, shape, folder))
        except (RuntimeError, OSError, ValueError, StopIteration, subprocess.TimeoutExpired) as fault:
            print(f"{name}: FAILED: {fault}", flush=True)
            continue
        r = results[-1]
        print(f"{name:62} {r['default_ms']:9.4g} ms  " + "  ".join(f"{k} {x:6.1%}" for k, x in r["regret"].items()), flush=True)
    print(table(results) + f"{len(results)} of {len(todo)} problems, {time.time() - begin:.0f} s; the last with quick "
          f"{own.quick:.3g} s, full {own.full:.3g} s, long {own.long:.3g} s")
    if not (options.logs or options.replay):
        shutil.rmtree(folder)
    if options.json:
        with open(options.json, "w", encoding="utf-8") as out:
            json.dump({"results": results, "quick": own.quick, "full": own.full, "long": own.long}, out, indent=1)
    if options.markdown:
        with open(options.markdown, "w", encoding="utf-8") as out:
            out.write(table(results))
    return 0 if len(results) == len(todo) else 1


if __name__ == "__main__":
    sys.exit(main())
