"""Training: it learns, it goes on where it stopped, it anneals."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import pytest
import tifffile
import torch
from synthetic import cells

from fgnet import checkpoint, evaluate, train
from fgnet.config import TRUNKS, TrunkConfig, preset
from fgnet.data import Source, prefetched
from fgnet.goldens import MICRO
from fgnet.model import FGNet
from fgnet.modes import own_config, parameter_groups, prepare_trunk, trunk_option
from fgnet.train import TrainingError, chosen_device, load_sources, multiplies_bfloat16, schedule

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
    batches = prefetched(0, [Source.load(*volume)], (4, 96, 96), 1)
    losses = [trainer.train_step(next(batches))[0] for _ in range(350)]
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


def test_fixed_norms_keep_their_statistics(volume: tuple[str, str], tmp_path: Path) -> None:
    run, more = tmp_path / "run", tmp_path / "more"
    train.main(options(volume, run, "--steps", "3"))
    train.main(options(volume, more, "--start", str(run), "--steps", "3", "--fixed-norms", "--rate", "1e-2"))
    before, after = checkpoint.load(run)["ema"], checkpoint.load(more)["model"]
    means = [name for name in before if name.endswith("running_mean")]
    assert means and all(torch.equal(before[name], after[name]) for name in means)
    assert not torch.equal(before["fge.stem.weight"], after["fge.stem.weight"])
    with pytest.raises(SystemExit):
        train.main(options(volume, run, "--fixed-norms"))


def test_bfloat16_only_where_it_is_fast() -> None:
    cpu = torch.device("cpu")
    assert multiplies_bfloat16(cpu, "flags : fpu avx2 avx512f avx512_bf16")
    assert multiplies_bfloat16(cpu, "Features : fp asimd bf16")
    assert not multiplies_bfloat16(cpu, "flags : fpu avx2 avx512f")
    assert multiplies_bfloat16(torch.device("cuda"), "flags : fpu avx2")


def test_schedule() -> None:
    assert schedule(0, 6000, 120) < 0.02
    assert schedule(120, 6000, 120) == 1
    assert schedule(6000, 6000, 120) == pytest.approx(0)
    assert schedule(200_000, 200_000, 1000, 0.01) == pytest.approx(0.01)


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


def test_a_run_by_steps_and_one_that_starts_from_it(volume: tuple[str, str], tmp_path: Path,
                                                    capsys: pytest.CaptureFixture) -> None:  # fmt: skip
    """The second has a schedule of its own, but counts the first one's steps as training."""
    first, second = tmp_path / "first", tmp_path / "second"
    small = ["--crop", "3", "32", "64", "--log-every", "1", "--accumulate", "2", "--batch", "2", "--workers", "2"]
    train.main(options(volume, first, *small, "--steps", "4", "--warm-up-steps", "2", "--floor", "0.5"))
    records = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [record["factor"] for record in records[:-1]] == [0.01, 0.5, 1.0, 0.75]
    assert records[-1]["finished"] and records[-1]["step"] == 4
    train.main(options(volume, second, *small, "--steps", "3", "--start", str(first), "--mode", "finetune",
                       "--seed", "5", "--activation-checkpoints", "--drop-path", "0.5"))  # fmt: skip
    values = checkpoint.load(second)
    assert (values["step"], values["first_step"], values["seeds"]) == (7, 4, [0, 5])
    assert checkpoint.steps_done(second) == 3 and checkpoint.steps_done(tmp_path / "none") is None
    train.main(options(volume, second, *small, "--steps", "5", "--resume", str(second), "--mode", "finetune"))
    assert checkpoint.load(second)["step"] == 9


def test_this_commands_settings_hold_after_a_resume(volume: tuple[str, str], tmp_path: Path) -> None:
    run = tmp_path / "run"
    small = ["--crop", "3", "32", "32", "--weight-decay"]
    train.main(options(volume, run, *small, "0.02", "--steps", "1"))
    again = options(volume, run, *small, "0.3", "--steps", "2", "--resume", str(run), "--betas", "0.8", "0.9")
    trainer = train.Trainer(train.parser().parse_args(again))
    assert {group["weight_decay"] for group in trainer.optimiser.param_groups} == {0.0, 0.3}
    assert {tuple(group["betas"]) for group in trainer.optimiser.param_groups} == {(0.8, 0.9)}
    assert all(state["step"] == 1 for state in trainer.optimiser.state.values())


def test_own_trunks() -> None:
    """Any size may be trained from scratch; tiles at the alignment stay exact where windows allow it."""
    trunk = trunk_option('{"embed_dim": 16, "num_heads": 2, "stages": [1, 1, 1, 1], "window_spec": [8, 8, 8, 8]}')
    assert trunk == TrunkConfig(16, 2, (1, 1, 1, 1), (8, 8, 8, 8), in_chans=1, window_pos_embed_bkg_spatial_size=None)
    assert own_config(trunk).alignment == 128 and own_config(TRUNKS["nano"]) == preset("nano")
    assert own_config(TRUNKS["large"]).alignment == 32
    with torch.inference_mode():
        assert FGNet(own_config(trunk))(torch.randn(1, 2, 128, 128)).refined.shape == (1, 10, 2, 128, 128)
    for text in ("huge", "{", "[]", "{}",
                 '{"embed_dim": 15, "num_heads": 2, "stages": [1,1,1,1], "window_spec": [8,8,8,8]}',
                 '{"embed_dim": 16, "num_heads": 2, "stages": [1,1,1], "window_spec": [8,8,8]}',
                 '{"embed_dim": 16, "num_heads": 2, "stages": [1,1,1,0], "window_spec": [8,8,8,8]}',
                 '{"embed_dim": 16, "num_heads": 1, "stages": [1,1,1,1], "window_spec": [8,8,8,8], "h": 3}'):  # fmt: skip
        with pytest.raises(argparse.ArgumentTypeError, match="no JSON description of a trunk"):
            trunk_option(text)


