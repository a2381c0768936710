"""Importing SAM2's image encoder: what the reference implementations write, and what anybody else may have written."""

from __future__ import annotations

import io
import json
import os
import pickle
import struct
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from torch import Tensor

from fgnet import hdf5_probe, importer, train
from fgnet.config import TRUNKS, preset
from fgnet.containers import CheckpointFileError, Container, Entry, opened
from fgnet.goldens import MICRO
from fgnet.importer import (
    SIZES,
    belongs,
    examine_file,
    expected_shapes,
    names_used,
    read_image_encoder,
    recognised_size,
    source_name,
)
from fgnet.trunk import Hiera

torch.set_num_threads(1)
SAM2_SIZES = ["tiny", "small", "base_plus", "large"]
OTHERS = {"sam_mask_decoder.conv_s0.bias": torch.zeros(32), "no_mem_embed": torch.zeros(1, 1, 256)}


@pytest.fixture
def micro(monkeypatch: pytest.MonkeyPatch) -> dict[str, Tensor]:
    """A fifth size, small enough for many files, and random weights for it in SAM2's names."""
    monkeypatch.setitem(importer.SIZES, "micro", MICRO.trunk)
    torch.manual_seed(0)
    shapes = expected_shapes(MICRO.trunk)
    return {source_name(key, "SAM2"): torch.randn(shape) for key, shape in shapes.items()} | OTHERS


def write(path: Path, state: dict[str, Tensor]) -> Path:
    """In the format that the file's name ends with."""
    if path.suffix == ".pt":
        torch.save({"model": state}, path)
    elif path.suffix == ".safetensors":
        pytest.importorskip("safetensors.torch").save_file(state, path, metadata={"format": "pt"})
    else:
        source = write(path.with_suffix(".pt"), state)
        importer.main([str(source), str(path)])
    return path


