"""Import the image encoder (trunk and neck) of a SAM2 checkpoint.

Reads the official `.pt` files of SAM2 and SAM2.1, safetensors, and Hugging Face's names for the same tensors, and
writes one HDF5 file. Everything that is missing, unused, misshapen or unusable is reported at once.
"""

from __future__ import annotations

import argparse
import functools
import hashlib
import json
import os
import re
import sys
from collections import Counter
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import h5py
import torch
from torch import Tensor

from .config import TRUNKS, TrunkConfig
from .containers import ENCODER_FORMAT, CheckpointFileError, Container, opened, printable
from .trunk import Hiera

BAD_DATA, CANNOT_CREATE = 65, 73  # exit statuses, as sysexits.h has them
SIZES: dict[str, TrunkConfig] = {name: TRUNKS[name] for name in ("tiny", "small", "base_plus", "large")}
NECK = {"d_model": 256, "fpn_top_down_levels": [2, 3]}
FLOATS = {"float64", "float32", "float16", "bfloat16"}

# What a tensor is called by SAM2, by Hugging Face (`Sam2Model`; `Sam2VisionModel` alone has no prefix), and by us.
PREFIXES = {"SAM2": "image_encoder.", "Hugging Face": "vision_encoder.", "Hugging Face, vision model": ""}
HUGGING_FACE = [
    (re.compile(pattern), replacement)
    for pattern, replacement in (
        (r"^trunk\.", "backbone."),
        (r"patch_embed\.proj\.", "patch_embed.projection."),
        (r"\.norm([12])\.", r".layer_norm\1."),
        (r"\.mlp\.layers\.0\.", ".mlp.proj_in."),
        (r"\.mlp\.layers\.1\.", ".mlp.proj_out."),
        (r"^(neck\.convs\.\d+)\.conv\.", r"\1."),
    )
]


@dataclass
class Report:
    """What was found in a file, and what is wrong with it."""

    kind: str
    names: str
    size: str
    tensors: int
    converted: int = 0
    missing: list[str] = field(default_factory=list)
    unused: list[str] = field(default_factory=list)
    misshapen: list[str] = field(default_factory=list)
    unusable: list[str] = field(default_factory=list)
    repeated: list[str] = field(default_factory=list)
    left_out: dict[str, int] = field(default_factory=dict)

    FAULTS = ("missing", "unused", "misshapen", "unusable", "repeated")

    @property
    def summary(self) -> str:
        """The faults, counted; empty when there are none."""
        return ", ".join(f"{len(getattr(self, name))} {name}" for name in self.FAULTS if getattr(self, name))

    def lines(self) -> list[str]:
        left_out = ", ".join(f"{printable(prefix)} {count}" for prefix, count in sorted(self.left_out.items()))
        lines = [
            f"{self.kind}, names of {self.names}, size {self.size}",
            f"image encoder: {self.tensors} tensors fit, {self.converted} of them converted to float32",
            f"not part of the image encoder: {left_out or 'nothing'}",
        ]
        for name in self.FAULTS:
            lines += [f"{name}: {entry}" for entry in getattr(self, name)]
        return lines


@dataclass(frozen=True)
class ImageEncoder:
    """A whole encoder: float32 tensors `trunk.*` (SAM2's names) and `neck.convs.K.conv.*`."""

    size: str
    trunk: TrunkConfig
    state: dict[str, Tensor]


@functools.lru_cache
def expected_shapes(trunk: TrunkConfig) -> dict[str, tuple[int, ...]]:
    """Every tensor of an image encoder, in its order. `neck.convs.0` is the one for stride 32."""
    with torch.device("meta"):
        shapes = {f"trunk.{key}": tuple(value.shape) for key, value in Hiera(trunk).state_dict().items()}
    for index, channels in enumerate(reversed(trunk.channels)):
        shapes[f"neck.convs.{index}.conv.weight"] = (NECK["d_model"], channels, 1, 1)
        shapes[f"neck.convs.{index}.conv.bias"] = (NECK["d_model"],)
    return shapes


