#!/usr/bin/env python3
"""make bench-tune: how far the default Config, the model's best of 16 and the tuner's efforts are from the best known.

Four steps, each of which may be run alone (--steps) and goes on where it stopped if --logs names a folder:

known   looks for the best of each problem: all points where there are few, else up to --points of them, in rounds of --known
        seconds, so that every problem gets the same whenever it stops. A machine that others use will do, since nothing
        depends on its times but who is timed again.
quick   hako tune --effort quick; its log has the default Config and the 16 points that the model likes best
full    hako tune --effort full
finals  the Configs of these and the best of all logs, timed in turns by `hako bench --compare`, in several processes: first
        all of them, which says which is the best known and which the model's best, then only those that count, anew: who
        was chosen for luck in the first runs has no more of it. Regret is the median ratio to the fastest of the second.

What the steps quick, full and finals time should be alone on the machine. --replay FOLDER reckons from logs alone, by the
least time of each Config, and times nothing."""
import argparse
import json
import math
import os
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
FAIR = dict(os.environ, HAKO_DB="none")
FEW = 5000  # points: then all are tried
KINDS = ["default", "model16", "quick", "full"]
STEPS = ["known", "quick", "full", "finals"]
AGAIN = {"model": 4, "known": 6, "effort": 2}  # the fastest so many of each are timed again

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


class Problem:
    def __init__(self, kernel, shape, folder):
        self.path, self.kernel = kernel.split(":")
        self.shape, self.folder = shape, folder
        self.name = f"{self.kernel} {shape}"

    def file(self, ending):
        return os.path.join(self.folder, re.sub(r"[^A-Za-z0-9=]+", "_", self.name) + "." + ending)

    def words(self, folder):
        """Of a copy of its own: what tuning finds, it leaves beside the kernel."""
        shutil.copy(os.path.join(ROOT, self.path), folder)
        return [f"{os.path.join(folder, os.path.basename(self.path))}:{self.kernel}", f"--shapes={self.shape}"]

    def rounds(self):
        """Of the step known."""
        return sum(os.path.exists(self.file(f"known-{k:02}.jsonl")) for k in range(100))

    def logs(self):
        """The whole logs by their kinds: quick, full, known-0, known-1, ..."""
        begin, found = os.path.basename(self.file("")), {}
        for file in sorted(os.listdir(self.folder)):
            if file.startswith(begin) and file.endswith(".jsonl"):
                with open(os.path.join(self.folder, file), encoding="utf-8") as lines:
                    rows = [json.loads(line) for line in lines if line.endswith("\n")]
                if rows and rows[-1]["event"] == "end":
                    found[file[len(begin):-len(".jsonl")]] = rows
        return found


def problems(only, folder):
    every = [Problem(kernel, shape, folder) for kernel, shapes in KERNELS.items() for shape in shapes]
    return [p for p in every if re.search(only, p.name)]


