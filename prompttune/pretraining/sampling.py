"""Contexts of training samples: what prompt and query have in common (SegGPT, section 3.1)."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator

from prompttune.pretraining.pseudo_labels import watershed
from prompttune.pretraining.sources.pool import IGNORE, ImageSet, Labeled
from prompttune.pretraining.transforms import SHRINK, Warp
from prompttune.synthetic.scenes import Task

View = tuple[np.ndarray, np.ndarray]
"""S x S x 3 float32 in [0, 1], S x S uint8."""
SEMANTIC, INSTANCE = 0, 1


@dataclass(frozen=True)
class Context:
    """Something to be seen in many views."""

    seg_type: int
    """`SEMANTIC`, or `INSTANCE`: values are single things of one image."""
    view: Callable[[Generator, int, int], View]
    """`(rng, half, size)` gives a view for the prompt (half 0) or for the query (1)."""


def generated_context(rng: Generator, hard: bool) -> Context:
    """Scenes of one generated task."""
    task = Task.draw(rng, hard)

    def view(rng: Generator, half: int, size: int) -> View:
        scene = task.scene(rng, size)
        return scene.image, scene.classes

    return Context(SEMANTIC, view)


def generated_image(rng: Generator, hard: bool, canvas: int, instances: bool) -> Context:
    """Views of one generated scene: its classes, or its single things."""
    scene = Task.draw(rng, hard, single_things=instances).scene(rng, round(1.4 * canvas))
    labels = scene.things if instances else scene.classes
    seg_type = INSTANCE if instances else SEMANTIC
    return _one_image(seg_type, (scene.image,), labels, _pixels_of_one(rng, labels), closest=0.6)


def class_context(rng: Generator, images: ImageSet, same_image: bool) -> Context:
    """Images that show one class, or one object of a video; or views of one of them."""
    value, shown_by = images.contexts[rng.integers(len(images.contexts))]
    order = rng.permutation(shown_by)
    if same_image:
        chosen = images.images[order[0]]
        labels = chosen.classes
        return _one_image(SEMANTIC, chosen.images, labels.class_map, labels.anchors[value])

    def view(rng: Generator, half: int, size: int) -> View:
        mine = order[half::2]
        shown = images.images[mine[rng.integers(len(mine))]]
        labels = shown.classes
        return crop(rng, shown.images, labels.class_map, labels.anchors[value], size)

    return Context(SEMANTIC, view)


def segment_context(rng: Generator, image: Labeled, instances: bool) -> Context:
    """Views of one image whose labels are not needed: color clusters, or connected regions."""
    if instances:
        regions = watershed(rng, image.images[-1])
        return _one_image(INSTANCE, image.images, regions, _pixels_of_one(rng, regions))
    values = list(image.segments.anchors)
    anchors = image.segments.anchors[values[rng.integers(len(values))]]
    return _one_image(SEMANTIC, image.images, image.segments.class_map, anchors)


def instance_context(rng: Generator, image: Labeled) -> Context:
    """Views of one image whose objects are labeled one by one."""
    assert image.instances is not None
    values = [value for value in image.instances.anchors if value not in (0, IGNORE)]
    anchors = image.instances.anchors[values[rng.integers(len(values))]]
    return _one_image(INSTANCE, image.images, image.instances.class_map, anchors)


def crop(
    rng: Generator,
    images: tuple[np.ndarray, ...],
    class_map: np.ndarray,
    anchors: np.ndarray,
    size: int,
    closest: float = 0.35,
) -> View:
    """Cut a view around one of the anchors (pixels of the class map, `n x 2`, column and row)."""
    short_side = min(class_map.shape)
    warp = Warp.draw(rng, class_map.shape, anchors[rng.integers(len(anchors))], size, closest)
    image = images[0]
    if warp.zoom * short_side < SHRINK * min(image.shape[:2]):
        image = images[-1]
    pixels = warp.image(image, class_map.shape)
    if pixels.dtype == np.uint8:
        pixels = pixels.astype(np.float32) / 255
    return pixels, warp.labels(class_map)


def _one_image(
    seg_type: int,
    images: tuple[np.ndarray, ...],
    class_map: np.ndarray,
    anchors: np.ndarray,
    closest: float = 0.35,
) -> Context:
    # All views lie around pixels of one thing, so that they overlap.
    def view(rng: Generator, half: int, size: int) -> View:
        return crop(rng, images, class_map, anchors, size, closest)

    return Context(seg_type, view)


def _pixels_of_one(rng: Generator, class_map: np.ndarray) -> np.ndarray:
    """Return the pixels, `n x 2`, that have the value of a random one that is not 0."""
    flat = class_map.reshape(-1)
    there = np.flatnonzero(flat)
    if len(there):
        there = np.flatnonzero(flat == flat[there[rng.integers(len(there))]])
    else:
        there = np.arange(len(flat))
    width = class_map.shape[1]
    return np.stack((there % width, there // width), 1)
