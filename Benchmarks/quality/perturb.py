"""Sections with one fault each, for measuring what faults of a scan cost: perturb.py IMAGES LABELS OUTPUT FAULT.

FAULT: clean, missing, blurred, shifted, darker (all of the middle section) or noisy (all sections). Labels move with the
tissue: those of a shifted section are shifted, those of a missing one left out.
"""

import sys
from pathlib import Path

import numpy as np
import tifffile
from scipy import ndimage


def moved(section: np.ndarray, pixels: int, fill: int) -> np.ndarray:
    out = np.full_like(section, fill)
    out[:, pixels:] = section[:, :-pixels]
    return out


def perturbed(image: np.ndarray, labels: np.ndarray, fault: str) -> tuple[np.ndarray, np.ndarray]:
    image, labels = image.copy(), labels.copy()
    middle = len(image) // 2
    section = image[middle].astype(np.float64)
    if fault == "blurred":
        image[middle] = np.round(ndimage.gaussian_filter(section, 2))
    elif fault == "shifted":
        image[middle] = moved(image[middle], 10, int(section.mean()))
        labels[middle] = moved(labels[middle], 10, 0)
    elif fault == "darker":
        image[middle] = np.round(0.6 * section)
    elif fault == "noisy":
        noise = np.random.default_rng(7).normal(0, 15, image.shape)
        image = np.clip(np.round(image + noise), 0, 255).astype(np.uint8)
    elif fault == "missing":
        labels[middle] = 0
    elif fault != "clean":
        raise SystemExit(f"there is no fault {fault}")
    return image, labels


def main() -> None:
    images, truth, output, fault = sys.argv[1:]
    image, labels = perturbed(tifffile.imread(images), tifffile.imread(truth), fault)
    folder = Path(output) / "in"
    folder.mkdir(parents=True, exist_ok=True)
    for z, section in enumerate(image):
        if fault == "missing" and z == len(image) // 2:
            continue
        tifffile.imwrite(folder / f"z{z:04}.tif", section)
    tifffile.imwrite(Path(output) / "labels.tif", labels)


if __name__ == "__main__":
    main()
