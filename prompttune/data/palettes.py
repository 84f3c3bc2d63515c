"""What the colors of a palette say of a mask's indices: tools put colors in any order."""

from collections.abc import Mapping

import numpy as np
from PIL import Image

from prompttune.utils.constants import IGNORE

_NEAR_WHITE = 250
"""Tools that reduce colors miss white and black by a little."""
_APART = 16
"""Grays of classes differ by so much."""
_LISTED = 20
"""Colors between black and a white this far down a palette are classes of their own."""


def colors_of(image: Image.Image) -> np.ndarray:
    """Return the colors of a palette, `N x 3 uint8`."""
    return np.array(image.getpalette("RGB") or [], np.uint8).reshape(-1, 3)


def used_colors(image: Image.Image, indices: np.ndarray) -> dict[int, int]:
    """Return the color 0xRRGGBB of each index that is used and that the palette lists.

    What is nearly black or white is taken for that.
    """
    colors = colors_of(image)
    colors = np.where((colors <= 255 - _NEAR_WHITE).all(1, keepdims=True), 0, colors)
    colors = np.where((colors >= _NEAR_WHITE).all(1, keepdims=True), 255, colors)
    packed = colors.astype(int) @ [1 << 16, 1 << 8, 1]
    used = np.flatnonzero(np.bincount(indices.ravel())).tolist()
    return {index: int(packed[index]) for index in used if index < len(packed)}


def transparent(image: Image.Image, indices: np.ndarray) -> frozenset[int]:
    """Return the indices that are used and cannot be seen at all."""
    given = image.info.get("transparency")
    if given is None:
        return frozenset()
    alpha = {given: 0} if isinstance(given, int) else dict(enumerate(given))
    return frozenset(index for index in np.unique(indices).tolist() if alpha.get(index) == 0)


def white_of(image: Image.Image) -> np.ndarray | None:
    """Return for each index whether its color is white; None for palettes of other colors."""
    colors = colors_of(image)
    used = np.unique(np.asarray(image))
    if not 1 <= used.size <= 2 or used[-1] >= len(colors):
        return None
    white = np.asarray((colors >= _NEAR_WHITE).all(1))
    black = np.asarray((colors <= 255 - _NEAR_WHITE).all(1))
    index = int(used[-1])
    if black[0] and 1 < index <= _LISTED and not black[1:index].any():
        return None  # a class among others that this mask does not show
    # Tools fill palettes up with black, so it is the colors that are used which count.
    if not (white | black).all() or (used.size == 2 and white[used[0]] == white[used[1]]):
        return None
    table = np.zeros(256, np.uint8)
    table[: len(white)] = white
    return table


def grays_of(image: Image.Image) -> np.ndarray | None:
    """Return the gray of each index of a palette of a few grays whose first is not black.

    Tools that reduce colors put them in any order, and then the grays say more than the numbers. A
    palette that begins with black, as of classes, is None; so are two colors.
    """
    colors = colors_of(image)
    last = int(np.flatnonzero(colors.any(1)).max(initial=-1))  # tools fill up with black
    listed = colors[: last + 2]
    grays = listed[:, 0].astype(int)
    if not 3 <= len(listed) <= _LISTED or not grays[0] or (listed != listed[:, :1]).any():
        return None
    shades = np.unique(grays)
    if shades[0] or len(shades) < 3 or np.diff(shades).min() < _APART:
        return None
    table = np.zeros(256, np.uint8)
    table[: len(colors)] = colors[:, 0]
    return table


def has_black_elsewhere(image: Image.Image, used: Mapping[int, int]) -> bool:
    """Say whether black is used at another index than 0, whose color is not black.

    Then black is the background, and indices say nothing. 255 is left out: it is VOC's void.
    """
    colors = colors_of(image)
    if not len(colors) or (colors[0] <= 255 - _NEAR_WHITE).all():
        return False
    return any(not color for index, color in used.items() if index != IGNORE)
