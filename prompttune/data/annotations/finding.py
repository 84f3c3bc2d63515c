"""Find the annotations of a folder: one file for all images, or one for each."""

import json
import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from prompttune.data.annotations.aperio import aperio_annotation, is_aperio
from prompttune.data.annotations.coco import category_ids, coco_annotations
from prompttune.data.annotations.cvat import XML, cvat_annotations
from prompttune.data.annotations.geojson import geojson_annotation, is_geojson
from prompttune.data.annotations.labelme import labelme_annotation
from prompttune.data.annotations.labelstudio import is_label_studio, label_studio_annotations
from prompttune.data.annotations.run_lengths import run_length_annotations
from prompttune.data.annotations.supervisely import (
    is_supervisely,
    supervisely_annotation,
    supervisely_files,
)
from prompttune.data.annotations.things import Annotation
from prompttune.data.annotations.via import is_via, via_annotations
from prompttune.data.annotations.yolo import has_yolo, lies_beside, yolo_annotations
from prompttune.utils.errors import InputError
from prompttune.utils.image_files import is_hidden
from prompttune.utils.malformed import understood

COCO = "annotations.json"
ANNOTATION_FOLDERS = (
    "annotations", "labels", "json", "jsons", "geojson", "ann", "anns", "annos", "labelme",
)  # fmt: skip
"""That may lie beside the images, in any case."""


@dataclass(frozen=True)
class Annotated:
    """The annotations of a folder's images, and in words how they were found."""

    annotations: tuple[Annotation, ...]
    kind: str
    category_ids: dict[str, int] = field(default_factory=dict)
    """COCO's own numbers, by name."""
    classes: tuple[str, ...] | None = None
    """Other names than those asked for, in the order of their numbers."""
    folder: Path | None = None
    """That holds the images."""
    notes: tuple[str, ...] = ()
    """What was understood otherwise than one may think."""


def find_annotated(
    folder: Path, suffixes: frozenset[str], crowds: str = "auto"
) -> Annotated | None:
    """Read the annotation files beside images, beside `images/` or in a folder for them; None
    without any.

    - Aperio ImageScope: an XML file for each image.
    - COCO: `annotations.json`, or the only JSON file.
    - Label Studio: the only JSON file, a list of tasks.
    - CVAT: `annotations.xml`.
    - labelme: a JSON file for each image.
    - QuPath: a GeoJSON file for each image, in pixels, or in map coordinates of a GeoTIFF.
    - Supervisely: `img/` with `ann/NAME.jpg.json`, in the folder or in those of its data sets.
    - VIA: the only JSON file, a project or regions.
    - YOLO: a text file for each image in `labels/` beside `images/`, or beside the image; images
      without one show nothing.

    Other images that no file names are left out: nobody has said that they show nothing.

    Args:
        folder: of one part of the data.
        suffixes: of image files, in lower case.
        crowds: see `coco_annotations`.

    Raises:
        InputError: a file that is no JSON or holds neither, an image that is missing, several JSON
            files that are not labelme's.
    """
    inside = folder / "images" if (folder / "images").is_dir() else folder
    if has_yolo(folder / "labels"):
        return read_yolo(inside, folder / "labels", suffixes)
    if (folder / XML).is_file():
        with understood(folder / XML, "CVAT annotations"):
            found = cvat_annotations(folder / XML, _Images(inside, suffixes).find)
        return Annotated(tuple(found), "CVAT annotations", folder=inside)
    if files := _aperio_files(folder, inside):
        return _aperio(inside, files, suffixes)
    files = supervisely_files(folder)
    if files:
        return _annotated(folder, folder, files, suffixes, crowds)
    files = _json_files(folder) or _json_files(inside) or _json_beside(folder)
    if not files:
        return read_yolo(inside, inside, suffixes) if lies_beside(inside, suffixes) else None
    if (folder / COCO) in files:
        files = [folder / COCO]
    return _annotated(folder, inside, files, suffixes, crowds)


def _aperio_files(folder: Path, inside: Path) -> list[Path]:
    """Return ImageScope's files among the images, or in a folder for annotations beside them."""
    places = (folder, inside, *_annotation_folders(folder))
    listed = (sorted(place.glob("*.[xX][mM][lL]")) for place in places)
    files = next((found for found in listed if found), [])
    return files if files and is_aperio(files[0]) else []


