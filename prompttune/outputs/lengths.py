"""How long thin things are: the length of their center lines."""

import numpy as np


def center_line_length(mask: np.ndarray, pixel: tuple[float, float] = (1.0, 1.0)) -> float:
    """Return the length of the center lines of a mask `H x W bool`.

    It is that of the links between neighboring pixels of the skeleton; of diagonal links those
    count that no two straight ones stand for.

    Args:
        mask: of one class.
        pixel: width and height of a pixel.
    """
    from skimage.morphology import skeletonize

    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    if not len(rows):
        return 0.0
    inside = mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    line = np.pad(skeletonize(inside), 1)
    across = line[:, :-1] & line[:, 1:]
    down = line[:-1] & line[1:]
    falling = line[:-1, :-1] & line[1:, 1:] & ~line[:-1, 1:] & ~line[1:, :-1]
    rising = line[1:, :-1] & line[:-1, 1:] & ~line[:-1, :-1] & ~line[1:, 1:]
    width, height = pixel
    straight = across.sum() * width + down.sum() * height
    return float(straight + (falling.sum() + rising.sum()) * np.hypot(width, height))
