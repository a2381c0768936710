"""Run a network on a volume; with labels, segment and score it over a sweep of agglomeration thresholds.

Scores leave out voxels whose ground truth is 0 and use neither a border mask nor widened labels.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np

from .predict import affinities, load_model, write_affinities
from .segment import STATISTICS, contacts, contingency, fragments, merges, score, segment_of_fragment
from .volumes import read_volume


def sweep(values: np.ndarray, truth: np.ndarray, statistic: str, thresholds: list[float]) -> list[dict[str, float]]:
    """One record per threshold, the fragments alone (threshold 1) first."""
    labels = fragments(values)
    count = int(labels.max())
    merged = merges(contacts(labels, values), statistic)
    table = contingency(labels, truth)
    records = []
    for threshold in [1.0, *thresholds]:
        segments = segment_of_fragment(count, merged, threshold)
        result = score(table, segments)
        records.append({
            "threshold": threshold, "segments": len(np.unique(segments[1:])), "voi": round(result.voi, 4),
            "voi_split": round(result.voi_split, 4), "voi_merge": round(result.voi_merge, 4),
            "adapted_rand_error": round(result.adapted_rand_error, 4),
        })  # fmt: skip
    return records


def parser() -> argparse.ArgumentParser:
    parse = argparse.ArgumentParser(prog="fgnet-evaluate", description=__doc__)
    parse.add_argument("model", type=Path, help="weights file (.h5), checkpoint, or run folder")
    parse.add_argument("--image", required=True, help="volume, as fgnet-train takes it")
    parse.add_argument("--labels", help="ground truth, to score against")
    parse.add_argument("--affinities", type=Path, help="HDF5 file to write: dataset `affinities`, uint8 (3, z, y, x)")
    parse.add_argument("--statistic", choices=sorted(STATISTICS), action="append", help="of a contact; default: mean")
    parse.add_argument("--chunk", type=int, default=20, help="sections at a time; sets the memory needed")
    parse.add_argument("--bfloat16", action="store_true", help="faster, slightly less exact")
    return parse


def main(arguments: list[str] | None = None) -> None:
    options = parser().parse_args(arguments)
    values = affinities(load_model(options.model), read_volume(options.image), options.chunk, options.bfloat16)
    if options.affinities:
        write_affinities(options.affinities, values)
    if options.labels:
        truth = read_volume(options.labels)
        thresholds = [round(0.95 - 0.05 * step, 2) for step in range(18)]
        for statistic in options.statistic or ["mean"]:
            for record in sweep(values, truth, statistic, thresholds):
                print(json.dumps({"statistic": statistic, **record}), flush=True)


if __name__ == "__main__":
    main()
