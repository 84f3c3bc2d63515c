"""ADE20K: 150 classes, as the scene parsing challenge of 2016 distributes it."""

from pathlib import Path

import numpy as np

from prompttune.inference.segmenter import Segmenter
from prompttune.protocols.layout import (
    files_in,
    read_indices,
    read_lines,
    read_rgb,
    require,
    require_files,
    source,
)
from prompttune.protocols.protocol import Benchmark, Options, Protocol
from prompttune.protocols.semantic import Semantic, SemanticSet
from prompttune.utils.constants import IGNORE
from prompttune.utils.errors import InputError

CLASSES = 150
NAMES = "objectInfo150.txt"


def open_set(root: Path, segmenter: Segmenter, options: Options) -> Benchmark:
    """Open `DIR/{images,annotations}/{training,validation}` and `DIR/objectInfo150.txt`.

    Raises:
        InputError: anything is missing, or a list of other classes.
    """
    parts = [f"{kind}/{part}" for kind in ("images", "annotations") for part in PARTS]
    require(root, PROTOCOL, [*parts, NAMES])
    names = {part: _names(root, part) for part in PARTS}

    def load(name: str) -> tuple[np.ndarray, np.ndarray]:
        image = read_rgb(root / "images" / f"{name}.jpg")
        mask = root / "annotations" / f"{name}.png"
        indices = read_indices(mask, image.shape)
        if indices.max(initial=0) > CLASSES:
            raise InputError(
                f"{mask}: has value {indices.max()}, the challenge's are 0 to {CLASSES}; "
                f"{source(PROTOCOL)}"
            )
        return image, np.where(indices == 0, IGNORE, indices).astype(np.uint8)

    classes = read_names(root / NAMES)
    return Semantic(
        segmenter, SemanticSet(classes, names[PARTS[0]], names[PARTS[1]], load, False), options
    )


PARTS = ("training", "validation")


def _names(root: Path, part: str) -> list[str]:
    found = files_in(root / "images" / part, "*.jpg")
    found += files_in(root / "annotations" / part, "*.png")  # a mask without an image is said, too
    names = [f"{part}/{stem}" for stem in sorted({path.stem for path in found})]
    if not names:
        raise InputError(f"{root / 'images' / part}: has no images; {source(PROTOCOL)}")
    files = [(root / f"images/{name}.jpg", root / f"annotations/{name}.png") for name in names]
    require_files(root, PROTOCOL, [path for pair in files for path in pair])
    return names


def read_names(path: Path) -> tuple[str, ...]:
    """Read the names of the classes: the last column, the first of several words.

    Raises:
        InputError: not 150 lines of it.
    """
    _, *lines = read_lines(path) or [""]
    names = [line.split("\t")[-1].split(",")[0].strip() for line in lines]
    if len(names) != CLASSES:
        told = f"names {len(names)} classes, not {CLASSES}"
        raise InputError(f"{path}: {told}; {source(PROTOCOL)}")
    known: dict[str, int] = {}
    for place, name in enumerate(names):  # two are a "screen"
        known[name] = known.get(name, 0) + 1
        names[place] = name if known[name] == 1 else f"{name} {known[name]}"
    return tuple(names)


PROTOCOL = Protocol(
    name="ade20k",
    title="ADE20K",
    home="data.csail.mit.edu/places/ADEchallenge (ADEChallengeData2016)",
    terms="images for non-commercial research, annotations BSD-3-Clause",
    open=open_set,
    takes_key="may",
    how="each of 150 classes by its own examples, and the best score wins; or a tuned key; pixels "
    "of no class do not count",
)
