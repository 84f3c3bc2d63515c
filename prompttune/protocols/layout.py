"""The first look at a set: what is missing, where it is to be had, and on what terms."""

import io
import json
import os.path
import pickle
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
from PIL import Image

from prompttune.protocols.protocol import Protocol
from prompttune.utils.errors import InputError

MATCHERS = "list that Matcher published; get it again"
"""What a list of Matcher's should hold, see `understood`."""
MAX_PICKLE_BYTES = 2**31
MAX_INDEX = 255
"""No set here numbers more classes or objects."""
_UNREADABLE = "is no image that can be read; copy the set again"


def require(root: Path, protocol: Protocol, paths: Iterable[str]) -> None:
    """Check that a set has its folders and lists.

    Args:
        root: of the set.
        protocol: says where the set is to be had.
        paths: below it; those with a suffix are files, others are folders.

    Raises:
        InputError: what is missing, where the set is to be had, and its terms.
    """
    if not root.is_dir():
        raise InputError(f"{root}: no such folder; {source(protocol)}")
    missing = [path for path in paths if not _is_there(root / path)]
    if missing:
        more = f" and {len(missing) - 8} more" if len(missing) > 8 else ""
        some = ", ".join(shortened(path) for path in missing[:8])
        raise InputError(f"{root}: lacks {some}{more}; {source(protocol)}")


def _is_there(path: Path) -> bool:
    # Unlike a path's own methods, these say no to names that no file system takes.
    return os.path.isfile(path) if path.suffix else os.path.isdir(path)


def require_files(root: Path, protocol: Protocol, files: Iterable[Path]) -> None:
    """Check that all files are there that will be read, before the first is.

    Raises:
        InputError: how many are missing, and the first.
    """
    missing = sorted({path for path in files if not os.path.isfile(path)})
    if missing:
        first = missing[0].relative_to(root) if missing[0].is_relative_to(root) else missing[0]
        count = f"{len(missing)} files are missing" if len(missing) > 1 else "a file is missing"
        raise InputError(f"{root}: {count}, first {shortened(first)}; {source(protocol)}")


def source(protocol: Protocol) -> str:
    """Say where a set is to be had, and on what terms."""
    return f"get {protocol.title} from {protocol.home} (terms: {protocol.terms})"


def shortened(name: object, most: int = 80) -> str:
    """Return a name from a list for a message: a damaged one may be of any length."""
    text = str(name)
    return text if len(text) <= most else f"{text[:most]}..."


def files_in(folder: Path, pattern: str) -> list[Path]:
    """Return the files of a folder in order, without those that a Mac hides beside them."""
    return sorted(path for path in folder.glob(pattern) if not path.name.startswith("."))


def read_lines(path: Path) -> list[str]:
    """Read the lines of a list that are not empty.

    Raises:
        InputError: not a text.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        raise InputError(f"{path}: is no text in UTF-8; copy the set again") from None
    return [line.strip() for line in lines if line.strip()]


def read_json(path: Path) -> Any:
    """Read a JSON file.

    Raises:
        InputError: not JSON.
    """
    try:
        return json.loads(path.read_bytes())
    except (OSError, RecursionError, ValueError):
        raise InputError(f"{path}: is no JSON that can be read; copy the set again") from None


class _PlainOnly(pickle.Unpickler):
    """Reads pickles that need nothing to be imported or called; the others are refused."""

    def find_class(self, module: str, name: str) -> NoReturn:
        raise pickle.UnpicklingError(f"asks for {module}.{name}")

    def persistent_load(self, pid: Any) -> NoReturn:
        raise pickle.UnpicklingError("asks for an object that is kept elsewhere")


def read_plain_pickle(path: Path) -> Any:
    """Read numbers, texts, lists, and dictionaries, nested, as some sets publish their lists.

    Raises:
        InputError: no such file, damaged, too large, or one that holds anything else: nothing that
            it asks for is imported or called.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    if path.stat().st_size > MAX_PICKLE_BYTES:
        raise InputError(f"{path}: is larger than 2 GiB, which no published list is")
    try:
        return _PlainOnly(io.BytesIO(path.read_bytes())).load()
    except Exception as error:  # a damaged pickle may fail in any way
        raise InputError(f"{path}: is no plain list ({error}); copy the set again") from None


def size_of(path: Path) -> tuple[int, int]:
    """Return the width and height of an image; its pixels are not read.

    Raises:
        InputError: not an image.
    """
    try:
        with Image.open(path) as image:
            return image.size
    except Exception:  # a damaged image may fail in any way
        raise InputError(f"{path}: {_UNREADABLE}") from None


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
        InputError: not an image, colors in place of indices, numbers beyond those of all sets, or
            another size.
    """
    with _opened(path) as image:
        if image.mode not in ("1", "P", "L", "I", "I;16"):
            raise InputError(
                f"{path}: holds colors ({image.mode}), not class indices; copy the set again"
            )
        indices = np.asarray(image)
    check_size(path, indices, shape)
    if indices.max(initial=0) > MAX_INDEX or indices.min(initial=0) < 0:
        raise InputError(f"{path}: holds {indices.max()}, no class index; copy the set again")
    return indices.astype(np.int32) if indices.dtype == bool else indices


def read_foreground(path: Path, shape: Sequence[int] | None = None, least: int = 128) -> np.ndarray:
    """Read a mask of one thing, `H x W bool`: gray from `least` on.

    Raises:
        InputError: not an image, one of indices 0 and 1 in place of gray, or another size.
    """
    with _opened(path) as image:
        gray = np.asarray(image.convert("L"))
    check_size(path, gray, shape)
    if gray.max(initial=0) == 1:  # rewritten by somebody: all of it would be background
        raise InputError(f"{path}: holds 0 and 1, not 0 and 255; copy the set again")
    return gray >= least


def check_size(path: Path, mask: np.ndarray, shape: Sequence[int] | None) -> None:
    """Refuse a mask of another size than its image.

    Raises:
        InputError: it has.
    """
    if shape is not None and mask.shape[:2] != tuple(shape[:2]):
        sizes = [f"{each[1]} x {each[0]}" for each in (mask.shape, shape)]
        told = f"mask of {sizes[0]}, but its image is {sizes[1]}"
        raise InputError(f"{path}: {told}; are they of one set?")


def _opened(path: Path) -> Image.Image:
    if not path.is_file():
        raise InputError(f"{path}: no such file; copy the set again")
    try:
        image = Image.open(io.BytesIO(path.read_bytes()))
        image.load()
    except Exception:  # a damaged image may fail in any way
        raise InputError(f"{path}: {_UNREADABLE}") from None
    return image
