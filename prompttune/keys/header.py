"""The header of a key's safetensors file and the card in it: read bounded, written the same.

safetensors' own writer puts metadata in a random order, so one key would give different files.
Reading a card needs no torch, so that listing a zoo is quick.
"""

import json
import os
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from prompttune.companion.shapes import weight_count
from prompttune.keys.card import COMPANION, TYPE_SHIFTS, Card, read_json
from prompttune.keys.files import key_file
from prompttune.utils.errors import InputError

FORMAT = "prompttune-key"
TENSORS = ("colours", "images")
CENTERS = "domain_centers"
DTYPES = ("F32", "F16")
MAX_DIM = 2**16
MAX_CENTERS = 1024
MAX_HEADER = 2**20
MAX_FILE = 2**30


@dataclass(frozen=True)
class Header:
    """A parsed header: metadata (text to text), the tensors' entries, the offset where it ends."""

    metadata: dict[str, str]
    tensors: dict[str, dict[str, Any]]
    end: int


def load_card(path: str | Path) -> Card:
    """Read the card of a key, given as its folder or file, and check the header against it.

    Raises:
        InputError: any break of the format that shows without reading the pixels.
    """
    return read_card(key_file(path))[1]


def read_card(path: Path, file: BinaryIO | None = None) -> tuple[Header, Card]:
    """Read header and card of a key file; raises like `load_card`.

    Args:
        path: of the file.
        file: that is open already, at its start. Who reads on from it has the tensors of this card,
            even if the key is replaced in the meantime.
    """
    header = read_header(path, file)
    if header.metadata.get("format") != FORMAT or "card" not in header.metadata:
        raise InputError(
            f"{path}: a safetensors file, but not a key: "
            f"its metadata lack 'format': '{FORMAT}' or the card."
        )
    card = read_json(header.metadata["card"], path)
    _check_tensors(header, card, path)
    return header, card


def read_header(path: Path, file: BinaryIO | None = None) -> Header:
    """Read the header of a safetensors file, never more than `MAX_HEADER` bytes of it.

    Args:
        path: of the file.
        file: as in `read_card`.

    Raises:
        InputError: not a safetensors file, truncated, too large, or not readable.
    """
    try:
        with nullcontext(file) if file else path.open("rb") as opened:
            size = os.fstat(opened.fileno()).st_size
            length = int.from_bytes(opened.read(8), "little")
            text = opened.read(length) if length <= MAX_HEADER else b""
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}).") from None
    if size < 10:
        raise InputError(f"{path}: not a safetensors file: it has only {size} bytes.")
    if length > MAX_HEADER:
        raise InputError(
            f"{path}: not a key: its header claims {length} bytes, at most {MAX_HEADER} are "
            "allowed."
        )
    if size > MAX_FILE:
        raise InputError(f"{path}: not a key: {size} bytes, at most {MAX_FILE} are allowed.")
    if len(text) < length:
        raise InputError(f"{path}: truncated within the header. Copy or tune the key again.")
    return _parse(text, path)


