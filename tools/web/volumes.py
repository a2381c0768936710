"""What other programs read of the daemon, against what the store and SQL hold."""

import json
import re
import shutil
import subprocess
import urllib.request

import h5py
import numpy as np
from cloudvolume import CloudVolume
from prometheus_client.parser import text_string_to_metric_families


def fetch(address):
    with urllib.request.urlopen(address, timeout=60) as answer:
        return answer.read()


def stored(bench, z, moment=None):
    """Image, fragment labels and segments of a section, out of HDF5 and SQL."""
    image, file = bench.sql(
        f"select content_sha256, file from section where z = {z} and state not in ('superseded', 'missing')").strip().split("|")
    sign = "-" if z < 0 else ""
    with h5py.File(bench.store / f"z{sign}{abs(z):06d}-{image[:12]}.image.h5") as source:
        pixels = source["image"][:]
    with h5py.File(bench.store / file) as source:
        labels = source["fragments"][:]
    table = np.zeros(labels.max() + 1, np.uint64)
    for line in bench.sql(
            f"select label, segment_id from fragments_as_of(1, {moment or 'null'}, null, {z}, {z})").split():
        label, segment = line.split("|")
        table[int(label)] = int(segment)
    return pixels, table[labels]


def halved(plane):
    """Half as many rows and columns: the rounded mean of four; at an odd edge those that are there repeat."""
    plane = np.pad(plane, [(0, plane.shape[0] % 2), (0, plane.shape[1] % 2)], mode="edge").astype(np.uint32)
    return ((plane[::2, ::2] + plane[::2, 1::2] + plane[1::2, ::2] + plane[1::2, 1::2] + 2) // 4).astype(np.uint8)


def is_mode(coarse, fine):
    """Whether each coarse pixel is one of the most frequent of its four."""
    fine = np.pad(fine, [(0, fine.shape[0] % 2), (0, fine.shape[1] % 2)], mode="edge")
    four = np.stack([fine[::2, ::2], fine[::2, 1::2], fine[1::2, ::2], fine[1::2, 1::2]])
    most = np.max([(four == one).sum(axis=0) for one in four], axis=0)
    return bool(((four == coarse).sum(axis=0) == most).all())


def check_cloud_volume(bench, address, sections):
    """cloud-volume reads image and segments equal to the store, at full size and halved, now and of a past moment."""
    def volume(kind, mip=0):
        return CloudVolume(
            f"precomputed://{address}/precomputed/test/{kind}", mip=mip, progress=False, fill_missing=False, use_https=False)

    image, segments, coarse, coarse_segments = volume("image"), volume("segmentation"), volume("image", 1), volume("segmentation", 1)
    assert tuple(image.resolution) == (6, 6, 30) and tuple(coarse.resolution) == (12, 12, 30), image.resolution
    assert image.bounds.minpt[2] == min(sections) and image.bounds.maxpt[2] == max(sections) + 1, image.bounds
    for z in sections:
        pixels, wanted = stored(bench, z)
        assert np.array_equal(image[:, :, z][:, :, 0, 0].T, pixels), f"the image of section {z} differs"
        found = segments[:, :, z][:, :, 0, 0].T
        assert found.dtype == np.uint64 and np.array_equal(found, wanted), f"the segments of section {z} differ"
        assert np.array_equal(coarse[:, :, z][:, :, 0, 0].T, halved(pixels)), f"the halved image of section {z} differs"
        assert is_mode(coarse_segments[:, :, z][:, :, 0, 0].T, wanted), f"the halved segments of section {z} are no modes"
    z = min(sections)
    moment = int(bench.sql(f"select as_of('test', section => {z + 1})"))
    found = volume(f"segmentation@{moment}")[:, :, z][:, :, 0, 0].T
    assert np.array_equal(found, stored(bench, z, moment)[1]), f"the segments of section {z} as of {moment} differ"
    properties = json.loads(fetch(f"{address}/precomputed/test/segmentation/properties/info"))["inline"]
    sizes = dict(zip(properties["ids"], properties["properties"][0]["values"]))
    for line in bench.sql("select segment_id, size_voxels from segments order by size_voxels desc limit 20").split():
        segment, size = line.split("|")
        assert sizes[segment] == float(size), f"segment {segment} has {sizes.get(segment)} voxels, SQL says {size}"


def check_metrics(root, address):
    """/metrics is what Prometheus reads; the dashboard and the alerts ask for what is there."""
    text = fetch(f"{address}/metrics").decode()
    families = {family.name: family for family in text_string_to_metric_families(text)}
    names = {sample.name for family in families.values() for sample in family.samples}
    for family in families.values():
        assert family.type in ("gauge", "counter") and family.documentation.endswith("."), family
    finals = [s.value for s in families["fgnetd_sections"].samples if s.labels == {"volume": "test", "state": "final"}]
    assert finals and finals[0] > 0, finals
    asked = set()
    for path in (root / "docs/monitoring/grafana.json", root / "docs/monitoring/alerts.yaml"):
        asked |= set(re.findall(r"\b(?:fgnetd|process)_[a-z_]+", path.read_text()))
    json.loads((root / "docs/monitoring/grafana.json").read_text())
    assert asked <= names, f"asked for, but not told: {sorted(asked - names)}"
    if shutil.which("promtool"):
        subprocess.run(["promtool", "check", "metrics"], input=text, text=True, check=True, capture_output=True)
        subprocess.run(["promtool", "check", "rules", str(root / "docs/monitoring/alerts.yaml")], check=True, capture_output=True)


def check_document(python, address, folder):
    """Answers are what the served OpenAPI document says, for whatever a caller may send."""
    document = fetch(f"{address}/openapi.yaml").decode()
    # Half of the requests ask for what is there.
    there = document.replace(
        "volume: {name: volume, in: path, required: true, schema: {type: string}}",
        "volume: {name: volume, in: path, required: true, schema: {type: string, enum: [test]}}",
    ).replace("minimum: -131072, maximum: 131071", "minimum: -1, maximum: 6").replace("maximum: 1000000}", "maximum: 2}")
    assert there != document
    told = []
    for name, text in [("any", document), ("there", there)]:
        path = folder / f"{name}.yaml"
        path.write_text(text)
        done = subprocess.run(
            [python.with_name("schemathesis"), "run", str(path), "--url", address, "--exclude-path", "/api/v1/events",
             "--checks", "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance",
             "--phases", "examples,coverage,fuzzing", "--max-examples", "25", "--seed", "5", "--workers", "2"],
            capture_output=True, text=True, cwd=folder)
        assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-1000:]
        made = re.search(r"(\d+) generated", done.stdout)
        assert made and int(made[1]) > 200, done.stdout[-2000:]
        told.append(f"{made[1]} requests ({name})")
    return ", ".join(told)
