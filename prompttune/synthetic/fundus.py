"""Generated fundus photographs: nobody's data, an exact vessel mask, decided by a seed."""

import math

import cv2
import numpy as np

from prompttune.data.layouts import LoadedSample
from prompttune.synthetic.vessels import Anatomy, Vessel, grow_vessels

_OVERSAMPLING = 4
_TUBE = ((1.0, 0.55), (0.75, 0.85), (0.45, 1.0))  # parts of the width, depth of the blood there
_SHIFT = 4  # OpenCV draws at sixteenths of a pixel
# How much thicker blood darkens red, green and blue, a unit of radius; measured on photographs.
_ABSORPTION = {False: np.array([14.0, 38.0, 24.0]), True: np.array([7.0, 27.0, 15.0])}


def generate_fundus(seed: int, size: int = 384) -> LoadedSample:
    """Generate one fundus image, its vessels (class 1) and its circular field of view.

    Args:
        seed: decides everything; equal seeds give equal samples.
        size: height and width in pixels.

    Returns:
        image `size x size x 3 uint8`, class map `size x size uint8` of 0 and 1, field of view
        `size x size bool`.
    """
    rng = np.random.default_rng(seed)
    anatomy = Anatomy.draw(rng)
    vessels = grow_vessels(rng, anatomy)
    radius = rng.uniform(0.46, 0.485) * size
    y, x = ((np.mgrid[:size, :size] - (size - 1) / 2) / radius).astype(np.float32)
    field_of_view = x**2 + y**2 <= 1

    fundus = _background(rng, x, y) * _texture(rng, size)
    fundus = _with_macula(rng, fundus, x, y, anatomy)
    fundus = _with_disc(rng, fundus, x, y, anatomy)
    mask, thickness = _draw(vessels, size, radius)
    strength = rng.uniform(0.85, 1.15)
    for artery, blood in thickness.items():
        fundus *= np.exp(-strength * blood[:, :, None] * _ABSORPTION[artery].astype(np.float32))
    image = _photograph(rng, fundus, x, y)
    class_map = (mask & field_of_view).astype(np.uint8)
    if rng.random() < 0.5:  # the other eye
        image, class_map, field_of_view = image[:, ::-1], class_map[:, ::-1], field_of_view[:, ::-1]
    arrays = (np.ascontiguousarray(each) for each in (image, class_map, field_of_view))
    return LoadedSample(f"generated-{seed}", *arrays)


def _draw(
    vessels: list[Vessel], size: int, radius: float
) -> tuple[np.ndarray, dict[bool, np.ndarray]]:
    """Draw the mask (`bool`) and, of veins (False) and arteries (True), blood's thickness."""
    fine = size * _OVERSAMPLING
    lines = np.zeros((size, size), np.uint8)
    areas = np.zeros((fine, fine), np.uint8)
    blood = {artery: np.zeros((fine, fine), np.float32) for artery in (False, True)}
    strokes = []
    for vessel in vessels:
        points = np.array(vessel.points) * radius + (size - 1) / 2
        coarse = np.rint(points * 2**_SHIFT).astype(int)
        oversampled = (points + 0.5) * _OVERSAMPLING - 0.5
        corners = np.rint(oversampled * 2**_SHIFT).astype(int).tolist()
        cv2.polylines(lines, [coarse], False, 1, shift=_SHIFT)  # the thinnest stay connected
        for r, begin, finish in zip(vessel.radii[1:], corners[:-1], corners[1:], strict=True):
            width = 2 * r * radius * _OVERSAMPLING - 1  # OpenCV draws a pixel too wide
            cv2.line(areas, begin, finish, 255, max(1, round(width)), shift=_SHIFT)
            for part, depth in _TUBE:
                stroke = (depth * r, max(1, round(part * width)), vessel.artery, begin, finish)
                strokes.append(stroke)
    for depth, thickness, artery, begin, finish in sorted(strokes):  # the deepest last: on top
        cv2.line(blood[artery], begin, finish, depth, thickness, shift=_SHIFT)
    mask = (lines > 0) | (_shrink(areas, size) > 127)
    return mask, {artery: _shrink(each, size) for artery, each in blood.items()}


def _shrink(canvas: np.ndarray, size: int) -> np.ndarray:
    return cv2.resize(canvas, (size, size), interpolation=cv2.INTER_AREA)


