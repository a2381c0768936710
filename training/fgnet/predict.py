"""Affinities of a whole volume."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import torch
from torch import Tensor

from . import checkpoint
from .model import FGNet
from .volumes import normalised
from .weights import read_weights


def load_model(path: Path) -> FGNet:
    """The network of a weights file (`.h5`), a checkpoint, or a run's folder."""
    return read_weights(path) if path.suffix == ".h5" else checkpoint.averaged_model(checkpoint.load(path))


def padded(stack: np.ndarray, alignment: int) -> np.ndarray:
    """Sections (D, H, W) reflected at the bottom and the right up to multiples of `alignment`."""
    _, height, width = stack.shape
    return np.pad(stack, ((0, 0), (0, -height % alignment), (0, -width % alignment)), mode="reflect")


@torch.inference_mode()
def affinities(model: FGNet, volume: np.ndarray, chunk: int = 20, bfloat16: bool = False) -> np.ndarray:
    """uint8 (3, z, y, x) of integer intensities (z, y, x); the z-channel of the first section is 0.

    `chunk` sections are predicted at a time, each with as many neighbours as the network's context has. Any chunk
    gives the same result.
    """
    sections, height, width = volume.shape
    stack = padded(normalised(volume), model.config.alignment)
    radius = model.config.context_radius
    output = np.empty((3, *volume.shape), np.uint8)
    for first in range(0, sections, chunk):
        last = min(first + chunk, sections)
        begin, end = max(0, first - radius), min(sections, last + radius)
        with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
            logits: Tensor = model(torch.from_numpy(stack[begin:end])[None]).refined[0, :3]
        part = torch.sigmoid(logits[:, first - begin : last - begin, :height, :width].float())
        output[:, first:last] = (part * 255).round().to(torch.uint8).numpy()
    output[0, 0] = 0
    return output


def write_affinities(path: Path, values: np.ndarray) -> None:
    with h5py.File(path, "w") as file:
        file.create_dataset("affinities", data=values, chunks=(1, 1, *values.shape[2:]), compression="gzip")