def _aperio(inside: Path, files: list[Path], suffixes: frozenset[str]) -> Annotated:
    images = _Images(inside, suffixes)
    found, notes = _of_each(files, lambda file: aperio_annotation(file, images.find))
    kind = images.said("ImageScope annotations", found)
    return Annotated(tuple(found), kind, folder=inside, notes=notes)


def read_yolo(images: Path, labels: Path, suffixes: frozenset[str]) -> Annotated:
    """Read YOLO's text files for a folder of images.

    Raises:
        InputError: as `yolo_annotations`, or no images.
    """
    with understood(labels, "YOLO annotations"):
        found = yolo_annotations(images, labels, suffixes)
    if not found:
        raise InputError(f"{images}: holds no images for the text files in {labels}")
    return Annotated(tuple(found), "YOLO annotations", folder=images)


def find_coco_parts(
    folder: Path, suffixes: frozenset[str], crowds: str = "auto"
) -> dict[str, list[Annotated]]:
    """Read `annotations/instances_<part>.json`, as COCO itself and CVAT's "COCO 1.0" lay them.

    A part's images lie in `images/<part>/`, `<part>/` or `images/`.

    Returns:
        The annotations by `train`, `val`, `test`, or `all` for parts of other names; empty where
        there is no such file.

    Raises:
        InputError: as `find_annotated`.
    """
    place = folder / "annotations"
    files = _json_files(place) if place.is_dir() else []
    named = [file for file in files if file.stem.startswith("instances_")]
    if not named and len(files) == 1:
        named = files
    parts: dict[str, list[Annotated]] = {}
    for file in named:
        tag = file.stem.removeprefix("instances_")
        kind = next((part for part in ("train", "val", "test") if tag.startswith(part)), "all")
        places = (folder / "images" / tag, folder / tag, folder / "images", folder)
        inside = next(each for each in places if each.is_dir())
        parts.setdefault(kind, []).append(_annotated(place, inside, [file], suffixes, crowds))
    return parts


def read_run_lengths(file: Path, name: str, suffixes: frozenset[str]) -> Annotated:
    """Read a table of run lengths of the images below its folder.

    Args:
        file: a table (`has_run_lengths`).
        name: of the things, where no column has their class.
        suffixes: of image files, in lower case.

    Raises:
        InputError: a table that cannot be understood, or that names none of the images.
    """
    images = _Images(file.parent, suffixes)
    with understood(file, "table of run lengths"):
        found, notes = run_length_annotations(file, name, images.find)
    if not found:
        raise InputError(f"{file}: names none of the images below {file.parent}")
    kind = images.said(f"run lengths of {file.name}", found)
    return Annotated(tuple(found), kind, folder=file.parent, notes=notes)


def _annotated(
    folder: Path, inside: Path, files: list[Path], suffixes: frozenset[str], crowds: str
) -> Annotated:
    which = files[0] if len(files) == 1 else folder
    with understood(which, "annotations that can be understood"):
        return _of_json(folder, inside, files, suffixes, crowds)


def _of_json(
    folder: Path, inside: Path, files: list[Path], suffixes: frozenset[str], crowds: str
) -> Annotated:
    images = _Images(inside, suffixes)
    first_file, first = _first(files)
    ids: dict[str, int] = {}
    notes: tuple[str, ...] = ()
    if is_geojson(first):
        kind = "GeoJSON annotations"
        found, notes = _of_each(files, lambda f: geojson_annotation(f, _read(f), images.find))
    elif len(files) == 1 and is_label_studio(first):
        kind, found = "Label Studio annotations", label_studio_annotations(
            first_file, first, images.find
        )  # fmt: skip
    elif isinstance(first, dict) and "shapes" in first:
        kind = "labelme annotations"
        found, notes = _of_each(files, lambda f: labelme_annotation(f, _read(f), images.find))
    elif is_supervisely(first):
        kind = "Supervisely annotations"
        found, notes = _of_each(files, lambda f: supervisely_annotation(f, _read(f), images.find))
    elif len(files) == 1 and is_via(first):
        kind, found = "VIA annotations", via_annotations(first_file, first, images.find)
    elif len(files) == 1:
        kind, found = "COCO annotations", coco_annotations(first_file, first, images.find, crowds)
        ids, notes = category_ids(first), _about_crowds(first_file, first, found)
        if missing := len(first["images"]) - len(found):
            notes += (
                f"left out: images that {first_file} names but that are not there: {missing}",
            )
    else:
        raise InputError(
            f"{folder}: holds {len(files)} JSON files that are not labelme's; call the one of "
            f"COCO {COCO}"
        )
    if not found:
        raise InputError(f"{files[0]}: names no images")
    kind = images.said(kind, found)
    return Annotated(tuple(found), kind, ids, folder=inside, notes=notes)


