"""GeoJSON files: annotations in pixels, as QuPath has them, or polygons on the map."""

import json
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from prompttune.data.annotations.outlines import Outline, Polygons, Rings
from prompttune.data.annotations.things import Annotation, Thing
from prompttune.geo.georeference import Georeference, read_georeference
from prompttune.utils.errors import InputError

_NAMES = ("class", "classification", "label", "name", "category", "type")


def is_geojson(content: Any) -> bool:
    """Say whether parsed JSON holds GeoJSON features."""
    if isinstance(content, list):
        first = content[0] if content else None
        return isinstance(first, dict) and first.get("type") == "Feature"
    return isinstance(content, dict) and content.get("type") in ("FeatureCollection", "Feature")


def geojson_annotation(
    file: Path, content: Any, find_image: Callable[[str], Path | None]
) -> Annotation:
    """Read the features of an image, which is called as the file is.

    Coordinates are map coordinates where the image is georeferenced, else pixels (as QuPath has
    them).

    Args:
        file: where the content comes from.
        content: parsed JSON.
        find_image: from the file's stem to the path of the image.

    Raises:
        InputError: no such image, or features that are none.
    """
    image = find_image(file.stem) or find_image(file.stem.split(".")[0])
    if image is None:
        raise InputError(f"{file}: there is no image of its name")
    features = content if isinstance(content, list) else content.get("features", [content])
    place = read_georeference(image)
    things = tuple(
        thing
        for number, feature in enumerate(features, 1)
        for thing in _things(feature, f"{file}: feature {number}", place)
    )
    return Annotation(image, file, None, things)


def _things(feature: dict[str, Any], where: str, place: Georeference | None) -> Iterator[Thing]:
    try:
        name = _name(feature.get("properties") or {})
        geometry = feature["geometry"]
        kind, coordinates = geometry["type"], geometry.get("coordinates")
    except (AttributeError, KeyError, TypeError) as error:
        raise InputError(f"{where}: no GeoJSON feature ({error!r})") from None
    parts = coordinates if kind == "MultiPolygon" else [coordinates]
    for part in parts:
        yield Thing(name, where, partial(_outline, kind, part, place))


def _outline(kind: str, rings: Any, place: Georeference | None) -> Outline:
    if kind not in ("Polygon", "MultiPolygon"):
        raise ValueError(f"is a {kind}, which covers no pixels; draw a polygon")
    points = [np.asarray(ring, np.float64)[:, :2] for ring in rings]
    if place is not None and place.matrix is not None:
        points = [_in_pixels(ring, place.matrix) for ring in points]
    return Rings(Polygons.of(points).polygons)


def _in_pixels(points: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    return (points - matrix[:, 2]) @ np.linalg.inv(matrix[:, :2]).T


def _name(properties: dict[str, Any]) -> str:
    """Return the class of a feature: QuPath's classification, or a property that is called so."""
    for key in ("classification", *_NAMES):
        value = properties.get(key)
        if isinstance(value, str) and value.startswith("{"):
            value = json.loads(value)
        if isinstance(value, dict):
            value = value.get("name") or " ".join(value.get("names", []))
        if value and not (key in ("type", "name") and value in ("annotation", "detection")):
            return str(value)
    return "annotation"
