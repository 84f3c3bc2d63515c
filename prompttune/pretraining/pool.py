"""Labelled images for pre-training: folders of `images/` and index `masks/`, held in memory."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np

from prompttune.errors import InputError

IGNORE = 255
SHORT_SIDES = (224, 112)
"""Images are kept at both sizes: crops that shrink much are cut from the smaller, unaliased."""
ANCHORS = 64
"""Pixels of a class that are remembered, for crops to be placed around."""


@dataclass(frozen=True)
class SetConfig:
    """How one folder of images and index masks is used."""

    name: str
    """The folder's name under the pool."""
    weight: float = 1.0
    """Share of the samples that come from it, relative to the other sets."""
    background: int | None = 0
    """The mask value that is no class; None if every value is one."""
    ignore: tuple[int, ...] = ()
    """Mask values that are neither trained on nor shown."""
    video: bool = False
    """Names are `<sequence>_<frame>`: only frames of one sequence share a context."""


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
        order = np.random.default_rng(0).permutation(flat.size)
        anchors = {}
        for value in np.unique(flat).tolist():
            places = order[flat[order] == value][:ANCHORS]
            anchors[value] = np.stack(
                (places % class_map.shape[1], places // class_map.shape[1]), 1
            )
        return cls(class_map, anchors)


@dataclass(frozen=True)
class Labelled:
    """One image at `SHORT_SIDES` (`H x W x 3 uint8` each) with its labels at the first."""

    images: tuple[np.ndarray, ...]
    classes: Labels
    segments: Labels
    """Labels without meaning, from colour and place: contexts for images without labels."""


@dataclass(frozen=True)
class ImageSet:
    """All images of one set and, for every context (a class, a video's object), who shows it."""

    config: SetConfig
    images: tuple[Labelled, ...]
    contexts: tuple[tuple[int, tuple[int, ...]], ...] = field(repr=False)
    """Pairs of a class value and the indices of the images that show it."""


def read_pool(folder: Path, sets: Sequence[SetConfig]) -> tuple[ImageSet, ...]:
    """Read all sets below `folder`.

    Raises:
        InputError: A set, or the mask of an image, is missing or unreadable.
    """
    return tuple(_read_set(folder / config.name, config) for config in sets)


def _read_set(folder: Path, config: SetConfig) -> ImageSet:
    paths = sorted((folder / "images").glob("*"))
    if not paths:
        raise InputError(
            f"{folder}: no images/ there; name a folder of sets with images/ and masks/ each"
        )
    images, shows = [], defaultdict(list)
    for index, path in enumerate(paths):
        labelled = _read_pair(path, folder / "masks" / f"{path.stem}.png", config)
        images.append(labelled)
        group = path.stem.rpartition("_")[0] if config.video else ""
        values, counts = np.unique(labelled.classes.class_map, return_counts=True)
        for value, count in zip(values.tolist(), counts.tolist(), strict=True):
            if value not in (0, IGNORE) and count >= 0.002 * counts.sum():
                shows[group, value].append(index)
    contexts = tuple(
        (value, tuple(who)) for (_, value), who in sorted(shows.items()) if len(who) > 1
    )
    return ImageSet(config, tuple(images), contexts)


def _read_pair(image_path: Path, mask_path: Path, config: SetConfig) -> Labelled:
    image = cv2.imread(str(image_path), cv2.IMREAD_COLOR_RGB)
    values = cv2.imread(str(mask_path), cv2.IMREAD_UNCHANGED)
    if image is None or values is None:
        path = image_path if image is None else mask_path
        raise InputError(f"{path}: missing or not a readable image")
    if values.ndim != 2 or values.shape != image.shape[:2]:
        raise InputError(
            f"{mask_path}: must be an index mask of the size of its image {image_path.name}"
        )
    images = tuple(_shrink(image, side, cv2.INTER_AREA) for side in SHORT_SIDES)
    values = _shrink(values, SHORT_SIDES[0], cv2.INTER_NEAREST)
    return Labelled(images, Labels.of(_class_map(values, config)), Labels.of(_segments(images[0])))


def _shrink(image: np.ndarray, short_side: int, interpolation: int) -> np.ndarray:
    height, width = image.shape[:2]
    ratio = short_side / min(height, width)
    if ratio >= 1:
        return image
    return cv2.resize(
        image, (round(width * ratio), round(height * ratio)), interpolation=interpolation
    )


def _class_map(values: np.ndarray, config: SetConfig) -> np.ndarray:
    """Turn mask values into classes: 0 background, v else (v + 1 where 0 is a class)."""
    shift = 1 if config.background is None else 0
    classes = np.where(values < IGNORE - 1, values + shift, IGNORE).astype(np.uint8)
    if config.background:
        classes[values == config.background] = 0
    classes[np.isin(values, config.ignore)] = IGNORE
    return classes


def _segments(image: np.ndarray, count: int = 8) -> np.ndarray:
    """Cluster the pixels by colour and, weakly, by place; labels 1..count."""
    small = cv2.resize(image, (56, 56), interpolation=cv2.INTER_AREA)
    lab = cv2.cvtColor(small, cv2.COLOR_RGB2LAB).astype(np.float32)
    y, x = np.mgrid[:56, :56].astype(np.float32)
    points = np.concatenate((lab, x[..., None], y[..., None]), -1).reshape(-1, 5)
    stop = (cv2.TERM_CRITERIA_MAX_ITER, 8, 1.0)
    cv2.setRNGSeed(0)
    start = np.zeros((len(points), 1), np.int32)  # ignored: k-means++ chooses the centres
    _, labels, _ = cv2.kmeans(points, count, start, stop, 1, cv2.KMEANS_PP_CENTERS)
    segments = np.asarray(labels).reshape(56, 56).astype(np.uint8) + 1
    return cv2.resize(segments, image.shape[1::-1], interpolation=cv2.INTER_NEAREST)
