"""VGG Image Annotator's JSON: a project, or the regions alone, of versions 1 and 2."""

import math
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from prompttune.data.annotations.outlines import Outline, Polygons
from prompttune.data.annotations.things import Annotation, Thing, image_of

UNNAMED_REGION = "object"
"""Of regions without attributes."""
_NAMES = ("label", "class", "name", "type", "category")


def is_via(content: Any) -> bool:
    """Say whether parsed JSON is what the annotator writes."""
    if not isinstance(content, dict):
        return False
    entries = content.get("_via_img_metadata", content)
    first = next(iter(entries.values()), None) if isinstance(entries, dict) else None
    return isinstance(first, dict) and "filename" in first and "regions" in first


def via_annotations(
    file: Path, content: Mapping[str, Any], find_image: Callable[[str], Path | None]
) -> list[Annotation]:
    """Read images with regions. One without regions is left out: nobody has looked at it, mostly.

    Args:
        file: where the content comes from.
        content: parsed JSON.
        find_image: from an image's name in the file to its path.

    Raises:
        InputError: an image that is missing.
    """
    found = []
    for entry in content.get("_via_img_metadata", content).values():
        name, regions = str(entry["filename"]), entry["regions"]
        listed = list(regions.values()) if isinstance(regions, dict) else list(regions)
        if not listed:
            continue
        image = image_of(name, find_image, file)
        things = tuple(_things(listed, f"{file}: {name}"))
        found.append(Annotation(image, file, None, things))
    return found


def _things(regions: list[dict[str, Any]], where: str) -> Iterator[Thing]:
    for number, region in enumerate(regions, 1):
        shape = region["shape_attributes"]
        place = f"{where}: region {number}"
        name = _name(region.get("region_attributes") or {})
        yield Thing(name, place, partial(_outline, shape))


def _name(attributes: Mapping[str, Any]) -> str:
    """Return the class: of an attribute that is called so, or of the only one."""
    for key in (*(key for key in attributes if key.lower() in _NAMES), *attributes):
        value = attributes[key]
        if isinstance(value, dict):  # check boxes: those that are set
            value = " ".join(sorted(word for word, on in value.items() if on))
        if value:
            return str(value).strip()
    return UNNAMED_REGION


def _outline(shape: Mapping[str, Any]) -> Outline:
    kind = shape["name"]
    if kind == "polygon":
        return Polygons.of([list(zip(shape["all_points_x"], shape["all_points_y"], strict=True))])
    if kind == "rect":
        left, top = shape["x"], shape["y"]
        right, bottom = left + shape["width"], top + shape["height"]
        return Polygons.of([[left, top, right, top, right, bottom, left, bottom]])
    if kind in ("circle", "ellipse"):
        radii = (shape["r"],) * 2 if kind == "circle" else (shape["rx"], shape["ry"])
        degrees = math.degrees(shape.get("theta", 0))
        return Polygons.ellipse((shape["cx"], shape["cy"]), radii, degrees)
    raise ValueError(f"is a {kind}, which covers no pixels; draw a polygon")
