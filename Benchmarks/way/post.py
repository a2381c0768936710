"""What comes after the network, beside mahotas, waterz and mwatershed: post.py MODEL.h5 FOLDER.

FOLDER holds the store of a segmented volume, labels.tif, and of `fgnet-bench post` own.json, at-once.h5 and windows.h5. All
take the affinities and fragments that fgnetd stored, with its options, on one thread. Arrays are in each peer's own types
and everything is compiled before the time is taken; best of three (mwatershed: one).
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import mahotas
import mwatershed
import numpy as np
import tifffile
import waterz
from quiet import quiet
from scipy import ndimage
from scores import scores

SCORINGS = {
    "mean": ("OneMinus<MeanAffinity<RegionGraphType, ScoreValue>>", 0),
    "75 % quantile of maxima": ("OneMinus<HistogramQuantileAffinity<RegionGraphType, 75, ScoreValue, 256>>", 256),
}


def best(work: Callable[[], Any], rounds: int = 3) -> tuple[float, Any]:
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        result = work()
        times.append(time.perf_counter() - start)
    return min(times), result


class Stored:
    """Affinities (3, z, y, x; uint8), fragments with ids of their own (z, y, x; uint64), and the region graph."""

    def __init__(self, folder: Path) -> None:
        paths = sorted(path for path in folder.glob("z*.h5") if not path.name.endswith(".image.h5"))
        self.ids: list[np.ndarray] = []
        planes, affinities, edges = [], [], []
        for path in paths:
            with h5py.File(path) as file:
                affinities.append(file["affinities"][()])
                planes.append(file["fragments"][()])
                graph = file["graph"]
                self.ids.append(graph["fragments"][()])
                last = graph["histogram_offsets"][1:].astype(np.int64) - 1
                edges.append((graph["edge_a"][()], graph["edge_b"][()], graph["histogram_bins"][()][last]))
        self.affinities = np.ascontiguousarray(np.stack(affinities, 1))
        firsts = np.cumsum([0, *(len(ids) for ids in self.ids)])
        self.fragments = np.stack([np.where(p > 0, p + first, 0) for p, first in zip(planes, firsts)]).astype(np.uint64)
        every = np.concatenate(self.ids)
        self.a, self.b = (np.searchsorted(every, np.concatenate(ends)) + 1 for ends in list(zip(*edges))[:2])
        self.maxima = np.concatenate([maxima for _, _, maxima in edges])


class Watershed:
    """The usual chain with fgnetd's seeds: scipy's distance, largest of a window, mahotas' flood."""

    def __init__(self, options: dict[str, Any]) -> None:
        self.threshold = options.get("threshold", 0.5)
        self.width = 2 * options.get("seed_distance", 2) + 1
        self.minimum = options.get("minimum_size", 30)

    def boundary(self, y: np.ndarray, x: np.ndarray) -> np.ndarray:
        """510 - (y + x); the first row and column, which have one affinity only, count that one twice."""
        y, x = y.astype(np.uint16), x.astype(np.uint16)
        y[0], x[:, 0] = x[0], y[:, 0]
        y[0, 0], x[0, 0] = y[1, 0], x[0, 1]
        return 510 - y - x

    def seeds(self, boundary: np.ndarray) -> np.ndarray:
        distance = ndimage.distance_transform_edt(boundary < self.threshold * 510)
        largest = distance == ndimage.maximum_filter(distance, self.width)
        return ndimage.label(largest & (distance > 0))[0]

    def whole(self, y: np.ndarray, x: np.ndarray) -> np.ndarray:
        boundary = self.boundary(y, x)
        return mahotas.cwatershed(boundary, self.seeds(boundary))

    def merged(self, y: np.ndarray, x: np.ndarray) -> np.ndarray:
        """With fragments under the minimum size flooded again from the others, as fgnetd has it."""
        boundary = self.boundary(y, x)
        labels = mahotas.cwatershed(boundary, self.seeds(boundary))
        small = np.bincount(labels.ravel()) < self.minimum
        labels[small[labels]] = 0
        return mahotas.cwatershed(boundary, labels)


def same(one: np.ndarray, other: np.ndarray) -> bool:
    """Whether two sections are cut alike, whatever the labels' numbers."""
    pairs = np.unique(np.stack([one.ravel(), other.ravel()]), axis=1).shape[1]
    return pairs == len(np.unique(one)) == len(np.unique(other))


