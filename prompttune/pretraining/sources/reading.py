"""Reading one set of a pool: folders of images with index masks, COCO annotations, packed sets."""

import json
import struct
import zlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import PurePosixPath

import cv2
import numpy as np

from prompttune.data.opencv import decode_image
from prompttune.pretraining.sources.coco import Annotations
from prompttune.pretraining.sources.packed import FolderFiles, PackedFiles
from prompttune.utils.constants import IGNORE
from prompttune.utils.errors import InputError

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_GRAY, _PALETTE = 0, 3


@dataclass(frozen=True)
class SetConfig:
    """How one set of a pool is read and used."""

    name: str
    """The folder's name under the pool."""
    weight: float | None = None
    """Share of the samples that come from it, relative to the other sets; None: the square root of
    the number of its images, so that large sets lead without ruling."""
    background: int | None = 0
    """The mask value that is no class; None if every value is one."""
    ignore: tuple[int, ...] = ()
    """Mask values that are neither trained on nor shown."""
    video: bool = False
    """Frames: names are `<sequence>_<frame>` or `<sequence>/<frame>`; only frames of one sequence
    share a context."""
    binary: bool = False
    """Masks are gray, and what is above 127 is class 1."""
    annotations: str | None = None
    """A COCO file below the set's folder (instances, stuff or panoptic) instead of index masks."""
    images: str = "images"
    """The folder of the images, below the set's."""
    masks: str = "masks"
    """The folder of the index masks (no such folder: images without labels), or of the PNGs of a
    panoptic file."""
    most: int | None = None
    """Use that many images at most, evenly taken from all."""


@dataclass(frozen=True)
class Record:
    """One image as it was read: RGB `H x W x 3 uint8`, and maps of its size, uint8."""

    name: str
    """Its path below the folder of images."""
    encoded: bytes
    """The image's file."""
    image: np.ndarray
    classes: np.ndarray | None
    """0 background, 255 ignored; None for images without labels."""
    instances: np.ndarray | None = None
    """0 none, 255 ignored, else the number of an object; None where a set does not know."""


def read_set(files: FolderFiles | PackedFiles, config: SetConfig) -> Iterator[Record]:
    """Read all images of a set with their labels.

    Raises:
        InputError: The set, or a mask, is missing, unreadable, or not of its image's size.
    """
    if isinstance(files, PackedFiles):
        config = _as_packed(files, config)
    annotations = None
    if config.annotations is not None:
        annotations = _annotations(files, config)
    folder = f"{config.name}/{config.images}"
    paths = files.names(folder)
    if not paths:
        raise InputError(
            f"{files.place(config.name)}: no {config.images}/ there; "
            "name a folder of sets with images/ and masks/ each"
        )
    if config.most is not None and len(paths) > config.most:
        paths = [paths[i] for i in np.linspace(0, len(paths) - 1, config.most).round().astype(int)]
    has_masks = bool(files.names(f"{config.name}/{config.masks}"))
    for path in paths:
        encoded = files.read(path) or b""
        image = _decode(encoded, cv2.IMREAD_COLOR_RGB, files.place(path))
        record = Record(str(PurePosixPath(path).relative_to(folder)), encoded, image, None)
        if annotations is not None:
            maps = annotations.maps(record.name, image.shape, files)
            yield replace(record, classes=maps["classes"], instances=maps["instances"])
        elif has_masks:
            yield _with_masks(record, files, config)
        else:
            yield record


def reading_values(config: SetConfig) -> dict[str, object]:
    """Return those values of a configuration that decide how masks are read, as JSON has them."""
    names = ("background", "ignore", "binary", "annotations", "images", "masks")
    values = asdict(config)
    return json.loads(json.dumps({name: values[name] for name in names}))


def _as_packed(files: PackedFiles, config: SetConfig) -> SetConfig:
    if config.name not in files.sets:
        raise InputError(
            f"{files.path}: no set {config.name}; there are {', '.join(sorted(files.sets))}"
        )
    packed, asked = files.sets[config.name], reading_values(config)
    differing = [name for name, value in asked.items() if packed.get(name) != value]
    if differing:
        raise InputError(
            f"{files.path}: set {config.name} was packed with other {', '.join(differing)}; "
            "pack it anew or change the recipe"
        )
    return SetConfig(config.name, config.weight, video=config.video, most=config.most)


def _annotations(files: FolderFiles | PackedFiles, config: SetConfig) -> Annotations:
    path = f"{config.name}/{config.annotations}"
    content = files.read(path)
    if content is None:
        raise InputError(f"{files.place(path)}: no such file")
    return Annotations.parse(content, f"{config.name}/{config.masks}", files.place(path))


def _with_masks(record: Record, files: FolderFiles | PackedFiles, config: SetConfig) -> Record:
    stem = PurePosixPath(record.name).with_suffix(".png")
    path = f"{config.name}/{config.masks}/{stem}"
    values = _mask(path, record, files)
    if values is None:
        raise InputError(f"{files.place(path)}: missing, the mask of {record.name}")
    instances = _mask(f"{config.name}/instances/{stem}", record, files)
    return replace(record, classes=_class_map(values, config), instances=instances)


def _mask(path: str, record: Record, files: FolderFiles | PackedFiles) -> np.ndarray | None:
    encoded = files.read(path)
    if encoded is None:
        return None
    values = decode_indices(encoded)
    if values is None or values.dtype != np.uint8 or values.shape != record.image.shape[:2]:
        raise InputError(
            f"{files.place(path)}: must be an 8-bit index mask of the size of its image "
            f"{record.name}"
        )
    return values


def _decode(encoded: bytes, flags: int, place: str) -> np.ndarray:
    decoded = decode_image(np.frombuffer(encoded, np.uint8), flags)
    if decoded is None:
        raise InputError(f"{place}: not a readable image")
    return decoded


def _class_map(values: np.ndarray, config: SetConfig) -> np.ndarray:
    """Turn mask values into classes: 0 background, v else (v + 1 where 0 is a class)."""
    if config.binary:
        return (values > 127).astype(np.uint8)
    table = np.arange(256)
    if config.background != 0:
        table[:-1] += 1
    if config.background is not None:
        table[config.background] = 0
    table[list(config.ignore)] = IGNORE
    return table.astype(np.uint8)[values]


def decode_indices(encoded: bytes) -> np.ndarray | None:
    """Decode a mask: the indices of a palette PNG, the values of any other; None if it cannot be.

    OpenCV turns palette PNGs into colors. So one is declared a gray one, whose values it spreads
    over 0..255 where they have less than eight bits.
    """
    spread = 1
    if encoded[:8] == _SIGNATURE and encoded[12:16] == b"IHDR" and len(encoded) > 33:
        depth, kind = encoded[24], encoded[25]
        if kind == _PALETTE:
            encoded = _declared_gray(encoded)
        if kind in (_GRAY, _PALETTE) and depth < 8:
            spread = 255 // (2**depth - 1)
    decoded = decode_image(np.frombuffer(encoded, np.uint8), cv2.IMREAD_UNCHANGED)
    return None if decoded is None else decoded // decoded.dtype.type(spread)


def _declared_gray(encoded: bytes) -> bytes:
    header = encoded[12:25] + bytes([_GRAY]) + encoded[26:29]
    kept = [encoded[:12] + header + struct.pack(">I", zlib.crc32(header))]
    at = 33
    while at + 8 <= len(encoded):
        end = at + 12 + int.from_bytes(encoded[at : at + 4])
        if encoded[at + 4 : at + 8] not in (b"PLTE", b"tRNS"):
            kept.append(encoded[at:end])
        at = end
    return b"".join(kept)