def pack_header(metadata: Mapping[str, str], tensors: Mapping[str, Mapping[str, Any]]) -> bytes:
    """Return length and JSON header of a safetensors file, padded to a multiple of 8 bytes.

    Raises:
        InputError: longer than a reader accepts.
    """
    header = {"__metadata__": dict(sorted(metadata.items())), **tensors}
    text = json.dumps(header, ensure_ascii=False, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    if len(text) > MAX_HEADER:
        raise InputError(
            f"the key's card is too large: {len(text)} bytes, at most {MAX_HEADER} are allowed."
        )
    return len(text).to_bytes(8, "little") + text


def shape_text(shape: Any) -> str:
    """Return a shape as people write it: `1 x 3 x 128 x 128`."""
    return " x ".join(map(str, shape)) if isinstance(shape, list | tuple) else ascii(shape)


def _parse(text: bytes, path: Path) -> Header:
    try:
        header = json.loads(text)
    except (ValueError, RecursionError):
        header = None
    if not isinstance(header, dict):
        raise InputError(f"{path}: not a safetensors file: its header is not a JSON object.")
    metadata = header.pop("__metadata__", {})
    if not isinstance(metadata, dict) or not all(isinstance(v, str) for v in metadata.values()):
        raise InputError(f"{path}: damaged: the header's metadata is not text.")
    if not all(isinstance(entry, dict) for entry in header.values()):
        raise InputError(f"{path}: damaged: the header does not describe its tensors.")
    return Header(metadata, header, 8 + len(text))


def _check_tensors(header: Header, card: Card, path: Path) -> None:
    shape = [card.prompts, 3, card.canvas, card.canvas]
    for name in TENSORS:
        if name not in header.tensors:
            raise InputError(f"{path}: tensor '{name}' is missing. The key must be made anew.")
        found = header.tensors[name].get("shape")
        if found != shape:
            raise InputError(
                f"{path}: tensor '{name}' is {shape_text(found)}, "
                f"but the card says {shape_text(shape)}."
            )
    names = tensor_names(card)
    if (TYPE_SHIFTS in header.tensors) != (TYPE_SHIFTS in names):
        raise InputError(
            f"{path}: tensor and required feature '{TYPE_SHIFTS}' go together, and one is missing. "
            "The key must be made anew."
        )
    if TYPE_SHIFTS in names:
        found = header.tensors[TYPE_SHIFTS].get("shape")
        groups = len(card.grouped())
        if not _is_shift_shape(found, groups):
            raise InputError(
                f"{path}: tensor '{TYPE_SHIFTS}' is {shape_text(found)}; it must be {groups} x D "
                f"with D in 1..{MAX_DIM}."
            )
    _check_centers(header, card, path)
    _check_companion(header, card, path)
    types = [header.tensors[name].get("dtype") for name in names]
    if types not in [[dtype] * len(names) for dtype in DTYPES]:
        raise InputError(
            f"{path}: its tensors are {' and '.join(map(str, types))}; all must be F32 or all F16."
        )


def _check_centers(header: Header, card: Card, path: Path) -> None:
    if card.domain is None:
        return
    entry = header.tensors.get(CENTERS, {})
    if not _is_matrix(entry.get("shape"), MAX_CENTERS) or entry.get("dtype") != "F16":
        found = f"{entry.get('dtype')} of {shape_text(entry.get('shape'))}" if entry else "missing"
        raise InputError(
            f"{path}: tensor '{CENTERS}' is {found}; a card with 'domain' needs it as F16 of "
            f"K x D with K in 1..{MAX_CENTERS} and D in 1..{MAX_DIM}. The key must be made anew."
        )


def _check_companion(header: Header, card: Card, path: Path) -> None:
    if card.companion is None:
        return
    entry = header.tensors.get(COMPANION, {})
    count = weight_count(card.companion.widths, len(card.classes))
    if entry.get("shape") != [count] or entry.get("dtype") != "F16":
        found = f"{entry.get('dtype')} of {shape_text(entry.get('shape'))}" if entry else "missing"
        raise InputError(
            f"{path}: tensor '{COMPANION}' is {found}; the card's companion needs it as F16 of "
            f"{count}. The key must be made anew."
        )


def _is_matrix(shape: Any, most: int) -> bool:
    is_matrix = isinstance(shape, list) and len(shape) == 2
    return is_matrix and 1 <= shape[0] <= most and 1 <= shape[1] <= MAX_DIM


def tensor_names(card: Card) -> tuple[str, ...]:
    """Return the names of what was learned, in the order in which it lies."""
    return (*TENSORS, TYPE_SHIFTS) if TYPE_SHIFTS in card.required_features else TENSORS


def _is_shift_shape(shape: Any, groups: int) -> bool:
    is_matrix = isinstance(shape, list) and len(shape) == 2
    return is_matrix and shape[0] == groups and 1 <= shape[1] <= MAX_DIM
