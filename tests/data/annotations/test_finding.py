"""Folders of COCO and labelme annotations become samples; bad ones are refused in one line."""

import base64
import json
import subprocess
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from prompttune.data.layouts import LoadedSample, find_split, load_sample
from prompttune.tasks.data import task_data
from prompttune.tasks.recipe import Recipe
from prompttune.utils.errors import InputError

HEIGHT, WIDTH = 20, 30
BOX = [[2, 3, 12, 3, 12, 13, 2, 13]]  # columns 2..11, rows 3..12
NEAR = [[4, 5, 8, 5, 8, 9, 4, 9]]  # inside it
FAR = [[20, 1, 24, 1, 24, 5, 20, 5]]
CROWD = {"size": [HEIGHT, WIDTH], "counts": [0, 2 * HEIGHT, (WIDTH - 2) * HEIGHT]}  # columns 0, 1


def save_image(path: Path, size: tuple[int, int] = (WIDTH, HEIGHT)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, (90, 120, 60)).save(path)


def coco(things: list[dict[str, Any]], names: dict[int, str], images: int = 1) -> dict[str, Any]:
    """Put the same things into every image; ids leave gaps, as COCO's do."""
    return {
        "images": [
            {"id": 10 * i, "file_name": f"{i}.png", "width": WIDTH, "height": HEIGHT}
            for i in range(1, images + 1)
        ],
        "annotations": [
            {"id": 100 * i + k, "image_id": 10 * i, "iscrowd": 0, **thing}
            for i in range(1, images + 1)
            for k, thing in enumerate(things)
        ],
        "categories": [{"id": number, "name": name} for number, name in names.items()],
    }


def write_coco(folder: Path, content: Any, file: str = "annotations.json") -> Path:
    for one in content["images"]:
        save_image(folder / "images" / one["file_name"])
    (folder / file).write_text(json.dumps(content))
    return folder


def labelme(name: str, *shapes: dict[str, Any]) -> dict[str, Any]:
    return {
        "version": "5.4.1",
        "shapes": [{"shape_type": "polygon", "group_id": None, **shape} for shape in shapes],
        "imagePath": name,
        "imageData": "QUJD",
        "imageHeight": HEIGHT,
        "imageWidth": WIDTH,
    }


def shape(label: str, kind: str, *points: tuple[float, float], **more: Any) -> dict[str, Any]:
    return {"label": label, "shape_type": kind, "points": points, **more}


def only(folder: Path, *classes: str) -> LoadedSample:
    split = find_split(folder, classes=classes or Recipe.classes)
    (sample,) = split.train
    return load_sample(sample, max(1, len(classes)))


def box(rows: slice, columns: slice) -> np.ndarray:
    mask = np.zeros((HEIGHT, WIDTH), bool)
    mask[rows, columns] = True
    return mask


IN_BOX, IN_NEAR, IN_FAR = (
    box(np.s_[3:13], np.s_[2:12]),
    box(np.s_[5:9], np.s_[4:8]),
    box(np.s_[1:5], np.s_[20:24]),
)
THINGS = [
    {"category_id": 7, "segmentation": NEAR},
    {"category_id": 3, "segmentation": [*BOX, *FAR]},  # one thing in two parts
    {"category_id": 3, "segmentation": CROWD, "iscrowd": 1},
    {"category_id": 9, "segmentation": CROWD},
]
NAMES = {9: "car", 7: "pothole", 3: "crack"}


@pytest.mark.parametrize("classes", [("crack", "pothole"), ("pothole", "crack")])
def test_coco_with_small_things_above_and_crowds_ignored(tmp_path: Path, classes) -> None:
    loaded = only(write_coco(tmp_path, coco(THINGS, NAMES)), *classes)
    expected = np.zeros((HEIGHT, WIDTH), np.uint8)
    expected[:, :2] = 255
    expected[IN_BOX | IN_FAR] = classes.index("crack") + 1
    expected[IN_NEAR] = classes.index("pothole") + 1
    assert np.array_equal(loaded.class_map, expected)
    assert loaded.name == "1"


