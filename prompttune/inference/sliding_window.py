"""From images to results: windows of several images and several prompts share batches."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from prompttune.inference.result import Result as Result
from prompttune.prompts.composition import Composition
from prompttune.prompts.prompt import Prompt
from prompttune.utils.bounds import check_image
from prompttune.utils.errors import warn
from prompttune.utils.normalize import to_tensor
from prompttune.utils.tiling import (
    Blend,
    Place,
    pad_reflect,
    resize,
    resize_scores,
    scaled_size,
    spread,
    window_count,
)

Flip = tuple[int, ...]
"""Dimensions of `C x H x W` that are mirrored."""
Kind = tuple[int, int, int]
"""Of windows that may share a batch: how many images their prompts have, the canvas, and how many
tokens their compact prompts keep (0: all)."""
UNFLIPPED: tuple[Flip, ...] = ((),)
UNZOOMED: tuple[float, ...] = (1.0,)
"""The prompt's own scale alone."""
ALL_FLIPS: tuple[Flip, ...] = ((), (-1,), (-2,), (-2, -1))
CLOSE = 0.5
"""Overlap of windows where a companion is asked for its best."""
DESCRIBED = 2
"""Rows of windows, and windows of each, that a network looks at which need not answer: by four
windows of an image strangers are told as surely as by sixteen."""
MAX_OPEN_PIXELS = 2**27
"""Of images at their scales that wait for their batch: it runs early rather than hold more."""


Sized = dict[tuple[tuple[int, int], int], tuple[Tensor, Place]]
"""An image at the sizes and canvases at which prompts want it, so that those alike share one."""


def _size_for(
    prompt: Prompt, size: tuple[int, int], canvas: int, zoom: float = 1.0
) -> tuple[int, int]:
    scale = prompt.known_scale
    return (canvas, canvas) if scale is None else scaled_size(*size, scale * zoom)


def _ways_of(
    prompt: Prompt, zooms: Sequence[float], overlap: float
) -> tuple[Sequence[float], float]:
    """Return at which zooms a prompt is asked, and how far its windows overlap.

    What sees images whole has no zooms. A companion has learned things at one size, and its answers
    at others are worse than none: in place of several zooms its windows lie closer.
    """
    if prompt.known_scale is None:
        return UNZOOMED, overlap
    if prompt.companion is not None and len(zooms) > 1:
        return UNZOOMED, max(overlap, CLOSE)
    return zooms, overlap


def check_work(
    prompt: Prompt | Composition,
    size: tuple[int, int],
    canvas: int,
    overlap: float,
    flips: Sequence[Flip],
    zooms: Sequence[float] = UNZOOMED,
) -> None:
    """Refuse what asks for more memory or work than one image may, before any is spent.

    Args:
        prompt: at known scales.
        size: height and width of the image.
        canvas: the backbone's own, of prompts without one.
        overlap: as in `Segmenter.predict`, within its bound.
        flips: in which each window is answered.
        zooms: as in `Segmenter.predict`.

    Raises:
        InputError: as `prompttune.utils.bounds.check_image`.
    """
    sizes, work = {}, 0
    for part in prompt.parts:
        side = part.canvas or canvas
        ways, shared = _ways_of(part, zooms, overlap)
        for zoom in ways:
            height, width = (max(each, side) for each in _size_for(part, size, side, zoom))
            sizes[height, width, side] = height * width
            windows = window_count(height, width, side, shared)
            work += windows * len(flips) * side**2 * len(part.images)
    classes = sum(len(part.palette.classes) for part in prompt.parts)
    check_image(prompt.name, size[0] * size[1], sum(sizes.values()), classes, work)


class Part:
    """An image at the scale of one prompt, and what is known of that prompt's answer so far."""

    def __init__(
        self,
        image: np.ndarray,
        prompt: Prompt,
        canvas: int,
        overlap: float,
        flips: Sequence[Flip] = UNFLIPPED,
        zoom: float = 1.0,
        sized: Sized | None = None,
    ) -> None:
        self.prompt, self.zoom = prompt, zoom
        canvas = prompt.canvas or canvas
        self.size = _size_for(prompt, (image.shape[0], image.shape[1]), canvas, zoom)
        sized = {} if sized is None else sized
        if (self.size, canvas) not in sized:
            resized = resize(to_tensor(image), self.size)
            sized[self.size, canvas] = pad_reflect(resized, canvas)
        self.pixels, self.start = sized[self.size, canvas]
        self.canvas = canvas
        self.flips = flips
        height, width = self.pixels.shape[1:]
        self.blend = Blend(height, width, canvas, overlap, times=len(flips))
        self.features: list[Tensor] = []
        """Of the windows as they stand, `dim float32` each, where the prompt has a domain."""

    @cached_property
    def looked_at(self) -> frozenset[int]:
        """Numbers of the windows by which likeness is judged where a companion answers alone."""
        return spread(self.blend.places, DESCRIBED)

    def scores(self, size: tuple[int, int]) -> Tensor:
        """Return the scores at the image's own size, once all windows are answered."""
        (top, left), (height, width) = self.start, self.size
        return resize_scores(self.blend.result()[:, top : top + height, left : left + width], size)


