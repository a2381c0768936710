"""A stage of fgnetd as a Python program. One file, NumPy only: copy it beside yours.

    import fgnet_stage as fgnet

    class Blur(fgnet.Denoise):
        version = "1"
        options = [fgnet.Int("radius", 0, 9, default=1, summary="Pixels.")]

        def setup(self, options, volume):
            self.radius = self.halo = options["radius"]

        def denoise(self, image):
            return my_blur(image, self.radius)

    fgnet.main(Blur)

The contract is docs/writing-a-stage.md; `fgnetd stage-test blur.py` says what a stage lacks of it. Whatever a stage prints goes into the
daemon's log: its standard output is the daemon's alone.

The protocol, for programs in other languages: the daemon writes to standard input, the program to standard output. A message is one line of
JSON (UTF-8, ended by a line feed) and then the arrays that its member `arrays` lists (`name`, `dtype`, `shape`), one after the
other, in C order, little-endian, without padding. Requests come one at a time, and each MUST be answered by one message:

    {"request": "describe", "protocol": 1}
        -> {"protocol": 1, "kind": "denoise", "version": "1", "summary": "...", "deterministic": true, "options": [...], "arrays": []}
    {"request": "configure", "options": {...}, "volume": "cortex", "voxel_size_nm": [30, 6, 6]}
        -> {"halo": 3, "context": 0, "look_behind": 0, "look_ahead": 0, "arrays": []}    ("halo": null: the whole section)
    {"request": "run", "id": 1, ...}
        -> {"id": 1, "arrays": [...]}

    kind         arrays of a run, other members            arrays of the answer
    denoise      image (h, w) float32                      image (h, w) float32
    affinity     images (n, h, w) float32; z, index        affinities (3, h, w) uint8 or float32
    watershed    affinities (3, h, w) uint8                labels (h, w) uint32
    agglomerate  those of `Window`; z, decided             accepted (edges) uint8, scores (edges) float32

Any request may be answered by {"error": "a sentence"} without arrays; a run so answered is a failure of the section, and the program is
started anew. A program MUST end when its input does.
"""

from __future__ import annotations

import json
import os
import sys
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

PROTOCOL = 1
_DTYPES = ("uint8", "uint32", "int32", "uint64", "int64", "float32")


@dataclass(frozen=True)
class Volume:
    """What a stage is made for."""

    name: str
    voxel_size_nm: tuple[float, float, float]
    """z, y, x."""


@dataclass(frozen=True)
class Option:
    """An option that the configuration may set. Without a default it must be given. `check-config` checks it."""

    name: str
    type: str
    default: Any = None
    summary: str = ""
    minimum: float | None = None
    maximum: float | None = None
    choices: Sequence[str] | None = None

    def described(self) -> dict[str, Any]:
        return {key: value for key, value in vars(self).items() if value is not None}


def Bool(name: str, *, default: bool | None = None, summary: str = "") -> Option:
    return Option(name, "bool", default, summary)


def Int(name: str, minimum: int, maximum: int, *, default: int | None = None, summary: str = "") -> Option:
    return Option(name, "int", default, summary, minimum, maximum)


def Number(name: str, minimum: float, maximum: float, *, default: float | None = None, summary: str = "") -> Option:
    return Option(name, "number", default, summary, minimum, maximum)


def Choice(name: str, choices: Sequence[str], *, default: str | None = None, summary: str = "") -> Option:
    return Option(name, "choice", default, summary, choices=list(choices))


def Path(name: str, *, default: str | None = None, summary: str = "") -> Option:
    return Option(name, "path", default, summary)


def Text(name: str, *, default: str | None = None, summary: str = "") -> Option:
    return Option(name, "text", default, summary)


