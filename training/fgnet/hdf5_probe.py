"""Reads an HDF5 file in a process of its own: `python hdf5_probe.py FILE`.

The HDF5 library can be brought down by a damaged file, which no exception tells. What this process survives, with the
same calls, its caller may read. It imports nothing else of the project, so that it starts quickly.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py

ATTRIBUTES = ("format", "architecture", "card")
FAULTS = (OSError, RuntimeError, KeyError, ValueError, TypeError)


def attributes(file: h5py.File) -> dict[str, Any]:
    return {name: file.attrs[name] for name in ATTRIBUTES if name in file.attrs}


def datasets(file: h5py.File) -> Iterator[tuple[str, h5py.Dataset | None]]:
    """What the root holds, by name: datasets in one piece within this file, and None for anything else."""
    for name in file:
        value = file[name] if isinstance(file.get(name, getlink=True), h5py.HardLink) else None
        plain = isinstance(value, h5py.Dataset) and value.shape is not None
        if not plain or value.chunks or value.external or value.is_virtual:
            yield name, None
        else:
            yield name, value if value.id.get_storage_size() == value.nbytes else None


def survives(path: Path, seconds: float = 300) -> bool:
    """Whether the library can read all of a file without coming to grief (it may still find faults)."""
    command = [sys.executable, str(Path(__file__)), str(path)]
    try:
        ended = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=seconds, check=False)
    except subprocess.TimeoutExpired:
        return False
    return ended.returncode == 0


def main(path: str) -> None:
    try:
        with h5py.File(path, "r") as file:
            attributes(file)
            for _, dataset in datasets(file):
                if dataset is not None:
                    dataset[()]
    except FAULTS:
        pass  # the caller will meet the same fault, and name it


if __name__ == "__main__":
    main(sys.argv[1])
