"""COCO-20i: COCO 2014, 4 folds of 20 classes, by HSNet's lists."""

from pathlib import Path, PurePosixPath

from prompttune.inference.segmenter import Segmenter
from prompttune.protocols.episodes import Draw, Episode, Episodes, EpisodeSet, Loaded
from prompttune.protocols.layout import (
    read_indices,
    read_plain_pickle,
    read_rgb,
    require,
    require_files,
    shortened,
)
from prompttune.protocols.protocol import Benchmark, Options, Protocol
from prompttune.utils.errors import InputError
from prompttune.utils.malformed import understood

EPISODES = 1000
CLASSES, FOLDS = 80, 4


def open_set(root: Path, segmenter: Segmenter, options: Options) -> Benchmark:
    """Open a fold of `DIR/{val2014,annotations/val2014,splits/val/fold<N>.pkl}`.

    Raises:
        InputError: anything is missing, or a list is not HSNet's.
    """
    return Episodes(segmenter, episodes(root, options), options)


def episodes(root: Path, options: Options, count: int = EPISODES) -> EpisodeSet:
    """Draw the episodes of a fold: a class, a query, its examples."""
    listed = f"splits/val/fold{options.fold}.pkl"
    require(root, PROTOCOL, ["annotations", listed])
    by_class = read_fold(root / listed)
    classes = [options.fold + FOLDS * number for number in range(CLASSES // FOLDS)]
    empty = [label + 1 for label in classes if not by_class.get(label)]
    if empty:
        raise InputError(
            f"{root / listed}: has no images of classes {empty}; is it another fold's list?"
        )
    draw, drawn = Draw(options.seed), []
    for number in range(count):
        label = draw.one(classes)
        own = by_class[label]
        query = draw.one(own)
        others = draw.others(own, query, options.shots, f"{root / listed}: class {label + 1}")
        name = f"{number:04}-{PurePosixPath(query).stem}-{label + 1}"
        drawn.append(Episode(name, label, query, tuple(others)))
    names = {name for each in drawn for name in (each.query, *each.examples)}
    with understood(root / listed, "images of the set"):
        files = [path for name in names for path in _files(root, name)]
        require_files(root, PROTOCOL, files)
    return EpisodeSet(drawn, classes, lambda name, label: load(root, name, label))


def read_fold(path: Path) -> dict[int, list[str]]:
    """Read which images show each class, classes from 0.

    Raises:
        InputError: not such a list, or names that leave the set's folder.
    """
    found = read_plain_pickle(path)
    shaped = isinstance(found, dict) and all(
        isinstance(label, int) and isinstance(names, list) for label, names in found.items()
    )
    if not shaped:
        raise InputError(f"{path}: is no list of images by class; copy HSNet's again")
    for names in found.values():
        for name in names:
            if not isinstance(name, str) or ".." in name or name.startswith("/"):
                raise InputError(
                    f"{path}: '{shortened(name)}' is no image of the set; copy HSNet's list again"
                )
    return found


def _files(root: Path, name: str) -> tuple[Path, Path]:
    return root / name, (root / "annotations" / name).with_suffix(".png")


def load(root: Path, name: str, label: int) -> Loaded:
    """Read an image and one class of it."""
    path, mask = _files(root, name)
    image = read_rgb(path)
    return Loaded(image, read_indices(mask, image.shape) == label + 1)


PROTOCOL = Protocol(
    name="coco-20i",
    title="COCO-20i",
    home="cocodataset.org (2014 images), the masks annotations/{train2014,val2014} and splits/ "
    "that github.com/juhongm999/hsnet and github.com/aim-uofa/Matcher name",
    terms="annotations CC BY 4.0, photos under flickr's terms",
    open=open_set,
    folds=FOLDS,
    how="HSNet's lists and drawing, 1,000 episodes a fold; images are fitted whole to the canvas, "
    "masks scored at the images' own sizes",
)