def hugging_face(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """The same tensors under Hugging Face's names."""
    ours = {key.removeprefix("image_encoder."): value for key, value in state.items() if key.startswith("image_")}
    renamed = {source_name(key, "Hugging Face"): value for key, value in ours.items()}
    return renamed | {"mask_decoder.conv_s0.bias": torch.zeros(32), "no_memory_embedding": torch.zeros(1, 1, 256)}


def reference_encoder(size: str) -> torch.nn.Module:
    """The image encoder of the `sam2` package, put together as its configuration files say."""
    image_encoder = pytest.importorskip("sam2.modeling.backbones.image_encoder")
    hieradet = pytest.importorskip("sam2.modeling.backbones.hieradet")
    encoding = pytest.importorskip("sam2.modeling.position_encoding")
    config = TRUNKS[size]
    trunk = hieradet.Hiera(
        embed_dim=config.embed_dim, num_heads=config.num_heads, stages=config.stages, window_spec=config.window_spec,
        global_att_blocks=config.global_att_blocks,
        window_pos_embed_bkg_spatial_size=config.window_pos_embed_bkg_spatial_size,
    )  # fmt: skip
    neck = image_encoder.FpnNeck(
        encoding.PositionEmbeddingSine(num_pos_feats=256, normalize=True, scale=None, temperature=10000), 256,
        list(reversed(config.channels)), fpn_top_down_levels=[2, 3], fpn_interp_model="nearest",
    )  # fmt: skip
    return image_encoder.ImageEncoder(trunk, neck, scalp=1)


def hugging_face_vision_config(size: str) -> object:
    transformers = pytest.importorskip("transformers")
    config = TRUNKS[size]
    backbone = transformers.Sam2HieraDetConfig(
        hidden_size=config.embed_dim, num_attention_heads=config.num_heads, blocks_per_stage=list(config.stages),
        embed_dim_per_stage=list(config.channels), window_size_per_stage=list(config.window_spec),
        num_attention_heads_per_stage=[config.num_heads * 2**stage for stage in range(4)],
        global_attention_blocks=list(config.global_att_blocks),
        window_positional_embedding_background_size=list(config.window_pos_embed_bkg_spatial_size),
    )  # fmt: skip
    return transformers.Sam2VisionConfig(
        backbone_config=backbone, backbone_channel_list=list(reversed(config.channels))
    )


def shapes_only(shapes: dict[str, tuple[int, ...]]) -> Container:
    return Container("PyTorch", {key: Entry(shape, "float32", lambda: torch.zeros(0)) for key, shape in shapes.items()})


def check_names_and_size(size: str, container: Container) -> None:
    schemes = names_used(container)
    assert len(schemes) == 1 and recognised_size(container, schemes) == size
    inside = {key: entry.shape for key, entry in container.entries.items() if belongs(key, schemes)}
    assert inside == {source_name(key, schemes[0]): shape for key, shape in expected_shapes(SIZES[size]).items()}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("size", SAM2_SIZES)
def test_sizes_of_the_reference_implementations(size: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # Chances of stochastic depth (all 0) are read while the network is built, which tensors without memory cannot be.
    monkeypatch.setattr(torch, "linspace", lambda first, last, count: torch.zeros(count, device="cpu"))
    with torch.device("meta"):
        reference = reference_encoder(size)
    shapes = {f"image_encoder.{key}": tuple(value.shape) for key, value in reference.state_dict().items()}
    check_names_and_size(size, shapes_only(shapes))
    config = hugging_face_vision_config(size)
    transformers = pytest.importorskip("transformers")
    with torch.device("meta"):
        model = transformers.Sam2Model(transformers.Sam2Config(vision_config=config))
    check_names_and_size(size, shapes_only({key: tuple(value.shape) for key, value in model.state_dict().items()}))
    alone = {key: tuple(value.shape) for key, value in model.vision_encoder.state_dict().items()}
    check_names_and_size(size, shapes_only(alone))


@pytest.mark.parametrize("size", SAM2_SIZES)
def test_sizes_of_the_official_checkpoints(size: str, request: pytest.FixtureRequest) -> None:
    folder = request.config.getoption("--sam2-manifests") or os.environ.get("FGNET_SAM2_MANIFESTS")
    if not folder:
        pytest.skip("needs --sam2-manifests or FGNET_SAM2_MANIFESTS")
    entries = json.loads((Path(folder) / f"sam2.1_hiera_{size}.json").read_text())
    check_names_and_size(size, shapes_only({entry["key"]: tuple(entry["shape"]) for entry in entries}))


@pytest.mark.filterwarnings("ignore")
def test_tiny_of_the_sam2_package(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    torch.manual_seed(0)
    reference = reference_encoder("tiny")
    state = {f"image_encoder.{key}": value for key, value in reference.state_dict().items()} | OTHERS
    source, target = write(tmp_path / "sam2.1_hiera_tiny.pt", state), tmp_path / "tiny.h5"
    importer.main([str(source), str(target)])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "PyTorch, names of SAM2, size tiny" and "162 tensors fit" in lines[1]
    assert lines[2] == "not part of the image encoder: no_mem_embed 1, sam_mask_decoder 1"
    with h5py.File(target) as file:
        assert file.attrs["format"] == "fgnet-image-encoder-1"
        architecture = json.loads(file.attrs["architecture"])
        assert architecture["trunk"]["stages"] == [1, 2, 7, 2]
        assert architecture["neck"] == {"d_model": 256, "fpn_top_down_levels": [2, 3]}
        card = json.loads(file.attrs["card"])
        assert (card["source"], card["size"], card["sha256"]) == (source.name, "tiny", importer.sha256(source))
        assert len(file) == 162 and all(dataset.dtype == "float32" for dataset in file.values())
        for key, value in reference.state_dict().items():
            assert np.array_equal(file[key][()], value.numpy())
    assert {path.name for path in tmp_path.iterdir()} == {source.name, target.name}


@pytest.mark.filterwarnings("ignore")
def test_tiny_of_hugging_face_computes_the_same(tmp_path: Path) -> None:
    """Written by `save_pretrained`, imported, and run: the trunk's outputs and the neck's are those of their model."""
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    model = transformers.Sam2VisionModel(hugging_face_vision_config("tiny")).eval()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.05)
    model.save_pretrained(tmp_path)
    encoder = read_image_encoder(tmp_path / "model.safetensors")
    trunk = Hiera(TRUNKS["tiny"]).eval()
    trunk.load_state_dict({k.removeprefix("trunk."): v for k, v in encoder.state.items() if k.startswith("trunk.")})
    image = torch.randn(1, 3, 224, 224)
    with torch.inference_mode():
        outputs = trunk(image)
        theirs = model.backbone(image).intermediate_hidden_states
        for ours, other in zip(outputs, theirs, strict=True):
            torch.testing.assert_close(ours, other.permute(0, 3, 1, 2), rtol=1e-4, atol=1e-4)
        finest = torch.nn.functional.conv2d(
            outputs[0], encoder.state["neck.convs.3.conv.weight"], encoder.state["neck.convs.3.conv.bias"]
        )
        torch.testing.assert_close(finest, model(image).fpn_hidden_states[0], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("suffix", [".pt", ".safetensors", ".h5"])
def test_formats_agree_and_start_a_run(micro: dict[str, Tensor], suffix: str, tmp_path: Path,
                                       monkeypatch: pytest.MonkeyPatch) -> None:  # fmt: skip
    path = write(tmp_path / f"micro{suffix}", micro)
    monkeypatch.setattr(train, "preset", lambda name: {"micro": MICRO, "nano": preset("nano")}[name])
    words = ["--output", str(tmp_path / "run"), "--source", "none", "--trunk-weights", str(path), "--mode", "frozen"]
    trainer = train.Trainer(train.parser().parse_args(words))
    for key, value in trainer.model.trunk.state_dict().items():
        assert torch.equal(value, micro[f"image_encoder.trunk.{key}"])
    with pytest.raises(CheckpointFileError, match="trunk is of another size"):
        train.Trainer(train.parser().parse_args([*words, "--trunk", "nano"]))


def test_hugging_face_names_in_any_container(micro: dict[str, Tensor], tmp_path: Path) -> None:
    for name in ("model.safetensors", "pytorch_model.pt"):
        encoder = read_image_encoder(write(tmp_path / name, hugging_face(micro)))
        assert encoder.size == "micro"
        assert all(torch.equal(value, micro[f"image_encoder.{key}"]) for key, value in encoder.state.items())


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_floats_are_converted(micro: dict[str, Tensor], dtype: torch.dtype, tmp_path: Path) -> None:
    narrowed = {key: value.to(dtype) for key, value in micro.items()}
    for name in ("a.pt", "a.safetensors"):
        report, state = examine_file(write(tmp_path / name, narrowed))
        assert not report.summary and report.converted == len(state)
        assert all(value.dtype == torch.float32 for value in state.values())
        assert all(torch.equal(value, narrowed[f"image_encoder.{key}"].float()) for key, value in state.items())


def test_every_fault_is_reported_at_once(micro: dict[str, Tensor], tmp_path: Path,
                                         capsys: pytest.CaptureFixture) -> None:  # fmt: skip
    prefix = "image_encoder.trunk.blocks.0."
    micro["image_encoder.trunk.cls_token"] = torch.zeros(1, 1, 8)
    micro["image_encoder.trunk.evil\nname"] = torch.zeros(1)
    micro[prefix + "norm1.weight"] = torch.zeros(9)
    micro[prefix + "norm1.bias"] = torch.zeros(8, dtype=torch.int64)
    micro[prefix + "norm2.weight"][3] = float("nan")
    micro[prefix + "norm2.bias"] = torch.full((8,), 1e300, dtype=torch.float64)
    micro["vision_encoder.neck.convs.1.bias"] = micro["image_encoder.neck.convs.1.conv.bias"].clone()
    for key in (prefix + "attn.qkv.weight", "image_encoder.neck.convs.0.conv.bias"):
        del micro[key]
    target = tmp_path / "out.h5"
    target.write_text("what was there before")
    with pytest.raises(SystemExit) as exit_status:
        importer.main([str(write(tmp_path / "a.pt", micro)), str(target)])
    assert exit_status.value.code == 65 and target.read_text() == "what was there before"
    printed = capsys.readouterr()
    assert printed.err.endswith("2 missing, 2 unused, 1 misshapen, 3 unusable, 1 repeated; nothing was written\n")
    assert printed.err.count("\n") == 1
    assert printed.out.splitlines()[3:] == [
        f"missing: {prefix}attn.qkv.weight [24, 8]",
        "missing: image_encoder.neck.convs.0.conv.bias [256]",
        "unused: image_encoder.trunk.cls_token [1, 1, 8]",
        r"unused: image_encoder.trunk.evil\nname [1]",
        f"misshapen: {prefix}norm1.weight is [9], expected [8]",
        f"unusable: {prefix}norm1.bias is int64 [8], expected floating point [8]",
        f"unusable: {prefix}norm2.weight has 1 values that are no finite float32 numbers",
        f"unusable: {prefix}norm2.bias has 8 values that are no finite float32 numbers",
        "repeated: neck.convs.1.conv.bias, "
        "as image_encoder.neck.convs.1.conv.bias and vision_encoder.neck.convs.1.bias",
    ]


class Bomb:
    """Unpickling this writes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple:
        return os.mkdir, (str(self.path),)


def zipped(path: Path, entries: dict[str, bytes], compression: int = zipfile.ZIP_STORED) -> None:
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, content in entries.items():
            archive.writestr(name, content)


def safetensors_bytes(header: object, data: bytes = b"") -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


HOSTILE = {
    "folder": lambda p: p.mkdir(),
    "absent": lambda p: None,
    "pipe": os.mkfifo,
    "empty": lambda p: p.write_bytes(b""),
    "text": lambda p: p.write_text("not a checkpoint, just some text\n"),
    "one byte": lambda p: p.write_bytes(b"P"),
    "zip magic alone": lambda p: p.write_bytes(b"PK\x03\x04"),
    "bare pickle": lambda p: p.write_bytes(pickle.dumps({"model": {}})),
    "code in a bare pickle": lambda p: p.write_bytes(pickle.dumps(Bomb(p.parent / "exploded"))),
    "code in an archive": lambda p: torch.save({"model": {"image_encoder.trunk.x": Bomb(p.parent / "exploded")}}, p),
    "program": lambda p: torch.jit.trace(torch.nn.Linear(2, 2), torch.zeros(1, 2)).save(str(p)),
    "zip without data.pkl": lambda p: zipped(p, {"a/b": b"c"}),
    "two tables": lambda p: zipped(p, {"a/data.pkl": b"\x80\x02}.", "b/data.pkl": b"\x80\x02}."}),
    "zip bomb": lambda p: zipped(p, {"a/data.pkl": b"\x80\x02}.", "a/data/0": bytes(10**8)}, zipfile.ZIP_DEFLATED),
    "nonsense table": lambda p: zipped(p, {"a/data.pkl": b"\x80\x02nonsense", "a/version": b"3\n"}),
    "list": lambda p: torch.save([torch.zeros(3)], p),
    "no tensors": lambda p: torch.save({"model": {}}, p),
    "nameless tensors": lambda p: torch.save({"model": {3: torch.zeros(3)}}, p),
    "other network": lambda p: torch.save({"model": {"backbone2.conv.weight": torch.zeros(3)}}, p),
    "values that are no tensors": lambda p: torch.save({"model": {"image_encoder.trunk.pos_embed": [1, 2]}}, p),
    "sparse": lambda p: torch.save({"image_encoder.trunk.pos_embed": torch.eye(3).to_sparse()}, p),
    "endless stride": lambda p: torch.save({"image_encoder.trunk.pos_embed": torch.zeros(1).expand(2**40)}, p),
    "huge header": lambda p: p.write_bytes(struct.pack("<Q", 2**63) + b"{}"),
    "header beyond the file": lambda p: p.write_bytes(struct.pack("<Q", 10**6) + b"{}"),
    "header no JSON": lambda p: p.write_bytes(safetensors_bytes(b"{not json}")),
    "header too deep": lambda p: p.write_bytes(safetensors_bytes(b'{"a":' + b"[" * 10**6)),
    "header no UTF-8": lambda p: p.write_bytes(safetensors_bytes(b'{"\xff": 1}')),
    "name twice": lambda p: p.write_bytes(safetensors_bytes(b'{"a": {}, "a": {}}')),
    "huge number": lambda p: p.write_bytes(safetensors_bytes(b'{"a": {"shape": [' + b"9" * 5000 + b"]}}")),
    "record no table": lambda p: p.write_bytes(safetensors_bytes({"a": [1]})),
    "negative shape": lambda p: p.write_bytes(
        safetensors_bytes({"a": {"dtype": "F32", "shape": [-1], "data_offsets": [0, -4]}})
    ),
    "tensor beyond the file": lambda p: p.write_bytes(
        safetensors_bytes({"a": {"dtype": "F32", "shape": [2**40], "data_offsets": [0, 2**42]}}, bytes(8))
    ),
    "tensors overlap": lambda p: p.write_bytes(
        safetensors_bytes({n: {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]} for n in "ab"}, bytes(8))
    ),
    "shape and bytes differ": lambda p: p.write_bytes(
        safetensors_bytes({"a": {"dtype": "F32", "shape": [3], "data_offsets": [0, 8]}}, bytes(8))
    ),
    "HDF5 signature alone": lambda p: p.write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(100)),
    "HDF5 of another kind": lambda p: h5py.File(p, "w").close(),
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", HOSTILE)
def test_hostile_files_give_one_line(kind: str, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    path = tmp_path / "file"
    HOSTILE[kind](path)
    with pytest.raises(SystemExit) as exit_status:
        importer.main([str(path), str(tmp_path / "out.h5")])
    error = capsys.readouterr().err
    assert exit_status.value.code == 65
    assert error.startswith(f"fgnet-import: {path}: ") and error.count("\n") == 1 and len(error) < 500
    assert not (tmp_path / "out.h5").exists() and not (tmp_path / "exploded").exists()


def test_links_and_packed_data_in_an_imported_file(micro: dict[str, Tensor], tmp_path: Path) -> None:
    path = write(tmp_path / "a.h5", micro)
    with h5py.File(path, "r+") as file:
        del file["trunk.pos_embed"], file["trunk.pos_embed_window"], file["neck.convs.0.conv.bias"]
        file["trunk.pos_embed"] = h5py.ExternalLink("elsewhere.h5", "x")
        file["trunk.pos_embed_window"] = h5py.SoftLink("/trunk.patch_embed.proj.weight")
        file.create_dataset("neck.convs.0.conv.bias", data=np.zeros(256, np.float32), compression="gzip")
        file.attrs["architecture"] = "{}"
    report, _ = examine_file(path)
    assert report.summary == "4 unusable"


@pytest.mark.parametrize("suffix", [".pt", ".safetensors", ".h5"])
def test_damaged_files_are_refused_or_read(micro: dict[str, Tensor], suffix: str, tmp_path: Path) -> None:
    """Cut short anywhere, bits flipped anywhere: a clean error, or a whole encoder of finite numbers."""
    whole = write(tmp_path / f"a{suffix}", micro).read_bytes()
    rng = np.random.default_rng(7)
    path, refused = tmp_path / f"b{suffix}", 0
    attempts = 100 if suffix != ".h5" else 24  # each of those starts a process
    for attempt in range(attempts):
        content = bytearray(whole)
        if attempt < attempts // 3:
            del content[int(rng.integers(0, len(whole))) :]
        else:
            # Half of the flips where a format's tables are, at the start.
            limit = len(whole) if attempt % 2 else min(4000, len(whole))
            for place in rng.integers(0, limit, int(rng.integers(1, 5))):
                content[place] ^= 1 << int(rng.integers(0, 8))
        path.write_bytes(content)
        try:
            encoder = read_image_encoder(path)
        except CheckpointFileError as error:
            refused += 1
            assert str(error).startswith(str(path)) and "\n" not in str(error)
            assert attempt >= attempts // 3 or "report-only" not in str(error)
        else:
            assert attempt >= attempts // 3
            assert all(torch.isfinite(value).all() for value in encoder.state.values())
    assert refused >= attempts // 3


def test_damaged_tables_with_right_checksums(tmp_path: Path, micro: dict[str, Tensor]) -> None:
    """The table of an archive may be anything, even where the archive itself is sound."""
    torch.save({"model": micro}, tmp_path / "a.pt")
    with zipfile.ZipFile(tmp_path / "a.pt") as archive:
        entries = {info.filename: archive.read(info) for info in archive.infolist()}
    table = next(name for name in entries if name.endswith("data.pkl"))
    rng = np.random.default_rng(11)
    for _ in range(100):
        damaged = bytearray(entries[table])
        for place in rng.integers(0, len(damaged), int(rng.integers(1, 4))):
            damaged[place] = int(rng.integers(0, 256))
        zipped(tmp_path / "b.pt", {**entries, table: bytes(damaged)})
        try:
            read_image_encoder(tmp_path / "b.pt")
        except CheckpointFileError as error:
            assert "\n" not in str(error)


def test_what_brings_the_hdf5_library_down(micro: dict[str, Tensor], tmp_path: Path,
                                           monkeypatch: pytest.MonkeyPatch) -> None:  # fmt: skip
    """A file that ends, or holds up, the process that reads it first is a damaged file and no more."""
    path = write(tmp_path / "a.h5", micro)
    for script in ("import os; os.abort()", "import signal; signal.pause()"):
        (tmp_path / "probe.py").write_text(script)
        monkeypatch.setattr(hdf5_probe, "__file__", str(tmp_path / "probe.py"))
        monkeypatch.setattr(hdf5_probe.survives, "__defaults__", (2.0,))
        with pytest.raises(CheckpointFileError, match="the HDF5 library fails on it"):
            read_image_encoder(path)


def test_report_only_and_bad_targets(micro: dict[str, Tensor], tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    source = write(tmp_path / "a.pt", micro)
    importer.main(["--report-only", str(source)])
    assert "size micro" in capsys.readouterr().out and list(tmp_path.iterdir()) == [source]
    before = source.read_bytes()
    for target in (source, tmp_path, tmp_path / "absent" / "out.h5"):
        with pytest.raises(SystemExit) as exit_status:
            importer.main([str(source), str(target)])
        assert exit_status.value.code == 73 and capsys.readouterr().err.count("\n") == 1
    assert source.read_bytes() == before and list(tmp_path.iterdir()) == [source]
    with pytest.raises(SystemExit) as exit_status:
        importer.main([str(source)])
    assert exit_status.value.code == 2


def test_containers_read_only_what_is_asked_for(tmp_path: Path, micro: dict[str, Tensor]) -> None:
    with opened(write(tmp_path / "a.safetensors", micro)) as container:
        assert container.entries["no_mem_embed"].shape == (1, 1, 256)
    buffer = io.BytesIO()
    torch.save(micro, buffer)
    (tmp_path / "plain.pt").write_bytes(buffer.getvalue())
    assert read_image_encoder(tmp_path / "plain.pt").size == "micro"
