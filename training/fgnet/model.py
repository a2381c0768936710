"""FGNet: a Hiera trunk, a coarse affinity decoder, a Fine-Grained Encoder guided by it, a refined decoder."""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .config import FGNetConfig
from .layers import FGA, RS, Conv, ConvBN, conv_bn, up
from .trunk import Hiera


class Logits(NamedTuple):
    """Affinity logits (B, offsets, D, H, W); `coarse` is at half the height and width of `refined`."""

    coarse: Tensor
    refined: Tensor


class CoarseDecoder(nn.Module):
    """Trunk outputs to guidance maps G at strides 8, 4, 2 and coarse logits at stride 2."""

    def __init__(self, config: FGNetConfig, folded: bool) -> None:
        super().__init__()
        widths = config.coarse_widths
        for channels, stride in zip(config.trunk.channels, (4, 8, 16, 32)):
            setattr(self, f"lateral{stride}", Conv(channels, widths[stride], 1, 1))
        for stride in (16, 8, 4, 2):
            setattr(self, f"red{stride}", Conv(widths[stride * 2], widths[stride], 1, 1))
        self.rs16 = RS(widths[16], widths[16], 1, folded)
        self.rs8 = RS(widths[8], widths[8], 3, folded)
        self.rs4 = RS(widths[4], widths[4], 1, folded)
        self.conv2 = conv_bn(widths[2], widths[2], 1, 3, folded)
        self.head = Conv(widths[2], len(config.offsets), 1, 1)

    def forward(self, trunk: list[Tensor], depth: int) -> tuple[dict[int, Tensor], Tensor]:
        t4, t8, t16, t32 = trunk
        g = torch.relu(self.lateral32(t32, depth))
        g = self.rs16(torch.relu(up(self.red16(g, depth)) + self.lateral16(t16, depth)), depth)
        g8 = self.rs8(torch.relu(up(self.red8(g, depth)) + self.lateral8(t8, depth)), depth)
        g4 = self.rs4(torch.relu(up(self.red4(g8, depth)) + self.lateral4(t4, depth)), depth)
        g2 = torch.relu(self.conv2(torch.relu(up(self.red2(g4, depth))), depth))
        return {8: g8, 4: g4, 2: g2}, self.head(g2, depth)


class FineGrainedEncoder(nn.Module):
    """The part of the encoder that sees full resolution; the attention between its levels is `FGNet.fga`."""

    def __init__(self, config: FGNetConfig, folded: bool) -> None:
        super().__init__()
        widths = config.fge_widths
        self.stem = Conv(1, widths[1], 1, 5)
        self.conv1 = conv_bn(widths[1], widths[1], 1, 3, folded)
        self.rs2 = RS(widths[1], widths[2], 3, folded)
        self.rs4 = RS(widths[2], widths[4], 3, folded)
        self.rs8 = RS(widths[4], widths[8], 3, folded)

    def first(self, image: Tensor, depth: int) -> Tensor:
        """F_1 from the normalised sections (N, 1, H, W)."""
        stem = torch.relu(self.stem(image, depth))
        return torch.relu(stem + self.conv1(stem, depth))


class RefinedDecoder(nn.Module):
    """Fine features at strides 1, 2, 4, 8 to refined logits at full resolution."""

    def __init__(self, config: FGNetConfig, folded: bool) -> None:
        super().__init__()
        widths = config.fge_widths
        for stride, kz in ((4, 3), (2, 3), (1, 1)):
            setattr(self, f"red{stride}", Conv(widths[stride * 2], widths[stride], 1, 1))
            setattr(self, f"rs{stride}", RS(widths[stride], widths[stride], kz, folded))
        self.head = Conv(widths[1], len(config.offsets), 1, 1)

    def forward(self, fine: dict[int, Tensor], depth: int) -> Tensor:
        d = fine[8]
        for stride in (4, 2, 1):
            reduced = up(getattr(self, f"red{stride}")(d, depth))
            d = getattr(self, f"rs{stride}")(torch.relu(reduced + fine[stride]), depth)
        return self.head(d, depth)


def unsureness(coarse: Tensor) -> dict[int, Tensor]:
    """Where the coarse map is unsure: 0 (sure) to 1, at strides 2, 4, 8; from logits (N, offsets, H/2, W/2)."""
    certain = (2 * torch.sigmoid(coarse[:, :3].detach()) - 1).abs()
    unsure = 1 - certain.mean(1, keepdim=True)
    return {2: unsure, 4: F.avg_pool2d(unsure, 2), 8: F.avg_pool2d(unsure, 4)}


class FGNet(nn.Module):
    """The network. With `folded`, every BatchNorm is already part of its convolution (inference only)."""

    def __init__(self, config: FGNetConfig, folded: bool = False) -> None:
        super().__init__()
        self.config = config
        self.trunk = Hiera(config.trunk)
        self.coarse = CoarseDecoder(config, folded)
        self.fge = FineGrainedEncoder(config, folded)
        self.fga = nn.ModuleDict(
            {str(s): FGA(config.fge_widths[s], config.coarse_widths[s], folded) for s in (2, 4, 8)}
        )
        self.refined = RefinedDecoder(config, folded)

    def forward(self, stacks: Tensor) -> Logits:
        """Normalised stacks (B, D, H, W); H and W multiples of `config.alignment`."""
        depth = stacks.shape[1]
        sections = stacks.flatten(0, 1)[:, None].contiguous(memory_format=torch.channels_last)
        trunk = self.trunk(sections.expand(-1, self.config.trunk.in_chans, -1, -1))
        guides, coarse = self.coarse(trunk, depth)
        unsure = unsureness(coarse)
        fine = {1: self.fge.first(sections, depth)}
        for stride in (2, 4, 8):
            block = getattr(self.fge, f"rs{stride}")
            encoded = block(F.max_pool2d(fine[stride // 2], 2), depth)
            fine[stride] = self.fga[str(stride)](encoded, guides[stride], unsure[stride], depth)
        refined = self.refined(fine, depth)
        return Logits(*(maps.unflatten(0, (-1, depth)).transpose(1, 2) for maps in (coarse, refined)))


def folded_state(model: FGNet) -> dict[str, Tensor]:
    """The tensors of a weights file: BatchNorm folded, keys without the inner `conv` and `bn`."""
    state: dict[str, Tensor] = {}
    for name, module in model.named_modules():
        if isinstance(module, ConvBN):
            state[f"{name}.weight"], state[f"{name}.bias"] = module.folded()
    for name, parameter in model.named_parameters():
        if ".conv.weight" not in name and ".bn." not in name:
            state[name] = parameter.detach()
    return state
