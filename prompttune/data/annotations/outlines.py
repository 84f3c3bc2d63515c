"""Outlines of annotated things: polygons, run lengths, bitmaps, painted into class maps.

Coordinates are x, y in pixels, counted from the image's top left corner: pixel (0, 0) spans 0..1. A
pixel belongs to a polygon if its center lies inside.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

OUTSIDE = 0.02
"""Polygons are cut at the border; points farther outside than this share of the image's longer side
mean an annotation of another image."""

CORNERS = 128
"""Of the polygon that stands for an ellipse: the border is off by 0.03 % of the radius at most."""

FARTHEST = 1e9
"""Pixels; differences of larger coordinates say nothing of a pixel."""


class Outline(Protocol):
    """What covers some pixels of an image."""

    def area(self) -> float:
        """Return the covered pixels' number, nearly; raises `ValueError` if it has none."""

    def paint(self, class_map: np.ndarray, value: int) -> None:
        """Set what is covered of `H x W uint8`; raises `ValueError` if it does not fit there."""


@dataclass(frozen=True, eq=False)
class Polygons:
    """The union of polygons, each `K x 2 float64`."""

    polygons: tuple[np.ndarray, ...]

    @classmethod
    def of(cls, polygons: Sequence[Sequence | np.ndarray]) -> "Polygons":
        """Make it from pairs x, y, or from flat lists of them as COCO has them.

        Raises:
            ValueError: no polygon, fewer than 3 points, or what are no finite numbers.
        """
        points = tuple(np.asarray(each, np.float64).reshape(-1, 2) for each in polygons)
        if not points or min(map(len, points)) < 3:
            raise ValueError("a polygon needs 3 points")
        if not all((abs(each) <= FARTHEST).all() for each in points):
            raise ValueError("its points are no finite numbers, or far from any image")
        return cls(points)

    @classmethod
    def ellipse(
        cls, center: tuple[float, float], radii: tuple[float, float], degrees: float = 0.0
    ) -> "Polygons":
        """Make it from an ellipse that was turned clockwise about its center."""
        angles = np.linspace(0, 2 * np.pi, CORNERS, endpoint=False)
        ring = np.stack([np.cos(angles), np.sin(angles)], 1) * radii
        return cls.of([turned(ring + center, degrees, center)])

    def area(self) -> float:
        """Return the sum of the polygons' areas."""
        return float(sum(map(_shoelace, self.polygons)))

    def paint(self, class_map: np.ndarray, value: int) -> None:
        """Set the pixels whose centers lie in a polygon."""
        height, width = class_map.shape
        beyond = OUTSIDE * max(height, width)
        for points in self.polygons:
            if (points < -beyond).any() or (points > (width + beyond, height + beyond)).any():
                x, y = points[np.maximum(-points, points - (width, height)).max(1).argmax()]
                raise ValueError(f"point {x:g}, {y:g} lies outside the {width} x {height} pixels")
            left, top = np.floor(points.min(0)).clip(0, (width, height)).astype(int)
            right, bottom = np.ceil(points.max(0)).clip(0, (width, height)).astype(int)
            inside = fill_polygon(points - (left, top), bottom - top, right - left)
            class_map[top:bottom, left:right][inside] = value


@dataclass(frozen=True, eq=False)
class Rings:
    """A polygon with holes: the first ring's pixels, but for those in another."""

    rings: tuple[np.ndarray, ...]

    def area(self) -> float:
        """Return about how many pixels are covered."""
        areas = [Polygons((ring,)).area() for ring in self.rings]
        return areas[0] - sum(areas[1:])

    def paint(self, class_map: np.ndarray, value: int) -> None:
        """Set the pixels whose centers are covered; parts outside of the image are cut off."""
        height, width = class_map.shape
        outer, *holes = self.rings
        left, top = np.floor(outer.min(0)).clip(0, (width, height)).astype(int)
        right, bottom = np.ceil(outer.max(0)).clip(0, (width, height)).astype(int)
        if right <= left or bottom <= top:
            return
        inside = fill_polygon(outer - (left, top), bottom - top, right - left)
        for hole in holes:
            inside &= ~fill_polygon(hole - (left, top), bottom - top, right - left)
        class_map[top:bottom, left:right][inside] = value