def main() -> None:
    model, folder = sys.argv[1], Path(sys.argv[2])
    own = json.loads((folder / "own.json").read_text())
    stored = Stored(folder / "state/sections/bench")
    truth = tifffile.imread(folder / "labels.tif")
    with h5py.File(model) as file:
        options = json.loads(file.attrs["postprocessing"])
    mega, ours = own["pixels"] / 1e6, own["seconds"]
    lines: list[str] = []
    quality: list[str] = []

    def line(what: str, parts: list[str], peer: str, seconds: float) -> None:
        mine = sum(ours[part] for part in parts)
        lines.append(f"| {what} | {1e3 * mine / mega:.2f} | {peer} | {1e3 * seconds / mega:.1f} | {seconds / mine:.1f} |")
        print(lines[-1], file=sys.stderr, flush=True)

    def score(what: str, segments: np.ndarray) -> float:
        result = scores(segments, truth)
        quality.append(f"| {what} | {result['voi']:.3f} ({result['split']:.3f} + {result['merge']:.3f}) |")
        return result["voi"]

    watershed = Watershed(options["watershed"])
    y, x = stored.affinities[1:]
    levels = [watershed.boundary(*pair) for pair in zip(y, x)]
    seeds = [watershed.seeds(level) for level in levels]
    seconds, _ = best(lambda: [mahotas.cwatershed(*pair) for pair in zip(levels, seeds)])
    line("flood from the same seeds", ["flood"], "mahotas", seconds)
    seconds, _ = best(lambda: [watershed.whole(*pair) for pair in zip(y, x)])
    line("seeded watershed", ["watershed"], "scipy, mahotas; small fragments stay", seconds)
    seconds, found = best(lambda: [watershed.merged(*pair) for pair in zip(y, x)])
    line("seeded watershed", ["watershed"], "scipy, mahotas; small fragments merged", seconds)
    alike = sum(same(one, other) for one, other in zip(found, stored.fragments))

    floats = np.ascontiguousarray(stored.affinities, np.float32) / 255
    with h5py.File(folder / "at-once.h5") as file:
        score("fgnetd, all sections at once", file["labels"][()])
    with h5py.File(folder / "windows.h5") as file:
        score("fgnetd, three windows a section", file["labels"][()])
    for name, (scoring, queue) in SCORINGS.items():

        def joined(thresholds: list[float], fragments: np.ndarray) -> list[np.ndarray]:
            with quiet():
                result = waterz.agglomerate(
                    floats, thresholds, fragments=fragments, scoring_function=scoring, discretize_queue=queue
                )
                return [segments.copy() if len(thresholds) > 1 else segments for segments in result]

        thresholds = [round(0.1 * step, 1) for step in range(2, 9)]
        vois = [scores(one, truth)["voi"] for one in joined(thresholds, stored.fragments.copy())]
        threshold = thresholds[int(np.argmin(vois))]
        copies = [stored.fragments.copy() for _ in range(3)]
        seconds, (segments,) = best(lambda: joined([threshold], copies.pop()))
        score(f"waterz, {name}, best threshold {1 - threshold:.1f}", segments)
        graph = ["region graph", "labels"]
        line("agglomeration, all sections at once", [*graph, "at once"], f"waterz, {name}", seconds)
        line("agglomeration, three windows a section", [*graph, "windows"], f"waterz, {name}", seconds)

    bias = options["agglomerate"].get("threshold", 0.55)
    edges = list(zip((stored.maxima / 255 - bias).tolist(), stored.a.tolist(), stored.b.tolist()))
    seconds, pairs = best(lambda: mwatershed.cluster_edges(edges))
    line("region graph to segments, at once", ["at once"], "mwatershed, mutex watershed of the graph", seconds)
    table = np.arange(int(stored.fragments.max()) + 1, dtype=np.uint64)
    for fragment, segment in pairs:
        table[fragment] = segment
    score(f"mwatershed on the graph, maxima - {bias}", table[stored.fragments])
    # The whole takes minutes, and more for each voxel than a part.
    doubles = np.ascontiguousarray(floats[:, :, :512, :512], np.float64) - bias
    seconds, _ = best(lambda: mwatershed.agglom(doubles, [[-1, 0, 0], [0, -1, 0], [0, 0, -1]]), 1)
    line("affinities to segments, at once", ["watershed", *graph, "at once"],
         "mwatershed, mutex watershed of voxels, 512 x 512 of each section", seconds * floats[0].size / doubles[0].size)  # fmt: skip

    sections, height, width = stored.fragments.shape
    print(f"\n## After the network: {sections} sections of {height} x {width}, {own['fragments']} fragments, {own['edges']} edges\n")
    print("| | fgnetd, ms a megapixel | peer | ms a megapixel | times fgnetd |\n|---|---:|---|---:|---:|")
    print("\n".join(lines))
    print(f"\nThe chain with small fragments merged cuts {alike} of {sections} sections exactly as fgnetd does.\n")
    print("| segments | VOI (split + merge) |\n|---|---|")
    print("\n".join(quality))


if __name__ == "__main__":
    main()
