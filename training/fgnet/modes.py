"""How a network's trunk learns: from scratch at any size, frozen, or fine-tuned from SAM2's weights."""

from __future__ import annotations

import json
import math
from argparse import ArgumentTypeError
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint as recomputed

from .config import TRUNKS, FGNetConfig, TrunkConfig, preset
from .containers import CheckpointFileError
from .importer import read_image_encoder
from .model import FGNet

MODES = ("scratch", "frozen", "finetune")
ENCODER = ("trunk.", "neck.")


def parameter_groups(
    model: FGNet, mode: str, rate: float, decay: float, trunk_factor: float = 0.1, layer_decay: float = 0.9
) -> list[dict[str, Any]]:
    """Groups for AdamW. No weight decay for vectors and position embeddings.

    In `finetune` mode the image encoder learns at `trunk_factor` of the rate, less by `layer_decay` per block of depth
    (position embeddings excepted, as SAM2's own fine-tuning has it). In `frozen` mode it is in no group.
    """
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    layers = len(model.trunk.blocks) + 1
    for name, parameter in model.named_parameters():
        factor = 1.0
        if name.startswith(ENCODER):
            if mode == "frozen":
                parameter.requires_grad_(False)
                continue
            if mode == "finetune":
                layer = int(name.split(".")[2]) + 1 if name.startswith("trunk.blocks.") else 0
                exempt = "pos_embed" in name or not name.startswith("trunk.")
                factor = trunk_factor * layer_decay ** (0 if exempt else layers - layer)
        plain = parameter.ndim < 2 or "pos_embed" in name
        groups.setdefault((factor, 0.0 if plain else decay), []).append(parameter)
    return [
        {"params": parameters, "lr": rate * factor, "factor": factor, "weight_decay": weight_decay}
        for (factor, weight_decay), parameters in groups.items()
    ]


def load_encoder(model: FGNet, path: Path) -> None:
    """Weights of SAM2's image encoder from a checkpoint in any format that `fgnet-import` reads, or from its output."""
    encoder = read_image_encoder(path)
    if model.config.trunk != encoder.trunk:
        raise CheckpointFileError(f"{path}: is SAM2's {encoder.size}, but the network's trunk is of another size")
    own = {key: value for key, value in model.state_dict().items() if key.startswith(ENCODER)}
    lacking = own.keys() - encoder.state.keys()
    if lacking:
        raise CheckpointFileError(f"{path}: has nothing for {sorted(lacking)[0]} of the network")
    model.load_state_dict({key: encoder.state[key].reshape(value.shape) for key, value in own.items()}, strict=False)


def initialise_trunk(model: FGNet) -> None:
    """Small random weights, as vision transformers start from."""
    for name, parameter in model.trunk.named_parameters():
        if "pos_embed" in name or (parameter.ndim == 2):
            nn.init.trunc_normal_(parameter, std=0.02)


def prepare_trunk(model: FGNet, mode: str, recompute: bool = False, drop_path: float = 0.0) -> None:
    """Frozen: nothing of the trunk is recorded for a backward pass. Else, per block: with `recompute`, activations are
    computed again in the backward pass and not kept; with `drop_path`, a section skips the last block with that chance,
    earlier blocks with less.
    """
    trunk = model.trunk
    if mode == "frozen":
        trunk.forward = torch.no_grad()(trunk.forward)
        return
    for index, block in enumerate(trunk.blocks):
        if recompute:
            block.forward = recomputing(block.forward)
        chance = drop_path * index / max(len(trunk.blocks) - 1, 1)
        if chance > 0:
            block.forward = skipping(block, block.forward, chance)


def recomputing(forward: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    def wrapped(tokens: Tensor) -> Tensor:
        return recomputed(forward, tokens, use_reentrant=False) if torch.is_grad_enabled() else forward(tokens)

    return wrapped


def skipping(block: nn.Module, forward: Callable[[Tensor], Tensor], chance: float) -> Callable[[Tensor], Tensor]:
    """Stochastic depth for both branches of a block together; blocks that change the shape are never skipped."""

    def wrapped(tokens: Tensor) -> Tensor:
        output = forward(tokens)
        if not block.training or output.shape != tokens.shape:
            return output
        kept = torch.rand(len(tokens), 1, 1, 1, device=tokens.device) >= chance
        return tokens + (output - tokens) * (kept / (1 - chance))

    return wrapped


def trunk_option(text: str) -> str | TrunkConfig:
    """A value of `--trunk`: a name of `TRUNKS`, or a trunk of one's own as JSON in the words of a weights file."""
    if text in TRUNKS:
        return text
    try:
        given = {key: tuple(item) if isinstance(item, list) else item for key, item in json.loads(text).items()}
        trunk = TrunkConfig(**{"in_chans": 1, "window_pos_embed_bkg_spatial_size": None, **given})
        numbers = (trunk.embed_dim, trunk.num_heads, *trunk.stages, *trunk.window_spec)
        usable = len(trunk.stages) == len(trunk.window_spec) == 4 and trunk.q_pool == 3 and trunk.in_chans in (1, 3)
        if not usable or not all(type(number) is int and number > 0 for number in numbers):
            raise ValueError("needed are four stages and windows of positive integers, q_pool 3, in_chans 1 or 3")
        if trunk.embed_dim % trunk.num_heads:
            raise ValueError("embed_dim is no multiple of num_heads")
        with torch.device("meta"):
            FGNet(own_config(trunk))
    except (ValueError, TypeError, AttributeError, RuntimeError) as error:
        names = ", ".join(sorted(TRUNKS))
        raise ArgumentTypeError(f"{text!r} is none of {names} and no JSON description of a trunk: {error}") from error
    return trunk


def own_config(trunk: TrunkConfig) -> FGNetConfig:
    """The default network around a trunk. Where nothing reaches over windows, tiles at the alignment are exact."""
    alignment = 32
    if not trunk.global_att_blocks and trunk.window_pos_embed_bkg_spatial_size is None:
        for stage, depth in enumerate(trunk.stages):
            stride = 4 * 2**stage
            if stage:  # the first block of a stage works on the stage before, with its window
                alignment = math.lcm(alignment, stride // 2 * trunk.window_spec[stage - 1])
            if depth > (stage > 0):
                alignment = math.lcm(alignment, stride * trunk.window_spec[stage])
    return replace(preset("nano"), trunk=trunk, alignment=alignment if alignment <= 4096 else 32)
