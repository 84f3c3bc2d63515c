"""Images and masks in folders of folders: pairs of folders, or an image with its mask each."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path

from prompttune.data.finding import Finding, Found
from prompttune.data.mask_folders import Paired, folders_of, has_folders, pairs, plain
from prompttune.data.pairing import is_called_mask
from prompttune.data.samples import Sample
from prompttune.utils.errors import InputError
from prompttune.utils.image_files import is_hidden, is_image, path_key, stem_of

_DEPTH = 3
"""Folders in folders that are looked through for pairs of images and masks."""
_FEW = 3
"""So many folders with an image and a mask each show that this is how they lie."""
_PREVIEWS = ("_viz", "_vis", "_overlay", "_preview")
"""Endings of pictures that were drawn to look at: `label_viz.png` beside `label.png`."""
_NAMES = "label_names.txt"
"""What `labelme_json_to_dataset` writes beside each mask: its classes, a line a value."""


def pairs_below(folder: Path, finding: Finding, classes: Sequence[str]) -> Paired | None:
    """Read all folders below that hold images and masks each; None where there are none."""
    found: list[Sample] = []
    notes: list[str] = []
    said = ""
    places = [folder]
    for _ in range(_DEPTH):
        places = [
            each
            for place in places
            for each in sorted(place.iterdir())
            if each.is_dir() and not is_hidden(each)
        ]
        for place in [each for each in places if has_folders(each)]:
            places.remove(place)
            own, below = pairs(place, finding, classes), place.relative_to(folder).as_posix()
            found += (replace(each, name=f"{below}/{each.name}") for each in own.samples)
            notes += own.notes
            said = said or " + ".join(f"{each.name}/" for each in folders_of(place, finding))
    return Paired(tuple(found), f"{said} in folders", tuple(notes)) if found else None


def pairs_in_sample_folders(folder: Path) -> Paired | None:
    """Read a folder for each image, with the mask beside it: `7/image.png` + `7/mask.png`.

    So does `labelme_json_to_dataset` write them, with a preview of the mask.

    Raises:
        InputError: labelme numbered the classes of each mask for itself.
    """
    found = []
    for own, images, masks in _sample_folders(folder):
        if len(images) == len(masks) == 1:
            found.append(Sample(own.name, images[0], masks[0]))
        elif images or masks:
            return None
    if len(found) < _FEW:
        return None
    _check_names(folder, [sample.mask.parent / _NAMES for sample in found])
    first = found[0]
    return Paired(tuple(found), f"a folder for each image ({first.image.name} + {first.mask.name})")


def several_beside_masks(folder: Path) -> str | None:
    """Return what to ask where folders hold several images beside a mask each, as BraTS does."""
    filled = ((images, masks) for _, images, masks in _sample_folders(folder) if images or masks)
    first = list(islice(filled, _FEW))
    if len(first) < _FEW or any(len(images) < 2 or len(masks) != 1 for images, masks in first):
        return None
    images, masks = first[0]
    listed = ", ".join(image.name for image in images[:4])
    return (
        f"several images lie beside each mask ({listed} beside {masks[0].name}); say which one "
        "in a file with a row image,mask for each: --data LIST.csv"
    )


def _sample_folders(folder: Path) -> Iterator[tuple[Path, list[Path], list[Path]]]:
    """List the folders in a folder, with the images and the masks in each."""
    for own in sorted(folder.iterdir(), key=path_key):
        if own.is_dir() and not is_hidden(own):
            files = _without_previews([path for path in sorted(own.iterdir()) if is_image(path)])
            masks = [path for path in files if is_called_mask(stem_of(path))]
            yield own, [path for path in files if path not in masks], masks


def _without_previews(files: Sequence[Path]) -> list[Path]:
    stems = {stem_of(path) for path in files}
    drawn = {stem + ending for stem in stems for ending in _PREVIEWS}
    return [path for path in files if stem_of(path) not in drawn]


def _check_names(folder: Path, files: Sequence[Path]) -> None:
    """Refuse masks whose values mean something else in each: names must begin alike."""
    there = [file for file in files if file.is_file()]
    listed = {file: file.read_text("utf-8", "replace").strip().splitlines() for file in there}
    longest = max(listed.values(), key=len, default=[])
    for file, names in listed.items():
        if names != longest[: len(names)]:
            raise InputError(
                f"{folder}: {file.relative_to(folder)} lists other classes than those beside it, "
                "so a value means another class in each mask; give labelme's JSON files and the "
                "images in their place"
            )


def parts_below(folder: Path, finding: Finding, classes: Sequence[str]) -> Found | None:
    """Read folders that hold images and masks each, or one image and its mask."""
    for read in (pairs_below(folder, finding, classes), pairs_in_sample_folders(folder)):
        if read is not None:
            return Found(read.samples, plain(read.said, ""), notes=read.notes)
    return None
