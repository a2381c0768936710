"""Trunk and neck against the `sam2` package, and against the official checkpoints' keys."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from fgnet.config import TRUNKS
from fgnet.goldens import INPUT_SEED, WEIGHTS_SEED
from fgnet.neck import ImageEncoder, Neck
from fgnet.seeded import seeded_input, seeded_state
from fgnet.trunk import Hiera

# Our names of the sizes, and those of the package's configurations.
SAM2_SIZES = {"tiny": "t", "small": "s", "base_plus": "b+", "large": "l"}


def sam2_image_encoder(name: str) -> nn.Module:
    """The image encoder of the `sam2` package, made from the package's own configuration of this size."""
    yaml = pytest.importorskip("yaml")
    image_encoder = pytest.importorskip("sam2.modeling.backbones.image_encoder")
    hieradet = pytest.importorskip("sam2.modeling.backbones.hieradet")
    encoding = pytest.importorskip("sam2.modeling.position_encoding")
    file = Path(image_encoder.__file__).parents[2] / "configs" / "sam2.1" / f"sam2.1_hiera_{SAM2_SIZES[name]}.yaml"
    config = yaml.safe_load(file.read_text())["model"]["image_encoder"]

    def options(part: dict[str, Any]) -> dict[str, Any]:
        return {key: value for key, value in part.items() if key != "_target_"}

    neck = options(config["neck"])
    neck["position_encoding"] = encoding.PositionEmbeddingSine(**options(neck["position_encoding"]))
    trunk = hieradet.Hiera(**options(config["trunk"]))
    return image_encoder.ImageEncoder(trunk, image_encoder.FpnNeck(**neck), config["scalp"]).eval()


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("name", "shapes"),
    [
        ("tiny", [(224, 224), (160, 160), (96, 160), (1024, 1024)]),
        ("small", [(224, 224), (160, 160)]),
        ("base_plus", [(224, 224), (160, 160)]),
        ("large", [(256, 256), (160, 160)]),
    ],
)
def test_equals_sam2(name: str, shapes: list[tuple[int, int]]) -> None:
    """Trunk and neck, on the weights and the inputs of the goldens."""
    reference = sam2_image_encoder(name)
    encoder = ImageEncoder(TRUNKS[name]).eval()
    state = seeded_state({key: value.shape for key, value in encoder.state_dict().items()}, WEIGHTS_SEED)
    encoder.load_state_dict(state)
    reference.load_state_dict(state)
    levels: list[Tensor] = []
    for model in (encoder, reference):
        model.trunk.register_forward_hook(lambda _module, _inputs, outputs: levels.extend(outputs))
    for shape in shapes:
        image = seeded_input((2 if max(shape) < 1024 else 1, 3, *shape), INPUT_SEED)
        with torch.inference_mode():
            levels.clear()
            features, expected = encoder(image), reference(image)
        ours_and_theirs = zip(levels[:4] + features, levels[4:] + expected["backbone_fpn"], strict=True)
        for ours, theirs in ours_and_theirs:
            torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-6)
        torch.testing.assert_close(features[-1], expected["vision_features"], rtol=0, atol=1e-6)


@pytest.mark.parametrize("name", SAM2_SIZES)
def test_keys_and_shapes_of_checkpoints(name: str, request: pytest.FixtureRequest) -> None:
    folder = request.config.getoption("--sam2-manifests") or os.environ.get("FGNET_SAM2_MANIFESTS")
    if not folder:
        pytest.skip("needs --sam2-manifests or FGNET_SAM2_MANIFESTS")
    entries = json.loads((Path(folder) / f"sam2.1_hiera_{name}.json").read_text())
    prefix = "image_encoder."
    expected = {e["key"].removeprefix(prefix): tuple(e["shape"]) for e in entries if e["key"].startswith(prefix)}
    with torch.device("meta"):
        encoder = ImageEncoder(TRUNKS[name])
    assert {key: tuple(value.shape) for key, value in encoder.state_dict().items()} == expected


@pytest.mark.parametrize(
    ("name", "trunk", "neck"),
    [
        ("tiny", 26_849_472, 369_664),
        ("small", 33_947_328, 369_664),
        ("base_plus", 68_675_712, 431_104),
        ("large", 212_149_296, 553_984),
    ],
)
def test_parameter_count(name: str, trunk: int, neck: int) -> None:
    with torch.device("meta"):
        encoder = ImageEncoder(TRUNKS[name])
    assert sum(parameter.numel() for parameter in encoder.trunk.parameters()) == trunk
    assert sum(parameter.numel() for parameter in encoder.neck.parameters()) == neck


def test_neck_adds_in_float32_when_the_network_runs_in_bfloat16() -> None:
    neck = Neck((1, 1, 1, 1), d_model=2).bfloat16()
    with torch.inference_mode():
        outputs = neck([torch.ones(1, 1, side, side, dtype=torch.bfloat16) for side in (8, 4, 2, 1)])
    assert [output.dtype for output in outputs] == [torch.bfloat16, torch.bfloat16, torch.float32, torch.bfloat16]


def test_nano_tiles_are_exact() -> None:
    """Windows of the default trunk never reach over a multiple of 128 pixels, but for the patch embedding's overlap."""
    torch.manual_seed(0)
    trunk = Hiera(TRUNKS["nano"]).eval()
    image = torch.randn(1, 1, 256, 128)
    with torch.inference_mode():
        whole = trunk(image)
        top = trunk(torch.cat([image[:, :, :132], image[:, :, :124]], 2))
    for ours, theirs in zip(whole, top):
        half = ours.shape[2] // 2
        torch.testing.assert_close(ours[:, :, :half], theirs[:, :, :half])
