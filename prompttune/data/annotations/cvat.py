"""CVAT's own export, "CVAT for images": one XML file with polygons, brush masks and boxes."""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from xml.etree import ElementTree

import numpy as np

from prompttune.data.annotations.outlines import Bitmap, Outline, Polygons, turned
from prompttune.data.annotations.things import Annotation, Thing, image_of
from prompttune.data.decoding import MAX_PIXELS
from prompttune.utils.errors import InputError

XML = "annotations.xml"


def cvat_annotations(file: Path, find_image: Callable[[str], Path | None]) -> list[Annotation]:
    """Read `annotations.xml`; an image without shapes shows nothing.

    Args:
        file: to be read.
        find_image: from an image's name in the file to its path.

    Raises:
        InputError: no XML of CVAT, or an image that is missing.
    """
    try:
        root = ElementTree.fromstring(file.read_bytes())
    except (ElementTree.ParseError, LookupError) as error:  # the latter: an unknown encoding
        raise InputError(f"{file}: is no XML ({error})") from None
    if root.tag != "annotations" or root.find("image") is None:
        raise InputError(f"{file}: holds no images; export it as 'CVAT for images 1.1'")
    found = []
    for entry in root.iter("image"):
        name = entry.get("name", "")
        image = image_of(name, find_image, file)
        size = int(entry.get("width", 0)), int(entry.get("height", 0))
        things = tuple(_things(entry, f"{file}: {name}"))
        found.append(Annotation(image, file, size if all(size) else None, things))
    return found


def _things(entry: ElementTree.Element, where: str) -> Iterator[Thing]:
    shapes = sorted(entry, key=lambda shape: int(shape.get("z_order", 0)))
    for number, shape in enumerate(shapes, 1):
        if shape.tag in ("polygon", "mask", "box", "ellipse", "polyline", "points", "cuboid"):
            place = f"{where}: shape {number}"
            outline = partial(_outline, shape)
            yield Thing(shape.get("label", ""), place, outline, box=_box(shape))


def _outline(shape: ElementTree.Element) -> Outline:
    if shape.tag == "polygon":
        pairs = [pair.split(",") for pair in (shape.get("points") or "").split(";")]
        return Polygons.of([[(float(x), float(y)) for x, y in pairs]])
    if shape.tag == "mask":
        return _bitmap(shape)
    if shape.tag == "ellipse":
        cx, cy, rx, ry = (float(shape.get(each, 0)) for each in ("cx", "cy", "rx", "ry"))
        return Polygons.ellipse((cx, cy), (rx, ry), float(shape.get("rotation", 0)))
    what = "box" if shape.tag == "box" else shape.tag
    raise ValueError(f"is a {what} alone; draw a polygon or use the brush")


def _bitmap(shape: ElementTree.Element) -> Outline:
    """Return a brush mask: run lengths row by row in its box, the first outside."""
    left, top, width, height = (int(shape.attrib[k]) for k in ("left", "top", "width", "height"))
    counts = [int(each) for each in shape.attrib["rle"].split(",")]
    if min(counts) < 0 or sum(counts) != width * height or width * height > MAX_PIXELS:
        raise ValueError(f"its run lengths are not of {width} x {height} pixels")
    flat = np.repeat(np.arange(len(counts)) % 2 == 1, counts)
    return Bitmap(flat.reshape(height, width), top, left)


def _box(shape: ElementTree.Element) -> Outline | None:
    if shape.tag != "box":
        return None
    left, top, right, bottom = (float(shape.attrib[k]) for k in ("xtl", "ytl", "xbr", "ybr"))
    corners = np.array([(left, top), (right, top), (right, bottom), (left, bottom)])
    center = ((left + right) / 2, (top + bottom) / 2)
    return Polygons.of([turned(corners, float(shape.get("rotation", 0)), center)])
