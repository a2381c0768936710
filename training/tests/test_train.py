"""Training: it learns, it goes on where it stopped, it anneals."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import tifffile
import torch
from synthetic import cells

from fgnet import checkpoint, evaluate, train
from fgnet.config import preset
from fgnet.data import Source, prefetched
from fgnet.goldens import MICRO
from fgnet.model import FGNet
from fgnet.modes import parameter_groups
from fgnet.train import schedule

torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def narrow_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """`train` makes a network that learns in seconds."""
    monkeypatch.setattr(train, "preset", lambda _: MICRO.with_offsets(preset("nano").offsets))


@pytest.fixture
def volume(tmp_path: Path) -> tuple[str, str]:
    """A synthetic tissue: bright cells, dark membranes, some noise."""
    labels = np.repeat(np.tile(cells()[:1], (1, 2, 2)), 8, 0).astype(np.uint16)
    labels[:, 96:][labels[:, 96:] > 0] += 20
    labels[:, :, 96:][labels[:, :, 96:] > 0] += 50
    image = np.where(labels > 0, 170, 60) + np.random.default_rng(0).normal(0, 12, labels.shape)
    tifffile.imwrite(tmp_path / "image.tif", image.clip(0, 255).astype(np.uint8))
    tifffile.imwrite(tmp_path / "labels.tif", labels)
    return str(tmp_path / "image.tif"), str(tmp_path / "labels.tif")


def options(volume: tuple[str, str], output: Path, *more: str) -> list[str]:
    source = ",".join(volume)
    return ["--output", str(output), "--source", source, "--crop", "4", "96", "96", "--log-every", "5", *more]


def test_overfits_a_synthetic_volume(volume: tuple[str, str], tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    run = tmp_path / "run"
    trainer = train.Trainer(train.parser().parse_args(options(volume, run, "--rate", "1e-2", "--ema", "0.95")))
    batches = prefetched(0, [Source.load(*volume)], (4, 96, 96), 1, trainer.model.config.offsets)
    losses = [trainer.train_step(next(batches))[0] for _ in range(250)]
    assert sum(losses[-10:]) < 0.5 * sum(losses[:10])
    trainer.save()
    evaluate.main([str(run), "--image", volume[0], "--labels", volume[1], "--affinities", str(tmp_path / "a.h5")])
    best = min(json.loads(line)["voi"] for line in capsys.readouterr().out.splitlines())
    assert best < 0.5


def test_resume_and_anneal(volume: tuple[str, str], tmp_path: Path) -> None:
    run = tmp_path / "run"
    train.main(options(volume, run, "--budget-minutes", "0.05"))
    first = checkpoint.load(run)
    train.main(options(volume, run, "--resume", str(run), "--budget-minutes", "0.1", "--seed", "1"))
    second = checkpoint.load(run)
    assert second["step"] > first["step"] and second["seeds"] == [0, 1]
    assert second["elapsed"] == pytest.approx(6, abs=5)
    second["rate_factor"] = 0.5
    checkpoint.save(run, second)
    train.main(options(volume, run, "--resume", str(run), "--anneal-minutes", "0.05"))
    third = checkpoint.load(run)
    assert third["step"] > second["step"] and third["rate_factor"] < 0.5


def test_schedule() -> None:
    assert schedule(0, 6000, 120) < 0.02
    assert schedule(120, 6000, 120) == 1
    assert schedule(6000, 6000, 120) == pytest.approx(0)


def test_parameter_groups() -> None:
    model = FGNet(preset("nano"))
    groups = parameter_groups(model, "finetune", 1e-3, 0.02)
    rates = {id(p): group["lr"] for group in groups for p in group["params"]}
    assert len(rates) == len(list(model.parameters()))
    assert rates[id(model.refined.head.weight)] == 1e-3
    last, first = model.trunk.blocks[7].mlp.layers[0].weight, model.trunk.patch_embed.proj.weight
    assert rates[id(last)] == pytest.approx(1e-4 * 0.9) and rates[id(first)] == pytest.approx(1e-4 * 0.9**9)
    assert rates[id(model.trunk.pos_embed_window)] == pytest.approx(1e-4)
    frozen = parameter_groups(FGNet(preset("nano")), "frozen", 1e-3, 0.02)
    assert sum(len(group["params"]) for group in frozen) < len(rates)


def test_frozen_trunk_stays(volume: tuple[str, str], tmp_path: Path) -> None:
    run = tmp_path / "run"
    train.main(options(volume, run, "--budget-minutes", "0.03"))
    before = checkpoint.load(run)
    train.main(options(volume, tmp_path / "frozen", "--resume", str(run), "--budget-minutes", "0.06",
                       "--mode", "frozen"))  # fmt: skip
    after = checkpoint.load(tmp_path / "frozen")
    for key, value in before["model"].items():
        if key.startswith("trunk."):
            assert torch.equal(value, after["model"][key])
