"""Generated things: abstract closed shapes, alone, in chains, as letters; numbered masks.

Every family of shapes here, in `lines.py` and in `surfaces.py` is a function
`(rng, size, traits) -> size x size uint8`: 0 where there is nothing, else the number of the thing
that lies there (always 1 where a family has no single things). The traits, a few numbers in [0, 1],
belong to a task and are shared by prompt and query; positions and details are drawn anew for each
image. None of them imitates a data set that the project is scored on.
"""

from collections.abc import Callable

import cv2
import numpy as np
from numpy.random import Generator

Traits = np.ndarray
Shape = Callable[[Generator, int, Traits], np.ndarray]
TRAITS = 6
MAX_THINGS = 250
"""Highest number of a thing."""

_ANGLE = np.linspace(0, 2 * np.pi, 24, endpoint=False)
_CIRCLE = np.stack((np.cos(_ANGLE), np.sin(_ANGLE)), 1)


def blobs(rng: Generator, size: int, traits: Traits) -> np.ndarray:
    """Closed shapes whose radius is a few harmonics of the angle: from discs to stars."""
    things = np.zeros((size, size), np.uint8)
    count = 1 + int(traits[0] * 9)
    harmonic = 2 + int(traits[2] * 5)
    radii = size * (0.05 + 0.22 * traits[1] * (1 - 0.5 * traits[0])) * rng.uniform(0.7, 1.3, count)
    for number, radius in enumerate(radii, 1):
        wave = 1 + 0.45 * traits[3] * np.sin(harmonic * _ANGLE + rng.uniform(0, 6.28))
        outline = _CIRCLE * (radius * wave)[:, None]
        outline[:, 0] *= 1 + traits[4] * rng.random()
        _fill(things, _place(rng, outline, size), number)
    return things


def boxes(rng: Generator, size: int, traits: Traits) -> np.ndarray:
    """Turned rectangles."""
    things = np.zeros((size, size), np.uint8)
    square = np.array(((-0.5, -0.5), (0.5, -0.5), (0.5, 0.5), (-0.5, 0.5)))
    for number in range(1, 2 + int(traits[0] * 8)):
        sides = size * (0.06 + 0.4 * traits[1:3]) * rng.uniform(0.7, 1.3, 2) * (1 - 0.5 * traits[0])
        _fill(things, _place(rng, square * sides, size), number)
    return things


def polygons(rng: Generator, size: int, traits: Traits) -> np.ndarray:
    """Triangles, pentagons, ... and stars with as many rays."""
    things = np.zeros((size, size), np.uint8)
    corners = 3 + int(traits[0] * 5)
    angle = np.arange(2 * corners) * np.pi / corners
    radius = np.where(np.arange(2 * corners) % 2, 0.35 + 0.65 * traits[1], 1.0)
    if traits[2] < 0.5:  # no star: every second corner lies on the side between its neighbors
        radius[1::2] = np.cos(np.pi / corners)
    outline = np.stack((np.cos(angle), np.sin(angle)), 1) * radius[:, None]
    for number in range(1, 2 + int(traits[3] * 7)):
        scale = size * (0.06 + 0.22 * traits[4]) * rng.uniform(0.7, 1.3)
        _fill(things, _place(rng, outline * scale, size), number)
    return things


def rings(rng: Generator, size: int, traits: Traits) -> np.ndarray:
    """Ellipses drawn as lines, whole or open."""
    things = np.zeros((size, size), np.uint8)
    width = max(1, round(size * (0.02 + 0.07 * traits[0])))
    opening = 0 if traits[1] < 0.5 else int(300 * (traits[1] - 0.5)) + 30
    for number in range(1, 2 + int(traits[2] * 7)):
        radius = size * (0.06 + 0.25 * traits[3]) * rng.uniform(0.6, 1.3)
        axes = (max(1, round(radius)), max(1, round(radius * (1 - 0.6 * traits[4]))))
        at = rng.integers(0, size, 2).tolist()
        turn, start = rng.integers(0, 360, 2).tolist()
        cv2.ellipse(things, at, axes, turn, start, start + 360 - opening, number, width)
    return things


def grains(rng: Generator, size: int, traits: Traits) -> np.ndarray:
    """Many small discs, scattered evenly or in one heap."""
    things = np.zeros((size, size), np.uint8)
    count = 10 + int(traits[0] * 60)
    places = rng.uniform(0, size, (count, 2))
    if traits[1] > 0.6:
        places = rng.uniform(0, size, 2) + rng.normal(0, size * 0.18, (count, 2))
    radii = size * (0.008 + 0.035 * traits[2]) * rng.uniform(0.5, 1.5, count)
    for number, (at, radius) in enumerate(
        zip(places.astype(int).tolist(), radii.tolist(), strict=True), 1
    ):
        cv2.circle(things, at, round(radius), number, -1)
    return things


