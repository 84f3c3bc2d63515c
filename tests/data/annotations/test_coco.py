"""COCO's files; bad ones are refused in one line."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from annotating import HEIGHT, IN_NEAR, NAMES, THINGS, WIDTH, coco, only, refused, write_coco

from prompttune.utils.errors import InputError


def test_names_that_are_no_class_are_background(tmp_path: Path) -> None:
    loaded = only(write_coco(tmp_path, coco(THINGS, NAMES)), "pothole")
    assert np.array_equal(loaded.class_map, IN_NEAR.astype(np.uint8))


def test_a_polygon_may_be_unwrapped(tmp_path: Path) -> None:
    things = [thing | {"segmentation": thing["segmentation"][0]} for thing in THINGS[:1]]
    whole = only(write_coco(tmp_path / "a", coco(THINGS[:1], NAMES)), "pothole")
    bare = only(write_coco(tmp_path / "b", coco(things, NAMES)), "pothole")
    assert whole.class_map.any()
    np.testing.assert_array_equal(bare.class_map, whole.class_map)


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"categories": None}, "no COCO annotations"),
        ({"categories": []}, "no COCO annotations"),
        ({"images": []}, "annotations of image 10, which it lacks"),
        ({"images": [], "annotations": []}, "names no images"),
        ({"annotations": []}, "hold no things"),
        ({"images": [{"id": 10, "file_name": "2.png"}]}, "'2.png', which is not there"),
        (
            {"images": [{"id": 10, "file_name": "1.png", "width": 40, "height": 20}]},
            r"has 30 x 20 pixels .* says 40 x 20",
        ),
    ],
)
def test_bad_coco_files(tmp_path: Path, changes: dict[str, Any], complaint: str) -> None:
    write_coco(tmp_path, coco(THINGS, NAMES))
    content = coco(THINGS, NAMES) | changes
    (tmp_path / "annotations.json").write_text(json.dumps(content))
    with pytest.raises(InputError, match=complaint) as caught:
        only(tmp_path, "crack")
    assert str(tmp_path) in str(caught.value)


@pytest.mark.parametrize(
    ("segmentation", "complaint"),
    [
        ([], "no outline"),
        ([[1, 2, 3, 4]], "3 points"),
        ([[2, 3, 99, 3, 12, 13]], "99, 3 lies outside the 30 x 20"),
        ({"size": [HEIGHT, WIDTH], "counts": [3, 4]}, "run lengths"),
        ({"size": [HEIGHT, 40], "counts": [0, HEIGHT * 40]}, "of 40 x 20 pixels"),
        ({"size": [HEIGHT, WIDTH], "counts": [3, None]}, "unsupported"),
        ({"size": [HEIGHT, WIDTH]}, "has no 'counts'"),
    ],
)
def test_bad_outlines_are_named(tmp_path: Path, segmentation: Any, complaint: str) -> None:
    thing = {"category_id": 3, "segmentation": segmentation, "id": 41}
    line = refused(write_coco(tmp_path, coco([thing], NAMES)))
    assert complaint in line
    assert f"{tmp_path / 'annotations.json'}: annotation 41: " in line
