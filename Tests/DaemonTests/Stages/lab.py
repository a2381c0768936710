"""A stage of each kind that does something simple. Usage: lab.py KIND. It fails as the file `poison` in its folder says: lines of a number and a
fault; that input, counted from 1 as they are first seen, always gives the fault."""

import hashlib
import os
import sys
import time
from pathlib import Path

import fgnet_stage as fgnet
import numpy as np


def poisoned(*arrays):
    """The fault that this input is to give."""
    if not Path("poison").exists():
        return ""
    mark = hashlib.sha256(b"".join(np.ascontiguousarray(array).tobytes() for array in arrays)).hexdigest()
    seen = Path("seen").read_text().split() if Path("seen").exists() else []
    if mark not in seen:
        seen.append(mark)
        Path("seen").write_text("\n".join(seen))
    faults = dict(line.split() for line in Path("poison").read_text().splitlines())
    fault = faults.get(str(seen.index(mark) + 1), "")
    if fault == "crash":
        os.abort()
    if fault == "hang":
        time.sleep(3600)
    if fault == "refuse":
        raise ValueError("this is beyond me")
    return fault


class Denoise(fgnet.Denoise):
    version = "1"
    options = [fgnet.Number("gain", 0, 1, default=1, summary="Factor.")]

    def setup(self, options, volume):
        self.gain = options["gain"]

    def denoise(self, image):
        fault = poisoned(image)
        out = image * np.float32(self.gain)
        return out * np.nan if fault == "nan" else out


class Affinity(fgnet.Affinity):
    version = "1"
    context = 1
    halo = 1

    def affinities(self, images, index, z):
        fault = poisoned(images, np.array([index]))
        image = images[index]
        below = images[index - 1] if index > 0 else image
        y = np.minimum(image, np.roll(image, 1, 0))
        x = np.minimum(image, np.roll(image, 1, 1))
        out = np.stack([np.minimum(image, below), y, x])
        return out[:2] if fault == "nan" else out


class Watershed(fgnet.Watershed):
    version = "1"

    def watershed(self, affinities):
        fault = poisoned(affinities)
        height, width = affinities.shape[1:]
        cells = np.arange(height)[:, None] // 16 * 100 + np.arange(width) // 16 + 1
        labels = np.where(affinities[1:].min(0) > 40, cells, 0)
        return labels + (1 << 23) if fault == "nan" else labels


class Agglomerate(fgnet.Agglomerate):
    version = "1"
    look_behind = 2
    look_ahead = 1

    def agglomerate(self, window):
        fault = poisoned(window.a, window.b)
        scores = window.mean_affinities[window.decided_edges]
        return scores > 0.4, scores + (2 if fault == "nan" else 0)


fgnet.main({"denoise": Denoise, "affinity": Affinity, "watershed": Watershed, "agglomerate": Agglomerate}[sys.argv[1]])
