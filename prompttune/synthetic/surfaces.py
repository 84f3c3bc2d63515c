"""Generated surfaces: level sets, tilings, waves (see `shapes.py` for what a family is)."""

from functools import lru_cache

import cv2
import numpy as np
from numpy.random import Generator

from prompttune.synthetic.shapes import MAX_THINGS, Traits


def smooth_noise(rng: Generator, size: int, cells: int) -> np.ndarray:
    """Return `size x size float32` noise of about unit variance, `cells` random values a side."""
    grid = rng.standard_normal((cells + 2, cells + 2), dtype=np.float32)
    return np.asarray(cv2.resize(grid, (size, size), interpolation=cv2.INTER_CUBIC))


@lru_cache(maxsize=16)
def plane(size: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the columns and rows of all pixels, `size x size float32` in [0, 1); not to change."""
    y, x = np.mgrid[:size, :size].astype(np.float32) / size
    return x, y


def above(field: np.ndarray, level: float) -> np.ndarray:
    """Return where a field is more than `level` standard deviations above its mean, as uint8."""
    mean, deviation = cv2.meanStdDev(field)
    threshold = float(mean[0, 0] + level * deviation[0, 0])
    return (field > threshold).astype(np.uint8)


def remapped(values: np.ndarray, x: np.ndarray, y: np.ndarray, how: int) -> np.ndarray:
    """Return `values` at columns `x` and rows `y`, `H x W float32`, mirrored at the edges."""
    return np.asarray(cv2.remap(values, x, y, how, borderMode=cv2.BORDER_REFLECT))


def regions(rng: Generator, size: int, traits: Traits) -> np.ndarray:
    """Level sets of smooth noise."""
    return above(smooth_noise(rng, size, 2 + int(traits[0] * 8)), 1.4 * traits[1])


def marble(rng: Generator, size: int, traits: Traits) -> np.ndarray:
    """Level sets of noise that is drawn out and bent by other noise."""
    x, y = plane(size)
    field = smooth_noise(rng, size, 3 + int(traits[0] * 8))
    strength = np.float32(size * (0.05 + 0.25 * traits[1]))
    stretch = np.float32(size * (0.3 + 0.7 * traits[3]))
    bend = strength * smooth_noise(rng, size, 2)
    moved = remapped(field, x * size + bend, y * stretch + bend.T, cv2.INTER_LINEAR)
    return above(moved, 1.2 * traits[2])


def bands(rng: Generator, size: int, traits: Traits) -> np.ndarray:
    """What lies beyond an uneven edge, or between two of them."""
    x, y = plane(size)
    angle = rng.uniform(0, 6.28) if traits[0] > 0.5 else np.pi / 2
    edge = smooth_noise(rng, size, 1 + int(traits[2] * 6)) * np.float32(0.03 + 0.2 * traits[1])
    height = np.float32(np.cos(angle)) * (x - 0.5) + np.float32(np.sin(angle)) * (y - 0.5) + edge
    if traits[3] > 0.5:
        return (np.abs(height - rng.uniform(-0.25, 0.25)) < 0.05 + 0.2 * traits[4]).astype(np.uint8)
    return (height > rng.uniform(-0.3, 0.3)).astype(np.uint8)


def stripes(rng: Generator, size: int, traits: Traits) -> np.ndarray:
    """Bent stripes, or a lattice of two families of them."""
    x, y = plane(size)
    bend = smooth_noise(rng, size, 2) * np.float32(0.15 * traits[3])
    spin = rng.uniform(0, 3.14)
    cycles = np.float32(6.283 * (2 + traits[0] * 8))
    least = np.cos(np.pi * (0.7 - 0.65 * traits[1]))

    def family(angle: float) -> np.ndarray:
        across = x * np.float32(np.cos(angle)) + y * np.float32(np.sin(angle)) + bend
        return np.sin(cycles * across + np.float32(rng.uniform(0, 6.28))) > least

    lines = family(spin) | family(spin + 1.57) if traits[2] > 0.7 else family(spin)
    return lines.astype(np.uint8)


def waves(rng: Generator, size: int, traits: Traits) -> np.ndarray:
    """Circles or spirals around a point."""
    x, y = plane(size)
    at = rng.uniform(0, 1, 2).astype(np.float32)
    radius = np.asarray(cv2.magnitude(x - at[0], y - at[1]))
    phase = np.float32(8 + 40 * traits[0]) * radius + np.float32(rng.uniform(0, 6.28))
    if traits[1] > 0.5:
        arms = 1 + int(traits[2] * 4)
        phase = phase + arms * np.asarray(cv2.phase(x - at[0], y - at[1]))
    return (np.sin(phase) > 0.8 * traits[3]).astype(np.uint8)


def mosaic(rng: Generator, size: int, traits: Traits) -> np.ndarray:
    """Some tiles of a Voronoi mosaic, or the joints between all of them."""
    count = 6 + int(traits[0] * 40)
    seeds = np.ones((size, size), np.uint8)
    seeds[tuple(rng.integers(0, size, (2, count)))] = 0
    _, tile = cv2.distanceTransformWithLabels(seeds, cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL)
    return _tiles_or_joints(rng, np.asarray(tile), traits)


def tiling(rng: Generator, size: int, traits: Traits) -> np.ndarray:
    """Bricks, lozenges, hexagons or triangles: some tiles, or the joints between all of them."""
    x, y = plane(size)
    spin = rng.uniform(0, 3.14) if traits[3] > 0.5 else 0.0
    count = 3 + traits[0] * 7
    across, down = (count * np.float32(f(spin)) for f in (np.cos, np.sin))
    u = (x * across - y * down + np.float32(rng.random() + 20)).astype(np.float32)
    v = (x * down + y * across + np.float32(rng.random() + 20)).astype(np.float32)
    kind = int(traits[4] * 4)
    if kind == 0:  # bricks: every second row moved by half
        row = np.floor(v * (1 + int(traits[5] * 3)))
        tile = row * 64 + np.floor(u + 0.5 * (row % 2))
    elif kind == 1:  # lozenges, each the crossing of two slanted strips
        slant = np.float32(0.3 + traits[5])
        tile = np.floor(u + v * slant) * 64 + np.floor(u - v * slant)
    elif kind == 2:  # hexagons: the nearer of the centers of two shifted lattices
        tile = _hexagons(u, v)
    else:  # triangles: half squares
        tile = np.floor(u) * 128 + np.floor(v) * 2 + (u % 1 > v % 1)
    numbers = (tile - tile.min()).astype(np.int32)
    return _tiles_or_joints(rng, numbers, traits)


def _hexagons(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    v = v / np.float32(np.sqrt(3))
    centers = []
    for shift in (np.float32(0), np.float32(0.5)):
        column, row = np.round(u - shift) + shift, np.round(v - shift) + shift
        centers.append(((u - column) ** 2 + 3 * (v - row) ** 2, 128 * row + 2 * column))
    (far, first), (near, second) = centers
    return np.where(far < near, first, second)


def _tiles_or_joints(rng: Generator, tile: np.ndarray, traits: Traits) -> np.ndarray:
    if traits[1] < 0.5:
        chosen = rng.random(int(tile.max()) + 1) < 0.15 + 0.4 * traits[2]
        numbers = np.arange(len(chosen)) % MAX_THINGS + 1
        return np.where(chosen, numbers, 0).astype(np.uint8)[tile]
    edges = cv2.morphologyEx(tile.astype(np.float32), cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8))
    width = 1 + int(traits[2] * len(tile) * 0.05)
    joints = (np.asarray(edges) > 0).astype(np.uint8)
    return np.asarray(cv2.dilate(joints, np.ones((width, width), np.uint8)), np.uint8)
