"""Supervisely's projects: polygons with holes, rectangles, bitmaps."""

import base64
import io
import json
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from annotating import HEIGHT, IN_BOX, IN_NEAR, WIDTH, save_image
from PIL import Image

from prompttune.data.layouts import find_split, load_sample
from prompttune.utils.errors import InputError

SQUARE = [[2, 3], [12, 3], [12, 13], [2, 13]]
HOLE = [[4, 5], [8, 5], [8, 9], [4, 9]]


def drawn(kind: str, *, holes: Any = (), points: Any = SQUARE) -> dict[str, Any]:
    shape = {"exterior": points, "interior": list(holes)}
    return {"classTitle": "crack", "geometryType": kind, "points": shape}


def bitmap(pixels: np.ndarray, left: int, top: int) -> dict[str, Any]:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    packed = base64.b64encode(zlib.compress(file.getvalue())).decode()
    content = {"data": packed, "origin": [left, top]}
    return {"classTitle": "crack", "geometryType": "bitmap", "bitmap": content}


def write(folder: Path, *objects: dict[str, Any], count: int = 1) -> None:
    for number in range(count):
        save_image(folder / "img" / f"{number}.png")
        (folder / "ann").mkdir(exist_ok=True)
        size = {"height": HEIGHT, "width": WIDTH}
        content = {"description": "", "tags": [], "size": size, "objects": list(objects)}
        (folder / "ann" / f"{number}.png.json").write_text(json.dumps(content))


def crack(folder: Path) -> np.ndarray:
    sample = find_split(folder, classes=("crack",)).train[0]
    return load_sample(sample, 1).class_map == 1


def test_polygons_with_holes(tmp_path: Path) -> None:
    write(tmp_path / "ds0", drawn("polygon", holes=[HOLE]))
    (tmp_path / "meta.json").write_text(json.dumps({"classes": [], "tags": []}))
    np.testing.assert_array_equal(crack(tmp_path), IN_BOX & ~IN_NEAR)


def test_rectangles_cover_both_corners(tmp_path: Path) -> None:
    write(tmp_path, drawn("rectangle", points=[[2, 3], [11, 12]]))
    np.testing.assert_array_equal(crack(tmp_path), IN_BOX)


@pytest.mark.parametrize("channels", [1, 4])
def test_bitmaps(tmp_path: Path, channels: int) -> None:
    pixels = np.eye(5, dtype=np.uint8) * 255
    stored = pixels if channels == 1 else np.dstack([pixels * 0] * 3 + [pixels])
    write(tmp_path, bitmap(stored, 7, 2))
    expected = np.zeros((HEIGHT, WIDTH), bool)
    expected[2:7, 7:12] = pixels > 0
    np.testing.assert_array_equal(crack(tmp_path), expected)


def test_of_several_data_sets_all_count(tmp_path: Path) -> None:
    for name in ("ds0", "ds1"):
        write(tmp_path / name, drawn("polygon"), count=2)
    split = find_split(tmp_path, classes=("crack",))
    assert len({*split.train, *split.val, *split.test}) == 4


def test_what_is_no_area_is_left_out_and_damage_is_said(tmp_path: Path) -> None:
    damaged = bitmap(np.ones((2, 2), np.uint8), 0, 0)
    damaged["bitmap"]["data"] = "eJwDAAAAAAE="
    write(tmp_path, drawn("polygon"), drawn("line"), damaged)
    notes = find_split(tmp_path, classes=("crack",)).notes
    assert any("is a line" in note and "1 more" in note for note in notes)
    (tmp_path / "img" / "0.png").unlink()
    with pytest.raises(InputError, match=r"no image '0\.png' in img/"):
        find_split(tmp_path, classes=("crack",))
