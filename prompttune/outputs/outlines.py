"""The shapes of a class map: their outlines, and how long thin ones are."""

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from skimage.measure import find_contours


@dataclass(frozen=True, eq=False)
class Shape:
    """A connected thing, whose pixels touch by their sides."""

    number: int
    """Its class: the palette's n-th, from 1."""
    rings: tuple[np.ndarray, ...]
    """Its outline, and those of its holes: `K x 2`, x and y in pixels from the image's corner."""
    box: tuple[int, int, int, int]
    """Left, top, width, height."""
    mask: np.ndarray
    """Its pixels in the box, `height x width bool`."""

    @property
    def area(self) -> int:
        """Return the number of its pixels."""
        return int(self.mask.sum())


def find_shapes(class_map: np.ndarray, least_area: int = 1) -> Iterator[Shape]:
    """List the things of a class map `H x W uint8`, class by class.

    Args:
        class_map: 0 background, i the i-th class.
        least_area: smaller things, in pixels, are left out.
    """
    for number in np.unique(class_map[class_map > 0]).tolist():
        plane = (class_map == number).astype(np.uint8)
        count, labels, stats, _ = cv2.connectedComponentsWithStats(plane, connectivity=4)
        for label in range(1, count):
            left, top, width, height, area = stats[label].tolist()
            if area >= least_area:
                mask = labels[top : top + height, left : left + width] == label
                yield Shape(number, _rings(mask, left, top), (left, top, width, height), mask)


def _rings(mask: np.ndarray, left: int, top: int) -> tuple[np.ndarray, ...]:
    """Return outlines that run half-way between the centers of pixels inside and outside."""
    found = find_contours(np.pad(mask, 1).astype(np.float32), 0.5)
    # Of the padded mask the first center lies at -.5, counted from the corner.
    rings = [ring[:-1, ::-1] - 0.5 + (left, top) for ring in found]
    rings.sort(key=lambda ring: -np.ptp(ring, axis=0).prod())
    return tuple(rings)


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
