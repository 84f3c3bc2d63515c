"""Mix-context: several images stitched under one colour map, then cropped (SegGPT, section 3.1)."""

import cv2
import numpy as np
from numpy.random import Generator

from prompttune.pretraining.sampling import Context, View

_TILE = 0.7
"""Side of a stitched image, in sides of the sample; two by two of them are stitched."""


def mixed_views(rng: Generator, contexts: list[Context], size: int) -> tuple[View, View]:
    """Return prompt and query, each a crop of four stitched views.

    With one context all four show it; with two each shows in two of them, and the values of the
    second are raised by 256 (so class maps are uint16). The order of the four differs.
    """
    halves = [_stitched(rng, contexts, half, size) for half in range(2)]
    return halves[0], halves[1]


def _stitched(rng: Generator, contexts: list[Context], half: int, size: int) -> View:
    side = round(_TILE * size)
    image = np.empty((2 * side, 2 * side, 3), np.float32)
    classes = np.empty((2 * side, 2 * side), np.uint16)
    for tile, place in enumerate(rng.permutation(4).tolist()):
        which = tile % len(contexts)
        pixels, values = contexts[which].view(rng, half, side)
        at = np.s_[place // 2 * side :, place % 2 * side :]
        image[at][:side, :side] = pixels
        classes[at][:side, :side] = values + np.uint16(256 * which)
    extent = int(rng.uniform(0.8 * size, 2 * side))
    row, column = rng.integers(0, 2 * side - extent + 1, 2)
    window = np.s_[row : row + extent, column : column + extent]
    return (
        np.asarray(cv2.resize(image[window], (size, size), interpolation=cv2.INTER_LINEAR)),
        np.asarray(
            cv2.resize(classes[window], (size, size), interpolation=cv2.INTER_NEAREST_EXACT)
        ),
    )
