"""Generated images of four kinds of task: contours, text, stuff, and things that touch.

Each is nobody's data, has an exact mask, and is decided by a seed.
"""

import cv2
import numpy as np
from numpy.random import Generator

from prompttune.data.layouts import LoadedSample
from prompttune.synthetic.scenes import Task
from prompttune.synthetic.textures import Texture

SIDE = 192
"""Of an image, pixels."""
LETTERS = "ABCDEFGHKLMNPRSTUVXYZabcdefghkmnprstuvwxyz23456789"
FONTS = (
    cv2.FONT_HERSHEY_SIMPLEX, cv2.FONT_HERSHEY_DUPLEX, cv2.FONT_HERSHEY_COMPLEX,
    cv2.FONT_HERSHEY_TRIPLEX,
)  # fmt: skip
STUFF_SEED = 7
"""Of the looks that sky, grass and gravel have in all images."""
CELL, BORDER = 1, 2


def generate_contours(seed: int, size: int = SIDE) -> LoadedSample:
    """Generate things on a ground; class 1 is the line around each, three pixels wide.

    Args:
        seed: decides everything; equal seeds give equal samples.
        size: height and width in pixels.

    Returns:
        image `size x size x 3 uint8`, class map `size x size uint8` of 0 and 1.
    """
    rng = np.random.default_rng(seed)
    while True:
        scene = Task.draw(rng, hard=False, single_things=True).scene(rng, size)
        if 0.05 < (scene.things > 0).mean() < 0.8:
            break
    return _sample("contours", seed, scene.image, outlines(scene.things))


def outlines(things: np.ndarray, reach: int = 1) -> np.ndarray:
    """Return which pixels lie at most `reach` from a border of numbered things, `H x W uint8`."""
    square = np.ones((2 * reach + 1, 2 * reach + 1), np.uint8)
    return (cv2.dilate(things, square) != cv2.erode(things, square)).astype(np.uint8)


def generate_text(seed: int, size: int = SIDE) -> LoadedSample:
    """Generate lines of letters on a textured ground; class 1 is the ink.

    Arguments and result as of `generate_contours`.
    """
    rng = np.random.default_rng(seed)
    image = Texture.draw(rng).paint(rng, size)
    dark = image.mean() > 0.5
    mask = np.zeros((size, size), np.uint8)
    top = int(rng.integers(22, 40))
    while top < size - 8:
        word = "".join(rng.choice(list(LETTERS), int(rng.integers(4, 9))))
        font, height = FONTS[rng.integers(len(FONTS))], float(rng.uniform(0.7, 1.3))
        left, thick = int(rng.integers(2, size // 3)), int(rng.integers(2, 4))
        cv2.putText(mask, word, (left, top), font, height, 1, thick)
        top += int(rng.integers(36, 58))
    ink = rng.uniform(0, 0.25, 3) if dark else rng.uniform(0.75, 1, 3)
    opacity = cv2.GaussianBlur(mask.astype(np.float32), (3, 3), 0.6)[..., None]
    return _sample("text", seed, image + opacity * (ink.astype(np.float32) - image), mask)


def generate_stuff(seed: int, size: int = SIDE) -> LoadedSample:
    """Generate a ground of which bands are sky (1), grass (2) and gravel (3); the rest is bare.

    Arguments and result as of `generate_contours`, with three classes.
    """
    looks = np.random.default_rng(STUFF_SEED)
    textures = [Texture.draw(looks) for _ in range(4)]
    rng = np.random.default_rng(seed)
    order = rng.permutation(4)
    turned = rng.random() < 0.5
    edges = np.sort(rng.uniform(0.15, 0.85, 3)) * size
    class_map = np.zeros((size, size), np.uint8)
    image = np.zeros((size, size, 3), np.float32)
    row = np.arange(size)[:, None]
    above = np.zeros((size, size), bool)
    for place, index in enumerate(order):
        below = row < _wave(rng, size, edges[place]) if place < 3 else np.ones_like(above)
        here = below & ~above
        image[here] = textures[index].paint(rng, size)[here]
        class_map[here] = index
        above |= below
    if turned:
        image, class_map = image.transpose(1, 0, 2), class_map.T
    return _sample("stuff", seed, image, class_map)


def _wave(rng: Generator, size: int, height: float) -> np.ndarray:
    """Return a wavy line across an image as heights, `1 x size`."""
    across = np.arange(size)[None]
    wave, phase = rng.uniform(20, 60), rng.uniform(0, 6.28)
    return height + rng.uniform(2, 8) * np.sin(across / wave + phase)


def generate_instances(seed: int, size: int = SIDE) -> LoadedSample:
    """Generate crowds of cells that touch: class 1 is a cell's inside, 2 the border of each.

    The border's color tells cells apart that touch. Arguments and result as of
    `generate_contours`, with two classes.
    """
    rng = np.random.default_rng(seed)
    numbers = _crowd(rng, size)
    ground, body = Texture.draw(rng), rng.uniform(0.25, 0.9, 3)
    image = ground.paint(rng, size) * 0.25
    depth = np.zeros((size, size), np.float32)
    for number in range(1, int(numbers.max()) + 1):
        inside = cv2.distanceTransform((numbers == number).astype(np.uint8), cv2.DIST_L2, 5)
        depth = np.maximum(depth, inside / max(1.0, float(inside.max())))
    shade = (0.45 + 0.55 * np.sqrt(depth))[..., None] * body
    image = np.where((numbers > 0)[..., None], shade, image)
    image = image + rng.normal(0, 0.03, image.shape)
    return _sample("instances", seed, image, bordered(numbers))


def bordered(numbers: np.ndarray) -> np.ndarray:
    """Return of numbered cells, `H x W uint8`, which pixels are inside (1) and border (2)."""
    edge = outlines(numbers, reach=2).astype(bool) & (numbers > 0)
    return np.where(edge, BORDER, np.where(numbers > 0, CELL, 0)).astype(np.uint8)


def _crowd(rng: Generator, size: int) -> np.ndarray:
    """Draw ellipses of like size, some over others, numbered from 1."""
    numbers = np.zeros((size, size), np.uint8)
    radius = rng.uniform(13, 19)
    for number in range(1, 1 + int(rng.integers(14, 26))):
        center = rng.uniform(0, size, 2).astype(int).tolist()
        axes = [int(radius * rng.uniform(0.8, 1.2)) for _ in range(2)]
        ellipse = np.zeros_like(numbers)
        cv2.ellipse(ellipse, center, axes, float(rng.uniform(0, 180)), 0, 360, 1, -1)
        whole = int(ellipse.sum())
        free = (ellipse > 0) & (numbers == 0)
        if free.sum() > 0.75 * whole:
            numbers[free] = number
    return numbers


def _sample(kind: str, seed: int, image: np.ndarray, class_map: np.ndarray) -> LoadedSample:
    pixels = np.rint(255 * image.clip(0, 1)).astype(np.uint8)
    arrays = np.ascontiguousarray(pixels), np.ascontiguousarray(class_map.astype(np.uint8))
    return LoadedSample(f"generated-{kind}-{seed}", *arrays)
