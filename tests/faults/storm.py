"""Tunes with candidates that crash, hang, abort, take all memory and give wrong results.

    storm.py PROGRAM [--count 10000] [--kill] [--seed 7] [--jobs N]

PROGRAM is build/hako-faults, in which tests/faults/inject.c draws each candidate's fault from its Config, and its time. With
--kill the tuner is killed every few seconds, and goes on with --resume. Afterwards the database must hold every evaluation that
it held at any kill, no faulty candidate may have passed, the winner must be the fastest of the healthy ones, and no process, file
descriptor, file or memory may be left.
"""
import argparse
import collections
import os
import random
import re
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time

KERNEL = """kernel product(a: f32[M, K], b: f32[K, N]) -> (c: f32[M, N]) {
    tile m in M, n in N { axis k in K; c[m, n] = sum[k](a[m, k] * b[k, n]); }
}
"""
RATES = {"crash": 5, "hang": 2, "abort": 3, "oom": 2, "wrong": 10}
OUTCOMES = {"crash": "crash", "hang": "hang", "abort": "crash", "oom": "memory", "wrong": "wrong", None: "ok"}
MASK = 2**64 - 1
MOST_FDS, MOST_GROWTH = 40, 96 << 20


def hash_of(config, seed):
    """As in inject.c: FNV-1a, then SplitMix64."""
    h = 14695981039346656037
    for byte in config.encode():
        h = (h ^ byte) * 1099511628211 & MASK
    z = h + seed + 0x9E3779B97F4A7C15 & MASK
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9 & MASK
    z = (z ^ z >> 27) * 0x94D049BB133111EB & MASK
    return z ^ z >> 31


def fault_of(config, seed):
    drawn, below = hash_of(config, seed) % 100000 / 1000, 0
    for name, rate in RATES.items():
        below += rate
        if drawn < below:
            return name
    return None


