"""waterz on the fragments and affinities that fgnetd stored, beside fgnetd's own agglomeration of them.

Usage: agglomeration.py SECTIONS LABELS OURS.jsonl ...   (SECTIONS: <state_directory>/sections/<volume>; each OURS is the
output of `fgnetd tune --json`). Scores leave out pixels whose label is 0.
"""

import json
import sys
from pathlib import Path

import h5py
import numpy as np
import tifffile
import waterz
from quiet import quiet
from scipy import sparse

SCORINGS = {
    "mean": "OneMinus<MeanAffinity<RegionGraphType, ScoreValue>>",
    "quantile 50 of maxima": "OneMinus<HistogramQuantileAffinity<RegionGraphType, 50, ScoreValue, 256>>",
    "quantile 75 of maxima": "OneMinus<HistogramQuantileAffinity<RegionGraphType, 75, ScoreValue, 256>>",
    "quantile 50 of all": "OneMinus<HistogramQuantileAffinity<RegionGraphType, 50, ScoreValue, 256, false>>",
    "quantile 75 of all": "OneMinus<HistogramQuantileAffinity<RegionGraphType, 75, ScoreValue, 256, false>>",
}


def stored(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """Fragments with ids of their own (z, y, x; uint64) and affinities (3, z, y, x; float32)."""
    with h5py.File(folder / "volume.h5") as volume:
        labels = volume["fragments"][()].astype(np.uint64)
        affinities = volume["affinities"][()]
    first = 0
    for section in labels:
        largest = int(section.max())
        section[section > 0] += np.uint64(first)
        first += largest
    return labels, np.ascontiguousarray(affinities, np.float32) / 255


def scores(segments: np.ndarray, truth: np.ndarray) -> tuple[float, float]:
    known = truth > 0
    _, found = np.unique(segments[known], return_inverse=True)
    table = sparse.coo_array((np.ones(found.size), (found.ravel(), truth[known].astype(np.int64))))
    table.sum_duplicates()
    n = table.data
    b = np.bincount(table.coords[0], n)[table.coords[0]]
    a = np.bincount(table.coords[1], n)[table.coords[1]]
    return float(-(n * np.log2(n / a)).sum() / n.sum()), float(-(n * np.log2(n / b)).sum() / n.sum())


def main() -> None:
    folder, labels, *ours = sys.argv[1:]
    truth = tifffile.imread(labels)
    fragments, affinities = stored(Path(folder))
    thresholds = [round(0.05 * step, 2) for step in range(2, 19)]
    best = {}
    for name, scoring in SCORINGS.items():
        found = []
        # waterz joins below 1 - affinity and goes on from the result before: from the strictest threshold on.
        result = waterz.agglomerate(
            affinities, [1 - t for t in reversed(thresholds)], fragments=fragments.copy(), scoring_function=scoring
        )
        with quiet():
            for threshold, segments in zip(reversed(thresholds), result):
                split, merge = scores(segments, truth)
                found.append((split + merge, split, merge, threshold))
        best[name] = min(found)
        print("waterz  %-24s VOI %.4f (%.4f + %.4f) at %.2f" % (name, *best[name]), flush=True)
    peer = min(value[0] for value in best.values())
    for path in ours:
        records = [json.loads(line) for line in Path(path).read_text().splitlines()]
        groups: dict[str, dict] = {}
        for record in records:
            options = record["options"]["agglomerate"]
            of = "maxima" if options["init_with_max"] else "all"
            kind = "mean" if options["scoring"] == "mean" else f"quantile {options['quantile']}"
            name = f"{kind} of {of}"
            if name not in groups or record["voi"] < groups[name]["voi"]:
                groups[name] = record
        for name, record in groups.items():
            print(
                "fgnetd  %-24s VOI %.4f (%.4f + %.4f) at %.2f, %s, best of waterz %+.4f"
                % (name, record["voi"], record["voi_split"], record["voi_merge"],
                   record["options"]["agglomerate"]["threshold"], Path(path).stem, record["voi"] - peer)
            )  # fmt: skip


if __name__ == "__main__":
    main()