class Stage:
    """Base of the four kinds. `setup` may set the reach, where that depends on options."""

    kind = ""
    version = ""
    """Raise it whenever results change for equal options."""
    summary = ""
    deterministic = True
    options: Sequence[Option] = ()
    halo: int | None = 0
    """denoise, affinity: pixels around a pixel that its result depends on; None: the whole section."""
    context = 0
    """affinity: sections on each side."""
    look_behind = 0
    look_ahead = 0
    """agglomerate: sections below and above the decided one."""

    def setup(self, options: Mapping[str, Any], volume: Volume) -> None:
        """Called once, before anything is computed. Models are loaded here."""


class Denoise(Stage):
    kind = "denoise"

    def denoise(self, image: npt.NDArray[np.float32]) -> npt.ArrayLike:
        """(y, x), 0 to 1 -> the same shape, 0 to 1."""
        raise NotImplementedError


class Affinity(Stage):
    kind = "affinity"

    def affinities(self, images: npt.NDArray[np.float32], index: int, z: Sequence[int]) -> npt.ArrayLike:
        """Sections (n, y, x), 0 to 1, neighbours in the stack -> affinities of images[index], (3, y, x) in the order z, y, x: float
        0 to 1, or uint8 / 255. Channel d is between a pixel and its neighbour at -1 along d."""
        raise NotImplementedError


class Watershed(Stage):
    kind = "watershed"

    def watershed(self, affinities: npt.NDArray[np.uint8]) -> npt.ArrayLike:
        """(3, y, x) in the order z, y, x, value / 255 -> labels (y, x); 0 is none."""
        raise NotImplementedError


