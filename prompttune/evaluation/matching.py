"""Training-free matching: what a backbone's image features do before they learn to color.

Each patch of a query takes the colors of the prompt's patches, weighted by how alike their features
are (INSID3, arXiv 2603.28480, at its simplest). Of a start that was never trained to color by
example, it says what the training had to begin with.
"""

from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor

from prompttune.backbone import SegGPT
from prompttune.backbone.one_way import OneWaySegGPT
from prompttune.backbone.one_way_blocks import CachedPrompt, ImageFeatures
from prompttune.utils.errors import InputError

SCALE = 20.0
"""Of the cosines, the sharpness of the softmax."""


class FeatureMatching(OneWaySegGPT):
    """A one-way backbone of which the apart blocks alone answer."""

    def _encode(self, seen: ImageFeatures, colors: Tensor, types: Tensor) -> CachedPrompt:
        assert seen.match is not None
        tasks = len(types)
        keys = seen.match.unflatten(0, (tasks, -1)).transpose(1, 2).flatten(2, 3)
        means = F.avg_pool2d(colors.float(), self.config.patch).flatten(2).transpose(1, 2)
        means = means.unflatten(0, (tasks, -1)).flatten(1, 2)
        return CachedPrompt((types, keys, means), len(colors) // tasks)

    def _answer(self, seen: ImageFeatures, queries: Tensor, cached: CachedPrompt) -> Tensor:
        assert seen.match is not None
        _, keys, means = cached.tensors
        alike = (seen.match.float() @ keys.float().transpose(-1, -2)).mean(1)
        colors = (SCALE * alike).softmax(-1) @ means
        grid = colors.transpose(1, 2).unflatten(2, (self.config.side, self.config.side))
        return F.interpolate(grid, queries.shape[-2:], mode="bilinear", align_corners=False)


def feature_matching(network: SegGPT) -> SegGPT:
    """Return what answers by the image features of a one-way backbone; weights are shared.

    Raises:
        InputError: a backbone that does not match features.
    """
    if not (network.config.one_way and network.config.match_indices):
        raise InputError(
            f"row matching: {network.name} matches no features; give a one-way backbone with "
            "match_indices, trained or not"
        )
    with torch.device("meta"):
        other = FeatureMatching(network.config)
    other.load_state_dict(network.state_dict(), assign=True)
    other.name, other.fingerprint = network.name, network.fingerprint
    return cast(SegGPT, other.eval().requires_grad_(False))