@dataclass(frozen=True, eq=False)
class Runs:
    """COCO's run lengths, plain or compressed."""

    size: tuple[int, int]
    """Height and width."""
    counts: str | Sequence[int]

    def area(self) -> float:
        """Return the number of covered pixels."""
        counts = self.counts
        return float(sum((decode_counts(counts) if isinstance(counts, str) else counts)[1::2]))

    def paint(self, class_map: np.ndarray, value: int) -> None:
        """Set the pixels of every second run."""
        if self.size != class_map.shape:
            sizes = [f"{width} x {height}" for height, width in (self.size, class_map.shape)]
            raise ValueError(f"its run lengths are of {sizes[0]} pixels, the image has {sizes[1]}")
        class_map[decode_runs(self.counts, self.size)] = value


@dataclass(frozen=True, eq=False)
class Bitmap:
    """Pixels `h x w bool` whose first row and column lie at `top` and `left`."""

    pixels: np.ndarray
    top: int
    left: int

    def area(self) -> float:
        """Return the number of covered pixels."""
        return float(self.pixels.sum())

    def paint(self, class_map: np.ndarray, value: int) -> None:
        """Set the pixels that are true."""
        height, width = self.pixels.shape
        part = class_map[self.top : self.top + height, self.left : self.left + width]
        if min(self.top, self.left) < 0 or part.shape != self.pixels.shape:
            raise ValueError("its mask reaches outside the image")
        part[self.pixels] = value


def turned(points: np.ndarray, degrees: float, about: tuple[float, float]) -> np.ndarray:
    """Turn points, `K x 2`, about one of them: clockwise as seen, since y goes down."""
    angle = np.deg2rad(degrees)
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    return (points - about) @ turn + about


def fill_polygon(points: np.ndarray, height: int, width: int) -> np.ndarray:
    """Return which pixel centers lie inside a polygon, by the even-odd rule.

    Args:
        points: `K x 2`, x and y counted from the corner.
        height: of the mask.
        width: of the mask.

    Returns:
        `height x width bool`. A center on a left or upper edge is inside, on a right or lower one
        not: polygons that share an edge share no pixel.
    """
    x, y = (points - 0.5).T  # centers have whole coordinates now
    dx, dy = np.roll(x, -1) - x, np.roll(y, -1) - y
    first = np.ceil(np.minimum(y, y + dy)).clip(0, height).astype(int)
    rows = np.ceil(np.maximum(y, y + dy)).clip(0, height).astype(int) - first
    edge = np.repeat(np.arange(len(x)), rows)  # one entry for each crossing of an edge and a row
    row = np.arange(len(edge)) - np.repeat(rows.cumsum() - rows, rows) + first[edge]
    crossing = x[edge] + (row - y[edge]) * dx[edge] / dy[edge]
    column = np.ceil(crossing).clip(0, width).astype(int)
    crossings = np.zeros((height, width + 1), np.uint8)
    np.bitwise_xor.at(crossings, (row, column), 1)
    return np.bitwise_xor.accumulate(crossings, axis=1)[:, :width] > 0


def _shoelace(points: np.ndarray) -> float:
    x, y = points.T
    return abs(float((x * np.roll(y, -1) - y * np.roll(x, -1)).sum())) / 2


def decode_runs(counts: str | bytes | Sequence[int], size: Sequence[int]) -> np.ndarray:
    """Return a mask `H x W bool`; `size` is H and W, the first run is of zeros.

    Raises:
        ValueError: run lengths that do not fill the mask.
    """
    height, width = size
    runs = decode_counts(counts) if isinstance(counts, str | bytes) else counts
    if sum(runs) != height * width or min(runs, default=0) < 0:
        raise ValueError(f"its run lengths do not fill {width} x {height} pixels")
    values = np.arange(len(runs)) % 2 > 0
    return np.repeat(values, runs).reshape(width, height).T


def decode_counts(text: str | bytes) -> list[int]:
    """Return the run lengths of COCO's compressed text.

    Five bits a character (from "0"), low ones first, a sixth for "goes on"; from the fourth number
    on, what is written is the difference to the last but one.

    Raises:
        ValueError: characters that are not ASCII, or an unfinished number at the end.
    """
    codes = text.encode("ascii") if isinstance(text, str) else text
    runs: list[int] = []
    value = shift = 0
    for code in codes:
        bits = code - 48
        value |= (bits & 31) << shift
        shift += 5
        if bits & 32:
            continue
        if bits & 16:
            value -= 1 << shift
        runs.append(value + (runs[-2] if len(runs) > 2 else 0))
        value = shift = 0
    if shift:
        raise ValueError("its run lengths end in the middle of a number")
    return runs
