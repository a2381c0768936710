"""A table of lines of JSON: seconds per section, and how many times as long as fgnetd takes at the same precision."""

import json
import sys

name, path = sys.argv[1:]
lines = [json.loads(line) for line in open(path)]
own = {line["what"].split()[1]: line for line in lines if line["what"].startswith("fgnetd")}
print(f"\n## {name}, 1024 x 1024, {own['fp32']['threads']} threads, {own['fp32']['gflop']:.0f} GFLOP a section\n")
print("| | ms a section | GFLOP/s | Mpixel/s | times fgnetd fp32 | times fgnetd bf16 |\n|---|---:|---:|---:|---:|---:|")
for line in lines:
    if "error" in line:
        print(f"| {line['what']} | {line['error']} | | | | |")
        continue
    time = line["seconds"]
    ratios = [f"{time / own[p]['seconds']:.2f}" if p in own else "" for p in ("fp32", "bf16")]
    print(f"| {line['what']} | {1e3 * time:.0f} | {own['fp32']['gflop'] / time:.0f} | {1.048576 / time:.2f} | {' | '.join(ratios)} |")
print("\nPeak of products of registers: " + ", ".join(f"{p} {own[p]['peak']:.0f} GFLOP/s" for p in own) + ".")
