"""Where the items of a batch lie and the fields that families are built from.

An item is one layer of one image. A field is `N x S x S float32` over its pixels; a family's field
is positive inside the shape and about the distance to its edge, in parts of the canvas. Lengths are
parts of the canvas too, so a shape looks alike at every canvas.
"""

import math
from dataclasses import dataclass
from functools import cached_property, lru_cache

import cv2
import numpy as np
import torch
from torch import Tensor

from prompttune.synthetic.batched.counter_random import Draws

CHARACTERS = "ABCDEFGHJKLMNPQRSTUVWXYZ0123456789acdefghkmnrst?+&#%"
FONTS = (cv2.FONT_HERSHEY_SIMPLEX, cv2.FONT_HERSHEY_COMPLEX, cv2.FONT_HERSHEY_SCRIPT_COMPLEX)
SIDE = 48
GLYPHS = len(CHARACTERS) * len(FONTS)


@dataclass(frozen=True)
class Items:
    """A batch of layers: what prompt and query share, what they do not, and how they are viewed.

    `task` gives equal numbers for both images of a sample, `scene` a new one for each (or equal
    ones, where the two show one scene), `view` only turns, zooms and mirrors.
    """

    task: Draws
    scene: Draws
    view: Draws
    size: int

    def rows(self, rows: Tensor) -> "Items":
        """Return some of the items."""
        return Items(self.task.rows(rows), self.scene.rows(rows), self.view.rows(rows), self.size)

    @property
    def pixel(self) -> float:
        """The length of a pixel."""
        return 1 / self.size

    @cached_property
    def grid(self) -> Tensor:
        """Pixel centers along one side, in [0, 1]: S."""
        at = torch.arange(self.size, device=self.task.keys.device, dtype=torch.float32)
        return (at + 0.5) / self.size

    @cached_property
    def affine(self) -> tuple[Tensor, Tensor]:
        """The turn (N x 2 x 2) and shift (N x 2) that take a pixel to its place in the scene."""
        angle = 0.3 * self.view.normal("turn")
        zoom = torch.exp2(self.view.between("zoom", -0.4, 0.4))
        mirror = torch.where(self.view.chance("mirror", 0.25), -1.0, 1.0)
        across, along = zoom * angle.cos(), zoom * angle.sin()
        turn = torch.stack((across * mirror, -along, along * mirror, across), 1).view(-1, 2, 2)
        center = 0.5 + self.view.between("shift", -0.12, 0.12, 2)
        return turn, center - 0.5 * turn.sum(2)

    @cached_property
    def place(self) -> tuple[Tensor, Tensor]:
        """The bent place of every pixel in the scene, x and y: each N x S x S."""
        turn, shift = self.affine
        columns, rows = self.grid, self.grid[:, None]
        cycles = self.task.between("bend cycles", 0.7, 3.0)
        strength = (self.task.uniform("bend") - 0.4).clamp(min=0) * 0.16 / cycles
        x, y = (
            turn[:, i, 0, None, None] * columns
            + turn[:, i, 1, None, None] * rows
            + shift[:, i, None, None]
            + strength[:, None, None] * smooth_noise(self, f"bend {i}", cycles)
            for i in range(2)
        )
        return x, y

    def trait(self, name: str, low: float, high: float) -> Tensor:
        """Draw a number that prompt and query share, uniform: N x 1 x 1."""
        return self.task.between(name, low, high)[:, None, None]

    def width(self, name: str, low: float, high: float) -> Tensor:
        """Draw a shared half width, small ones more often, never below .7 pixels: N x 1 x 1."""
        share = self.task.uniform(name)[:, None, None] ** 2
        return (low + (high - low) * share).clamp(min=0.7 * self.pixel)

    def table(self, name: str, count: int) -> Tensor:
        """Draw `count` uniform numbers for each scene: N x count, to be read by `look_up`."""
        return self.scene.uniform(name, count)


def look_up(table: Tensor, index: Tensor) -> Tensor:
    """Read `table` (N x count) at `index` (N x S x S int64): N x S x S."""
    return table.gather(1, index.flatten(1)).view(index.shape)


