"""Hiera, the image encoder of SAM2: a hierarchical vision transformer with windowed attention.

Module names follow SAM2's checkpoints, so `image_encoder.trunk.*` of a checkpoint loads here as it is. What is
easy to get wrong, and is therefore covered by tests against the `sam2` package:

- the first block of a stage still uses the window of the stage before (the "window lag");
- where the width changes, the shortcut is a projection of the *normalised* input;
- padding up to whole windows happens after the first norm, and padded tokens take part in the attention.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .config import TrunkConfig


def pool_tokens(tokens: Tensor) -> Tensor:
    """2 x 2 maximum of (B, H, W, C)."""
    return F.max_pool2d(tokens.permute(0, 3, 1, 2), 2).permute(0, 2, 3, 1)


class PatchEmbed(nn.Module):
    """(B, in_chans, H, W) to tokens (B, H/4, W/4, embed_dim)."""

    def __init__(self, in_chans: int, embed_dim: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(in_chans, embed_dim, 7, stride=4, padding=3)

    def forward(self, image: Tensor) -> Tensor:
        return self.proj(image).permute(0, 2, 3, 1)


class Attention(nn.Module):
    """Multi-head attention over all tokens of (B, H, W, dim); with `pooled`, queries are pooled 2 x 2 first."""

    def __init__(self, dim: int, dim_out: int, num_heads: int, pooled: bool) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.pooled = pooled
        self.qkv = nn.Linear(dim, 3 * dim_out)
        self.proj = nn.Linear(dim_out, dim_out)

    def heads(self, tokens: Tensor) -> Tensor:
        """(B, H, W, C) to (B, heads, H * W, C / heads)."""
        return tokens.flatten(1, 2).unflatten(-1, (self.num_heads, -1)).transpose(1, 2)

    def forward(self, tokens: Tensor) -> Tensor:
        query, key, value = self.qkv(tokens).chunk(3, dim=-1)
        if self.pooled:
            query = pool_tokens(query)
        shape = query.shape
        mixed = F.scaled_dot_product_attention(self.heads(query), self.heads(key), self.heads(value))
        return self.proj(mixed.transpose(1, 2).reshape(shape))


class MLP(nn.Module):
    """Linear, GELU, Linear; keys `layers.0`, `layers.1`."""

    def __init__(self, dim: int, hidden: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(dim, hidden), nn.Linear(hidden, dim)])

    def forward(self, tokens: Tensor) -> Tensor:
        return self.layers[1](F.gelu(self.layers[0](tokens)))


class Block(nn.Module):
    """One transformer block: (B, H, W, dim) to (B, H, W, dim_out), or half H and W where `pooled`."""

    def __init__(self, dim: int, dim_out: int, num_heads: int, window: int, pooled: bool) -> None:
        super().__init__()
        self.window = window
        self.pooled = pooled
        self.norm1 = nn.LayerNorm(dim, eps=1e-6)
        self.attn = Attention(dim, dim_out, num_heads, pooled)
        self.norm2 = nn.LayerNorm(dim_out, eps=1e-6)
        self.mlp = MLP(dim_out, 4 * dim_out)
        self.proj = nn.Linear(dim, dim_out) if dim != dim_out else None

    def windowed_attention(self, tokens: Tensor) -> Tensor:
        """Attention within windows; the bottom and right are padded with zeros up to whole windows."""
        if self.window == 0:
            return self.attn(tokens)
        batch, height, width, _ = tokens.shape
        size = self.window
        padded = F.pad(tokens, (0, 0, 0, -width % size, 0, -height % size))
        rows, columns = padded.shape[1] // size, padded.shape[2] // size
        windows = padded.unflatten(2, (columns, size)).unflatten(1, (rows, size)).transpose(2, 3)
        mixed = self.attn(windows.flatten(0, 2))
        if self.pooled:
            height, width = height // 2, width // 2
        grid = mixed.unflatten(0, (batch, rows, columns)).transpose(2, 3).flatten(3, 4).flatten(1, 2)
        return grid[:, :height, :width]

    def forward(self, tokens: Tensor) -> Tensor:
        normed = self.norm1(tokens)
        shortcut = tokens if self.proj is None else self.proj(normed)
        if self.pooled:
            shortcut = pool_tokens(shortcut)
        tokens = shortcut + self.windowed_attention(normed)
        return tokens + self.mlp(self.norm2(tokens))


class Hiera(nn.Module):
    """The trunk. Input (B, in_chans, H, W), H and W multiples of 32; outputs at strides 4, 8, 16, 32."""

    def __init__(self, config: TrunkConfig) -> None:
        super().__init__()
        self.patch_embed = PatchEmbed(config.in_chans, config.embed_dim)
        background = config.window_pos_embed_bkg_spatial_size
        self.pos_embed = nn.Parameter(torch.zeros(1, config.embed_dim, *background)) if background else None
        self.pos_embed_window = nn.Parameter(torch.zeros(1, config.embed_dim, *config.pos_embed_window))
        self.blocks = nn.ModuleList()
        self.stage_ends: list[int] = []
        dim, heads = config.embed_dim, config.num_heads
        for stage, depth in enumerate(config.stages):
            for position in range(depth):
                index = len(self.blocks)
                enters = position == 0 and stage > 0
                window = 0 if index in config.global_att_blocks else config.window_spec[stage - enters]
                dim_out = dim * 2 if enters else dim
                heads = heads * 2 if enters else heads
                pooled = enters and stage <= config.q_pool
                self.blocks.append(Block(dim, dim_out, heads, window, pooled))
                dim = dim_out
            self.stage_ends.append(len(self.blocks) - 1)

    def position(self, height: int, width: int) -> Tensor:
        """The position embedding (1, height, width, embed_dim) of a grid of tokens."""
        _, _, rows, columns = self.pos_embed_window.shape
        embedding = self.pos_embed_window.tile(1, 1, height // rows, width // columns)
        if self.pos_embed is not None:
            background = F.interpolate(self.pos_embed, size=(height, width), mode="bicubic", align_corners=False)
            embedding = background + embedding
        return embedding.permute(0, 2, 3, 1)

    def forward(self, image: Tensor) -> list[Tensor]:
        tokens = self.patch_embed(image)
        tokens = tokens + self.position(tokens.shape[1], tokens.shape[2])
        outputs = []
        for index, block in enumerate(self.blocks):
            tokens = block(tokens)
            if index in self.stage_ends:
                outputs.append(tokens.permute(0, 3, 1, 2))
        return outputs
