"""A denoise stage that keeps the contract: the mean of a pixel and those above and below."""

import fgnet_stage as fgnet
import numpy as np


class Simple(fgnet.Denoise):
    version = "1"
    options = [fgnet.Int("radius", 0, 2, default=1, summary="Pixels.")]

    def setup(self, options, volume):
        self.radius = self.halo = options["radius"]

    def denoise(self, image):
        padded = np.pad(np.nan_to_num(image, posinf=0, neginf=0), ((self.radius, self.radius), (0, 0)), mode="edge")
        rows = [padded[shift : shift + image.shape[0]] for shift in range(2 * self.radius + 1)]
        return sum(rows) / np.float32(len(rows))


fgnet.main(Simple)
