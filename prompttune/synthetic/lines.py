"""Generated lines: curves, networks, contours (see `shapes.py` for what a family is)."""

import cv2
import numpy as np
from numpy.random import Generator

from prompttune.synthetic.shapes import Shape, Traits, blobs, boxes, figures, polygons
from prompttune.synthetic.surfaces import marble, regions, smooth_noise

_STEPS = 40


def curves(rng: Generator, size: int, traits: Traits) -> np.ndarray:
    """Wandering curves of varying width that may branch."""
    things = np.zeros((size, size), np.uint8)
    thickest = size * (0.015 + 0.07 * traits[0] ** 2)
    count = 1 + int(traits[2] * 6)
    roots = [
        (number, rng.uniform(0, size, 2), rng.uniform(0, 6.28), thickest * rng.uniform(0.6, 1.2))
        for number in range(1, count + 1)
    ]
    forks_left = 12
    while roots:
        number, start, heading, width = roots.pop()
        headings = heading + np.cumsum(rng.normal(0, 0.05 + 0.4 * traits[1], _STEPS))
        path = _path(start, headings, max(2.0, size / 24))
        taper = width * (1 - 0.06 * traits[4]) ** np.arange(0, _STEPS, 8)
        for part, thickness in enumerate(taper.tolist()):
            if thickness < 0.4:
                break
            _draw(things, path[8 * part : 8 * part + 9], number, thickness)
        for at in rng.integers(2, 30, min(forks_left, rng.binomial(4, traits[3]))).tolist():
            side = headings[at] + rng.choice((-1, 1)) * rng.uniform(0.4, 1.2)
            roots.append((number, path[at], side, taper[at // 8] * 0.6))
            forks_left -= 1
    return things


def loops(rng: Generator, size: int, traits: Traits) -> np.ndarray:
    """Smooth closed curves that may cross themselves."""
    things = np.zeros((size, size), np.uint8)
    time = np.linspace(0, 2 * np.pi, 64)
    order = np.arange(1, 2 + int(traits[0] * 4))
    for number in range(1, 2 + int(traits[1] * 3)):
        waves = np.sin(time[:, None, None] * order[:, None] + rng.uniform(0, 6.28, (len(order), 2)))
        path = (waves * rng.normal(0, 1, (len(order), 2))).sum(1)
        scale = size * (0.1 + 0.25 * traits[2]) / max(np.abs(path).std(), 0.3)
        width = size * (0.015 + 0.05 * traits[3] ** 2)
        _draw(things, path * scale + rng.uniform(0.2, 0.8, 2) * size, number, width)
    return things


def network(rng: Generator, size: int, traits: Traits) -> np.ndarray:
    """Scattered knots, each joined to its nearest by lines of varying width."""
    things = np.zeros((size, size), np.uint8)
    knots = rng.uniform(-0.1, 1.1, (8 + int(traits[0] * 22), 2)) * size
    apart = np.linalg.norm(knots[:, None] - knots[None], axis=-1)
    nearest = np.argsort(apart, 1)[:, 1 : 3 + int(traits[1] * 2)]
    thickness = 1 + size * 0.05 * traits[2] ** 2 * rng.random(nearest.shape) ** (3 * traits[3])
    for one, others in enumerate(nearest.tolist()):
        for other, width in zip(others, thickness[one].tolist(), strict=True):
            _draw(things, knots[[one, other]], 1, width)
    if traits[4] > 0.5:
        for at in knots.astype(int).tolist():
            cv2.circle(things, at, round(size * 0.05 * traits[5]) + 1, 1, -1)
    return things


def rays(rng: Generator, size: int, traits: Traits) -> np.ndarray:
    """Bundles of straight lines from common points."""
    things = np.zeros((size, size), np.uint8)
    for number in range(1, 2 + int(traits[0] * 3)):
        count = 4 + int(traits[1] * 12)
        angle = np.arange(count) * 6.283 / count * (0.2 + 0.8 * traits[2]) + rng.uniform(0, 6.28)
        reach = size * (0.15 + 0.5 * traits[3]) * rng.uniform(0.7, 1.3, count)
        at = rng.uniform(0, size, 2)
        ends = at + np.stack((np.cos(angle), np.sin(angle)), 1) * reach[:, None]
        for end in ends:
            _draw(things, np.stack((at, end)), number, 1 + size * 0.04 * traits[4] ** 2)
    return things


def ridges(rng: Generator, size: int, traits: Traits) -> np.ndarray:
    """Level lines of smooth noise, as wide as the noise is flat there."""
    field = smooth_noise(rng, size, 1 + int(traits[0] * 6))
    levels = field * np.float32(0.4 + 0.8 * traits[1]) + np.float32(rng.random())
    return (np.abs(levels - np.round(levels)) < 0.03 + 0.12 * traits[2]).astype(np.uint8)


_OUTLINED: tuple[Shape, ...] = (blobs, boxes, polygons, figures, regions, marble)


def outlines(rng: Generator, size: int, traits: Traits) -> np.ndarray:
    """Contours of another family's things."""
    family = _OUTLINED[int(traits[5] * len(_OUTLINED))]
    return contours(family(rng, size, traits), 2 + int(traits[4] * size * 0.05))


def contours(things: np.ndarray, width: int) -> np.ndarray:
    """Keep of a map of things or classes (uint8 or uint16) the edges, `width` pixels wide."""
    kernel = np.ones((width, width), np.uint8)
    highest = cv2.dilate(things, kernel)
    return np.where(highest != cv2.erode(things, kernel), highest, 0).astype(things.dtype)


def _path(start: np.ndarray, headings: np.ndarray, step: float) -> np.ndarray:
    moves = step * np.stack((np.cos(headings), np.sin(headings)), 1)
    return np.concatenate((start[None], start + np.cumsum(moves, 0)))


def _draw(things: np.ndarray, path: np.ndarray, number: int, width: float) -> None:
    points = np.round(path * 16).astype(np.int32)
    cv2.polylines(things, [points], False, number, max(1, round(width)), shift=4)
