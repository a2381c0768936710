"""Reading image and label volumes, and the normalisation of a section."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import tifffile
from scipy import ndimage


def read_volume(location: str) -> np.ndarray:
    """A (z, y, x) volume from `stack.tif`, a folder of sections, or `file.h5:dataset`; `[a:b]` selects sections."""
    location, _, selection = location.partition("[")
    path, _, dataset = location.partition(":")
    if dataset:
        with h5py.File(path) as file:
            volume = file[dataset][()]
    elif Path(path).is_dir():
        volume = read_folder(Path(path))
    else:
        volume = tifffile.imread(path)
    if selection:
        first, last = (int(part) if part else None for part in selection.rstrip("]").split(":"))
        volume = volume[first:last]
    return volume


def read_folder(folder: Path) -> np.ndarray:
    """Sections in the order of their names: PNG or TIFF, one image each."""
    from skimage.io import imread

    paths = sorted(path for path in folder.iterdir() if path.suffix.lower() in {".png", ".tif", ".tiff"})
    return np.stack([imread(path) for path in paths])


def section_statistics(section: np.ndarray) -> tuple[float, float]:
    """Mean and standard deviation of a section's intensities, clipped to their 0.5 % and 99.5 % quantiles."""
    values = section.astype(np.float32).ravel()
    low, high = np.quantile(values, [0.005, 0.995])
    clipped = np.clip(values, low, high)
    return float(clipped.mean()), float(clipped.std())


def normalised(volume: np.ndarray) -> np.ndarray:
    """Each section of an integer volume, in units of its own standard deviation around its own mean."""
    scale = float(np.iinfo(volume.dtype).max)
    output = np.empty(volume.shape, np.float32)
    for section, target in zip(volume, output):
        mean, deviation = section_statistics(section)
        target[:] = (section.astype(np.float32) - mean) / max(deviation, 1e-4 * scale)
    return output


def widen_borders(labels: np.ndarray) -> np.ndarray:
    """Labels (z, y, x) with 0 wherever the 3 x 3 window in the section holds more than one positive label."""
    widened = labels.copy()
    empty = np.iinfo(labels.dtype).max
    for section in widened:
        largest = ndimage.maximum_filter(section, 3)
        smallest = ndimage.minimum_filter(np.where(section == 0, empty, section), 3)
        section[(largest != smallest) & (largest > 0)] = 0
    return widened
