"""Center lines of masks, by the thinning of Zhang and Suen (1984), as scikit-image does it.

Thinning looks at the whole mask in every round, and there are as many rounds as its thickest part
has layers. Parts that do not touch know nothing of each other, so a large one is thinned in its own
box, and no other pixel is looked at as often.
"""

import cv2
import numpy as np

LARGE = 1024
"""Pixels of a part that is thinned by itself; the others, however many, are thinned together."""


def skeleton(mask: np.ndarray) -> np.ndarray:
    """Return the center lines of a mask, `H x W bool` both.

    They are those of `skimage.morphology.skeletonize`, pixel for pixel.
    """
    from skimage.morphology import skeletonize

    parts, part_of, stats, _ = cv2.connectedComponentsWithStats(mask.view(np.uint8), connectivity=8)
    small = stats[:, cv2.CC_STAT_AREA] < LARGE
    small[0] = False  # the background
    lines = skeletonize(small[part_of]) if small.any() else np.zeros_like(mask)
    for part in range(1, parts):
        if not small[part]:
            left, top, width, height = stats[part, : cv2.CC_STAT_AREA]
            box = (slice(top, top + height), slice(left, left + width))
            lines[box] |= skeletonize(part_of[box] == part)
    return lines
