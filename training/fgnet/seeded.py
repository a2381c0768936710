"""Reproducible numbers from integers alone, so that another implementation can make the same weights and inputs.

Element i of a stream has u(i) = (splitmix64(seed + i) >> 40) / 2**24 - 0.5, in [-0.5, 0.5).
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor


def splitmix64(states: np.ndarray) -> np.ndarray:
    """One step of SplitMix64 from each state (uint64, wrapping)."""
    with np.errstate(over="ignore"):
        z = states + np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return z ^ (z >> np.uint64(31))


def centred(seed: int, first: int, count: int) -> np.ndarray:
    """u(first) ... u(first + count - 1), exact in float64."""
    states = np.uint64(seed) + np.arange(first, first + count, dtype=np.uint64)
    return (splitmix64(states) >> np.uint64(40)).astype(np.float64) / 2**24 - 0.5


def scale_and_offset(key: str, shape: torch.Size) -> tuple[float, float]:
    """A tensor's elements are offset + scale * u."""
    if key.endswith(("norm1.weight", "norm2.weight")):
        return 0.2, 1.0
    if key.endswith("gamma"):
        return 0.5, 0.5
    if key.endswith("bias"):
        return 0.2, 0.0
    if "pos_embed" in key:
        return 0.5, 0.0
    return math.sqrt(12 / math.prod(shape[1:])), 0.0


def seeded_state(shapes: dict[str, torch.Size], seed: int) -> dict[str, Tensor]:
    """float32 tensors. One stream runs through all of them: keys in byte order, elements in row-major order."""
    state, first = {}, 0
    for key in sorted(shapes):
        count = math.prod(shapes[key])
        scale, offset = scale_and_offset(key, shapes[key])
        values = (offset + scale * centred(seed, first, count)).astype(np.float32)
        state[key] = torch.from_numpy(values.reshape(shapes[key]))
        first += count
    return state


def seeded_input(shape: tuple[int, ...], seed: int) -> Tensor:
    """A normalised stack: float32 sqrt(12) * u, which has variance 1."""
    values = math.sqrt(12) * centred(seed, 0, math.prod(shape))
    return torch.from_numpy(values.astype(np.float32).reshape(shape))
