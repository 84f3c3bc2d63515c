"""Which classes of a sample are colored, and how: one map for all its images."""

import math
from functools import lru_cache

import numpy as np
from numpy.random import Generator

from prompttune.pretraining.sources.pool import IGNORE

_CUBE = np.array([[i >> 2 & 1, i >> 1 & 1, i & 1] for i in range(1, 8)], np.float32)
"""The corners of the color cube but black; white is the last."""
VALUES = 512
"""Class values of a sample are below this: two contexts of 256 each."""
_VALID = np.arange(VALUES) % 256 != IGNORE


def draw_colors(rng: Generator, count: int) -> np.ndarray:
    """Draw the colors of `count` classes, `count x 3 float32`.

    None is so dark that it cannot be told from the background, no two are alike, and often they are
    corners of the color cube, as palettes at inference are.
    """
    if rng.random() < 0.4 and count <= len(_CUBE):
        order = rng.permutation(7)
        if rng.random() < 0.4:  # white, the color of most one-class prompts, first
            order = np.array([6, *order[order != 6]])
        return _CUBE[order[:count]]
    apart = 0.45 if count <= 3 else 0.3
    chosen: list[tuple[float, ...]] = []
    while len(chosen) < count:
        color = tuple(rng.random(3).tolist())
        bright = math.hypot(*color) > 0.45
        if bright and all(math.dist(color, other) > apart for other in chosen):
            chosen.append(color)
    return np.array(chosen, np.float32).reshape(-1, 3)


@lru_cache(maxsize=1)
def fixed_colors() -> np.ndarray:
    """Return one color for every class value of a set, `256 x 3 float32`, always the same."""
    rng = np.random.default_rng(0)
    return np.concatenate([draw_colors(rng, 8) for _ in range(256 // 8)])


def choose_classes(rng: Generator, halves: list[np.ndarray], most: int) -> np.ndarray:
    """Return some, 1 to `most`, of the class values that both halves show."""
    seen = np.ones(VALUES, bool)
    for half in halves:  # a few pixels of a thing do not show what it is
        seen &= np.bincount(half.reshape(-1), minlength=VALUES) > 2 + half.size // 500
    seen[[0, IGNORE, 256, 256 + IGNORE]] = False
    there = rng.permutation(np.flatnonzero(seen))
    return there[: 1 + int(most * rng.random() ** 2)]  # one is the most frequent number


def is_valid(classes: np.ndarray) -> np.ndarray:
    """Return which pixels of a class map are not to be ignored."""
    return _VALID[classes]


def paint(rng: Generator, classes: np.ndarray, chosen: np.ndarray, fixed: bool) -> np.ndarray:
    """Color the chosen classes of a map, `H x W x 3 float32`; all others are black."""
    table = np.zeros((VALUES, 3), np.float32)
    table[chosen] = fixed_colors()[chosen % 256] if fixed else draw_colors(rng, len(chosen))
    return table[classes]
