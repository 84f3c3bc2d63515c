"""Find the annotations of a folder: one COCO file, or a labelme file for each image."""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from prompttune.data.annotations_coco import coco_annotations
from prompttune.data.annotations_labelme import labelme_annotation
from prompttune.data.annotations_things import Annotation
from prompttune.errors import InputError

COCO = "annotations.json"


@dataclass(frozen=True)
class Annotated:
    """The annotations of a folder's images, and in words how they were found."""

    annotations: tuple[Annotation, ...]
    kind: str


def find_annotated(folder: Path, suffixes: frozenset[str]) -> Annotated | None:
    """Read the JSON files of a folder with images in it or in its `images/`; None without any.

    - COCO: `annotations.json`, or the only JSON file, beside `images/` or the images.
    - labelme: a JSON file for each image, beside it or beside `images/`.

    Images that no file names are left out: nobody has said that they show nothing.

    Args:
        folder: of one part of the data.
        suffixes: of image files, in lower case.

    Raises:
        InputError: a file that is no JSON or holds neither, an image that is missing, several JSON
            files that are not labelme's.
    """
    inside = folder / "images" if (folder / "images").is_dir() else folder
    files = _json_files(folder) or _json_files(inside)
    if not files:
        return None
    if (folder / COCO) in files:
        files = [folder / COCO]
    contents = ((file, _read(file)) for file in files)
    images = _Images(inside, suffixes)
    first_file, first = next(contents)
    if isinstance(first, dict) and "shapes" in first:
        kind = "labelme annotations"
        found = [labelme_annotation(first_file, first, images.find)]
        found += [labelme_annotation(file, content, images.find) for file, content in contents]
    elif len(files) == 1:
        kind, found = "COCO annotations", coco_annotations(first_file, first, images.find)
    else:
        raise InputError(
            f"{folder}: holds {len(files)} JSON files that are not labelme's; call the one of "
            f"COCO {COCO}"
        )
    if not found:
        raise InputError(f"{files[0]}: names no images")
    left_out = len(images.paths) - len(found)
    return Annotated(tuple(found), f"{kind}, {left_out} images without" if left_out else kind)


class _Images:
    """The images below a folder."""

    def __init__(self, folder: Path, suffixes: frozenset[str]) -> None:
        self.folder = folder
        self.suffixes = suffixes
        self.paths = [
            path
            for path in sorted(folder.rglob("*"))
            if path.suffix.lower() in suffixes and not path.name.startswith(".")
        ]
        self.stems = {path.stem: path for path in self.paths}

    def find(self, name: str) -> Path | None:
        """Find an image by its name or path as another machine wrote it, or by its stem alone."""
        parts = [part for part in re.split(r"[/\\]", name) if part not in ("", ".", "..")]
        for start in range(len(parts)):
            path = self.folder.joinpath(*parts[start:])
            if path.suffix.lower() in self.suffixes and path.is_file():
                return path
        return self.stems.get(name)


def _json_files(folder: Path) -> list[Path]:
    return sorted(
        path
        for path in folder.iterdir()
        if path.suffix.lower() == ".json" and not path.name.startswith(".")
    )


def _read(file: Path) -> Any:
    try:
        return json.loads(file.read_bytes())
    except (ValueError, RecursionError) as error:
        raise InputError(f"{file}: is no JSON ({error})") from None
