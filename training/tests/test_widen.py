"""A widened network gives what the narrower one gave, and its new channels are there to be trained."""

from dataclasses import replace

import torch

from fgnet.config import AUXILIARY_OFFSETS, DIRECT_OFFSETS, FGNetConfig, TrunkConfig
from fgnet.model import FGNet, folded_state
from fgnet.widen import widened

TRUNK = TrunkConfig(8, 1, (1, 1, 1, 1), (8, 8, 8, 8), in_chans=1, window_pos_embed_bkg_spatial_size=None)
NARROW = FGNetConfig(
    trunk=TRUNK, coarse_widths={32: 8, 16: 8, 8: 6, 4: 6, 2: 4}, fge_widths={1: 4, 2: 6, 4: 8, 8: 10}, alignment=128
)


def test_the_wider_network_gives_what_the_narrower_gave() -> None:
    torch.manual_seed(1)
    trained = FGNet(NARROW)
    stacks = torch.randn(1, 4, 128, 128)
    with torch.no_grad():
        for _ in range(3):
            trained.train()(stacks)
    folded = FGNet(NARROW, folded=True)
    folded.load_state_dict(folded_state(trained.eval()))
    folded.eval()
    wide = replace(NARROW, fge_widths={1: 6, 2: 10, 4: 12, 8: 16}, offsets=DIRECT_OFFSETS + AUXILIARY_OFFSETS)
    model = widened(folded, wide, stacks)
    with torch.no_grad():
        before, after = folded(stacks), model(stacks)
    assert after.refined.shape[1] == len(wide.offsets)
    assert torch.allclose(before.refined, after.refined[:, :3], atol=2e-2)
    assert torch.allclose(before.coarse, after.coarse[:, :3], atol=2e-2)
    # The new channels get a gradient, so that they can become of use.
    model.train()(stacks).refined.square().mean().backward()
    assert model.fge.rs2.conv0.conv.weight.grad[:6, 4:].abs().max() > 0
