"""YOLO's segmentation files: one text an image, a line a thing, corners as shares of the image."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np

from prompttune.data.annotations.outlines import Outline, Polygons
from prompttune.data.annotations.things import Annotation, Thing
from prompttune.data.decoding import header
from prompttune.utils.errors import InputError
from prompttune.utils.malformed import MALFORMED, load_yaml
from prompttune.utils.paths import real

NAMES = ("data.yaml", "dataset.yaml", "data.yml", "classes.txt")
"""Files that list the classes' names, beside the labels or above them."""


def yolo_annotations(images: Path, labels: Path, suffixes: frozenset[str]) -> list[Annotation]:
    """Read the text files of a folder; an image without one shows nothing, as YOLO has it.

    Args:
        images: folder of images.
        labels: folder of text files with the same names and folders.
        suffixes: of image files, in lower case.

    Raises:
        InputError: a file of other lines, or a number that has no name.
    """
    names = _names(labels)
    found = []
    for image in sorted(images.rglob("*")):
        if image.suffix.lower() not in suffixes or image.name.startswith("."):
            continue
        file = labels / image.relative_to(images).with_suffix(".txt")
        found.append(_annotation(image, file, names))
    return found


def has_yolo(labels: Path) -> bool:
    """Say whether a folder holds YOLO's text files."""
    return labels.is_dir() and any(
        path.suffix == ".txt" and path.name not in NAMES for path in labels.iterdir()
    )


def lies_beside(folder: Path, suffixes: frozenset[str]) -> bool:
    """Say whether text files of shapes lie in one folder with their images.

    Args:
        folder: of both.
        suffixes: of image files, in lower case.
    """
    own = {path.stem for path in folder.iterdir() if path.suffix.lower() in suffixes}
    texts = [path for path in folder.glob("*.txt") if path.stem in own and path.is_file()]
    return bool(texts) and any(map(_holds_shapes, texts))


def _holds_shapes(file: Path) -> bool:
    """Say whether the first line is a number and at least four shares, as of a box."""
    try:
        words = file.read_text(encoding="utf-8-sig").split("\n", 1)[0].split()
        return len(words) > 4 and all(0 <= float(word) <= 1.1 for word in words[1:])
    except (OSError, ValueError):
        return False


def _annotation(image: Path, file: Path, names: Sequence[str] | None) -> Annotation:
    size, _, _ = header(image)
    if not file.is_file():
        return Annotation(image, image, size, ())
    things = []
    for number, line in enumerate(file.read_text(encoding="utf-8-sig").splitlines(), 1):
        if not line.strip():
            continue
        place = f"{file}: line {number}"
        try:
            kind, *shares = (float(word) for word in line.split())
            if kind < 0 or kind != int(kind):
                raise ValueError
            name = str(int(kind)) if names is None else names[int(kind)]
        except (IndexError, OverflowError, ValueError):
            raise InputError(
                f"{place}: '{line[:40]}' is no class number with corners, or one without a name in "
                f"{NAMES[0]}"
            ) from None
        outline = partial(_outline, shares, size)
        things.append(Thing(name, place, outline, box=_box(shares, size)))
    return Annotation(image, file, size, tuple(things))


def _outline(shares: Sequence[float], size: tuple[int, int]) -> Outline:
    if len(shares) == 4:
        raise ValueError("is a box alone; export polygons (YOLO segmentation)")
    if len(shares) % 2:
        raise ValueError("has an odd number of coordinates")
    return Polygons.of([(np.array(shares).reshape(-1, 2) * size).ravel().tolist()])


def _box(shares: Sequence[float], size: tuple[int, int]) -> Outline | None:
    if len(shares) != 4:
        return None
    x, y, width, height = np.array(shares) * (*size, *size)
    left, top, right, bottom = x - width / 2, y - height / 2, x + width / 2, y + height / 2
    return Polygons.of([[left, top, right, top, right, bottom, left, bottom]])


def _names(labels: Path) -> list[str] | None:
    """Return the classes' names from the nearest file that lists them; None without one."""
    for folder in (labels, *list(real(labels).parents)[:3]):
        for file in (folder / name for name in NAMES):
            if not file.is_file():
                continue
            text = file.read_text(encoding="utf-8-sig")
            if file.suffix == ".txt":
                return text.splitlines()
            try:
                names = load_yaml(text, file)["names"]
                keys = sorted(names) if isinstance(names, dict) else range(len(names))
                return [str(names[key]) for key in keys]
            except MALFORMED:
                raise InputError(f"{file}: names no classes under 'names'") from None
    return None
