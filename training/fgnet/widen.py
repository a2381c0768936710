"""Start a wider network from a trained one (or a weights file of one).

The channels that were there keep their weights; new ones begin at random and nothing listens to them yet, so that the
wider network gives what the narrower one gave. A weights file has BatchNorm folded into its convolutions: it is taken
apart again with the statistics of a sample of sections.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from . import checkpoint
from .config import AUXILIARY_OFFSETS, DIRECT_OFFSETS, FGNetConfig
from .layers import Conv, ConvBN
from .model import FGNet
from .volumes import normalised, read_volume
from .weights import read_weights


def convolution_statistics(model: FGNet, stacks: Tensor) -> dict[str, tuple[Tensor, Tensor]]:
    """Mean and standard deviation per channel of what every convolution of a folded network gives."""
    found: dict[str, tuple[Tensor, Tensor]] = {}
    hooks = [
        module.register_forward_hook(
            lambda _, __, output, name=name: found.__setitem__(name, (output.mean((0, 2, 3)), output.std((0, 2, 3))))
        )
        for name, module in model.named_modules()
        if isinstance(module, Conv)
    ]
    with torch.no_grad():
        model(stacks)
    for hook in hooks:
        hook.remove()
    return found


def input_places(name: str, old: FGNetConfig, new: FGNetConfig, inputs: int) -> list[int]:
    """Where the inputs of a convolution of the old network are among those of the new one."""
    parts = name.split(".")
    if parts[0] != "fga" or parts[2] not in ("query", "channel", "value"):
        return list(range(inputs))
    stride = int(parts[1])  # [F; G] or [F; G; U]: G begins where F ends
    fine, guide = old.fge_widths[stride], old.coarse_widths[stride]
    moved = [new.fge_widths[stride] + place for place in range(guide)]
    unsure = [new.fge_widths[stride] + new.coarse_widths[stride]] if parts[2] == "query" else []
    return list(range(fine)) + moved + unsure


@torch.no_grad()
def widened(folded: FGNet, config: FGNetConfig, stacks: Tensor) -> FGNet:
    """A network of `config` (the trunk and all but the widths of the FGE as in `folded`) that gives what `folded` gives.

    `stacks` (1, D, H, W): normalised sections to take statistics from.
    """
    old = folded.config
    if config.trunk != old.trunk or config.coarse_widths != old.coarse_widths:
        raise ValueError("only the Fine-Grained Encoder can be widened")
    if any(config.fge_widths[stride] < width for stride, width in old.fge_widths.items()):
        raise ValueError("the new widths are narrower than the old ones")
    statistics = convolution_statistics(folded, stacks)
    model = FGNet(config)
    model.trunk.load_state_dict(folded.trunk.state_dict())
    known = dict(folded.named_modules())
    for name, module in model.named_modules():
        if name not in known or not isinstance(known[name], Conv):
            continue
        source, conv = known[name], module.conv if isinstance(module, ConvBN) else module
        outputs, inputs = source.weight.shape[:2]
        conv.weight[:outputs] = 0
        conv.weight[:outputs, input_places(name, old, config, inputs)] = source.weight
        if isinstance(module, ConvBN):
            mean, deviation = statistics[name]
            module.bn.weight[:outputs], module.bn.bias[:outputs] = deviation, mean
            module.bn.running_mean[:outputs] = mean - source.bias
            module.bn.running_var[:outputs] = deviation**2
        else:
            conv.bias[:outputs] = source.bias
            if name.endswith("head"):  # auxiliary offsets that the weights file did not keep
                nn.init.normal_(conv.weight[outputs:], std=0.05)
    for stride in ("2", "4", "8"):
        model.fga[stride].gamma[: old.fge_widths[int(stride)]] = folded.fga[stride].gamma
    settle_statistics(model, stacks)
    return model


@torch.no_grad()
def settle_statistics(model: FGNet, stacks: Tensor, passes: int = 8) -> None:
    """Brings the running statistics of all BatchNorms to those of the sample."""
    norms = [module for module in model.modules() if isinstance(module, nn.BatchNorm2d)]
    usual = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = 0.5
    model.train()
    for _ in range(passes):
        model(stacks)
    model.eval()
    for norm, momentum in zip(norms, usual):
        norm.momentum = momentum


def main(arguments: list[str] | None = None) -> None:
    parse = argparse.ArgumentParser(prog="fgnet-widen", description=__doc__)
    parse.add_argument("source", type=Path, help="weights file (.h5)")
    parse.add_argument("output", type=Path, help="folder for the checkpoint; go on with fgnet-train --start")
    parse.add_argument("--image", required=True, help="sections to take statistics from, as fgnet-train takes them")
    parse.add_argument("--fge", type=int, nargs=4, required=True, metavar="WIDTH", help="widths at strides 1, 2, 4, 8")
    parse.add_argument("--seed", type=int, default=0, help="of the new channels")
    options = parse.parse_args(arguments)
    torch.manual_seed(options.seed)
    folded = read_weights(options.source)
    config = replace(
        folded.config, fge_widths=dict(zip((1, 2, 4, 8), options.fge)), offsets=DIRECT_OFFSETS + AUXILIARY_OFFSETS
    )
    sections = normalised(read_volume(options.image)[:12])
    side = folded.config.alignment * 2
    middle = tuple(slice(max(0, (size - side) // 2), max(0, (size - side) // 2) + side) for size in sections.shape[1:])
    sample = torch.from_numpy(np.ascontiguousarray(sections[:, *middle]))[None]
    state = widened(folded, config, sample).state_dict()
    checkpoint.save(options.output, {
        "architecture": config.to_json(), "model": state, "ema": {key: value.clone() for key, value in state.items()},
        "optimiser": {"param_groups": [], "state": {}}, "step": 0, "elapsed": 0.0, "rate_factor": 1.0,
        "seeds": [options.seed],
    })  # fmt: skip


if __name__ == "__main__":
    main()
