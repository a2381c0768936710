"""The recipe: both stages, stopped, killed, gone on with, exported; and what each stage does to the trunk."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
import tifffile
import torch
from synthetic import cells

from fgnet import checkpoint, importer, recipe, train
from fgnet.config import TRUNKS, FGNetConfig
from fgnet.goldens import MICRO
from fgnet.importer import expected_shapes, source_name
from fgnet.model import FGNet
from fgnet.weights import read_weights

torch.set_num_threads(1)


def sam2_checkpoint(path: Path, size: str) -> Path:
    """A file as the official ones are, with random weights of a usual magnitude."""
    torch.manual_seed(1)
    shapes = expected_shapes(importer.SIZES[size])
    torch.save({"model": {source_name(key, "SAM2"): 0.02 * torch.randn(shape) for key, shape in shapes.items()}}, path)
    return path


@pytest.fixture
def source(tmp_path: Path) -> str:
    labels = cells()[:, :96, :96].astype(np.uint16)
    image = np.where(labels > 0, 170, 60) + np.random.default_rng(0).normal(0, 12, labels.shape)
    tifffile.imwrite(tmp_path / "image.tif", image.clip(0, 255).astype(np.uint8))
    tifffile.imwrite(tmp_path / "labels.tif", labels)
    return f"{tmp_path}/image.tif,{tmp_path}/labels.tif"


@pytest.fixture
def micro(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """SAM2 in a fifth size that trains in no time."""
    monkeypatch.setitem(importer.SIZES, "micro", MICRO.trunk)
    monkeypatch.setattr(train, "preset", lambda _: MICRO)
    monkeypatch.setitem(TRUNKS, "micro", MICRO.trunk)
    return sam2_checkpoint(tmp_path / "micro.pt", "micro")


def words(sam2: Path, source: str, output: Path, *more: str) -> list[str]:
    return ["--sam2", str(sam2), "--source", source, "--output", str(output), "--crop", "3", "64", "64",
            "--batch", "1", "--warm-up-steps", "2", "--workers", "1", "--device", "cpu", *more]  # fmt: skip


class Process:
    """`fgnet-recipe` as an operator starts it, its output read record by record."""

    def __init__(self, arguments: list[str]) -> None:
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path(recipe.__file__).parents[1])}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "fgnet.recipe", *arguments], stdout=subprocess.PIPE, text=True, env=environment
        )

    def until(self, **wanted: object) -> dict[str, object]:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            record = json.loads(line)
            if all(record.get(key) == value for key, value in wanted.items()):
                return record
        raise AssertionError(f"ended without {wanted}")

    def finish(self) -> int:
        assert self.process.stdout is not None
        self.process.stdout.read()
        return self.process.wait()


def test_interrupted_killed_gone_on_with_and_exported(source: str, tmp_path: Path) -> None:
    """SAM2's tiny size, whole: SIGTERM in the first stage, SIGKILL in the second."""
    output = tmp_path / "paper"
    arguments = words(sam2_checkpoint(tmp_path / "sam2.1_hiera_tiny.pt", "tiny"), source, output,
                      "--frozen-steps", "40", "--finetune-steps", "3", "--log-every", "1",
                      "--checkpoint-minutes", "0", "--name", "tiny", "--licence", "CC0-1.0")  # fmt: skip
    first = Process(arguments)
    first.until(stage="frozen", state="starts", step=0, steps=40)
    first.until(step=2)
    first.process.send_signal(signal.SIGTERM)
    first.until(stage="frozen", state="interrupted; the same command goes on")
    assert first.finish() == recipe.INTERRUPTED
    reached = checkpoint.steps_done(output / "frozen")
    assert reached is not None and 2 <= reached < 40 and not (output / "fgnet.h5").exists()

    # What is left of the frozen stage is cut short by a checkpoint that claims to be near its end.
    values = checkpoint.load(output / "frozen")
    values["step"] = 38
    checkpoint.save(output / "frozen", values)
    second = Process(arguments)
    second.until(stage="frozen", state="goes on", step=38)
    second.until(stage="finetune", state="starts", step=0, steps=3)
    second.until(step=42)
    second.process.kill()
    assert second.finish() == -signal.SIGKILL
    reached = checkpoint.steps_done(output / "finetune")
    assert reached is not None and 1 <= reached < 3 and not (output / "fgnet.h5").exists()

    third = Process(arguments)
    third.until(stage="frozen", state="finished before")
    third.until(stage="finetune", state="goes on", step=reached, steps=3)
    third.until(step=43, finished=True)
    third.until(state="exported", file=str(output / "fgnet.h5"))
    assert third.finish() == 0
    check_weights_file(output / "fgnet.h5")
    assert sorted(path.name for path in output.iterdir()) == ["fgnet.h5", "finetune", "frozen", "lock", "recipe.json"]


