#!/usr/bin/env python3
"""Affinities by a PyTorch model, as an affinity stage. Needs PyTorch.

`model` is a TorchScript or `torch.export` file that takes (1, 1, n, y, x) and gives (1, 3, n, y, x) logits, in the order z, y, x. Without one, a
small fixed network of edge filters shows how it goes.
"""

import sys
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
import fgnet_stage as fgnet


class Edges(torch.nn.Module):
    """The darker and the more different two neighbours are, the less they belong together."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        smooth = torch.nn.functional.avg_pool3d(
            torch.nn.functional.pad(images, (1, 1, 1, 1, 0, 0), mode="replicate"), (1, 3, 3), 1
        )
        channels = []
        for axis in (2, 3, 4):
            before = torch.cat([smooth.narrow(axis, 0, 1), smooth.narrow(axis, 0, smooth.shape[axis] - 1)], axis)
            channels.append(8 * torch.minimum(smooth, before) - 8 * (smooth - before).abs() - 2.5)
        return torch.cat(channels, 1)


class TorchAffinity(fgnet.Affinity):
    version = "1"
    summary = "Affinities by a PyTorch model."
    options = [
        fgnet.Text("model", default="", summary="TorchScript file; empty: filters that are built in."),
        fgnet.Choice("device", ["cpu", "cuda"], default="cpu", summary="Where the model runs."),
        fgnet.Int("halo", 0, 1024, default=2, summary="Pixels around a pixel that the model looks at."),
        fgnet.Int("context", 0, 16, default=1, summary="Sections on each side that the model looks at."),
        fgnet.Int("threads", 1, 256, default=1, summary="Threads on the CPU; results may depend on it in the last bits."),
    ]

    def setup(self, options, volume):
        torch.set_num_threads(options["threads"])
        torch.use_deterministic_algorithms(True, warn_only=True)
        self.device = torch.device(options["device"])
        model = torch.jit.load(options["model"]) if options["model"] else Edges()
        # A device that is not there is told now, and not with the first section.
        torch.zeros(1, device=self.device)
        self.model = model.to(self.device).eval()
        self.halo = options["halo"]
        self.context = options["context"]

    def affinities(self, images, index, z):
        with torch.inference_mode():
            stack = torch.from_numpy(np.nan_to_num(images, nan=0, posinf=0, neginf=0))[None, None].to(self.device)
            return torch.sigmoid(self.model(stack))[0, :, index].cpu().numpy()


if __name__ == "__main__":
    fgnet.main(TorchAffinity)
