"""Small random networks of both kinds, and keys, for the tests of benchmarks."""

import torch

from prompttune.backbone import SegGPT, SegGPTConfig
from prompttune.backbone.one_way import build
from prompttune.prompts.palette import Palette
from prompttune.prompts.prompt import Prompt

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


def key_of(classes: tuple[str, ...], fingerprint: str, **more: object) -> Prompt:
    palette = Palette.of(classes)
    map_ = torch.arange(16 * 16).reshape(16, 16) * (len(classes) + 1) // 256
    pixels = torch.rand(3, 16, 16, generator=torch.Generator().manual_seed(1))
    return Prompt((pixels,), (palette.paint(map_),), palette, fingerprint=fingerprint, **more)  # type: ignore[arg-type]
