"""Parts of a large image and what windows show of them at a scale: a sample of all its windows."""

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from prompttune.utils.tiling import Place, pad_reflect, resize

MAX_ROWS = 256
"""Of a tile are compared, and so many columns."""


@dataclass(frozen=True)
class Tile:
    """A rectangle of an image."""

    place: Place
    size: tuple[int, int]
    weight: float = 1
    """How many tiles of the image it stands for."""

    def points(self) -> tuple[Tensor, Tensor]:
        """Return rows and columns of the image that represent the tile."""
        rows, columns = (
            torch.arange(start, start + length, -(-length // MAX_ROWS))
            for start, length in zip(self.place, self.size, strict=True)
        )
        return rows, columns


def spread_tiles(foreground: Tensor, side: int, count: int) -> list[Tile]:
    """Spread square tiles over an image: half of them or more, if there are, show foreground.

    Small things would be missed by tiles that are placed blindly.

    Args:
        foreground: `H x W bool`.
        side: of a tile, pixels; shorter where the image is.
        count: how many, at least 1; fewer where fewer cover the image.
    """
    size = min(side, foreground.shape[0]), min(side, foreground.shape[1])
    starts = [
        np.linspace(0, length - own, -(-length // own)).round().astype(int).tolist()
        for length, own in zip(foreground.shape, size, strict=True)
    ]
    shown: list[Place] = []
    empty: list[Place] = []
    for top in starts[0]:
        for left in starts[1]:
            inside = foreground[top : top + size[0], left : left + size[1]]
            (shown if inside.any() else empty).append((top, left))
    share = max(len(shown) / (len(shown) + len(empty)), 0.5)
    of_shown = min(len(shown), max(count - len(empty), round(share * count)))
    of_empty = min(len(empty), count - of_shown)
    rng = np.random.default_rng(0)
    tiles = []
    for places, picked in ((shown, of_shown), (empty, of_empty)):
        for number in range(picked):  # one of each stretch of equal length
            place = places[int((number + rng.random()) * len(places) / picked)]
            tiles.append(Tile(place, size, len(places) / picked))
    return tiles


@dataclass(frozen=True, eq=False)
class View:
    """What a window shows of an image, and where it lies in it."""

    pixels: Tensor
    """`3 x canvas x canvas`."""
    place: Place
    zoom: tuple[float, float]
    """Canvas pixels an image pixel, down and across."""
    start: Place
    """Where in the view the image begins, if it is padded."""

    @classmethod
    def of(cls, image: Tensor, tile: Tile, zoom: tuple[float, float], canvas: int) -> "View":
        """Look at a tile, in the middle of the view as far as the image's borders allow."""
        starts, sides, seen = [], [], []
        axes = zip(tile.place, tile.size, image.shape[1:], zoom, strict=True)
        for place, own, length, each in axes:
            side = min(round(canvas / each), length)
            starts.append(min(max(0, place + (own - side) // 2), length - side))
            sides.append(side)
            seen.append(min(max(1, round(side * each)), canvas))
        (top, left), (height, width) = starts, sides
        part = image[:, top : top + height, left : left + width]
        pixels, start = pad_reflect(resize(part, (seen[0], seen[1])), canvas)
        return cls(pixels, (top, left), (seen[0] / height, seen[1] / width), start)

    def scores_of(self, tile: Tile, scores: Tensor) -> Tensor:
        """Read the scores of a tile's points, `C x rows x columns`, off the view's, `C x S x S`."""
        side = scores.shape[-1]
        rows, columns = (
            (start + (points - own + 0.5) * zoom) * 2 / side - 1
            for start, points, own, zoom in zip(
                self.start, tile.points(), self.place, self.zoom, strict=True
            )
        )
        where = torch.stack(torch.meshgrid(columns, rows, indexing="xy"), -1)
        return F.grid_sample(scores[None], where[None], "bilinear", "border", False)[0]
