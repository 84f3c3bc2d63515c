"""Results bear the numbers that the user's own COCO file gives."""

import json
from pathlib import Path

import pytest

from prompttune.outputs.coco_ids import CocoIds
from prompttune.utils.errors import InputError, forget_warnings


@pytest.fixture
def file(tmp_path: Path) -> Path:
    content = {
        "images": [
            {"id": 501, "file_name": "IMG_0000.jpg"},
            {"id": 504, "file_name": "day 2/IMG_0003.jpg"},
            {"id": 505, "file_name": "day 3/IMG_0003.jpg"},
        ],
        "categories": [{"id": 3, "name": "pothole"}, {"id": 7, "name": "crack"}],
        "annotations": [],
    }
    (tmp_path / "annotations.json").write_text(json.dumps(content))
    return tmp_path / "annotations.json"


def test_images_and_categories_have_the_files_numbers(file: Path) -> None:
    ids = CocoIds.read(file, ["crack"])
    assert ids.category(1, ["crack"]) == 7
    assert ids.image(Path("x/images/IMG_0000.jpg")) == 501
    assert ids.image(Path("IMG_0000.png")) == 501, "the same picture in another format"
    assert ids.image(Path("x/day 2/IMG_0003.jpg")) == 504
    assert ids.image(Path("x/day 3/IMG_0003.jpg")) == 505


def test_an_image_that_the_file_lacks_keeps_its_name(file: Path, caplog) -> None:
    forget_warnings()
    assert CocoIds.read(file, ["crack"]).image(Path("0042.jpg")) == 42
    assert "does not name it" in caplog.records[0].message


def test_without_a_file_numbers_are_as_ever() -> None:
    ids = CocoIds()
    assert (ids.category(2, ["a", "b"]), ids.image(Path("a.jpg"))) == (2, "a")
    assert CocoIds({"b": 9}).category(2, ["a", "b"]) == 9


@pytest.mark.parametrize(
    ("content", "line"),
    [(None, "no such file"), ("{", "no COCO annotations"), ("{}", "no COCO annotations")],
)
def test_files_that_are_none(tmp_path: Path, content: str | None, line: str) -> None:
    if content is not None:
        (tmp_path / "a.json").write_text(content)
    with pytest.raises(InputError, match=rf"--coco .*a\.json: {line}"):
        CocoIds.read(tmp_path / "a.json", ["crack"])


def test_a_class_that_is_no_category(file: Path) -> None:
    with pytest.raises(InputError, match=r"no category is called .cracks.\. Did you mean .crack."):
        CocoIds.read(file, ["cracks"])
