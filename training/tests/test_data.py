"""Volumes, normalisation, targets and augmentation."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest
import tifffile
import torch

from fgnet import augment
from fgnet.data import Source, affinity_target, draw_batch, draw_crop, prefetched
from fgnet.losses import balanced_cross_entropy
from fgnet.volumes import normalised, read_volume, section_statistics, widen_borders


def test_read_volume(tmp_path: Path) -> None:
    volume = np.arange(4 * 6 * 8, dtype=np.uint8).reshape(4, 6, 8)
    tifffile.imwrite(tmp_path / "stack.tif", volume)
    (tmp_path / "sections").mkdir()
    for z, section in enumerate(volume):
        tifffile.imwrite(tmp_path / "sections" / f"{z:03}.tif", section)
    with h5py.File(tmp_path / "stack.h5", "w") as file:
        file["raw"] = volume
    for location in ("stack.tif", "sections", "stack.h5:raw"):
        assert (read_volume(str(tmp_path / location)) == volume).all()
        assert (read_volume(f"{tmp_path / location}[1:3]") == volume[1:3]).all()


def test_normalisation_ignores_outliers_scale_and_offset() -> None:
    rng = np.random.default_rng(0)
    section = rng.normal(120, 20, (128, 128)).clip(0, 255).astype(np.uint8)
    volume = np.stack([section, section // 2 + 40])
    volume[0, 0, :20] = 255
    first, second = normalised(volume)
    assert abs(first.mean()) < 0.05 and abs(first.std() - 1) < 0.1
    assert np.abs(first[1:] - second[1:]).max() < 0.1
    assert section_statistics(np.full((8, 8), 9, np.uint8)) == (9, 0)
    assert np.isfinite(normalised(np.full((1, 8, 8), 9, np.uint8))).all()


def test_widen_borders() -> None:
    labels = np.zeros((1, 5, 8), np.uint16)
    labels[0, :, :4], labels[0, :, 4:] = 1, 2
    labels[0, :, 7] = 0
    assert widen_borders(labels)[0, 2].tolist() == [1, 1, 1, 0, 0, 2, 2, 0]


def test_axes_of_a_source_are_exchanged_in_image_and_labels(tmp_path: Path) -> None:
    volume = np.arange(4 * 6 * 8, dtype=np.uint8).reshape(4, 6, 8)
    tifffile.imwrite(tmp_path / "stack.tif", volume)
    plain, turned = (Source.parse(f"{tmp_path}/stack.tif,{tmp_path}/stack.tif{axes}") for axes in ("", ",axes=xzy"))
    assert turned.image.shape == turned.labels.shape == (8, 4, 6)
    assert (turned.image == plain.image.transpose(2, 0, 1)).all()
    with pytest.raises(ValueError, match="axes=zzy"):
        Source.parse(f"{tmp_path}/stack.tif,{tmp_path}/stack.tif,axes=zzy")


def test_affinity_target() -> None:
    labels = torch.tensor([[[[1, 1, 0, 2, 2, 3]], [[1, 2, 0, 2, 2, 3]]]]).expand(2, -1, -1, -1)
    offsets = ((1, 0, 0), (0, 0, 1), (0, 0, 3), (0, 0, 9))
    targets, masks = affinity_target(labels, offsets, ignore_zero=torch.tensor([False, True]))
    target, mask = targets[0], masks[0]
    assert target[0, 1, 0].tolist() == [True, False, False, True, True, True]
    assert not mask[0, 0].any() and mask[0, 1].all()
    assert target[1, 0, 0].tolist() == [False, True, False, False, True, False]
    assert mask[2, 0, 0].tolist() == [False] * 3 + [True] * 3
    assert not mask[3].any()
    assert masks[1, 1, 0, 0].tolist() == [False, True, False, False, True, True]


def test_loss_is_balanced_and_masked() -> None:
    target = torch.zeros(1, 1, 1, 1, 10, dtype=torch.bool)
    target[..., :8] = True
    mask = torch.ones_like(target)
    wrong_on_positives = torch.where(target, -20.0, -20.0)
    wrong_on_negatives = torch.where(target, 20.0, 20.0)
    first = balanced_cross_entropy(wrong_on_positives, target, mask)
    torch.testing.assert_close(first, balanced_cross_entropy(wrong_on_negatives, target, mask))
    mask[..., 8:] = False
    assert balanced_cross_entropy(wrong_on_negatives, target, mask) < 1e-6
    noise = torch.randn(1, 2, 1, 1, 10)
    absent = torch.cat([mask, torch.zeros_like(mask)], 1)
    assert torch.isfinite(balanced_cross_entropy(noise, target.expand(-1, 2, -1, -1, -1), absent))


def test_batches_keep_image_and_labels_together() -> None:
    """A volume whose image is its labels: after all augmentation the two still agree."""
    rng = np.random.default_rng(0)
    labels = rng.integers(1, 3, (16, 12, 12)).repeat(16, 1).repeat(16, 2).astype(np.int32)
    source = Source(labels.astype(np.float16) * 4 - 6, labels)
    agreement = []
    for _ in range(30):
        batch = draw_batch(rng, [source], (6, 64, 96), 1)
        target, _ = affinity_target(batch.labels, ((1, 0, 0),), batch.ignore_zero)
        assert batch.image.shape[1:] in {(6, 64, 96), (6, 96, 64)}
        same = (batch.image[0, 1:] > 0) == (batch.image[0, :-1] > 0)
        agreement.append(float((same == target[0, 0, 1:]).float().mean()))
        assert torch.isfinite(batch.image).all()
    assert np.median(agreement) > 0.97


def test_batches_are_the_same_whoever_draws_them() -> None:
    rng = np.random.default_rng(3)
    labels = rng.integers(1, 9, (6, 40, 40)).astype(np.int32)
    source = Source(rng.normal(size=labels.shape).astype(np.float16), labels, ignore_zero=True)
    first, again, alone = (prefetched(5, [source], (3, 32, 32), 2, workers) for workers in (3, 3, 1))
    for _ in range(4):
        drawn, same = next(first), next(again)
        assert all(torch.equal(a, b) for a, b in zip(drawn, same))
        assert drawn.ignore_zero.tolist() == [True, True]
    expected = draw_batch(np.random.default_rng(5), [source], (3, 32, 32), 2)
    assert all(torch.equal(a, b) for a, b in zip(next(alone), expected))


def test_a_source_thinned_and_enlarged(tmp_path: Path) -> None:
    volume = np.arange(9, dtype=np.uint8).repeat(36 * 36).reshape(9, 36, 36)
    volume[:, :, 18:] += 20
    tifffile.imwrite(tmp_path / "stack.tif", volume)
    source = Source.parse(f"{tmp_path}/stack.tif,{tmp_path}/stack.tif,step=3,scale=1.5")
    assert source.image.shape == source.labels.shape == (3, 54, 54)
    left, right = source.labels[:, 5, 5], source.labels[:, 5, 50]
    assert len({*left, *right}) == 6 and (source.labels[1:, :, 26:28] == 0).all()  # the border, widened
    thin = Source.parse(f"{tmp_path}/stack.tif,{tmp_path}/stack.tif,step=3,scale=1.5,borders=thin")
    assert (thin.labels[1:] > 0).all() and (thin.labels[:, :, 26] != thin.labels[:, :, 27]).all()
    with pytest.raises(ValueError, match="borders=none"):
        Source.parse(f"{tmp_path}/stack.tif,{tmp_path}/stack.tif,borders=none")
    with pytest.raises(ValueError, match="stepp= is no setting"):
        Source.parse(f"{tmp_path}/stack.tif,{tmp_path}/stack.tif,stepp=3")


def test_removed_sections() -> None:
    rng = np.random.default_rng(0)
    steps = [np.diff(augment.section_indices(rng, 8, 12)) for _ in range(200)]
    assert all((step >= 1).all() and (step > 1).sum() <= 1 for step in steps)
    assert any((step > 1).any() for step in steps)


def test_short_exposures_are_noisier_than_other_crops_and_keep_their_scale() -> None:
    rng = np.random.default_rng(0)
    levels, deviations = [], []
    for _ in range(40):
        flat = augment.short_exposure(rng, np.zeros((3, 64, 64), np.float32))
        levels.append(flat.std())
        deviations.append(augment.short_exposure(rng, rng.standard_normal((3, 64, 64)).astype(np.float32)).std())
    assert min(levels) > 0.35 and max(levels) > 0.7  # 0.45 / hypot(1, 0.45) = 0.41; the rest is what was cut off
    assert all(0.7 < deviation < 1.1 for deviation in deviations)
    assert np.isfinite(augment.intensities(rng, np.zeros((3, 64, 64), np.float32), 1.0)).all()


def test_noise_is_a_setting_of_a_source(tmp_path: Path) -> None:
    volume = np.full((4, 64, 64), 9, np.uint8)
    tifffile.imwrite(tmp_path / "stack.tif", volume)
    plain, noisy = (Source.parse(f"{tmp_path}/stack.tif,{tmp_path}/stack.tif{noise}") for noise in ("", ",noise=1"))
    assert (plain.noise, noisy.noise) == (0, 1)
    rng = np.random.default_rng(0)
    crops = {source.noise: [draw_crop(rng, source, (3, 32, 32))[0] for _ in range(40)] for source in (plain, noisy)}
    deviations = {noise: [np.median(crop.std((1, 2))) for crop in drawn] for noise, drawn in crops.items()}
    assert np.mean(deviations[0]) < 0.3 < min(deviations[1]) and np.mean(deviations[1]) > 0.5
    with pytest.raises(ValueError, match="noise=1.5"):
        Source.parse(f"{tmp_path}/stack.tif,{tmp_path}/stack.tif,noise=1.5")
