"""Weights files: one HDF5 dataset per tensor, BatchNorm folded, and JSON attributes (see docs/model.md)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import torch
from torch import Tensor

from .config import FGNetConfig, Offset
from .model import FGNet, folded_state

FORMAT = "fgnet-weights-1"
HEADS = ("coarse.head", "refined.head")


def write_weights(
    path: Path,
    config: FGNetConfig,
    state: dict[str, Tensor],
    card: dict[str, Any],
    postprocessing: dict[str, Any],
) -> None:
    """Writes the folded tensors of a network."""
    with h5py.File(path, "w") as file:
        file.attrs["format"] = FORMAT
        file.attrs["architecture"] = json.dumps(config.to_json())
        file.attrs["card"] = json.dumps(card)
        file.attrs["postprocessing"] = json.dumps(postprocessing)
        for key in sorted(state):
            file.create_dataset(key, data=state[key].contiguous().numpy().astype(np.float32))


def read_weights(path: Path) -> FGNet:
    """The network of a weights file, ready for inference."""
    with h5py.File(path) as file:
        if file.attrs["format"] != FORMAT:
            raise ValueError(f"{path}: format {file.attrs['format']!r}, expected {FORMAT!r}")
        model = FGNet(FGNetConfig.from_json(json.loads(file.attrs["architecture"])), folded=True)
        model.load_state_dict({key: torch.from_numpy(file[key][()]) for key in file})
    return model.eval()


def kept_offsets(model: FGNet, offsets: tuple[Offset, ...]) -> tuple[FGNetConfig, dict[str, Tensor]]:
    """Configuration and folded tensors with only these offsets left in both heads."""
    rows = [model.config.offsets.index(offset) for offset in offsets]
    state = folded_state(model)
    for head in HEADS:
        for part in ("weight", "bias"):
            state[f"{head}.{part}"] = state[f"{head}.{part}"][rows]
    return model.config.with_offsets(offsets), state
