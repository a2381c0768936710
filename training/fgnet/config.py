"""Architecture of a network, as stored (JSON) in checkpoints and weights files."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from typing import Any

Offset = tuple[int, int, int]

DIRECT_OFFSETS: tuple[Offset, ...] = ((1, 0, 0), (0, 1, 0), (0, 0, 1))
AUXILIARY_OFFSETS: tuple[Offset, ...] = (
    (2, 0, 0), (0, 3, 0), (0, 0, 3), (0, 9, 0), (0, 0, 9), (0, 27, 0), (0, 0, 27),
)  # fmt: skip


@dataclass(frozen=True)
class TrunkConfig:
    """A Hiera image encoder. Stage i has `embed_dim * 2**i` channels and `num_heads * 2**i` heads."""

    embed_dim: int
    num_heads: int
    stages: tuple[int, ...]
    window_spec: tuple[int, ...]
    global_att_blocks: tuple[int, ...] = ()
    q_pool: int = 3
    in_chans: int = 3
    window_pos_embed_bkg_spatial_size: tuple[int, int] | None = (7, 7)
    pos_embed_window: tuple[int, int] = (8, 8)

    @property
    def channels(self) -> tuple[int, ...]:
        """Channels of the four outputs, strides 4, 8, 16, 32."""
        return tuple(self.embed_dim * 2**stage for stage in range(len(self.stages)))


TRUNKS: dict[str, TrunkConfig] = {
    "nano": TrunkConfig(32, 1, (1, 2, 4, 1), (8, 8, 8, 8), in_chans=1, window_pos_embed_bkg_spatial_size=None),
    "tiny": TrunkConfig(96, 1, (1, 2, 7, 2), (8, 4, 14, 7), (5, 7, 9)),
    "small": TrunkConfig(96, 1, (1, 2, 11, 2), (8, 4, 14, 7), (7, 10, 13)),
    "base_plus": TrunkConfig(
        112, 2, (2, 3, 16, 3), (8, 4, 14, 7), (12, 16, 20), window_pos_embed_bkg_spatial_size=(14, 14)
    ),
    "large": TrunkConfig(144, 2, (2, 6, 36, 4), (8, 4, 16, 8), (23, 33, 43)),
}


@dataclass(frozen=True)
class FGNetConfig:
    """The whole network. Widths are per stride; `alignment` is what height and width must be multiples of."""

    trunk: TrunkConfig = TRUNKS["nano"]
    coarse_widths: dict[int, int] = field(default_factory=lambda: {32: 64, 16: 64, 8: 48, 4: 32, 2: 16})
    fge_widths: dict[int, int] = field(default_factory=lambda: {1: 32, 2: 48, 4: 64, 8: 96})
    offsets: tuple[Offset, ...] = DIRECT_OFFSETS
    context_radius: int = 5
    alignment: int = 128
    voxel_size_nm: tuple[float, float, float] = (30, 6, 6)
    normalisation: str = "clipped-mean-std"

    def with_offsets(self, offsets: tuple[Offset, ...]) -> FGNetConfig:
        return replace(self, offsets=offsets)

    def to_json(self) -> dict[str, Any]:
        """The `architecture` attribute of a weights file."""
        return {
            "trunk": asdict(self.trunk),
            "coarse": {"widths": {str(stride): width for stride, width in self.coarse_widths.items()}},
            "fge": {"widths": {str(stride): width for stride, width in self.fge_widths.items()}},
            "offsets": [list(offset) for offset in self.offsets],
            "context_radius": self.context_radius,
            "alignment": self.alignment,
            "voxel_size_nm": list(self.voxel_size_nm),
            "normalisation": self.normalisation,
        }

    @staticmethod
    def from_json(value: dict[str, Any]) -> FGNetConfig:
        trunk = {key: tuple(item) if isinstance(item, list) else item for key, item in value["trunk"].items()}
        return FGNetConfig(
            trunk=TrunkConfig(**trunk),
            coarse_widths={int(stride): width for stride, width in value["coarse"]["widths"].items()},
            fge_widths={int(stride): width for stride, width in value["fge"]["widths"].items()},
            offsets=tuple((z, y, x) for z, y, x in value["offsets"]),
            context_radius=value["context_radius"],
            alignment=value["alignment"],
            voxel_size_nm=tuple(value["voxel_size_nm"]),
            normalisation=value["normalisation"],
        )


def preset(trunk: str) -> FGNetConfig:
    """The default network around one of `TRUNKS`, with all offsets used in training."""
    return FGNetConfig(
        trunk=TRUNKS[trunk],
        offsets=DIRECT_OFFSETS + AUXILIARY_OFFSETS,
        alignment=128 if trunk == "nano" else 32,
    )
