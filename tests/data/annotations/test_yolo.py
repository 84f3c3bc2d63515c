"""YOLO's files, in parts and in one folder."""

from pathlib import Path

import numpy as np
import pytest
from exports import CORNERS, HEIGHT, INSIDE, WIDTH, image, maps

from prompttune.data.annotated_folders import annotated_names
from prompttune.data.folders import is_labeled
from prompttune.data.layouts import find_split, load_sample
from prompttune.utils.errors import InputError


def yolo(folder: Path, images: str, labels: str, count: int, first: str = "1 ") -> None:
    corners = " ".join(f"{x / WIDTH} {y / HEIGHT}" for x, y in CORNERS)
    for number in range(count):
        image(folder / images / f"{number}.jpg")
        (folder / labels).mkdir(parents=True, exist_ok=True)
        (folder / labels / f"{number}.txt").write_text(f"{first}{corners}\n")
    (folder / "data.yaml").write_text("names: [pothole, crack]\nnc: 2\n")


@pytest.mark.parametrize("layout", ["{part}/images", "images/{part}"])
def test_yolo_segmentation_in_parts(tmp_path: Path, layout: str) -> None:
    for part, count in (("train", 6), ("val", 2)):
        images = layout.format(part=part)
        yolo(tmp_path, images, images.replace("images", "labels"), count)
    split = find_split(tmp_path, classes=("crack",))
    assert [len(split.train), len(split.val), len(split.test)] == [5, 2, 1]
    found = load_sample(split.val[0], 1).class_map
    np.testing.assert_array_equal(found == 1, INSIDE)
    assert annotated_names(tmp_path) == ("crack",)


def test_yolo_segmentation_in_one_folder(tmp_path: Path) -> None:
    yolo(tmp_path, "images", "labels", 4)
    image(tmp_path / "images" / "empty.jpg")
    (tmp_path / "labels" / "0.txt").write_text("1 0.5 0.5 0.2 0.2\n")
    found = maps(tmp_path, "crack")
    assert not found["empty"].any()
    assert set(np.unique(found["0"])) == {0, 255}, "a box is not learned from"
    np.testing.assert_array_equal(found["1"] == 1, INSIDE)
    assert "0.txt: line 1: is a box alone" in find_split(tmp_path, classes=("crack",)).notes[0]
    (tmp_path / "labels" / "1.txt").write_text("7 0 0 1 0 1 1")
    with pytest.raises(InputError, match=r"1\.txt: line 1: .*without a name in data\.yaml"):
        maps(tmp_path, "crack")


def test_yolo_beside_the_images_and_without_names(tmp_path: Path) -> None:
    yolo(tmp_path, ".", ".", 4, "0 ")
    (tmp_path / "data.yaml").unlink()
    (tmp_path / "note.txt").write_text("drawn in May")
    assert is_labeled(tmp_path)
    found = maps(tmp_path, "crack")
    assert len(found) == 4
    np.testing.assert_array_equal(found["0"] == 1, INSIDE)


def test_other_texts_beside_images_are_no_annotations(tmp_path: Path) -> None:
    image(tmp_path / "0.jpg")
    (tmp_path / "0.txt").write_text("a long caption of this picture\n")
    with pytest.raises(InputError, match="no known layout"):
        find_split(tmp_path, classes=("crack",))