def _first(files: list[Path]) -> tuple[Path, Any]:
    """Return the first file that can be read, and its content."""
    for file in files[:-1]:
        try:
            return file, _read(file)
        except InputError:  # told where the others are read
            continue
    return files[-1], _read(files[-1])


def _of_each(
    files: list[Path], read: Callable[[Path], Annotation]
) -> tuple[list[Annotation], tuple[str, ...]]:
    """Read a file an image; those that are no good are left out and named, if they are the fewer.

    Raises:
        InputError: that of the first, where they are not.
    """
    found, bad = [], []
    for file in files:
        try:
            with understood(file, "annotations that can be understood"):
                found.append(read(file))
        except InputError as error:
            bad.append(error)
    if bad and len(bad) >= len(found):
        raise bad[0]
    more = f" (and {len(bad) - 1} more)" if len(bad) > 1 else ""
    return found, (f"left out: {bad[0]}{more}",) if bad else ()


def _about_crowds(file: Path, content: Any, found: list[Annotation]) -> tuple[str, ...]:
    marked = sum(bool(one.get("iscrowd", 0)) for one in content["annotations"])
    ignored = sum(thing.crowd for each in found for thing in each.things)
    notes = []
    if ignored:
        notes.append(
            f"{file}: {ignored} annotations are marked as crowds and not learned from; "
            "--crowds objects takes them as things"
        )
    if marked > ignored:
        notes.append(
            f"{file}: {marked - ignored} annotations that are marked as crowds (as CVAT marks "
            "brush masks) are taken as things; --crowds ignore leaves them out"
        )
    return tuple(notes)


class _Images:
    """The images below a folder."""

    def __init__(self, folder: Path, suffixes: frozenset[str]) -> None:
        self.folder = folder
        self.suffixes = suffixes
        self.paths = [
            path
            for path in sorted(folder.rglob("*"))
            if path.suffix.lower() in suffixes and not any(map(is_hidden, _below(path, folder)))
        ]
        self.stems = {_composed(path.stem): path for path in self.paths}
        self.names: dict[str, Path | None] = {}
        for path in self.paths:  # of two files of one name neither is meant
            name = _composed(path.name)
            self.names[name] = None if name in self.names else path

    def said(self, kind: str, found: list[Annotation]) -> str:
        """Say what was found, and how many images have none of it."""
        left_out = len(self.paths) - len(found)
        return f"{kind}, {left_out} images without" if left_out > 0 else kind

    def find(self, name: str) -> Path | None:
        """Find an image by its name or path as another machine wrote it, or by its stem alone."""
        parts = [part for part in re.split(r"[/\\]", name) if part not in ("", ".", "..")]
        for start in range(len(parts)):
            path = self.folder.joinpath(*parts[start:])
            if path.suffix.lower() in self.suffixes and path.is_file():
                return path
        last = _composed(parts[-1]) if parts else ""
        return self.stems.get(_composed(name)) or self.names.get(last)


def _composed(name: str) -> str:
    """Return a name with accents on their letters; macOS writes them apart."""
    return unicodedata.normalize("NFC", name)


def _below(path: Path, folder: Path) -> list[Path]:
    """Return a path and the folders between it and `folder`."""
    return [path, *(each for each in path.parents if folder in each.parents)]


def _json_files(folder: Path) -> list[Path]:
    return sorted(
        path
        for path in folder.iterdir()
        if path.suffix.lower() in (".json", ".geojson") and not path.name.startswith(".")
    )


def _json_beside(folder: Path) -> list[Path]:
    """Return the JSON files of a folder beside `images/` that is made for them."""
    return next((files for each in _annotation_folders(folder) if (files := _json_files(each))), [])


def _annotation_folders(folder: Path) -> list[Path]:
    there = {path.name.lower(): path for path in sorted(folder.iterdir()) if path.is_dir()}
    return [there[name] for name in ANNOTATION_FOLDERS if name in there]


def _read(file: Path) -> Any:
    if not file.is_file():  # a pipe would be waited for
        raise InputError(f"{file}: is not a file")
    try:
        return json.loads(file.read_bytes())
    except (ValueError, RecursionError) as error:
        raise InputError(f"{file}: is no JSON ({error})") from None
