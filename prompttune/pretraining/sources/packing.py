"""Packing a pool: images at training size and plain index masks in one file that travels."""

import json
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import cv2
import numpy as np

from prompttune.pretraining.sources.packed import MANIFEST, VERSION, open_files
from prompttune.pretraining.sources.pool import SHORT_SIDES, shrink
from prompttune.pretraining.sources.reading import Record, SetConfig, read_set, reading_values

_JPEG_START = b"\xff\xd8\xff"
_STAMP = (1980, 1, 1, 0, 0, 0)
"""All files bear one date, so that equal pools are equal files."""


@dataclass(frozen=True)
class Packed:
    """What was packed."""

    images: int
    size: int
    """Bytes of the file."""


def pack(
    data: Path,
    sets: Sequence[SetConfig],
    output: Path,
    short_side: int = SHORT_SIDES[0],
    quality: int = 90,
) -> Packed:
    """Write the sets of a pool to one file that `read_pool` takes in place of the folder.

    JPEGs that are small enough are copied; other images are shrunk to `short_side` and written as
    JPEG of that `quality`. Masks are stored as classes (0 background, 255 ignored).

    Raises:
        InputError: The pool cannot be read.
    """
    files = open_files(data)
    output.parent.mkdir(parents=True, exist_ok=True)
    temporary = output.with_name(f".{output.name}.part")
    images = 0
    try:
        with zipfile.ZipFile(temporary, "w", zipfile.ZIP_STORED) as packed:
            for config in sets:
                for record in read_set(files, config):
                    _add(packed, config.name, record, short_side, quality)
                    images += 1
            values = {config.name: reading_values(config) for config in sets}
            manifest = {"version": VERSION, "sets": values}
            packed.writestr(_entry(MANIFEST), json.dumps(manifest, indent=1))
        temporary.replace(output)
    finally:
        temporary.unlink(missing_ok=True)
    return Packed(images, output.stat().st_size)


def _add(packed: zipfile.ZipFile, name: str, record: Record, short_side: int, quality: int) -> None:
    small = min(record.image.shape[:2]) <= short_side
    if small and record.encoded.startswith(_JPEG_START):
        encoded = record.encoded
    else:
        image = shrink(record.image, short_side, cv2.INTER_AREA)
        encoded = _encode(
            ".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), cv2.IMWRITE_JPEG_QUALITY, quality
        )
    path = PurePosixPath(record.name)
    packed.writestr(_entry(f"{name}/images/{path.with_suffix('.jpg')}"), encoded)
    for folder, values in (("masks", record.classes), ("instances", record.instances)):
        if values is not None:
            mask = shrink(values, short_side, cv2.INTER_NEAREST_EXACT)
            encoded = _encode(".png", mask, cv2.IMWRITE_PNG_COMPRESSION, 9)
            packed.writestr(_entry(f"{name}/{folder}/{path.with_suffix('.png')}"), encoded)


def _encode(ending: str, image: np.ndarray, *parameters: int) -> bytes:
    _, encoded = cv2.imencode(ending, image, parameters)
    return encoded.tobytes()


def _entry(name: str) -> zipfile.ZipInfo:
    return zipfile.ZipInfo(name, _STAMP)
