"""Class-balanced cross entropy on affinity logits."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from .layers import up
from .model import Logits


def balanced_cross_entropy(logits: Tensor, target: Tensor, mask: Tensor) -> Tensor:
    """Mean over channels of the masked, class-balanced cross entropy. All tensors are (B, channels, D, H, W).

    Per channel, with f the fraction of connected voxels (kept within 0.05...0.95), the rarer class weighs as much
    as the other one does: negatives f / (1 - f) where f > 0.5, positives (1 - f) / f otherwise.
    """
    axes = (0, 2, 3, 4)
    known = mask.sum(axes, keepdim=True).clamp_min(1).float()
    positive = target & mask
    f = (positive.sum(axes, keepdim=True) / known).clamp(0.05, 0.95)
    on_positive = ((1 - f) / f).clamp_min(1)
    on_negative = (f / (1 - f)).clamp_min(1)
    weight = on_negative * mask + (on_positive - on_negative) * positive
    cross_entropy = F.softplus(logits.float()) - logits.float() * target
    present = mask.flatten(2).any(2).any(0).float()
    return ((weight * cross_entropy).sum(axes) / weight.sum(axes).clamp_min(1)).sum() / present.sum()


def total_loss(logits: Logits, target: Tensor, mask: Tensor, coarse_weight: float = 0.5) -> tuple[Tensor, Tensor]:
    """Refined and coarse loss added up, and the refined one alone."""
    refined = balanced_cross_entropy(logits.refined, target, mask)
    batch, _, depth = logits.coarse.shape[:3]
    upsampled = up(logits.coarse.transpose(1, 2).flatten(0, 1)).unflatten(0, (batch, depth)).transpose(1, 2)
    return refined + coarse_weight * balanced_cross_entropy(upsampled, target, mask), refined
