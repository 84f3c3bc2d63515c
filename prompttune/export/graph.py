"""What is exported: a backbone with its key, from uint8 pixels to class scores.

Everything between a window of an image and its scores is inside: pixels are scaled and normalized,
and the answer's colors become scores by their distances to the palette. Left to the caller is what
depends on the size of the image: resizing to the key's scale, windows, and their blending.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from prompttune.backbone.network import EncodedPrompt, SegGPT
from prompttune.backbone.one_way import OneWaySegGPT
from prompttune.backbone.one_way_blocks import CachedPrompt
from prompttune.companion.companion import Companion
from prompttune.prompts.palette import Palette
from prompttune.utils.normalize import denormalize, normalize

SMALLEST_TAU = 6
"""`Palette.tau` is the smallest squared distance of two colors over this."""


class EmbeddedKey(nn.Module):
    """A backbone with one key as constants: a query costs its own tokens alone.

    Args:
        network: at the key's canvas.
        prompts: what the network made of the key, one for each group of classes.
        palettes: of the groups.
        companions: of the groups; None where one has none.
    """

    def __init__(
        self,
        network: SegGPT,
        prompts: Sequence[CachedPrompt | EncodedPrompt],
        palettes: Sequence[Palette],
        companions: Sequence[Companion | None],
    ) -> None:
        super().__init__()
        self.network = network
        self._prompts, self._palettes = list(prompts), list(palettes)
        self._companions = list(companions)

    def forward(self, image: Tensor) -> Tensor:
        """Map windows, `B x S x S x 3 uint8`, to scores, `B x C x S x S float32` in [0, 1]."""
        queries = _queries(image)
        scores = []
        shared = {}
        alone = [each is not None and each.alone for each in self._companions]
        if isinstance(self.network, OneWaySegGPT) and not all(alone):  # of all groups
            shared["features"] = self.network.encode_images(queries)
        groups = zip(self._prompts, self._palettes, self._companions, strict=True)
        for prompt, palette, companion in groups:
            if companion is not None and companion.alone:  # the file then holds no backbone
                scores.append(companion.answer(queries, len(palette.classes)))
                continue
            colors = self.network.ensemble(queries, prompt, **shared)  # type: ignore[arg-type]
            own = palette.scores(denormalize(colors))
            scores.append(own if companion is None else companion.weigh(queries, own))
        return scores[0] if len(scores) == 1 else torch.cat(scores, 1)


class KeyAsInput(nn.Module):
    """A one-way backbone that is given a key with every call, so that one file serves all keys.

    Args:
        network: at the keys' canvas.
    """

    def __init__(self, network: OneWaySegGPT) -> None:
        super().__init__()
        self.network = network

    def forward(
        self,
        image: Tensor,
        key_images: Tensor,
        key_colors: Tensor,
        palette: Tensor,
        type_shift: Tensor,
        seg_type: Tensor,
    ) -> Tensor:
        """Segment windows.

        Args:
            image: `B x S x S x 3 uint8`.
            key_images: `N x 3 x S x S float32`, as the key's file has them; `key_colors` likewise.
            palette: `C x 3 float32`, the classes' colors in 0..255.
            type_shift: `dim float32`; zeros for a key that has none.
            seg_type: `1 int64`: 0 semantic, 1 instance.

        Returns:
            Scores, `B x C x S x S float32` in [0, 1].
        """
        key = self.network.encode_prompt(
            normalize(key_images),
            normalize(key_colors),
            seg_type,  # type: ignore[arg-type]  # a tensor is chosen by in the graph
            type_shift,
        )
        colors = self.network.ensemble(_queries(image), key)
        return scores_by_distance(denormalize(colors), palette / 255)


def scores_by_distance(colors: Tensor, palette: Tensor) -> Tensor:
    """Do what `Palette.scores` does with a palette that is a tensor.

    Args:
        colors: `B x 3 x H x W`, pixel space.
        palette: `C x 3` in [0, 1].
    """
    points = torch.cat((torch.zeros_like(palette[:1]), palette))
    between = (points[:, None] - points[None]).square().sum(-1)
    itself = torch.eye(points.shape[0], device=points.device)
    tau = (between + 1e3 * itself).min() / SMALLEST_TAU
    planes = (colors[:, None] - points[None, :, :, None, None]).square().sum(2)
    return (-planes / tau).softmax(1)[:, 1:]


def _queries(image: Tensor) -> Tensor:
    return normalize(image.permute(0, 3, 1, 2).float() / 255)
