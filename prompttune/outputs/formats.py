"""Answers in the formats of other tools: labelme, YOLO, GeoJSON, GeoPackage, areas, and scores."""

import base64
import json
import os
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from PIL import Image

from prompttune.geo.georeference import Georeference
from prompttune.outputs.outlines import Shape, find_shapes
from prompttune.outputs.paths import ENDINGS
from prompttune.prompts.palette import Palette
from prompttune.utils.contact_sheet import encode_png
from prompttune.utils.errors import InputError
from prompttune.utils.image_files import stem_of
from prompttune.utils.io import whole_file, whole_path


@dataclass(frozen=True, eq=False)
class Answer:
    """A class map and what it belongs to."""

    image: Path
    page: int | None
    """Of a stack, from 1."""
    class_map: np.ndarray
    palette: Palette
    place: Georeference | None
    least_area: int
    scores: np.ndarray | None = None
    """`C x H x W float32`."""
    pixel_mm: tuple[float, float] | None = None
    """Width and height of a pixel of a medical image, millimeters."""

    @property
    def pixel(self) -> tuple[tuple[float, float], str]:
        """Return the width and height of a pixel, and their unit."""
        if self.pixel_mm is not None:
            return self.pixel_mm, "mm"
        if self.place is None or self.place.matrix is None:
            return (1.0, 1.0), "pixels"
        width, height = np.linalg.norm(self.place.matrix[:, :2], axis=0)
        return (float(width), float(height)), "map units"

    @property
    def pixel_area(self) -> tuple[float, str]:
        """Return what a pixel covers, and its unit."""
        (width, height), unit = self.pixel
        if unit == "map units":
            assert self.place is not None
            return self.place.pixel_area or width * height, "map units squared"
        return width * height, "pixels" if unit == "pixels" else "mm2"


def write_formats(formats: Sequence[str], answer: Answer, mask: Path) -> None:
    """Write the files that belong to one page of an image, each whole or not at all.

    Args:
        formats: of `outputs.ENDINGS`.
        answer: to be written.
        mask: its file, beside which the others lie.
    """
    _write_scores(formats, answer, mask)
    wanted = [name for name in formats if name in ENDINGS and name not in ("scores", "npz")]
    shapes = list(find_shapes(answer.class_map, answer.least_area)) if wanted else []
    makers = {"labelme": _labelme, "yolo": _yolo, "geojson": _geojson}
    for name in wanted:
        page = "" if answer.page is None else f"#{answer.page}"
        path = mask.with_name(f"{stem_of(mask)}{page}{ENDINGS[name]}")
        if name == "gpkg":
            write_geopackage(path, shapes, answer.palette.classes, answer.place)
            continue
        with whole_file(path) as file:
            file.write(makers[name](answer, shapes, path).encode())


def _write_scores(formats: Sequence[str], answer: Answer, mask: Path) -> None:
    if answer.scores is None:
        return
    page = "" if answer.page is None else f"#{answer.page}"
    if "scores" in formats:
        path = mask.with_name(f"{stem_of(mask)}{page}{ENDINGS['scores']}")
        write_score_tiff(path, answer.scores, answer.place)
    if "npz" in formats:
        path = mask.with_name(f"{stem_of(mask)}{page}{ENDINGS['npz']}")
        write_score_npz(path, answer.scores, answer.palette.classes)


def geojson(answer: Answer) -> str:
    """Return an answer's things as GeoJSON, as `write_formats` writes it."""
    return _geojson(answer, list(find_shapes(answer.class_map, answer.least_area)), answer.image)


def _labelme(answer: Answer, shapes: Sequence[Shape], path: Path) -> str:
    height, width = answer.class_map.shape
    content = {
        "version": "5.5.0",
        "flags": {},
        "shapes": [_labelme_shape(shape, answer.palette) for shape in shapes],
        "imagePath": Path(os.path.relpath(answer.image, path.parent)).as_posix(),
        "imageData": None,
        "imageHeight": height,
        "imageWidth": width,
    }
    return json.dumps(content, indent=1)


