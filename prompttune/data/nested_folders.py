"""Images and masks in folders of folders: pairs of folders, or an image with its mask each."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from prompttune.data.finding import Finding, Found
from prompttune.data.mask_folders import Paired, folders_of, has_folders, pairs, plain
from prompttune.data.pairing import is_called_mask
from prompttune.data.samples import Sample
from prompttune.utils.image_files import is_hidden, is_image, path_key, stem_of

_DEPTH = 3
"""Folders in folders that are looked through for pairs of images and masks."""
_FEW = 3
"""So many folders with an image and a mask each show that this is how they lie."""


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
    """Read a folder for each image, with the mask beside it: `7/image.png` + `7/mask.png`."""
    found = []
    for own in sorted(folder.iterdir(), key=path_key):
        if not own.is_dir() or is_hidden(own):
            continue
        files = [path for path in sorted(own.iterdir()) if is_image(path)]
        masks = [path for path in files if is_called_mask(stem_of(path))]
        if len(files) == 2 and len(masks) == 1:
            image = next(path for path in files if path != masks[0])
            found.append(Sample(own.name, image, masks[0]))
        elif files:
            return None
    if len(found) < _FEW:
        return None
    first = found[0]
    return Paired(tuple(found), f"a folder for each image ({first.image.name} + {first.mask.name})")


def parts_below(folder: Path, finding: Finding, classes: Sequence[str]) -> Found | None:
    """Read folders that hold images and masks each, or one image and its mask."""
    for read in (pairs_below(folder, finding, classes), pairs_in_sample_folders(folder)):
        if read is not None:
            return Found(read.samples, plain(read.said, ""), notes=read.notes)
    return None
