"""The network as a whole: sizes, folding, context, export."""

from __future__ import annotations

import json
from pathlib import Path

import h5py
import pytest
import torch

from fgnet import checkpoint, export
from fgnet.config import DIRECT_OFFSETS, FGNetConfig, preset
from fgnet.goldens import MICRO, NANO
from fgnet.model import FGNet, folded_state
from fgnet.seeded import centred, seeded_input, splitmix64
from fgnet.weights import read_weights


def randomised(config: FGNetConfig) -> FGNet:
    """A network whose batch statistics are not the initial ones, in inference mode."""
    torch.manual_seed(0)
    model = FGNet(config)
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.2)
            module.running_var.uniform_(0.5, 2)
            torch.nn.init.uniform_(module.weight, 0.5, 1.5)
            torch.nn.init.normal_(module.bias, 0, 0.2)
    return model.eval()


def test_shapes_and_default_architecture() -> None:
    config = preset("nano")
    assert FGNetConfig.from_json(json.loads(json.dumps(config.to_json()))) == config
    with torch.inference_mode():
        logits = randomised(config)(torch.randn(2, 3, 128, 256))
    assert logits.refined.shape == (2, 10, 3, 128, 256)
    assert logits.coarse.shape == (2, 10, 3, 64, 128)


@pytest.mark.parametrize("config", [MICRO, NANO])
def test_folding_changes_nothing(config: FGNetConfig) -> None:
    model = randomised(config)
    folded = FGNet(config, folded=True).eval()
    folded.load_state_dict(folded_state(model))
    stack = torch.randn(1, 2, 128, 128)
    with torch.inference_mode():
        for ours, theirs in zip(folded(stack), model(stack)):
            torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-3)


def test_context_radius() -> None:
    """Section 6 away changes nothing, section 5 away does."""
    model = randomised(MICRO)
    stack = torch.randn(1, 13, 32, 32)
    with torch.inference_mode():
        before = model(stack).refined
        for distance, reaches in ((6, False), (5, True)):
            changed = stack.clone()
            changed[0, 6 + distance] += 1
            after = model(changed).refined
            assert torch.allclose(before[:, :, 6], after[:, :, 6], atol=1e-6) != reaches


def test_batches_are_independent() -> None:
    model = randomised(MICRO)
    stacks = torch.randn(2, 4, 32, 64)
    with torch.inference_mode():
        together = model(stacks).refined
        alone = torch.cat([model(stack[None]).refined for stack in stacks])
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-4)


def test_export_round_trip(tmp_path: Path) -> None:
    config = MICRO.with_offsets(preset("nano").offsets)
    model = randomised(config)
    values = {"architecture": config.to_json(), "ema": model.state_dict(), "step": 7, "elapsed": 60.0, "seeds": [3]}
    checkpoint.save(tmp_path, values)
    stack = torch.randn(1, 3, 64, 64)
    with torch.inference_mode():
        expected = model(stack)
    for options, channels in (([], 3), (["--all-offsets"], 10)):
        path = tmp_path / "weights.h5"
        export.main([str(tmp_path), str(path), "--name", "micro", "--licence", "CC0-1.0", *options])
        read = read_weights(path)
        assert read.config.offsets[:3] == DIRECT_OFFSETS
        with torch.inference_mode():
            for ours, theirs in zip(read(stack), expected):
                torch.testing.assert_close(ours, theirs[:, :channels], rtol=1e-3, atol=1e-3)
        with h5py.File(path) as file:
            assert file.attrs["format"] == "fgnet-weights-1"
            card = json.loads(file.attrs["card"])
            assert (card["name"], card["steps"], card["seeds"]) == ("micro", 7, [3])
            assert file["fga.2.gate.weight"].shape == (1, 3, 1, 1, 1)
            assert all(dataset.dtype == "float32" for dataset in file.values())


def test_random_export_is_reproducible(tmp_path: Path) -> None:
    for name in ("a.h5", "b.h5"):
        export.main([str(tmp_path / name), "--random-seed", "5"])
    with h5py.File(tmp_path / "a.h5") as first, h5py.File(tmp_path / "b.h5") as second:
        assert set(first) == set(second)
        assert all((first[key][()] == second[key][()]).all() for key in first)


def test_seeded_numbers() -> None:
    """Reference values of SplitMix64 (state 1234567), and the range of u."""
    import numpy as np

    golden, states = 0x9E3779B97F4A7C15, [1234567]
    states.append((states[0] + golden) % 2**64)
    assert splitmix64(np.array(states, np.uint64)).tolist() == [6457827717110365317, 3203168211198807973]
    values = centred(1, 0, 10_000)
    assert values.min() >= -0.5 and values.max() < 0.5 and abs(values.mean()) < 0.01
    assert abs(float(seeded_input((100, 100), 2).std()) - 1) < 0.01