def _background(rng: np.random.Generator, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return the color of the lit retina, `H x W x 3` in [0, 1]: uneven and darker outwards."""
    red = rng.uniform(0.55, 0.95)
    color = red * np.array([1.0, rng.uniform(0.44, 0.6), rng.uniform(0.22, 0.38)])
    angle, slope = rng.uniform(0, math.tau), rng.uniform(0.0, 0.22)
    light = 1.06 + slope * (x * math.cos(angle) + y * math.sin(angle))
    light = light - rng.uniform(0.1, 0.3) * (x**2 + y**2)
    light = light + 0.06 * _noise(rng, x.shape[0], 3)
    off_axis = np.hypot(x - 0.1 * math.cos(angle), y - 0.1 * math.sin(angle))
    rim = np.clip((off_axis - 0.8) / 0.3, 0, 1)
    tint = np.array([-0.1, 0.1, 0.05]) * rng.uniform(0, 2)
    return (light[:, :, None] * (1 + rim[:, :, None] * tint) * color).astype(np.float32)


def _texture(rng: np.random.Generator, size: int) -> np.ndarray:
    """Return the choroid's mottling, `H x W x 3` around 1."""
    octaves = ((6, 1.0), (14, 0.8), (35, 0.6), (90, 0.5))
    cells = sum(weight * _noise(rng, size, n) for n, weight in octaves)
    streaks = 1 - 2 * np.abs(_noise(rng, size, 9)).clip(0, 1)  # choroidal vessels shine through
    pattern = 0.028 * cells + rng.uniform(0, 0.05) * streaks
    return (1 + pattern[:, :, None] * np.array([0.7, 1.0, 1.3])).astype(np.float32)


def _with_macula(
    rng: np.random.Generator, fundus: np.ndarray, x: np.ndarray, y: np.ndarray, anatomy: Anatomy
) -> np.ndarray:
    squared = (x - anatomy.fovea[0]) ** 2 + (y - anatomy.fovea[1]) ** 2
    shade = rng.uniform(0.15, 0.35) * np.exp(-squared / (2 * 0.15**2))
    shade += rng.uniform(0.05, 0.15) * np.exp(-squared / (2 * 0.05**2))
    return fundus * (1 - shade[:, :, None] * np.array([0.6, 1.0, 0.9], np.float32))


def _with_disc(
    rng: np.random.Generator, fundus: np.ndarray, x: np.ndarray, y: np.ndarray, anatomy: Anatomy
) -> np.ndarray:
    """Paint the optic disc with its brighter cup, and the pale ring around it."""
    dx, dy = x - anatomy.disc[0], y - anatomy.disc[1]
    distance = np.hypot(dx * rng.uniform(1.0, 1.15), dy) / anatomy.disc_radius
    cup = np.hypot(dx + rng.uniform(0.1, 0.3) * anatomy.disc_radius, dy) / anatomy.disc_radius
    fundus = fundus * (1 + 0.12 * np.exp(-((np.maximum(distance - 0.8, 0) / 0.5) ** 2)))[:, :, None]
    color = np.array([1.0, rng.uniform(0.78, 0.92), rng.uniform(0.42, 0.65)])
    color *= rng.uniform(0.85, 1)
    pale = _sigmoid((1 - distance) / 0.05) * rng.uniform(0.6, 0.85)
    bright = _sigmoid((rng.uniform(0.4, 0.6) - cup) / 0.1) * rng.uniform(0.1, 0.25)
    fundus = fundus + pale[:, :, None] * (color - fundus)
    return (fundus * (1 + bright[:, :, None])).astype(np.float32)


def _photograph(
    rng: np.random.Generator, fundus: np.ndarray, x: np.ndarray, y: np.ndarray
) -> np.ndarray:
    """Blur, cut the field of view out of the dark, add the sensor's noise, quantize."""
    size = x.shape[0]
    fundus = cv2.GaussianBlur(fundus, (0, 0), rng.uniform(0.3, 0.55) * size / 384)
    edge = _sigmoid((1 - np.hypot(x, y)) * size / 2)
    fundus = 0.01 + edge[:, :, None] * fundus
    grain = rng.normal(0, 1, (size, size, 3)).astype(np.float32)
    grain = grain + 1.2 * cv2.GaussianBlur(grain, (0, 0), 1.0)
    fundus += rng.uniform(0.004, 0.01) * grain * (0.3 + 0.7 * edge[:, :, None])
    return (fundus.clip(0, 1) * 255).round().astype(np.uint8)


def _noise(rng: np.random.Generator, size: int, cells: int) -> np.ndarray:
    """Return smooth noise, `size x size`, about N(0, 1), with `cells` bumps along a side."""
    coarse = rng.normal(0, 1, (cells, cells)).astype(np.float32)
    return cv2.resize(coarse, (size, size), interpolation=cv2.INTER_CUBIC)


def _sigmoid(values: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-values.clip(-30, 30)))
