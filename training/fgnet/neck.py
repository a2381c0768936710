"""The feature pyramid behind Hiera in SAM2's image encoder, and the image encoder as a whole.

Module names follow SAM2's checkpoints: with `image_encoder.` removed, `image_encoder.trunk.*` and
`image_encoder.neck.convs.*` of a checkpoint load into `ImageEncoder` as they are. What is easy to get wrong, and is
therefore covered by tests against the `sam2` package:

- the convolutions are numbered from coarse to fine, so `convs.0` belongs to stride 32 and `convs.3` to stride 4;
- only the levels in `fpn_top_down_levels` (counted from fine to coarse) take something from the next coarser one, so
  strides 4 and 8 are projections of the trunk's output alone;
- the next coarser level is repeated (nearest), not interpolated.

SAM2's sine position encodings are not here: they are computed beside the features and change none of them.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .config import TrunkConfig
from .trunk import Hiera

D_MODEL = 256
TOP_DOWN_LEVELS = (2, 3)


class Neck(nn.Module):
    """Maps at strides 4, 8, 16, 32 of the trunk's widths to maps of `d_model` channels."""

    def __init__(
        self, channels: tuple[int, ...], d_model: int = D_MODEL, top_down_levels: tuple[int, ...] = TOP_DOWN_LEVELS
    ) -> None:
        super().__init__()
        self.top_down_levels = top_down_levels
        self.convs = nn.ModuleList(
            nn.ModuleDict({"conv": nn.Conv2d(width, d_model, kernel_size=1)}) for width in reversed(channels)
        )

    def forward(self, maps: list[Tensor]) -> list[Tensor]:
        """Fine to coarse, as given."""
        outputs: list[Tensor] = []
        for level, (convolution, features) in reversed(list(enumerate(zip(reversed(self.convs), maps, strict=True)))):
            lateral = convolution["conv"](features)
            if outputs and level in self.top_down_levels:
                # SAM2 adds in float32 when the network runs in bfloat16.
                wide = torch.promote_types(lateral.dtype, torch.float32)
                lateral = lateral + F.interpolate(outputs[0].to(wide), scale_factor=2.0, mode="nearest")
            outputs.insert(0, lateral)
        return outputs


class ImageEncoder(nn.Module):
    """Trunk and neck. Keys `trunk.*` and `neck.convs.K.conv.weight|bias`."""

    def __init__(self, config: TrunkConfig) -> None:
        super().__init__()
        self.trunk = Hiera(config)
        self.neck = Neck(config.channels)

    def forward(self, image: Tensor) -> list[Tensor]:
        """(B, in_chans, H, W), H and W multiples of 32, to `backbone_fpn`: (B, 256, h, w) at strides 4, 8, 16.

        The last one is what SAM2 calls `vision_features`. Stride 32 only feeds stride 16 and is dropped ("scalp").
        """
        return self.neck(self.trunk(image))[:-1]
