"""Pictures larger than memory: windows row by row, and rows of scores as soon as they are done.

What comes out is what the whole picture at once would give: the same windows at the same places,
blended by the same weights. In memory are a canvas' height of rows, over the whole width.
"""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from prompttune.inference.sliding_window import Flip
from prompttune.prompts.prompt import Prompt
from prompttune.utils.errors import InputError
from prompttune.utils.normalize import to_tensor
from prompttune.utils.resampling import resize_columns, resize_rows, rows_needed
from prompttune.utils.tiling import Place, scaled_size, window_weights, windows

BLOCK = 256
"""Rows of the picture that are read and resized at once, and a few more around them."""


class Rows(Protocol):
    """A picture that is read by rows."""

    height: int
    width: int

    def read(self, top: int, bottom: int) -> tuple[np.ndarray, np.ndarray | None]:
        """Return rows, `h x W x 3 uint8`, and where they hold nothing, `h x W bool`, or None."""


@dataclass(frozen=True, eq=False)
class StripWindow:
    """A window of a strip, as `Segmenter.answer` takes it."""

    part: "StripPart"
    place: Place
    flip: Flip
    is_described = False

    def pixels(self) -> Tensor:
        """Cut it out, `3 x S x S` in pixel space."""
        (top, left), side = self.place, self.part.canvas
        top -= self.part.first
        return self.part.pixels[:, top : top + side, left : left + side].flip(self.flip)

    def add(self, scores: Tensor) -> None:
        """Take the answer, `C x S x S`."""
        self.part.add(self.place, scores.flip(self.flip))

    def describe(self, features: Tensor) -> None:
        """Leave aside what the backbone saw."""


class StripPart:
    """One prompt's answer to a picture, row by row.

    Args:
        rows: the picture.
        prompt: with a known scale.
        canvas: side of its windows.
        overlap: of neighboring windows.
        flips: in which each window is answered.

    Raises:
        InputError: a prompt that sees images whole, or a picture that is smaller than a window.
    """

    def __init__(
        self, rows: Rows, prompt: Prompt, canvas: int, overlap: float, flips: Sequence[Flip]
    ) -> None:
        if prompt.known_scale is None:
            raise InputError("this prompt sees images whole; give --scale for so large a raster")
        self.prompt, self.canvas, self._flips = prompt, prompt.canvas or canvas, flips
        self._rows = rows
        self.height, self.width = scaled_size(rows.height, rows.width, prompt.known_scale)
        if min(self.height, self.width) < self.canvas:
            raise InputError(f"a raster of {rows.width} x {rows.height} is too narrow for windows")
        self._places: dict[int, list[Place]] = {}
        for place in windows(self.height, self.width, self.canvas, overlap):
            self._places.setdefault(place[0], []).append(place)
        self.first = 0
        self.pixels = torch.zeros(3, 0, self.width)
        self._empty = np.zeros((0, self.width), bool)
        self._weight = window_weights(self.canvas)
        self._weights = torch.zeros(self.canvas, self.width)
        self._sum = torch.zeros(len(prompt.palette.classes), self.canvas, self.width)

    def add(self, place: Place, scores: Tensor) -> None:
        """Add one window's scores."""
        columns = slice(place[1], place[1] + self.canvas)
        self._sum[:, :, columns] += scores * self._weight
        self._weights[:, columns] += self._weight

    def score_rows(
        self, run: Callable[[list[StripWindow]], None], batch: int
    ) -> Iterator[tuple[int, Tensor]]:
        """Yield finished rows of the scaled picture: the first one's number, and `C x h x W'`."""
        tops = list(self._places)
        with ThreadPoolExecutor(1, "rows") as reader:
            coming = reader.submit(self._scaled, 0, self.canvas)
            for number, top in enumerate(tops):
                self._shift(top, coming)
                after = tops[number + 1] if number + 1 < len(tops) else self.height
                coming = reader.submit(
                    self._scaled, top + self.canvas, min(after + self.canvas, self.height)
                )
                self._answer(self._places[top], run, batch)
                done = after - top
                yield top, self._sum[:, :done] / self._weights[:done]
                for buffer in (self._sum, self._weights[None]):
                    buffer[:, : self.canvas - done] = buffer[:, done:].clone()
                    buffer[:, self.canvas - done :] = 0

    def _shift(self, top: int, coming: "Future[tuple[Tensor, np.ndarray]]") -> None:
        """Forget the rows above `top`, and take those that were read."""
        pixels, empty = coming.result()
        kept = top - self.first
        self.pixels = torch.cat([self.pixels[:, kept:], pixels], 1)
        self._empty = np.concatenate([self._empty[kept:], empty])
        self.first = top

    def _answer(
        self, places: Sequence[Place], run: Callable[[list[StripWindow]], None], batch: int
    ) -> None:
        asked = []
        for place in places:
            columns = slice(place[1], place[1] + self.canvas)
            if self._empty[: self.canvas, columns].all():
                classes = len(self.prompt.palette.classes)
                self.add(place, torch.zeros(classes, self.canvas, self.canvas))
                continue
            asked += [StripWindow(self, place, flip) for flip in self._flips]
        for start in range(0, len(asked), batch):
            run(asked[start : start + batch])

    def _scaled(self, top: int, bottom: int) -> tuple[Tensor, np.ndarray]:
        """Read rows and bring them to the prompt's scale."""
        pixels, empty = [], []
        # At a small scale a row stands for many: memory goes by what is read.
        step = max(1, min(BLOCK, BLOCK * self.height // self._rows.height))
        for start in range(top, bottom, step):
            rows = start, min(start + step, bottom)
            needed = rows_needed(rows, self._rows.height, self.height, "bicubic")
            read, missing = self._rows.read(*needed)
            narrow = resize_columns(to_tensor(read), self.width, "bicubic")
            scaled = resize_rows(narrow, needed[0], rows, self._rows.height, self.height, "bicubic")
            pixels.append(scaled.clamp(0, 1))
            empty.append(self._scaled_empty(missing, needed[0], rows))
        if not pixels:
            return torch.zeros(3, 0, self.width), np.zeros((0, self.width), bool)
        return torch.cat(pixels, 1), np.concatenate(empty)

    def _scaled_empty(
        self, missing: np.ndarray | None, first: int, rows: tuple[int, int]
    ) -> np.ndarray:
        if missing is None:
            return np.zeros((rows[1] - rows[0], self.width), bool)
        down = (2 * np.arange(*rows) + 1) * self._rows.height // (2 * self.height) - first
        across = (2 * np.arange(self.width) + 1) * self._rows.width // (2 * self.width)
        return missing[down[:, None], across]


def own_rows(
    part: StripPart, pieces: Iterator[tuple[int, Tensor]], height: int, width: int, step: int
) -> Iterator[Tensor]:
    """Bring rows of scores to the picture's own size, `step` rows at a time, `C x step x W`."""
    first, held = 0, torch.zeros(0)
    for top in range(0, height, step):
        rows = top, min(top + step, height)
        needed = rows_needed(rows, part.height, height, "bilinear")
        while first + (held.shape[1] if held.dim() == 3 else 0) < needed[1]:
            _, piece = next(pieces)
            piece = resize_columns(piece, width, "bilinear")
            held = piece if held.dim() != 3 else torch.cat([held, piece], 1)
        held, first = held[:, needed[0] - first :], needed[0]
        yield resize_rows(held, first, rows, part.height, height, "bilinear").clamp(0, 1)
