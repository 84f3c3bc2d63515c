"""How generated things look: a color, waves of noise, a pattern, grain."""

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.random import Generator

from prompttune.synthetic.lines import ridges
from prompttune.synthetic.shapes import TRAITS, Shape, Traits, grains
from prompttune.synthetic.surfaces import marble, smooth_noise, stripes, tiling

_PATTERNS: tuple[Shape, ...] = (stripes, tiling, marble, ridges, grains)
_STORE = np.random.default_rng(0).standard_normal(2**18, dtype=np.float32)


def grain(rng: Generator, *shape: int) -> np.ndarray:
    """Return white noise of unit variance, `shape` float32, cut from a fixed store of it."""
    count = math.prod(shape)
    if count >= len(_STORE):
        return rng.standard_normal(shape, dtype=np.float32)
    start = int(rng.integers(len(_STORE) - count))
    return _STORE[start : start + count].reshape(shape)


@dataclass(frozen=True)
class Texture:
    """A color with waves of noise, a pattern and grain; colors in [0, 1]."""

    mixing: np.ndarray
    """3 x 4 float32: what wave, pattern and grain add to the color, and the color."""
    cells: int
    pattern: Shape | None
    traits: Traits

    @property
    def color(self) -> np.ndarray:
        """The mean color, 3 values."""
        return self.mixing[:, 3]

    @classmethod
    def draw(cls, rng: Generator, color: np.ndarray | None = None) -> "Texture":
        """Draw a texture; with `color` one that only its pattern and noise tell from others."""
        new = color is None
        numbers, tint = rng.random(8), rng.standard_normal((3, 2))
        mixing = np.empty((3, 4), np.float32)
        strengths = (0.03, 0.1, 0.25) if new else (0.02, 0.3, 0.15)
        mixing[:, 0] = tint[:, 0] * strengths[int(numbers[0] * 3)]
        mixing[:, 1] = tint[:, 1] * 0.25
        mixing[:, 2] = (0.0, 0.02, 0.05, 0.1)[int(numbers[1] * 4)]
        mixing[:, 3] = numbers[5:] if new else color
        has_pattern = numbers[2] < (0.2 if new else 0.5)
        pattern = _PATTERNS[int(numbers[3] * len(_PATTERNS))] if has_pattern else None
        traits = np.maximum(rng.random(TRAITS), 0.3)  # none too coarse
        return cls(mixing, int(2 ** (1 + 4 * numbers[4])), pattern, traits)

    def paint(self, rng: Generator, size: int) -> np.ndarray:
        """Return `size x size x 3 float32`."""
        wave = smooth_noise(rng, size, self.cells)
        noise = grain(rng, size, size)
        if self.pattern is None:
            return _mixed((wave, noise), self.mixing[:, (0, 2, 3)])
        pattern = (self.pattern(rng, size, self.traits) > 0).astype(np.float32)
        return _mixed((wave, pattern, noise), self.mixing)


def _mixed(layers: tuple[np.ndarray, ...], mixing: np.ndarray) -> np.ndarray:
    return np.asarray(cv2.transform(cv2.merge(layers), mixing), np.float32)
