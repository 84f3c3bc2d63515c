"""A segmenter whose answers are known by hand, for tests of comparisons and their reports.

Images are 40 x 40: red is the truth (200) or not (20), green the number of the image, blue the part
it belongs to. The segmenter finds the truth, but for some pixels that the prompt misses.
"""

import sys
from collections.abc import Callable
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

from prompttune.data.layouts import LoadedSample
from prompttune.prompts.palette import Palette
from prompttune.prompts.prompt import Prompt

SIDE = 40
CANVAS = 16
FOREGROUND = 100
TRAIN, VALIDATION, TEST = 50, 51, 52  # near colors
HIGH, LOW = 0.8, 0.1


@pytest.fixture
def fakes() -> ModuleType:
    """Return this module: test files cannot import it by name."""
    return sys.modules[__name__]


def make_sample(part: int, number: int, size: int = FOREGROUND) -> LoadedSample:
    """Return a sample with a bar of `size` foreground pixels."""
    class_map = np.zeros(SIDE * SIDE, np.uint8)
    class_map[400 : 400 + size] = 1
    class_map = class_map.reshape(SIDE, SIDE)
    image = np.zeros((SIDE, SIDE, 3), np.uint8)
    image[..., 0] = np.where(class_map, 200, 20)
    image[..., 1], image[..., 2] = number, part
    return LoadedSample(f"{part}-{number}", image, class_map)


def make_key(classes: tuple[str, ...] = ("vessel",)) -> Prompt:
    """Return a key; the fake segmenter knows it by its name."""
    pixels = Prompt.from_examples(
        [(make_sample(TRAIN, 0).image, np.ones((SIDE, SIDE), np.uint8))], classes, 1.0, CANVAS
    )
    return Prompt(pixels.images, pixels.colors, Palette.of(classes), scale=1.0, name="key")


class FakeSegmenter:
    """Misses `missed(example numbers or None for the key, part)` foreground pixels."""

    def __init__(
        self,
        missed: Callable[[tuple[int, ...] | None, int], int],
        high: float = HIGH,
        low: float = LOW,
    ) -> None:
        self.missed, self.high, self.low = missed, high, low
        self.calls: list[tuple[object, int, int, float]] = []
        self.prompts: list[Prompt] = []
        self.flips: list[bool] = []
        self.network = SimpleNamespace(
            name="fake", fingerprint="f" * 64, config=SimpleNamespace(canvas=CANVAS)
        )
        self.device, self.bf16 = SimpleNamespace(type="cpu"), False

    def predict(
        self,
        images: np.ndarray,
        prompt: Prompt,
        overlap: float = 0.25,
        flips: bool = False,
        zooms: tuple[float, ...] = (1.0,),
    ) -> SimpleNamespace:
        numbers = None
        if prompt.name != "key":
            numbers = tuple(round(float(image[1, 0, 0]) * 255) for image in prompt.images)
        number, part = int(images[0, 0, 1]), int(images[0, 0, 2])
        self.calls.append((numbers, part, number, overlap))
        self.prompts.append(prompt)
        self.flips.append(flips)
        found = images[..., 0] > 100
        found.ravel()[np.flatnonzero(found)[: self.missed(numbers, part)]] = False
        scores = np.where(found, self.high, self.low).astype(np.float32)
        return SimpleNamespace(scores=np.stack([scores] * len(prompt.palette.classes)))
