"""Training crops: sources of labelled volumes, affinity targets and masks."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from . import augment
from .config import Offset
from .volumes import normalised, read_volume, widen_borders

# Settings of a source besides `zero`: arguments of `Source.load` and their types.
SETTINGS = {"weight": float, "axes": str, "step": int, "scale": float, "borders": str, "noise": float}


@dataclass(frozen=True)
class Source:
    """A labelled volume. Label 0 is background (never connected), or, with `ignore_zero`, unknown (no loss).

    `noise`: the share of its crops that are as noisy as after a short exposure.
    """

    image: np.ndarray
    labels: np.ndarray
    weight: float = 1.0
    ignore_zero: bool = False
    noise: float = 0.0

    @staticmethod
    def load(
        image: str, labels: str, weight: float = 1.0, ignore_zero: bool = False, axes: str = "zyx", step: int = 1,
        scale: float = 1.0, borders: str = "wide", noise: float = 0.0,
    ) -> Source:  # fmt: skip
        """`axes`: the volume's axes in the order in which they become z, y and x (isotropic voxels only).

        Then every `step`-th section is taken, and y and x become `scale` times as large: voxels as other
        microscopes have them, out of isotropic ones. `borders`: "wide" for three pixels of no segment between two that
        touch; "thin" leaves the labels as they are, for those whose very pixel of the border can be learnt.
        """
        if sorted(axes) != sorted("zyx"):
            raise ValueError(f"axes={axes}: not z, y and x in some order")
        if step < 1 or scale <= 0:
            raise ValueError(f"step={step}, scale={scale}: step is at least 1, scale above 0")
        if borders not in ("wide", "thin"):
            raise ValueError(f"borders={borders}: is neither wide nor thin")
        if not 0 <= noise <= 1:
            raise ValueError(f"noise={noise}: is not a share, 0 to 1")
        order = ["zyx".index(axis) for axis in axes]
        raw = read_volume(labels).transpose(order)[::step]
        _, compact = np.unique(raw, return_inverse=True)
        ids = compact.reshape(raw.shape).astype(np.int32) + (0 if raw.min() == 0 else 1)
        values = normalised(read_volume(image)).transpose(order)[::step]
        if scale != 1:
            values = ndimage.zoom(values, (1, scale, scale), order=1, grid_mode=True, mode="nearest")
            ids = ndimage.zoom(ids, (1, scale, scale), order=0, grid_mode=True, mode="nearest")
        parted = widen_borders(ids) if borders == "wide" else np.ascontiguousarray(ids)
        return Source(np.ascontiguousarray(values.astype(np.float16)), parted, weight, ignore_zero, noise)

    @staticmethod
    def parse(text: str) -> Source:
        """`IMAGE,LABELS[,weight=W][,zero=ignore][,axes=yzx][,step=N][,scale=F][,borders=thin][,noise=S]`; files as
        `read_volume` takes them.
        """
        image, labels, *settings = text.split(",")
        values = dict(setting.split("=", 1) for setting in settings)
        ignore_zero = values.pop("zero", "") == "ignore"
        unknown = values.keys() - SETTINGS.keys()
        if unknown:
            raise ValueError(f"{sorted(unknown)[0]}= is no setting of a source")
        given = {key: SETTINGS[key](value) for key, value in values.items()}
        return Source.load(image, labels, ignore_zero=ignore_zero, **given)


class Batch(NamedTuple):
    """image (B, D, H, W), normalised float32; labels (B, D, H, W), int32; ignore_zero (B), True where label 0 is
    unknown in that crop.
    """

    image: Tensor
    labels: Tensor
    ignore_zero: Tensor


def affinity_target(labels: Tensor, offsets: tuple[Offset, ...], ignore_zero: Tensor) -> tuple[Tensor, Tensor]:
    """Affinity of v and v - e for each offset e, and where it is known, from labels (B, D, H, W) and `ignore_zero` (B).

    Two bool tensors (B, offsets, D, H, W).
    """
    batch, *sizes = labels.shape
    target = torch.zeros((batch, len(offsets), *sizes), dtype=torch.bool, device=labels.device)
    mask = torch.zeros_like(target)
    zero_counts = ~ignore_zero[:, None, None, None]
    for channel, offset in enumerate(offsets):
        if any(step >= size for step, size in zip(offset, sizes)):
            continue
        here = (slice(None), *(slice(step, None) for step in offset))
        there = (slice(None), *(slice(None, -step or None) for step in offset))
        a, b = labels[here], labels[there]
        target[:, channel][here] = (a == b) & (a > 0)
        mask[:, channel][here] = ((a > 0) & (b > 0)) | zero_counts
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
    return augment.intensities(rng, image.copy(), source.noise), labels


def draw_batch(rng: np.random.Generator, sources: list[Source], crop: tuple[int, int, int], size: int) -> Batch:
    """`size` crops; half of the batches of non-square crops are transposed as a whole."""
    if rng.random() < 0.5:
        crop = (crop[0], crop[2], crop[1])
    chances = np.array([source.weight for source in sources])
    drawn = rng.choice(len(sources), size, p=chances / chances.sum())
    images, labels = [], []
    for index in drawn:
        pair = draw_crop(rng, sources[index], crop)
        if pair[0].shape != crop:
            pair = tuple(part.swapaxes(1, 2) for part in pair)
        images.append(pair[0])
        labels.append(pair[1])
    unknown = [sources[index].ignore_zero for index in drawn]
    return Batch(torch.from_numpy(np.stack(images)), torch.from_numpy(np.stack(labels)), torch.tensor(unknown))


class Crops(IterableDataset[Batch]):
    """Endless batches; every process that draws has a generator of its own."""

    def __init__(self, seed: int, sources: list[Source], crop: tuple[int, int, int], size: int) -> None:
        self.seed, self.sources, self.crop, self.size = seed, sources, crop, size

    def __iter__(self) -> Iterator[Batch]:
        worker = get_worker_info()
        rng = np.random.default_rng(self.seed + 1_000_003 * (worker.id if worker else 0))
        while True:
            yield draw_batch(rng, self.sources, self.crop, self.size)


def leave_signals(_: int) -> None:
    """Only the trainer hears of an interruption; it ends the processes that draw for it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)


def prefetched(
    seed: int, sources: list[Source], crop: tuple[int, int, int], size: int, workers: int = 1, pinned: bool = False
) -> Iterator[Batch]:
    """Endless batches, drawn by other processes while the network trains: from each in turn, so always the same ones.

    The processes are forks: they share the volumes' memory.
    """
    crops = Crops(seed, sources, crop, size)
    return iter(DataLoader(
        crops, batch_size=None, num_workers=workers, multiprocessing_context="fork", worker_init_fn=leave_signals,
        pin_memory=pinned,
    ))  # fmt: skip
