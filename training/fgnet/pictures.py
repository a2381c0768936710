"""A picture of what a network makes of one section: A_s, A_r, fragments, segments, and where it stands in the stack.

`--without-image` leaves the section itself out, for data whose pictures may not be passed on.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from skimage.io import imsave

from .layers import up
from .model import FGNet
from .predict import load_model, padded
from .segment import contacts, fragments, merges, segment_of_fragment
from .volumes import normalised, read_volume

GAP = 6


@torch.inference_mode()
def both_maps(model: FGNet, volume: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A_s and A_r of all sections, uint8 (3, z, y, x)."""
    _, height, width = volume.shape
    logits = model(torch.from_numpy(padded(normalised(volume), model.config.alignment))[None])
    coarse = up(logits.coarse[0, :3].transpose(0, 1)).transpose(0, 1)
    maps = [torch.sigmoid(part[..., :height, :width]) for part in (coarse, logits.refined[0, :3])]
    coarse, refined = ((part * 255).round().to(torch.uint8).numpy() for part in maps)
    return coarse, refined


def boundaries(values: np.ndarray, z: int) -> np.ndarray:
    """Boundaries dark, and what goes on into the section below in colour: rgb (y, x, 3) of affinities (3, z, y, x)."""
    inside = (values[1, z].astype(np.float32) + values[2, z]) / 2
    return np.stack([inside, inside, np.minimum(inside, values[0, z])], -1).astype(np.uint8)


def colours(labels: np.ndarray) -> np.ndarray:
    """A colour for each label, the same in every picture."""
    hashed = labels.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    parts = [(hashed >> np.uint64(shift)) & np.uint64(0xFF) for shift in (56, 48, 40)]
    return (64 + np.stack(parts, -1) * 191 // 255).astype(np.uint8)


def outlined(picture: np.ndarray, labels: np.ndarray) -> np.ndarray:
    out = picture.copy()
    edge = np.zeros(labels.shape, bool)
    edge[1:] |= labels[1:] != labels[:-1]
    edge[:, 1:] |= labels[:, 1:] != labels[:, :-1]
    out[edge] = 0
    return out


def panels(
    model: FGNet, volume: np.ndarray, z: int, threshold: float, window: tuple[slice, slice], with_image: bool
) -> np.ndarray:
    coarse, refined = both_maps(model, volume)
    parts = fragments(refined)
    joined = segment_of_fragment(int(parts.max()), merges(contacts(parts, refined), "maxima"), threshold)
    segments = joined[parts]
    shown = [boundaries(coarse, z), boundaries(refined, z), outlined(colours(parts[z]), parts[z]), colours(segments[z])]
    if with_image:
        image = volume[z].astype(np.float32) * (255 / np.iinfo(volume.dtype).max)
        grey = np.repeat(image[..., None], 3, -1)
        shown[3] = (0.55 * grey + 0.45 * shown[3]).astype(np.uint8)
        shown.insert(0, grey.astype(np.uint8))
    cut = [panel[window] for panel in shown]
    white = np.full((cut[0].shape[0], GAP, 3), 255, np.uint8)
    return np.concatenate([piece for panel in cut for piece in (panel, white)][:-1], 1)


def main(arguments: list[str] | None = None) -> None:
    parse = argparse.ArgumentParser(prog="fgnet-picture", description=__doc__)
    parse.add_argument("model", type=Path, help="weights file (.h5), checkpoint, or run folder")
    parse.add_argument("output", type=Path, help="PNG file")
    parse.add_argument("--image", required=True, help="volume, as fgnet-train takes it")
    parse.add_argument("--z", type=int, required=True, help="the section, counted in the volume")
    parse.add_argument("--at", type=int, nargs=2, action="append", metavar=("Y", "X"), help="corner of a crop; repeats")
    parse.add_argument("--size", type=int, default=256, help="side of the crops")
    parse.add_argument("--threshold", type=float, default=0.3, help="of agglomeration (mean of maxima)")
    parse.add_argument("--without-image", action="store_true")
    options = parse.parse_args(arguments)
    volume, model = read_volume(options.image), load_model(options.model)
    rows = []
    for y, x in options.at or [(0, 0)]:
        window = (slice(y, y + options.size), slice(x, x + options.size))
        rows.append(panels(model, volume, options.z, options.threshold, window, not options.without_image))
    imsave(options.output, np.concatenate([np.pad(row, ((0, GAP), (0, 0), (0, 0)), constant_values=255) for row in rows]))


if __name__ == "__main__":
    main()
