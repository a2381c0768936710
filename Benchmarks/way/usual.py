"""The usual script: sections of a folder to rows of segments, with the same network as fgnetd.

Usage: usual.py MODEL.h5 FOLDER, libpq's environment naming the server. Reads FOLDER/in, scores against FOLDER/labels.tif.
Sliding windows of 18 x 160 x 160 at half overlap (PEA), watershed of each section from the maxima of its distance transform
(mahotas), agglomeration of the volume (waterz, median of maxima in 256 bins), COPY. Importing, reading weights, compiling
and warming up are not timed. Prints one line of JSON.
"""

from __future__ import annotations

import itertools
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

import mahotas
import numpy as np
import psycopg
import tifffile
import torch
import waterz
from precision import precisions
from quiet import quiet
from scipy import ndimage
from scores import scores

sys.path.insert(0, str(Path(__file__).parents[2] / "training"))

from fgnet.volumes import normalised  # noqa: E402
from fgnet.weights import read_weights  # noqa: E402

WINDOW, STRIDE, PAD = (18, 160, 160), (10, 80, 80), 4
SCORING = "OneMinus<HistogramQuantileAffinity<RegionGraphType, 50, ScoreValue, 256>>"
Predict = Callable[[np.ndarray], np.ndarray]


def fastest(path: Path) -> tuple[str, Predict]:
    """The network in the setting that takes a window fastest: eager or compiled, float32 or bfloat16."""
    network = read_weights(path)

    def predict(call: Callable, precision: str, window: np.ndarray) -> np.ndarray:
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
            return torch.sigmoid(call(torch.from_numpy(window)[None]).refined[0].float()).numpy()

    window = np.random.default_rng(0).normal(size=WINDOW).astype(np.float32)
    tried: list[tuple[float, str, Predict]] = []
    for kind, call in (("eager", network), ("compiled", torch.compile(network))):
        for precision in precisions():
            run = lambda window, call=call, precision=precision: predict(call, precision, window)  # noqa: E731
            try:
                run(window)
                start = time.perf_counter()
                run(window)
                run(window)
                tried.append(((time.perf_counter() - start) / 2, f"{precision}, channels last, {kind}", run))
                print(f"{tried[-1][1]}: {tried[-1][0]:.3f} s a window", file=sys.stderr, flush=True)
            except Exception as error:  # a setting that does not work here is not the fastest
                print(f"{precision} {kind}: {str(error).splitlines()[0]}", file=sys.stderr)
    _, name, run = min(tried, key=lambda one: one[0])
    return name, run


def starts(length: int, window: int, stride: int) -> list[int]:
    """Windows at the stride; the last one ends where the axis does."""
    return [*range(0, length - window, stride), length - window]


def affinities(predict: Predict, sections: np.ndarray) -> np.ndarray:
    """float32 (3, z, y, x): windows blended by a Gaussian, reflected beyond the first and the last section."""
    stack = np.pad(normalised(sections), ((PAD, PAD), (0, 0), (0, 0)), "reflect")
    axes = np.meshgrid(*(np.linspace(-1, 1, n, dtype=np.float32) for n in WINDOW), indexing="ij")
    weight = 1e-6 + np.exp(-sum(axis**2 for axis in axes) / (2 * 0.2**2))
    total, weights = np.zeros((3, *stack.shape), np.float32), np.zeros(stack.shape, np.float32)
    places = list(itertools.product(*(starts(*sizes) for sizes in zip(stack.shape, WINDOW, STRIDE))))
    for number, firsts in enumerate(places, 1):
        place = tuple(slice(first, first + size) for first, size in zip(firsts, WINDOW))
        total[(slice(None), *place)] += predict(np.ascontiguousarray(stack[place])) * weight
        weights[place] += weight
        if number % 48 == 0:
            print(f"window {number} of {len(places)}", file=sys.stderr, flush=True)
    return (total / weights)[:, PAD:-PAD]


