"""Every variant is another network, trains, and is scored."""

import json
from pathlib import Path

import numpy as np
import pytest
import tifffile
import torch
from synthetic import cells

from fgnet import ablations
from fgnet.config import DIRECT_OFFSETS, FGNetConfig, TrunkConfig

TRUNK = TrunkConfig(8, 1, (1, 1, 1, 1), (8, 8, 8, 8), in_chans=1, window_pos_embed_bkg_spatial_size=None)
SMALL = FGNetConfig(
    trunk=TRUNK, coarse_widths={32: 8, 16: 8, 8: 6, 4: 6, 2: 4}, fge_widths={1: 4, 2: 6, 4: 8, 8: 10}, alignment=128,
    offsets=(*DIRECT_OFFSETS, (0, 0, 3)),
)  # fmt: skip


def test_every_variant_trains_and_is_scored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(ablations, "preset", lambda _: SMALL)
    monkeypatch.setattr(ablations, "CROP", (4, 128, 128))
    labels = np.tile(cells()[:6], (1, 4, 4))[:, :128, :128].astype(np.uint16)
    tifffile.imwrite(tmp_path / "labels.tif", labels, photometric="minisblack")
    tifffile.imwrite(tmp_path / "image.tif", (labels % 7 * 36).astype(np.uint8), photometric="minisblack")
    torch.set_num_threads(1)
    ablations.main([
        "--output", str(tmp_path / "runs"), "--source", f"{tmp_path}/image.tif,{tmp_path}/labels.tif",
        "--image", f"{tmp_path}/image.tif", "--labels", f"{tmp_path}/labels.tif", "--steps", "2",
    ])  # fmt: skip
    records = [json.loads(line) for line in capsys.readouterr().out.splitlines() if '"variant"' in line]
    assert [record["variant"] for record in records] == list(ablations.VARIANTS)
    assert all(record["steps"] == 2 and np.isfinite(record["voi"]) for record in records)


def test_variants_leave_out_what_they_say() -> None:
    torch.manual_seed(0)
    stacks = torch.randn(1, 3, 128, 128)
    for variant, absent in (("without trunk", "trunk."), ("coarse decoder only", "refined.")):
        model = ablations.VARIANTS[variant](SMALL).train()
        logits = model(stacks)
        assert logits.refined.shape == (1, 4, 3, 128, 128)
        (logits.refined.square().mean() + logits.coarse.square().mean()).backward()
        learning = [name for name, parameter in model.named_parameters() if parameter.grad is not None]
        assert learning and not any(name.startswith(absent) for name in learning)
