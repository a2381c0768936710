"""A table of the whole way: pipeline.py FOLDER. fgnetd's last report of each run is in own.jsonl, the usual script's in usual.json."""

import json
import sys
from pathlib import Path

import h5py
import tifffile
from scores import scores

folder = Path(sys.argv[1])
usual = json.loads((folder / "usual.json").read_text())
runs = sorted((json.loads(line) for line in (folder / "own.jsonl").read_text().splitlines()), key=lambda run: run["seconds"])
median = runs[len(runs) // 2]
seconds, stages = median["seconds"], median["stages"]
with h5py.File(folder / "segments.h5") as file:
    segments = file["labels"][()]
first = max(0, len(segments) - 20)
own = scores(segments[first:], tifffile.imread(folder / "labels.tif")[first:])
count, peer = usual["sections"], usual["seconds"]


def row(what: str, time: float | None, result: dict[str, float]) -> str:
    speed = f"{time:.1f} | {3600 * count / time:.0f} | {time / seconds:.2f}" if time else " | | "
    parts = f"{result['voi']:.3f} ({result['split']:.3f} + {result['merge']:.3f}) | {result['error']:.3f}"
    return f"| {what} | {speed} | {parts} |"


def shares(times: dict[str, float], whole: float) -> str:
    """Seconds by stage. Where stages overlap, they add up to more than the whole."""
    parts = [f"{name} {time:.1f} s" for name, time in sorted(times.items(), key=lambda one: -one[1])]
    rest = whole - sum(times.values())
    return ", ".join(parts + ([f"everything else {rest:.1f} s"] if rest > 0 else []))


print(f"\n## File to row: {count} sections of {segments.shape[1]} x {segments.shape[2]}, {usual['threads']} threads\n")
print("| | s | sections an hour | times fgnetd | VOI (split + merge) | adapted Rand error |\n|---|---:|---:|---:|---|---:|")
print(row(f"fgnetd, median of {len(runs)} runs", seconds, own))
print(row(f"the usual script, {usual['setting']}", peer, usual["scores"]))
print(row(f"the same, best of thresholds, {usual['best']['threshold']}", None, usual["best"]))
times = ", ".join(f"{run['seconds']:.1f}" for run in runs)
print(f"\nfgnetd, from the start of the command to the last row: {times} s.")
print(f"fgnetd: {shares(stages, seconds)}.")
print(f"The usual script: {shares(usual['stages'], peer)}.")
outside = 1 - stages.get("affinity", 0) / seconds
print(f"fgnetd spends {100 * outside:.1f} % of the time outside the network. Scores are of z 80-99, as far as they were taken in.")