def seconds_of(config, seed):
    return 1e-3 * (1 + hash_of(config, seed) // 7 % 100003 / 100003)


def processes(folder):
    """Those whose arguments name the folder: pid -> state."""
    found = {}
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as file:
                words = file.read().split(b"\0")
            with open(f"/proc/{pid}/stat") as file:
                state = file.read().rsplit(")", 1)[1].split()[0]
        except OSError:
            continue
        if any(folder.encode() in word for word in words) and b"storm.py" not in b" ".join(words):
            found[int(pid)] = state
    return found


def shared_memory():
    return {name for name in os.listdir("/dev/shm") if not name.startswith("__KMP")}  # of OpenMP, which is not ours


class Watch:
    """What the tuner holds while it runs."""

    def __init__(self):
        self.fds, self.first, self.last, self.zombies = 0, None, 0, 0

    def look(self, pid, folder):
        try:
            self.fds = max(self.fds, len(os.listdir(f"/proc/{pid}/fd")))
            with open(f"/proc/{pid}/statm") as file:
                self.last = int(file.read().split()[1]) * os.sysconf("SC_PAGESIZE") or self.last
        except OSError:
            return
        self.first = self.first or self.last
        children = subprocess.run(["ps", "--ppid", str(pid), "-o", "stat="], capture_output=True, text=True).stdout.split()
        self.zombies = max(self.zombies, sum(state.startswith("Z") for state in children))


def finished(path):
    """Evaluations with an outcome: (run, number)."""
    if not os.path.exists(path):
        return set()
    with sqlite3.connect(path, timeout=60) as database:
        try:
            return set(database.execute("SELECT run, seq FROM eval WHERE outcome IS NOT NULL"))
        except sqlite3.OperationalError:
            return set()  # killed before there was a table


def run_storm(args, folder, problems):
    database, known, watch, kills = f"{folder}/tune.db", set(), Watch(), 0
    rates = ",".join(f"{name}:{rate}" for name, rate in RATES.items())
    environment = dict(os.environ, TMPDIR=folder,
                       HAKO_TUNE_FAULT=f"{rates},seed:{args.seed},times:1" + ("" if args.kill else ",family:1"))
    words = [args.program, "tune", f"{folder}/k.hk", "--shapes", "M=24,N=40,K=16", "--search", "random", "--resume", "--db", database,
             "--candidates", str(args.count), "--budget", "10d", "--timeout", "1", "--report", f"{folder}/page.html"]
    words += ["--jobs", str(args.jobs)] if args.jobs else []
    dice = random.Random(args.seed)
    while True:
        tuner = subprocess.Popen(words, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        # Some are killed while they start; else the time begins when the tuner has, which takes long where others are busy too.
        early = args.kill and len(known) < args.count and dice.random() < 0.2
        end = time.monotonic() + (dice.uniform(0, 2) if early else 1e9)
        while tuner.poll() is None and time.monotonic() < end:
            time.sleep(0.25)
            watch.look(tuner.pid, folder)
            now = len(finished(database)) if args.kill and end > 1e9 else 0
            if len(known) < now < args.count:  # the finals may end
                end = time.monotonic() + dice.uniform(1, 7)
        if tuner.poll() is not None:
            break
        tuner.send_signal(signal.SIGKILL)
        tuner.wait()
        kills += 1
        now = finished(database)
        if known - now:
            problems.append(f"{len(known - now)} evaluations were lost by a kill")
        known = now
        if args.verbose:
            print(f"  {kills} kills, {len(known)} evaluations", flush=True)
    text = tuner.stdout.read()
    if tuner.returncode != 0:
        problems.append(f"exit code {tuner.returncode}")
    if known - finished(database):
        problems.append("evaluations were lost at the end")
    return text, watch, kills


def check_database(args, path, text, kills, problems):
    with sqlite3.connect(path) as database:
        rows = list(database.execute("SELECT config, outcome, median FROM eval WHERE origin != 'final'"))
    counts, ended, wrong, best = collections.Counter(), collections.defaultdict(set), 0, None
    for config, outcome, median in rows:
        counts[outcome or "unfinished"] += 1
        fault = fault_of(config, args.seed)
        ended[fault].add(outcome)
        own = outcome != "ok" or abs(median - seconds_of(config, args.seed)) < 1e-9
        wrong += outcome == "ok" and own and fault is not None  # else it has the code, and the result, of another
        if outcome == "ok" and (best is None or median < best):
            best = median
    if wrong:
        problems.append(f"{wrong} faulty candidates passed")
    tried = sum(counts.values())
    if len({config for config, _, _ in rows}) < args.count - kills - 1:  # each run tries the default anew
        problems.append(f"only {tried} candidates")
    for fault in RATES:  # all memory is not taken within a second where many others run
        if args.count >= 1000 and not ended[fault] & ({"memory", "hang"} if fault == "oom" else {OUTCOMES[fault]}):
            problems.append(f"no candidate ended as {OUTCOMES[fault]}")
    winner = re.search(r"^config (.*)$", text, re.M)
    if not winner or fault_of(winner[1], args.seed):
        problems.append(f"the winner is faulty: {winner and winner[1]}")
    elif best is None or abs(seconds_of(winner[1], args.seed) - best) > 1e-9:
        problems.append(f"the winner takes {seconds_of(winner[1], args.seed):.6f} s, another {best:.6f} s")
    return tried, counts


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("program")
    parser.add_argument("--count", type=int, default=10000)
    parser.add_argument("--kill", action="store_true")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--jobs", type=int)
    parser.add_argument("--verbose", action="store_true")
    args = parser.parse_args()
    args.program = os.path.abspath(args.program)
    problems, shared, start = [], shared_memory(), time.monotonic()
    with tempfile.TemporaryDirectory(prefix="hako-storm-") as folder:
        with open(f"{folder}/k.hk", "w") as file:
            file.write(KERNEL)
        text, watch, kills = run_storm(args, folder, problems)
        tried, counts = check_database(args, f"{folder}/tune.db", text, kills, problems)
        time.sleep(0.5)
        left = processes(folder)
        if left:
            problems.append(f"{len(left)} processes are left: {left}")
            for pid in left:
                os.kill(pid, signal.SIGKILL)
        files = set(os.listdir(folder)) - {"k.hk", "k.hkt", "page.html", "tune.db", "tune.db-wal", "tune.db-shm"}
        if files:
            problems.append(f"files are left: {sorted(files)}")
    if shared_memory() - shared:
        problems.append(f"left in /dev/shm: {shared_memory() - shared}")
    if watch.fds > MOST_FDS:
        problems.append(f"{watch.fds} file descriptors")
    if watch.zombies > 2:
        problems.append(f"{watch.zombies} zombies at once")
    if watch.first and watch.last - watch.first > MOST_GROWTH:
        problems.append(f"the tuner grew by {(watch.last - watch.first) >> 20} MiB")
    print(f"fault storm: {tried} candidates in {time.monotonic() - start:.0f} s, {kills} kills: " +
          ", ".join(f"{count} {name}" for name, count in counts.most_common()) +
          f"; at most {watch.fds} file descriptors, {watch.last >> 20} MiB")
    for problem in problems:
        print(f"FAIL fault storm: {problem}")
    sys.exit(bool(problems))


if __name__ == "__main__":
    main()
