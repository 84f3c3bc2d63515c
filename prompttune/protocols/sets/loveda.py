"""LoveDA: land cover of towns and country, 7 classes."""

from pathlib import Path

import numpy as np

from prompttune.inference.segmenter import Segmenter
from prompttune.protocols.layout import read_indices, read_rgb, require, require_files
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
        for path in sorted((root / folder / "images_png").glob("*.png")):
            names[folder.split("/")[0]].append(f"{folder}/{path.stem}")
    require_files(root, PROTOCOL, [_path(root, n, "masks_png") for x in names.values() for n in x])

    def load(name: str) -> tuple[np.ndarray, np.ndarray]:
        image = read_rgb(_path(root, name, "images_png"))
        mask = _path(root, name, "masks_png")
        indices = read_indices(mask, image.shape)
        if indices.max(initial=0) > len(CLASSES):
            raise InputError(f"{mask}: has value {indices.max()}; LoveDA's are 0 to {len(CLASSES)}")
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
