"""The first look at a set: what is missing, where it is to be had, and on what terms."""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, UnidentifiedImageError

from prompttune.protocols.protocol import Protocol
from prompttune.utils.errors import InputError


def require(root: Path, protocol: Protocol, paths: Iterable[str]) -> None:
    """Check that a set has its folders and lists.

    Raises:
        InputError: what is missing, where the set is to be had, and its terms.
    """
    if not root.is_dir():
        raise InputError(f"{root}: no such folder; {_source(protocol)}")
    missing = [path for path in paths if not (root / path).exists()]
    if missing:
        raise InputError(f"{root}: lacks {', '.join(missing)}; {_source(protocol)}")


def require_files(root: Path, protocol: Protocol, files: Iterable[Path]) -> None:
    """Check that all files are there that will be read, before the first is.

    Raises:
        InputError: how many are missing, and the first.
    """
    missing = sorted({path for path in files if not path.is_file()})
    if missing:
        first = missing[0].relative_to(root) if missing[0].is_relative_to(root) else missing[0]
        count = f"{len(missing)} files are missing" if len(missing) > 1 else "a file is missing"
        raise InputError(f"{root}: {count}, first {first}; {_source(protocol)}")


def _source(protocol: Protocol) -> str:
    return f"get {protocol.title} from {protocol.home} (terms: {protocol.terms})"


def read_lines(path: Path) -> list[str]:
    """Read the lines of a list that are not empty.

    Raises:
        InputError: not a text.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError:
        raise InputError(f"{path}: is no text in UTF-8; copy the set again") from None
    return [line.strip() for line in lines if line.strip()]


def read_json(path: Path) -> Any:
    """Read a JSON file.

    Raises:
        InputError: not JSON.
    """
    try:
        return json.loads(path.read_bytes())
    except (ValueError, RecursionError):
        raise InputError(f"{path}: is no JSON that can be read; copy the set again") from None


def read_rgb(path: Path) -> np.ndarray:
    """Read an image as the protocols do, `H x W x 3 uint8`: as stored, whatever EXIF says.

    Masks of public sets fit the stored pixels.

    Raises:
        InputError: not an image, or damaged.
    """
    with _opened(path) as image:
        return np.asarray(image.convert("RGB"))


def read_indices(path: Path, shape: Sequence[int] | None = None) -> np.ndarray:
    """Read an index mask, `H x W` integers as stored.

    Args:
        path: a PNG or GIF of indices (mode P or 1) or of numbers (mode L or I).
        shape: that of the image, whose size it must have.

    Raises:
        InputError: not an image, colors in place of indices, or another size.
    """
    with _opened(path) as image:
        if image.mode not in ("1", "P", "L", "I", "I;16"):
            raise InputError(f"{path}: holds colors ({image.mode}), not class indices")
        indices = np.asarray(image)
    check_size(path, indices, shape)
    return indices.astype(np.int32) if indices.dtype == bool else indices


def read_foreground(path: Path, shape: Sequence[int] | None = None, least: int = 128) -> np.ndarray:
    """Read a mask of one thing, `H x W bool`: gray from `least` on.

    Raises:
        InputError: not an image, or another size.
    """
    with _opened(path) as image:
        gray = np.asarray(image.convert("L"))
    check_size(path, gray, shape)
    return gray >= least


def check_size(path: Path, mask: np.ndarray, shape: Sequence[int] | None) -> None:
    """Refuse a mask of another size than its image.

    Raises:
        InputError: it has.
    """
    if shape is not None and mask.shape[:2] != tuple(shape[:2]):
        sizes = [f"{each[1]} x {each[0]}" for each in (mask.shape, shape)]
        raise InputError(f"{path}: mask of {sizes[0]}, but its image is {sizes[1]}")


def _opened(path: Path) -> Image.Image:
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    try:
        image = Image.open(path)
        image.load()
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError):
        raise InputError(f"{path}: is no image that can be read; copy the set again") from None
    return image
