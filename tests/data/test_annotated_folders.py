"""Exports of the tools that people annotate with: CVAT, Roboflow, COCO itself, X-AnyLabeling."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from exports import CORNERS, HEIGHT, INSIDE, WIDTH, image, maps
from PIL import Image

from prompttune.data.annotated_folders import annotated_names
from prompttune.data.layouts import find_split
from prompttune.tasks.data import task_data
from prompttune.tasks.recipe import Recipe
from prompttune.utils.errors import InputError

POLYGON = [[2, 3, 12, 3, 12, 13, 2, 13]]


EVERYTHING = {"size": [HEIGHT, WIDTH], "counts": [0, HEIGHT * WIDTH]}


CVAT = {"attributes": {"occluded": False}}


def coco(things: list[list[dict[str, Any]]], **names: int) -> dict[str, Any]:
    """Make a file of one image for each list of things."""
    names = names or {"crack": 7}
    return {
        "images": [
            {"id": 500 + n, "file_name": f"{n}.jpg", "width": WIDTH, "height": HEIGHT}
            for n in range(len(things))
        ],
        "annotations": [
            {"id": 10 * n + k, "image_id": 500 + n, "category_id": 7, "iscrowd": 0} | thing
            for n, own in enumerate(things)
            for k, thing in enumerate(own)
        ],
        "categories": [{"id": number, "name": name} for name, number in names.items()],
    }


def write(folder: Path, content: dict[str, Any], file: str, images: str) -> None:
    for one in content["images"]:
        image(folder / images / one["file_name"])
    (folder / file).parent.mkdir(parents=True, exist_ok=True)
    (folder / file).write_text(json.dumps(content))


OUTLINE = {"segmentation": POLYGON}


BRUSHED = {"segmentation": EVERYTHING, "iscrowd": 1}


def test_brush_masks_of_cvat_are_things(tmp_path: Path) -> None:
    mixed = [[OUTLINE | CVAT], [BRUSHED | CVAT], [OUTLINE | CVAT], [BRUSHED | CVAT]]
    write(tmp_path, coco(mixed), "annotations.json", "images")
    found = maps(tmp_path)
    assert (found["1"] == 1).all()
    np.testing.assert_array_equal(found["0"] == 1, INSIDE)
    (note,) = find_split(tmp_path).notes
    assert "2 annotations that are marked as crowds" in note
    assert (maps(tmp_path, crowds="ignore")["1"] == 255).all()


def test_where_all_of_a_category_are_crowds_they_are_things(tmp_path: Path) -> None:
    write(tmp_path, coco([[BRUSHED], [BRUSHED], [BRUSHED]]), "annotations.json", "images")
    assert all((found == 1).all() for found in maps(tmp_path).values())


def test_crowds_beside_things_are_not_counted_and_that_is_said(tmp_path: Path) -> None:
    write(tmp_path, coco([[OUTLINE, BRUSHED], [OUTLINE], [OUTLINE]]), "annotations.json", "images")
    assert set(np.unique(maps(tmp_path)["0"])) == {1, 255}
    (note,) = find_split(tmp_path).notes
    assert "1 annotations are marked as crowds and not learned from; --crowds objects" in note
    assert (maps(tmp_path, crowds="objects")["0"] == 1).all()


@pytest.mark.parametrize("bad", [{"segmentation": []}, {"segmentation": [[1, 2, 3, 4]]}, {}])
def test_one_thing_without_an_outline_is_left_out_and_named(tmp_path: Path, bad: dict) -> None:
    box = bad | {"bbox": [20, 1, 5, 6]}
    write(tmp_path, coco([[OUTLINE], [OUTLINE, box], [OUTLINE]]), "annotations.json", "images")
    found = maps(tmp_path)["1"]
    np.testing.assert_array_equal(found == 1, INSIDE)
    assert (found[1:7, 20:25] == 255).all()
    assert (found == 255).sum() == 30
    (note,) = find_split(tmp_path).notes
    assert "left out: " in note
    assert "annotation 11: " in note


def test_boxes_alone_are_refused(tmp_path: Path) -> None:
    box = {"segmentation": [], "bbox": [20, 1, 5, 6]}
    write(tmp_path, coco([[box], [box], [box]]), "annotations.json", "images")
    with pytest.raises(InputError, match=r"annotation 0: has no outline \(a box alone\?\)"):
        maps(tmp_path)


@pytest.mark.parametrize("called", ["valid", "val", "validation"])
@pytest.mark.parametrize("test", [0, 2])
def test_roboflow_parts(tmp_path: Path, called: str, test: int) -> None:
    for part, count in (("train", 6), (called, 3), ("test", test)):
        if count:
            content = coco([[OUTLINE]] * count, crack=7, cracks=0)
            write(tmp_path / part, content, "_annotations.coco.json", ".")
    split = find_split(tmp_path, classes=("crack",))
    assert [len(split.train), len(split.val), len(split.test)] == [6 if test else 5, 3, test or 1]
    assert all(each.image.parent.name == called for each in split.val)
    assert split.layout.startswith(f"train/ and {called}/")
    few = find_split(tmp_path, classes=("crack",), images=4)
    assert len(few.train) + len(few.val) == 4


@pytest.mark.parametrize("images", ["images/default", "default", "images"])
def test_cvat_coco_export(tmp_path: Path, images: str) -> None:
    content = coco([[OUTLINE | CVAT]] * 6)
    write(tmp_path, content, "annotations/instances_default.json", images)
    found = maps(tmp_path)
    assert len(found) == 6
    assert all((each == INSIDE).all() for each in found.values())


def test_coco_release(tmp_path: Path) -> None:
    for part, count in (("train2017", 4), ("val2017", 3)):
        content = coco([[OUTLINE]] * count)
        write(tmp_path, content, f"annotations/instances_{part}.json", f"{part}")
    (tmp_path / "annotations" / "captions_train2017.json").write_text("{}")
    split = find_split(tmp_path)
    assert [len(split.train), len(split.val), len(split.test)] == [3, 3, 1]
    assert split.val[0].image.parent.name == "val2017"


def test_the_name_and_the_number_of_the_only_category_are_kept(tmp_path: Path) -> None:
    write(tmp_path, coco([[OUTLINE]] * 4), "annotations.json", "images")
    data = task_data(Recipe("custom"), tmp_path)
    assert data.recipe is not None
    assert (data.recipe.classes, data.recipe.category_ids) == (("crack",), {"crack": 7})
    assert annotated_names(tmp_path) == ("crack",)


def labelme(folder: Path, *shapes: dict[str, Any]) -> None:
    image(folder / "0.jpg")
    content = {"shapes": shapes, "imagePath": "0.jpg", "imageHeight": HEIGHT, "imageWidth": WIDTH}
    (folder / "0.json").write_text(json.dumps(content))


@pytest.mark.parametrize("kind", ["rectangle", "rotation", "polygon", None])
def test_rectangles_of_four_corners(tmp_path: Path, kind: str | None) -> None:
    labelme(tmp_path, {"label": "c", "shape_type": kind, "points": CORNERS})
    np.testing.assert_array_equal(maps(tmp_path)["0"] == 1, INSIDE)


def test_a_shape_without_area_among_others_is_left_out(tmp_path: Path) -> None:
    line = {"label": "c", "shape_type": "linestrip", "points": [[1, 1], [5, 5]]}
    labelme(tmp_path, {"label": "c", "shape_type": "rectangle", "points": CORNERS}, line)
    np.testing.assert_array_equal(maps(tmp_path)["0"] == 1, INSIDE)
    assert "shape 2: is a linestrip" in find_split(tmp_path).notes[0]


@pytest.mark.parametrize("kind", ["circle", "mask", "rectangle", "rotation"])
def test_wrong_numbers_of_points_are_told_in_words(tmp_path: Path, kind: str) -> None:
    labelme(tmp_path, {"label": "c", "shape_type": kind, "points": [[2, 3]]})
    with pytest.raises(InputError, match=r"0\.json: shape 1: .*points"):
        maps(tmp_path)


def test_cvat_masks_with_a_legend(tmp_path: Path) -> None:
    colors = {"crack": (250, 50, 83), "pothole": (51, 221, 255)}
    for number in range(4):
        image(tmp_path / "JPEGImages" / f"{number}.jpg")
        mask = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
        mask[INSIDE] = colors["crack"]
        mask[15:, :5] = colors["pothole"]
        (tmp_path / "SegmentationClass").mkdir(exist_ok=True)
        Image.fromarray(mask).save(tmp_path / "SegmentationClass" / f"{number}.png")
    legend = ["# label:color_rgb:parts:actions", "background:0,0,0::"]
    legend += [f"{name}:{','.join(map(str, rgb))}::" for name, rgb in colors.items()]
    (tmp_path / "labelmap.txt").write_text("\n".join(legend))
    data = task_data(Recipe("custom"), tmp_path)
    assert data.recipe is not None
    assert data.recipe.classes == ("crack", "pothole")
    found = data.train[0].class_map
    np.testing.assert_array_equal(found == 1, INSIDE)
    assert (found == 2).sum() == 25
    one = task_data(Recipe("custom", classes=("pothole",)), tmp_path).train[0].class_map
    assert (one == 1).sum() == 25
    (tmp_path / "labelmap.txt").write_text("crack 250 50 83")
    with pytest.raises(InputError, match=r"labelmap\.txt: no legend"):
        task_data(Recipe("custom"), tmp_path)
