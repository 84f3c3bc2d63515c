"""Labeled images for pre-training, held in memory: see `reading.py` for what can be read."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import cv2
import numpy as np

from prompttune.pretraining.pseudo_labels import color_clusters
from prompttune.pretraining.sources.packed import open_files
from prompttune.pretraining.sources.reading import Record, SetConfig, read_set
from prompttune.utils.constants import IGNORE

__all__ = ["IGNORE", "ImageSet", "Labeled", "Labels", "SetConfig", "read_pool"]

SHORT_SIDES = (224, 112)
"""Images are kept at both sizes: crops that shrink much are cut from the smaller, unaliased."""
ANCHORS = 64
"""Pixels of a class that are remembered, for crops to be placed around."""


@dataclass(frozen=True)
class Labels:
    """A class map, `H x W uint8` (0 background, 255 ignored), and where its classes are."""

    class_map: np.ndarray
    anchors: dict[int, np.ndarray]
    """For each class some of its pixels, `n x 2` (column, row)."""

    @classmethod
    def of(cls, class_map: np.ndarray) -> "Labels":
        """Find the classes of a map."""
        flat = class_map.reshape(-1)
        order = np.argsort(flat, kind="stable")
        counts = np.bincount(flat, minlength=256)
        rng = np.random.default_rng(0)
        anchors = {}
        for value, end in enumerate(np.cumsum(counts).tolist()):
            if counts[value]:
                places = order[rng.integers(end - counts[value], end, ANCHORS)]
                anchors[value] = np.stack(
                    (places % class_map.shape[1], places // class_map.shape[1]), 1
                )
        return cls(class_map, anchors)


@dataclass(frozen=True)
class Labeled:
    """One image at `SHORT_SIDES` (`H x W x 3 uint8` each) with its labels at the first."""

    images: tuple[np.ndarray, ...]
    classes: Labels
    instances: Labels | None = None
    """Objects numbered one by one, where a set knows them."""

    @cached_property
    def segments(self) -> Labels:
        """Labels without meaning, from color and place: contexts for images without labels."""
        return Labels.of(color_clusters(self.images[0]))


@dataclass(frozen=True)
class ImageSet:
    """All images of one set and, for every context (a class, a video's object), who shows it."""

    config: SetConfig
    images: tuple[Labeled, ...]
    contexts: tuple[tuple[int, tuple[int, ...]], ...] = field(repr=False)
    """Pairs of a class value and the indices of the images that show it."""

    @property
    def weight(self) -> float:
        """Its share of the samples, relative to other sets."""
        given = self.config.weight
        return len(self.images) ** 0.5 if given is None else given

    @cached_property
    def with_instances(self) -> tuple[int, ...]:
        """Indices of the images with at least two labeled objects."""
        numbered = ((i, one.instances) for i, one in enumerate(self.images))
        return tuple(i for i, one in numbered if one and len({*one.anchors} - {0, IGNORE}) > 1)


def read_pool(path: Path, sets: Sequence[SetConfig]) -> tuple[ImageSet, ...]:
    """Read sets below a folder or from a packed pool.

    Raises:
        InputError: A set, or the mask of an image, is missing or unreadable.
    """
    files = open_files(path)
    return tuple(_image_set(config, read_set(files, config)) for config in sets)


def _image_set(config: SetConfig, records: Iterable[Record]) -> ImageSet:
    images, shows = [], defaultdict(list)
    for index, record in enumerate(records):
        labeled = _labeled(record)
        images.append(labeled)
        group = _sequence(record.name) if config.video else ""
        counts = np.bincount(labeled.classes.class_map.reshape(-1), minlength=256)
        counts[[0, IGNORE]] = 0
        for value in np.flatnonzero(counts >= 0.002 * labeled.classes.class_map.size).tolist():
            shows[group, value].append(index)
    contexts = tuple(
        (value, tuple(who)) for (_, value), who in sorted(shows.items()) if len(who) > 1
    )
    return ImageSet(config, tuple(images), contexts)


def _sequence(name: str) -> str:
    """Return a frame's sequence: its folder, or its name up to the last underscore."""
    folder, _, frame = name.rpartition("/")
    return folder or frame.rpartition(".")[0].rpartition("_")[0]


def _labeled(record: Record) -> Labeled:
    images = tuple(shrink(record.image, side, cv2.INTER_AREA) for side in SHORT_SIDES)
    classes, instances = (
        None if one is None else shrink(one, SHORT_SIDES[0], cv2.INTER_NEAREST_EXACT)
        for one in (record.classes, record.instances)
    )
    if classes is None:
        classes = np.zeros(images[0].shape[:2], np.uint8)
    return Labeled(images, Labels.of(classes), None if instances is None else Labels.of(instances))


def shrink(image: np.ndarray, short_side: int, interpolation: int) -> np.ndarray:
    """Return an image whose short side is at most `short_side`."""
    height, width = image.shape[:2]
    ratio = short_side / min(height, width)
    if ratio >= 1:
        return image
    size = (round(width * ratio), round(height * ratio))
    return np.asarray(cv2.resize(image, size, interpolation=interpolation))
