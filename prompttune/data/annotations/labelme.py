"""labelme's files: one an image, with shapes; they may hold the image itself (`imageData`)."""

import base64
import binascii
import hashlib
from collections.abc import Callable
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from prompttune.data.annotations.outlines import Bitmap, Outline, Polygons
from prompttune.data.annotations.things import Annotation, Thing
from prompttune.utils.errors import InputError
from prompttune.utils.image_files import ending_of
from prompttune.utils.io import whole_file
from prompttune.utils.malformed import MALFORMED
from prompttune.utils.paths import user_cache

_FOLDER = "embedded"


def labelme_annotation(
    file: Path, content: Any, find_image: Callable[[str], Path | None]
) -> Annotation:
    """Read the content of a labelme file.

    Args:
        file: where the content comes from.
        content: parsed JSON; an image that is embedded in it is read where there is no file of it.
        find_image: from an image's name in the file, or the file's own stem, to its path.

    Raises:
        InputError: not what labelme writes, or an image that is missing.
    """
    try:
        things = tuple(
            Thing(str(shape["label"]), f"{file}: shape {number}", partial(_outline, shape))
            for number, shape in enumerate(content["shapes"], 1)
        )
        name = str(content.get("imagePath") or file.stem)
        width, height = content.get("imageWidth"), content.get("imageHeight")
        size = (int(width), int(height)) if width and height else None
    except MALFORMED as error:
        raise InputError(f"{file}: no labelme annotations ({error!r})") from None
    image = find_image(name) or find_image(file.stem)
    if image is None and content.get("imageData"):
        try:
            image = unpacked(content["imageData"])
        except ValueError as error:
            raise InputError(f"{file}: its image {name!a} is not there, and {error}") from None
    if image is None:
        raise InputError(f"{file}: its image {name!a} is not there, nor one of its own name")
    return Annotation(image, file, size, things)


def _outline(shape: dict[str, Any]) -> Outline:
    kind = shape.get("shape_type") or "polygon"
    points = shape["points"]
    four = ("rectangle", "rotation", "quadrilateral")  # newer tools list all four corners
    corners = kind in four and len(points) == 4
    if kind == "polygon" or corners:
        return Polygons.of([points])
    if kind in ("line", "linestrip", "point", "points"):
        raise ValueError(
            f"is a {kind}, which covers no pixels; draw a polygon, a rectangle or a circle"
        )
    if kind not in (*four, "circle", "mask"):
        raise ValueError(f"is of the unknown type {kind!a}; draw it as a polygon")
    if len(points) != 2 or kind in four[1:]:
        needed = {"rectangle": "2 or 4"}.get(kind, "4" if kind in four else "2")
        raise ValueError(
            f"is a {kind} of {len(points)} points, which needs {needed}; draw it again"
        )
    (x, y), (x2, y2) = np.asarray(points, np.float64)
    if kind == "rectangle":
        return Polygons.of([[x, y, x2, y, x2, y2, x, y2]])
    if kind == "circle":  # the center and a point of the border
        radius = float(np.hypot(x2 - x, y2 - y))
        return Polygons.ellipse((x, y), (radius, radius))
    try:
        with Image.open(BytesIO(base64.b64decode(shape["mask"]))) as image:
            pixels = np.asarray(image) > 0
    except (OSError, SyntaxError, Image.DecompressionBombError) as error:
        raise ValueError(f"has a mask that is no image ({error})") from None
    if pixels.ndim != 2:
        raise ValueError("has a mask in color")
    return Bitmap(pixels, int(y), int(x))


def unpacked(data: object) -> Path:
    """Write an embedded image into the user's cache, once, and return its path.

    Args:
        data: the bytes of an image file in base 64.

    Raises:
        ValueError: no base 64, or no image.
    """
    try:
        content = base64.b64decode(str(data), validate=True)
    except (binascii.Error, ValueError) as error:
        raise ValueError(f"the one in it is damaged ({error})") from None
    ending = ending_of(content)
    if ending is None:
        raise ValueError("the one in it is neither PNG, JPEG nor TIFF")
    path = user_cache(_FOLDER) / f"{hashlib.sha256(content).hexdigest()[:32]}{ending}"
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(path) as out:
            out.write(content)
    return path