def test_names_that_are_no_class_are_background(tmp_path: Path) -> None:
    loaded = only(write_coco(tmp_path, coco(THINGS, NAMES)), "pothole")
    assert np.array_equal(loaded.class_map, IN_NEAR.astype(np.uint8))


def test_of_equal_things_the_later_class_lies_above(tmp_path: Path) -> None:
    things = [{"category_id": n, "segmentation": BOX} for n in (7, 3)]
    for classes in (("crack", "pothole"), ("pothole", "crack")):
        folder = write_coco(tmp_path / classes[0], coco(things, NAMES))
        assert set(only(folder, *classes).class_map[IN_BOX]) == {2}


def test_one_name_needs_no_classes(tmp_path: Path) -> None:
    content = coco(THINGS[1:3], NAMES)  # of three categories one is used
    loaded = only(write_coco(tmp_path, content, "instances.json"))
    assert np.array_equal(loaded.class_map == 1, IN_BOX | IN_FAR)


def test_several_names_need_classes(tmp_path: Path) -> None:
    folder = write_coco(tmp_path, coco(THINGS, NAMES))
    with pytest.raises(InputError, match=r"\(car, crack, pothole\).*--classes"):
        only(folder)
    with pytest.raises(InputError, match=r"as 'dent', only as car, crack, pothole"):
        only(folder, "crack", "dent")


def test_parts_and_images_without_things(tmp_path: Path) -> None:
    write_coco(tmp_path / "train", coco(THINGS, NAMES, 4))
    test = write_coco(tmp_path / "test", coco([], {1: "crack"}, 2))  # its own ids
    save_image(tmp_path / "train" / "images" / "unlabelled.png")
    split = find_split(tmp_path, classes=("crack",))
    assert [len(split.train), len(split.val), len(split.test)] == [3, 1, 2]
    assert split.layout == "train/ and test/ with COCO annotations, 1 images without"
    assert not load_sample(split.test[0], 1).class_map.any()
    (test / "annotations.json").unlink()
    with pytest.raises(InputError, match=r"test: has no annotations"):
        find_split(tmp_path, classes=("crack",))


def test_masks_go_before_json_files(tmp_path: Path) -> None:
    write_coco(tmp_path, coco(THINGS, NAMES))
    save_image(tmp_path / "masks" / "1.png")
    assert find_split(tmp_path).train[0].mask.name == "1.png"


def test_images_are_found_by_what_another_machine_called_them(tmp_path: Path) -> None:
    content = coco(THINGS, NAMES)
    write_coco(tmp_path, content)
    for name in (r"C:\export\images\1.png", "../../images/1.png", "/home/me/1.png", "1"):
        content["images"][0]["file_name"] = name
        (tmp_path / "annotations.json").write_text(json.dumps(content))
        assert only(tmp_path, "crack").name == "1"


def test_labelme_beside_the_images(tmp_path: Path) -> None:
    bits = BytesIO()
    Image.fromarray(np.eye(3, dtype=bool)).save(bits, "PNG")
    mask = shape(
        "crack", "mask", (15, 16), (17, 18), mask=base64.b64encode(bits.getvalue()).decode()
    )
    content = labelme(
        "road.png",
        shape("crack", "rectangle", (12, 13), (2, 3)),
        shape("pothole", "polygon", (4, 5), (8, 5), (8, 9), (4, 9)),
        shape("pothole", "circle", (22, 10), (22, 14)),
        shape("tree", "point", (1, 1)),
        mask,
    )
    save_image(tmp_path / "road.png")
    (tmp_path / "road.json").write_text(json.dumps(content))
    loaded = only(tmp_path, "crack", "pothole")
    rows, columns = np.mgrid[:HEIGHT, :WIDTH] + 0.5
    expected = IN_BOX.astype(np.uint8)
    expected[IN_NEAR | (np.hypot(columns - 22, rows - 10) < 4)] = 2
    expected[[16, 17, 18], [15, 16, 17]] = 1
    assert np.array_equal(loaded.class_map, expected)


