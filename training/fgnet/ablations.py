"""What each part of the network is worth: variants without it, trained and scored in one way.

Every variant is trained from random weights with the same seeds, crops and number of steps, and scored on the same
sections at its own best threshold. Runs that are this short tell large effects from small ones, not more: two runs
that differ only in their seed differ too (`--seeds` shows by how much).
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from . import train
from .config import DIRECT_OFFSETS, FGNetConfig, preset
from .evaluate import sweep
from .layers import ConvBN, up
from .model import FGNet, Logits
from .predict import affinities
from .volumes import read_volume


class WithoutTrunk(FGNet):
    """Fine-Grained Encoder and refined decoder alone: a residual U-Net."""

    def forward(self, stacks: Tensor) -> Logits:
        depth = stacks.shape[1]
        sections = stacks.flatten(0, 1)[:, None].contiguous(memory_format=torch.channels_last)
        fine = {1: self.fge.first(sections, depth)}
        for stride in (2, 4, 8):
            fine[stride] = getattr(self.fge, f"rs{stride}")(nn.functional.max_pool2d(fine[stride // 2], 2), depth)
        refined = self.refined(fine, depth).unflatten(0, (-1, depth)).transpose(1, 2)
        return Logits(torch.zeros_like(refined[..., ::2, ::2]), refined)


class CoarseOnly(FGNet):
    """Trunk and coarse decoder alone: A_s, enlarged, is the result."""

    def forward(self, stacks: Tensor) -> Logits:
        depth = stacks.shape[1]
        sections = stacks.flatten(0, 1)[:, None].contiguous(memory_format=torch.channels_last)
        trunk = self.trunk(sections.expand(-1, self.config.trunk.in_chans, -1, -1))
        _, coarse = self.coarse(trunk, depth)
        return Logits(*(maps.unflatten(0, (-1, depth)).transpose(1, 2) for maps in (coarse, up(coarse))))


class Concatenation(nn.Module):
    """In place of FGA: fine and coarse features side by side, mixed by one 1 x 1 convolution."""

    def __init__(self, fine: int, guide: int) -> None:
        super().__init__()
        self.mix = ConvBN(fine + guide, fine, 1, 1)

    def forward(self, fine: Tensor, guide: Tensor, unsure: Tensor, depth: int) -> Tensor:
        return torch.relu(self.mix(torch.cat([fine, guide], 1), depth))


class WithConcatenation(FGNet):
    def __init__(self, config: FGNetConfig) -> None:
        super().__init__(config)
        for stride in (2, 4, 8):
            self.fga[str(stride)] = Concatenation(config.fge_widths[stride], config.coarse_widths[stride])


CROP = (10, 128, 128)

VARIANTS: dict[str, type[FGNet]] = {
    "final": FGNet,
    "without trunk": WithoutTrunk,
    "coarse decoder only": CoarseOnly,
    "concatenation in place of FGA": WithConcatenation,
    "without auxiliary offsets": FGNet,
}


class VariantTrainer(train.Trainer):
    """The trainer, on another network."""

    def __init__(self, arguments: argparse.Namespace, variant: str) -> None:
        self.variant = variant
        super().__init__(arguments)

    def new_config(self) -> FGNetConfig:
        config = preset("nano")
        return config.with_offsets(DIRECT_OFFSETS) if self.variant == "without auxiliary offsets" else config

    def network(self, config: FGNetConfig) -> FGNet:
        return VARIANTS[self.variant](config)


def averaged(trainer: VariantTrainer) -> FGNet:
    model = trainer.network(trainer.model.config)
    model.load_state_dict(trainer.average)
    return model.eval()


def run(options: argparse.Namespace, variant: str, seed: int, sources: list[Any]) -> dict[str, Any]:
    folder = options.output / f"{variant.replace(' ', '-')}-{seed}"
    arguments = train.parser().parse_args([
        "--output", str(folder), "--source", options.source[0], "--steps", str(options.steps),
        "--rate", str(options.rate), "--seed", str(seed), "--keep-minutes", "0", "--ema", "0.98",
        "--crop", *map(str, CROP),
    ])  # fmt: skip
    trainer = VariantTrainer(arguments, variant)
    trainer.run(sources, train.StopSignal())
    values = affinities(averaged(trainer), read_volume(options.image), bfloat16=True)
    truth = read_volume(options.labels)
    thresholds = [round(0.05 * step, 2) for step in range(2, 18)]
    best = min(sweep(values, truth, "maxima", thresholds), key=lambda record: record["voi"])
    return {"variant": variant, "seed": seed, "steps": trainer.step, "minutes": round(trainer.elapsed / 60, 1), **best}


def main(arguments: list[str] | None = None) -> None:
    parse = argparse.ArgumentParser(prog="fgnet-ablations", description=__doc__)
    parse.add_argument("--output", type=Path, required=True, help="folder for checkpoints")
    parse.add_argument("--source", action="append", required=True, help="as fgnet-train takes it")
    parse.add_argument("--image", required=True, help="validation volume")
    parse.add_argument("--labels", required=True, help="its labels")
    parse.add_argument("--steps", type=int, default=300)
    parse.add_argument("--rate", type=float, default=2e-3)
    parse.add_argument("--seeds", type=int, nargs="+", default=[1])
    parse.add_argument("--variants", nargs="+", choices=sorted(VARIANTS), default=list(VARIANTS))
    options = parse.parse_args(arguments)
    sources = train.load_sources(options.source, CROP)
    for seed in options.seeds:
        for variant in options.variants:
            print(json.dumps(run(options, variant, seed, sources)), flush=True)


if __name__ == "__main__":
    train.with_allocator("fgnet.ablations")
    main()