def source_name(key: str, names: str) -> str:
    """What tensor `key` of ours is called in a file with these names."""
    if names.startswith("Hugging Face"):
        for pattern, replacement in HUGGING_FACE:
            key = pattern.sub(replacement, key)
    return PREFIXES.get(names, "") + key


def names_used(container: Container) -> list[str]:
    """The naming schemes that a file's keys begin like; more than one is possible."""
    if container.kind == "HDF5":
        return ["fgnet-import"]
    keys = container.entries
    found = [names for names, prefix in PREFIXES.items() if prefix and any(key.startswith(prefix) for key in keys)]
    if not found and any(key.startswith("backbone.") for key in keys):
        found = ["Hugging Face, vision model"]
    return found


def belongs(key: str, schemes: list[str]) -> bool:
    """Whether a file's key is one of its image encoder's."""
    if "fgnet-import" in schemes:
        return True
    prefixes = [PREFIXES[names] for names in schemes if PREFIXES[names]]
    return key.startswith(tuple(prefixes or ("backbone.", "neck.")))


def recognised_size(container: Container, schemes: list[str]) -> str:
    """The size whose tensors agree best, name by name and shape by shape, with what the file has."""
    inside = {key for key in container.entries if belongs(key, schemes)}

    def agreement(size: str) -> float:
        wanted = {source_name(key, n): shape for key, shape in expected_shapes(SIZES[size]).items() for n in schemes}
        fitting = sum(key in inside and container.entries[key].shape == shape for key, shape in wanted.items())
        named = sum(key in inside for key in wanted)
        return (fitting + 0.01 * named) / (len(wanted) + len(inside) - named)

    return max(SIZES, key=agreement)


def examine(container: Container) -> tuple[Report, dict[str, Tensor]]:
    """The report on a file, and the tensors that can be used."""
    schemes = names_used(container)
    if not schemes:
        starts = Counter(key.partition(".")[0] for key in container.entries).most_common(3)
        shown = ", ".join(f"{printable(prefix)} {count}" for prefix, count in starts)
        raise CheckpointFileError(f"holds no image encoder of SAM2; its tensors begin with {shown or 'nothing'}")
    size = recognised_size(container, schemes)
    report = Report(container.kind, " and ".join(schemes), size, 0)
    state: dict[str, Tensor] = {}
    used = set()
    for key, shape in expected_shapes(SIZES[size]).items():
        sources = [name for names in schemes if (name := source_name(key, names)) in container.entries]
        used.update(sources)
        if not sources:
            report.missing.append(f"{source_name(key, schemes[0])} {list(shape)}")
        elif len(sources) > 1:
            report.repeated.append(f"{key}, as {' and '.join(sources)}")
        elif (tensor := usable(container, sources[0], shape, report)) is not None:
            state[key] = tensor
    for key in container.entries.keys() - used:
        if belongs(key, schemes):
            report.unused.append(f"{printable(key)} {list(container.entries[key].shape)[:8]}")
        else:
            prefix = key.partition(".")[0]
            report.left_out[prefix] = report.left_out.get(prefix, 0) + 1
    report.unused.sort()
    report.tensors = len(state)
    check_architecture(container, size, report)
    return report, state


def usable(container: Container, name: str, shape: tuple[int, ...], report: Report) -> Tensor | None:
    """One tensor as float32; what is wrong with it goes into the report. Only a tensor that fits is ever read."""
    entry = container.entries[name]
    found = f"{list(entry.shape)[:8]}"
    if entry.dtype not in FLOATS:
        report.unusable.append(f"{name} is {entry.dtype} {found}, expected floating point {list(shape)}")
        return None
    if entry.shape != shape:
        report.misshapen.append(f"{name} is {found}, expected {list(shape)}")
        return None
    tensor = entry.read().to(torch.float32).contiguous()
    bad = int((~torch.isfinite(tensor)).sum())
    if bad:
        report.unusable.append(f"{name} has {bad} values that are no finite float32 numbers")
        return None
    report.converted += entry.dtype != "float32"
    return tensor


