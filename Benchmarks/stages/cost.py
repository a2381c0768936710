"""What a do-nothing stage costs: cost.py FOLDER SECTIONS. FOLDER/HOW.runs has the last line of `ingest --report` of each run."""

import json
import sys
from pathlib import Path

folder, count = Path(sys.argv[1]), int(sys.argv[2])
best = {}
for how in ("none", "program", "library"):
    runs = [json.loads(line) for line in (folder / f"{how}.runs").read_text().splitlines()]
    best[how] = min(runs, key=lambda run: run["seconds"])
base = best["none"]["seconds"] / count
print(f"{count} sections of 1024 x 1024, best of two runs each: {base * 1000:.0f} ms a section without a stage")
failed = False
for how, limit in (("program", 5), ("library", 1)):
    wall = best[how]["seconds"] / count
    call = best[how]["stages"].get("denoise", 0) / count
    share = 100 * call / base
    failed |= share >= limit
    print(
        f"{how:8} {call * 1000:6.2f} ms a section in the call and its checks, {share:.2f} % of a section (limit {limit} %);"
        f" whole run {100 * (wall / base - 1):+.1f} %"
    )
sys.exit(failed)
