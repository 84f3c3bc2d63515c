"""A window that follows the objects through a video, so that they fill the canvas.

A small canvas sees a whole frame too coarsely. The window has the objects' own shape, is fitted to
the canvas whatever its shape, and shows an object in every frame as the example's window does.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import sqrt

import numpy as np
from torch import Tensor

from prompttune.prompts.palette import Palette
from prompttune.prompts.prompt import Prompt
from prompttune.utils.errors import InputError
from prompttune.utils.tiling import resize

MARGIN = 1.25
"""The example's window reaches this many times as far from the objects' center as they do."""
MAX_CHANGE = 1.1
"""A side of the window grows or shrinks by no more than this from one frame to the next."""
GROWTH = 1.5
"""While nothing is found, each frame is searched in a window with sides this many times longer."""
MIN_PATCHES = 8
"""A backbone that would see the objects in fewer patches a side needs the window."""
ALIKE = 0.02
"""Largest mean difference, of a range of 1, between an example and the first frame it shows."""


@dataclass(frozen=True)
class Window:
    """A part of a frame, whole pixels, inside it."""

    top: int
    left: int
    height: int
    width: int

    @classmethod
    def around(
        cls, center: tuple[float, float], size: tuple[float, float], frame: tuple[int, int]
    ) -> "Window":
        """Place a window of about this size as near to a center as the frame allows."""
        sides, starts = [], []
        for middle, wanted, length in zip(center, size, frame, strict=True):
            side = min(max(1, round(wanted)), length)
            sides.append(side)
            starts.append(min(max(0, round(middle - side / 2)), length - side))
        return cls(*starts, *sides)

    @property
    def slices(self) -> tuple[slice, slice]:
        """Rows and columns."""
        rows = slice(self.top, self.top + self.height)
        return rows, slice(self.left, self.left + self.width)

    @property
    def center(self) -> tuple[float, float]:
        """Row and column, where 0 is the first pixel's outer border."""
        return self.top + self.height / 2, self.left + self.width / 2


@dataclass(frozen=True)
class Extent:
    """Where objects lie and how far they spread, rows first."""

    center: tuple[float, float]
    spread: tuple[float, float]
    """Standard deviation of their pixels: stray pixels move it less than a bounding box."""

    @classmethod
    def of(cls, foreground: np.ndarray) -> "Extent":
        """Measure `H x W bool` that is not all False."""
        center, spread = [], []
        for counts in (foreground.sum(1), foreground.sum(0)):
            share = counts / counts.sum()
            places = np.arange(len(counts)) + 0.5
            middle = float((share * places).sum())
            center.append(middle)
            # A pixel is a twelfth wide by itself, so that a line has a spread across as well.
            spread.append(sqrt(float((share * (places - middle) ** 2).sum()) + 1 / 12))
        return cls((center[0], center[1]), (spread[0], spread[1]))


class Follower:
    """Moves a window from frame to frame.

    Args:
        foreground: `H x W bool`, the objects in the example, not all False.
        least: no side of the window is shorter, unless the frame is.
    """

    def __init__(self, foreground: np.ndarray, least: int) -> None:
        self._frame = foreground.shape[0], foreground.shape[1]
        self._least = least
        extent = Extent.of(foreground)
        self._size = _example_size(foreground, extent)
        self._sides_a_spread = [
            side / spread for side, spread in zip(self._size, extent.spread, strict=True)
        ]
        self.window = self._around(extent.center)

    def update(self, foreground: np.ndarray) -> None:
        """Move the window to where the objects were found, `H x W bool`, or widen it."""
        if not foreground.any():
            now = self.window
            wider = now.height * GROWTH, now.width * GROWTH
            self.window = Window.around(now.center, wider, self._frame)
            return
        extent = Extent.of(foreground)
        sides = [
            min(max(factor * spread, side / MAX_CHANGE), side * MAX_CHANGE)
            for factor, spread, side in zip(
                self._sides_a_spread, extent.spread, self._size, strict=True
            )
        ]
        self._size = sides[0], sides[1]
        self.window = self._around(extent.center)

    def _around(self, center: tuple[float, float]) -> Window:
        height, width = (max(side, self._least) for side in self._size)
        return Window.around(center, (height, width), self._frame)


