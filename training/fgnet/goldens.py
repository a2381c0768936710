"""Golden activations for other implementations of the network: `python -m fgnet.goldens FOLDER`.

The files hold outputs only. Weights and inputs come from `fgnet.seeded`; the README's section "Goldens" says how.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import torch
from torch import Tensor, nn

from .config import TRUNKS, FGNetConfig, TrunkConfig, preset
from .model import FGNet
from .neck import D_MODEL, TOP_DOWN_LEVELS, ImageEncoder
from .seeded import centred, seeded_input, seeded_state
from .volumes import section_statistics
from .weights import write_weights

SAMPLES = 2048
WEIGHTS_SEED, INPUT_SEED = 1, 2
# A side at which most windows are padded, the one SAM2 was trained at, and those at which no window is padded.
PADDED_SIDE, TRAINING_SIDE = 160, 1024
WHOLE_SIDE = {"tiny": 224, "small": 224, "base_plus": 224, "large": 256}

MICRO = FGNetConfig(
    trunk=TrunkConfig(8, 1, (1, 1, 2, 1), (8, 4, 14, 7), (3,)),
    coarse_widths={32: 12, 16: 12, 8: 8, 4: 8, 2: 4},
    fge_widths={1: 4, 2: 6, 4: 8, 8: 12},
    alignment=32,
)
CARD = {"name": "micro", "training_data": "none (random weights)", "licence": "CC0-1.0"}
ENCODER_FORMAT = "fgnet-image-encoder-1"


@dataclass(frozen=True)
class Case:
    """A network (or an image encoder alone) and the shape of its input: (D, H, W), or (1, 3, H, W) for an encoder."""

    name: str
    config: FGNetConfig | TrunkConfig
    shape: tuple[int, ...]
    # Every module's output and the beginnings of the weights; else the outputs of an encoder's stages and neck only.
    detailed: bool = True


NANO = replace(preset("nano"), offsets=MICRO.offsets)
CASES = (
    Case("nano-7x128x128", NANO, (7, 128, 128)),
    Case("nano-3x128x256", NANO, (3, 128, 256)),
    Case("micro-3x96x160", MICRO, (3, 96, 160)),
    *(
        Case(f"encoder-{size}-{side}x{side}", TRUNKS[size], (1, 3, side, side), side == PADDED_SIDE)
        for size, whole in WHOLE_SIDE.items()
        for side in (PADDED_SIDE, whole, TRAINING_SIDE)
    ),
)


def sampled(values: np.ndarray) -> np.ndarray:
    """All elements of a small array in row-major order; of a large one one out of each of SAMPLES equal parts.

    Which one is drawn: parts are often a multiple of a map's width, and then a fixed place would be one column only.
    """
    flat = values.reshape(-1)
    if flat.size <= SAMPLES:
        return flat
    # In integers: k + t in units of 2**-24.
    places = (np.arange(SAMPLES) << 24) + ((centred(0, 0, SAMPLES) + 0.5) * 2**24).astype(np.int64)
    return flat[(places * flat.size // SAMPLES) >> 24]


def write_output(group: h5py.Group, key: str, output: Tensor) -> None:
    values = output.detach().numpy()
    dataset = group.create_dataset(key, data=sampled(values).astype(np.float32))
    dataset.attrs["shape"] = values.shape
    dataset.attrs["mean"], dataset.attrs["std"] = values.mean(), values.std()


def recorded(model: nn.Module, pattern: tuple[str, ...]) -> dict[str, Tensor]:
    """A dictionary that fills with the outputs of the modules under these prefixes as the model runs."""
    outputs: dict[str, Tensor] = {}
    for name, module in model.named_modules():
        if name.rpartition(".")[0] in pattern:
            module.register_forward_hook(lambda _m, _i, output, key=name: outputs.__setitem__(key, output))
    return outputs


def run_network(config: FGNetConfig, shape: tuple[int, ...]) -> tuple[dict[str, torch.Size], dict[str, Tensor]]:
    """Shapes of the weights, and what each module gives. Sections are (D, C, H, W), tokens (D, H, W, C)."""
    model = FGNet(config, folded=True)
    shapes = {key: value.shape for key, value in model.state_dict().items()}
    model.load_state_dict(seeded_state(shapes, WEIGHTS_SEED))
    model = model.double().eval()
    outputs = recorded(model, ("trunk", "trunk.blocks", "coarse", "fge", "fga", "refined"))
    unsure: dict[str, Tensor] = {}
    for stride, block in model.fga.items():
        block.register_forward_pre_hook(lambda _m, inputs, key=f"U_{stride}": unsure.__setitem__(key, inputs[2]))
    with torch.no_grad():
        logits = model(seeded_input(shape, INPUT_SEED)[None].double())
    outputs |= unsure
    outputs["F_1"] = torch.relu(torch.relu(outputs["fge.stem"]) + outputs["fge.conv1"])
    outputs["G_2"] = torch.relu(outputs["coarse.conv2"])
    depth, height, width = shape
    coarse = nn.functional.interpolate(logits.coarse[0].transpose(0, 1), (height, width), mode="bilinear")
    outputs["A_s"], outputs["A_r"] = torch.sigmoid(coarse).transpose(0, 1), torch.sigmoid(logits.refined[0])
    return shapes, outputs


def run_encoder(case: Case) -> tuple[dict[str, torch.Size], dict[str, Tensor]]:
    """As `run_network`, for an image encoder; `neck.S` is its neck's output at stride S."""
    encoder = ImageEncoder(case.config)
    shapes = {key: value.shape for key, value in encoder.state_dict().items()}
    encoder.load_state_dict(seeded_state(shapes, WEIGHTS_SEED))
    encoder = encoder.double().eval()
    outputs = recorded(encoder, ("trunk", "trunk.blocks") if case.detailed else ())
    with torch.no_grad():
        levels = encoder.trunk(seeded_input(case.shape, INPUT_SEED).double())
        # The last block of a stage gives the trunk's output, but as (B, C, H, W).
        for end, level in zip(encoder.trunk.stage_ends, levels, strict=True):
            outputs[f"trunk.blocks.{end}"] = level.permute(0, 2, 3, 1)
        for stride, level in zip((4, 8, 16, 32), encoder.neck(levels), strict=True):
            outputs[f"neck.{stride}"] = level
        if case.detailed:
            outputs["trunk.position"] = encoder.trunk.position(case.shape[2] // 4, case.shape[3] // 4)
    return shapes, outputs


def encoder_architecture(config: TrunkConfig) -> dict[str, Any]:
    """The `architecture` attribute of an image encoder's weights file."""
    neck = {"d_model": D_MODEL, "fpn_top_down_levels": list(TOP_DOWN_LEVELS)}
    return {"trunk": asdict(config), "neck": neck}


def write_case(file: h5py.File, case: Case) -> None:
    group = file.create_group(case.name)
    if isinstance(case.config, FGNetConfig):
        shapes, outputs = run_network(case.config, case.shape)
        architecture = case.config.to_json()
    else:
        shapes, outputs = run_encoder(case)
        architecture = encoder_architecture(case.config)
    group.attrs["architecture"] = json.dumps(architecture)
    group.attrs["shape"] = case.shape
    group.attrs["weights_seed"], group.attrs["input_seed"] = WEIGHTS_SEED, INPUT_SEED
    weights, state = group.create_group("weights"), seeded_state(shapes, WEIGHTS_SEED)
    for key in sorted(shapes) if case.detailed else ():
        dataset = weights.create_dataset(key, data=state[key].flatten()[:4].numpy())
        dataset.attrs["shape"] = tuple(shapes[key])
    written = group.create_group("outputs")
    for key in sorted(outputs):
        write_output(written, key, outputs[key])


def write_normalisation(file: h5py.File) -> None:
    """Statistics of sections whose intensities are floor(maximum * t * t), t = u + 0.5."""
    group = file.create_group("normalisation")
    for dtype in (np.uint8, np.uint16):
        maximum = int(np.iinfo(dtype).max)
        t = centred(INPUT_SEED, 0, 96 * 160) + 0.5
        section = np.floor((maximum + 1) * t * t).astype(dtype).reshape(96, 160)
        mean, deviation = section_statistics(section)
        case = group.create_group(np.dtype(dtype).name)
        case.attrs["shape"] = section.shape
        case.attrs["mean"], case.attrs["std"] = mean / maximum, deviation / maximum


def write_encoder_weights(path: Path) -> None:
    """The weights file of an image encoder around the narrow trunk."""
    shapes = {key: value.shape for key, value in ImageEncoder(MICRO.trunk).state_dict().items()}
    state = seeded_state(shapes, WEIGHTS_SEED)
    with h5py.File(path, "w") as file:
        file.attrs["format"] = ENCODER_FORMAT
        file.attrs["architecture"] = json.dumps(encoder_architecture(MICRO.trunk))
        file.attrs["card"] = json.dumps(CARD)
        for key, value in state.items():
            file.create_dataset(key, data=value.numpy())


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="fgnet-goldens", description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--only", default="", help="write only the cases whose names contain this")
    options = parser.parse_args(arguments)
    folder = options.folder
    folder.mkdir(parents=True, exist_ok=True)
    for case in CASES:
        if options.only not in case.name:
            continue
        with h5py.File(folder / f"{case.name}.h5", "w") as file:
            write_case(file, case)
    if options.only:
        return
    with h5py.File(folder / "normalisation.h5", "w") as file:
        write_normalisation(file)
    write_encoder_weights(folder / "micro-encoder-weights.h5")
    shapes = {key: value.shape for key, value in FGNet(MICRO, folded=True).state_dict().items()}
    write_weights(folder / "micro-weights.h5", MICRO, seeded_state(shapes, WEIGHTS_SEED), CARD, {})


if __name__ == "__main__":
    main()
