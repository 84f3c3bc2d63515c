"""VIA's files: projects, regions alone, and those of version 1."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from annotating import HEIGHT, IN_BOX, WIDTH, only, save_image

from prompttune.data.layouts import find_split
from prompttune.utils.errors import InputError


def polygon(label: str) -> dict[str, Any]:
    return region(label, name="polygon", all_points_x=[2, 12, 12, 2], all_points_y=[3, 3, 13, 13])


def region(label: str | dict[str, bool], **shape: Any) -> dict[str, Any]:
    return {"shape_attributes": shape, "region_attributes": {"label": label}}


def write(folder: Path, *regions: dict[str, Any], project: bool = True, old: bool = False) -> None:
    save_image(folder / "0.png")
    kept: Any = {str(n): each for n, each in enumerate(regions)} if old else list(regions)
    images = {
        "0.png99": {"filename": "0.png", "size": 99, "regions": kept},
        "1.png99": {"filename": "1.png", "size": 99, "regions": []},
    }
    content = {"_via_settings": {}, "_via_img_metadata": images} if project else images
    (folder / "via.json").write_text(json.dumps(content))


@pytest.mark.parametrize(("project", "old"), [(True, False), (False, False), (False, True)])
def test_polygons(tmp_path: Path, project: bool, old: bool) -> None:
    write(tmp_path, polygon("crack"), polygon("tree"), project=project, old=old)
    np.testing.assert_array_equal(only(tmp_path, "crack").class_map == 1, IN_BOX)


def test_other_shapes(tmp_path: Path) -> None:
    rows, columns = np.mgrid[:HEIGHT, :WIDTH] + 0.5
    write(
        tmp_path,
        region({"crack": True, "tree": False}, name="rect", x=2, y=3, width=10, height=10),
        region("round", name="circle", cx=22, cy=10, r=5),
        region("oval", name="ellipse", cx=15, cy=13, rx=6, ry=2, theta=np.pi / 2),
        region("crack", name="polyline", all_points_x=[1, 2], all_points_y=[1, 2]),
    )
    found = only(tmp_path, "crack", "round", "oval").class_map
    np.testing.assert_array_equal((found == 1)[:, :12], IN_BOX[:, :12])
    circle = (columns - 22) ** 2 + (rows - 10) ** 2 < 25
    assert ((found == 2) != circle).sum() <= 4
    oval = ((columns - 15) / 2) ** 2 + ((rows - 13) / 6) ** 2 < 1
    assert ((found == 3) != oval).sum() <= 4
    split = find_split(tmp_path, classes=("crack",))
    assert any("polyline" in note for note in split.notes)


def test_an_image_that_is_missing(tmp_path: Path) -> None:
    write(tmp_path, polygon("crack"))
    (tmp_path / "0.png").rename(tmp_path / "2.png")
    with pytest.raises(InputError, match=r"via\.json: names the image '0\.png'"):
        find_split(tmp_path, classes=("crack",))
