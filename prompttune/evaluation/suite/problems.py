"""Six kinds of images that no shipped backbone was trained on: what a backbone is scored on.

A set is a folder of images and masks with a recipe, or of videos. It falls into problems, one class
of it each: an example shows the class, everything else is background. So sets of many classes are
scored one class against the rest.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, overload

import numpy as np

from prompttune.data.layouts import LoadedSample
from prompttune.data.reading import read_image, read_mask
from prompttune.tasks.data import task_data
from prompttune.tasks.recipe import load_recipe
from prompttune.utils.constants import IGNORE
from prompttune.utils.errors import InputError

MIN_IMAGES = 3
"""A class of several is scored if at least so many images to be scored show it."""
MIN_SHOWN = 1e-3
"""Share of the pixels that an example must show: a part of ten pixels tells nobody anything."""
VIDEO_SCALE = None
"""Frames are seen whole: objects are larger than a window."""


@dataclass(frozen=True)
class ImageSet:
    """One folder of the suite."""

    folder: str
    task: str | None
    """Name of its recipe, which says classes and scale; None for videos."""
    scale: float | Literal["recipe", "whole"] = "recipe"
    """Instead of the recipe's, where what is best to tune at is not so for one example."""


SETS = {
    one.folder: one
    for one in (
        # One example on 3 validation images, two choices of it, at .35, .5, .7, 1 and 1.4:
        # .54 .65 .70 .71 .72 (with twice the windows)
        ImageSet("retina-drive", "retina", scale=1.0),
        # .51 .53 .44 .36 .31
        ImageSet("aerial-roads", "aerial", scale=0.5),
        # .66 .70 .70 .70 .63
        ImageSet("em-membranes", "membranes", scale=0.5),
        # .55 .55 .58 .52 .50
        ImageSet("road-cracks", "cracks", scale=0.7),
        ImageSet("car-parts", "car-parts", scale="whole"),  # the recipe's, but for larger images
        ImageSet("video-davis", None),
    )
}


@dataclass(frozen=True)
class Part:
    """Which images of a set are taken, and how they are seen."""

    split: Literal["test", "val"] = "test"
    """`val` scores the validation images, to choose a scale; they then choose thresholds too."""
    scale: float | Literal["recipe", "whole"] = "recipe"
    """Canvas pixels an image pixel, or `whole`: fitted to the canvas."""
    limit: int | None = None
    """Score at most so many images a class, evenly spread."""
    validation: int = 4
    """At most so many images choose a threshold."""


@dataclass(frozen=True)
class Problem:
    """One class to be found; class map value 1 of every sample is that class."""

    name: str
    metric: Literal["dice", "iou"]
    scale: float | None
    train: Sequence[LoadedSample]
    """Examples are drawn from these; each shows the class."""
    validation: Sequence[LoadedSample]
    """They choose thresholds; never one that is scored."""
    test: Sequence[LoadedSample]
    video: bool = False
    """The only example is the first frame."""


class OneClass(Sequence[LoadedSample]):
    """A selection of samples with one class as class 1 and all others as background.

    Samples are taken from `samples` when they are asked for.
    """

    def __init__(self, samples: Sequence[LoadedSample], places: Sequence[int], number: int) -> None:
        self.samples, self.places, self.number = samples, tuple(places), number

    def __len__(self) -> int:
        return len(self.places)

    @overload
    def __getitem__(self, index: int) -> LoadedSample: ...
    @overload
    def __getitem__(self, index: slice) -> "OneClass": ...
    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return OneClass(self.samples, self.places[index], self.number)
        sample = self.samples[self.places[index]]
        ignored = sample.class_map == IGNORE
        class_map = np.where(ignored, IGNORE, sample.class_map == self.number).astype(np.uint8)
        return replace(sample, class_map=class_map)


def present_sets(root: Path, names: Sequence[str] | None) -> list[str]:
    """Return the sets to score: those named, or all that lie in `root`.

    Raises:
        InputError: no such folder, a name that is no set's, a set that is not there.
    """
    if not root.is_dir():
        raise InputError(f"{root}: no such folder; --data names the folder of the sets")
    for name in names or ():
        if name not in SETS:
            raise InputError(f"unknown set '{name}'; the sets are {', '.join(SETS)}")
        if not (root / name).is_dir():
            raise InputError(f"{root}: holds no folder '{name}'; leave it out of --sets")
    found = list(names or (name for name in SETS if (root / name).is_dir()))
    if not found:
        raise InputError(f"{root}: holds none of the sets, which are {', '.join(SETS)}")
    return found


