"""Scores of segments, and how to keep libraries quiet."""

import contextlib
import os
import sys
from collections.abc import Iterator

import numpy as np
from skimage.metrics import adapted_rand_error, variation_of_information


def scores(segments: np.ndarray, truth: np.ndarray) -> dict[str, float]:
    """scikit-image's variation of information (split, merge) and adapted Rand error, label 0 of the truth left out."""
    _, compact = np.unique(segments, return_inverse=True)
    compact = compact.reshape(segments.shape).astype(np.int32) + 1
    truth = truth.astype(np.int32)
    split, merge = variation_of_information(truth, compact, ignore_labels=(0,))
    error = adapted_rand_error(truth, compact, ignore_labels=(0,))[0]
    return {"voi": float(split + merge), "split": float(split), "merge": float(merge), "error": float(error)}


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """waterz's C++ talks on standard output."""
    sys.stdout.flush()
    kept, nothing = os.dup(1), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, 1)
    try:
        yield
    finally:
        os.dup2(kept, 1)
        os.close(kept)
        os.close(nothing)