def fragments(affs: np.ndarray) -> np.ndarray:
    """uint64 labels 1... (z, y, x), of each section alone."""
    labels = np.zeros(affs.shape[1:], np.uint64)
    count = 0
    for z in range(len(labels)):
        boundary = 1 - (affs[1, z] + affs[2, z]) / 2
        distance = ndimage.distance_transform_edt(boundary < 0.5)
        seeds, found = mahotas.label(mahotas.regmax(distance))
        labels[z] = mahotas.cwatershed(boundary, seeds) + count
        count += found
    return labels


def agglomerated(affs: np.ndarray, labels: np.ndarray, thresholds: list[float]) -> list[np.ndarray]:
    """Segments at each threshold: clusters are joined while 1 - affinity is below."""
    with quiet():
        result = waterz.agglomerate(
            affs, thresholds, fragments=labels.copy(), scoring_function=SCORING, discretize_queue=256
        )
        return [segments.copy() for segments in result]


def commit(connection: psycopg.Connection, labels: np.ndarray, segments: np.ndarray, first_z: int) -> int:
    """One row for each fragment: section, pixels, box, centre, segment."""
    rows = 0
    y, x = (axis.ravel() for axis in np.indices(labels.shape[1:], np.float32))
    with connection.transaction(), connection.cursor() as cursor:
        cursor.execute("create schema if not exists usual; drop table if exists usual.fragment")
        cursor.execute("""create table usual.fragment (fragment_id bigint primary key, z integer, area_px bigint,
          min_y integer, min_x integer, max_y integer, max_x integer, centroid_y float8, centroid_x float8,
          segment_id bigint)""")
        with cursor.copy("copy usual.fragment from stdin") as copy:
            for z, section in enumerate(labels):
                first = int(section.min())
                local = (section - np.uint64(first - 1)).astype(np.int32)
                flat = local.ravel()
                area = np.bincount(flat)
                centre = [np.bincount(flat, axis) / np.maximum(area, 1) for axis in (y, x)]
                segment = np.zeros(len(area), np.uint64)
                segment[flat] = segments[z].ravel()
                for label, (rows_of, columns) in enumerate(ndimage.find_objects(local), 1):
                    copy.write_row((first + label - 1, first_z + z, int(area[label]), rows_of.start, columns.start,
                                    rows_of.stop, columns.stop, float(centre[0][label]), float(centre[1][label]),
                                    int(segment[label])))  # fmt: skip
                rows += len(area) - 1
        cursor.execute("create index on usual.fragment (segment_id)")
    return rows


def main() -> None:
    model, folder = Path(sys.argv[1]), Path(sys.argv[2])
    setting, predict = fastest(model)
    noise = np.random.default_rng(0).random((3, 2, 64, 64), np.float32)
    agglomerated(noise, fragments(noise), [0.5])
    connection = psycopg.connect()
    stages: dict[str, float] = {}
    begin = start = time.perf_counter()

    def note(stage: str) -> None:
        nonlocal start
        now = time.perf_counter()
        stages[stage], start = now - start, now
        print(f"{stage}: {stages[stage]:.1f} s", file=sys.stderr, flush=True)

    paths = sorted((folder / "in").iterdir())
    sections = np.stack([tifffile.imread(path) for path in paths])
    note("read")
    affs = affinities(predict, sections)
    note("network")
    labels = fragments(affs)
    note("watershed")
    segments = agglomerated(affs, labels, [0.5])[0]
    note("agglomerate")
    first_z = int(paths[0].stem[1:])
    rows = commit(connection, labels, segments, first_z)
    note("database")
    seconds = time.perf_counter() - begin
    scored = slice(max(0, 80 - first_z), None)
    truth = tifffile.imread(folder / "labels.tif")[scored]
    thresholds = [round(0.1 * step, 1) for step in range(1, 10)]
    swept = zip(thresholds, agglomerated(affs, labels, thresholds))
    best = min(({"threshold": t, **scores(one[scored], truth)} for t, one in swept), key=lambda one: one["voi"])
    print(json.dumps({"setting": setting, "threads": torch.get_num_threads(), "sections": len(sections), "rows": rows,
                      "seconds": seconds, "stages": stages, "scores": scores(segments[scored], truth),
                      "best": best}))  # fmt: skip


if __name__ == "__main__":
    main()
