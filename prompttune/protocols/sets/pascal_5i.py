"""PASCAL-5i: VOC 2012 with SBD's masks, 4 folds of 5 classes, by HSNet's lists."""

from pathlib import Path

from prompttune.inference.segmenter import Segmenter
from prompttune.protocols.episodes import Draw, Episode, Episodes, EpisodeSet, Loaded
from prompttune.protocols.layout import (
    read_indices,
    read_lines,
    read_rgb,
    require,
    require_files,
    shortened,
)
from prompttune.protocols.protocol import Benchmark, Options, Protocol
from prompttune.utils.constants import IGNORE
from prompttune.utils.errors import InputError

EPISODES = 1000
CLASSES, FOLDS = 20, 4


def open_set(root: Path, segmenter: Segmenter, options: Options) -> Benchmark:
    """Open a fold of `DIR/{JPEGImages,SegmentationClassAug,splits/val/fold<N>.txt}`.

    Raises:
        InputError: anything is missing, or a list is not HSNet's.
    """
    return Episodes(segmenter, episodes(root, options), options)


def episodes(root: Path, options: Options, count: int = EPISODES) -> EpisodeSet:
    """Draw the episodes of a fold: queries in the order of the list, again from its start."""
    listed = f"splits/val/fold{options.fold}.txt"
    require(root, PROTOCOL, ["JPEGImages", "SegmentationClassAug", listed])
    each = CLASSES // FOLDS
    classes = range(options.fold * each, (options.fold + 1) * each)
    images = read_list(root / listed, classes)
    by_class: dict[int, list[str]] = {}
    for name, label in images:
        by_class.setdefault(label, []).append(name)
    draw, drawn = Draw(options.seed), []
    for number in range(count):
        query, label = images[number % len(images)]
        own = by_class[label]
        others = draw.others(own, query, options.shots, f"{root / listed}: class {label + 1}")
        drawn.append(Episode(f"{number:04}-{query}-{label + 1}", label, query, tuple(others)))
    names = {name for each in drawn for name in (each.query, *each.examples)}
    files = [root / "JPEGImages" / f"{name}.jpg" for name in names]
    files += [root / "SegmentationClassAug" / f"{name}.png" for name in names]
    require_files(root, PROTOCOL, files)
    return EpisodeSet(drawn, classes, lambda name, label: load(root, name, label))


def read_list(path: Path, classes: range) -> list[tuple[str, int]]:
    """Read lines `<image>__<class>`, classes from 1, as images and classes from 0.

    Args:
        path: of the list.
        classes: of the fold, from 0.

    Raises:
        InputError: a line that is none or of another fold, or a list without any.
    """
    found = []
    for number, line in enumerate(read_lines(path), 1):
        name, bar, label = line.partition("__")
        if not bar or not label.isdecimal() or len(label) > 3:
            raise InputError(
                f"{path}: line {number} is '{shortened(line)}', not <image>__<class>; get the list "
                "again"
            )
        if int(label) - 1 not in classes:
            raise InputError(
                f"{path}: line {number} is of class {int(label)}, the fold has {classes.start + 1} "
                f"to {classes.stop}; is it another fold's list?"
            )
        found.append((name, int(label) - 1))
    if not found:
        raise InputError(f"{path}: is empty; get the list of the fold again")
    return found


def load(root: Path, name: str, label: int) -> Loaded:
    """Read an image and one class of it; 255 is ignored."""
    image = read_rgb(root / "JPEGImages" / f"{name}.jpg")
    indices = read_indices(root / "SegmentationClassAug" / f"{name}.png", image.shape)
    return Loaded(image, indices == label + 1, indices == IGNORE)


PROTOCOL = Protocol(
    name="pascal-5i",
    title="PASCAL-5i",
    home="host.robots.ox.ac.uk/pascal/VOC/voc2012, SegmentationClassAug (SBD's masks) and, as "
    "splits/, data/splits/pascal of github.com/juhongm999/hsnet",
    terms="flickr photos, for research",
    open=open_set,
    folds=FOLDS,
    how="HSNet's lists and drawing, 1,000 episodes a fold; images are fitted whole to the canvas, "
    "masks scored at the images' own sizes; ignored pixels do not count",
)