def start_following(
    prompt: Prompt, frame: Tensor, canvas: int, patch: int, always: bool = False
) -> tuple[Prompt, Follower | None]:
    """Cut examples to their objects and start a window, where a window is of use.

    It is where an example of the prompt shows the first frame, so that it tells where the objects
    are, and the whole frame on the canvas would leave them fewer than `MIN_PATCHES` patches a
    side (geometric mean). Keys, and examples at a scale, are used as they are; examples of which
    one shows the first frame, and whose scale is "auto", are seen whole.

    Args:
        prompt: of any kind.
        frame: the first one, `3 x H x W` in [0, 1].
        canvas: side of the backbone's canvas, `patch` of its patches.
        always: follow also objects that are large enough.

    Returns:
        The prompt with its examples cut, at the canvas' size, and the window; or the prompt as it
        is and None: frames are seen whole.

    Raises:
        InputError: `always`, and no example shows the first frame.
    """
    masks = [foreground_of(colors, prompt.palette) for colors in prompt.colors]
    first = None
    whole = prompt.scale is None or (prompt.scale == "auto" and not prompt.grid)
    if whole and prompt.fingerprint is None:
        shown = (
            mask for image, mask in zip(prompt.images, masks, strict=True)
            if mask.any() and _shows(image, frame, canvas)
        )  # fmt: skip
        first = next(shown, None)
    if first is None and always:
        raise InputError(
            f"prompt {prompt.name}: no example shows the first frame, so there is nothing to "
            "follow; give the first frame and its mask as an example, without a scale"
        )
    if first is not None:
        prompt = prompt.at_scale(None, prompt.canvas)
    if first is None or not (always or _patches(first, canvas // patch) < MIN_PATCHES):
        return prompt, None
    return _cut(prompt, masks, canvas), Follower(first, canvas)


def _patches(foreground: np.ndarray, grid: int) -> float:
    """Return how many patches a side the objects cover if the frame is seen whole."""
    height, width = _example_size(foreground, Extent.of(foreground))
    shares = height / foreground.shape[0], width / foreground.shape[1]
    return sqrt(shares[0] * shares[1]) / MARGIN * grid


def foreground_of(colors: Tensor, palette: Palette) -> np.ndarray:
    """Return where an example's colors, `3 x H x W`, show a class, `H x W bool`."""
    return palette.decide(palette.scores(colors)).numpy() > 0


def _example_size(foreground: np.ndarray, extent: Extent) -> tuple[float, float]:
    """Return the sides of a window that reaches `MARGIN` times as far as the objects do."""
    sides = []
    for axis, middle in zip((1, 0), extent.center, strict=True):
        rows = np.flatnonzero(foreground.any(axis))
        sides.append(2 * MARGIN * max(middle - rows[0], rows[-1] + 1 - middle))
    return sides[0], sides[1]


def _shows(image: Tensor, frame: Tensor, canvas: int) -> bool:
    """Say whether an example is the first frame, saved in another format perhaps."""
    if image.shape != frame.shape:
        return False
    size = (canvas, canvas)
    return float((resize(image, size) - resize(frame, size)).abs().mean()) <= ALIKE


def _cut(prompt: Prompt, masks: Sequence[np.ndarray], canvas: int) -> Prompt:
    """Cut each example to the window of its objects, and fit it to the canvas."""
    images, colors = [], []
    for image, color, mask in zip(prompt.images, prompt.colors, masks, strict=True):
        if mask.any():
            rows, columns = Follower(mask, canvas).window.slices
            image, color = image[:, rows, columns], color[:, rows, columns]
        images.append(image)
        colors.append(color)
    cut = replace(prompt, images=tuple(images), colors=tuple(colors))
    fitted_images, fitted_colors = cut.at(canvas)
    return replace(cut, images=tuple(fitted_images.unbind()), colors=tuple(fitted_colors.unbind()))
