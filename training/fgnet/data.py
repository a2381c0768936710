"""Training crops: sources of labelled volumes, affinity targets and masks."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from queue import Queue

import numpy as np
import torch
from torch import Tensor

from . import augment
from .config import Offset
from .volumes import normalised, read_volume, widen_borders


@dataclass(frozen=True)
class Source:
    """A labelled volume. Label 0 is background (never connected), or, with `ignore_zero`, unknown (no loss)."""

    image: np.ndarray
    labels: np.ndarray
    weight: float = 1.0
    ignore_zero: bool = False

    @staticmethod
    def load(
        image: str, labels: str, weight: float = 1.0, ignore_zero: bool = False, axes: str = "zyx"
    ) -> Source:
        """`axes`: the volume's axes in the order in which they become z, y and x (isotropic voxels only)."""
        if sorted(axes) != sorted("zyx"):
            raise ValueError(f"axes={axes}: not z, y and x in some order")
        order = ["zyx".index(axis) for axis in axes]
        raw = read_volume(labels).transpose(order)
        _, compact = np.unique(raw, return_inverse=True)
        ids = compact.reshape(raw.shape).astype(np.int32) + (0 if raw.min() == 0 else 1)
        values = normalised(read_volume(image)).astype(np.float16).transpose(order)
        return Source(np.ascontiguousarray(values), widen_borders(ids), weight, ignore_zero)

    @staticmethod
    def parse(text: str) -> Source:
        """`IMAGE,LABELS[,weight=W][,zero=ignore][,axes=yzx]`; IMAGE and LABELS as `read_volume` takes them."""
        image, labels, *settings = text.split(",")
        values = dict(setting.split("=", 1) for setting in settings)
        weight, zero, axes = (values.get(key, usual) for key, usual in (("weight", "1"), ("zero", ""), ("axes", "zyx")))
        return Source.load(image, labels, float(weight), zero == "ignore", axes)


@dataclass(frozen=True)
class Batch:
    """image (B, D, H, W); target and mask (B, offsets, D, H, W), target 0 or 1, mask True where there is a loss."""

    image: Tensor
    target: Tensor
    mask: Tensor


def affinity_target(
    labels: np.ndarray, offsets: tuple[Offset, ...], ignore_zero: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Affinity of v and v - e for each offset e, and where it is known: two bool arrays (offsets, D, H, W)."""
    target = np.zeros((len(offsets), *labels.shape), bool)
    mask = np.zeros_like(target)
    for channel, offset in enumerate(offsets):
        here = tuple(slice(step, None) for step in offset)
        there = tuple(slice(None, -step or None) for step in offset)
        if any(step >= size for step, size in zip(offset, labels.shape)):
            continue
        a, b = labels[here], labels[there]
        target[channel][here] = (a == b) & (a > 0)
        mask[channel][here] = (a > 0) & (b > 0) if ignore_zero else True
    return target, mask


def draw_crop(rng: np.random.Generator, source: Source, crop: tuple[int, int, int]) -> tuple[np.ndarray, np.ndarray]:
    """One augmented crop: normalised image and labels, both of shape `crop`."""
    depth, height, width = crop
    warped = rng.random() < 0.4
    rows, columns = (int(1.3 * max(height, width)),) * 2 if warped else (height, width)
    sections, full_rows, full_columns = source.labels.shape
    rows, columns = min(rows, full_rows), min(columns, full_columns)
    indices = augment.section_indices(rng, depth, sections)
    shifts = augment.section_shifts(rng, depth)
    top, left = int(rng.integers(0, full_rows - rows + 1)), int(rng.integers(0, full_columns - columns + 1))
    corners = np.clip(shifts + (top, left), 0, (full_rows - rows, full_columns - columns))

    def cut(volume: np.ndarray) -> np.ndarray:
        parts = [volume[z, y : y + rows, x : x + columns] for z, (y, x) in zip(indices, corners)]
        return np.stack(parts)

    image, labels = cut(source.image).astype(np.float32), cut(source.labels)
    if warped:
        image, labels = augment.warp(rng, image, labels, height, width)
    image, labels = augment.flip_and_transpose(rng, image, labels)
    return augment.intensities(rng, image.copy()), labels


def draw_batch(
    rng: np.random.Generator, sources: list[Source], crop: tuple[int, int, int], size: int, offsets: tuple[Offset, ...]
) -> Batch:
    """`size` crops; half of the batches of non-square crops are transposed as a whole."""
    if rng.random() < 0.5:
        crop = (crop[0], crop[2], crop[1])
    chances = np.array([source.weight for source in sources])
    images, targets, masks = [], [], []
    for _ in range(size):
        source = sources[int(rng.choice(len(sources), p=chances / chances.sum()))]
        image, labels = draw_crop(rng, source, crop)
        if image.shape != crop:
            image, labels = image.swapaxes(1, 2), labels.swapaxes(1, 2)
        target, mask = affinity_target(labels, offsets, source.ignore_zero)
        images.append(image)
        targets.append(target)
        masks.append(mask)
    return Batch(*(torch.from_numpy(np.stack(parts)) for parts in (images, targets, masks)))


def prefetched(
    seed: int, sources: list[Source], crop: tuple[int, int, int], size: int, offsets: tuple[Offset, ...]
) -> Iterator[Batch]:
    """Endless batches, drawn by a second thread while the network trains."""
    queue: Queue[Batch] = Queue(maxsize=3)

    def work() -> None:
        rng = np.random.default_rng(seed)
        while True:
            queue.put(draw_batch(rng, sources, crop, size, offsets))

    threading.Thread(target=work, daemon=True).start()
    while True:
        yield queue.get()
