#!/usr/bin/python3
"""make bench: Hako beside its peers on the rows of table.py.

Each contestant is a process of its own; they take turns, so that what the machine does to one it does to all. What
counts are ratios within a round: medians of them, with the smallest and largest. The share of a limit is that of the
multiply-adds or the memory traffic which `hako bench` measures in turns with the kernel."""
import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import time

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(HERE)
sys.path.insert(0, HERE)
from table import table  # noqa: E402

FAIR = {name: value for name, value in os.environ.items()
        if not name.startswith(("OPENBLAS_", "DNNL_", "ONEDNN_", "OMP_", "MKL_"))}
FAIR["HAKO_DB"] = "none"  # the default Config
PYPI = "mkl", "torch", "jax", "onnxruntime"


def ask(command, environment):
    """The JSON that a contestant prints, or None and why there is none."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=ROOT, timeout=300, check=False)
    except subprocess.TimeoutExpired:
        return None, "took more than 300 s"
    if done.returncode:
        return None, (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[0]
    return json.loads(done.stdout), ""


def contestants(row, threads, options):
    """(name, command, environment) of Hako and of the peers that have been built."""
    # A kernel without type parameter takes no T.
    hako = [options.hako, "bench", row.kernel, "--json", f"--shapes={row.shapes}", f"--threads={threads}",
            f"--min-time={options.min_time}"]
    yield "hako", hako, FAIR
    for name, environment, words in row.peers:
        program = [os.path.join(options.peers, "peer_" + name)]
        if name in PYPI:
            program = [os.path.join(options.pypi, "bin", "python"), os.path.join(HERE, "peer_python.py"), name]
        if os.path.exists(program[0]):
            told = " ".join(f"{k}={v}" for k, v in environment.items())
            more = dict(FAIR, OMP_NUM_THREADS=str(threads), OPENBLAS_NUM_THREADS=str(threads), **environment)
            yield (f"{name} {told}".strip(), [*program, *words, f"threads={threads}", f"min_time={options.min_time}"], more)


def spread(values):
    return {"median": statistics.median(values), "low": min(values), "high": max(values)} if values else None


def verify(row, options):
    """Whether the kernel's results agree with the interpreter, on a sample of tiles where all would take long."""
    found, why = ask([options.hako, "bench", row.kernel, "--json", f"--shapes={row.shapes}", "--min-time=0", "--verify"], FAIR)
    return "ok" if found and found["verify"]["ok"] else why or "differs"


def measure(row, threads, options):
    """All rounds of a row, as a dictionary for the JSON file."""
    times, details, faults, shares = {}, {}, {}, []
    for _ in range(options.rounds):
        for name, command, environment in contestants(row, threads, options):
            found, why = ask(command, environment)
            if not found:
                faults[name] = why
                continue
            times.setdefault(name, []).append(found["median_ms"])
            details[name] = found.get("detail") or found.get("config", "").strip()
            if name == "hako":
                reached, limit = ("gflops", "limit_gflops") if row.limit == "flops" else ("gbytes", "limit_gbytes")
                shares.append(found[reached] / found[limit])
                details["hako", "speed"] = found[reached]
    peers = {name: spread([p / h for p, h in zip(times[name], times.get("hako", []))]) for name in times if name != "hako"}
    return {"name": row.name, "threads": threads, "kernel": row.kernel, "shapes": row.shapes, "limit": row.limit,
            "goal": row.goal, "ratio_goal": row.ratio, "ms": spread(times.get("hako")), "speed": details.get(("hako", "speed")),
            "config": details.get("hako"), "share": spread(shares), "peers": {n: s for n, s in peers.items() if s},
            "details": {k: v for k, v in details.items() if isinstance(k, str)}, "faults": faults}


def verdict(result):
    if not result["share"]:
        return "FAILED: " + result["faults"].get("hako", "?")
    words = []
    if result["share"]["median"] < result["goal"]:
        words.append(f"limit: {result['share']['median']:.0%} of {result['goal']:.0%}")
    if result["peers"]:
        name, best = min(result["peers"].items(), key=lambda item: item[1]["median"])
        if best["median"] < result["ratio_goal"]:
            words.append(f"{name}: {best['median']:.2f}x of {result['ratio_goal']:.2f}x")
    if result.get("verified", "ok") != "ok":
        words.append("WRONG: " + result["verified"])
    return "; ".join(words) or "met"


def show(result):
    share, ms = result["share"], result["ms"]
    unit = "GFLOP/s" if result["limit"] == "flops" else "GB/s"
    speed = f"{ms['median']:9.3f} ms {result['speed']:7.1f} {unit:7}" if ms else "-"
    limit = f"{share['median']:4.0%} [{share['low']:4.0%} {share['high']:4.0%}]" if share else ""
    peers = "  ".join(f"{name} {s['median']:.2f}x [{s['low']:.2f} {s['high']:.2f}]" for name, s in result["peers"].items())
    print(f"{result['name']:38} {result['threads']}T {speed} {limit:18} {verdict(result):40} {peers}", flush=True)


def markdown(results):
    """The same as a table of Markdown."""
    lines = ["| kernel | threads | time, ms | speed | share of limit | best peer | goals |", "| --- | --- | --- | --- | --- | --- | --- |"]
    for r in results:
        if not r["share"]:
            continue
        unit = "GFLOP/s" if r["limit"] == "flops" else "GB/s"
        best = min(r["peers"].items(), key=lambda item: item[1]["median"]) if r["peers"] else None
        peer = f"{best[1]['median']:.2f}x {best[0]} ({best[1]['low']:.2f} to {best[1]['high']:.2f})" if best else ""
        lines.append(f"| {r['name']} | {r['threads']} | {r['ms']['median']:.3f} | {r['speed']:.1f} {unit} | "
                     f"{r['share']['median']:.0%} ({r['share']['low']:.0%} to {r['share']['high']:.0%}) | {peer} | {verdict(r)} |")
    return "\n".join(lines) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hako", default=os.path.join(ROOT, "build", "hako"))
    parser.add_argument("--peers", default=os.path.join(ROOT, "build", "bench"), help="folder of the peers' programs")
    parser.add_argument("--pypi", default="", help="virtual environment with those from PyPI")
    parser.add_argument("--only", default="", help="rows whose name this regular expression finds")
    parser.add_argument("--threads", default="1,2")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--min-time", type=float, default=0.15)
    parser.add_argument("--json", default="", help="file for all figures")
    parser.add_argument("--markdown", default="", help="file for the table")
    parser.add_argument("--no-verify", action="store_true")
    options = parser.parse_args()
    options.hako, wanted = os.path.abspath(options.hako), {int(t) for t in options.threads.split(",")}
    results, begin = [], time.time()
    for row in table():
        if not re.search(options.only, row.name):
            continue
        checked = "ok" if options.no_verify else verify(row, options)
        for threads in sorted(wanted & set(row.threads)):
            results.append(dict(measure(row, threads, options), verified=checked))
            show(results[-1])
    met = sum(verdict(r) == "met" for r in results)
    print(f"bench: {met} of {len(results)} goals met, {time.time() - begin:.0f} s")
    if options.json:
        with open(options.json, "w", encoding="utf-8") as out:
            json.dump({"results": results}, out, indent=1)
    if options.markdown:
        with open(options.markdown, "w", encoding="utf-8") as out:
            out.write(markdown(results))
    return 1 if any(verdict(r).startswith(("FAILED", "WRONG")) for r in results) else 0


if __name__ == "__main__":
    sys.exit(main())