def _labelme_shape(shape: Shape, palette: Palette) -> dict[str, Any]:
    """Return a polygon, or a bitmap of what has holes, which polygons cannot have."""
    common: dict[str, Any] = {
        "label": palette.classes[shape.number - 1],
        "group_id": None,
        "flags": {},
    }
    if len(shape.rings) == 1:
        return common | {"shape_type": "polygon", "points": shape.rings[0].tolist()}
    bits = encode_png(Image.fromarray(shape.mask), level=6)
    left, top, width, height = shape.box
    return common | {
        "shape_type": "mask",
        "points": [[left, top], [left + width - 1, top + height - 1]],
        "mask": base64.b64encode(bits).decode(),
    }


def _yolo(answer: Answer, shapes: Sequence[Shape], path: Path) -> str:
    """Return a line for each thing, its class from 0 on; holes are filled, since YOLO has none."""
    height, width = answer.class_map.shape
    lines = []
    for shape in shapes:
        shares = (shape.rings[0] / (width, height)).ravel()
        lines.append(f"{shape.number - 1} " + " ".join(f"{share:.6f}" for share in shares))
    return "\n".join(lines) + "\n" * bool(lines)


def _geojson(answer: Answer, shapes: Sequence[Shape], path: Path) -> str:
    """Return polygons in map coordinates, or in pixels (y down) where there are none."""
    place = answer.place
    features = [
        {
            "type": "Feature",
            "properties": {
                "class": answer.palette.classes[shape.number - 1],
                "pixels": shape.area,
            },
            "geometry": {
                "type": "Polygon",
                "coordinates": [
                    _closed(ring if place is None else place.at(ring)) for ring in shape.rings
                ],
            },
        }
        for shape in shapes
    ]
    content: dict[str, Any] = {"type": "FeatureCollection", "features": features}
    if place is not None and place.epsg is not None:
        name = f"urn:ogc:def:crs:EPSG::{place.epsg}"
        content["crs"] = {"type": "name", "properties": {"name": name}}
    return json.dumps(content)


def _closed(ring: np.ndarray) -> list[list[float]]:
    return [*ring.tolist(), ring[0].tolist()]


def write_score_tiff(path: Path, scores: np.ndarray, place: Georeference | None) -> None:
    """Write scores `C x H x W float32` in [0, 1] as a TIFF, a band a class, placed on the map."""
    tags = () if place is None else place.tags
    several: dict[str, Any] = {"planarconfig": "separate"} if len(scores) > 1 else {}
    with whole_file(path) as file:
        tifffile.imwrite(
            file, scores if several else scores[0], photometric="minisblack", compression="zlib",
            metadata=None, extratags=tags, **several,
        )  # fmt: skip


def write_score_npz(path: Path, scores: np.ndarray, classes: Sequence[str]) -> None:
    """Write `scores`, `C x H x W float32` in [0, 1], and the names `classes` as NPZ."""
    with whole_file(path) as file:
        np.savez_compressed(file, scores=scores, classes=np.array(list(classes)))


def write_geopackage(
    path: Path, shapes: Sequence[Shape], classes: Sequence[str], place: Georeference | None
) -> None:
    """Write a layer of polygons with their classes, pixels and areas, whole or not at all.

    Coordinates are map coordinates, or pixels (y down) where there are none.

    Args:
        path: of the file, `.gpkg`.
        shapes: of the class map.
        classes: names of the foreground classes.
        place: of the image.

    Raises:
        InputError: the packages are not installed.
    """
    try:
        import shapely
        from pyogrio.raw import write
    except ImportError:
        raise InputError(
            f"{path}: --format gpkg needs further packages; pip install prompttune[geo]"
        ) from None
    rings = [[r if place is None else place.at(r) for r in shape.rings] for shape in shapes]
    polygons = np.array([shapely.Polygon(each[0], each[1:]) for each in rings], object)
    pixels = np.array([shape.area for shape in shapes], np.int64)
    pixel = None if place is None else place.pixel_area
    areas = pixels * (1.0 if pixel is None else pixel)
    names = np.array([classes[shape.number - 1] for shape in shapes], object)
    crs = None if place is None or place.epsg is None else f"EPSG:{place.epsg}"
    # GDAL wants the ending, so that the name for the time being keeps it.
    with whole_path(path, "gpkg") as temporary, warnings.catch_warnings():
        warnings.filterwarnings("ignore", "'crs' was not provided")  # pixels have none
        write(
            str(temporary), shapely.to_wkb(polygons), [names, pixels, areas],
            ["class", "pixels", "area"], layer="things", driver="GPKG",
            geometry_type="Polygon", crs=crs,
        )  # fmt: skip
