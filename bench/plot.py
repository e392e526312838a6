#!/usr/bin/python3
"""plot.py RESULTS.json OUT.svg: shares of the machine's limits and ratios to the best peer, of `make bench ARGS="--json F"`."""
import json
import sys

import matplotlib
matplotlib.use("svg")
import matplotlib.pyplot as plt  # noqa: E402

matplotlib.rcParams.update({"font.size": 8, "svg.hashsalt": "hako", "axes.spines.top": False, "axes.spines.right": False})


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        results = [r for r in json.load(file)["results"] if r["share"]]
    names = list(dict.fromkeys(r["name"] for r in results))
    at = {name: k for k, name in enumerate(reversed(names))}
    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 0.24 * len(names) + 1), sharey=True)
    for threads, colour, shift in ((1, "#0066cc", 0.2), (2, "#99bbdd", -0.2)):
        rows = [r for r in results if r["threads"] == threads]
        if not any(r["threads"] == threads for r in results):
            continue
        left.barh([at[r["name"]] + shift for r in rows], [100 * r["share"]["median"] for r in rows], 0.38, color=colour,
                  label=f"{threads} thread" + "s" * (threads > 1))
        rows = [r for r in rows if r["peers"]]
        best = [min(r["peers"].values(), key=lambda p: p["median"]) for r in rows]
        right.errorbar([p["median"] for p in best], [at[r["name"]] + shift for r in rows],
                       xerr=[[p["median"] - p["low"] for p in best], [p["high"] - p["median"] for p in best]],
                       fmt="o", markersize=3, linewidth=1, color=colour)
    for r in results:
        left.plot([100 * r["goal"]] * 2, [at[r["name"]] - 0.4, at[r["name"]] + 0.4], color="#cc6600", linewidth=1)
    left.set_yticks(list(at.values()), list(at))
    left.set_xlabel("% of the machine's limit (mark: the goal)")
    left.legend(loc="lower right", frameon=False)
    right.axvline(1, color="#888888", linewidth=1)
    right.set_xscale("log")
    right.set_xticks([0.1, 0.2, 0.5, 1, 2, 5], ["0.1", "0.2", "0.5", "1", "2", "5"])
    right.minorticks_off()
    right.set_xlabel("times as fast as the best peer (median, least, most)")
    figure.tight_layout()
    figure.savefig(sys.argv[2], metadata={"Date": None})


if __name__ == "__main__":
    main()
