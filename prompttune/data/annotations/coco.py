"""A COCO file: the things of its images, as polygons or run lengths."""

from collections import defaultdict
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from prompttune.data.annotations.coco_file import CocoFile
from prompttune.data.annotations.outlines import Outline, Polygons, Runs
from prompttune.data.annotations.things import Annotation, Thing
from prompttune.utils.errors import InputError
from prompttune.utils.malformed import MALFORMED


def coco_annotations(
    file: Path, content: Any, find_image: Callable[[str], Path | None], crowds: str = "auto"
) -> list[Annotation]:
    """Read the content of a COCO file; an image without things is all background.

    Args:
        file: where the content comes from.
        content: parsed JSON.
        find_image: from an image's name in the file to its path.
        crowds: `ignore`: annotations that are marked as crowds are not counted; `objects`: they are
            things like others; `auto`: the latter where CVAT wrote them, which marks all that was
            drawn with a brush, and where all things of a category are marked.

    Raises:
        InputError: not what COCO calls an annotation file, or as many images that are missing as
            are there.
    """
    parsed = CocoFile.of(content, str(file))
    try:
        names = {one.id: one.name for one in parsed.categories}
        things = defaultdict(list)
        mixed = {a["category_id"] for a in parsed.annotations if not a.get("iscrowd", 0)}
        for number, one in enumerate(parsed.annotations):
            place = f"{file}: annotation {one.get('id', number)}"
            outline = partial(_outline, one)
            category = one["category_id"]
            drawn = "attributes" in one or category not in mixed
            taken = crowds == "objects" or (crowds == "auto" and drawn)
            crowd = bool(one.get("iscrowd", 0)) and not taken
            thing = Thing(names[category], place, outline, crowd, _box(one))
            things[one["image_id"]].append(thing)
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"{file}: no COCO annotations ({error!r})") from None
    if unknown := things.keys() - {one.id for one in parsed.images}:
        raise InputError(f"{file}: annotations of image {min(unknown, key=str)}, which it lacks")
    found, missing = [], []
    for entry in parsed.images:
        image = find_image(entry.file_name)
        if image is None:
            missing.append(entry.file_name)
        else:
            found.append(Annotation(image, file, entry.size, tuple(things[entry.id])))
    if missing and len(missing) >= len(found):
        more = f" (nor are {len(missing) - 1} others)" if len(missing) > 1 else ""
        raise InputError(f"{file}: names the image {missing[0]!a}, which is not there{more}")
    return found


def category_ids(content: Any) -> dict[str, int]:
    """Return the file's own numbers of its categories, by name."""
    return {one.name: int(one.id) for one in CocoFile.of(content, "COCO").categories}


def _box(annotation: dict[str, Any]) -> Outline | None:
    try:
        left, top, width, height = (float(value) for value in annotation["bbox"])
        right, bottom = left + width, top + height
        return Polygons.of([[left, top, right, top, right, bottom, left, bottom]])
    except MALFORMED:
        return None


def _outline(annotation: dict[str, Any]) -> Outline:
    segmentation = annotation.get("segmentation")
    if not segmentation:
        raise ValueError("has no outline (a box alone?); export polygons or run lengths")
    if isinstance(segmentation, list):
        flat = not any(isinstance(each, list) for each in segmentation)  # one polygon, unwrapped
        return Polygons.of([segmentation] if flat else segmentation)
    height, width = segmentation["size"]
    return Runs((int(height), int(width)), segmentation["counts"])
