from __future__ import annotations

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--sam2-manifests", help="folder of sam2.1_hiera_*.json: keys and shapes of the checkpoints")
