"""Exports of Label Studio give the pixels that were drawn."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from drawn import HEIGHT, INSIDE, WIDTH, image, only_map, tilted_oval

from prompttune.data.annotations.labelstudio import decode_brush
from prompttune.data.layouts import find_split
from prompttune.utils.errors import InputError

PERCENT = [[10, 25], [60, 25], [60, 75], [10, 75]]


SIZE = {"original_width": WIDTH, "original_height": HEIGHT}


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


def test_what_was_turned_in_label_studio_lies_turned(tmp_path: Path) -> None:
    for name in ("photo", "none"):
        image(tmp_path / "images" / f"{name}.png")
    oval = {"x": 37.5, "y": 50, "radiusX": 20, "radiusY": 15, "rotation": 30}
    content = label_studio({"value": oval | {"ellipselabels": ["crack"]}})
    box = {"x": 90, "y": 25, "width": 25, "height": 20, "rotation": 90}  # about (36, 5)
    content[0]["annotations"][1]["result"].append(
        SIZE | {"value": box | {"rectanglelabels": ["crack"]}}
    )
    (tmp_path / "project.json").write_text(json.dumps(content))
    found = only_map(tmp_path, "crack")
    assert ((found == 1) != tilted_oval()).sum() <= 2
    expected = np.zeros_like(INSIDE)
    expected[5:15, 32:36] = True
    np.testing.assert_array_equal(found == 255, expected)
