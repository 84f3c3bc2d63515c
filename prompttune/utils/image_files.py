"""Which files are images, in which order they come, and which are nobody's data."""

import re
from collections.abc import Iterator
from pathlib import Path

from prompttune.utils.paths import real

TIFF = frozenset({".tif", ".tiff"})
JPEG = frozenset({".jpe", ".jpeg", ".jpg"})
PNG = frozenset({".png"})
GIF = frozenset({".gif"})
DICOM = frozenset({".dcm", ".dicom", ".ima"})
SLIDES = frozenset({".bif", ".ndpi", ".scn", ".svs"})
"""Of whole-slide images, which are read by windows alone."""
_OTHERS = frozenset(
    {
        ".avif", ".bmp", ".heic", ".heif", ".hif", ".j2k", ".jfif", ".jp2", ".nii", ".pbm",
        ".pgm", ".pnm", ".ppm", ".webp",
    }
)  # fmt: skip
SUFFIXES = TIFF | JPEG | PNG | GIF | DICOM | SLIDES | _OTHERS
"""Of image files, in lower case: the one list of them."""
NIFTI = (".nii", ".nii.gz")
FRAMES = PNG | GIF | {".apng", ".avif", ".webp"}
"""Of files that may hold several frames, beside TIFF and volumes."""
UPRIGHT = GIF | DICOM | {".bmp", ".gz", ".nii"}
"""Of files without an EXIF tag that would turn them, beside TIFF, which is never turned."""
_MAGIC = {b"\x89PNG": ".png", b"\xff\xd8\xff": ".jpg", b"II*\0": ".tif", b"MM\0*": ".tif"}
LISTS = frozenset({".csv", ".tsv", ".txt", ".json", ".jsonl", ".ndjson"})
"""Of files that may list pairs of images and masks."""
JUNK = frozenset({"__macosx", "thumbs.db", "desktop.ini", "dicomdir"})
ANSWERS = frozenset({"masks", "mask", "labels", "label", "annotations", "fov"})
"""Folders that, beside `images/`, hold what was drawn and not what was seen."""


def is_hidden(path: Path) -> bool:
    """Say whether systems and tools made a file for themselves: `._a`, `__MACOSX`, `DICOMDIR`."""
    return path.name.startswith(".") or path.name.lower() in JUNK


def is_image(path: Path) -> bool:
    """Say by its name whether a file is an image of the user's; DICOM may have no ending."""
    if is_hidden(path):
        return False
    name = path.name.lower()
    return path.suffix.lower() in SUFFIXES or name.endswith(".nii.gz") or is_unnamed_dicom(path)


def is_tiff_name(path: Path) -> bool:
    """Say by its name whether a file is a TIFF."""
    return path.suffix.lower() in TIFF


def ending_of(content: bytes) -> str | None:
    """Return the suffix of an image file by how its bytes begin; None for what is none of ours."""
    return next((ending for magic, ending in _MAGIC.items() if content.startswith(magic)), None)


def is_dicom(path: Path) -> bool:
    """Say whether a file is DICOM: by its ending, or, without one, by its magic word."""
    return path.suffix.lower() in DICOM or is_unnamed_dicom(path)


def is_nifti(path: Path) -> bool:
    """Say by its name whether a file is a NIfTI volume."""
    return path.name.lower().endswith(NIFTI)


def is_unnamed_dicom(path: Path) -> bool:
    """Say whether a file without an ending, or with one of digits alone, begins as DICOM does.

    So files of PACS and of CDs are called.
    """
    ending = path.suffix
    if (ending and not ending[1:].isdigit()) or not path.is_file():
        return False
    try:
        with path.open("rb") as file:
            file.seek(128)
            return file.read(4) == b"DICM"
    except OSError:
        return False


def stem_of(path: Path) -> str:
    """Return a file's name without its ending: `.nii.gz` goes whole, digits are no ending."""
    if path.name.lower().endswith(".nii.gz"):
        return path.name[: -len(".nii.gz")]
    return path.name if path.suffix[1:].isdigit() else path.stem


def natural_key(text: str) -> tuple[tuple[int, int | str], ...]:
    """Order names as people count: `frame_2` before `frame_10`."""
    return tuple(
        (0, int(part)) if part.isdecimal() else (1, part)
        for part in re.split(r"(\d+)", text)
        if part
    )


def path_key(path: Path) -> tuple[tuple[tuple[int, int | str], ...], ...]:
    """Order paths folder by folder, each name by `natural_key`."""
    return tuple(map(natural_key, path.parts))


def images_below(
    folder: Path, without: Path | None = None, passed: list[Path] | None = None
) -> Iterator[Path]:
    """List the images of a folder and of the folders in it, in natural order.

    Left out are hidden files and folders, `without`, and, beside images or a folder `images`,
    folders that hold masks or labels. A link to a folder above or beside it is followed once.

    Args:
        folder: to look into.
        without: a folder not to look into.
        passed: gets the folders of masks that were passed over, and `without`.
    """
    yield from _below(folder, set(), passed, None if without is None else real(without))


def _below(
    folder: Path, seen: set[Path], passed: list[Path] | None, without: Path | None
) -> Iterator[Path]:
    seen.add(real(folder))
    entries = sorted(folder.iterdir(), key=path_key)
    folders = [each for each in entries if each.is_dir() and not is_hidden(each)]
    images = [each for each in entries if is_image(each) and not each.is_dir()]
    yield from images
    beside_images = bool(images) or any(each.name.lower() == "images" for each in folders)
    for each in folders:
        if real(each) in seen:
            continue
        if real(each) == without or (beside_images and each.name.lower() in ANSWERS):
            if passed is not None:
                passed.append(each)
            continue
        yield from _below(each, seen, passed, without)
