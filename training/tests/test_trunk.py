"""The trunk against the `sam2` package, and against the official checkpoints' keys."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
import torch

from fgnet.config import TRUNKS
from fgnet.trunk import Hiera

SAM2_SIZES = ["tiny", "small", "base_plus", "large"]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", ["tiny", "large"])
@pytest.mark.parametrize("shape", [(224, 224), (160, 160), (96, 160)])
def test_equals_sam2(name: str, shape: tuple[int, int]) -> None:
    hieradet = pytest.importorskip("sam2.modeling.backbones.hieradet")
    config = TRUNKS[name]
    torch.manual_seed(0)
    reference = hieradet.Hiera(
        embed_dim=config.embed_dim,
        num_heads=config.num_heads,
        stages=config.stages,
        window_spec=config.window_spec,
        global_att_blocks=config.global_att_blocks,
        window_pos_embed_bkg_spatial_size=config.window_pos_embed_bkg_spatial_size,
    ).eval()
    for parameter in reference.parameters():
        torch.nn.init.normal_(parameter, std=0.05)
    trunk = Hiera(config).eval()
    trunk.load_state_dict(reference.state_dict())
    image = torch.randn(2, 3, *shape)
    with torch.inference_mode():
        for ours, theirs in zip(trunk(image), reference(image), strict=True):
            torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", SAM2_SIZES)
def test_keys_and_shapes_of_checkpoints(name: str, request: pytest.FixtureRequest) -> None:
    folder = request.config.getoption("--sam2-manifests") or os.environ.get("FGNET_SAM2_MANIFESTS")
    if not folder:
        pytest.skip("needs --sam2-manifests or FGNET_SAM2_MANIFESTS")
    entries = json.loads((Path(folder) / f"sam2.1_hiera_{name}.json").read_text())
    prefix = "image_encoder.trunk."
    expected = {e["key"].removeprefix(prefix): tuple(e["shape"]) for e in entries if e["key"].startswith(prefix)}
    with torch.device("meta"):
        trunk = Hiera(TRUNKS[name])
    assert {key: tuple(value.shape) for key, value in trunk.state_dict().items()} == expected


@pytest.mark.parametrize(
    ("name", "parameters"),
    [("tiny", 26_849_472), ("small", 33_947_328), ("base_plus", 68_675_712), ("large", 212_149_296)],
)
def test_parameter_count(name: str, parameters: int) -> None:
    with torch.device("meta"):
        assert sum(parameter.numel() for parameter in Hiera(TRUNKS[name]).parameters()) == parameters


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
