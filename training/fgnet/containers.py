"""Tensors in files by others: PyTorch's zip archives, safetensors, HDF5.

A file is data here, whatever it says it is. Sizes are checked before memory is taken, nothing pickled is run, and every
fault of a file is a `CheckpointFileError` with one line for the operator.
"""

from __future__ import annotations

import json
import math
import mmap
import stat
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import h5py
import torch
from torch import Tensor

from . import hdf5_probe

ENCODER_FORMAT = "fgnet-image-encoder-1"
MOST_ENTRIES = 50_000
LARGEST_HEADER = 16 << 20

HDF5_SIGNATURE = b"\x89HDF\r\n\x1a\n"
SAFETENSORS_TYPES = {
    "F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16, "I64": torch.int64,
    "I32": torch.int32, "I16": torch.int16, "I8": torch.int8, "U8": torch.uint8, "BOOL": torch.bool,
}  # fmt: skip


class CheckpointFileError(Exception):
    """What is wrong with which file, in one line."""


@dataclass(frozen=True)
class Entry:
    """One named tensor. `read` gives it on the CPU; shape and dtype (PyTorch's name) are known without reading."""

    shape: tuple[int, ...]
    dtype: str
    read: Callable[[], Tensor]


@dataclass(frozen=True)
class Container:
    """What a file holds. `attributes` are HDF5 root attributes, parsed where they are JSON."""

    kind: str
    entries: dict[str, Entry]
    attributes: dict[str, Any] = field(default_factory=dict)


def printable(text: str) -> str:
    """A name out of a file, safe for a line of output."""
    shown = text if text.isprintable() else ascii(text)[1:-1]
    return shown if len(shown) <= 120 else shown[:117] + "..."


@contextmanager
def opened(path: Path) -> Iterator[Container]:
    """The tensors of a file, recognised by its first bytes. Entries may be read until the block ends."""
    try:
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode):
            raise CheckpointFileError(f"{path}: is a folder, not a checkpoint file")
        if not stat.S_ISREG(mode):
            raise CheckpointFileError(f"{path}: is no regular file")
        with path.open("rb") as file:
            start = file.read(16)
    except OSError as error:
        raise CheckpointFileError(f"{path}: cannot be read: {error.strerror}") from error
    if not start:
        raise CheckpointFileError(f"{path}: is empty")
    if start.startswith(b"PK\x03\x04"):
        yield pytorch_archive(path)
    elif start.startswith(HDF5_SIGNATURE):
        with hdf5_file(path) as container:
            yield container
    elif start[8:9] == b"{":
        yield safetensors_file(path)
    elif start.startswith(b"\x80"):
        raise CheckpointFileError(
            f"{path}: is a bare pickle, which is not read; save it again with torch.save of PyTorch 1.6 or later"
        )
    else:
        raise CheckpointFileError(f"{path}: is no PyTorch archive, no safetensors and no HDF5 file")


def pytorch_archive(path: Path) -> Container:
    """A file of `torch.save`: `{"model": {name: tensor}}`, or `{name: tensor}`."""
    check_archive(path)
    try:
        # The archive was checked to be plain; loading maps it, so tensors that nobody reads cost nothing.
        values = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except Exception as error:  # whatever a hostile pickle makes the restricted reader raise
        raise CheckpointFileError(f"{path}: {refusal(path, error)}") from error
    state = values.get("model", values) if isinstance(values, dict) else None
    if not isinstance(state, dict) or not state:
        raise CheckpointFileError(f'{path}: holds no dictionary of tensors under the key "model"')
    if not all(isinstance(key, str) for key in state):
        raise CheckpointFileError(f"{path}: some of its tensors have no name")
    return Container("PyTorch", {key: pytorch_entry(value) for key, value in state.items()})


def check_archive(path: Path) -> None:
    """An archive as `torch.save` writes it: stored (never compressed), checksums right, one `data.pkl`, no code."""
    size = path.stat().st_size
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
            names = [entry.filename for entry in entries]
            leaves = [name.partition("/")[2] for name in names]
            if len(entries) > MOST_ENTRIES:
                raise CheckpointFileError(f"{path}: its archive has {len(entries)} entries, more than any checkpoint")
            if "constants.pkl" in leaves or any(leaf.startswith("code/") for leaf in leaves):
                raise CheckpointFileError(f"{path}: is a TorchScript program, not a checkpoint; programs are not run")
            if leaves.count("data.pkl") != 1 or len(set(names)) != len(names):
                raise CheckpointFileError(f"{path}: is a zip archive, but not one of torch.save")
            for entry in entries:
                if entry.compress_type != zipfile.ZIP_STORED or entry.file_size != entry.compress_size:
                    raise CheckpointFileError(f"{path}: its entries are compressed, which torch.save never does")
                if entry.filename.endswith("/data.pkl") and entry.file_size > LARGEST_HEADER:
                    raise CheckpointFileError(f"{path}: its table of tensors is of {entry.file_size} bytes")
            if sum(entry.file_size for entry in entries) > size:
                raise CheckpointFileError(f"{path}: its entries overlap")
            damaged = archive.testzip()
    except (zipfile.BadZipFile, zlib.error, struct.error, OSError, ValueError, EOFError, RuntimeError) as error:
        raise CheckpointFileError(f"{path}: its archive is damaged or cut short: {printable(str(error))}") from error
    if damaged is not None:
        raise CheckpointFileError(f"{path}: its archive is damaged: wrong checksum of {printable(damaged)}")