def _wave_parts(items: Items, vectors: Tensor, phases: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return the waves' factors, N x S x 2K and N x 2K x S, and their vectors in the pixel grid."""
    turn, shift = items.affine
    seen = torch.einsum("nki,nij->nkj", vectors, turn) * (2 * math.pi)
    start = phases + 2 * math.pi * (vectors * shift[:, None]).sum(2)
    across = seen[..., 0, None] * items.grid + start[..., None]
    down = seen[..., 1, None] * items.grid
    right = torch.cat((across.cos(), -across.sin()), 1) * math.sqrt(2 / vectors.shape[1])
    return torch.cat((down.cos(), down.sin()), 1).transpose(1, 2), right, seen


def waves(items: Items, vectors: Tensor, phases: Tensor) -> Tensor:
    """Sum plane waves of `vectors` (N x K x 2, cycles per canvas) and `phases` (N x K).

    Returns a field of unit variance. `cos(a + b)` of a column's and a row's part is two products,
    so the sum over waves is one matrix product: K may be large. The bend is left out.
    """
    left, right, _ = _wave_parts(items, vectors, phases)
    return torch.bmm(left, right)


def waves_and_slope(items: Items, vectors: Tensor, phases: Tensor) -> tuple[Tensor, Tensor]:
    """Return `waves` and the length of their gradient, per length of the canvas."""
    left, right, seen = _wave_parts(items, vectors, phases)
    cosine, sine = right.chunk(2, 1)
    change = torch.cat((sine, -cosine), 1)  # of each wave with its own argument
    by_x, by_y = (torch.bmm(left * part.repeat(1, 2)[:, None], change) for part in seen.unbind(2))
    return torch.bmm(left, right), torch.hypot(by_x, by_y)


def smooth_noise(items: Items, name: str, cycles: Tensor, count: int = 12) -> Tensor:
    """Return noise of about `cycles` (N) bumps along the canvas and unit variance."""
    return waves(items, *noise_waves(items, name, cycles, count))


def noise_waves(items: Items, name: str, cycles: Tensor, count: int = 12) -> tuple[Tensor, Tensor]:
    """Draw waves of all directions for each scene, of lengths about `1 / cycles`."""
    angle = items.scene.between(f"{name} angle", 0, 2 * math.pi, count)
    length = cycles[:, None] * items.scene.between(f"{name} length", 0.5, 1.3, count)
    phases = items.scene.between(f"{name} phase", 0, 2 * math.pi, count)
    return torch.stack((length * angle.cos(), length * angle.sin()), 2), phases


@dataclass(frozen=True)
class Nearest:
    """The nearest and the next nearest point of every pixel, all N x S x S."""

    index: Tensor
    squared: Tensor
    next_index: Tensor
    next_squared: Tensor


def nearest(items: Items, points: Tensor, radii: Tensor) -> Nearest:
    """Find for every pixel the nearest of `points` (N x K x 2), distances in parts of `radii`.

    Points of radius 0 are never the nearest.
    """
    x, y = items.place
    first, second = torch.full_like(x, 1e30), torch.full_like(x, 1e30)
    index, other = torch.zeros_like(x), torch.zeros_like(x)  # float32: half the memory of int64
    scale = radii.square().clamp(min=1e-12).reciprocal()
    for k in range(points.shape[1]):
        px, py = points[:, k, :, None, None].unbind(1)
        squared = (x - px).square_().add_((y - py).square_()).mul_(scale[:, k, None, None])
        closer = squared < first
        other = torch.where(closer, index, torch.where(squared < second, float(k), other))
        index = torch.where(closer, float(k), index)
        second = torch.minimum(second, torch.maximum(first, squared))
        first = torch.minimum(first, squared)
    return Nearest(index.long(), first, other.long(), second)


def spread_points(draws: Draws, name: str, side: int) -> Tensor:
    """Draw `side`^2 points of the unit square in random order, none far from all: N x K x 2."""
    cell = draws.permutation(f"{name} order", side * side)
    corner = torch.stack((cell % side, cell // side), 2).float()
    return (corner + draws.between(f"{name} jitter", 0.05, 0.95, side * side, 2)) / side


def segments(items: Items, start: Tensor, end: Tensor, width: Tensor) -> Tensor:
    """Return the field of straight pieces, joined where they meet: bent with the scene.

    `start`, `end`: N x K x 2; `width`: N x K x 2, half the width at both ends. Absent pieces have a
    negative width.
    """
    x, y = items.place
    step = end - start
    length = step.square().sum(2).clamp(min=1e-8)
    level = torch.full_like(x, -1.0)
    for k in range(start.shape[1]):
        (sx, sy), (dx, dy) = (point[:, k, :, None, None].unbind(1) for point in (start, step))
        x_off, y_off = x - sx, y - sy
        along = (x_off * dx).addcmul_(y_off, dy).div_(length[:, k, None, None]).clamp_(0, 1)
        gap = (x_off - along * dx).square_().add_((y_off - along * dy).square_()).sqrt_()
        first, last = width[:, k, :, None, None].unbind(1)
        level = torch.maximum(level, along.mul_(last - first).add_(first).sub_(gap))
    return level


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
