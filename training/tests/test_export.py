"""The attribute `postprocessing`: its default, and what is refused."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import h5py
import pytest

from fgnet import export


def test_the_default_is_of_the_form_that_is_asked_for(tmp_path: Path) -> None:
    assert export.postprocessing(json.dumps(export.POSTPROCESSING)) == export.POSTPROCESSING
    export.main([str(tmp_path / "a.h5"), "--random-seed", "5"])
    with h5py.File(tmp_path / "a.h5") as file:
        assert json.loads(file.attrs["postprocessing"]) == export.POSTPROCESSING


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("[]", "object of stages"),
        ('{"agglomeration": {"name": "windowed"}}', "watershed, agglomerate"),
        ('{"watershed": {"threshold": 0.5}}', "name of a stage"),
        ('{"watershed": 0.5}', "name of a stage"),
        ('{"watershed": {"name": "seeded", "threshold": null}}', "watershed.threshold"),
    ],
)
def test_other_forms_are_refused(text: str, reason: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match=reason):
        export.postprocessing(text)
