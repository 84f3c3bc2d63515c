"""Exports of Label Studio, QuPath and CVAT's XML give the pixels that were drawn."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image

from prompttune.data.annotations.labelstudio import decode_brush
from prompttune.data.layouts import find_split, load_sample
from prompttune.utils.errors import InputError

HEIGHT, WIDTH = 20, 40
INSIDE = np.zeros((HEIGHT, WIDTH), bool)
INSIDE[5:15, 4:24] = True
CORNERS = [[4, 5], [24, 5], [24, 15], [4, 15]]
PERCENT = [[10, 25], [60, 25], [60, 75], [10, 75]]
SIZE = {"original_width": WIDTH, "original_height": HEIGHT}


def image(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (WIDTH, HEIGHT), (90, 120, 60)).save(path)


def only_map(folder: Path, *classes: str) -> np.ndarray:
    split = find_split(folder, classes=classes)
    (sample,) = {*split.train, *split.val, *split.test}
    return load_sample(sample, len(classes)).class_map


def packed(flat: np.ndarray) -> list[int]:
    """Pack values as @thi.ng/rle-pack does, but for its choice of the shortest sizes."""
    runs = np.split(flat, np.flatnonzero(np.diff(flat)) + 1)
    bits = f"{flat.size:032b}{7:05b}" + "".join(f"{size - 1:04b}" for size in (3, 4, 8, 16))
    for run in runs:
        for start in range(0, len(run), 65536):
            length = min(65536, len(run) - start)
            bits += f"1{3:02b}{length - 1:016b}{int(run[0]):08b}"
    bits += "0" * (-len(bits) % 8)
    return [int(bits[at : at + 8], 2) for at in range(0, len(bits), 8)]


def test_brush_strokes_are_unpacked() -> None:
    values = np.repeat(np.array([0, 255, 7, 0], np.uint8), [70_000, 5, 1, 300])
    np.testing.assert_array_equal(decode_brush(packed(values)), values)
    # Three single values: no repetition, size 3, length 3.
    bits = (
        f"{3:032b}{7:05b}"
        + f"{2:04b}" * 4
        + "0"
        + "00"
        + "010"
        + "".join(f"{value:08b}" for value in (9, 8, 200))
    )
    bits += "0" * (-len(bits) % 8)
    rle = [int(bits[at : at + 8], 2) for at in range(0, len(bits), 8)]
    assert decode_brush(rle).tolist() == [9, 8, 200]


def label_studio(result: dict[str, Any]) -> list[dict[str, Any]]:
    task = {
        "id": 3,
        "data": {"image": "/data/upload/1/0a1b2c3d-photo.png"},
        "annotations": [
            {"was_cancelled": True, "result": []},
            {"was_cancelled": False, "result": [SIZE | result]},
        ],
    }
    return [task, {"id": 4, "data": {"image": "/data/upload/1/0a1b2c3d-none.png"}}]


def brush() -> dict[str, Any]:
    rgba = np.zeros((HEIGHT, WIDTH, 4), np.uint8)
    rgba[INSIDE] = 255
    return {"format": "rle", "rle": packed(rgba.ravel()), "brushlabels": ["crack"]}


@pytest.mark.parametrize(
    "value", [{"points": PERCENT, "polygonlabels": ["crack"]}, brush()], ids=["polygon", "brush"]
)
def test_label_studio(tmp_path: Path, value: dict[str, Any]) -> None:
    for name in ("photo", "none"):
        image(tmp_path / "images" / f"{name}.png")
    (tmp_path / "project-1.json").write_text(json.dumps(label_studio({"value": value})))
    np.testing.assert_array_equal(only_map(tmp_path, "crack") == 1, INSIDE)


def test_label_studios_short_export(tmp_path: Path) -> None:
    image(tmp_path / "photo.png")
    drawn = SIZE | {"points": PERCENT, "polygonlabels": ["crack"], "closed": True}
    content = [{"image": "/data/local-files/?d=photo.png", "id": 1, "label": [drawn]}]
    (tmp_path / "project.json").write_text(json.dumps(content))
    np.testing.assert_array_equal(only_map(tmp_path, "crack") == 1, INSIDE)


def test_label_studios_boxes_are_refused_where_nothing_else_is(tmp_path: Path) -> None:
    image(tmp_path / "images" / "photo.png")
    image(tmp_path / "images" / "none.png")
    box = {"x": 10, "y": 25, "width": 50, "height": 50, "rectanglelabels": ["crack"]}
    (tmp_path / "project.json").write_text(json.dumps(label_studio({"value": box})))
    with pytest.raises(InputError, match="is a box alone"):
        find_split(tmp_path, classes=("crack",))


def feature(rings: list[list[list[float]]], name: str = "Tumor") -> dict[str, Any]:
    return {
        "type": "Feature",
        "geometry": {"type": "Polygon", "coordinates": [[*ring, ring[0]] for ring in rings]},
        "properties": {"objectType": "annotation", "classification": {"name": name}},
    }


@pytest.mark.parametrize("collection", [True, False])
def test_qupath(tmp_path: Path, collection: bool) -> None:
    image(tmp_path / "slide.png")
    hole = [[8, 7], [12, 7], [12, 9], [8, 9]]
    features = [feature([CORNERS, hole]), feature([[[30, 1], [34, 1], [34, 3], [30, 3]]], "Stroma")]
    content: Any = {"type": "FeatureCollection", "features": features} if collection else features
    (tmp_path / "slide.geojson").write_text(json.dumps(content))
    expected = INSIDE.astype(np.uint8)
    expected[7:9, 8:12] = 0
    expected[1:3, 30:34] = 2
    np.testing.assert_array_equal(only_map(tmp_path, "Tumor", "Stroma"), expected)


def test_geojson_of_a_georeferenced_image_is_in_map_coordinates(tmp_path: Path) -> None:
    tags = [(33550, "d", 3, (0.5, 0.5, 0.0), True), (33922, "d", 6, (0, 0, 0, 4e5, 5e6, 0), True)]
    pixels = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    tifffile.imwrite(tmp_path / "field.tif", pixels, extratags=tags, photometric="rgb")
    on_map = [[4e5 + 0.5 * x, 5e6 - 0.5 * y] for x, y in CORNERS]
    (tmp_path / "field.geojson").write_text(json.dumps([feature([on_map])]))
    np.testing.assert_array_equal(only_map(tmp_path, "Tumor") == 1, INSIDE)


XML = f"""<?xml version="1.0" encoding="utf-8"?>
<annotations><version>1.1</version>
<image id="0" name="photo.png" width="{WIDTH}" height="{HEIGHT}">
 <polygon label="crack" points="4,5;24,5;24,15;4,15" z_order="0"/>
 <mask label="hole" rle="1, 2, 1" left="30" top="2" width="2" height="2" z_order="0"/>
 <box label="crack" xtl="34" ytl="16" xbr="38" ybr="19" z_order="0"/>
</image></annotations>"""


def test_cvats_xml(tmp_path: Path) -> None:
    image(tmp_path / "images" / "photo.png")
    (tmp_path / "annotations.xml").write_text(XML)
    expected = INSIDE.astype(np.uint8)
    expected[2, 31] = expected[3, 30] = 2
    expected[16:19, 34:38] = 255
    np.testing.assert_array_equal(only_map(tmp_path, "crack", "hole"), expected)
    assert "is a box alone" in find_split(tmp_path, classes=("crack", "hole")).notes[0]