def check_architecture(container: Container, size: str, report: Report) -> None:
    """An imported file's own words about its architecture must agree with its tensors."""
    if container.kind == "HDF5" and container.attributes.get("architecture") != architecture(size):
        report.unusable.append(f"attribute architecture is not that of size {size}")


def architecture(size: str) -> dict[str, Any]:
    """The `architecture` attribute of an imported file."""
    return json.loads(json.dumps({"trunk": asdict(SIZES[size]), "neck": NECK}))


def examine_file(path: Path) -> tuple[Report, dict[str, Tensor]]:
    """As `examine`, for a file; a `CheckpointFileError` names it."""
    with opened(path) as container:
        try:
            return examine(container)
        except CheckpointFileError as error:
            text = str(error)
            raise CheckpointFileError(text if text.startswith(str(path)) else f"{path}: {text}") from error


def read_image_encoder(path: Path) -> ImageEncoder:
    """The image encoder of a SAM2 checkpoint in any of the formats, or of an imported file."""
    report, state = examine_file(path)
    if report.summary:
        raise CheckpointFileError(f"{path}: {report.summary}; `fgnet-import --report-only {path}` lists them")
    return ImageEncoder(report.size, SIZES[report.size], state)


def write_image_encoder(path: Path, encoder: ImageEncoder, card: dict[str, Any]) -> None:
    """Writes the HDF5 file under a temporary name, then renames it."""
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        with h5py.File(partial, "w") as file:
            file.attrs["format"] = ENCODER_FORMAT
            file.attrs["architecture"] = json.dumps(architecture(encoder.size))
            file.attrs["card"] = json.dumps(card)
            for key in sorted(encoder.state):
                file.create_dataset(key, data=encoder.state[key].numpy())
        with partial.open("rb") as file:
            os.fsync(file.fileno())
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def parser() -> argparse.ArgumentParser:
    parse = argparse.ArgumentParser(prog="fgnet-import", description=__doc__)
    parse.add_argument("checkpoint", type=Path, help="SAM2 or SAM2.1 .pt, or .safetensors")
    parse.add_argument("output", type=Path, nargs="?", help="HDF5 file to write; one that is there is replaced")
    parse.add_argument("--report-only", action="store_true", help="write nothing")
    return parse


def run(options: argparse.Namespace) -> int:
    report, state = examine_file(options.checkpoint)
    print("\n".join(report.lines()), flush=True)
    if report.summary:
        raise CheckpointFileError(f"{options.checkpoint}: {report.summary}; nothing was written")
    if options.report_only:
        return 0
    encoder = ImageEncoder(report.size, SIZES[report.size], state)
    card = {
        "source": options.checkpoint.name,
        "sha256": sha256(options.checkpoint),
        "size": report.size,
        "date": datetime.now(UTC).date().isoformat(),
    }
    try:
        if options.output.exists() and options.output.samefile(options.checkpoint):
            raise OSError("it is the checkpoint itself")
        write_image_encoder(options.output, encoder, card)
    except OSError as error:
        print(f"fgnet-import: {options.output}: cannot be written: {error.strerror or error}", file=sys.stderr)
        return CANNOT_CREATE
    print(f"{options.output}: written, {sum(tensor.numel() for tensor in state.values())} values")
    return 0


def main(arguments: list[str] | None = None) -> None:
    parse = parser()
    options = parse.parse_args(arguments)
    if options.output is None and not options.report_only:
        parse.error("give OUTPUT, or --report-only")
    try:
        status = run(options)
    except CheckpointFileError as error:
        print(f"fgnet-import: {error}", file=sys.stderr)
        status = BAD_DATA
    if status:
        sys.exit(status)


if __name__ == "__main__":
    main()
