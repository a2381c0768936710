"""Scores of segments."""

import numpy as np
from skimage.metrics import adapted_rand_error, variation_of_information


def scores(segments: np.ndarray, truth: np.ndarray) -> dict[str, float]:
    """scikit-image's variation of information (split, merge) and adapted Rand error, label 0 of the truth left out."""
    compact = segments
    if segments.max() >= 1 << 24:  # too large to index a table
        compact = np.unique(segments, return_inverse=True)[1].reshape(segments.shape)
    compact = compact.astype(np.int32) + 1
    truth = truth.astype(np.int32)
    split, merge = variation_of_information(truth, compact, ignore_labels=(0,))
    error = adapted_rand_error(truth, compact, ignore_labels=(0,))[0]
    return {"voi": float(split + merge), "split": float(split), "merge": float(merge), "error": float(error)}