def chains(rng: Generator, size: int, traits: Traits) -> np.ndarray:
    """Beads on a wandering line; a chain is one thing."""
    things = np.zeros((size, size), np.uint8)
    radius = max(1, round(size * (0.015 + 0.05 * traits[0])))
    step = radius * (1.2 + 2.5 * traits[1])
    for number in range(1, 2 + int(traits[2] * 4)):
        heading = rng.uniform(0, 6.28) + np.cumsum(rng.normal(0, 0.1 + 0.5 * traits[3], 25))
        moves = step * np.stack((np.cos(heading), np.sin(heading)), 1)
        beads = rng.uniform(0, size, 2) + np.cumsum(moves, 0)
        for at in beads[: 5 + int(traits[4] * 20)].astype(int).tolist():
            cv2.circle(things, at, radius, number, -1)
    return things


def letters(rng: Generator, size: int, traits: Traits) -> np.ndarray:
    """Letters and figures of one font, all upright; or a few of them alone."""
    things = np.zeros((size, size), np.uint8)
    font = (cv2.FONT_HERSHEY_SIMPLEX, cv2.FONT_HERSHEY_DUPLEX)[int(traits[1] > 0.5)]
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
    if traits[4] > 0.5:
        first = int(traits[5] * 34)
        alphabet = alphabet[first : first + 2]
    thickness = 1 + int(traits[3] * 3)
    scale = size / 96 * (0.7 + 1.6 * traits[2])
    for number in range(1, 3 + int(traits[0] * 6)):
        ink = np.zeros_like(things)
        text = alphabet[rng.integers(len(alphabet))]
        at = rng.integers((-size // 16, size // 12), size)
        cv2.putText(ink, text, at.tolist(), font, scale, 255, thickness)
        things[ink > 127] = number  # some OpenCVs soften the edges of letters
    return things


def writing(rng: Generator, size: int, traits: Traits) -> np.ndarray:
    """Rows of words, level or slanted; a word is one thing."""
    ink, boxed = np.zeros((2, size, size), np.uint8)
    scale = size / 96 * (0.35 + 0.5 * traits[0])
    height = 22 * scale * (1.2 + traits[1])
    slope = (traits[2] - 0.5) * 0.5
    number, y = 0, rng.uniform(0, height)
    while y < size * 1.2 and number < MAX_THINGS:
        x = rng.uniform(-0.2, 0.3) * size
        while x < size and number < MAX_THINGS:
            number += 1
            text = "".join(map(chr, rng.integers(97, 123, rng.integers(1, 6)).tolist()))
            at = (round(x), round(y + slope * x))
            cv2.putText(ink, text, at, cv2.FONT_HERSHEY_SIMPLEX, scale, 255, 1)
            x += (len(text) + 1) * 18 * scale
            top, bottom = round(at[1] - 24 * scale), round(at[1] + 9 * scale)
            cv2.rectangle(boxed, (at[0], top), (round(x), bottom), number, -1)
        y += height
    return np.where(ink > 127, boxed, 0).astype(np.uint8)


def figures(rng: Generator, size: int, traits: Traits) -> np.ndarray:
    """Bodies with limbs: a few ellipses in an arrangement that all things of the task share."""
    plan = np.random.default_rng((traits * 2**20).astype(np.int64))
    limbs = [
        (_CIRCLE * plan.uniform(0.12, 0.6, 2)) @ _turn(plan.uniform(0, 3.14))
        + plan.uniform(-0.7, 0.7, 2)
        for _ in range(plan.integers(2, 5))
    ]
    things = np.zeros((size, size), np.uint8)
    spread = 3.14 if traits[0] > 0.4 else 0.3
    for number in range(1, 2 + int(traits[1] * 5)):
        scale = size * (0.1 + 0.2 * traits[2]) * rng.uniform(0.7, 1.3)
        turn = _turn(rng.uniform(-spread, spread)) * scale
        at = rng.uniform(0, size, 2)
        for limb in limbs:
            _fill(things, limb @ turn + at, number)
    return things


def _turn(angle: float) -> np.ndarray:
    return np.array(((np.cos(angle), -np.sin(angle)), (np.sin(angle), np.cos(angle))))


def _place(rng: Generator, outline: np.ndarray, size: int) -> np.ndarray:
    return outline @ _turn(rng.uniform(0, 6.28)) + rng.uniform(0, size, 2)


def _fill(things: np.ndarray, outline: np.ndarray, number: int) -> None:
    # Four bits below the pixel, or small shapes come out ragged.
    cv2.fillPoly(things, [np.round(outline * 16).astype(np.int32)], number, shift=4)
