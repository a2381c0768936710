"""Watershed, agglomeration and scores."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from skimage.metrics import adapted_rand_error, variation_of_information
from synthetic import cells

from fgnet.config import DIRECT_OFFSETS
from fgnet.data import affinity_target
from fgnet.segment import contacts, contingency, fragments, merges, score, segment_of_fragment


@pytest.mark.parametrize("statistic", ["mean", "median", "maxima"])
def test_perfect_affinities(statistic: str) -> None:
    truth = cells()
    target, _ = affinity_target(torch.from_numpy(truth)[None], DIRECT_OFFSETS, torch.tensor([False]))
    values = target[0].numpy().astype(np.uint8) * 255
    labels = fragments(values)
    assert labels.min() > 0
    merged = merges(contacts(labels, values), statistic)
    scores = [entry[0] for entry in merged]
    assert scores == sorted(scores, reverse=True)
    segments = segment_of_fragment(int(labels.max()), merged, 0.5)
    result = score(contingency(labels, truth), segments)
    assert result.voi < 0.01 and result.adapted_rand_error < 0.01
    counts = [len(np.unique(segment_of_fragment(int(labels.max()), merged, t))) for t in (0.1, 0.3, 0.5, 0.7, 0.9)]
    assert counts == sorted(counts)


@pytest.mark.parametrize(
    ("truth", "segments", "expected"),
    [
        ("11112222", "11111111", (0, 1, 0.4)),
        ("11111111", "11112222", (1, 0, 0.4)),
        ("00111222", "91112222", (0.459148, 0.540852, 0.384615)),
        ("11112222", "00110022", (1, 0.5, 0.6)),
        ("11111122333", "11112222233", None),
    ],
)
def test_scores_equal_skimage(truth: str, segments: str, expected: tuple[float, float, float] | None) -> None:
    a, b = (np.array([int(c) for c in text]) for text in (truth, segments))
    result = score(contingency(b, a), np.arange(10))
    split, merge = variation_of_information(a, b, ignore_labels=(0,))
    error = adapted_rand_error(a, b, ignore_labels=(0,))[0]
    ours = (result.voi_split, result.voi_merge, result.adapted_rand_error)
    if expected:
        assert ours[2] == pytest.approx(error)
    assert ours == pytest.approx((split, merge, error), abs=1e-6)
