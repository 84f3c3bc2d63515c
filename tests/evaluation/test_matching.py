"""Training-free matching against the same thing written as loops."""

import pytest
import torch

from prompttune.backbone.config import SegGPTConfig
from prompttune.backbone.one_way import OneWaySegGPT, build
from prompttune.evaluation.matching import SCALE, feature_matching
from prompttune.pretraining.init import initialize
from prompttune.utils.errors import InputError

CONFIG = SegGPTConfig(
    canvas=16, patch=4, dim=16, depth=3, heads=2, one_way=True, apart=2, match_indices=(0, 1),
    out_indices=(2,), decoder_dim=4, pretrain_canvas=16,
)  # fmt: skip


def test_each_patch_takes_the_colors_of_those_like_it() -> None:
    network = build(CONFIG)
    initialize(network, 0)
    assert isinstance(network, OneWaySegGPT)
    generator = torch.Generator().manual_seed(1)
    images, colors = torch.rand(2, 2, 3, 16, 16, generator=generator)
    query = torch.rand(1, 3, 16, 16, generator=generator)
    answer = feature_matching(network).ensemble(query, images, colors)
    with torch.no_grad():
        theirs = network.encode_images(images).match
        mine = network.encode_images(query).match
    assert theirs is not None
    assert mine is not None
    keys = torch.cat([theirs[0], theirs[1]], 1)  # depths x 32 x dim
    patches = torch.cat([each.unfold(1, 4, 4).unfold(2, 4, 4).mean((3, 4)).flatten(1).T
                         for each in colors])  # fmt: skip
    expected = torch.zeros(16, 3)
    for patch in range(16):
        alike = torch.stack([keys[d] @ mine[0, d, patch] for d in range(2)]).mean(0)
        expected[patch] = (SCALE * alike).softmax(0) @ patches
    smooth = torch.nn.functional.interpolate(
        expected.T.reshape(1, 3, 4, 4), (16, 16), mode="bilinear", align_corners=False
    )[0]
    assert (answer[0] - smooth).abs().max() < 1e-5


def test_an_official_backbone_is_refused() -> None:
    official = build(SegGPTConfig(canvas=16, patch=4, dim=16, depth=3, heads=2, out_indices=(2,)))
    with pytest.raises(InputError, match="row matching: untrained matches no features"):
        feature_matching(official)
