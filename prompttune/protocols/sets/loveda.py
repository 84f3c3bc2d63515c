"""LoveDA: land cover of towns and country, 7 classes."""

from pathlib import Path

import numpy as np

from prompttune.inference.segmenter import Segmenter
from prompttune.protocols.layout import (
    files_in,
    read_indices,
    read_rgb,
    require,
    require_files,
    source,
)
from prompttune.protocols.protocol import Benchmark, Options, Protocol
from prompttune.protocols.semantic import Semantic, SemanticSet
from prompttune.utils.constants import IGNORE
from prompttune.utils.errors import InputError

CLASSES = ("background", "building", "road", "water", "barren", "forest", "agriculture")
PARTS, SCENES = ("Train", "Val"), ("Rural", "Urban")


def open_set(root: Path, segmenter: Segmenter, options: Options) -> Benchmark:
    """Open `DIR/{Train,Val}/{Rural,Urban}/{images_png,masks_png}`.

    Raises:
        InputError: anything is missing, or a mask of other values.
    """
    folders = [f"{part}/{scene}" for part in PARTS for scene in SCENES]
    require(root, PROTOCOL, [f"{folder}/{kind}" for folder in folders for kind in _KINDS])
    names: dict[str, list[str]] = {part: [] for part in PARTS}
    for folder in folders:
        every = {path.stem for kind in _KINDS for path in files_in(root / folder / kind, "*.png")}
        if not every:
            raise InputError(f"{root / folder}: has no images; {source(PROTOCOL)}")
        names[folder.split("/")[0]] += [f"{folder}/{stem}" for stem in sorted(every)]
    files = [_path(root, n, kind) for each in names.values() for n in each for kind in _KINDS]
    require_files(root, PROTOCOL, files)

    def load(name: str) -> tuple[np.ndarray, np.ndarray]:
        image = read_rgb(_path(root, name, "images_png"))
        mask = _path(root, name, "masks_png")
        indices = read_indices(mask, image.shape)
        if indices.max(initial=0) > len(CLASSES):
            told = f"has value {indices.max()}, LoveDA's are 0 to {len(CLASSES)}"
            raise InputError(f"{mask}: {told}; {source(PROTOCOL)}")
        return image, np.where(indices == 0, IGNORE, indices).astype(np.uint8)

    return Semantic(
        segmenter, SemanticSet(CLASSES, names[PARTS[0]], names[PARTS[1]], load, False), options
    )


_KINDS = ("images_png", "masks_png")


def _path(root: Path, name: str, kind: str) -> Path:
    folder, _, stem = name.rpartition("/")
    return root / folder / kind / f"{stem}.png"


PROTOCOL = Protocol(
    name="loveda",
    title="LoveDA",
    home="zenodo.org/records/5706578",
    terms="CC BY-NC-SA 4.0",
    open=open_set,
    takes_key="may",
    how="each of 7 classes by its own examples, and the best score wins; or a tuned key; pixels "
    "without data do not count",
)
