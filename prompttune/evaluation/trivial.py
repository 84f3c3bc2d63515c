"""What needs no training: a prompt that does not beat these has learned nothing."""

from collections.abc import Sequence
from typing import cast

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from prompttune.backbone import SegGPT
from prompttune.backbone.one_way import OneWaySegGPT
from prompttune.backbone.one_way_blocks import CachedPrompt, ImageFeatures
from prompttune.evaluation.metrics import counted_pixels
from prompttune.utils.errors import InputError

BINS = 32
WIDTHS = (8, 4, 2, 1)
"""Of the blurs, in bins."""


class AllForeground:
    """Every pixel is foreground; with several classes, of the class most common in the examples.

    Args:
        class_maps: class maps of the examples, each `H x W uint8`.
        classes: how many foreground classes there are (C).
    """

    def __init__(self, class_maps: Sequence[np.ndarray], classes: int) -> None:
        counts = np.zeros(256, np.int64)
        for class_map in class_maps:
            counts += np.bincount(class_map.ravel(), minlength=256)
        self.classes = classes
        self.plane = int(counts[1 : classes + 1].argmax())

    def scores(self, image: np.ndarray) -> np.ndarray:
        """Return `C x H x W float32`: ones in one plane, zeros elsewhere."""
        scores = np.zeros((self.classes, *image.shape[:2]), np.float32)
        scores[self.plane] = 1
        return scores


class NearestColor:
    """Each pixel is classed by its color alone, as the colors of one example are distributed.

    One RGB histogram of 32^3 bins a class; a pixel's score is the posterior of the class given its
    bin. The histograms are blurred, widely at first and then less and less, each answer being the
    prior (worth one pixel) of the next: near colors speak for each other, and a color that the
    example lacks is judged by the nearest that it has.

    Args:
        image: `H x W x 3 uint8`.
        class_map: `H x W uint8`; 255 is left out.
        field_of_view: `H x W bool`, or None if all pixels count.
        classes: how many foreground classes there are (C).
    """

    def __init__(
        self,
        image: np.ndarray,
        class_map: np.ndarray,
        field_of_view: np.ndarray | None,
        classes: int,
    ) -> None:
        counted = counted_pixels(class_map, field_of_view)
        joint = class_map[counted].astype(np.int64) * BINS**3 + _bins(image)[counted]
        counts = np.bincount(joint, minlength=(classes + 1) * BINS**3)
        histograms = counts.reshape(classes + 1, BINS, BINS, BINS).astype(np.float64)
        posterior = histograms.sum(axis=(1, 2, 3), keepdims=True) / max(counts.sum(), 1)
        for width in WIDTHS:
            blurred = _blur(histograms, width)
            posterior = (blurred + posterior) / (blurred.sum(axis=0) + 1)
        self.table = posterior[1:].reshape(classes, -1).astype(np.float32)

    def scores(self, image: np.ndarray) -> np.ndarray:
        """Return the posteriors of an `H x W x 3 uint8` image as `C x H x W float32` in [0, 1]."""
        return self.table[:, _bins(image)]


def _bins(image: np.ndarray) -> np.ndarray:
    """Return `H x W`: the index of each pixel's bin in a flat histogram."""
    red, green, blue = np.moveaxis(image.astype(np.int64) * BINS // 256, -1, 0)
    return (red * BINS + green) * BINS + blue


def _blur(histograms: np.ndarray, width: float) -> np.ndarray:
    """Blur along the color axes by a Gaussian of `width` bins, keeping each bin's pixels."""
    places = np.arange(BINS)
    kernel = np.exp(-(((places[:, None] - places) / width) ** 2) / 2)
    kernel /= kernel.sum(axis=0)
    for axis in (1, 2, 3):
        histograms = np.moveaxis(np.tensordot(kernel, histograms, (1, axis)), 0, axis)
    return histograms


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
