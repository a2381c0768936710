"""Layers that work on stacks of sections.

A stack is held as (B * D, C, H, W), sections of one stack next to each other. In channels-last memory order this is
the same memory as (B, C, D, H, W) channels-last, so a convolution in z needs no copy.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def up(maps: Tensor) -> Tensor:
    """Bilinear x 2 in y and x, half-pixel centres."""
    return F.interpolate(maps, scale_factor=2, mode="bilinear", align_corners=False)


class Conv(nn.Module):
    """A kz x k x k convolution with zero padding that keeps the size. Its weight is (o, i, kz, k, k)."""

    def __init__(self, inputs: int, outputs: int, kz: int, k: int, bias: bool = True) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(outputs, inputs, kz, k, k))
        self.bias = nn.Parameter(torch.zeros(outputs)) if bias else None
        nn.init.kaiming_normal_(self.weight, nonlinearity="relu")

    def forward(self, maps: Tensor, depth: int) -> Tensor:
        """(B * depth, i, H, W) to (B * depth, o, H, W)."""
        _, _, kz, k, _ = self.weight.shape
        if kz == 1:
            return F.conv2d(maps, self.weight[:, :, 0], self.bias, padding=k // 2)
        stacks = maps.permute(0, 2, 3, 1).unflatten(0, (-1, depth)).permute(0, 4, 1, 2, 3)
        mixed = F.conv3d(stacks, self.weight, self.bias, padding=(kz // 2, k // 2, k // 2))
        return mixed.permute(0, 2, 3, 4, 1).flatten(0, 1).permute(0, 3, 1, 2)


class ConvBN(nn.Module):
    """Convolution without bias, then BatchNorm over all sections and pixels."""

    def __init__(self, inputs: int, outputs: int, kz: int, k: int) -> None:
        super().__init__()
        self.conv = Conv(inputs, outputs, kz, k, bias=False)
        self.bn = nn.BatchNorm2d(outputs, momentum=0.05)

    def forward(self, maps: Tensor, depth: int) -> Tensor:
        return self.bn(self.conv(maps, depth))

    def folded(self) -> tuple[Tensor, Tensor]:
        """Weight and bias of the one convolution that this is at inference."""
        scale = self.bn.weight / torch.sqrt(self.bn.running_var + self.bn.eps)
        weight = self.conv.weight * scale[:, None, None, None, None]
        return weight.detach(), (self.bn.bias - self.bn.running_mean * scale).detach()


def conv_bn(inputs: int, outputs: int, kz: int, k: int, folded: bool) -> nn.Module:
    """A `ConvBN`, or the plain convolution it folds into."""
    return Conv(inputs, outputs, kz, k) if folded else ConvBN(inputs, outputs, kz, k)


class RS(nn.Module):
    """Residual block: 1 x 3 x 3, then kz x 3 x 3 with a shortcut around it."""

    def __init__(self, inputs: int, outputs: int, kz: int, folded: bool) -> None:
        super().__init__()
        self.conv0 = conv_bn(inputs, outputs, 1, 3, folded)
        self.conv1 = conv_bn(outputs, outputs, kz, 3, folded)

    def forward(self, maps: Tensor, depth: int) -> Tensor:
        first = torch.relu(self.conv0(maps, depth))
        return torch.relu(first + self.conv1(first, depth))


class FGA(nn.Module):
    """Feature-Guided Attention: coarse features G gate what is added to fine features F.

    F (N, f, H, W), G (N, g, H, W), U (N, 1, H, W) give (N, f, H, W).
    """

    def __init__(self, fine: int, guide: int, folded: bool) -> None:
        super().__init__()
        self.query = conv_bn(fine + guide + 1, fine // 2, 1, 1, folded)
        self.gate = Conv(fine // 2, 1, 1, 1)
        self.channel = Conv(fine + guide, fine, 1, 1)
        self.value = Conv(fine + guide, fine, 1, 1)
        self.gamma = nn.Parameter(torch.full((fine,), 0.1))

    def forward(self, fine: Tensor, guide: Tensor, unsure: Tensor, depth: int) -> Tensor:
        both = torch.cat([fine, guide], 1)
        query = torch.relu(self.query(torch.cat([both, unsure], 1), depth))
        gate = torch.sigmoid(self.gate(query, depth)) * torch.sigmoid(self.channel(both, depth))
        return fine + self.gamma[None, :, None, None] * gate * self.value(both, depth)
