"""Synthetic ground truth."""

from __future__ import annotations

import numpy as np
from scipy import ndimage


def cells(seed: int = 0) -> np.ndarray:
    """Columns of a Voronoi tessellation (z, y, x), with a background of one pixel between them."""
    rng = np.random.default_rng(seed)
    points = rng.integers(0, 96, (12, 2))
    y, x = np.mgrid[:96, :96]
    owner = np.argmin([(y - a) ** 2 + (x - b) ** 2 for a, b in points], 0) + 1
    edge = ndimage.maximum_filter(owner, 3) != ndimage.minimum_filter(owner, 3)
    return np.repeat(np.where(edge, 0, owner)[None], 5, 0)