@dataclass(frozen=True)
class Window:
    """The region graphs of neighbouring sections, end to end.

    Section s has the fragments fragment_start[s]:fragment_start[s + 1] and the edges edge_start[s]:edge_start[s + 1]: those within it, and
    those to the section before. Edge e joins the fragments a[e] < b[e] (ids); counts[i] pixel pairs of it have the affinity
    bins[i] / 255, for i in histogram_start[e]:histogram_start[e + 1].
    """

    z: list[int]
    decided: range
    """Sections whose edges are to be decided."""
    fragment_start: npt.NDArray[np.int64]
    fragments: npt.NDArray[np.uint64]
    areas: npt.NDArray[np.int64]
    edge_start: npt.NDArray[np.int64]
    a: npt.NDArray[np.uint64]
    b: npt.NDArray[np.uint64]
    histogram_start: npt.NDArray[np.int64]
    bins: npt.NDArray[np.uint8]
    counts: npt.NDArray[np.uint32]

    @property
    def decided_edges(self) -> slice:
        """Of all edges, those to be decided."""
        return slice(int(self.edge_start[self.decided.start]), int(self.edge_start[self.decided.stop]))

    @property
    def ends(self) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """The two ends of every edge as places in `fragments`."""
        return np.searchsorted(self.fragments, self.a), np.searchsorted(self.fragments, self.b)

    @property
    def contact_areas(self) -> npt.NDArray[np.int64]:
        """Pixel pairs of every edge."""
        return self._sums(self.counts.astype(np.int64))

    @property
    def mean_affinities(self) -> npt.NDArray[np.float64]:
        """Of every edge, 0 to 1."""
        total = self._sums(self.counts.astype(np.int64) * self.bins)
        return total / (255.0 * np.maximum(self.contact_areas, 1))

    def _sums(self, values: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        running = np.concatenate([[0], np.cumsum(values)])
        return running[self.histogram_start[1:]] - running[self.histogram_start[:-1]]


class Agglomerate(Stage):
    kind = "agglomerate"

    def agglomerate(self, window: Window) -> tuple[npt.ArrayLike, npt.ArrayLike]:
        """For each edge of window.decided_edges: whether its ends are of one neuron, and the score of that, 0 to 1."""
        raise NotImplementedError


def main(stage_class: type[Stage]) -> None:
    """Serves requests until standard input ends."""
    # The pipes become the daemon's alone: what a library prints, in Python or in C, goes to standard error.
    source = os.fdopen(os.dup(0), "rb", buffering=1 << 16)
    target = os.fdopen(os.dup(1), "wb", buffering=0)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    stage: Stage | None = None
    while (message := _receive(source)) is not None:
        request, arrays = message
        try:
            if request["request"] == "describe":
                header, answer = _described(stage_class), {}
            elif request["request"] == "configure":
                stage = stage_class()
                z, y, x = request["voxel_size_nm"]
                stage.setup(request["options"], Volume(request["volume"], (z, y, x)))
                names = ("halo", "context", "look_behind", "look_ahead")
                header, answer = {name: getattr(stage, name) for name in names}, {}
            elif request["request"] == "run":
                if stage is None:
                    raise RuntimeError("run before configure")
                header, answer = {"id": request["id"]}, _run(stage, request, arrays)
            else:
                raise RuntimeError(f"unknown request {request['request']!r}")
        except Exception as error:
            traceback.print_exc()
            header, answer = {"error": f"{type(error).__name__}: {error}"}, {}
        sys.stderr.flush()
        _send(target, header, answer)


def _described(stage_class: type[Stage]) -> dict[str, Any]:
    return {
        "protocol": PROTOCOL,
        "kind": stage_class.kind,
        "version": stage_class.version,
        "summary": stage_class.summary,
        "deterministic": stage_class.deterministic,
        "options": [option.described() for option in stage_class.options],
    }


def _run(stage: Stage, request: Mapping[str, Any], arrays: Mapping[str, npt.NDArray[Any]]) -> dict[str, npt.NDArray[Any]]:
    if isinstance(stage, Denoise):
        return {"image": np.asarray(stage.denoise(arrays["image"]), np.float32)}
    if isinstance(stage, Affinity):
        result = np.asarray(stage.affinities(arrays["images"], request["index"], request["z"]))
        return {"affinities": result if result.dtype == np.uint8 else result.astype(np.float32)}
    if isinstance(stage, Watershed):
        labels = np.asarray(stage.watershed(arrays["affinities"]))
        if labels.size and (labels.min() < 0 or labels.max() > 0xFFFFFFFF):
            raise ValueError("labels must be 0 to 2**32 - 1")
        return {"labels": labels.astype(np.uint32)}
    if isinstance(stage, Agglomerate):
        first, last = request["decided"]
        accepted, scores = stage.agglomerate(Window(z=request["z"], decided=range(first, last), **arrays))
        return {"accepted": np.asarray(accepted).astype(np.uint8), "scores": np.asarray(scores, np.float32)}
    raise TypeError("a stage must be a Denoise, Affinity, Watershed or Agglomerate")


def _receive(source: BinaryIO) -> tuple[dict[str, Any], dict[str, npt.NDArray[Any]]] | None:
    line = source.readline()
    if not line:
        return None
    header = json.loads(line)
    arrays: dict[str, npt.NDArray[Any]] = {}
    for entry in header["arrays"]:
        if entry["dtype"] not in _DTYPES:
            raise ValueError(f"array {entry['name']} has the unknown dtype {entry['dtype']}")
        array = np.empty(entry["shape"], np.dtype(entry["dtype"]).newbyteorder("<"))
        view = memoryview(array.reshape(-1).view(np.uint8))
        while len(view):
            count = source.readinto(view)  # type: ignore[attr-defined]
            if not count:
                return None
            view = view[count:]
        arrays[entry["name"]] = array
    return header, arrays


def _send(target: BinaryIO, header: dict[str, Any], arrays: Mapping[str, npt.NDArray[Any]]) -> None:
    packed = {name: np.ascontiguousarray(array, array.dtype.newbyteorder("<")) for name, array in arrays.items()}
    header["arrays"] = [
        {"name": name, "dtype": array.dtype.name, "shape": list(array.shape)} for name, array in packed.items()
    ]
    parts = [json.dumps(header, allow_nan=False).encode() + b"\n"]
    for part in parts + [array.reshape(-1).view(np.uint8) for array in packed.values()]:
        view = memoryview(part)
        while len(view):
            view = view[target.write(view) :]
