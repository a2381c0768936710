#!/usr/bin/env python3
"""Total-variation denoising by scikit-image, as a denoise stage. Needs scikit-image."""

import sys
from pathlib import Path

import numpy as np
from skimage.restoration import denoise_tv_chambolle

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
import fgnet_stage as fgnet


class TotalVariation(fgnet.Denoise):
    version = "1"
    summary = "Total variation by Chambolle's algorithm (scikit-image)."
    options = [
        fgnet.Number("weight", 0.001, 1, default=0.05, summary="More of it takes more noise and more detail away."),
        fgnet.Int("iterations", 1, 200, default=20, summary="Always so many: what a pixel depends on is bounded."),
    ]

    def setup(self, options, volume):
        self.weight = options["weight"]
        self.iterations = options["iterations"]
        # Each iteration looks one pixel further, forwards and backwards.
        self.halo = 2 * self.iterations + 2

    def denoise(self, image):
        image = np.nan_to_num(image, nan=0, posinf=0, neginf=0)
        # eps 0 never stops early, which would depend on the whole image.
        out = denoise_tv_chambolle(image, weight=self.weight, eps=0, max_num_iter=self.iterations)
        return np.clip(out, 0, 1)


if __name__ == "__main__":
    fgnet.main(TotalVariation)