def check_weights_file(path: Path) -> None:
    with h5py.File(path) as file:
        config = FGNetConfig.from_json(json.loads(file.attrs["architecture"]))
        card = json.loads(file.attrs["card"])
        with torch.device("meta"):
            wanted = {key: tuple(value.shape) for key, value in FGNet(config, folded=True).state_dict().items()}
        assert {key: dataset.shape for key, dataset in file.items()} == wanted
    assert config.trunk == TRUNKS["tiny"] and len(config.offsets) == 3
    assert card["steps"] == 43 and card["name"] == "tiny" and "sam2.1_hiera_tiny.pt (sha256 " in card["training_data"]
    with torch.inference_mode():
        assert torch.isfinite(read_weights(path)(torch.randn(1, 2, 64, 64)).refined).all()


def test_what_each_stage_does_to_the_trunk(micro: Path, source: str, tmp_path: Path) -> None:
    """Frozen: not a bit changes. Fine-tuned: Adam's first step is as long as the rate, so the rates can be seen."""
    output = tmp_path / "run"
    plain = ["--frozen-steps", "3", "--finetune-steps", "1", "--warm-up-steps", "0", "--drop-path", "0",
             "--finetune-weight-decay", "0", "--float32"]  # fmt: skip
    recipe.main(words(micro, source, output, *plain))
    start = importer.read_image_encoder(micro).state
    frozen, tuned = checkpoint.load(output / "frozen"), checkpoint.load(output / "finetune")
    trunk = [key for key in frozen["model"] if key.startswith("trunk.")]
    for values in (frozen["model"], frozen["ema"]):
        assert all(torch.equal(values[key], start[key]) for key in trunk)
    assert not torch.equal(frozen["model"]["refined.head.weight"], tuned["model"]["refined.head.weight"])

    def step(key: str) -> float:  # the fine-tuned stage starts from the averaged weights
        return float((tuned["model"][key] - frozen["ema"][key]).abs().max())

    for key in trunk:
        layer = int(key.split(".")[2]) + 1 if ".blocks." in key else 0
        exponent = 0 if "pos_embed" in key else sum(MICRO.trunk.stages) + 1 - layer
        assert step(key) == pytest.approx(1e-4 * 0.1 * 0.9**exponent, rel=0.05), key
    assert step("refined.head.weight") == pytest.approx(1e-4, rel=0.05)


def test_activation_checkpoints_change_nothing(micro: Path, source: str, tmp_path: Path) -> None:
    results = []
    for name, more in (("a", []), ("b", ["--keep-activations"])):
        recipe.main(words(micro, source, tmp_path / name, "--frozen-steps", "0", "--finetune-steps", "2", "--float32",
                          "--accumulate", "2", *more))  # fmt: skip
        results.append(checkpoint.load(tmp_path / name / "finetune")["model"])
    for key, value in results[0].items():
        torch.testing.assert_close(value, results[1][key], rtol=1e-5, atol=1e-6)


def test_one_stage_alone_and_again(micro: Path, source: str, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    arguments = words(micro, source, tmp_path / "run", "--frozen-steps", "2", "--finetune-steps", "0")
    recipe.main(arguments)
    before = (tmp_path / "run" / "frozen" / checkpoint.FILE).read_bytes()
    (tmp_path / "run" / "fgnet.h5").unlink()
    capsys.readouterr()
    recipe.main(arguments)
    records = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [record["state"] for record in records] == ["finished before", "exported"]
    assert (tmp_path / "run" / "fgnet.h5").exists()
    assert (tmp_path / "run" / "frozen" / checkpoint.FILE).read_bytes() == before


def refused(arguments: list[str], capsys: pytest.CaptureFixture) -> str:
    with pytest.raises(SystemExit) as exit_status:
        recipe.main(arguments)
    error = capsys.readouterr().err
    assert exit_status.value.code == 65 and error.startswith("fgnet-recipe: ") and error.count("\n") == 1
    return error


def test_what_cannot_go_on_says_why(micro: Path, source: str, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    run = tmp_path / "run"
    short = ["--frozen-steps", "1", "--finetune-steps", "0"]
    assert "cannot be read" in refused(words(tmp_path / "absent.pt", source, run, *short), capsys)
    assert "cannot be read" in refused(words(micro, "absent.tif,absent.tif", run, *short), capsys)
    assert "too small" in refused(words(micro, source, tmp_path / "b", *short, "--crop", "3", "128", "96"), capsys)
    assert "multiples of 32" in refused(words(micro, source, tmp_path / "c", *short, "--crop", "3", "65", "64"), capsys)
    recipe.main(words(micro, source, run, *short))
    other = refused(words(micro, source, run, *short, "--rate", "1e-3"), capsys)
    assert "--rate was 0.0001, is 0.001" in other and "another --output" in other
    with recipe.locked(run):
        assert "another fgnet-recipe is at work" in refused(words(micro, source, run, *short), capsys)
    (run / "frozen" / checkpoint.FILE).write_bytes(b"half a checkpoint")
    assert "is damaged" in refused(words(micro, source, run, *short), capsys)
    micro.write_bytes(micro.read_bytes() + b" ")
    assert "is not the file" in refused(words(micro, source, run, *short), capsys)
    (run / recipe.SETTINGS).write_text("{")
    assert "absent or damaged" in refused(words(micro, source, run, *short), capsys)