@dataclass(frozen=True, eq=False)
class Window:
    """A window of a part, to be answered by the part's prompt."""

    part: Part
    place: Place
    flip: Flip
    number: int = 0
    """Of its place among those of the part."""

    @property
    def is_described(self) -> bool:
        """Whether the image's likeness to those of the prompt is judged by this window too.

        As it stands each is, which costs next to nothing beside an answer of the network; where a
        companion answers alone some are.
        """
        prompt = self.part.prompt
        if prompt.domain is None or self.flip or self.part.zoom != 1:
            return False
        if prompt.companion is None or not prompt.companion.alone:
            return True
        return self.number in self.part.looked_at

    @property
    def kind(self) -> Kind:
        """What windows of a batch must share."""
        prompt = self.part.prompt
        kept = 0 if prompt.kept_tokens is None else len(prompt.kept_tokens[0])
        return len(prompt.images), self.part.canvas, kept

    def pixels(self) -> Tensor:
        """Cut it out, `3 x S x S` in pixel space."""
        (top, left), side = self.place, self.part.canvas
        return self.part.pixels[:, top : top + side, left : left + side].flip(self.flip)

    def add(self, scores: Tensor) -> None:
        """Take the answer, `C x S x S`."""
        self.part.blend.add(self.place, scores.flip(self.flip))

    def describe(self, features: Tensor) -> None:
        """Take what the backbone saw, `dim`."""
        if self.is_described:
            self.part.features.append(features)


class Question:
    """An image, and the prompt or the composition that it is put to.

    At several zooms every prompt of a known scale answers the image at each, and the mean counts.

    Raises:
        InputError: more memory or work than one image may ask for (`check_work`).
    """

    def __init__(
        self,
        image: np.ndarray,
        prompt: Prompt | Composition,
        canvas: int,
        overlap: float,
        flips: Sequence[Flip] = UNFLIPPED,
        zooms: Sequence[float] = UNZOOMED,
    ) -> None:
        self.image, self.prompt = image, prompt
        self.size = image.shape[0], image.shape[1]
        self._zooms = len(zooms)
        check_work(prompt, self.size, canvas, overlap, flips, zooms)
        sized: Sized = {}

        def each_zoom(part: Prompt) -> list[Part]:
            ways, shared = _ways_of(part, zooms, overlap)
            return [Part(image, part, canvas, shared, flips, zoom, sized) for zoom in ways]

        self._of_each = [each_zoom(part) for part in prompt.parts]
        self.parts = [part for parts in self._of_each for part in parts]
        self.held_pixels = sum(pixels[0].numel() for pixels, _ in sized.values())
        """Of the image at all its scales, which are in memory until it is answered."""

    def windows(self) -> Iterator[Window]:
        """List all windows of all parts."""
        for part in self.parts:
            for number, place in enumerate(part.blend.places):
                for flip in part.flips:
                    yield Window(part, place, flip, number)

    @property
    def is_answered(self) -> bool:
        """Whether no window is missing."""
        return not any(part.blend.missing for part in self.parts)

    def result(self) -> Result:
        """Decide, once all windows are answered."""
        each = [_mean_scores(parts, self.size) for parts in self._of_each]
        scores = each[0] if len(each) == 1 else torch.cat(each)
        decider = self.prompt.averaged() if self._zooms > 1 else self.prompt
        classes = decider.decide(scores).numpy()
        unlikeness = self._unlikeness()
        if unlikeness is not None and unlikeness > 1:
            text = "an image is unlike those it was learned from; its answer may be wrong"
            warn(f"{self.prompt.name}: {text}", once=f"domain {self.prompt.name}")
        return Result(classes, scores.numpy(), self.image, decider, unlikeness)

    def _unlikeness(self) -> float | None:
        """Return how unlike the image is to those of its key, of several the farthest."""
        domains = {id(part.prompt.domain): part for part in self.parts if part.features}
        found = [
            part.prompt.domain.unlikeness(torch.stack(part.features).numpy())
            for part in domains.values()
            if part.prompt.domain is not None
        ]
        return max(found, default=None)


def _mean_scores(parts: Sequence[Part], size: tuple[int, int]) -> Tensor:
    """Return the mean over the zooms of one prompt, `C x H x W`."""
    total = parts[0].scores(size)
    for part in parts[1:]:
        total += part.scores(size)  # one by one: large images have no room for all at once
    return total / len(parts) if len(parts) > 1 else total


def answered(
    questions: Iterable[Question],
    run: Callable[[list[Window]], None],
    batch_size: Callable[[int, int], int],
) -> Iterator[Result]:
    """Answer questions in their order; no more are open than batches need.

    Args:
        questions: taken one by one.
        run: answers a batch of windows of one canvas, whose prompts have equally many images.
        batch_size: from the number of images of a prompt and the canvas to the windows of a batch.
    """
    waiting: dict[Kind, list[Window]] = {}
    unanswered: deque[Question] = deque()

    def run_all() -> None:
        for batch in waiting.values():
            run(batch)
        waiting.clear()

    for question in questions:
        unanswered.append(question)
        canvas = question.parts[0].canvas
        for window in question.windows():
            kind = window.kind
            batch = waiting.setdefault(kind, [])
            batch.append(window)
            if len(batch) == batch_size(kind[0], kind[1]):
                run(waiting.pop(kind))
        pixels = sum(each.held_pixels for each in unanswered)
        if pixels > MAX_OPEN_PIXELS or len(unanswered) > 2 * batch_size(1, canvas):
            run_all()
        while unanswered and unanswered[0].is_answered:
            yield unanswered.popleft().result()
    run_all()
    yield from (question.result() for question in unanswered)
