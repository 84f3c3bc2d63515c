"""Abstract shapes for generated training images: masks alone, no colours.

Every family is a function `(rng, size, traits) -> size x size bool`. The traits (a few numbers in
[0, 1]) belong to a task and are shared by prompt and query; positions and details are drawn anew
for each image. None of them imitates a data set that the project is scored on.
"""

from collections.abc import Callable

import cv2
import numpy as np
from numpy.random import Generator

Traits = np.ndarray
Shape = Callable[[Generator, int, Traits], np.ndarray]


def smooth_noise(rng: Generator, size: int, cells: int) -> np.ndarray:
    """Return `size x size float32` noise of about unit variance, `cells` random values a side."""
    grid = rng.standard_normal((cells + 2, cells + 2)).astype(np.float32)
    return cv2.resize(grid, (size, size), interpolation=cv2.INTER_CUBIC)


def regions(rng: Generator, size: int, traits: Traits) -> np.ndarray:
    """Level sets of smooth noise."""
    field = smooth_noise(rng, size, 2 + int(traits[0] * 8))
    return field > np.quantile(field, 0.45 + 0.45 * traits[1])


def blobs(rng: Generator, size: int, traits: Traits) -> np.ndarray:
    """Closed shapes whose radius is a few harmonics of the angle: from discs to stars."""
    mask = np.zeros((size, size), np.uint8)
    angle = np.linspace(0, 2 * np.pi, 24, endpoint=False)
    harmonic = 2 + int(traits[2] * 5)
    for _ in range(1 + int(traits[0] * 9)):
        radius = size * (0.05 + 0.22 * traits[1] * (1 - 0.5 * traits[0])) * rng.uniform(0.7, 1.3)
        wave = 1 + 0.45 * traits[3] * np.sin(harmonic * angle + rng.uniform(0, 6.28))
        stretch = 1 + traits[4] * rng.uniform(0, 1)
        spin = rng.uniform(0, 6.28)
        x, y = radius * wave * np.cos(angle) * stretch, radius * wave * np.sin(angle)
        points = np.stack(
            (x * np.cos(spin) - y * np.sin(spin), x * np.sin(spin) + y * np.cos(spin)), 1
        )
        cv2.fillPoly(mask, [(points + rng.uniform(0, size, 2)).astype(np.int32)], 1)
    return mask > 0


def curves(rng: Generator, size: int, traits: Traits) -> np.ndarray:
    """Wandering curves of varying width that may branch."""
    mask = np.zeros((size, size), np.uint8)
    thickest = size * (0.015 + 0.07 * traits[0] ** 2)
    wander, branching = 0.05 + 0.4 * traits[1], 0.12 * traits[3]
    step = max(2.0, size / 24)
    heads = [
        (rng.uniform(0, size, 2), rng.uniform(0, 6.28), thickest * rng.uniform(0.6, 1.2))
        for _ in range(1 + int(traits[2] * 6))
    ]
    for _ in range(400):
        if not heads:
            break
        at, heading, width = heads.pop()
        heading += rng.normal(0, wander)
        to = at + step * np.array((np.cos(heading), np.sin(heading)))
        cv2.line(mask, at.astype(int).tolist(), to.astype(int).tolist(), 1, max(1, round(width)))
        width *= 1 - 0.06 * traits[4]
        if not (-step < to[0] < size + step and -step < to[1] < size + step) or width < 0.4:
            continue
        heads.append((to, heading, width))
        if rng.random() < branching and len(heads) < 12:
            heads.append((to, heading + rng.choice((-1, 1)) * rng.uniform(0.4, 1.2), width * 0.75))
    return mask > 0


def mosaic(rng: Generator, size: int, traits: Traits) -> np.ndarray:
    """Some tiles of a Voronoi mosaic, or the joints between all of them."""
    count = 6 + int(traits[0] * 40)
    seeds = np.ones((size, size), np.uint8)
    seeds[tuple(rng.integers(0, size, (2, count)))] = 0
    _, tile = cv2.distanceTransformWithLabels(seeds, cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL)
    if traits[1] < 0.5:
        return rng.random(tile.max() + 1)[tile] < 0.15 + 0.4 * traits[2]
    edges = (
        cv2.morphologyEx(tile.astype(np.float32), cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8)) > 0
    )
    width = 1 + int(traits[2] * size * 0.05)
    return cv2.dilate(edges.astype(np.uint8), np.ones((width, width), np.uint8)) > 0


def stripes(rng: Generator, size: int, traits: Traits) -> np.ndarray:
    """Bent stripes, or a lattice of two families of them."""
    y, x = np.mgrid[:size, :size].astype(np.float32) / size
    bend = smooth_noise(rng, size, 2) * 0.15 * traits[3]
    spin = rng.uniform(0, 3.14)
    cycles = 2 + traits[0] * 8
    duty = 0.3 + 0.65 * traits[1]

    def family(angle: float) -> np.ndarray:
        phase = cycles * (x * np.cos(angle) + y * np.sin(angle) + bend) + rng.random()
        return np.sin(2 * np.pi * phase) > np.cos(np.pi * (1 - duty))

    return family(spin) | family(spin + 1.57) if traits[2] > 0.7 else family(spin)


def boxes(rng: Generator, size: int, traits: Traits) -> np.ndarray:
    """Turned rectangles, filled."""
    mask = np.zeros((size, size), np.uint8)
    for _ in range(1 + int(traits[0] * 8)):
        sides = size * (0.06 + 0.4 * traits[1:3]) * rng.uniform(0.7, 1.3, 2) * (1 - 0.5 * traits[0])
        corners = cv2.boxPoints(
            (rng.uniform(0, size, 2).tolist(), sides.tolist(), rng.uniform(0, 180))
        )
        cv2.fillPoly(mask, [corners.astype(np.int32)], 1)
    return mask > 0


def letters(rng: Generator, size: int, traits: Traits) -> np.ndarray:
    """Letters and figures of one font."""
    mask = np.zeros((size, size), np.uint8)
    font = (cv2.FONT_HERSHEY_SIMPLEX, cv2.FONT_HERSHEY_TRIPLEX)[int(traits[1] > 0.5)]
    for _ in range(2 + int(traits[0] * 8)):
        text = chr(rng.integers(ord("A"), ord("Z") + 1))
        at = rng.integers(0, size, 2).tolist()
        cv2.putText(
            mask, text, at, font, size / 96 * (0.7 + 1.8 * traits[2]), 1, 1 + int(traits[3] * 3)
        )
    return mask > 0


def outlines(rng: Generator, size: int, traits: Traits) -> np.ndarray:
    """Contours of blobs or boxes."""
    filled = (blobs if traits[5] < 0.6 else boxes)(rng, size, traits).astype(np.uint8)
    width = 2 + int(traits[4] * size * 0.06)
    return cv2.morphologyEx(filled, cv2.MORPH_GRADIENT, np.ones((width, width), np.uint8)) > 0


FAMILIES: tuple[Shape, ...] = (
    regions,
    blobs,
    curves,
    curves,
    mosaic,
    stripes,
    boxes,
    letters,
    outlines,
)
TRAITS = 6
