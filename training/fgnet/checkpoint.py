"""Checkpoints of a training run, written so that a crash leaves the last whole one."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import torch

from .config import FGNetConfig
from .model import FGNet

FILE = "checkpoint.pt"


def save(folder: Path, values: dict[str, Any], name: str = FILE) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    partial = folder / f"{name}.partial"
    torch.save(values, partial)
    os.replace(partial, folder / name)


def load(folder_or_file: Path) -> dict[str, Any]:
    path = folder_or_file / FILE if folder_or_file.is_dir() else folder_or_file
    return torch.load(path, map_location="cpu", weights_only=True)


def averaged_model(values: dict[str, Any]) -> FGNet:
    """The network with the averaged (EMA) weights of a checkpoint, ready for inference."""
    model = FGNet(FGNetConfig.from_json(values["architecture"]))
    model.load_state_dict(values["ema"])
    return model.eval()