def run(command, seconds, stop=math.inf):
    """Ctrl-C after `stop` seconds."""
    with subprocess.Popen(command, env=FAIR, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as program:
        try:
            output, errors = program.communicate(timeout=min(stop, seconds))
        except subprocess.TimeoutExpired:
            program.send_signal(signal.SIGINT)
            try:
                output, errors = program.communicate(timeout=seconds)
            finally:
                program.kill()
    if program.returncode not in (0, 3):  # 3: timing was hopeless, which is an answer
        raise RuntimeError((errors.strip().splitlines() or [f"exit code {program.returncode}"])[-1])
    return output


# ---- the searches


def search(options, problem, kind, budget, more, stop=math.inf):
    log = problem.file(kind + ".jsonl")
    with tempfile.TemporaryDirectory() as own:
        command = [options.hako, "tune", *problem.words(own), f"--budget={budget}s", f"--log={log}.part", *more]
        run(command, 60 + 3 * budget, stop)
    os.rename(log + ".part", log)


def evaluations(logs):
    return [row for rows in logs for row in rows if row["event"] == "evaluation"]


def points_of(options, problem):
    with tempfile.TemporaryDirectory() as own:
        return json.loads(run([options.hako, "tune", *problem.words(own), "--space", "--json"], 60))["points"]["legal"]


def known_round(options, problem):
    """One round more, each of another seed; False if there is nothing left to do. Finals are of no use: hence Ctrl-C."""
    logs = problem.logs()
    rounds = [logs[kind] for kind in logs if kind.startswith("known")]
    before = {row["config"] for row in evaluations(rounds[:-1])}
    tried = before | {row["config"] for row in evaluations(rounds)}
    if rounds and (len(tried) >= options.points or len(tried) == len(before)):
        return False
    few = points_of(options, problem) <= FEW
    kind = "exhaustive" if few else ["evolution", "forest", "pattern"][len(rounds) % 3]
    more = [f"--seed={len(rounds) + 2}", f"--search={kind}", f"--candidates={options.points}", "--resume",
            f"--db={problem.file('db')}"]
    search(options, problem, f"known-{len(rounds):02}", 2 * options.known + 60, more, stop=options.known)
    return True


def know(options, todo):
    """The problem that had the fewest rounds is the next."""
    end = time.time() + options.budget if options.budget else math.inf
    todo = list(todo)
    while todo and time.time() < end:
        problem = min(todo, key=Problem.rounds)
        if known_round(options, problem):
            print(f"known: {problem.name}, round {problem.rounds()}", flush=True)
        else:
            todo.remove(problem)


def effort(options, todo, kind):
    for problem in todo:
        if kind not in problem.logs():
            search(options, problem, kind, getattr(options, kind), ["--db=none"])
            print(f"{kind}: {problem.name}", flush=True)


# ---- what they found


def found(logs):
    """Configs that ran, with the least of their times; of those that led to equal code and so have equal times, the first."""
    times = {}
    for row in evaluations(logs):
        if row["outcome"] == "ok" and row["seconds"]:
            times[row["config"]] = min(times.get(row["config"], math.inf), min(row["seconds"]))
    first = {}
    for config, seconds in times.items():
        first.setdefault(seconds, config)
    return {config: seconds for seconds, config in first.items()}


def fastest(times, most):
    return sorted(times, key=times.get)[:most]


def candidates(logs):
    """The Configs of each kind, of model16 the best few, and the best few of all."""
    by_origin = {}
    for row in evaluations([logs["quick"]]):
        by_origin.setdefault(row["origin"], []).append(row)
    configs = {"default": [by_origin["default"][0]["config"]]}
    configs["model16"] = configs["default"] + fastest(found([by_origin.get("model", [])]), AGAIN["model"])
    for kind in ("quick", "full"):
        if kind in logs:
            configs[kind] = [logs[kind][-1]["config"]]
    known = [logs[kind] for kind in logs if kind.startswith("known")]
    groups = [(known, AGAIN["known"])] + [([logs[kind]], AGAIN["effort"]) for kind in ("quick", "full") if kind in logs]
    best = [config for group, most in groups for config in fastest(found(group), most)]
    return configs, list(dict.fromkeys([*(c for some in configs.values() for c in some), *best]))


def still_legal(options, problem, configs):
    """Without those that an older version found and this one refuses."""
    with tempfile.TemporaryDirectory() as own:
        command = [options.hako, "emit", *problem.words(own), "--as=config"]
        return [c for c in configs if subprocess.run([*command, f"--config={c}"], env=FAIR, capture_output=True, check=False).returncode == 0]


def in_turns(options, problem, configs, processes):
    """Ratios of the Configs' times to the first's, and its milliseconds: medians of several processes, since where memory happens
    to lie can change what is faster by some per cent."""
    ratios, times = {config: [] for config in configs}, []
    with tempfile.TemporaryDirectory() as own:
        command = [options.hako, "bench", *problem.words(own), "--json", f"--min-time={options.final}", f"--config={configs[0]}"]
        for _ in range(processes):
            rows = json.loads(run(command + [f"--compare={c}" for c in [*configs[1:], configs[0]]], 600))
            times.append(rows[0]["median_ms"])
            for config, row in zip(configs, rows):
                ratios[config].append(row["ratio"])
    return {config: statistics.median(some) for config, some in ratios.items()}, statistics.median(times)


def by_logs(logs, configs):
    times = found(logs.values())
    times = {c: times.get(c, min(s for row in evaluations(logs.values()) if row["config"] == c for s in row["seconds"]))
             for c in configs}
    return {c: times[c] / times[configs[0]] for c in configs}, times[configs[0]] * 1e3


def reckon(options, problem):
    """Regrets of one problem, which are kept where there are logs."""
    kept, logs = problem.file("finals.json"), problem.logs()
    if os.path.exists(kept) and not options.replay:
        with open(kept, encoding="utf-8") as file:
            return json.load(file)
    configs, every = candidates(logs)
    every = every if options.replay else still_legal(options, problem, every)
    ratios, default_ms = by_logs(logs, every) if options.replay else in_turns(options, problem, every, 2)
    best = min(every, key=ratios.get)
    chosen = {kind: min(some, key=ratios.get) for kind, some in configs.items()}
    if not options.replay:
        few = list(dict.fromkeys([*chosen.values(), best]))
        ratios, default_ms = in_turns(options, problem, few, 5)
        best = min(few, key=ratios.get)
    result = {"name": problem.name, "points": logs["quick"][-1]["points"], "default_ms": default_ms, "best": best,
              "tried": len({row["config"] for row in evaluations(logs.values())}), "configs": chosen,
              "seconds": {kind: logs[kind][-2]["elapsed"] for kind in ("quick", "full") if kind in logs},
              "regret": {kind: ratios[config] / ratios[best] - 1 for kind, config in chosen.items()}}
    if not options.replay:
        with open(kept, "w", encoding="utf-8") as file:
            json.dump(result, file, indent=1)
    return result


# ---- the table


def geomean(results, kind):
    return math.exp(sum(math.log1p(r["regret"][kind]) for r in results) / len(results)) - 1


def table(results):
    kinds = [kind for kind in KINDS if all(kind in r["regret"] for r in results)]
    full = "full" in kinds
    lines = ["| problem | default, ms | points | tried | " + " | ".join(kinds) + (" | full, s |" if full else " |"),
             "| --- |" + " --- |" * (len(kinds) + 3 + full)]
    for r in results:
        lines.append(f"| {r['name'].replace(',T=f32', '')} | {r['default_ms']:.4g} | {r['points']:.3g} | {r['tried']} | " +
                     " | ".join(f"{r['regret'][k]:.1%}" for k in kinds) + (f" | {r['seconds']['full']:.0f} |" if full else " |"))
    for name, reckoned in (("geometric mean", lambda k: geomean(results, k)), ("worst", lambda k: max(r["regret"][k] for r in results))):
        if results:
            lines.append(f"| **{name}** | | | | " + " | ".join(f"{reckoned(k):.1%}" for k in kinds) + (" | |" if full else " |"))
    return "\n".join(lines) + "\n"


def finals(options, todo):
    results = []
    for problem in todo:
        try:
            results.append(reckon(options, problem))
        except (RuntimeError, OSError, ValueError, KeyError, subprocess.TimeoutExpired) as fault:
            print(f"{problem.name}: FAILED: {fault!r}", flush=True)
            continue
        r = results[-1]
        print(f"{r['name']:62} {r['default_ms']:9.4g} ms  " + "  ".join(f"{k} {x:6.1%}" for k, x in r["regret"].items()), flush=True)
    print(table(results) + f"{len(results)} of {len(todo)} problems")
    if options.json:
        with open(options.json, "w", encoding="utf-8") as out:
            json.dump(results, out, indent=1)
    if options.markdown:
        with open(options.markdown, "w", encoding="utf-8") as out:
            out.write(table(results))
    return len(results) == len(todo)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hako", default=os.path.join(ROOT, "build", "hako"))
    parser.add_argument("--only", default="", help="problems whose name this regular expression finds")
    parser.add_argument("--steps", default=",".join(STEPS), help="some of " + ",".join(STEPS))
    parser.add_argument("--known", type=float, default=60, help="seconds of a round of the step known")
    parser.add_argument("--points", type=int, default=5000, help="points that the step known tries of each problem")
    parser.add_argument("--budget", type=float, default=0, help="seconds for the step known in all")
    parser.add_argument("--quick", type=float, default=10, help="seconds of the effort quick")
    parser.add_argument("--full", type=float, default=300, help="seconds of the effort full")
    parser.add_argument("--final", type=float, default=0.1, help="seconds for each Config that is timed in turns, in each process")
    parser.add_argument("--logs", default="", help="folder to keep the logs in, and to go on from")
    parser.add_argument("--replay", default="", help="folder of logs to reckon from, without timing anything")
    parser.add_argument("--json", default="", help="file for all figures")
    parser.add_argument("--markdown", default="", help="file for the table")
    options = parser.parse_args()
    options.hako = os.path.abspath(options.hako)
    steps = ["finals"] if options.replay else options.steps.split(",")
    if not set(steps) <= set(STEPS):
        parser.error("--steps is some of " + ",".join(STEPS))
    folder = options.replay or options.logs or tempfile.mkdtemp(prefix="hako-bench-tune-")
    os.makedirs(folder, exist_ok=True)
    todo, whole = problems(options.only, os.path.abspath(folder)), True
    if "known" in steps:
        know(options, todo)
    for kind in ("quick", "full"):
        if kind in steps:
            effort(options, todo, kind)
    if "finals" in steps:
        whole = finals(options, todo)
    if not (options.logs or options.replay):
        shutil.rmtree(folder)
    return 0 if whole else 1


if __name__ == "__main__":
    sys.exit(main())
