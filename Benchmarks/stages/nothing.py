"""A denoise stage that does nothing: what is measured is the way to it and back."""

import fgnet_stage as fgnet


class Nothing(fgnet.Denoise):
    version = "1"

    def denoise(self, image):
        return image


fgnet.main(Nothing)
