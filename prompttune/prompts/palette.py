"""Which color stands for which class: from class maps to colors and back."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from prompttune.utils.constants import IGNORE
from prompttune.utils.errors import InputError
from prompttune.utils.renamed import takes_old_names

MAX_CLASSES = 254
NEAREST_TO_BLACK = 32
"""No class color lies nearer to the background's black than this (Euclidean, of 255)."""

Color = tuple[int, int, int]


@takes_old_names(colours="colors")
@dataclass(frozen=True)
class Palette:
    """The colors of a task's classes; the background is black.

    Raises:
        InputError: no or too many classes, equal names or colors, a color that is none or that
            cannot be told from the background.
    """

    classes: tuple[str, ...]
    """Names of the foreground classes: class map value i is `classes[i - 1]`."""
    colors: tuple[Color, ...]
    """RGB in 0..255, one a class."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "classes", _checked_names(self.classes))
        object.__setattr__(self, "colors", tuple(_checked_color(c) for c in self.colors))
        if len(self.classes) != len(self.colors):
            counts = f"{len(self.classes)} classes and {len(self.colors)} colors"
            raise InputError(f"palette: {counts}; each class needs one color")
        if len(set(self.colors)) < len(self.colors):
            raise InputError("palette: two classes share a color")

    def __repr__(self) -> str:
        pairs = zip(self.classes, self.colors, strict=True)
        return f"Palette({', '.join('{} #{:02x}{:02x}{:02x}'.format(n, *c) for n, c in pairs)})"

    @classmethod
    def of(cls, classes: Iterable[str]) -> "Palette":
        """Choose colors far from each other and from black; the first is white.

        Deterministic, and the first colors do not depend on how many classes follow.

        Args:
            classes: names of the foreground classes, 1 to 254.

        Returns:
            A palette with a color for each.

        Raises:
            InputError: no classes, too many, or a name that is empty or used twice.
        """
        names = _checked_names(classes)
        return cls(names, _far_apart(len(names)))

    @cached_property
    def tau(self) -> float:
        """The width of the softmax in `scores`: the smallest squared color distance / 6."""
        points = np.array([(0, 0, 0), *self.colors]) / 255
        distances = ((points[:, None] - points[None]) ** 2).sum(-1)
        return float(distances[~np.eye(len(points), dtype=bool)].min()) / 6

    def paint(self, class_map: Tensor | np.ndarray) -> Tensor:
        """Color a class map.

        Args:
            class_map: integers, `... x H x W`; 0 and 255 (ignore) become black.

        Returns:
            `... x 3 x H x W float32` in [0, 1], on the map's device.

        Raises:
            InputError: a value that names no class.
        """
        indices = torch.as_tensor(class_map).long()
        unknown = (indices != IGNORE) & ((indices < 0) | (indices > len(self.classes)))
        if unknown.any():
            values = indices[unknown].unique().tolist()
            raise InputError(f"class map: values {values} name none of {len(self.classes)} classes")
        table = torch.zeros(IGNORE + 1, 3, device=indices.device)
        table[1 : len(self.colors) + 1] = self._points(table)[1:]
        return table[indices].movedim(-1, -3)

    @takes_old_names(colours="colors")
    def repaint(self, colors: Tensor, palette: "Palette") -> Tensor:
        """Paint in these colors what another palette has painted.

        Args:
            colors: `... x 3 x H x W` in [0, 1].
            palette: painted them; it has the same class names, in any order.

        Returns:
            `... x 3 x H x W float32` in [0, 1].
        """
        class_map = palette.decide(palette.scores(colors)).long()
        indices = [0, *(self.classes.index(name) + 1 for name in palette.classes)]
        return self.paint(torch.tensor(indices, device=class_map.device)[class_map])

    @takes_old_names(colours="colors")
    def scores(self, colors: Tensor) -> Tensor:
        """Say how well each pixel's color fits each class.

        A softmax over background and classes of -||pixel - color||^2 / tau. Differentiable.

        Args:
            colors: `... x 3 x H x W`, pixel space, any float; may leave [0, 1].

        Returns:
            `... x C x H x W` in [0, 1], float32 (float64 stays), without the background's plane.
        """
        pixels = colors.to(torch.promote_types(colors.dtype, torch.float32))
        planes = [-(pixels - p[:, None, None]).square().sum(-3) for p in self._points(pixels)]
        return (torch.stack(planes, -3) / self.tau).softmax(-3).narrow(-3, 1, len(self.classes))

    def decide(self, scores: Tensor, threshold: float = 0.5) -> Tensor:
        """Turn scores into a class map.

        Foreground is where the class scores sum to over `threshold`; there the best class wins.

        Args:
            scores: `... x C x H x W` in [0, 1].
            threshold: in [0, 1].

        Returns:
            `... x H x W uint8`: 0 background, i the i-th class.
        """
        if scores.shape[-3] == 1:
            return (scores[..., 0, :, :] > threshold).to(torch.uint8)
        foreground = scores.sum(-3) > threshold
        return torch.where(foreground, (scores.argmax(-3) + 1).to(torch.uint8), 0)

    def _points(self, like: Tensor) -> Tensor:
        """Return black and the colors in pixel space, `(1 + C) x 3`."""
        points = torch.tensor([(0, 0, 0), *self.colors], dtype=like.dtype, device=like.device)
        return points / 255


def _checked_names(classes: Iterable[str]) -> tuple[str, ...]:
    if isinstance(classes, str):
        raise InputError(f"palette: give classes as a list of names, not as the text '{classes}'")
    names = tuple(classes)
    if not 1 <= len(names) <= MAX_CLASSES:
        raise InputError(f"palette: {len(names)} classes; give 1 to {MAX_CLASSES}")
    if any(not isinstance(name, str) or not name.strip() for name in names):
        raise InputError(f"palette: every class needs a name; got {list(names)}")
    if len(set(names)) < len(names):
        twice = sorted({name for name in names if names.count(name) > 1})
        raise InputError(f"palette: class names used twice: {', '.join(twice)}")
    return names


def _checked_color(color: Iterable[int]) -> Color:
    values = tuple(color)
    if len(values) != 3 or any(int(v) != v or not 0 <= v <= 255 for v in values):
        raise InputError(f"palette: {values} is no color; give three integers in 0..255")
    red, green, blue = (int(v) for v in values)
    if red**2 + green**2 + blue**2 < NEAREST_TO_BLACK**2:
        raise InputError(
            f"palette: {values} cannot be told from the background's black; use a brighter color"
        )
    return red, green, blue


def _far_apart(count: int) -> tuple[Color, ...]:
    """Pick colors one by one, each the farthest from black and from those before it."""
    levels = np.arange(0, 256, 17)
    grid = np.stack(np.meshgrid(levels, levels, levels, indexing="ij"), -1).reshape(-1, 3)
    nearest = (grid**2).sum(1)
    chosen = []
    for _ in range(count):
        best = grid[nearest.argmax()]
        chosen.append((int(best[0]), int(best[1]), int(best[2])))
        nearest = np.minimum(nearest, ((grid - best) ** 2).sum(1))
    return tuple(chosen)