def test_drop_path_skips_sections() -> None:
    """Of the last block with the given chance, of the first never; not at inference; blocks that pool never."""
    model = FGNet(MICRO)
    prepare_trunk(model, "scratch", drop_path=0.5)
    last = model.trunk.blocks[3]
    tokens = torch.randn(400, 4, 4, 32)
    with torch.no_grad():
        whole = last.eval()(tokens)
        mixed = last.train()(tokens)
        skipped = (mixed == tokens).flatten(1).all(1)
        chance = 0.5 * 3 / (len(model.trunk.blocks) - 1)
        assert abs(float(skipped.float().mean()) - chance) < 0.1
        expected = tokens + (whole - tokens) / (1 - chance)
        torch.testing.assert_close(mixed[~skipped], expected[~skipped], rtol=1e-4, atol=1e-4)
        first = model.trunk.blocks[0]
        assert torch.equal(first.train()(tokens[..., :8]), first.eval()(tokens[..., :8]))


def test_a_run_that_diverged_keeps_the_checkpoint_from_before(volume: tuple[str, str], tmp_path: Path,
                                                              monkeypatch: pytest.MonkeyPatch,
                                                              capsys: pytest.CaptureFixture) -> None:  # fmt: skip
    run = tmp_path / "run"
    small = ["--crop", "3", "32", "32", "--log-every", "1", "--checkpoint-minutes", "0"]
    train.main(options(volume, run, *small, "--steps", "2"))
    before = (run / checkpoint.FILE).read_bytes()
    nan = lambda self, *_: (torch.tensor(float("nan")), torch.tensor(1.0))  # noqa: E731
    monkeypatch.setattr(train.Trainer, "train_step", nan)
    with pytest.raises(SystemExit) as exit_status:
        train.main(options(volume, run, *small, "--steps", "4", "--resume", str(run)))
    assert exit_status.value.code == 65 and "the loss is no number" in capsys.readouterr().err
    assert (run / checkpoint.FILE).read_bytes() == before


def test_a_gradient_that_is_no_number_is_skipped(volume: tuple[str, str], tmp_path: Path) -> None:
    """Weights and averages stay as they are; too many in a row end the run."""
    arguments = train.parser().parse_args(options(volume, tmp_path / "run", "--crop", "3", "32", "32", "--steps", "99"))
    trainer = train.Trainer(arguments)
    sources = [Source.load(*volume)]
    handle = trainer.model.refined.head.weight.register_hook(lambda gradient: gradient * float("nan"))
    before = {key: value.clone() for key, value in trainer.model.state_dict().items() if "running" not in key}
    batch = next(prefetched(0, sources, (3, 32, 32), 1))
    trainer.train_step(batch)
    assert (trainer.step, trainer.skipped) == (1, 1)
    after = trainer.model.state_dict()
    assert all(torch.equal(value, after[key]) for key, value in before.items() if "num_batches" not in key)
    with pytest.raises(TrainingError, match="no gradient is a number"):
        trainer.run(sources, train.StopSignal())
    handle.remove()
    trainer.train_step(batch)
    assert trainer.skipped == 0
    assert not torch.equal(before["refined.head.weight"], trainer.model.state_dict()["refined.head.weight"])


def test_what_cannot_be_trained_says_why(volume: tuple[str, str], tmp_path: Path,
                                         capsys: pytest.CaptureFixture) -> None:  # fmt: skip
    source = ",".join(volume)
    for text, crop, words in ((source, (4, 256, 96), "too small"), (source, (4, 90, 96), "multiples of 32"),
                              (source, (2, 96, 96), "at least 3 sections"), ("a.tif", (4, 96, 96), "cannot be read"),
                              (f"{volume[0]},{volume[1]}[0:3]", (3, 96, 96), "labels are")):  # fmt: skip
        with pytest.raises(TrainingError, match=words):
            load_sources([text], crop)
    if not torch.cuda.is_available():
        with pytest.raises(TrainingError, match="no CUDA device"):
            chosen_device("cuda")
    for more in (["--resume", str(tmp_path / "absent")], ["--trunk-weights", volume[0]]):
        with pytest.raises(SystemExit) as exit_status:
            train.main(options(volume, tmp_path / "run", *more))
        assert exit_status.value.code == 65 and capsys.readouterr().err.count("\n") == 1


@pytest.mark.parametrize("device", ["cpu", "cuda"] if torch.cuda.is_available() else ["cpu"])
def test_on_every_device_there_is(device: str, volume: tuple[str, str], tmp_path: Path) -> None:
    small = ["--crop", "3", "32", "64", "--device", device]
    for number, (mode, more) in enumerate((
        ("scratch", []),
        ("finetune", ["--activation-checkpoints", "--drop-path", "0.5", "--resume", str(tmp_path / "run")]),
        ("frozen", ["--resume", str(tmp_path / "run"), "--float32"]),
    )):  # fmt: skip
        steps = str(2 * number + 2)
        train.main(options(volume, tmp_path / "run", *small, "--steps", steps, "--mode", mode, *more))
    values = checkpoint.load(tmp_path / "run")
    assert values["step"] == 6
    assert all(torch.isfinite(value).all() for value in values["ema"].values() if value.is_floating_point())
