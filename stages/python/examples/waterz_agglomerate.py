#!/usr/bin/env python3
"""Agglomeration by waterz, as an agglomerate stage. Needs waterz.

waterz takes volumes, a window is a graph: each contact of a pixel with another becomes a row of two pixels of its own, with rows of
label 0 between. waterz finds just the region graph of the window in it, with its histograms.
"""

import sys
from pathlib import Path

import numpy as np
import waterz

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
import fgnet_stage as fgnet


class Waterz(fgnet.Agglomerate):
    version = "1"
    summary = "Hierarchical agglomeration by waterz, on the quantile of the affinities."
    options = [
        fgnet.Number("threshold", 0, 1, default=0.55, summary="Clusters are joined while their score is above."),
        fgnet.Choice("quantile", ["50", "75", "85"], default="75", summary="Per cent of the contact below the score."),
        fgnet.Int("look_behind", 0, 64, default=6, summary="Sections below."),
        fgnet.Int("look_ahead", 0, 16, default=4, summary="Sections above."),
    ]

    def setup(self, options, volume):
        self.threshold = options["threshold"]
        self.look_behind = options["look_behind"]
        self.look_ahead = options["look_ahead"]
        quantile = int(options["quantile"])
        self.scoring = f"OneMinus<HistogramQuantileAffinity<RegionGraphType, {quantile}, ScoreValue, 256, false>>"

    def agglomerate(self, window):
        edges = window.decided_edges
        a, b = window.ends
        scores = window.mean_affinities[edges].astype(np.float32)
        if edges.start == edges.stop:
            return np.zeros(0, np.uint8), scores
        entry = np.repeat(np.arange(len(a)), np.diff(window.histogram_start))
        pair = np.repeat(entry, window.counts)
        value = np.repeat(window.bins, window.counts).astype(np.float32) / 255
        # (z, y, x): rows 0, 2, 4, ... hold a pair each. Fragments without a contact take no part.
        labels = np.zeros((1, 2 * len(pair), 2), np.uint64)
        labels[0, ::2, 0] = a[pair] + 1
        labels[0, ::2, 1] = b[pair] + 1
        affinities = np.zeros((3, *labels.shape), np.float32)
        affinities[2, 0, ::2, 1] = value
        (segments,) = waterz.agglomerate(
            affinities, [1 - self.threshold], fragments=labels, scoring_function=self.scoring
        )
        segment = np.zeros(len(window.fragments), np.uint64)
        segment[a[pair]] = segments[0, ::2, 0]
        segment[b[pair]] = segments[0, ::2, 1]
        return segment[a[edges]] == segment[b[edges]], scores


if __name__ == "__main__":
    fgnet.main(Waterz)
