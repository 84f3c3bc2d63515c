"""Label Studio's JSON exports: tasks with polygons in percent and brush strokes as run lengths."""

import re
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import numpy as np

from prompttune.data.annotations.outlines import Bitmap, Outline, Polygons, turned
from prompttune.data.annotations.things import Annotation, Thing, image_of
from prompttune.data.decoding import MAX_PIXELS
from prompttune.utils.errors import InputError
from prompttune.utils.malformed import MALFORMED

_IMAGE = re.compile(r"\.(?:jpe?g|png|tiff?|bmp|webp|gif)\b", re.IGNORECASE)
_LABELS = ("polygonlabels", "brushlabels", "rectanglelabels", "ellipselabels", "labels")


def is_label_studio(content: Any) -> bool:
    """Say whether parsed JSON is a list of tasks, of the full or of the short export."""
    if not isinstance(content, list) or not content or not isinstance(content[0], dict):
        return False
    return isinstance(content[0].get("data"), dict) or any(True for _ in _short(content[0]))


def label_studio_annotations(
    file: Path, content: list[dict[str, Any]], find_image: Callable[[str], Path | None]
) -> list[Annotation]:
    """Read a list of tasks. Several annotators of one task: the first who did not skip it counts.

    Args:
        file: where the content comes from.
        content: parsed JSON.
        find_image: from an image's name in the file to its path.

    Raises:
        InputError: not what Label Studio writes, or an image that is missing.
    """
    found = []
    for number, task in enumerate(content, 1):
        place = f"{file}: task {task.get('id', number)}"
        name = _image_name(task)
        if name is None:
            raise InputError(f"{place}: names no image")
        image = image_of(name, lambda name: _find(name, find_image), place)
        results = _results(task)
        if results is None:  # nobody has looked at it yet
            continue
        things = tuple(thing for result in results for thing in _things(result, place))
        found.append(Annotation(image, file, _size(results), things))
    return found


def _image_name(task: dict[str, Any]) -> str | None:
    """Return the first text in a task that names an image file."""
    data = task.get("data", task)
    for value in data.values():
        if isinstance(value, str) and _IMAGE.search(value):
            return value
    return None


def _find(name: str, find_image: Callable[[str], Path | None]) -> Path | None:
    """Find an image by a path, an upload (`1a2b3c4d-name.jpg`), or `?d=` of local files."""
    parts = urlsplit(name)
    local = parse_qs(parts.query).get("d", [parts.path])[0]
    path = unquote(local)
    bare = re.sub(r"(^|/)[0-9a-f]{8}-([^/]+)$", r"\1\2", path)
    return find_image(path) or find_image(bare)


def _results(task: dict[str, Any]) -> list[dict[str, Any]] | None:
    """Return what was drawn; None for a task that nobody has annotated."""
    if "data" not in task:
        return [each for field in _short(task) for each in field]
    drawn = task.get("annotations", task.get("completions")) or []
    for each in drawn:
        if not (each.get("was_cancelled") or each.get("skipped")):
            return list(each.get("result", []))
    return None


def _short(task: dict[str, Any]) -> Iterator[list[dict[str, Any]]]:
    """List the fields of the short export (JSON-MIN) that hold drawings."""
    for value in task.values():
        listed = isinstance(value, list) and value and isinstance(value[0], dict)
        if listed and any(label in value[0] for label in _LABELS):
            yield value


def _size(results: Sequence[dict[str, Any]]) -> tuple[int, int] | None:
    for each in results:
        width, height = each.get("original_width"), each.get("original_height")
        if width and height:
            return int(width), int(height)
    return None


def _things(result: dict[str, Any], place: str) -> Iterator[Thing]:
    value = result.get("value", result)
    for name in next((value[label] for label in _LABELS if label in value), ()):
        where = f"{place}, {result.get('id', name)}"
        yield Thing(str(name), where, partial(_outline, result, value), box=_box(result, value))


def _outline(result: dict[str, Any], value: dict[str, Any]) -> Outline:
    if "rle" in value:
        return _brushed(result, value["rle"])
    width, height = result["original_width"], result["original_height"]
    share = np.array((width, height)) / 100
    if "points" in value:
        return Polygons.of([np.asarray(value["points"], np.float64) * share])
    if "radiusX" in value:
        return Polygons.ellipse(
            (value["x"] * share[0], value["y"] * share[1]),
            (value["radiusX"] * share[0], value["radiusY"] * share[1]),
            value.get("rotation", 0),
        )
    raise ValueError("is a box alone; draw a polygon or use the brush")


def _box(result: dict[str, Any], value: dict[str, Any]) -> Outline | None:
    try:
        share = np.array((result["original_width"], result["original_height"])) / 100
        left, top = value["x"], value["y"]
        right, bottom = left + value["width"], top + value["height"]
        corners = np.array([(left, top), (right, top), (right, bottom), (left, bottom)]) * share
        anchor = (corners[0, 0], corners[0, 1])  # boxes turn about the corner that is named
        return Polygons.of([turned(corners, value.get("rotation", 0), anchor)])
    except MALFORMED:
        return None


def _brushed(result: dict[str, Any], rle: Sequence[int]) -> Outline:
    width, height = int(result["original_width"]), int(result["original_height"])
    flat = decode_brush(rle, 4 * width * height)
    if flat.size != 4 * width * height:
        raise ValueError(f"its run lengths are not of {width} x {height} pixels")
    return Bitmap(flat.reshape(height, width, 4)[:, :, 3] > 127, 0, 0)


def decode_brush(rle: Sequence[int], most: int = 4 * MAX_PIXELS) -> np.ndarray:
    """Decode the bytes of a brush stroke: `width * height * 4` values RGBA, `uint8`.

    Raises:
        ValueError: run lengths that end early, or of more than `most` values.

    Source: `decode_rle` of label-studio-sdk, converter/brush.py (the format of @thi.ng/rle-pack).
    """
    bits = np.unpackbits(np.array(rle, np.uint8))
    position = 0

    def read(count: int) -> int:
        nonlocal position
        if position + count > bits.size:
            raise ValueError("its run lengths end early")
        taken = bits[position : position + count]
        position += count
        return int.from_bytes(np.packbits(np.pad(taken, (-count % 8, 0))).tobytes())

    length, word = read(32), read(5) + 1
    if length > min(most, 4 * MAX_PIXELS):
        raise ValueError("its run lengths are of more pixels than the image has")
    sizes = [read(4) + 1 for _ in range(4)]
    values = np.zeros(length, np.uint8)
    start = 0
    while start < length:
        repeated = read(1)
        end = start + 1 + read(sizes[read(2)])
        if repeated:
            values[start:end] = read(word)
        else:
            values[start:end] = [read(word) for _ in range(min(end, length) - start)]
        start = end
    return values
