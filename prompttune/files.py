"""Which files are images, in which order they come, and which are nobody's data."""

import re
from collections.abc import Iterator
from pathlib import Path

SUFFIXES = frozenset(
    {
        ".avif", ".bmp", ".gif", ".j2k", ".jfif", ".jp2", ".jpe", ".jpeg", ".jpg", ".pbm", ".pgm",
        ".png", ".pnm", ".ppm", ".tif", ".tiff", ".webp",
    }
)  # fmt: skip
"""Of image files, in lower case."""
JUNK = frozenset({"__macosx", "thumbs.db", "desktop.ini"})
ANSWERS = frozenset({"masks", "mask", "labels", "label", "annotations", "fov"})
"""Folders that, beside `images/`, hold what was drawn and not what was seen."""


def is_hidden(path: Path) -> bool:
    """Say whether systems and tools made a file for themselves: `.name`, `._name`, `__MACOSX`."""
    return path.name.startswith(".") or path.name.lower() in JUNK


def is_image(path: Path) -> bool:
    """Say by its name whether a file is an image of the user's."""
    return path.suffix.lower() in SUFFIXES and not is_hidden(path)


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


def images_below(folder: Path, without: Path | None = None) -> Iterator[Path]:
    """List the images of a folder and of the folders in it, in natural order.

    Left out are hidden files and folders, `without`, and, beside a folder `images`, those that
    hold masks or labels.
    """
    entries = sorted(folder.iterdir(), key=path_key)
    folders = [each for each in entries if each.is_dir() and not is_hidden(each)]
    yield from (each for each in entries if is_image(each) and not each.is_dir())
    beside_images = any(each.name.lower() == "images" for each in folders)
    for each in folders:
        passed_over = beside_images and each.name.lower() in ANSWERS
        if not passed_over and (without is None or each.resolve() != without.resolve()):
            yield from images_below(each, without)