def read_problems(root: Path, name: str, part: Part) -> list[Problem]:
    """Read a set; what is scored and what chooses thresholds is in memory, examples are not.

    Raises:
        InputError: files that cannot be read, or a set without images of a kind that is needed.
    """
    task = SETS[name].task
    if task is None:
        return _videos(root / name, part)
    recipe = load_recipe(task)
    data = task_data(recipe, root / name)
    test = list(data.test if part.split == "test" else data.val)
    validation = test if part.split == "val" else list(data.val)
    if not test:
        raise InputError(f"{root / name}: no images with masks in its test part")
    wanted = SETS[name].scale if part.scale == "recipe" else part.scale
    scale = recipe.scale if wanted == "recipe" else wanted
    count = len(recipe.classes)
    shares = {id(each): _shares(each, count) for each in (data.train, validation, test)}
    problems = []
    for number, label in enumerate(recipe.classes, 1):
        places = [_shown(shares[id(each)], number, count > 1) for each in (validation, test)]
        drawable = _shown(shares[id(data.train)], number, True, MIN_SHOWN)
        if not drawable or (count > 1 and len(places[1]) < MIN_IMAGES):
            continue
        problems.append(
            Problem(
                name=label,
                metric="dice",
                scale=None if scale == "whole" else scale,
                train=OneClass(data.train, drawable, number),
                validation=OneClass(validation, _spread(places[0], _chooses(part)), number),
                test=OneClass(test, _spread(places[1], part.limit), number),
            )
        )
    if not problems:
        raise InputError(f"{root / name}: no class is shown in training and test images alike")
    return problems


def _chooses(part: Part) -> int:
    """Return how many images choose a threshold: in a quick look no more than are scored."""
    return min(part.validation, part.limit or part.validation)


def _shares(samples: Sequence[LoadedSample], count: int) -> np.ndarray:
    """Return the share of each sample's pixels that each class has, `N x (1 + count)`."""
    maps = (sample.class_map for sample in samples)
    return np.array([np.bincount(m.ravel(), minlength=256)[: count + 1] / m.size for m in maps])


def _shown(shares: np.ndarray, number: int, needed: bool, least: float = 0) -> list[int]:
    """Return the places of the samples that show a class, or of all where that is not `needed`."""
    if not needed:
        return list(range(len(shares)))
    shown = shares[:, number] >= least if least else shares[:, number] > 0
    return np.flatnonzero(shown).tolist()


def _spread(places: Sequence[int], limit: int | None) -> list[int]:
    """Take at most `limit` of the places, evenly spread and the first among them."""
    if limit is None or len(places) <= limit:
        return list(places)
    return [places[index * len(places) // limit] for index in range(limit)]


def _videos(folder: Path, part: Part) -> list[Problem]:
    """Read each sequence: the first frame is the example, the others are scored but for the last.

    So DAVIS counts frames (Perazzi et al., CVPR 2016). No frame may choose a threshold except the
    first, whose mask is given: it is mirrored, so that finding the object again is some work.
    """
    if part.split == "val":
        raise InputError(f"{folder}: videos have no validation part; leave the set out")
    problems = []
    for sequence in sorted(path for path in (folder / "images").iterdir() if path.is_dir()):
        images = sorted(sequence.glob("*.jpg"))
        scored = _spread(range(1, len(images) - 1), part.limit)
        frames = [_frame(folder, images[index]) for index in (0, *scored)]
        mirrored = replace(
            frames[0],
            name=f"{frames[0].name} mirrored",
            image=np.ascontiguousarray(frames[0].image[:, ::-1]),
            class_map=np.ascontiguousarray(frames[0].class_map[:, ::-1]),
        )
        scale = part.scale if isinstance(part.scale, float) else VIDEO_SCALE
        problems.append(
            Problem(
                sequence.name, "iou", scale, frames[:1], [mirrored], frames[1:], video=True
            )
        )  # fmt: skip
    if not problems:
        raise InputError(f"{folder}: holds no sequences; they are folders in images/ and masks/")
    return problems


def _frame(folder: Path, image: Path) -> LoadedSample:
    mask = folder / "masks" / image.parent.name / f"{image.stem}.png"
    pixels, class_map = read_image(image), read_mask(mask, classes=1)
    if pixels.shape[:2] != class_map.shape:
        raise InputError(f"{mask}: is not of the size of {image.name}")
    return LoadedSample(image.stem, pixels, class_map)
