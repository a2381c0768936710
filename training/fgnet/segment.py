"""From affinities to segments: seeded watershed per section, then agglomeration of a region graph."""

from __future__ import annotations

import heapq
from dataclasses import dataclass

import numpy as np
from scipy import ndimage, sparse
from skimage.segmentation import watershed


def fragments(affinities: np.ndarray, threshold: float = 0.75, seed_distance: int = 6) -> np.ndarray:
    """int32 labels 1... (z, y, x), unique over the volume, of uint8 affinities (3, z, y, x). No voxel stays 0.

    Boundaries below `threshold` are foreground; seeds are the largest distances to the rest within `seed_distance` pixels.
    """
    labels = np.zeros(affinities.shape[1:], np.int32)
    count = 0
    for z in range(labels.shape[0]):
        boundary = 1 - (affinities[1, z].astype(np.float32) + affinities[2, z]) / 510
        distance = ndimage.distance_transform_edt(boundary < threshold)
        largest = distance == ndimage.maximum_filter(distance, 2 * seed_distance + 1)
        seeds, found = ndimage.label(largest & (distance > 0), np.ones((3, 3)))
        section = watershed(boundary, seeds) if found else np.ones_like(labels[z])
        labels[z] = section + count
        count += max(found, 1)
    return labels


@dataclass(frozen=True)
class Contacts:
    """Every touching pair of fragments u < v, with the histogram (256 bins) of the affinities across the contact."""

    u: np.ndarray
    v: np.ndarray
    histogram: np.ndarray


def contacts(labels: np.ndarray, affinities: np.ndarray) -> Contacts:
    pairs, values = [], []
    for axis in range(3):
        here = np.moveaxis(labels, axis, 0)[1:].ravel()
        there = np.moveaxis(labels, axis, 0)[:-1].ravel()
        value = np.moveaxis(affinities[axis], axis, 0)[1:].ravel()
        touching = here != there
        low, high = np.minimum(here, there)[touching], np.maximum(here, there)[touching]
        pairs.append(low.astype(np.int64) << 32 | high)
        values.append(value[touching])
    keys, edge = np.unique(np.concatenate(pairs), return_inverse=True)
    bins = np.bincount(edge * 256 + np.concatenate(values), minlength=256 * len(keys))
    return Contacts(keys >> 32, keys & 0xFFFFFFFF, bins.reshape(-1, 256).astype(np.int32))


def mean_affinity(histogram: np.ndarray) -> float:
    return float(histogram @ np.arange(256) / (255 * histogram.sum()))


def median_affinity(histogram: np.ndarray) -> float:
    total = np.cumsum(histogram)
    return float((np.searchsorted(total, total[-1] // 2 + 1) + 0.5) / 256)


STATISTICS = {"mean": mean_affinity, "median": median_affinity, "maxima": mean_affinity}


def largest_only(histogram: np.ndarray) -> np.ndarray:
    """The histograms with the largest affinity of each contact alone, counted once."""
    largest = histogram.shape[1] - 1 - np.argmax(histogram[:, ::-1] > 0, 1)
    kept = np.zeros_like(histogram)
    kept[np.arange(len(kept)), largest] = 1
    return kept


def merges(graph: Contacts, statistic: str, lowest: float = 0.05) -> list[tuple[float, int, int]]:
    """Merges (score, u, v), best affinity first, down to `lowest`; scores never rise along the list.

    Contacts of merged fragments are added up. A contact that changed since it was queued is scored again when its
    turn comes. `maxima` is the mean of the contacts' largest affinities.
    """
    score_of = STATISTICS[statistic]
    neighbours: dict[int, dict[int, int]] = {}
    histograms = largest_only(graph.histogram) if statistic == "maxima" else graph.histogram.copy()
    scores = [score_of(row) for row in histograms]
    heap = []
    for edge, (u, v) in enumerate(zip(graph.u.tolist(), graph.v.tolist())):
        neighbours.setdefault(u, {})[v] = edge
        neighbours.setdefault(v, {})[u] = edge
        heap.append((-scores[edge], edge, u, v))
    heapq.heapify(heap)
    stale: set[int] = set()
    done: list[tuple[float, int, int]] = []
    bound = 1.0
    while heap:
        negative, edge, u, v = heapq.heappop(heap)
        if neighbours.get(u, {}).get(v) != edge or -negative != scores[edge]:
            continue
        if edge in stale:
            stale.discard(edge)
            scores[edge] = score_of(histograms[edge])
            heapq.heappush(heap, (-scores[edge], edge, u, v))
            continue
        if -negative < lowest:
            break
        bound = min(bound, -negative)
        done.append((bound, u, v))
        if len(neighbours[u]) < len(neighbours[v]):
            u, v = v, u
        del neighbours[u][v]
        for other, moved in neighbours.pop(v).items():
            if other == u:
                continue
            del neighbours[other][v]
            kept = neighbours[u].get(other)
            if kept is None:
                neighbours[u][other] = neighbours[other][u] = moved
                heapq.heappush(heap, (-scores[moved], moved, u, other))
            else:
                histograms[kept] += histograms[moved]
                stale.add(kept)
                if scores[moved] > scores[kept]:
                    scores[kept] = scores[moved]
                    heapq.heappush(heap, (-scores[kept], kept, u, other))
    return done


def segment_of_fragment(count: int, merged: list[tuple[float, int, int]], threshold: float) -> np.ndarray:
    """For fragment ids 0...count, the id of the segment they belong to at this threshold."""
    pairs = [(u, v) for score, u, v in merged if score > threshold]
    rows, columns = np.array(pairs, np.int64).reshape(-1, 2).T
    graph = sparse.coo_array((np.ones(len(rows), bool), (rows, columns)), (count + 1, count + 1))
    return sparse.csgraph.connected_components(graph, directed=False)[1]


@dataclass(frozen=True)
class Score:
    """Variation of information (bits) and adapted Rand error, voxels of ground truth 0 left out."""

    voi_split: float
    voi_merge: float
    adapted_rand_error: float

    @property
    def voi(self) -> float:
        return self.voi_split + self.voi_merge


def contingency(labels: np.ndarray, truth: np.ndarray) -> sparse.coo_array:
    """Voxel counts (fragment, true object) where there is a true object."""
    known = truth > 0
    table = sparse.coo_array((np.ones(known.sum(), np.int64), (labels[known], truth[known])))
    table.sum_duplicates()
    return table


def score(table: sparse.coo_array, segments: np.ndarray) -> Score:
    """The score of the fragments of `table` merged into `segments` (an id for each fragment)."""
    rows, columns = table.coords
    merged = sparse.coo_array((table.data, (segments[rows], columns)))
    merged.sum_duplicates()
    joint = merged.data.astype(np.float64)
    predicted = np.bincount(merged.coords[0], joint)[merged.coords[0]]
    actual = np.bincount(merged.coords[1], joint)[merged.coords[1]]
    total = joint.sum()
    split = -(joint * np.log2(joint / actual)).sum() / total
    merge = -(joint * np.log2(joint / predicted)).sum() / total
    pairs = (joint * joint).sum() - total
    both = (joint * predicted).sum() + (joint * actual).sum() - 2 * total
    return Score(float(split), float(merge), float(1 - 2 * pairs / both))
