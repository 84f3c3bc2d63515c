"""Parts of generated things: where in each thing a part lies, as the task's traits say."""

import cv2
import numpy as np
from numpy.random import Generator

from prompttune.synthetic.shapes import Traits
from prompttune.synthetic.surfaces import above, plane, smooth_noise


def part_of(rng: Generator, things: np.ndarray, traits: Traits) -> np.ndarray:
    """Return the part of every thing (`size x size uint8` numbers) as a mask, bool.

    It is the core, the rim, one end, or spots.
    """
    there = things > 0
    kind = int(traits[0] * 4)
    if kind == 0:
        return there & (above(smooth_noise(rng, len(things), 10), 0.4 + traits[1]) > 0)
    if kind == 1:
        return _end(rng, things, there, 0.1 + 0.5 * traits[1])
    depth, deepest = _depth(things)
    core = depth > (0.3 + 0.4 * traits[1]) * deepest
    return core if kind == 2 else there & ~core


def _depth(things: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return each pixel's distance to the edge of its thing, and the largest in that thing."""
    edges = cv2.morphologyEx(things, cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8))
    inside = np.where(np.asarray(edges) > 0, 0, things).astype(np.uint8)
    depth = np.asarray(cv2.distanceTransform(inside, cv2.DIST_L2, 3))
    deepest = np.zeros(256, np.float32)
    np.maximum.at(deepest, things, depth)
    return depth, np.where(things > 0, deepest[things], np.inf)


def _end(rng: Generator, things: np.ndarray, there: np.ndarray, share: float) -> np.ndarray:
    """Cut every thing across, in a direction that all of the image share."""
    x, y = plane(len(things))
    angle = rng.uniform(0, 6.28)
    along = x * np.float32(np.cos(angle)) + y * np.float32(np.sin(angle))
    lowest, highest = np.full(256, np.inf, np.float32), np.full(256, -np.inf, np.float32)
    np.minimum.at(lowest, things, along)
    np.maximum.at(highest, things, along)
    limit = lowest + share * np.maximum(highest - lowest, 0)
    return there & (along < limit[things])