@pytest.mark.parametrize("beside", [".", "images"])
def test_labelme_with_a_folder_of_images(tmp_path: Path, beside: str) -> None:
    thing = shape("crack", "polygon", (2, 3), (12, 3), (12, 13), (2, 13))
    for number in range(5):
        save_image(tmp_path / "images" / f"{number}.jpg")
        if number:  # one has no annotations yet; the files' image was renamed since
            file = tmp_path / beside / f"{number}.json"
            file.write_text(json.dumps(labelme(f"old-{number}.jpg", thing)))
    split = find_split(tmp_path)
    assert split.layout == "labelme annotations, 1 images without, split by seed"
    samples = [*split.train, *split.val, *split.test]
    assert sorted(sample.name for sample in samples) == ["1", "2", "3", "4"]
    assert all((load_sample(one, 1).class_map == IN_BOX).all() for one in samples)


def test_the_hash_covers_images_and_annotations(tmp_path: Path) -> None:
    write_coco(tmp_path / "train", coco(THINGS, NAMES, 2))
    write_coco(tmp_path / "test", coco(THINGS, NAMES))
    recipe = Recipe(task="custom", classes=("crack",))
    first = task_data(recipe, tmp_path)
    before = first.sha256()
    command = "LC_ALL=C find train -type f | LC_ALL=C sort | xargs sha256sum | sha256sum"
    done = subprocess.run(command, shell=True, cwd=tmp_path, capture_output=True, check=True)
    assert done.stdout.decode().startswith(before)
    assert (first.train[0].class_map == 1).any()
    write_coco(tmp_path / "train", coco(THINGS[1:], NAMES, 2))
    assert task_data(recipe, tmp_path).sha256() != before


def refused(folder: Path, *classes: str) -> str:
    with pytest.raises(InputError) as caught:
        only(folder, *classes)
    assert "\n" not in str(caught.value)
    return str(caught.value)


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


def test_what_is_no_json(tmp_path: Path) -> None:
    write_coco(tmp_path, coco(THINGS, NAMES))
    (tmp_path / "annotations.json").write_text("{")
    assert f"{tmp_path / 'annotations.json'}: is no JSON" in refused(tmp_path)


def test_several_files_need_a_name(tmp_path: Path) -> None:
    for file in ("a.json", "b.json"):
        write_coco(tmp_path, coco(THINGS, NAMES), file)
    assert "holds 2 JSON files" in refused(tmp_path, "crack")
    write_coco(tmp_path, coco(THINGS, NAMES))
    assert only(tmp_path, "crack").class_map.any()


def test_an_image_that_is_named_twice(tmp_path: Path) -> None:
    content = coco(THINGS, NAMES)
    content["images"].append({"id": 11, "file_name": "1.png"})
    assert "images are '1'; keep one" in refused(write_coco(tmp_path, content), "crack")


@pytest.mark.parametrize(
    ("thing", "complaint"),
    [
        (shape("crack", "linestrip", (1, 2), (3, 4)), "covers no pixels"),
        (shape("crack", "spline", (1, 2), (3, 4)), "unknown type 'spline'"),
        (shape("crack", "rectangle", (1, 2)), "shape 1: "),
        (shape("crack", "mask", (1, 2), (3, 4), mask="AAAA"), "mask that is no image"),
    ],
)
def test_bad_labelme_shapes(tmp_path: Path, thing: dict[str, Any], complaint: str) -> None:
    save_image(tmp_path / "a.png")
    (tmp_path / "a.json").write_text(json.dumps(labelme("a.png", thing)))
    line = refused(tmp_path)
    assert complaint in line
    assert str(tmp_path / "a.json") in line


def test_bad_labelme_files(tmp_path: Path) -> None:
    thing = shape("crack", "rectangle", (1, 2), (3, 4))
    (tmp_path / "a.json").write_text(json.dumps(labelme("b.png", thing)))
    assert "its image 'b.png' is not there" in refused(tmp_path)
    save_image(tmp_path / "a.png", (WIDTH, HEIGHT + 1))
    assert "30 x 21" in refused(tmp_path)
    (tmp_path / "b.json").write_text("[]")
    assert f"{tmp_path / 'b.json'}: no labelme annotations" in refused(tmp_path)
