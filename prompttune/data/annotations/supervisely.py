"""Supervisely's JSON: `DATASET/img/` with `DATASET/ann/NAME.jpg.json`, polygons and bitmaps."""

import base64
import zlib
from collections.abc import Callable
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from prompttune.data.annotations.outlines import Bitmap, Outline, Polygons, Rings
from prompttune.data.annotations.things import Annotation, Thing
from prompttune.utils.errors import InputError
from prompttune.utils.image_files import is_hidden
from prompttune.utils.malformed import MALFORMED

_MAX_BYTES = 100_000_000
"""Of a bitmap when it is unpacked; an image of 100 megapixels has no more."""


def is_supervisely(content: Any) -> bool:
    """Say whether parsed JSON is the annotation of an image."""
    return isinstance(content, dict) and "objects" in content and "size" in content


def supervisely_files(folder: Path) -> list[Path]:
    """Return the annotation files of a project, of one data set, or none.

    Args:
        folder: of the project (with `meta.json`), or with `img/` and `ann/` in it.
    """
    return sorted(
        file
        for place in (folder, *sorted(each for each in folder.iterdir() if each.is_dir()))
        if (place / "img").is_dir() and (place / "ann").is_dir()
        for file in (place / "ann").rglob("*.json")
        if not is_hidden(file)
    )


def supervisely_annotation(
    file: Path, content: Any, find_image: Callable[[str], Path | None]
) -> Annotation:
    """Read the annotation of one image, which is called as the file is, without `.json`.

    Args:
        file: where the content comes from.
        content: parsed JSON.
        find_image: from an image's name to its path.

    Raises:
        InputError: not what Supervisely writes, or an image that is missing.
    """
    own = file.parent.parent / "img" / file.stem
    image = own if own.is_file() else find_image(file.stem)
    if image is None:
        raise InputError(f"{file}: there is no image {file.stem!a} in img/")
    try:
        size = int(content["size"]["width"]), int(content["size"]["height"])
        things = tuple(
            Thing(str(each["classTitle"]), f"{file}: object {number}", partial(_outline, each))
            for number, each in enumerate(content["objects"], 1)
        )
    except MALFORMED as error:
        raise InputError(f"{file}: no Supervisely annotations ({error!r})") from None
    return Annotation(image, file, size, things)


def _outline(each: dict[str, Any]) -> Outline:
    kind = each["geometryType"]
    if kind == "bitmap":
        return _bitmap(each["bitmap"])
    if kind not in ("polygon", "rectangle"):
        raise ValueError(f"is a {kind}, which covers no pixels; draw a polygon or use the brush")
    outer, holes = each["points"]["exterior"], each["points"].get("interior") or []
    if kind == "rectangle":
        (x, y), (x2, y2) = outer
        left, right, top, bottom = min(x, x2), max(x, x2), min(y, y2), max(y, y2)
        # The corners are pixels, which both belong to it.
        outer = [(left, top), (right + 1, top), (right + 1, bottom + 1), (left, bottom + 1)]
    return Rings(Polygons.of([outer, *holes]).polygons)


def _bitmap(given: dict[str, Any]) -> Outline:
    try:
        unpacker = zlib.decompressobj()
        content = unpacker.decompress(base64.b64decode(given["data"]), _MAX_BYTES)
        with Image.open(BytesIO(content)) as image:
            pixels = np.asarray(image)
    except (OSError, SyntaxError, zlib.error, Image.DecompressionBombError) as error:
        raise ValueError(f"has a bitmap that is no image ({error})") from None
    if pixels.ndim == 3:  # of four channels the last is the mask, as their SDK reads it
        pixels = pixels[:, :, -1]
    left, top = given["origin"]
    return Bitmap(pixels > 0, int(top), int(left))
