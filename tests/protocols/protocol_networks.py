"""Small random networks of both kinds, for the tests of benchmarks."""

import torch

from prompttune.backbone import SegGPT, SegGPTConfig
from prompttune.backbone.one_way import build

ONE_WAY = SegGPTConfig(
    canvas=16, patch=4, dim=16, depth=4, heads=2, out_indices=(2, 3), decoder_dim=4,
    pretrain_canvas=16, one_way=True, apart=2, match_indices=(0, 1), image_indices=(0,),
    pixel_dim=4,
)  # fmt: skip
OFFICIAL = SegGPTConfig(
    canvas=16,
    patch=4,
    dim=16,
    depth=4,
    heads=2,
    out_indices=(2, 3),
    decoder_dim=4,
    pretrain_canvas=16,
)


def random_network(config: SegGPTConfig) -> SegGPT:
    generator = torch.Generator().manual_seed(0)
    network = build(config).requires_grad_(False).eval()
    for parameter in network.parameters():
        parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.3)
    return network
