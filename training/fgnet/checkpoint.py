"""Checkpoints of a training run, written so that a crash leaves the last whole one."""

from __future__ import annotations

import os
import pickle
from pathlib import Path
from typing import Any

import torch

from .config import FGNetConfig
from .containers import CheckpointFileError
from .model import FGNet

FILE = "checkpoint.pt"


def save(folder: Path, values: dict[str, Any], name: str = FILE) -> None:
    """Writes a checkpoint; it has its name only once it is whole and on the disk."""
    folder.mkdir(parents=True, exist_ok=True)
    partial = folder / f"{name}.partial"
    with partial.open("wb") as file:
        torch.save(values, file)
        file.flush()
        os.fsync(file.fileno())
    os.replace(partial, folder / name)


def load(folder_or_file: Path, mapped: bool = False) -> dict[str, Any]:
    """A checkpoint's values; with `mapped`, tensors are read from the file only when they are used."""
    path = folder_or_file / FILE if folder_or_file.is_dir() else folder_or_file
    try:
        return torch.load(path, map_location="cpu", weights_only=True, mmap=mapped)
    except (RuntimeError, ValueError, EOFError, pickle.UnpicklingError) as error:
        raise CheckpointFileError(f"{path}: is no checkpoint of a training run, or is damaged") from error


def steps_done(folder: Path) -> int | None:
    """How many steps of its own schedule a run has behind it; nothing where there is no checkpoint."""
    if not (folder / FILE).exists():
        return None
    values = load(folder, mapped=True)
    return values["step"] - values.get("first_step", 0)


def averaged_model(values: dict[str, Any]) -> FGNet:
    """The network with the averaged (EMA) weights of a checkpoint, ready for inference."""
    model = FGNet(FGNetConfig.from_json(values["architecture"]))
    model.load_state_dict(values["ema"])
    return model.eval()
