"""Aperio ImageScope's XML: regions in pixels of the whole image, a file for each image.

Source: files of ImageScope 12, and of MoNuSeg (Kumar et al., IEEE TMI 36, 2017), which are such.
"""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from xml.etree import ElementTree

import numpy as np

from prompttune.data.annotations.outlines import Outline, Polygons, Rings
from prompttune.data.annotations.things import Annotation, Thing
from prompttune.utils.errors import InputError

ROOT = "Annotations"
FREEHAND, RECTANGLE, ELLIPSE = "0", "1", "2"
"""Types of regions that cover pixels; others are arrows and rulers."""

_Ring = list[tuple[float, float]]


def is_aperio(file: Path) -> bool:
    """Say whether an XML file has the root of ImageScope's."""
    try:
        for _, element in ElementTree.iterparse(file, events=("start",)):
            return element.tag == ROOT and "MicronsPerPixel" in element.attrib
    except (ElementTree.ParseError, LookupError, OSError):
        return False
    return False


def aperio_annotation(file: Path, find_image: Callable[[str], Path | None]) -> Annotation:
    """Read the regions of an image, which is called as the file is.

    Classes are the names of the layers. Negative regions are holes in those of their layer.

    Args:
        file: to be read.
        find_image: from the file's stem to the path of the image.

    Raises:
        InputError: no such image, or no XML.
    """
    image = find_image(file.stem)
    if image is None:
        raise InputError(f"{file}: there is no image of its name")
    try:
        root = ElementTree.fromstring(file.read_bytes())
    except (ElementTree.ParseError, LookupError) as error:
        raise InputError(f"{file}: is no XML ({error})") from None
    layers = list(root.iter("Annotation"))
    drawn = [layer for layer in layers if layer.find("Regions/Region") is not None]
    things = (thing for layer in drawn for thing in _things(layer, file, len(drawn) == 1))
    return Annotation(image, file, None, tuple(things))


def _things(layer: ElementTree.Element, file: Path, only: bool) -> Iterator[Thing]:
    unnamed = "annotation" if only else f"layer {layer.get('Id', '')}"
    name = (layer.get("Name") or "").strip() or unnamed
    regions = list(layer.iterfind("Regions/Region"))
    holes = [_ring(each) for each in regions if each.get("NegativeROA") == "1"]
    for region in regions:
        if region.get("NegativeROA") != "1":
            place = f"{file}: region {region.get('Id', '')} of {name!a}"
            yield Thing(name, place, partial(_outline, region, holes))


def _outline(region: ElementTree.Element, holes: list[_Ring]) -> Outline:
    kind, ring = region.get("Type", FREEHAND), _ring(region)
    if kind not in (FREEHAND, RECTANGLE, ELLIPSE):
        raise ValueError("is an arrow or a ruler, which covers no pixels")
    low, high = np.min(ring, 0), np.max(ring, 0)
    if kind == ELLIPSE:  # its corners are those of the box around it
        (x, y), (across, down) = (low + high) / 2, (high - low) / 2
        (outer,) = Polygons.ellipse((x, y), (across, down)).polygons
    elif kind == RECTANGLE and len(ring) == 2:
        outer = np.array([low, (high[0], low[1]), high, (low[0], high[1])])
    else:
        outer = np.array(ring)
    near = [
        each for each in holes if (np.max(each, 0) > low).all() and (np.min(each, 0) < high).all()
    ]
    return Rings(Polygons.of([outer, *near]).polygons)


def _ring(region: ElementTree.Element) -> _Ring:
    corners = region.iterfind("Vertices/Vertex")
    ring = [(float(each.get("X", "nan")), float(each.get("Y", "nan"))) for each in corners]
    if len(ring) < 2:
        raise ValueError("has no corners")
    return ring
