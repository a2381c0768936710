"""What each section costs as the stack grows: growth.py FOLDER SIZE LAST COST.

FOLDER/report.jsonl is by `fgnetd ingest --report`; COST, of the network, by `fgnetd model info` (MFLOP a pixel).
"""

import json
import statistics
import sys
from pathlib import Path

HALF = 7  # a figure is the median of this many sections on each side, and its own
folder, size, last, cost = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4])
lines = [json.loads(line) for line in (folder / "report.jsonl").read_text().splitlines()]
network = cost * 1e6 * size**2 / 2  # multiply-adds


def each(value) -> list[float]:
    """Per section, from a running total. Sections that became final in one commit, without work between, share its cost."""
    out, index = [], 0
    while index < len(lines):
        end = index + 1
        while end < len(lines) and lines[end]["stages"] == lines[index]["stages"]:
            end += 1
        before = value(lines[index - 1]) if index else 0.0
        out += [(value(lines[end - 1]) - before) / (end - index)] * (end - index)
        index = end
    return out


def around(values: list[float], section: int) -> float:
    """Median around the section that became final as number `section`, from 1."""
    return statistics.median(values[max(0, section - 1 - HALF) : section + HALF])


stages = sorted({name for line in lines for name in line["stages"]})
series = {"time": each(lambda line: line["seconds"]), "operations": each(lambda line: line["operations"])}
series |= {name: each(lambda line, name=name: line["stages"].get(name, 0.0)) for name in stages}
resident = [line["rss_bytes"] / 2**20 for line in lines]
shown = [20, *range(100, last + 1, 100)] if last >= 100 else [20, last]
if len(lines) < last + HALF:
    sys.exit(f"{folder}/report.jsonl has {len(lines)} sections, {last + HALF} are needed: see {folder}/log")

print(f"\n## Growth: {last} sections of {size} x {size}\n")
print("| section | ms a section | times section 20 | operations, times the network's | RSS, MiB | " + " | ".join(stages) + " |")
print("|---:|---:|---:|---:|---:|" + "---:|" * len(stages))
first = around(series["time"], 20)
for section in shown:
    time = around(series["time"], section)
    operations = around(series["operations"], section) / network
    parts = [f"{1e3 * around(series[name], section):.2f}" for name in stages]
    print(f"| {section} | {1e3 * time:.1f} | {time / first:.3f} | {operations:.3f} | {around(resident, section):.0f} | {' | '.join(parts)} |")
middle = range(20, last)
slope = statistics.linear_regression(middle, [resident[index] for index in middle]).slope
print(f"\nMedians of {2 * HALF + 1} sections; stages in ms a section. Memory grows by {1024 * slope:.1f} KiB a section.")
