"""Geometry of inference: resizing, mirrored borders, overlapping windows and their blending."""

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

Place = tuple[int, int]
"""Top and left of a window."""


def resize(pixels: Tensor, size: tuple[int, int]) -> Tensor:
    """Resize `C x H x W` bicubically with antialiasing, without leaving its own range."""
    if pixels.shape[-2:] == size:
        return pixels
    resized = F.interpolate(pixels[None], size, mode="bicubic", antialias=True)[0]
    return resized.clamp(pixels.amin(), pixels.amax())  # `min` and `max` take seven times as long


def resize_nearest(pixels: Tensor, size: tuple[int, int]) -> Tensor:
    """Resize `... x H x W` to values that were there before: colors and class maps."""
    rows, columns = (
        (2 * torch.arange(new, device=pixels.device) + 1) * old // (2 * new)
        for new, old in zip(size, pixels.shape[-2:], strict=True)
    )
    return pixels[..., rows[:, None], columns]


def resize_scores(scores: Tensor, size: tuple[int, int]) -> Tensor:
    """Resize scores `C x H x W` in [0, 1]: bilinear, and averaging where they shrink."""
    if scores.shape[-2:] == size:
        return scores
    return F.interpolate(scores[None], size, mode="bilinear", antialias=True)[0].clamp(0, 1)


def tiled(pieces: Sequence[Tensor], side: int) -> Tensor:
    """Lay `side * side` pieces of `C x H x W` out row by row, `C x (side H) x (side W)`."""
    rows = [torch.cat(list(pieces[at : at + side]), 2) for at in range(0, side**2, side)]
    return torch.cat(rows, 1)


def scaled_size(height: int, width: int, scale: float) -> tuple[int, int]:
    """Return the size of an image of `height x width` at `scale` canvas pixels an image pixel."""
    return max(1, round(height * scale)), max(1, round(width * scale))


def pad_reflect(pixels: Tensor, least: int) -> tuple[Tensor, Place]:
    """Mirror the borders of `... x H x W` until neither side is shorter than `least`.

    Returns:
        The padded tensor and where in it the given one begins. Borders of any width are mirrored as
        often as it takes (`torch` refuses more than one image width).
    """
    indices, starts = [], []
    for length in pixels.shape[-2:]:
        missing = max(0, least - length)
        start = missing // 2
        mirrored = np.pad(np.arange(length), (start, missing - start), mode="reflect")
        indices.append(torch.from_numpy(mirrored).to(pixels.device))
        starts.append(start)
    rows, columns = indices
    return pixels[..., rows[:, None], columns], (starts[0], starts[1])


def windows(height: int, width: int, size: int, overlap: float) -> list[Place]:
    """Place square windows that cover an image row by row; the last of a row is moved in, not cut.

    Args:
        height: of the image, at least `size`; `width` likewise.
        size: side of a window.
        overlap: share of a window that its neighbor covers as well, 0 <= overlap < 1.
    """
    step = _step(size, overlap)
    return [
        (top, left) for top in _starts(height, size, step) for left in _starts(width, size, step)
    ]


def window_count(height: int, width: int, size: int, overlap: float) -> int:
    """Return how many windows `windows` places, without placing them."""
    step = _step(size, overlap)
    return (1 + -(-(height - size) // step)) * (1 + -(-(width - size) // step))


def _step(size: int, overlap: float) -> int:
    return max(1, int(size * (1 - overlap)))


def _starts(length: int, size: int, step: int) -> list[int]:
    last = length - size
    return [min(start, last) for start in range(0, last + step, step)] if last > 0 else [0]


def spread(places: Sequence[Place], each: int) -> frozenset[int]:
    """Choose windows that lie evenly over an image; return their numbers.

    Args:
        places: of `windows`.
        each: rows that are chosen at most, and windows of each row.
    """
    tops, lefts = (_evenly(sorted(set(line)), each) for line in zip(*places, strict=True))
    return frozenset(
        number for number, (top, left) in enumerate(places) if top in tops and left in lefts
    )


def _evenly(line: Sequence[int], most: int) -> set[int]:
    count = min(most, len(line))
    return {line[(2 * at + 1) * len(line) // (2 * count)] for at in range(count)}


def window_weights(size: int) -> Tensor:
    """Return the weight of each pixel of a window, `size x size` in (0, 1]: high in the middle.

    A Gaussian with a standard deviation of an eighth of the side, at least 0.001, as in MONAI's
    `sliding_window_inference(mode="gaussian")` and nnU-Net.
    """
    offsets = torch.arange(size) - (size - 1) / 2
    line = torch.exp(-0.5 * (offsets / (size / 8)) ** 2)
    return torch.outer(line, line).clamp_min(1e-3)


class Blend:
    """Adds up the scores of overlapping windows as they come, so that no window need be kept.

    Args:
        height: of the whole, at least `size`; `width` likewise.
        size: side of a window.
        overlap: see `windows`.
        times: how often each window is added; their mean counts.
    """

    def __init__(self, height: int, width: int, size: int, overlap: float, times: int = 1) -> None:
        self.places = windows(height, width, size, overlap)
        self.missing = len(self.places) * times
        self._size = size
        self._window_weights = window_weights(size)
        self._weights = torch.zeros(height, width)
        self._sum: Tensor | None = None

    def add(self, place: Place, scores: Tensor) -> None:
        """Add one window's scores, `C x size x size`; each of `places` in any order."""
        if self._sum is None:
            self._sum = scores.new_zeros(len(scores), *self._weights.shape)
        top, left = place
        rows, columns = slice(top, top + self._size), slice(left, left + self._size)
        self._sum[:, rows, columns] += scores * self._window_weights
        self._weights[rows, columns] += self._window_weights
        self.missing -= 1

    def result(self) -> Tensor:
        """Return the weighted mean, `C x height x width`, once nothing is `missing`."""
        if self._sum is None or self.missing:
            raise RuntimeError(f"{self.missing} windows have not been added yet")
        return self._sum / self._weights
