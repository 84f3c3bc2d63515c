"""Resizing a picture a few rows at a time, with the weights that resizing it whole would have."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

REACH = {"bicubic": 2.0, "bilinear": 1.0}
"""How many pixels to each side a kernel sees, where nothing shrinks."""


def rows_needed(rows: tuple[int, int], size: int, wanted: int, mode: str) -> tuple[int, int]:
    """Return which rows (first, one past the last) of `size` the given ones of `wanted` see."""
    if size == wanted:
        return rows
    ratio = size / wanted
    reach = REACH[mode] * max(ratio, 1.0)
    first = int(max(0, math.floor(ratio * (rows[0] + 0.5) - reach)))
    return first, int(min(size, math.ceil(ratio * (rows[1] - 0.5) + reach) + 1))


def resize_rows(
    strip: Tensor, first: int, rows: tuple[int, int], size: int, wanted: int, mode: str
) -> Tensor:
    """Return rows of a picture that is resized from `size` to `wanted` rows.

    The weights are those of `torch.nn.functional.interpolate(mode, antialias=True)`.

    Args:
        strip: `C x h x W`, rows from `first` on, those of `rows_needed` at least.
        first: row of the picture at which the strip begins.
        rows: first row that is wanted, and one past the last.
        size: rows of the picture.
        wanted: rows of the resized picture.
        mode: `bicubic` or `bilinear`.
    """
    if size == wanted:
        return strip[:, rows[0] - first : rows[1] - first]
    ratio = size / wanted
    stretch = max(ratio, 1.0)
    reach = REACH[mode] * stretch
    centers = ratio * (torch.arange(*rows, dtype=torch.float64) + 0.5)
    seen = torch.arange(first, first + strip.shape[1], dtype=torch.float64)
    low = (centers - reach + 0.5).floor().clamp_min(0)[:, None]
    high = (centers + reach + 0.5).floor().clamp_max(size)[:, None]
    offsets = (seen[None] - centers[:, None] + 0.5) / stretch
    weights = _kernel(offsets.abs(), mode) * ((seen[None] >= low) & (seen[None] < high))
    weights = (weights / weights.sum(1, keepdim=True)).to(strip.dtype)
    return torch.einsum("oi,ciw->cow", weights, strip)


def resize_columns(strip: Tensor, wanted: int, mode: str) -> Tensor:
    """Resize `C x h x W` to `wanted` columns; its rows stay as they are."""
    if strip.shape[2] == wanted:
        return strip
    return F.interpolate(strip[None], (strip.shape[1], wanted), mode=mode, antialias=True)[0]


def _kernel(x: Tensor, mode: str) -> Tensor:
    if mode == "bilinear":
        return (1 - x).clamp_min(0)
    a = -0.5  # of Keys' cubic, as torch and Pillow have it with antialiasing
    near = ((a + 2) * x - (a + 3)) * x * x + 1
    far = (((x - 5) * x + 8) * x - 4) * a
    return torch.where(x < 1, near, torch.where(x < 2, far, 0.0))