def refusal(path: Path, error: Exception) -> str:
    """Why PyTorch's restricted reader would not load an archive."""
    try:
        foreign = torch.serialization.get_unsafe_globals_in_checkpoint(path)
    except Exception:  # the pickle is not even well formed
        foreign = []
    if foreign:
        return f"its pickle asks for {printable(', '.join(sorted(foreign)))}, which is no tensor; nothing of it was run"
    return f"its pickle cannot be read ({type(error).__name__}); nothing of it was run"


def pytorch_entry(value: Any) -> Entry:
    plain = isinstance(value, Tensor) and value.layout == torch.strided and value.device.type == "cpu"
    if not plain or value.is_quantized:
        return Entry((), f"no plain tensor ({printable(type(value).__name__)})", unreadable)
    return Entry(tuple(value.shape), str(value.dtype).removeprefix("torch."), value.detach)


def unreadable() -> Tensor:
    raise AssertionError("an entry that is no tensor was read")


def safetensors_file(path: Path) -> Container:
    """Eight bytes with the length of a JSON header, the header, the tensors."""
    size = path.stat().st_size
    with path.open("rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        if length > min(LARGEST_HEADER, size - 8):
            raise CheckpointFileError(f"{path}: its header claims {length} bytes; it is cut short or no safetensors")
        text = file.read(length)
        content = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)
    try:
        header = json.loads(text.decode(), object_pairs_hook=without_repetition)
    except (ValueError, RecursionError) as error:
        raise CheckpointFileError(f"{path}: its header is no safetensors header: {printable(str(error))}") from error
    if not isinstance(header, dict) or len(header) > MOST_ENTRIES:
        raise CheckpointFileError(f"{path}: its header is no table of tensors")
    header.pop("__metadata__", None)
    entries, ranges = {}, []
    for name, described in header.items():
        try:
            entries[name], place = safetensors_entry(described, content, 8 + length)
        except (KeyError, TypeError, ValueError) as error:
            raise CheckpointFileError(f"{path}: its header describes {printable(name)} wrongly") from error
        ranges.append(place)
    end = 8 + length
    for first, last in sorted(ranges):
        if first != end:
            raise CheckpointFileError(f"{path}: its tensors overlap or have gaps between them")
        end = last
    if end != size:
        raise CheckpointFileError(f"{path}: has {size} bytes where its header describes {end}; is it cut short?")
    return Container("safetensors", entries)


def without_repetition(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    table = dict(pairs)
    if len(table) != len(pairs):
        raise ValueError("a name occurs twice")
    return table


def safetensors_entry(described: dict[str, Any], content: mmap.mmap, base: int) -> tuple[Entry, tuple[int, int]]:
    """The tensor that one record of the header describes, and its bytes' place in the file."""
    shape, (first, last), name = described["shape"], described["data_offsets"], described["dtype"]
    if not all(type(value) is int and value >= 0 for value in (*shape, first, last)) or not isinstance(name, str):
        raise ValueError
    dtype = SAFETENSORS_TYPES.get(name)
    place = (base + first, base + last)
    if dtype is None:
        return Entry(tuple(shape), printable(name), unreadable), place
    count = math.prod(shape)
    if last - first != count * dtype.itemsize:
        raise ValueError

    def read() -> Tensor:
        return torch.frombuffer(content, dtype=dtype, count=count, offset=place[0]).reshape(shape)

    return Entry(tuple(shape), str(dtype).removeprefix("torch."), read), place


@contextmanager
def hdf5_file(path: Path) -> Iterator[Container]:
    """A file that `fgnet-import` wrote."""
    if not hdf5_probe.survives(path):
        raise CheckpointFileError(f"{path}: is a damaged HDF5 file; the HDF5 library fails on it")
    try:
        file = h5py.File(path, "r")
    except hdf5_probe.FAULTS as error:
        raise CheckpointFileError(f"{path}: is a damaged HDF5 file or one cut short") from error
    with file:
        try:
            container = Container("HDF5", *hdf5_content(path, file))
        except (*hdf5_probe.FAULTS, RecursionError) as error:
            raise CheckpointFileError(f"{path}: is a damaged HDF5 file: {printable(str(error))}") from error
        yield container


def hdf5_content(path: Path, file: h5py.File) -> tuple[dict[str, Entry], dict[str, Any]]:
    attributes = hdf5_probe.attributes(file)
    form = attributes.get("format")
    if not isinstance(form, str) or form != ENCODER_FORMAT:
        said = f"format {printable(str(form))}" if form is not None else "no format"
        raise CheckpointFileError(f"{path}: says {said}, expected {ENCODER_FORMAT}; fgnet-import writes that")
    for name in ("architecture", "card"):
        attributes[name] = json.loads(attributes[name])
    entries = {name: hdf5_entry(path, name, dataset) for name, dataset in hdf5_probe.datasets(file)}
    return entries, attributes


def hdf5_entry(path: Path, name: str, dataset: h5py.Dataset | None) -> Entry:
    """Links, compressed, virtual and unwritten datasets are nothing that `fgnet-import` writes."""
    if dataset is None:
        return Entry((), "no plain dataset", unreadable)

    def read() -> Tensor:
        try:
            return torch.from_numpy(dataset[()])
        except hdf5_probe.FAULTS as error:
            raise CheckpointFileError(f"{path}: {printable(name)} cannot be read") from error

    return Entry(dataset.shape, str(dataset.dtype), read)
