"""denoise.py speed OWN.json: the built-in denoise stages (by `fgnet-bench denoise`) beside OpenCV and scikit-image on one thread and all.
denoise.py noise AC4 DEVIATION FOLDER: sections 80-99 with Gaussian noise (share of the range), and their labels."""

import json
import sys
import time
from pathlib import Path

import numpy as np


def best(call) -> float:
    call()
    seconds = []
    while len(seconds) < 20 or sum(seconds) < 1:
        begin = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - begin)
    return 1000 * min(seconds)


def speed(path: str) -> None:
    import cv2
    from scipy import ndimage
    from skimage import exposure, filters, morphology, restoration

    own = json.loads(Path(path).read_text())
    rng = np.random.default_rng(1)
    image = rng.random((1024, 1024), np.float32)
    image = np.clip(ndimage.gaussian_filter(image, 2) * 2 - 0.5 + 0.1 * rng.standard_normal(image.shape), 0, 1).astype(np.float32)
    grey = (image * 255).astype(np.uint8)
    # fgnetd filters a section in its place; OpenCV writes into memory that is there.
    filtered, filtered_grey = np.empty_like(image), np.empty_like(grey)
    clahe = cv2.createCLAHE(clipLimit=3, tileGridSize=(8, 8))
    peers = {
        "median radius 1": {
            "OpenCV float32": lambda: cv2.medianBlur(image, 3, filtered),
            "scikit-image": lambda: filters.median(image, morphology.footprint_rectangle((3, 3))),
        },
        "median radius 2": {
            "OpenCV float32": lambda: cv2.medianBlur(image, 5, filtered),
            "scikit-image": lambda: filters.median(image, morphology.footprint_rectangle((5, 5))),
        },
        "nlm": {
            "OpenCV uint8": lambda: cv2.fastNlMeansDenoising(grey, filtered_grey, 15, 5, 11),
            "scikit-image": lambda: restoration.denoise_nl_means(image, 5, 5, 0.06, fast_mode=True),
        },
        "clahe": {
            "OpenCV uint8": lambda: clahe.apply(grey, filtered_grey),
            "scikit-image": lambda: exposure.equalize_adapthist(image, 128),
        },
    }
    print("ms for 1024 x 1024, best of 20 or of a second")
    for name, others in peers.items():
        found = {other: best(call) for other, call in others.items()}
        fastest = min(found.values())
        text = ", ".join(f"{other} {value:.2f}" for other, value in found.items())
        print(f"{name:16} ours {own[name]:.2f}; {text}; ours is {fastest / own[name]:.2f} times as fast as the fastest")


def noise(ac4: str, deviation: str, folder: str) -> None:
    import tifffile

    out = Path(folder)
    (out / "in").mkdir(parents=True)
    rng = np.random.default_rng(7)
    stack = tifffile.imread(f"{ac4}/image.tif")[80:100].astype(np.float64)
    noisy = np.clip(stack + 255 * float(deviation) * rng.standard_normal(stack.shape), 0, 255)
    for z, section in enumerate(noisy.round().astype(np.uint8)):
        tifffile.imwrite(out / "in" / f"z{z:04}.tif", section)
    tifffile.imwrite(out / "labels.tif", tifffile.imread(f"{ac4}/labels.tif")[80:100])


{"speed": speed, "noise": noise}[sys.argv[1]](*sys.argv[2:])
