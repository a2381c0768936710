"""The precisions that a peer is run in."""

import sys
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parents[1] / "training"))

from fgnet.train import multiplies_bfloat16  # noqa: E402


def precisions() -> list[str]:
    """fp32, and bf16 where this CPU has instructions for it: without them it takes many times as long."""
    return ["fp32", *(["bf16"] if multiplies_bfloat16(torch.device("cpu")) else [])]
