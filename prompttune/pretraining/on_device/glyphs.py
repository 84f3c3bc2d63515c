"""Letters and figures as distance maps, drawn once."""

from functools import lru_cache

import cv2
import numpy as np
import torch
from torch import Tensor

CHARACTERS = "ABCDEFGHJKLMNPQRSTUVWXYZ0123456789acdefghkmnrst?+&#%"
FONTS = (cv2.FONT_HERSHEY_SIMPLEX, cv2.FONT_HERSHEY_COMPLEX, cv2.FONT_HERSHEY_SCRIPT_COMPLEX)
SIDE = 48
GLYPHS = len(CHARACTERS) * len(FONTS)


@lru_cache(maxsize=8)
def glyph_atlas(device: torch.device) -> Tensor:
    """Return the distance to each glyph's edge, inside positive, in parts of its box.

    `GLYPHS * SIDE * SIDE` float32, one font after the other.
    """
    drawn = [_distances(character, font) for font in FONTS for character in CHARACTERS]
    return torch.from_numpy(np.stack(drawn)).flatten().to(device)


def _distances(character: str, font: int) -> np.ndarray:
    mask = np.zeros((SIDE * 2, SIDE * 2), np.uint8)
    (width, height), _ = cv2.getTextSize(character, font, 3, 7)
    at = (SIDE - width // 2, SIDE + height // 2)
    cv2.putText(mask, character, at, font, 3, 255, 7, cv2.LINE_8)
    inside = cv2.distanceTransform(mask, cv2.DIST_L2, 5)
    outside = cv2.distanceTransform(255 - mask, cv2.DIST_L2, 5)
    # Two drawn pixels to one kept.
    return np.asarray((inside - outside)[::2, ::2] / (SIDE * 2), np.float32)


def glyph_field(u: Tensor, v: Tensor, glyph: Tensor) -> Tensor:
    """Read glyphs at places `u`, `v` of their boxes, in [0, 1] (outside: the rim's value).

    All three have one shape, `glyph` int64. Returns the distance to the edge in parts of the box.
    """
    column, row = ((at * SIDE).long().clamp_(0, SIDE - 1) for at in (u, v))
    return glyph_atlas(u.device)[(glyph * SIDE + row) * SIDE + column]
