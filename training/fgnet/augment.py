"""Augmentation of a crop: what sections go through on the way from the tissue to the file.

Images are normalised float32 (D, H, W), labels integer of the same shape. Every function draws from `rng`.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from scipy import ndimage


def section_indices(rng: np.random.Generator, depth: int, sections: int) -> np.ndarray:
    """`depth` sections in z order; sometimes one is missing, so that its neighbours become adjacent."""
    removed = int(rng.integers(1, 3)) if rng.random() < 0.15 and sections > depth + 2 else 0
    start = int(rng.integers(0, sections - depth - removed + 1))
    indices = np.arange(start, start + depth)
    if removed:
        indices[int(rng.integers(1, depth)) :] += removed
    return indices


def section_shifts(rng: np.random.Generator, depth: int, largest: int = 10) -> np.ndarray:
    """Misalignment in pixels (depth, 2): one section slips, or all sections from one on are displaced."""
    shifts = np.zeros((depth, 2), np.int64)
    if rng.random() < 0.25:
        section = int(rng.integers(1, depth))
        amount = rng.integers(-largest, largest + 1, 2)
        if rng.random() < 0.5:
            shifts[section] = amount
        else:
            shifts[section:] = amount
    return shifts + rng.integers(-1, 2, (depth, 2)) * (rng.random((depth, 1)) < 0.1)


def warp(
    rng: np.random.Generator, image: np.ndarray, labels: np.ndarray, height: int, width: int
) -> tuple[np.ndarray, np.ndarray]:
    """Rotation, scale and a smooth elastic field, the same for all sections; cut from the middle of a larger crop."""
    angle, scale = rng.uniform(-np.pi, np.pi), rng.uniform(0.85, 1.15)
    field = F.interpolate(
        torch.from_numpy(rng.normal(0, 2.0, (1, 2, height // 32 + 2, width // 32 + 2)).astype(np.float32)),
        size=(height, width), mode="bicubic", align_corners=True,
    )[0]  # fmt: skip
    y, x = torch.meshgrid(
        torch.arange(height, dtype=torch.float32) - (height - 1) / 2,
        torch.arange(width, dtype=torch.float32) - (width - 1) / 2,
        indexing="ij",
    )
    source_y = scale * (np.cos(angle) * y - np.sin(angle) * x) + field[0]
    source_x = scale * (np.sin(angle) * y + np.cos(angle) * x) + field[1]
    _, rows, columns = image.shape
    grid = torch.stack([2 * source_x / (columns - 1), 2 * source_y / (rows - 1)], -1)[None]

    def sample(values: np.ndarray, mode: str) -> np.ndarray:
        source = torch.from_numpy(values.astype(np.float32))[None]
        return F.grid_sample(source, grid, mode=mode, padding_mode="reflection", align_corners=True)[0].numpy()

    return sample(image, "bilinear"), sample(labels, "nearest").astype(labels.dtype)


def flip_and_transpose(
    rng: np.random.Generator, image: np.ndarray, labels: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    axes = [axis for axis in range(3) if rng.random() < 0.5]
    image, labels = np.flip(image, axes), np.flip(labels, axes)
    if rng.random() < 0.5:
        image, labels = image.swapaxes(1, 2), labels.swapaxes(1, 2)
    return image, labels


def gamma_curve(values: np.ndarray, exponent: float) -> np.ndarray:
    """A gamma curve that leaves mean and standard deviation as they were."""
    curved = np.clip((values + 4) / 8, 0, 1) ** exponent
    return (curved - curved.mean()) / max(curved.std(), 1e-3) * values.std() + values.mean()


def short_exposure(rng: np.random.Generator, image: np.ndarray) -> np.ndarray:
    """A stack with noise of 0.45 to 1.5 of its sections' standard deviation.

    Often neighbouring pixels share some of it; more often what is out of the file's range is cut off.
    """
    level = np.float32(rng.uniform(0.45, 1.5))
    spread = rng.uniform(0.4, 1.0) if rng.random() < 0.4 else 0.0
    low, high = (-rng.uniform(2, 4), rng.uniform(2, 4)) if rng.random() < 0.6 else (-np.inf, np.inf)
    for section in image:
        noise = rng.standard_normal(section.shape, np.float32)
        if spread:
            noise = ndimage.gaussian_filter(noise, spread)
            noise /= noise.std()
        section[:] = np.clip(section + level * noise, low, high) / np.hypot(1, level)
    return image


def intensities(rng: np.random.Generator, image: np.ndarray, strong_noise: float = 0.0) -> np.ndarray:
    """Contrast, brightness, gamma and noise of the stack and of single sections; blur, dim and blank sections.

    `strong_noise`: the chance that the stack's noise is that of a short exposure.
    """
    image = image * rng.uniform(0.85, 1.15) + rng.uniform(-0.15, 0.15)
    if rng.random() < 0.3:
        image = gamma_curve(image, float(np.exp(rng.uniform(-0.4, 0.4))))
    noise = rng.uniform(0, 0.45) if rng.random() < 0.5 else 0.0
    short = strong_noise > 0 and rng.random() < strong_noise
    for section in image:
        if rng.random() < 0.15:
            section[:] = gamma_curve(section, float(np.exp(rng.uniform(-0.4, 0.4))))
            section[:] = section * rng.uniform(0.8, 1.2) + rng.uniform(-0.3, 0.3)
        if rng.random() < 0.04:
            section[:] = ndimage.gaussian_filter(section, rng.uniform(0.7, 2.0))
        dim = rng.random() < 0.03
        level = rng.uniform(0.4, 0.9) if dim else noise
        if level > 0 and not short:
            section += rng.standard_normal(section.shape, np.float32) * np.float32(level)
            section /= np.float32(np.hypot(1, level))
    if short:
        image = short_exposure(rng, image)
    if rng.random() < 0.05:
        blank(rng, image[int(rng.integers(len(image)))])
    return image


def blank(rng: np.random.Generator, section: np.ndarray) -> None:
    """All of a section, or a box of it, becomes one grey value."""
    height, width = section.shape
    if rng.random() < 0.5:
        section[:] = rng.uniform(-1, 1)
    else:
        top, left = int(rng.integers(0, height // 2)), int(rng.integers(0, width // 2))
        section[top : top + height // 2, left : left + width // 2] = rng.uniform(-2, 2)
